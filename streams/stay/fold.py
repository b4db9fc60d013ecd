"""A hospital stay: what its events mean, and what the municipality is told of them (spec 01 §§8-16, 21).

Theory of operation. `fold` takes the visit as it lies in the lane's row and one event, and gives the visit after it,
the notifications that follow, and what became of the event. It looks the event up in two tables: which row of 21.1 is
it (`stay/cause`), and what is done about that in the present situation (`stay/rules.DECISIONS`). Whatever is to be
said goes through `stay/notify.tell`, which refuses what the state machine of §11 does not allow.

An event is taken whole or not at all: if one of its messages is refused, none is sent and the visit stays as it was,
but for the id of the event and what it says of the person (name, residence), which may complete a start not told yet.

Events that cannot be taken yet are held with the visit (00 §1.7): future-dated ones until their time (01, 7.6), those
that need a START for `late_start_window` (04 §4.5.2). `wake` takes up what is due; a START takes up what waits for it.

Decisions where the specification leaves room:

- A stay that could not be told (no official CPR, no municipality) is remembered. Its START follows with its true
  period.start as soon as an event brings what was missing, the end at home included; if the stay ends before that,
  nothing is told, except a death, which is told after its START.
- After a merge of a stay that has ended only the unwinding is sent: a start alone would be false.
- An A08 that changes how a stay ended (disposition) takes the old ending back and tells the new one.

Not here: municipality addresses (`route`), bytes (`messages`), receipts (`delivery`), which person and lane an event
belongs to (`person`).
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from streams.words.codes import Family
from streams.words.ids import Ids
from streams.words.model import EventKind, Fate, Outcome, Snapshot, StayEvent

from . import acts
from . import cancel as cancels
from . import correct as corrections
from . import merge as persons
from .cause import cause_of, death_time, event_time
from .correct import REPEAT
from .hold import HELD, hold, next_wake, not_before, takes_back_held, wait
from .notify import NO_CPR, Draft, Refused, unit_index
from .rules import AGAIN, DECISIONS, TELLS_TIME, Action, Cause
from .state import (
    SEEN_LENGTH,
    SEEN_LIMIT,
    Held,
    Situation,
    StayFold,
    StayPolicy,
    StayState,
    Visit,
    hospital_of,
    situation,
    state,
)

__all__ = ["StayFold", "StayPolicy", "StayState", "Visit", "abandoned", "fold", "forget", "state", "wake"]

_NOT_TOLD: Final = Outcome(fate=Fate.NOT_SUBJECT)
_DUPLICATE: Final = Outcome(fate=Fate.DUPLICATE, reason="duplicate")
_CONVERTED: Final = Outcome(fate=Fate.CONVERTED)
_NO_START: Final = Outcome(
    fate=Fate.STOPPED,
    reason="no-start",
    path="PV1-19",
    problem="no START of this stay arrived within the waiting time (04 §4.5.2)",
    remedy="send the A01 or A04 of the stay, then this event again with a new MSH-10",
)
_TOO_LATE: Final = Outcome(
    fate=Fate.STOPPED,
    reason="too-late",
    path="EVN-6",
    problem="the event is older than the last event of the stay by more than the limit (04 §4.5.5)",
    remedy="decide by hand",
)

#: Nothing stands and nothing waits to be told: the person of the event is the person of the stay.
_NOTHING_STANDS: Final = frozenset({Situation.NONE, Situation.PLANNED, Situation.UNTOLD, Situation.VOID})
_ENDED: Final = frozenset({Situation.GONE, Situation.CLOSED, Situation.DEAD, Situation.VOID})
#: These may carry another CPR beside a merge (21.1, 04 §4.3).
_MAY_CHANGE_PERSON: Final = frozenset({Cause.UPDATE, Cause.PERSON})
#: Moves place the patient themselves.
_PLACES: Final = frozenset({EventKind.MOVE, EventKind.MOVE_CANCELLED})


def fold(
    visit: Visit | None,
    event: StayEvent,
    *,
    at: datetime,
    ids: Ids,
    policy: StayPolicy,
    ordinal: int,
    origin: Visit | None = None,
) -> StayFold:
    """The visit after one event, and what is to be told.

    `visit` is the row's value under `event.visit`, `origin` the one under `event.transfer.visit` when the lane has it.
    `at` is now (00 §1.1). `ordinal` counts the messages that the lane has sent so far: the first new one takes it.
    Never raises for any order of events. An event that was folded before gives DUPLICATE and nothing else.
    """
    own = event.id[:SEEN_LENGTH]
    if visit is None:
        number, seen = event.visit_number, (own,)
        known = Visit(id=event.visit, lane=event.lane, feed=event.feed, number=number, seen=seen, touched=at)
    elif own in visit.seen:
        return StayFold(visit=visit, outcome=_DUPLICATE, wake=next_wake(visit))
    else:
        known = replace(visit, seen=(*visit.seen, own)[-SEEN_LIMIT:], touched=at)
    draft = Draft(known, _in_its_hour(known, event), Cause.NOTHING, at, ids, policy, ordinal, origin)
    outcome = _arrive(draft)
    if draft.visit.held:
        _release(draft)
    return _folded(draft, outcome, keep=visit is not None)


def wake(visit: Visit, *, at: datetime, ids: Ids, policy: StayPolicy, ordinal: int) -> StayFold:
    """Take up the held events that are due at `at`, earliest first; each has its outcome in `released`.

    `outcome` says only whether anything was told. Nothing due: nothing changes.
    """
    due = sorted((h for h in visit.held if h.due <= at), key=lambda h: h.due)
    if not due:
        return StayFold(visit=visit, outcome=_NOT_TOLD, wake=next_wake(visit))
    draft = Draft(visit, due[0].event, Cause.NOTHING, at, ids, policy, ordinal)
    for held in due:
        if held in draft.visit.held:  # else a START before it has taken it up
            _take_up(draft, held)
            _release(draft)
    return _folded(draft, _CONVERTED if draft.notes else _NOT_TOLD, keep=True)


def forget(visit: Visit, at: datetime, policy: StayPolicy | None = None) -> bool:
    """Whether the visit may leave the table at `at`: ended 30 days ago, or never a stay (00 §2.7)."""
    policy = policy or StayPolicy()
    if visit.held:
        return False
    if visit.ended is not None:
        return at - visit.ended >= policy.keep_ended
    never = situation(visit.stay) in (Situation.NONE, Situation.PLANNED)
    return never and visit.touched is not None and at - visit.touched >= policy.keep_ended


def abandoned(visit: Visit, at: datetime, policy: StayPolicy | None = None) -> bool:
    """Whether an open stay has been silent for 400 days, so that it is closed into a case (00 §2.7)."""
    policy = policy or StayPolicy()
    quiet = visit.touched is not None and at - visit.touched >= policy.keep_silent
    return quiet and visit.ended is None


# ---- one event -------------------------------------------------------------------------------------------------------


def _arrive(draft: Draft) -> Outcome:
    """Hold it, or take it."""
    event, visit = draft.event, draft.visit
    if visit.held and takes_back_held(draft):
        return _NOT_TOLD
    due = not_before(visit, event)
    if due is not None and due > draft.at:
        return hold(draft, Held(event=event, due=due, why="future"))
    return _take(draft)


def _take(draft: Draft) -> Outcome:
    """Take one event whole, or not at all."""
    event, told, ordinal = draft.event, len(draft.notes), draft.ordinal
    if _is_too_late(draft):
        return _TOO_LATE
    draft.cause = cause_of(draft.visit, event)
    learned = _learn_person(draft.visit, draft.event)
    draft.visit = learned
    try:
        _check_person(draft)
        _learn_unit(draft)
        outcome = _decide(draft)
    except Refused as refused:
        draft.visit, draft.ordinal = learned, ordinal
        del draft.notes[told:]
        return refused.outcome
    if outcome is HELD:
        return HELD
    draft.visit = _remember(draft.visit, event)
    return _CONVERTED if len(draft.notes) > told else outcome or _why_nothing(draft)


def _why_nothing(draft: Draft) -> Outcome:
    """State only; of a stay that waits for a CPR number, that is the reason."""
    waits = draft.visit.patient is None and situation(draft.stay) is Situation.UNTOLD
    return NO_CPR if waits else _NOT_TOLD


def _decide(draft: Draft) -> Outcome | None:
    """Ask the table, once more when the action has told a late START."""
    outcome: Outcome | None = acts.ANEW
    while outcome is acts.ANEW:
        action = DECISIONS[draft.cause, situation(draft.visit.stay)]
        outcome = _ACTIONS[action](draft)
    return outcome


def _in_its_hour(visit: Visit, event: StayEvent) -> StayEvent:
    """Of a local hour that comes twice the second one, when the first would be before the predecessor (01, 7.7)."""
    again, last = event.occurred_again, visit.last
    if again is None or last is None or event.occurred is None or event.occurred >= last:
        return event
    return replace(event, occurred=again, occurred_again=None)


def _is_too_late(draft: Draft) -> bool:
    """04 §4.5.5. A stay of which nothing stands has no last event."""
    event, last = draft.event, draft.visit.last
    if last is None or event.occurred is None or event.kind not in TELLS_TIME:
        return False
    return state(draft.stay) is not StayState.VOID and last - event.occurred > draft.policy.too_late


# ---- what an event says beside its kind ----------------------------------------------------------------------------


def _learn_person(visit: Visit, event: StayEvent) -> Visit:
    """Name, residence and LPR3 id, silently (13.10, 17.3). Another CPR only where nothing stands (13.14)."""
    old, new = visit.patient, event.patient
    other = old is not None and new is not None and old.cpr != new.cpr
    if other and (visit.left or situation(visit.stay) not in _NOTHING_STANDS):
        return visit
    told_place = event.residence is not None or event.residence_problem != "" or other
    return replace(
        visit,
        patient=new or old,
        residence=event.residence if told_place else visit.residence,
        residence_problem=event.residence_problem if told_place else visit.residence_problem,
        lpr3=event.lpr3 or visit.lpr3,
        number=visit.number or event.visit_number,
    )


def _check_person(draft: Draft) -> None:
    """Another CPR comes by a merge, or by an A08 where the feed allows it (04 §4.3); else it is a contradiction."""
    event, old, new = draft.event, draft.visit.patient, draft.event.patient
    if not (old and new and old.cpr != new.cpr) or draft.cause is Cause.MERGE:
        return
    if draft.cause not in _MAY_CHANGE_PERSON or not event.allow_person_change:
        raise Refused("not-allowed", "the event is about another person than the stay", "send a merge first", "PID-3")


def _learn_unit(draft: Draft) -> None:
    """The unit an event names is where the patient is (§12: later messages show it), within the hospital."""
    event, stay = draft.event, draft.visit.stay
    if event.unit is None or event.kind in _PLACES or hospital_of(event.unit) != stay.hospital:
        return
    unit = unit_index(draft, event.unit)
    if unit != stay.unit:
        draft.set_stay(replace(stay, unit=unit))


def _remember(visit: Visit, event: StayEvent) -> Visit:
    """The last message's fields (04 §4.3: absence is no change, HL7 null is one), and how late it is."""
    last = visit.last
    if event.kind in TELLS_TIME and event.occurred is not None:
        last = event.occurred if last is None else max(last, event.occurred)
    old, new = visit.snapshot, event.snapshot
    if not new.deleted and old == _NO_SNAPSHOT:
        return replace(visit, snapshot=new, last=last)
    values = {name: value for name in _FACTS if (value := getattr(new, name)) not in (None, "", ())}
    for name in new.deleted:
        if name in _SNAPSHOT:
            values[name] = _EMPTY.get(name)
    return replace(visit, snapshot=replace(old, **values), last=last)


_NO_SNAPSHOT: Final = Snapshot()
_SNAPSHOT: Final = Snapshot.__struct_fields__
_FACTS: Final = tuple(name for name in _SNAPSHOT if name != "deleted")
_EMPTY: Final = {"class_": "", "deleted": ()}


# ---- held events -----------------------------------------------------------------------------------------------------


def _release(draft: Draft) -> None:
    """After a START: take up what has waited for it, in order of arrival."""
    for held in draft.visit.held:
        if held.why == "start" and situation(draft.stay) is not Situation.NONE:
            _take_up(draft, held)


def _take_up(draft: Draft, held: Held) -> None:
    draft.visit = replace(draft.visit, held=tuple(h for h in draft.visit.held if h is not held))
    draft.event = held.event
    unmet = held.why == "start" and situation(draft.stay) is Situation.NONE
    draft.released.append((held.event.id, _NO_START if unmet else _take(draft)))


# ---- the result ------------------------------------------------------------------------------------------------------


def _folded(draft: Draft, outcome: Outcome, *, keep: bool) -> StayFold:
    visit = draft.visit
    here, untold = situation(visit.stay), visit.stay.untold
    ended = (visit.ended or draft.at) if here in _ENDED or (untold and untold.over) else None
    known = keep or visit.held or here is not Situation.NONE
    if ended is not visit.ended:
        visit = replace(visit, ended=ended)
    return StayFold(
        visit=visit if known else None,
        notifications=tuple(draft.notes),
        outcome=outcome,
        released=tuple(draft.released),
        wake=next_wake(visit),
    )


def _none(draft: Draft) -> Outcome | None:
    return None


def _repeat(draft: Draft) -> Outcome | None:
    return REPEAT


def _refuse(draft: Draft) -> Outcome | None:
    here = situation(draft.stay)
    raise Refused(
        "not-allowed", f"{draft.cause} is not allowed in state {here}", "decide by hand: spec 01 §11", "EVN-1"
    )


def _again(draft: Draft) -> Outcome | None:
    family = AGAIN[draft.cause]
    if family is not Family.MORS:
        return corrections.again(draft, family, event_time(draft.event))
    # A known PID-29 is not overruled by the discharge time of a later message that lacks it.
    exact = draft.event.snapshot.death_time or draft.visit.snapshot.death_time
    return corrections.again(draft, family, exact or death_time(draft.event))


_ACTIONS: Final[dict[Action, Callable[[Draft], Outcome | None]]] = {
    Action.NONE: _none,
    Action.REFUSE: _refuse,
    Action.WAIT: wait,
    Action.REPEAT: _repeat,
    Action.AGAIN: _again,
    Action.START: acts.start,
    Action.ARRIVAL: acts.arrival,
    Action.PLAN: acts.plan,
    Action.LATE: acts.late,
    Action.FACTS: acts.facts,
    Action.OVER: acts.over,
    Action.STIN: acts.to_inpatient,
    Action.STAA: acts.to_acute,
    Action.STOR: acts.leave,
    Action.SLHJ: acts.end,
    Action.MORS: acts.died,
    Action.BACK: acts.back,
    Action.READMIT: acts.readmit,
    Action.SILENT: acts.silent,
    Action.TRANSFER: acts.transfer,
    Action.MOVE: acts.move,
    Action.RESTORE: acts.restore,
    Action.ELSEWHERE: acts.elsewhere,
    Action.RETURNED: cancels.returned,
    Action.UPDATE: corrections.update,
    Action.UNSTART: cancels.unstart,
    Action.UNEND: cancels.unend,
    Action.REOPEN: cancels.reopen,
    Action.UNLEAVE: cancels.unleave,
    Action.UNRETURN: cancels.unreturn,
    Action.DELETE: cancels.delete,
    Action.WITHDRAW: cancels.withdraw,
    Action.MERGE: persons.merge,
    Action.PERSON: persons.person,
}
