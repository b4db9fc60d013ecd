"""A hospital stay: what its events mean, and which notices the municipality gets (spec 01 §§8-16, 21).

Theory of operation. `fold` takes the visit as it lies in the lane's row and one event, and gives the visit after it,
the notifications that follow, and what became of the event. It looks the event up in two tables: which row of 21.1 is
it (`rules.cause_of`), and what is done about that in the present situation (`rules.DECISIONS`). Every message goes
through `notify`, which refuses what the state machine of §11 does not allow.

An event is taken whole or not at all: if one of its messages is refused, none is sent and the visit stays as it was,
but for the id of the event and what it holds about the person (name, residence), which may complete a pending start.

Events that cannot be taken yet are held with the visit (00 §1.7). A registration dated in the future means nothing
before it has happened (01, 7.6); its cancel takes it back as if it had never been. An event that needs a START waits
`late_start_window` for it (04 §4.5.2), and longer while the START itself is held. The lane's timer wakes the visit:
`wake` takes up what is due; a START takes up what waits for it.

Decisions where the specification leaves room:

- A stay that cannot be notified (no official CPR, no municipality) is remembered as pending. Its START follows with its
  true period.start as soon as an event brings what is missing, the end at home included; if the stay ends before that,
  no message is sent, except for a death, which follows its START.
- After a merge of a stay that has ended only the unwinding is sent: a start alone would be false.
- An A08 that changes how a stay ended (disposition) takes the old ending back and notifies the new one.

Not here: municipality addresses (`route`), bytes (`messages`), receipts (`delivery`), which person and lane an event
belongs to (`person`).
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from streams.words.ids import Ids
from streams.words.model import EventKind, Fate, Outcome, Snapshot, StayEvent

from . import acts, correct
from .adopt import TAKEN_OVER, take_over
from .notify import NO_CPR, Draft, NotificationRefused, unit_index
from .rules import CANCELS, DECISIONS, TIMED, Action, Cause, cause_of, death_time, event_time, is_death
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

_NO_NOTICE: Final = Outcome(fate=Fate.NOT_SUBJECT)
_HELD: Final = Outcome(fate=Fate.WAITING, reason="held")
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
_OTHER_PERSON: Final = Outcome(
    fate=Fate.STOPPED,
    reason="not-allowed",
    path="PID-3",
    problem="the event is about another person than the stay",
    remedy="send a merge first",
)
#: Events of one visit that wait; each takes its place in the row of the lane.
_MOST_HELD: Final = 64
_TOO_MANY: Final = Outcome(
    fate=Fate.STOPPED,
    reason="too-many-held",
    path="event",
    problem=f"{_MOST_HELD} events of this visit wait for their time or their start already",
    remedy="send the start, or each event once it has happened; then this one once more under a new MSH-10",
)

#: Nothing stands: the person of the event is the person of the stay.
_NOTHING_STANDS: Final = frozenset({Situation.NONE, Situation.PLANNED, Situation.PENDING, Situation.VOID})
_ENDED: Final = frozenset({Situation.GONE, Situation.CLOSED, Situation.DEAD, Situation.VOID})
#: These may carry another CPR beside a merge (21.1, 04 §4.3).
_MAY_CHANGE_PERSON: Final = frozenset({Cause.UPDATE, Cause.PERSON})
#: Moves place the patient themselves.
_PLACES: Final = frozenset({EventKind.MOVE, EventKind.MOVE_CANCELLED})
#: A stay starts and ends once: a new registration replaces one that is held for its time.
_ONCE: Final = frozenset({EventKind.START, EventKind.END})


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
    """The visit after one event, and the notifications.

    `visit` is the row's value under `event.visit`, `origin` the one under `event.transfer.visit` when the lane has it.
    `at` is now (00 §1.1). `ordinal` counts the messages that the lane has sent so far: the first new one takes it.
    Never raises for any order of events. An event that was folded before gives DUPLICATE and nothing else.
    """
    own = event.id[:SEEN_LENGTH]
    if visit is None:
        number, seen = event.visit_number, (own,)
        known = Visit(id=event.visit, lane=event.lane, feed=event.feed, number=number, seen=seen, touched=at)
    elif own in visit.seen:
        return StayFold(visit=visit, outcome=_DUPLICATE, wake=_next_wake(visit))
    else:
        known = replace(visit, seen=(*visit.seen, own)[-SEEN_LIMIT:], touched=at)
    last, occurred = known.last, event.occurred
    if event.occurred_again is not None and last is not None and occurred is not None and occurred < last:
        # Of a local hour that comes twice the second one, when the first is before the predecessor (01, 7.7).
        event = replace(event, occurred=event.occurred_again, occurred_again=None)
    draft = Draft(known, event, Cause.NOTHING, at, ids, policy, ordinal, origin)
    if event.prior is not None:
        outcome = take_over(draft, event.prior)
        if outcome is TAKEN_OVER:
            draft.visit = _remember(draft.visit, event)
    elif known.held and _takes_back_held(draft):
        outcome = _NO_NOTICE
    elif (due := _not_before(draft.visit, event)) is not None and due > at:
        outcome = _hold(draft, Held(event=event, due=due, why="future"))
    else:
        outcome = _take(draft)
    _release(draft)
    return _folded(draft, outcome, keep=visit is not None)


def wake(visit: Visit, *, at: datetime, ids: Ids, policy: StayPolicy, ordinal: int) -> StayFold:
    """Take up the held events that are due at `at`, earliest first; each has its outcome in `released`.

    `outcome` shows only whether anything was sent. Nothing due: nothing changes.
    """
    due = sorted((held for held in visit.held if held.due <= at), key=lambda held: held.due)
    if not due:
        return StayFold(visit=visit, outcome=_NO_NOTICE, wake=_next_wake(visit))
    draft = Draft(visit, due[0].event, Cause.NOTHING, at, ids, policy, ordinal)
    for held in due:
        if held in draft.visit.held:  # else a START before it has taken it up
            _take_up(draft, held)
            _release(draft)
    return _folded(draft, _CONVERTED if draft.notes else _NO_NOTICE, keep=True)


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


def _take(draft: Draft) -> Outcome:
    """Take one event whole, or not at all."""
    event, visit, sent, ordinal = draft.event, draft.visit, len(draft.notes), draft.ordinal
    time = event.occurred if event.kind in TIMED else None
    last = visit.last if state(visit.stay) is not StayState.VOID else None  # where nothing stands, no event is the last
    if time is not None and last is not None and last - time > draft.policy.too_late:
        return _TOO_LATE
    draft.cause = cause_of(visit, event)
    learned = draft.visit = _learn_person(visit, event)
    # Another CPR comes by a merge, or by an A08 where the feed allows it (04 §4.3); else it is a contradiction.
    allowed = draft.cause is Cause.MERGE or (draft.cause in _MAY_CHANGE_PERSON and event.allow_person_change)
    if not allowed and correct.is_other_person(draft):
        return _OTHER_PERSON
    # The unit an event names is where the patient is (§12: later messages show it), within the hospital.
    if event.unit is not None and event.kind not in _PLACES and hospital_of(event.unit) == draft.stay.hospital:
        draft.change(unit=unit_index(draft, event.unit))
    try:
        outcome: Outcome | None = acts.DECIDE_AGAIN
        while outcome is acts.DECIDE_AGAIN:
            outcome = _ACTIONS[DECISIONS[draft.cause, situation(draft.stay)]](draft)
    except NotificationRefused as refused:
        draft.visit, draft.ordinal = learned, ordinal
        del draft.notes[sent:]
        return refused.outcome
    if outcome is _HELD:
        return _HELD
    draft.visit = _remember(draft.visit, event)
    if len(draft.notes) > sent:
        return _CONVERTED
    waits = draft.visit.patient is None and situation(draft.stay) is Situation.PENDING
    return outcome or (NO_CPR if waits else _NO_NOTICE)


def _learn_person(visit: Visit, event: StayEvent) -> Visit:
    """Name, residence and LPR3 id, silently (13.10, 17.3). Another CPR only where nothing stands (13.14)."""
    old, new = visit.patient, event.patient
    other = old is not None and new is not None and old.cpr != new.cpr
    if other and (visit.left or situation(visit.stay) not in _NOTHING_STANDS):
        return visit
    place = event.residence is not None or event.residence_problem != "" or other
    return replace(
        visit,
        patient=new or old,
        residence=event.residence if place else visit.residence,
        residence_problem=event.residence_problem if place else visit.residence_problem,
        lpr3=event.lpr3 or visit.lpr3,
        number=visit.number or event.visit_number,
    )


def _remember(visit: Visit, event: StayEvent) -> Visit:
    """The last message's fields (04 §4.3: absence is no change, HL7 null is one), and how late it is."""
    last = visit.last
    if event.kind in TIMED and event.occurred is not None:
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


def _not_before(visit: Visit, event: StayEvent) -> datetime | None:
    """When an event may be taken: not before it has happened (01, 7.6)."""
    if event.kind in TIMED:
        time = event_time(event)
        death = death_time(event) if is_death(event) else None
        return time if death is None else max(time or death, death)
    if event.kind not in (EventKind.UPDATE, EventKind.PERSON_CHANGED):
        return None
    old, new = visit.snapshot, event.snapshot
    ended = state(visit.stay) in (StayState.CLOSED, StayState.DEAD)
    times = (
        new.start_time if new.start_time != old.start_time else None,
        new.end_time if ended and new.end_time != old.end_time else None,  # of an open stay it is an expectation
        death_time(event) if is_death(event) and not ended else None,
        event.occurred if new.class_ != old.class_ else None,
    )
    return max((time for time in times if time is not None), default=None)


def _hold(draft: Draft, held: Held) -> Outcome:
    """Keep an event with the visit until it is due; what is more than any stay has is stopped."""
    if len(draft.visit.held) >= _MOST_HELD:
        return _TOO_MANY
    draft.visit = replace(draft.visit, held=(*draft.visit.held, held))
    return _HELD


def wait(draft: Draft) -> Outcome:
    """An event that needs a START: wait for it, and as long as a START is itself held (04 §4.5.2)."""
    starts = (held.due for held in draft.visit.held if held.event.kind is EventKind.START)
    due = max((draft.at, *starts)) + draft.policy.late_start_window
    return _hold(draft, Held(event=draft.event, due=due, why="start"))


def _takes_back_held(draft: Draft) -> bool:
    """Whether the event only takes back held ones, of which nothing has been sent."""
    kind, nothing_known = draft.event.kind, situation(draft.stay) is Situation.NONE
    if kind in (EventKind.DELETED, EventKind.START_CANCELLED):
        return _drop(draft, None) and nothing_known
    if kind in _ONCE:
        _drop(draft, kind)
        return False
    return kind in CANCELS and _drop(draft, CANCELS[kind])


def _drop(draft: Draft, kind: EventKind | None) -> bool:
    """Forget future-dated events of a kind (None: of all kinds)."""
    dropped = [held for held in draft.visit.held if held.why == "future" and kind in (None, held.event.kind)]
    if dropped:
        kept = tuple(held for held in draft.visit.held if held not in dropped)
        draft.visit = replace(draft.visit, held=kept)
        draft.released += [(held.event.id, _NO_NOTICE) for held in dropped]
    return bool(dropped)


def _release(draft: Draft) -> None:
    """After a START: take up what has waited for it, in order of arrival."""
    for held in draft.visit.held:
        if held.why == "start" and situation(draft.stay) is not Situation.NONE:
            _take_up(draft, held)


def _take_up(draft: Draft, held: Held) -> None:
    draft.visit = replace(draft.visit, held=tuple(other for other in draft.visit.held if other is not held))
    draft.event = held.event
    unmet = held.why == "start" and situation(draft.stay) is Situation.NONE
    draft.released.append((held.event.id, _NO_START if unmet else _take(draft)))


def _next_wake(visit: Visit) -> datetime | None:
    """When the first held event is due; None when none is held."""
    return min([held.due for held in visit.held]) if visit.held else None


# ---- the result ------------------------------------------------------------------------------------------------------


def _folded(draft: Draft, outcome: Outcome, *, keep: bool) -> StayFold:
    visit = draft.visit
    here, pending = situation(visit.stay), visit.stay.pending
    ended = (visit.ended or draft.at) if here in _ENDED or (pending and pending.over) else None
    if ended is not visit.ended:
        visit = replace(visit, ended=ended)
    return StayFold(
        visit=visit if keep or visit.held or here is not Situation.NONE else None,
        notifications=tuple(draft.notes),
        outcome=outcome,
        released=tuple(draft.released),
        wake=_next_wake(visit),
    )


_ACTIONS: Final[dict[Action, Callable[[Draft], Outcome | None]]] = {
    Action.NONE: lambda _: None,
    Action.REFUSE: acts.refuse,
    Action.WAIT: wait,
    Action.REPEAT: lambda _: correct.REPEAT,
    Action.AGAIN: correct.again,
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
    Action.RETURNED: correct.returned,
    Action.UPDATE: correct.update,
    Action.UNSTART: correct.unstart,
    Action.UNEND: correct.unend,
    Action.REOPEN: correct.reopen,
    Action.UNLEAVE: correct.unleave,
    Action.UNRETURN: correct.unreturn,
    Action.DELETE: correct.delete,
    Action.WITHDRAW: correct.withdraw,
    Action.MERGE: correct.merge,
    Action.PERSON: correct.person,
}
