"""What intake knows of one person: under which key, in which row, and how the row follows what messages report.

The key (00 §2.1) is a keyed hash, so that it may stand in a topic. One person, one key, one partition, hence one order. A
person without an official CPR number is known by the id that the feed sends; a message without any person has its own key.

The row (00 §2.2; how long: §2.7) is that of table `persons`: residence, protection and name last seen, visits with their
lanes, recent control ids. A visit keeps the lane it began in, because all its events must meet there; that lane is
another hospital's when the stay came from there within the region.

A visit is open, ended, void or planned. That is bookkeeping for the next message (transfers, merges, retention), not the
state of the stay: the lane decides on that (spec 01 §11), and may refuse an event that is noted here.
"""

from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec

from streams.words.ids import EpisodeId, Ids, Kommunekode, Lane, PersonKey
from streams.words.model import Disposition, EventClass, EventKind, StayEvent, Value

#: Closed stays are known 30 days (00 §2.7): merges and late events still find their lane.
ENDED_FOR: Final = timedelta(days=30)
#: An open stay without any event for 400 days is given up (00 §2.7).
SILENT_FOR: Final = timedelta(days=400)
#: A control id belongs to one message for 7 days (spec 04 §5.5); after that another may have it.
UNIQUE_FOR: Final = timedelta(days=7)
#: The same bytes are known as a repeat for as long as a closed stay: after that the lane would find no new event in them,
#: although they are counted as one.
CONTROL_FOR: Final = ENDED_FOR

VisitState = Literal["open", "ended", "planned", "void"]

#: The state an event leaves; kinds without a row leave it as it is.
_STATES: Final[dict[EventKind, VisitState]] = {
    EventKind.START: "open",
    EventKind.CLASS_CHANGE: "open",
    EventKind.END: "ended",
    EventKind.END_CANCELLED: "open",
    EventKind.START_CANCELLED: "void",
    EventKind.DELETED: "void",
}

#: Events that may make a stay of a planned attendance (01, 21.1: A01, A04, A06).
_BEGINNINGS: Final = frozenset({EventKind.START, EventKind.CLASS_CHANGE})


# ---- what a message reports ---------------------------------------------------------------------------------------------


class Identity(msgspec.Struct, frozen=True, gc=False):
    """The identifiers of a person, each once, in the order found."""

    cprs: tuple[str, ...]  # official CPR numbers
    replacement: bool  # a replacement number stands where the CPR number would (spec 05 §2.2)
    local_ids: tuple[str, ...]  # other ids as "authority|id"


NO_IDENTITY: Final = Identity((), False, ())


class Reported(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An event of a stay as one message reports it (messages/adt), and what the message has of the person.

    A message may hold several: A40 a pair per PID/MRG, A17 two moves. `part` counts them from 0.
    """

    event: StayEvent
    part: int = 0
    who: Identity = NO_IDENTITY
    family: str = ""
    given: tuple[str, ...] = ()
    unprotected: bool = False  # PD1-12 is N: takes a mark back, where silence does not (spec 05 §5)
    retired: Identity = NO_IDENTITY  # MRG-1
    retired_visits: tuple[str, ...] = ()  # MRG-5

    def __repr__(self) -> str:
        return f"Reported({self.event}, part={self.part})"


# ---- the key -----------------------------------------------------------------------------------------------------------


def key_of(feed: str, who: Identity, control_id: str, ids: Ids) -> PersonKey:
    """Over the official CPR number, else over feed and first PID-3 id, else over feed and MSH-10."""
    if who.cprs:
        return ids.person(who.cprs[0])
    if who.local_ids:
        return _local(feed, who.local_ids[0], ids)
    return ids.person(feed, "", control_id)


def person_key(reported: Reported, ids: Ids) -> PersonKey:
    """The key of the person an event is about; after a merge, of the surviving one."""
    return key_of(reported.event.feed, reported.who, reported.event.control_id, ids)


def retired_keys(reported: Reported, ids: Ids) -> tuple[PersonKey, ...]:
    """Every other key that the retired identifiers of a merge may have had, in the order of MRG-1."""
    found = [ids.person(cpr) for cpr in reported.retired.cprs]
    found += [_local(reported.event.feed, identifier, ids) for identifier in reported.retired.local_ids]
    surviving = person_key(reported, ids)
    return tuple(key for key in dict.fromkeys(found) if key != surviving)


def _local(feed: str, identifier: str, ids: Ids) -> PersonKey:
    """By the id alone: MRG-1 often spells the authority of PID-3 differently."""
    return ids.person(feed, identifier.partition("|")[2])


# ---- the row -----------------------------------------------------------------------------------------------------------


class KnownVisit(Value, frozen=True, kw_only=True):
    """One visit number of one feed. `planned`: an attendance that is never notified (01, 11.10)."""

    local: EpisodeId  # local id of its first chain: names the visit in its lane
    episode: EpisodeId  # the id its notices carry: its own, or that of the stay it continues
    lane: Lane
    feed: str
    numbers: tuple[str, ...]  # PV1-19.1, newest last: A50 gives another one; none yet when taken over in a merge
    hospital: str = ""  # SOR of the hospital where the person last was
    region_code: str = ""
    class_: EventClass = ""
    state: VisitState = "open"
    disposition: Disposition | None = None
    ended_at: datetime | None = None  # event time
    closed_at: datetime | None = None  # when the end arrived
    last_at: datetime  # when its last event arrived
    on_arrival: bool = False  # ended by the death that its start reported


class Seen(Value, frozen=True, kw_only=True):
    """One control id and what came under it."""

    payload_hash: str
    at: datetime
    origin: str = ""  # topic/partition/offset of the record: the same one again is a repeat of ours, not the sender's


class PersonRow(Value, frozen=True, kw_only=True):
    """What intake remembers of one person key."""

    residence: Kommunekode | None = None
    protected: bool = False
    dead: bool = False
    family: str = ""
    given: tuple[str, ...] = ()
    visits: tuple[KnownVisit, ...] = ()
    controls: dict[str, Seen] = msgspec.field(default_factory=dict)  # "feed\0MSH-10"

    def __repr__(self) -> str:
        return f"PersonRow({len(self.visits)} visits)"

    def visit(self, feed: str, number: str) -> KnownVisit | None:
        """The visit of that number, the newest first."""
        for known in reversed(self.visits):
            if known.feed == feed and number in known.numbers:
                return known
        return None

    def visit_of(self, local: EpisodeId) -> KnownVisit | None:
        """The visit of that local id: one taken over from another key is not known by number."""
        return next((known for known in self.visits if known.local == local), None)

    def with_visit(self, visit: KnownVisit) -> "PersonRow":
        """The row with this visit in place of its older self."""
        if self.visits and visit.local in [known.local for known in self.visits]:
            visits = tuple([visit if known.local == visit.local else known for known in self.visits])
        else:
            visits = (*self.visits, visit)
        return msgspec.structs.replace(self, visits=visits)

    def without(self, gone: tuple[KnownVisit, ...]) -> "PersonRow":
        """The row without these visits."""
        return msgspec.structs.replace(self, visits=tuple(known for known in self.visits if known not in gone))


def new_visit(event: StayEvent, number: str, ids: Ids, at: datetime) -> KnownVisit:
    """A visit that is new to us, in the lane of its own local id."""
    local = ids.episode(event.feed, number)
    lane = ids.lane(local)
    return KnownVisit(local=local, episode=local, lane=lane, feed=event.feed, numbers=(number,), last_at=at)


def retained(row: PersonRow, at: datetime) -> PersonRow:
    """The row without what is too old at `at` (00 §2.7)."""
    if not row.visits and not row.controls:
        return row
    visits = tuple(
        [
            visit
            for visit in row.visits
            if (visit.state == "open" and at - visit.last_at <= SILENT_FOR)
            or (visit.state != "open" and at - (visit.closed_at or visit.last_at) <= ENDED_FOR)
        ]
    )
    controls = {name: seen for name, seen in row.controls.items() if at - seen.at <= CONTROL_FOR}
    if len(visits) == len(row.visits) and len(controls) == len(row.controls):
        return row
    return msgspec.structs.replace(row, visits=visits, controls=controls)


def learned(row: PersonRow, reported: Reported) -> PersonRow:
    """The row with what the message holds about the person; the rest stays as last seen (spec 04 §8.4)."""
    event, dead, named = reported.event, reported.event.snapshot.dead, bool(reported.family)
    elsewhere = bool(event.residence_problem)  # a place without a municipality: the old one is wrong
    return msgspec.structs.replace(
        row,
        residence=event.residence or (None if elsewhere else row.residence),
        protected=event.protected or (row.protected and not reported.unprotected),
        dead=row.dead if dead is None else dead,
        family=reported.family if named else row.family,
        given=reported.given if named else row.given,
    )


# ---- a visit after an event --------------------------------------------------------------------------------------------


def hospital_of(event: StayEvent) -> str:
    """SOR of the hospital that an event names; "" when the message does not name a place."""
    return "" if event.unit is None else event.unit.hospital or event.unit.sor


def is_never_notified(event: StayEvent, visit: KnownVisit | None) -> bool:
    """Whether the event belongs to a planned outpatient attendance, of which no lane needs to know (01, 11.10)."""
    if visit is not None and visit.state != "planned":
        return False
    if event.class_ in ("IMP", "EMER") or event.kind in _BEGINNINGS:
        return False
    return visit is not None or event.class_ == "OUTPATIENT"


def after(visit: KnownVisit, event: StayEvent, at: datetime) -> KnownVisit:
    """The visit after an event that arrived at `at`."""
    kind, unit, state, dead = event.kind, event.unit, _STATES.get(event.kind, visit.state), event.snapshot.dead
    if kind is EventKind.CLASS_CHANGE and event.class_ == "OUTPATIENT":
        state = "ended"  # A07: the patient leaves
    elif dead and kind not in (EventKind.START_CANCELLED, EventKind.DELETED, EventKind.END_CANCELLED):
        state = "ended"
    elif state == "planned" or (kind is EventKind.UPDATE and dead is False and visit.disposition == "death"):
        state = "open"  # a stay after all, or a death retracted
    disposition, ended_at, closed_at = visit.disposition, visit.ended_at, visit.closed_at
    if state != visit.state:
        disposition = ended_at = closed_at = None
        if state == "ended":
            disposition = "death" if dead else event.disposition or "home"
            ended_at, closed_at = event.occurred or event.recorded or at, at
    elif state == "ended" and kind in (EventKind.END, EventKind.UPDATE) and event.disposition is not None:
        disposition = "death" if dead else event.disposition
    return msgspec.structs.replace(
        visit,
        state=state,
        on_arrival=state == "ended" and (visit.on_arrival or (kind is EventKind.START and bool(dead))),
        last_at=at,
        class_=event.class_ or visit.class_,
        hospital=visit.hospital if unit is None else unit.hospital or unit.sor,
        region_code=visit.region_code if unit is None else unit.region_code,
        disposition=disposition,
        ended_at=ended_at,
        closed_at=closed_at,
    )
