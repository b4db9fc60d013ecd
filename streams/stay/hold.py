"""Events that cannot be taken yet: future-dated ones, and those that need a START (00 §1.7).

A registration dated in the future says nothing before it has happened (01, 7.6); its cancel takes it back as if it
had never been. An event that needs a START waits `late_start_window` for it (04 §4.5.2), and longer while the START
itself is held. Both lie with the visit; the lane's timer wakes it.

When held events are taken up: `stay`.
"""

from datetime import datetime
from typing import Final

from msgspec.structs import replace

from streams.words.model import EventKind, Fate, Outcome, StayEvent

from .cause import death_time, event_time, is_death
from .notify import Draft
from .rules import CANCELS, TELLS_TIME
from .state import Held, Situation, StayState, Visit, situation, state

__all__ = ["HELD", "hold", "next_wake", "not_before", "takes_back_held", "wait"]

HELD: Final = Outcome(fate=Fate.WAITING, reason="held")
#: Events of one visit that wait; each takes its place in the row of the lane.
_MOST: Final = 64
_TOO_MANY: Final = Outcome(
    fate=Fate.STOPPED,
    reason="too-many-held",
    path="event",
    problem=f"{_MOST} events of this visit wait for their time or their start already",
    remedy="send the start, or each event once it has happened; then this one once more under a new MSH-10",
)
_DROPPED: Final = Outcome(fate=Fate.NOT_SUBJECT)
#: A stay starts and ends once: a new registration replaces one that is held for its time.
_ONCE: Final = frozenset({EventKind.START, EventKind.END})


def not_before(visit: Visit, event: StayEvent) -> datetime | None:
    """When an event may be taken: not before what it tells has happened (01, 7.6)."""
    if event.kind in TELLS_TIME:
        told = event_time(event)
        death = death_time(event) if is_death(event) else None
        return told if death is None else max(told or death, death)
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
    return max((t for t in times if t is not None), default=None)


def hold(draft: Draft, held: Held) -> Outcome:
    """Keep an event with the visit until it is due; what is more than any stay has is stopped."""
    if len(draft.visit.held) >= _MOST:
        return _TOO_MANY
    draft.visit = replace(draft.visit, held=(*draft.visit.held, held))
    return HELD


def wait(draft: Draft) -> Outcome:
    """An event that needs a START: wait for it, and as long as a START is itself held (04 §4.5.2)."""
    starts = (h.due for h in draft.visit.held if h.event.kind is EventKind.START)
    due = max((draft.at, *starts)) + draft.policy.late_start_window
    return hold(draft, Held(event=draft.event, due=due, why="start"))


def drop(draft: Draft, kind: EventKind | None) -> bool:
    """Forget future-dated events of a kind (None: of all kinds): nothing was told of them."""
    dropped = [h for h in draft.visit.held if h.why == "future" and kind in (None, h.event.kind)]
    if dropped:
        kept = tuple(h for h in draft.visit.held if h not in dropped)
        draft.visit = replace(draft.visit, held=kept)
        draft.released += [(h.event.id, _DROPPED) for h in dropped]
    return bool(dropped)


def takes_back_held(draft: Draft) -> bool:
    """Whether the event is done with by taking back a held one, of which nothing has been told."""
    kind, nothing_known = draft.event.kind, situation(draft.stay) is Situation.NONE
    if kind in (EventKind.DELETED, EventKind.START_CANCELLED):
        return drop(draft, None) and nothing_known
    if kind in _ONCE:
        drop(draft, kind)
        return False
    cancelled = CANCELS.get(kind)
    return cancelled is not None and drop(draft, cancelled)


def next_wake(visit: Visit) -> datetime | None:
    """When the first held event is due; None when none is held."""
    return min([h.due for h in visit.held]) if visit.held else None
