"""What is remembered of a visit: the values that lie in the lane's row, and what can be read off them.

The state of a stay is never stored beside the messages: it *is* the stack of messages that still stand (spec 01,
13.12: "latest valid message"). A progress notice is put on top, a correction replaces the top, a cancellation takes
it off. So a correction, however late, cannot leave state and messages at odds.

A visit (one visit number of one patient system) may pass through several hospitals; each has its own stay, chain and
stack. Provenances are kept as short arrays with their senders by number: a chain of sixty fits in some ten kilobytes.

Times are whole seconds with the Danish offset fixed (7.2). A zone that looks its offset up would compare the two
hours of the October change by wall clock, which is the wrong order.

What decides the state machine: `rules`. What turns a stack into a message: `notify`.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from enum import StrEnum
from functools import cache, lru_cache
from typing import Literal

from streams.words.codes import EncounterClass, EncounterStatus, Family, Notice, Role
from streams.words.ids import EpisodeId, EventId, Kommunekode, Lane, MessageId
from streams.words.model import (
    EpisodeIdentifier,
    EventClass,
    Link,
    Notification,
    Outcome,
    Patient,
    Snapshot,
    StayEvent,
    Unit,
    Value,
)
from streams.words.times import COPENHAGEN

#: Control ids are unique per sender and intake knows 30 days of them (spec 04 §5.5); a stay remembers its last 256.
SEEN_LIMIT = 256
#: Half of an event id: 64 bits, enough to distinguish the events of one visit.
SEEN_LENGTH = 16
#: Ward moves that A12 can still take back.
MOVES_LIMIT = 8


class StayState(StrEnum):
    """The stay as the municipality knows it (spec 01 §11)."""

    NONE = "none"
    ACUTE = "acute"
    ADMITTED = "admitted"
    LEAVE = "leave"
    CLOSED = "closed"
    DEAD = "dead"
    VOID = "void"


#: The patient is at the hospital or on leave from it.
OPEN = (StayState.ACUTE, StayState.ADMITTED, StayState.LEAVE)


class Situation(StrEnum):
    """What decides about an event: the state of spec 01 §11, with NONE split up as 21.1 does."""

    NONE = "none"  # no START seen
    PLANNED = "planned"  # attendance that is never notified (11.10)
    PENDING = "untold"  # a stay to be notified, but CPR or municipality is still missing; the value is the word of dead letters
    ACUTE = "acute"
    ADMITTED = "admitted"
    LEAVE = "leave"
    GONE = "gone"  # notified, and left for another hospital without notice (§12)
    CLOSED = "closed"
    DEAD = "dead"
    VOID = "void"


class StayPolicy(Value, frozen=True, kw_only=True):
    """What a hospital may choose. Rows of `registry/policy.toml`."""

    leave_requires_report: bool = False  # 01, 11.7 (S.BR26): STOR/SLOR only where a report of admission was asked for
    send_re_slor: bool = True  # 01, 13.5 (S.BR21): MAY be omitted
    send_re_mors: bool = True  # 01, 13.5 (S.BR21): MAY be omitted
    death_on_arrival_status: EncounterStatus = "finished"  # 01, 10.3: `in-progress` for certification runs
    late_start_window: timedelta = timedelta(minutes=15)  # 04 §4.5.2
    too_late: timedelta = timedelta(hours=24)  # 04 §4.5.5
    same_time: timedelta = timedelta(minutes=1)  # 04 §4.3, 00 §2.6: a smaller difference is none
    keep_ended: timedelta = timedelta(days=30)  # 00 §2.7
    keep_silent: timedelta = timedelta(days=400)  # 00 §2.7: then an open stay is a case


class ChainStep(Value, frozen=True, array_like=True):
    """One Provenance of the chain as it lies in the row; `agent` counts in `Visit.units`."""

    message_id: MessageId
    provenance_id: str
    notice: Notice
    activity: str
    occurred: datetime
    role: Role
    previous: str
    agent: int


class Sent(Value, frozen=True, array_like=True):
    """One message that stands, corrections folded in (13.12)."""

    family: Family
    class_: EncounterClass
    time: datetime  # the time that this type is about (7.9): arrival, leave, return, departure, death
    activity: str  # of the latest correction: the current activity (9.1)
    message_id: MessageId  # of the latest correction: what the next one names (13.9)
    to: Kommunekode  # who got it, so who gets its correction (13.7)
    on_arrival: bool = False  # a death on arrival: the start below it was never a message of its own (§10)


class Pending(Value, frozen=True, kw_only=True):
    """A start without a message (yet), or one that never gets any (planned)."""

    class_: EventClass = ""
    start: datetime | None = None
    report: bool = True  # the flag of its START (§16)
    episode: tuple[EpisodeIdentifier, ...] = ()  # reused from the referring hospital (§12)
    planned: bool = False
    over: bool = False  # ended before any message


class Stay(Value, frozen=True, kw_only=True):
    """One physical presence at one hospital, in one chain."""

    hospital: str = ""
    unit: int = -1  # where the patient is, by `Visit.units`; -1: not known
    moves: tuple[int, ...] = ()  # wards left, latest last: what A12 restores
    episode: tuple[EpisodeIdentifier, ...] = ()
    chain: tuple[ChainStep, ...] = ()
    sent: tuple[Sent, ...] = ()
    pending: Pending | None = None
    report: bool = False  # the START of this chain asked for a report of admission
    away: Literal["", "out", "back"] = ""  # a leave without notice (11.6)
    gone: datetime | None = None  # when it left for another hospital or hospice, without notice (§12)


class Held(Value, frozen=True, kw_only=True):
    """An event that waits (00 §1.7): for its own time (01, 7.6), or for a START (04 §4.5.2)."""

    event: StayEvent
    due: datetime
    why: Literal["future", "start"]


class Visit(Value, frozen=True, kw_only=True):
    """All that is remembered of one visit; the lane's row holds one per `id`."""

    id: EpisodeId  # local id of the first chain
    lane: Lane
    feed: str
    number: str = ""  # PV1-19.1: later chains are minted from it (04 §8.3)
    patient: Patient | None = None
    residence: Kommunekode | None = None  # last seen: where the next progress notice goes (17.3)
    residence_problem: str = ""
    lpr3: str = ""
    units: tuple[Unit, ...] = ()
    stay: Stay = Stay()
    left: tuple[Stay, ...] = ()  # at hospitals that the patient was moved away from, oldest first
    chains: int = 0  # chains begun: the n of 04 §8.3
    snapshot: Snapshot = Snapshot()
    seen: tuple[str, ...] = ()
    held: tuple[Held, ...] = ()
    last: datetime | None = None  # latest event time taken: for `too-late`
    touched: datetime | None = None  # when an event was last taken
    ended: datetime | None = None  # when nothing was left open: for retention

    def __repr__(self) -> str:
        return f"Visit({self.id}, {situation(self.stay)})"


class StayFold(Value, frozen=True, kw_only=True):
    """What one record did to a visit.

    `released`: held events that were taken up again or dropped, each with its own outcome (WAITING once more when a
    future event came due before any START); the notifications of one are those with its `event_id`. `wake`: when the
    visit next wants to be woken.
    """

    visit: Visit | None
    notifications: tuple[Notification, ...] = ()
    outcome: Outcome
    released: tuple[tuple[EventId, Outcome], ...] = ()
    wake: datetime | None = None


_STATE_AFTER: dict[Family, StayState] = {
    Family.STAA: StayState.ACUTE,
    Family.STIN: StayState.ADMITTED,
    Family.STOR: StayState.LEAVE,
    Family.SLOR: StayState.ADMITTED,
    Family.SLHJ: StayState.CLOSED,
    Family.MORS: StayState.DEAD,
}

_SITUATION_AFTER: dict[Family, Situation] = {family: Situation(state.value) for family, state in _STATE_AFTER.items()}

STARTS = (Family.STAA, Family.STIN)

# Needed several times with every event; a member of an enum costs as much to find as a call.
_UNKNOWN, _WITHDRAWN = Situation.NONE, Situation.VOID
_NONE, _VOID = StayState.NONE, StayState.VOID

_fixed_offset = cache(timezone)


def stamp(at: datetime) -> datetime:
    """The instant in Danish time, whole seconds, its offset fixed so that instants compare as instants (7.2)."""
    # One message needs its times several times. Of fold=1 see `times.danish_text`.
    return _stamp(at) if at.fold else _kept_stamp(at)


def _stamp(at: datetime) -> datetime:
    offset = at.astimezone(COPENHAGEN).utcoffset() or timedelta()
    fixed = at.astimezone(_fixed_offset(offset))  # at a third of the cost of `replace(tzinfo=…)`
    return fixed.replace(microsecond=0) if fixed.microsecond else fixed


_kept_stamp = lru_cache(maxsize=1024)(_stamp)


def state_after(family: Family) -> StayState:
    """The state that a plain notice reports."""
    return _STATE_AFTER[family]


def hospital_of(unit: Unit) -> str:
    """SOR of the hospital that a unit belongs to; a unit without one stands for itself."""
    return unit.hospital or unit.sor


def state_of(sent: Sequence[Sent]) -> StayState:
    """The state after the messages that stand; an empty stack has none."""
    return _STATE_AFTER[sent[-1].family] if sent else StayState.NONE


def state(stay: Stay) -> StayState:
    """The state for the municipality (spec 01 §11). A chain of which nothing stands is void."""
    if stay.sent:
        return state_of(stay.sent)
    return _VOID if stay.chain else _NONE


def situation(stay: Stay) -> Situation:
    """The column of the decision table (`rules.DECISIONS`)."""
    if stay.pending is not None:
        return Situation.PLANNED if stay.pending.planned else Situation.PENDING
    if stay.sent:
        return Situation.GONE if stay.gone else _SITUATION_AFTER[stay.sent[-1].family]
    return _WITHDRAWN if stay.chain else _UNKNOWN


def start_of(sent: Sequence[Sent]) -> Sent:
    """The start that counts: the latest one, as a change of contact type begins a new Encounter (11.1)."""
    for one in reversed(sent):
        if one.family in STARTS:
            return one
    raise LookupError("no message of a stay stands without its start")


def links(visit: Visit, chain: Sequence[ChainStep]) -> tuple[Link, ...]:
    """The chain as Provenances with their senders in full (15.7)."""
    units = visit.units
    return tuple(
        [
            Link(
                message_id=s.message_id,
                provenance_id=s.provenance_id,
                notice=s.notice,
                activity=s.activity,
                occurred=s.occurred,
                role=s.role,
                previous=s.previous,
                agent=units[s.agent],
            )
            for s in chain
        ]
    )
