"""One message about one person: what its stays get, what is remembered, what goes on under another key.

Theory of operation. A message is looked up by control id first (spec 04 §5.5): a repeat is a duplicate, another
payload under the same id stops. Then each event follows the row of its kind in `RULES`; a rule gives the new row and
either stay events, each with lane, patient and residence, or the outcome of an event that reaches no lane. Whether a
notice follows is never decided here (`streams/stay`), nor whether an event has to wait.

A stay event carries all that intake knows (00 §2.2): patient, residence and protection are the message's, else those
last seen. It has a patient only when the message carries an official CPR number: nothing else may ever be notified
(spec 05 §2.2).

A person has one body: a START at another hospital while a stay is open, or within 24 hours after a discharge to a
hospital or hospice, is an arrival by transfer (00 §2.2; spec 01 §12). Within the region the receiving hospital uses the
referring hospital's episode of care, so the stay stays in its lane; between regions it is a new stay that only knows
where it came from.

Merges and moves: identifiers that turn out to name the same person, visits that belong to another (spec 04 §4.4). The
retired person usually lives under another key. The message is then published once more, marked, under each key that its
retired identifiers may have had (00 §2.2), and `passed_on` is true of such a copy. The copy finds the visits there, and
hands those that are open over to the surviving person. Under the surviving key no stay gets an event: when both
identifiers map to one person, only the key table changes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec

from streams.words.errors import Rejected
from streams.words.ids import Ids, PersonKey
from streams.words.model import Disposition, EventKind, Fate, Outcome, Patient, StayEvent, Transfer

from .row import (
    UNIQUE_FOR,
    KnownVisit,
    PersonRow,
    Reported,
    Seen,
    after,
    hospital_of,
    is_never_notified,
    learned,
    new_visit,
    person_key,
    retained,
    retired_keys,
)

#: Reaches no lane, and there is nothing to do about it.
NOT_SUBJECT: Final = Outcome(fate=Fate.NOT_SUBJECT)

#: Header of a record published under another person key; its value is the key it came under.
PASSED_ON: Final = "passed-on"

#: Header of a merge that goes back to the surviving person: the open visits that are theirs now, by id and lane. Without
#: it an A31 or a second merge would not find them, nor a discharge the lane of a stay that came by transfer.
ADOPTS: Final = "adopts"

#: (SOR of a hospital, at) -> its region code on that day (spec 05 §1.4); None when it belongs to none.
RegionAt = Callable[[str, datetime], str | None]


@dataclass(frozen=True, slots=True)
class PassOn:
    """The same bytes once more to `adt.raw`, under `key`, with these headers besides the record's own."""

    key: PersonKey
    headers: tuple[tuple[str, str], ...]


class PersonFold(msgspec.Struct, frozen=True, gc=False):
    """What one message does. `outcomes`: one per event that reaches no lane."""

    row: PersonRow
    stay_events: tuple[StayEvent, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    pass_on: tuple[PassOn, ...] = ()
    repeated: bool = False  # this very record has been folded before: its effects are out, nothing is counted again

    @property
    def outcome(self) -> Outcome | None:
        """The fate of a record that gives no stay event: a stop before anything else; None when it gives one or is repeated."""
        if self.stay_events or self.repeated:
            return None
        for outcome in self.outcomes:
            if outcome.fate is not Fate.NOT_SUBJECT:
                return outcome
        return NOT_SUBJECT


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """What is the same for all events of one message."""

    key: PersonKey
    payload_hash: str
    at: datetime
    ids: Ids
    region_at: RegionAt | None
    passed_on: bool
    origin: str = ""  # topic/partition/offset of the record

    def stay_event(
        self, reported: Reported, visit: KnownVisit, row: PersonRow, transfer: Transfer | None = None
    ) -> StayEvent:
        """The event as the visit's lane gets it. `row` is what is known of the person after this message.

        Its id stands for feed, control id, part, payload and visit: a repeat of the step gives the same id.
        """
        event, patient = reported.event, None
        if reported.who.cprs:
            named = reported if reported.family else row
            patient = Patient(cpr=reported.who.cprs[0], family=named.family, given=named.given)
        return msgspec.structs.replace(
            event,
            id=self.ids.event(event.feed, event.control_id, str(reported.part), self.payload_hash, visit.local),
            lane=visit.lane,
            visit=visit.local,
            visit_number=visit.numbers[0] if visit.numbers else "",
            origin=self.origin,
            patient=patient,
            residence=event.residence or (None if event.residence_problem else row.residence),
            class_=event.class_ or (visit.class_ if visit.class_ != "OUTPATIENT" else ""),
            transfer=transfer,
            protected=event.protected or (row.protected and not reported.unprotected),
        )

    def stay_events(self, reported: Reported, visits: tuple[KnownVisit, ...], row: PersonRow) -> tuple[StayEvent, ...]:
        """The event as the lanes of several visits get it."""
        return tuple(self.stay_event(reported, visit, row) for visit in visits)


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
    reports: tuple[Reported, ...],
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

    `reports` are those of `messages.adt.read`, at least one; `key` is that of the first one's person, unless the record
    was `passed_on`; `payload_hash` any digest of the bytes; `origin` is the record's place in the log, `at` when it is
    taken up. `region_at` asks the location register for a hospital's region at the time of an arrival; without it the
    region last seen counts. `adopts` is the value of that header: visits of a retired person, now theirs.
    """
    row = PersonRow() if row is None else retained(row, at)
    if adopts:
        return PersonFold(_adopted(row, adopts), outcomes=(NOT_SUBJECT,))
    control = f"{reports[0].event.feed}\0{reports[0].event.control_id}"
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
    for reported in reports:
        # A record comes under the key of its first person; only a copy that was passed on does not.
        own = (reported is reports[0] and not passed_on) or person_key(reported, ids) == key
        step = _by_its_rule(row, reported, arrival, own=own)
        row = step.row
        stay_events += step.stay_events
        outcomes += step.outcomes
        pass_on += step.pass_on
    return PersonFold(row, stay_events, outcomes, tuple(dict.fromkeys(pass_on)) if pass_on else ())


def _by_its_rule(row: PersonRow, reported: Reported, arrival: Arrival, *, own: bool) -> PersonFold:
    """One event. The row learns what it holds about the person under the person's own key only."""
    event = reported.event
    if arrival.passed_on and event.kind not in _PASSED_ON:
        return PersonFold(row, outcomes=(NOT_SUBJECT,))
    if own and not arrival.passed_on:
        row = learned(row, reported)
    rule = RULES.get(event.kind, _stay)
    if rule is _stay and not own:
        # A17 is about two people; the second one's row lies under another key, and a bed swap needs nothing of it.
        stranger = new_visit(event, event.visit_number, arrival.ids, arrival.at)
        return PersonFold(row, (arrival.stay_event(reported, stranger, PersonRow()),))
    return rule(row, reported, arrival)


# ---- events of visits ----------------------------------------------------------------------------------------------


def _stay(row: PersonRow, reported: Reported, arrival: Arrival) -> PersonFold:
    """An event of one visit."""
    event, ids, at = reported.event, arrival.ids, arrival.at
    known = row.visit(event.feed, event.visit_number) if row.visits else None  # most starts: no id has to be computed
    if known is None and row.visits and (taken := row.visit_of(ids.episode(event.feed, event.visit_number))):
        # Taken over from another key, so known by the id of its number.
        known = msgspec.structs.replace(taken, numbers=(*taken.numbers, event.visit_number))
    if is_never_notified(event, known):
        return _no_stay(row, reported, arrival, planned=True)
    visit, transfer = known or new_visit(event, event.visit_number, ids, at), None
    new_start = event.kind is EventKind.START and event.prior is None
    if new_start and visit.state != "ended" and (known is None or known.state != "open"):
        visit, transfer = _continued(row, event, visit, arrival)
    stay_event = arrival.stay_event(reported, visit, row, transfer)
    return PersonFold(row.with_visit(after(visit, event, at)), (stay_event,))


def _continued(
    row: PersonRow, event: StayEvent, visit: KnownVisit, arrival: Arrival
) -> tuple[KnownVisit, Transfer | None]:
    """A start that continues a stay elsewhere; within the region it takes over episode and lane (00 §1.2)."""
    own, here, origin = row.visit(event.feed, event.visit_number), hospital_of(event), None
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


def _no_stay(row: PersonRow, reported: Reported, arrival: Arrival, *, planned: bool = False) -> PersonFold:
    """Irrelevant or planned. A planned attendance is remembered, so that its later events are known as such."""
    event, number = reported.event, reported.event.visit_number
    if (planned or event.planned) and number and row.visit(event.feed, number) is None:
        visit = new_visit(event, number, arrival.ids, arrival.at)
        row = row.with_visit(msgspec.structs.replace(visit, state="planned", class_=event.class_))
    return PersonFold(row, outcomes=(NOT_SUBJECT,))


def _open_visits(row: PersonRow, reported: Reported, arrival: Arrival) -> PersonFold:
    """A29 deletes every open stay; a death in A28 or A31 reaches every one (01, 21.1), all else waits for the next notice."""
    event, open_visits = reported.event, tuple[KnownVisit, ...]()
    if event.snapshot.dead or event.kind is EventKind.DELETED:
        open_visits = tuple(visit for visit in row.visits if visit.state == "open")
    stay_events = arrival.stay_events(reported, open_visits, row)
    for visit in open_visits:
        row = row.with_visit(after(visit, event, arrival.at))
    return PersonFold(row, stay_events, () if stay_events else (NOT_SUBJECT,))


def deleted(row: PersonRow, reported: Reported, arrival: Arrival) -> PersonFold:
    """A29 deletes the person with every open visit, all else one visit: A23, and a start that FHIR takes back."""
    one = reported.event.visit_number and reported.event.trigger != "A29"
    return (_stay if one else _open_visits)(row, reported, arrival)


# ---- merges and moves ----------------------------------------------------------------------------------------------


def merged(row: PersonRow, reported: Reported, arrival: Arrival) -> PersonFold:
    """A40 and its like: every visit known under a retired key gets the surviving person.

    Where MRG-5 names visits of the row, only those.
    """
    retired = retired_keys(reported, arrival.ids)
    if arrival.key not in retired:
        return PersonFold(row, outcomes=(NOT_SUBJECT,), pass_on=_copies(retired, arrival))
    visits = tuple(visit for visit in row.visits if visit.state in ("open", "ended"))
    named = tuple(visit for visit in visits if set(visit.numbers) & set(reported.retired_visits))
    return _handed_over(row, named or visits, reported, arrival)


def moved(row: PersonRow, reported: Reported, arrival: Arrival) -> PersonFold:
    """A44, A45, A50: the visit goes from MRG-5 and MRG-1 to PV1-19 and PID-3."""
    event = reported.event
    number = next(iter(reported.retired_visits), event.visit_number)
    retired = retired_keys(reported, arrival.ids)
    known = row.visit(event.feed, number)
    if arrival.key in retired:
        return _handed_over(row, () if known is None else (known,), reported, arrival)
    if not arrival.passed_on and person_key(reported, arrival.ids) == arrival.key:
        # The new number names the old visit from now on, in its old lane.
        visit = known or new_visit(event, number, arrival.ids, arrival.at)
        numbers = tuple(dict.fromkeys((*visit.numbers, event.visit_number)))
        row = row.with_visit(msgspec.structs.replace(visit, numbers=numbers, last_at=arrival.at))
    return PersonFold(row, outcomes=(NOT_SUBJECT,), pass_on=_copies(retired, arrival))


def _copies(keys: tuple[PersonKey, ...], arrival: Arrival) -> tuple[PassOn, ...]:
    """The message once more under each key, unless it is such a copy itself."""
    if arrival.passed_on:
        return ()
    return tuple(PassOn(key, ((PASSED_ON, arrival.key),)) for key in keys if key != arrival.key)


def _handed_over(row: PersonRow, visits: tuple[KnownVisit, ...], reported: Reported, arrival: Arrival) -> PersonFold:
    """The visits leave the row of a retired person: their lanes get the event, the surviving person the open ones.

    A replacement number is the same human being. Another CPR number is another citizen, whose home and name must not
    stand in a notice about this one: what the message does not give is then unknown.
    """
    known = row
    if arrival.key in [arrival.ids.person(cpr) for cpr in reported.retired.cprs]:
        known = msgspec.structs.replace(row, residence=None, family="", given=())
    stay_events = arrival.stay_events(reported, visits, known)
    pass_on = _copies(retired_keys(reported, arrival.ids), arrival)
    # By their ids alone, as a header may hold no more.
    still = [msgspec.structs.replace(visit, numbers=()) for visit in visits if visit.state == "open"]
    surviving = person_key(reported, arrival.ids)
    if still and surviving != arrival.key:
        adopts = (ADOPTS, msgspec.json.encode(still).decode())
        pass_on += (PassOn(surviving, ((PASSED_ON, arrival.key), adopts)),)
    return PersonFold(row.without(visits), stay_events, () if stay_events else (NOT_SUBJECT,), pass_on)


def _adopted(row: PersonRow, header: str) -> PersonRow:
    """The row with the visits of an `ADOPTS` header. One that is here already only learns its lane; twice is once."""
    try:
        visits = msgspec.json.decode(header, type=tuple[KnownVisit, ...])
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        raise Rejected(ADOPTS, "a header of the relay's own, of another form", "leave it out", "rejected") from None
    for visit in visits:
        here = row.visit_of(visit.local)
        known = visit if here is None else msgspec.structs.replace(here, lane=visit.lane, episode=visit.episode)
        row = row.with_visit(known)
    return row


Rule = Callable[[PersonRow, Reported, Arrival], PersonFold]

#: Kind of event -> its rule; every other kind is an event of one visit.
RULES: Final[dict[EventKind, Rule]] = {
    EventKind.IRRELEVANT: _no_stay,
    EventKind.PLANNED: _no_stay,
    EventKind.PLANNED_CANCELLED: _no_stay,
    EventKind.PERSON_CHANGED: _open_visits,
    EventKind.PERSON_MERGED: merged,
    EventKind.STAY_MOVED: moved,
    EventKind.DELETED: deleted,
}
