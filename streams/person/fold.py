"""One message about one person: what its stays are told, what is remembered, what goes on under another key.

Theory of operation. A message is looked up by control id first (spec 04 §5.5): a repeat is a duplicate, another
payload under the same id stops. Then each event follows the row of its kind in `RULES`; a rule gives the new row and
either stay events, each with lane, patient and residence, or the outcome of an event that reaches no lane. Whether a
notice follows is never decided here (`streams/stay`), nor whether an event has to wait.

A merge or move speaks of people under other keys as well (00 §2.2): the message is then published once more under
each of them, marked, and `passed_on` says that it is such a copy. A copy acts on the visits known under its key only.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final

import msgspec

from streams.words.ids import Ids, PersonKey
from streams.words.model import EventKind, Fate, HospitalEvent, Outcome, Transfer

from .arrival import NOT_SUBJECT, Arrival, PersonFold
from .keys import person_key
from .merge import adopted, known_visit, merged, moved
from .origin import RegionAt, origin_of, transfer_from
from .row import UNIQUE_FOR, KnownVisit, PersonRow, Seen, learned, new_visit, retained
from .visit import after, is_never_notified

__all__ = ["fold"]

_DUPLICATE: Final = Outcome(fate=Fate.DUPLICATE, reason="duplicate")
_REUSED: Final = Outcome(
    fate=Fate.STOPPED,
    reason="control-id-reuse",
    path="MSH-10",
    problem="another message has been sent under this control id",
    remedy="send it again under a control id of its own",
)


def fold(
    row: PersonRow | None,
    events: tuple[HospitalEvent, ...],
    *,
    key: PersonKey,
    payload_hash: str,
    origin: str = "",
    at: datetime,
    ids: Ids,
    region_at: RegionAt | None = None,
    passed_on: bool = False,
    adopts: str = "",
) -> PersonFold:
    """The row under `key` after one message, and what follows from it.

    `events` are those of `messages.adt.read`, at least one; `key` is that of the first one's person, unless the record
    was `passed_on`; `payload_hash` any digest of the bytes; `origin` is
    the record's place in the log, `at` when it is taken up. `region_at` asks the location register for a hospital's region at the time of an arrival;
    without it the region last seen counts. `adopts` is the value of that header: visits of a retired person, now theirs.
    """
    row = PersonRow() if row is None else retained(row, at)
    if adopts:
        return PersonFold(adopted(row, adopts), outcomes=(NOT_SUBJECT,))
    control = f"{events[0].feed}\0{events[0].control_id}"
    seen = row.controls.get(control)
    if seen is not None and (seen.payload_hash == payload_hash or at - seen.at <= UNIQUE_FOR):
        return _seen_before(row, seen, payload_hash, origin)
    controls = row.controls | {control: Seen(payload_hash=payload_hash, at=at, origin=origin)}
    arrival = Arrival(key, payload_hash, at, ids, region_at, passed_on, origin)
    first, *more = events
    # A record comes under the key of its first person; only a copy that was passed on does not.
    own = not passed_on or person_key(first, ids) == key
    result = _one(msgspec.structs.replace(row, controls=controls), first, arrival, own=own)
    for event in more:
        step = _one(result.row, event, arrival, own=person_key(event, ids) == key)
        result = PersonFold(
            step.row,
            result.stay_events + step.stay_events,
            result.outcomes + step.outcomes,
            tuple(dict.fromkeys(result.pass_on + step.pass_on)),
        )
    return result


def _seen_before(row: PersonRow, seen: Seen, payload_hash: str, origin: str) -> PersonFold:
    """A control id that is known: our own step again after a crash, the sender's duplicate, or another message."""
    if origin and seen.origin == origin:
        return PersonFold(row, repeated=True)
    return PersonFold(row, outcomes=(_DUPLICATE if seen.payload_hash == payload_hash else _REUSED,))


def _one(row: PersonRow, event: HospitalEvent, arrival: Arrival, *, own: bool) -> PersonFold:
    """One event by the rule of its kind. What it says of the person is learnt under the person's own key only."""
    if arrival.passed_on and event.kind not in _PASSED_ON:
        return PersonFold(row, outcomes=(NOT_SUBJECT,))
    if own and not arrival.passed_on:
        row = learned(row, event)
    rule = RULES.get(event.kind, _stay)
    if rule is _stay and not own:
        # A17 tells of two people; the second one's row lies under another key, and a bed swap needs nothing of it.
        stranger = new_visit(event, event.visit, arrival.ids, arrival.at)
        return PersonFold(row, (arrival.told(event, stranger, PersonRow()),))
    return rule(row, event, arrival)


def _no_stay(row: PersonRow, event: HospitalEvent, arrival: Arrival) -> PersonFold:
    """Irrelevant or planned. A planned attendance is remembered, so that its later events are known as such."""
    if event.planned and event.visit and row.visit(event.feed, event.visit) is None:
        visit = new_visit(event, event.visit, arrival.ids, arrival.at)
        row = row.with_visit(msgspec.structs.replace(visit, state="planned", class_=event.class_))
    return PersonFold(row, outcomes=(NOT_SUBJECT,))


def _stay(row: PersonRow, event: HospitalEvent, arrival: Arrival) -> PersonFold:
    """An event of one visit."""
    known = known_visit(row, event, arrival.ids)
    if is_never_notified(event, known):
        return _no_stay(row, msgspec.structs.replace(event, planned=True), arrival)
    visit, transfer = known or new_visit(event, event.visit, arrival.ids, arrival.at), None
    if event.kind is EventKind.START and visit.state != "ended" and (known is None or known.state != "open"):
        visit, transfer = _continued(row, event, visit, arrival)
    told = arrival.told(event, visit, row, transfer)
    return PersonFold(row.with_visit(after(visit, event, arrival.at)), (told,))


def _continued(
    row: PersonRow, event: HospitalEvent, visit: KnownVisit, arrival: Arrival
) -> tuple[KnownVisit, Transfer | None]:
    """A start that continues a stay elsewhere; within the region it takes over episode and lane (00 §1.2).

    A visit that has been in a lane before (its start was cancelled) stays there.
    """
    origin = origin_of(row, event)
    if origin is None:
        return visit, None
    transfer = transfer_from(origin, event, arrival.region_at)
    if transfer.same_region:
        lane = visit.lane if visit.state == "void" else origin.lane
        visit = msgspec.structs.replace(visit, episode=origin.episode, lane=lane)
    return visit, transfer


def _person_changed(row: PersonRow, event: HospitalEvent, arrival: Arrival) -> PersonFold:
    """A28, A31: a death is told to every open stay (01, 21.1); all else waits for the next notice."""
    if not event.dead:
        return PersonFold(row, outcomes=(NOT_SUBJECT,))
    return _to_open_visits(row, event, arrival)


def _to_open_visits(row: PersonRow, event: HospitalEvent, arrival: Arrival) -> PersonFold:
    open_visits = tuple(visit for visit in row.visits if visit.state == "open")
    told = arrival.each(event, open_visits, row)
    for visit in open_visits:
        row = row.with_visit(after(visit, event, arrival.at))
    return PersonFold(row, told, () if told else (NOT_SUBJECT,))


def _deleted(row: PersonRow, event: HospitalEvent, arrival: Arrival) -> PersonFold:
    """A23 deletes one visit, A29 the person with every open one."""
    return (_stay if event.visit and event.trigger == "A23" else _to_open_visits)(row, event, arrival)


Rule = Callable[[PersonRow, HospitalEvent, Arrival], PersonFold]

#: Kind of event -> its rule; every other kind is an event of one visit.
RULES: Final[dict[EventKind, Rule]] = {
    EventKind.IRRELEVANT: _no_stay,
    EventKind.PLANNED: _no_stay,
    EventKind.PLANNED_CANCELLED: _no_stay,
    EventKind.PERSON_CHANGED: _person_changed,
    EventKind.PERSON_MERGED: merged,
    EventKind.STAY_MOVED: moved,
    EventKind.DELETED: _deleted,
}

_PASSED_ON: Final = frozenset({EventKind.PERSON_MERGED, EventKind.STAY_MOVED})
