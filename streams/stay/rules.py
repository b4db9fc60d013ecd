"""The tables of a stay: which notice may follow which (spec 01 §11), what it shows (§10), what leads to it (§21.1).

A reviewer lays spec 01 beside this file. `notify` obeys `TRANSITIONS` and `CONTENT`; `fold` looks the action of an event
up in `DECISIONS`, where every pair of cause and situation has one.

A cause is a row of §21.1: `cause_of` reads the kind of an event together with class, disposition, death and hospital.
The field rules are those of spec 04: an empty class is the class last known for the stay (§3.1), a death is PID-30 or
the disposition (§4.1), the location register, else the last known place, decides what another hospital is (§4.1).
"""

from datetime import datetime
from enum import StrEnum
from typing import Final, Literal, NamedTuple

from streams.words.codes import Family, Notice
from streams.words.model import Disposition, EventClass, EventKind, StayEvent

from .state import Situation, StayState, Visit, hospital_of, situation

# ---- spec 01 §11: the state machine --------------------------------------------------------------------------------

S = StayState

#: Notice allowed in a state, and the state after it. `None`: the state before the message that is taken back.
#: RE_ and AN_ are further bound to the latest valid message: it must be of their own family (11, 13.3, 13.4).
TRANSITIONS: Final[dict[tuple[StayState, Notice], StayState | None]] = {
    # NONE: a start, or a death on arrival
    (S.NONE, Notice.STAA): S.ACUTE,
    (S.NONE, Notice.STIN): S.ADMITTED,
    (S.NONE, Notice.MORS): S.DEAD,
    # ACUTE: no leave, its codes are `*-inpatient`
    (S.ACUTE, Notice.STIN): S.ADMITTED,
    (S.ACUTE, Notice.SLHJ): S.CLOSED,
    (S.ACUTE, Notice.MORS): S.DEAD,
    (S.ACUTE, Notice.RE_STAA): S.ACUTE,
    (S.ACUTE, Notice.AN_STAA): S.VOID,
    # ADMITTED
    (S.ADMITTED, Notice.STOR): S.LEAVE,
    (S.ADMITTED, Notice.SLHJ): S.CLOSED,
    (S.ADMITTED, Notice.MORS): S.DEAD,
    (S.ADMITTED, Notice.STAA): S.ACUTE,
    (S.ADMITTED, Notice.RE_STIN): S.ADMITTED,
    (S.ADMITTED, Notice.RE_SLOR): S.ADMITTED,
    (S.ADMITTED, Notice.AN_SLOR): S.LEAVE,
    (S.ADMITTED, Notice.AN_STIN): S.VOID,
    # LEAVE
    (S.LEAVE, Notice.SLOR): S.ADMITTED,
    (S.LEAVE, Notice.SLHJ): S.CLOSED,
    (S.LEAVE, Notice.MORS): S.DEAD,
    (S.LEAVE, Notice.RE_STOR): S.LEAVE,
    (S.LEAVE, Notice.AN_STOR): S.ADMITTED,
    # CLOSED
    (S.CLOSED, Notice.RE_SLHJ): S.CLOSED,
    (S.CLOSED, Notice.AN_SLHJ): None,  # ACUTE or ADMITTED, never LEAVE (10.5)
    # DEAD
    (S.DEAD, Notice.RE_MORS): S.DEAD,
    (S.DEAD, Notice.AN_MORS): None,
    # VOID: nothing; the right registration begins a new chain (13.13)
}


# ---- spec 01 §10: what a notice shows beside class, status and period.start ----------------------------------------


class Content(NamedTuple):
    """Columns period.end and leavePeriod. `away`: the leave start, if the patient was on leave."""

    end: bool
    leave_start: Literal["no", "yes", "away"]
    leave_end: bool


_START: Final = Content(end=False, leave_start="no", leave_end=False)
_LEAVE: Final = Content(end=False, leave_start="yes", leave_end=False)
_RETURN: Final = Content(end=False, leave_start="yes", leave_end=True)
_DEATH: Final = Content(end=True, leave_start="away", leave_end=False)

CONTENT: Final[dict[Notice, Content]] = {
    Notice.STAA: _START,
    Notice.STIN: _START,
    Notice.STOR: _LEAVE,
    Notice.SLOR: _RETURN,
    Notice.SLHJ: Content(end=True, leave_start="away", leave_end=False),
    Notice.MORS: _DEATH,
    Notice.RE_STAA: _START,
    Notice.RE_STIN: _START,
    Notice.RE_STOR: _LEAVE,
    Notice.RE_SLOR: _RETURN,
    Notice.RE_SLHJ: Content(end=True, leave_start="no", leave_end=False),
    Notice.RE_MORS: _DEATH,
    Notice.AN_STAA: _START,  # repeats the cancelled content (10.2); the others show the stay as it is afterwards
    Notice.AN_STIN: _START,
    Notice.AN_STOR: _START,
    Notice.AN_SLOR: _LEAVE,
    Notice.AN_SLHJ: _START,
    Notice.AN_MORS: Content(end=False, leave_start="away", leave_end=False),
}


# ---- spec 01 §21.1: from an event to what is done ------------------------------------------------------------------


class Cause(StrEnum):
    """An event as the rows of 21.1 distinguish it: kind, class, disposition, death, hospital."""

    ADMIT = "admit"  # A01, class I
    ATTEND = "attend"  # A04, A01 class E
    PLAN = "plan"  # A04 and others, planned or other outpatient
    DEAD_ON_ARRIVAL = "dead-on-arrival"  # A01, A04 with death
    TO_INPATIENT = "to-inpatient"  # A06
    TO_ACUTE = "to-acute"  # A07, class E
    TO_OUTPATIENT = "to-outpatient"  # A07, class O: the patient leaves
    WARD = "ward"  # A02 within the hospital
    ELSEWHERE = "elsewhere"  # A02, A01, A06 at another hospital of the same patient system
    WARD_BACK = "ward-back"  # A12 within the hospital
    ELSEWHERE_BACK = "elsewhere-back"  # A12 of an A02 to another hospital
    HOME = "home"  # A03 that ends in SLHJ
    TRANSFER = "transfer"  # A03 without notice (§12)
    NO_END = "no-end"  # A03 with disposition 09 or 30 (04 §3.2)
    DIED = "died"  # A03 with death
    UPDATE = "update"  # A08
    PERSON = "person"  # A31
    UNSTART = "unstart"  # A11
    UNEND = "unend"  # A13
    LEAVE = "leave"  # A21 to the home
    LEAVE_SILENT = "leave-silent"  # A21 otherwise (11.6)
    RETURN = "return"  # A22
    UNLEAVE = "unleave"  # A52
    UNRETURN = "unreturn"  # A53
    DELETE = "delete"  # A23, A29
    MERGE = "merge"  # A40, A47, A18, A34, A44, A45, A50
    NOTHING = "nothing"  # what intake should not have sent


class Action(StrEnum):
    """What is done about a cause in a situation."""

    NONE = "-"  # state only, no message
    REFUSE = "refuse"  # error lane `not-allowed`
    WAIT = "wait"  # for a START (04 §4.5.2)
    REPEAT = "repeat"
    AGAIN = "again"  # a repeat, or a correction when its time differs (00 §2.6)
    START = "start"  # a new chain
    ARRIVAL = "arrival"  # a new chain that begins with MORS
    PLAN = "plan"
    LATE = "late"  # notify the START now if that is possible, then decide again
    FACTS = "facts"  # take facts of a pending start, then notify it if that is possible
    OVER = "over"  # a pending start needs no notice any more
    STIN = "STIN"
    STAA = "STAA"
    STOR = "STOR"
    SLHJ = "SLHJ"
    MORS = "MORS"
    BACK = "back"  # SLOR, or what a return means without one
    READMIT = "readmit"  # A01 while on leave: as A22
    SILENT = "silent"  # a leave without notice
    TRANSFER = "transfer"
    MOVE = "move"
    RESTORE = "restore"
    ELSEWHERE = "elsewhere"
    RETURNED = "returned"  # the other hospital's START is taken back
    UPDATE = "update"
    UNSTART = "unstart"
    UNEND = "unend"
    REOPEN = "reopen"
    UNLEAVE = "unleave"
    UNRETURN = "unreturn"
    DELETE = "delete"
    WITHDRAW = "withdraw"  # a pending start was wrong
    MERGE = "merge"
    PERSON = "person"  # another CPR, nothing sent yet


# Sources: 01 §21.1, rows in its order; "refuse" by §11, "wait" by 04 §4.5.2, "again" by 00 §2.6, "late" by 21.1 A40.
# A death without a START is notified at once: 21.1 names it a death on arrival, and 01 is above 04.
# VOID: the right registration begins a new chain (13.13), so what may begin one in NONE may do so here.
# GONE: the stay has left without notice; what begins again is a new attendance.
_TABLE: Final = """
cause            none     planned  pending   acute    admitted leave    gone     closed   dead     void
admit            start    start    start     STIN     again    readmit  start    refuse   refuse   start
attend           start    start    start     again    refuse   refuse   start    refuse   refuse   start
plan             plan     plan     -         -        -        -        -        -        -        -
dead-on-arrival  arrival  arrival  late      MORS     MORS     MORS     arrival  refuse   again    arrival
to-inpatient     start    start    late      STIN     repeat   refuse   refuse   refuse   refuse   start
to-acute         wait     start    late      repeat   STAA     refuse   refuse   refuse   refuse   refuse
to-outpatient    wait     -        over      SLHJ     SLHJ     SLHJ     -        repeat   refuse   refuse
ward             wait     move     move      move     move     move     move     move     move     -
elsewhere        start    start    elsewhere elsewhere elsewhere elsewhere elsewhere refuse refuse refuse
ward-back        wait     restore  restore   restore  restore  restore  restore  restore  restore  -
elsewhere-back   wait     -        returned  returned returned returned returned refuse   refuse   refuse
home             wait     -        over      SLHJ     SLHJ     SLHJ     SLHJ     again    refuse   refuse
transfer         wait     -        over      transfer transfer transfer repeat   refuse   refuse   refuse
no-end           -        -        -         -        -        -        -        -        -        -
died             arrival  arrival  late      MORS     MORS     MORS     MORS     refuse   again    refuse
update           wait     facts    facts     update   update   update   update   update   update   -
person           -        facts    facts     update   update   update   update   update   update   person
unstart          wait     withdraw withdraw  unstart  unstart  unstart  unstart  unstart  unstart  refuse
unend            wait     -        reopen    refuse   refuse   refuse   reopen   unend    unend    refuse
leave            wait     -        late      silent   STOR     again    refuse   refuse   refuse   refuse
leave-silent     wait     -        late      silent   silent   -        refuse   refuse   refuse   refuse
return           wait     -        late      back     back     back     refuse   refuse   refuse   refuse
unleave          wait     -        late      unleave  unleave  unleave  refuse   refuse   refuse   refuse
unreturn         wait     -        late      unreturn unreturn unreturn refuse   refuse   refuse   refuse
delete           -        withdraw withdraw  delete   delete   delete   delete   -        -        -
merge            -        person   person    merge    merge    merge    merge    merge    merge    person
nothing          -        -        -         -        -        -        -        -        -        -
"""


_HEADER, *_ROWS = (line.split() for line in _TABLE.strip().splitlines())
DECISIONS: Final = {
    (Cause(cause), Situation[name.upper()]): Action(action)
    for cause, *actions in _ROWS
    for name, action in zip(_HEADER[1:], actions, strict=True)
}

#: Spec 04 §3.2, last sentence, and 01 §12: what a disposition makes of an A03. An empty field means home.
ENDINGS: Final[dict[Disposition | None, Cause]] = {
    None: Cause.HOME,
    "home": Cause.HOME,
    "other-primary": Cause.HOME,
    "transfer-self": Cause.HOME,
    "unknown": Cause.HOME,
    "transfer-hospital": Cause.TRANSFER,
    "transfer-ward": Cause.TRANSFER,  # 04 §14.2: recorded, no notice
    "hospice": Cause.TRANSFER,
    "death": Cause.DIED,
    "ignore": Cause.NO_END,
}

#: 00 §2.6: the family that a repeated event corrects when its time differs.
AGAIN: Final[dict[Cause, Family]] = {
    Cause.ADMIT: Family.STIN,
    Cause.ATTEND: Family.STAA,
    Cause.HOME: Family.SLHJ,
    Cause.DIED: Family.MORS,
    Cause.DEAD_ON_ARRIVAL: Family.MORS,
    Cause.LEAVE: Family.STOR,
    Cause.RETURN: Family.SLOR,
}

#: Kinds whose time is a time of the stay (04 §4.2): they can be early (held, 01 7.6) or too late (04 §4.5.5).
TIMED: Final = frozenset(
    {
        EventKind.START,
        EventKind.CLASS_CHANGE,
        EventKind.MOVE,
        EventKind.END,
        EventKind.LEAVE_START,
        EventKind.LEAVE_END,
    }
)

#: A cancel takes back a future-dated event that is still held: neither is notified.
CANCELS: Final[dict[EventKind, EventKind]] = {
    EventKind.START_CANCELLED: EventKind.START,
    EventKind.END_CANCELLED: EventKind.END,
    EventKind.MOVE_CANCELLED: EventKind.MOVE,
    EventKind.LEAVE_START_CANCELLED: EventKind.LEAVE_START,
    EventKind.LEAVE_END_CANCELLED: EventKind.LEAVE_END,
}


# ---- spec 01 §21.1: from an event to its cause -----------------------------------------------------------------------

#: A patient is somewhere, notified or not: a place at another hospital is then a transfer within the visit.
_PRESENT: Final = frozenset({Situation.PENDING, Situation.ACUTE, Situation.ADMITTED, Situation.LEAVE, Situation.GONE})

#: The class that a trigger means when PV1-2 is empty and none is known for the stay.
_CLASS_OF_TRIGGER: Final[dict[str, EventClass]] = {"A01": "IMP", "A02": "IMP"}

#: Kinds with one cause.
_CAUSE_OF_KIND: Final[dict[EventKind, Cause]] = {
    EventKind.UPDATE: Cause.UPDATE,
    EventKind.START_CANCELLED: Cause.UNSTART,
    EventKind.END_CANCELLED: Cause.UNEND,
    EventKind.LEAVE_END: Cause.RETURN,
    EventKind.LEAVE_START_CANCELLED: Cause.UNLEAVE,
    EventKind.LEAVE_END_CANCELLED: Cause.UNRETURN,
    EventKind.DELETED: Cause.DELETE,
    EventKind.PERSON_MERGED: Cause.MERGE,
    EventKind.STAY_MOVED: Cause.MERGE,
    EventKind.PERSON_CHANGED: Cause.PERSON,
    EventKind.PLANNED: Cause.NOTHING,
    EventKind.PLANNED_CANCELLED: Cause.NOTHING,
    EventKind.IRRELEVANT: Cause.NOTHING,
}


def is_death(event: StayEvent) -> bool:
    """PID-30 = Y, or the disposition of a death (04 §4.1)."""
    return event.snapshot.dead is True or event.disposition == "death"


def event_time(event: StayEvent) -> datetime | None:
    """Time of a start or end: EVN-6, else PV1-44 or PV1-45; of a change, move or leave: EVN-6 (04 §4.2)."""
    if event.occurred is not None:
        return event.occurred
    if event.kind is EventKind.START:
        return event.snapshot.start_time
    return event.snapshot.end_time if event.kind is EventKind.END else None


def death_time(event: StayEvent) -> datetime | None:
    """Time of death: PID-29 with minutes, else PV1-45, else EVN-6 (04 §4.2)."""
    return event.snapshot.death_time or event.snapshot.end_time or event.occurred


def class_of(visit: Visit, event: StayEvent) -> EventClass:
    """Class of an event, "" when neither the message nor the stay nor the trigger has one. A06 is to inpatient."""
    if event.trigger == "A06":
        return "IMP"
    if event.class_:
        return event.class_
    stay = visit.stay
    if stay.sent:
        return stay.sent[-1].class_
    known = stay.pending.class_ if stay.pending else ""
    return known or _CLASS_OF_TRIGGER.get(event.trigger, "")


def cause_of(visit: Visit, event: StayEvent) -> Cause:
    """The row of 01 §21.1. An event about an attendance that is never notified is nothing while no stay is known."""
    kind, here, outpatient = event.kind, situation(visit.stay), event.planned or event.class_ == "OUTPATIENT"
    if here is Situation.NONE and kind is not EventKind.START:
        if event.trigger == "A17":
            return Cause.NOTHING  # a swap of beds is never notified (21.1) and announces no START
        if outpatient and kind is not EventKind.CLASS_CHANGE:
            return Cause.NOTHING
    unit, hospital = event.unit, visit.stay.hospital
    elsewhere = bool(unit and hospital and hospital_of(unit) != hospital)
    match kind:
        case EventKind.START:
            class_ = class_of(visit, event)
            if event.planned or class_ in ("OUTPATIENT", ""):
                return Cause.PLAN
            if is_death(event):
                return Cause.DEAD_ON_ARRIVAL
            if elsewhere and here in _PRESENT:
                return Cause.ELSEWHERE
            return Cause.ATTEND if class_ == "EMER" else Cause.ADMIT
        case EventKind.CLASS_CHANGE:
            class_ = class_of(visit, event)
            if class_ == "IMP":
                return Cause.ELSEWHERE if elsewhere and here in _PRESENT else Cause.TO_INPATIENT
            return Cause.TO_ACUTE if class_ == "EMER" else Cause.TO_OUTPATIENT
        case EventKind.MOVE:
            if here in (Situation.NONE, Situation.PLANNED):  # a first event may itself name the hospital before
                prior = event.prior_unit
                moved = bool(unit and prior and hospital_of(unit) != hospital_of(prior))
                elsewhere = not outpatient and (event.transfer is not None or moved)
            return Cause.ELSEWHERE if elsewhere else Cause.WARD
        case EventKind.MOVE_CANCELLED:
            # A12 takes back the last A02: when no ward has changed since, the one that brought the patient here.
            arrival = bool(visit.left) and not visit.stay.moves
            return Cause.ELSEWHERE_BACK if arrival or elsewhere else Cause.WARD_BACK
        case EventKind.END:
            return Cause.DIED if is_death(event) else ENDINGS[event.disposition]
        case EventKind.LEAVE_START:
            return Cause.LEAVE if event.leave_home else Cause.LEAVE_SILENT
        case _:
            return _CAUSE_OF_KIND[kind]
