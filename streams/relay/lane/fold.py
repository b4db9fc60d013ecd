"""The lane after one record: which rule for which kind. Every record carries `at`; there is no other clock (00 §1.1)."""

from datetime import datetime
from typing import assert_never

from msgspec.structs import replace

from streams.delivery.delivery import Case, hand_over_refused
from streams.delivery.rules import DeliveryState
from streams.stay import fold as stay
from streams.stay.state import situation
from streams.words.model import (
    Decision,
    LaneRecord,
    NetworkReceiptArrived,
    Overdue,
    ReceiptArrived,
    StayEventArrived,
    Wake,
)

from .answers import take_network_receipt, take_orphans, take_overdue, take_receipt
from .cases import take_decision
from .events import take_event, take_held
from .perform import perform
from .post import send_pending_first
from .row import Alarm, Context, Effect, LaneRow, LaneTurn, StayCase, Turn


def fold(row: LaneRow | None, record: LaneRecord, context: Context) -> LaneTurn:
    """The row after `record`, and what is to be done, in order. Pure; the same input gives the same bytes."""
    row = row or LaneRow()
    match record:
        case StayEventArrived():
            after, effects = send_pending_first(row, take_event(row, record, context), record.at, context)
        case ReceiptArrived():
            after, effects = take_receipt(row, record, context)
        case NetworkReceiptArrived():
            after, effects = take_network_receipt(row, record, context)
        case Overdue():
            after, effects = take_overdue(row, record, context)
        case Wake():
            after, effects = _take_wake(row, record, context)
        case Decision():
            after, effects = take_decision(row, record, context)
        case _:
            assert_never(record)
    return LaneTurn(None if after.is_empty else after, effects)


def _take_wake(row: LaneRow, record: Wake, context: Context) -> Turn:
    """Receipts without a message, held events, refused hand-overs; then what is old enough to be forgotten.

    Receipts go first: one about a message that waits for its hand-over proves that it has left, and the broker has not
    yet taken a letter of this very record, so nothing else may concern its message.

    What has come of age leaves: stays by 00 §2.7, messages by 02 §5.1; no stay of which an event waits. An open stay
    that was silent too long leaves a case behind. The id of the case begins with the lane, so that a decision finds it.
    """
    at = record.at
    row, effects = take_orphans(row, at, context)
    row, more = send_pending_first(row, take_held(row, at, context), at, context)
    visits, cases = {}, dict(row.cases)
    for key, visit in row.visits.items():
        if visit.held:
            visits[key] = visit
        elif stay.forget(visit, at, context.stay):
            continue
        elif stay.abandoned(visit, at, context.stay):
            sent, name = visit.stay.sent, context.ids.mint(visit.lane, "case", visit.id, at.isoformat())
            kommunekode, state = sent[-1].to if sent else visit.residence, situation(visit.stay).value
            cases[name] = StayCase(
                visit=visit.id,
                feed=visit.feed,
                number=visit.number,
                kommunekode=kommunekode,
                state=state,
                case=Case(reason="abandoned", opened=at),
            )
            more = (*more, Effect(Alarm("case:open", name, kommunekode or "", state, "abandoned")))
        else:
            visits[key] = visit
    deliveries = {
        key: delivery
        for key, delivery in row.deliveries.items()
        if delivery.forgotten is None or at < delivery.forgotten
    }
    return replace(row, visits=visits, cases=cases).with_only(deliveries), (*effects, *more)


def refused(row: LaneRow, message_id: str, at: datetime, context: Context) -> LaneTurn:
    """The lane when the broker refuses the letter of a message: taken back, to be tried again (00 §3.3).

    Apply it to the row exactly as the record with the letter left it, before anything else is folded over it.
    """
    delivery = row.deliveries.get(message_id)  # type: ignore[call-overload]  # a header holds it as plain text
    if delivery is None or delivery.state is not DeliveryState.SENT:
        return LaneTurn(row)
    performed = perform(row, [hand_over_refused(delivery, at)], at, context)
    return LaneTurn(row.with_deliveries(performed.delivery), performed.effects)
