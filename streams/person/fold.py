"""One message about one person: what its stays get, what is remembered, what goes on under another key.

Theory of operation. A message is looked up by control id first (spec 04 §5.5): a repeat is a duplicate, another
payload under the same id stops. Then each event follows the row of its kind in `RULES`; a rule gives the new row and
either stay events, each with lane, patient and residence, or the outcome of an event that reaches no lane. Whether a
notice follows is never decided here (`streams/stay`), nor whether an event has to wait.

A merge or move is about people under other keys as well (00 §2.2): the message is then published once more under
each of them, marked, and `passed_on` is true of such a copy. A copy acts on the visits known under its key only.

A person has one body: a START at another hospital while a stay is open, or within 24 hours after a discharge to a
hospital or hospice, is an arrival by transfer (00 §2.2; spec 01 §12). Within the region the receiving hospital uses the
referring hospital's episode of care, so the stay stays in its lane; between regions it is a new stay that only knows
where it came from.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import msgspec

from streams.words.ids import Ids, PersonKey
from streams.words.model import Disposition, EventKind, Fate, HospitalEvent, Outcome, StayEvent, Transfer

from .arrival import NOT_SUBJECT, Arrival, PassOn, PersonFold, RegionAt
from .merge import adopted, known_visit, merged, moved
from .row import (
    UNIQUE_FOR,
    KnownVisit,
    PersonRow,
    Seen,
    after,
    hospital_of,
    is_never_notified,
    learned,
    new_visit,
    person_key,
    retained,
)

__all__ = ["fold"]

_DUPLICATE: Final = Outcome(fate=Fate.DUPLICATE, reason="duplicate")
_REUSED: Final = Outcome(
    fate=Fate.STOPPED,
    reason="control-id-reuse",
    path="MSH-10",
    problem="another message has been sent under this control id",
    remedy="send it again under a control id of its own",
)

#: How long after a discharge the arrival may be registered (00 §2.2).
ARRIVES_WITHIN: Final = timedelta(hours=24)
#: Discharges after which another hospital announces the arrival (spec 01 §12: hospital, hospice).
_MOVED: Final[frozenset[Disposition | None]] = frozenset({"transfer-hospital", "hospice"})

_PASSED_ON: Final = frozenset({EventKind.PERSON_MERGED, EventKind.STAY_MOVED})


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
    was `passed_on`; `payload_hash` any digest of the bytes; `origin` is the record's place in the log, `at` when it is
    taken up. `region_at` asks the location register for a hospital's region at the time of an arrival; without it the
    region last seen counts. `adopts` is the value of that header: visits of a retired person, now theirs.
    """
    row = PersonRow() if row is None else retained(row, at)
    if adopts:
        return PersonFold(adopted(row, adopts), outcomes=(NOT_SUBJECT,))
    control = f"{events[0].feed}\0{events[0].control_id}"
    seen = row.controls.get(control)
    if seen is not None and (seen.payload_hash == payload_hash or at - seen.at <= UNIQUE_FOR):
        if origin and seen.origin == origin:  # our own step again after a crash
            return PersonFold(row, repeated=True)
        return PersonFold(row, outcomes=(_DUPLICATE if seen.payload_hash == payload_hash else _REUSED,))
    controls = row.controls | {control: Seen(payload_hash=payload_hash, at=at, origin=origin)}
    row = msgspec.structs.replace(row, controls=controls)
    arrival = Arrival(key, payload_hash, at, ids, region_at, passed_on, origin)
    stay_events: tuple[StayEvent, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    pass_on: tuple[PassOn, ...] = ()
    for event in events:
        # A record comes under the key of its first person; only a copy that was passed on does not.
        own = (event is events[0] and not passed_on) or person_key(event, ids) == key
        step = _by_its_rule(row, event, arrival, own=own)
        row = step.row
        stay_events += step.stay_events
        outcomes += step.outcomes
        pass_on += step.pass_on
    return PersonFold(row, stay_events, outcomes, tuple(dict.fromkeys(pass_on)) if pass_on else ())


def _by_its_rule(row: PersonRow, event: HospitalEvent, arrival: Arrival, *, own: bool) -> PersonFold:
    """One event. The row learns what it holds about the person under the person's own key only."""
    if arrival.passed_on and event.kind not in _PASSED_ON:
        return PersonFold(row, outcomes=(NOT_SUBJECT,))
    if own and not arrival.passed_on:
        row = learned(row, event)
    rule = RULES.get(event.kind, _stay)
    if rule is _stay and not own:
        # A17 is about two people; the second one's row lies under another key, and a bed swap needs nothing of it.
        stranger = new_visit(event, event.visit, arrival.ids, arrival.at)
        return PersonFold(row, (arrival.stay_event(event, stranger, PersonRow()),))
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
    stay_event = arrival.stay_event(event, visit, row, transfer)
    return PersonFold(row.with_visit(after(visit, event, arrival.at)), (stay_event,))


def _continued(
    row: PersonRow, event: HospitalEvent, visit: KnownVisit, arrival: Arrival
) -> tuple[KnownVisit, Transfer | None]:
    """A start that continues a stay elsewhere; within the region it takes over episode and lane (00 §1.2)."""
    own, here, origin = row.visit(event.feed, event.visit), hospital_of(event), None
    for known in row.visits:
        if known == own or known.hospital in ("", here):
            continue
        left = known.ended_at if known.state == "ended" and known.disposition in _MOVED else None
        arrives = left is not None and event.occurred is not None and event.occurred - left <= ARRIVES_WITHIN
        if (known.state == "open" or arrives) and (origin is None or known.last_at > origin.last_at):
            origin = known  # of several the one with the latest event
    if origin is None:
        return visit, None
    # Both hospitals' regions are as of the arrival (spec 05 §1.4); a hospital outside the regions is in none.
    ours, theirs = event.unit.region_code if event.unit is not None else "", origin.region_code
    if arrival.region_at is not None and event.occurred is not None:
        theirs = arrival.region_at(origin.hospital, event.occurred) or theirs
    same = bool(ours) and ours == theirs
    transfer = Transfer(visit=origin.local, episode=origin.episode, hospital=origin.hospital, same_region=same)
    if same:
        lane = visit.lane if visit.state == "void" else origin.lane  # one whose start was cancelled stays in its lane
        visit = msgspec.structs.replace(visit, episode=origin.episode, lane=lane)
    return visit, transfer


def _open_visits(row: PersonRow, event: HospitalEvent, arrival: Arrival) -> PersonFold:
    """A29 deletes every open stay; a death in A28 or A31 reaches every one (01, 21.1), all else waits for the next notice."""
    open_visits: tuple[KnownVisit, ...] = ()
    if event.dead or event.kind is EventKind.DELETED:
        open_visits = tuple(visit for visit in row.visits if visit.state == "open")
    stay_events = arrival.stay_events(event, open_visits, row)
    for visit in open_visits:
        row = row.with_visit(after(visit, event, arrival.at))
    return PersonFold(row, stay_events, () if stay_events else (NOT_SUBJECT,))


def _deleted(row: PersonRow, event: HospitalEvent, arrival: Arrival) -> PersonFold:
    """A23 deletes one visit, A29 the person with every open one."""
    return (_stay if event.visit and event.trigger == "A23" else _open_visits)(row, event, arrival)


Rule = Callable[[PersonRow, HospitalEvent, Arrival], PersonFold]

#: Kind of event -> its rule; every other kind is an event of one visit.
RULES: Final[dict[EventKind, Rule]] = {
    EventKind.IRRELEVANT: _no_stay,
    EventKind.PLANNED: _no_stay,
    EventKind.PLANNED_CANCELLED: _no_stay,
    EventKind.PERSON_CHANGED: _open_visits,
    EventKind.PERSON_MERGED: merged,
    EventKind.STAY_MOVED: moved,
    EventKind.DELETED: _deleted,
}
