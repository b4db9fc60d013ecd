"""What a stay event does to its lane: the stay is folded, and each notification becomes a delivery on its way.

An event is taken whole or not at all (spec 01, 21.2.7): if one of its messages cannot leave, the stay stays as it was
and the event goes to the error lane, from where it can be sent again once the cause is mended. A held event that cannot
leave when its time comes is set aside in the same way and no longer held.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from streams.records.ledger import left_row, stay_event_row
from streams.stay import fold as stay
from streams.stay.fold import StayFold, Visit
from streams.stay.state import SEEN_LENGTH
from streams.words.errors import Rejected
from streams.words.ids import EventId
from streams.words.model import Fate, Notification, Outcome, StayEvent, StayEventArrived, Wake

from .context import Context
from .effects import Result, Said, SetAside
from .post import Posted, concerns, post
from .row import LaneRow

__all__ = ["take_event", "take_held"]

_DONE: Final = frozenset({Fate.NOT_SUBJECT, Fate.STOPPED, Fate.CONVERTED, Fate.REFUSED})


def take_event(row: LaneRow, record: StayEventArrived, context: Context) -> Result:
    """One event of one stay. An event that was taken before changes nothing and says nothing: it has been said."""
    event, at = record.event, record.at
    visit = row.visits.get(event.visit)
    folded = stay.fold(
        visit,
        event,
        at=at,
        ids=context.ids,
        policy=context.stay,
        ordinal=row.ordinal,
        origin=row.visits.get(event.transfer.visit) if event.transfer else None,
    )
    if folded.outcome.fate is Fate.DUPLICATE:
        return Result(row)
    held = _held(visit)
    posted = _post_all(row, folded.notifications, at, context)
    if isinstance(posted, Outcome):
        return Result(row, tuple(_fate(record, posted, 0)))
    said = [*_fate(record, folded.outcome, _told(folded, event.id)), *_released(folded, held, at)]
    return _with(row, event.visit, folded, posted, said)


def take_held(row: LaneRow, record: Wake, context: Context) -> Result:
    """The held events of the lane that are due."""
    said: list[Said] = []
    for key, visit in row.visits.items():
        if any(held.due <= record.at for held in visit.held):
            result = _wake(row, visit, record.at, context)
            row, said = result.row or row, [*said, *result.said]
            assert key in row.visits or result.row is not None
    return Result(row, tuple(said))


def _wake(row: LaneRow, visit: Visit, at: datetime, context: Context) -> Result:
    folded = stay.wake(visit, at=at, ids=context.ids, policy=context.stay, ordinal=row.ordinal)
    held = _held(visit)
    posted = _post_all(row, folded.notifications, at, context)
    if isinstance(posted, Outcome):
        released = tuple(event_id for event_id, _ in folded.released)
        folded = StayFold(
            visit=_not_taken(visit, released),
            outcome=posted,
            released=tuple((event_id, posted) for event_id in released),
        )
        posted = []
    return _with(row, visit.id, folded, posted, _released(folded, held, at))


def _not_taken(visit: Visit, ids: tuple[EventId, ...]) -> Visit:
    """The visit as if these had never been held: sent again, they are not known."""
    known = {event_id[:SEEN_LENGTH] for event_id in ids}
    return replace(
        visit,
        held=tuple(held for held in visit.held if held.event.id not in ids),
        seen=tuple(seen for seen in visit.seen if seen not in known),
    )


def _held(visit: Visit | None) -> Mapping[EventId, StayEvent]:
    return {} if visit is None else {held.event.id: held.event for held in visit.held}


def _post_all(
    row: LaneRow, notifications: Iterable[Notification], at: datetime, context: Context
) -> list[Posted] | Outcome:
    posted = []
    for notification in notifications:
        one = post(notification, at, context, concerns=concerns(row.deliveries, notification))
        if isinstance(one, Outcome):
            return one
        posted.append(one)
    return posted


def _told(folded: StayFold, event_id: EventId) -> int:
    return sum(notification.event_id == event_id for notification in folded.notifications)


def _fate(record: StayEventArrived, outcome: Outcome, k: int) -> Iterable[Said]:
    """The fate of the event in hand; one that was sent again from aside is there no longer."""
    event, at = record.event, record.at
    time = f"redriven-{record.redriven}" if record.redriven else ""
    if time:
        yield Said(left_row(at, event.id, Fate.STOPPED, event.origin, event.lane, time=time))
    yield Said(stay_event_row(at, event.id, outcome, k, event.origin, event.lane, time=time))
    if outcome.fate is Fate.STOPPED:
        yield Said(SetAside(_rejected(outcome)))


def _released(folded: StayFold, held: Mapping[EventId, StayEvent], at: datetime) -> list[Said]:
    """Events that no longer wait: what became of them."""
    said: list[Said] = []
    for event_id, outcome in folded.released:
        event = held.get(event_id)
        if event is None or outcome.fate not in _DONE:
            continue
        said.append(Said(left_row(at, event_id, Fate.WAITING, event.origin, event.lane)))
        k = _told(folded, event_id)
        said.append(Said(stay_event_row(at, event_id, outcome, k, event.origin, event.lane, time="again")))
        if outcome.fate is Fate.STOPPED:
            said.append(Said(SetAside(_rejected(outcome), StayEventArrived(at=at, event=event))))
    return said


def _rejected(outcome: Outcome) -> Rejected:
    return Rejected(outcome.path or "event", outcome.problem or "not usable", outcome.remedy, outcome.reason)


def _with(row: LaneRow, key: object, folded: StayFold, posted: list[Posted], said: list[Said]) -> Result:
    visits = {k: v for k, v in row.visits.items() if k != key}
    if folded.visit is not None:
        visits[folded.visit.id] = folded.visit
    deliveries = row.deliveries | {p.delivery.message_id: p.delivery for p in posted}
    after = replace(row, visits=visits, deliveries=deliveries, ordinal=row.ordinal + len(posted))
    return Result(after, (*said, *(s for p in posted for s in p.said)))
