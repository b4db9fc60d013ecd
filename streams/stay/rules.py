"""The tables of a stay: which notice may follow which (spec 01 §11), what it shows (§10), what leads to it (§21.1).

A reviewer lays spec 01 beside this file. Nothing here computes: `stay/notify` obeys `TRANSITIONS` and `CONTENT`,
`stay` looks the action of an event up in `DECISIONS`. Every pair of cause and situation is spoken for.
"""

from enum import StrEnum
from typing import Final, Literal, NamedTuple

from streams.words.codes import Family, Notice
from streams.words.model import Disposition, EventKind

from .state import Situation, StayState

__all__ = [
    "AGAIN",
    "CANCELS",
    "CONTENT",
    "DECISIONS",
    "ENDINGS",
    "START_SHOWN",
    "TELLS_TIME",
    "TRANSITIONS",
    "Action",
    "Cause",
    "Content",
]

# ---- spec 01 §11: the state machine --------------------------------------------------------------------------------

#: Notice allowed in a state, and the state after it. `None`: the state before the message that is taken back.
#: RE_ and AN_ are further bound to the latest valid message: it must be of their own family (11, 13.3, 13.4).
TRANSITIONS: Final[dict[tuple[StayState, Notice], StayState | None]] = {
    # NONE: a start, or a death on arrival
    (StayState.NONE, Notice.STAA): StayState.ACUTE,
    (StayState.NONE, Notice.STIN): StayState.ADMITTED,
    (StayState.NONE, Notice.MORS): StayState.DEAD,
    # ACUTE: no leave, its codes are `*-inpatient`
    (StayState.ACUTE, Notice.STIN): StayState.ADMITTED,
    (StayState.ACUTE, Notice.SLHJ): StayState.CLOSED,
    (StayState.ACUTE, Notice.MORS): StayState.DEAD,
    (StayState.ACUTE, Notice.RE_STAA): StayState.ACUTE,
    (StayState.ACUTE, Notice.AN_STAA): StayState.VOID,
    # ADMITTED
    (StayState.ADMITTED, Notice.STOR): StayState.LEAVE,
    (StayState.ADMITTED, Notice.SLHJ): StayState.CLOSED,
    (StayState.ADMITTED, Notice.MORS): StayState.DEAD,
    (StayState.ADMITTED, Notice.STAA): StayState.ACUTE,
    (StayState.ADMITTED, Notice.RE_STIN): StayState.ADMITTED,
    (StayState.ADMITTED, Notice.RE_SLOR): StayState.ADMITTED,
    (StayState.ADMITTED, Notice.AN_SLOR): StayState.LEAVE,
    (StayState.ADMITTED, Notice.AN_STIN): StayState.VOID,
    # LEAVE
    (StayState.LEAVE, Notice.SLOR): StayState.ADMITTED,
    (StayState.LEAVE, Notice.SLHJ): StayState.CLOSED,
    (StayState.LEAVE, Notice.MORS): StayState.DEAD,
    (StayState.LEAVE, Notice.RE_STOR): StayState.LEAVE,
    (StayState.LEAVE, Notice.AN_STOR): StayState.ADMITTED,
    # CLOSED
    (StayState.CLOSED, Notice.RE_SLHJ): StayState.CLOSED,
    (StayState.CLOSED, Notice.AN_SLHJ): None,  # ACUTE or ADMITTED, never LEAVE (10.5)
    # DEAD
    (StayState.DEAD, Notice.RE_MORS): StayState.DEAD,
    (StayState.DEAD, Notice.AN_MORS): None,
    # VOID: nothing; the right registration begins a new chain (13.13)
}


# ---- spec 01 §10: what a notice shows beside class, status and period.start ----------------------------------------


class Content(NamedTuple):
    """Columns period.end and leavePeriod. `away`: the leave start, if the patient was on leave."""

    end: bool
    leave_start: Literal["no", "yes", "away"]
    leave_end: bool


START_SHOWN: Final = Content(end=False, leave_start="no", leave_end=False)
_LEAVE: Final = Content(end=False, leave_start="yes", leave_end=False)
_RETURN: Final = Content(end=False, leave_start="yes", leave_end=True)
_DEATH: Final = Content(end=True, leave_start="away", leave_end=False)

CONTENT: Final[dict[Notice, Content]] = {
    Notice.STAA: START_SHOWN,
    Notice.STIN: START_SHOWN,
    Notice.STOR: _LEAVE,
    Notice.SLOR: _RETURN,
    Notice.SLHJ: Content(end=True, leave_start="away", leave_end=False),
    Notice.MORS: _DEATH,
    Notice.RE_STAA: START_SHOWN,
    Notice.RE_STIN: START_SHOWN,
    Notice.RE_STOR: _LEAVE,
    Notice.RE_SLOR: _RETURN,
    Notice.RE_SLHJ: Content(end=True, leave_start="no", leave_end=False),
    Notice.RE_MORS: _DEATH,
    Notice.AN_STAA: START_SHOWN,  # repeats the cancelled content (10.2); the others show the stay as it is afterwards
    Notice.AN_STIN: START_SHOWN,
    Notice.AN_STOR: START_SHOWN,
    Notice.AN_SLOR: _LEAVE,
    Notice.AN_SLHJ: START_SHOWN,
    Notice.AN_MORS: Content(end=False, leave_start="away", leave_end=False),
}


# ---- spec 01 §21.1: from an event to what is done ------------------------------------------------------------------


class Cause(StrEnum):
    """An event as the rows of 21.1 tell it apart: kind, class, disposition, death, hospital."""

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
    LATE = "late"  # tell the START now if it can be told, then decide anew
    FACTS = "facts"  # take facts of a start not told, then tell it if it can be told
    OVER = "over"  # a start not told needs no telling any more
    STIN = "STIN"
    STAA = "STAA"
    STOR = "STOR"
    SLHJ = "SLHJ"
    MORS = "MORS"
    BACK = "back"  # SLOR, or what a return means without one
    READMIT = "readmit"  # A01 while on leave: as A22
    SILENT = "silent"  # a leave that is not told
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
    WITHDRAW = "withdraw"  # a start not told was wrong
    MERGE = "merge"
    PERSON = "person"  # another CPR, nothing told yet


# Sources: 01 §21.1, rows in its order; "refuse" by §11, "wait" by 04 §4.5.2, "again" by 00 §2.6, "late" by 21.1 A40.
# A death without a START is told at once: 21.1 names it a death on arrival, and 01 is above 04.
# VOID: the right registration begins a new chain (13.13), so what may begin one in NONE may do so here.
# GONE: the stay has left without notice; what begins again is a new attendance.
_TABLE: Final = """
cause            none     planned  untold    acute    admitted leave    gone     closed   dead     void
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


def _decisions(table: str) -> dict[tuple[Cause, Situation], Action]:
    header, *rows = (line.split() for line in table.strip().splitlines())
    situations = [Situation(name) for name in header[1:]]
    return {
        (Cause(cause), situation): Action(action)
        for cause, *actions in rows
        for situation, action in zip(situations, actions, strict=True)
    }


DECISIONS: Final = _decisions(_TABLE)

#: Spec 04 §3.2, last sentence, and 01 §12: what a disposition makes of an A03. An empty field means home.
ENDINGS: Final[dict[Disposition | None, Cause]] = {
    None: Cause.HOME,
    "home": Cause.HOME,
    "other-primary": Cause.HOME,
    "transfer-self": Cause.HOME,
    "unknown": Cause.HOME,
    "transfer-hospital": Cause.TRANSFER,
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
TELLS_TIME: Final = frozenset(
    {
        EventKind.START,
        EventKind.CLASS_CHANGE,
        EventKind.MOVE,
        EventKind.END,
        EventKind.LEAVE_START,
        EventKind.LEAVE_END,
    }
)

#: A cancel takes back a future-dated event that is still held: nothing was told, so nothing is.
CANCELS: Final[dict[EventKind, EventKind]] = {
    EventKind.START_CANCELLED: EventKind.START,
    EventKind.END_CANCELLED: EventKind.END,
    EventKind.MOVE_CANCELLED: EventKind.MOVE,
    EventKind.LEAVE_START_CANCELLED: EventKind.LEAVE_START,
    EventKind.LEAVE_END_CANCELLED: EventKind.LEAVE_END,
}
