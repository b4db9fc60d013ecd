"""The lane after one record: which rule for which kind. Every record carries `at`; there is no other clock (00 §1.1)."""

from collections.abc import Callable
from datetime import datetime
from typing import Final, assert_never

from msgspec.structs import replace

from streams.delivery.delivery import Delivery, advance, hand_over_refused, resend_signal, timer_signal
from streams.delivery.rules import TRANSITIONS, DeliveryState, Signal
from streams.records.ledger import decision_row
from streams.relay.bounds import cut
from streams.stay import fold as stay
from streams.words.errors import Rejected
from streams.words.ids import lane_of_id
from streams.words.model import (
    Decision,
    LaneRecord,
    NetworkReceiptArrived,
    Overdue,
    ReceiptArrived,
    StayEventArrived,
    Wake,
)

from .anew import take_send_anew
from .answers import settled, take_network_receipt, take_orphans, take_receipt
from .cases import case_of, close_stay_case
from .context import Context
from .effects import Result, Said
from .events import take_event, take_held
from .post import Posted, resend, retry, stored_cpr
from .row import LaneRow
from .telling import booked, sent

__all__ = ["fold", "refused"]


def fold(row: LaneRow | None, record: LaneRecord, context: Context) -> Result:
    """The row after `record`, and what is to be done, in order. Pure; the same input gives the same bytes."""
    result = _fold(row or LaneRow(), record, context)
    return Result(None, result.said) if result.row is None or result.row.is_empty else result


def _fold(row: LaneRow, record: LaneRecord, context: Context) -> Result:
    match record:
        case StayEventArrived():
            return _in_turn(row, take_event(row, record, context), record.at, context)
        case ReceiptArrived():
            return take_receipt(row, record, context)
        case NetworkReceiptArrived():
            return take_network_receipt(row, record, context)
        case Overdue():
            return _overdue(row, record, context)
        case Wake():
            return _wake(row, record, context)
        case Decision():
            return _decided(row, record, context)
        case _:
            assert_never(record)


def _overdue(row: LaneRow, record: Overdue, context: Context) -> Result:
    """A deadline has passed; a firing for a deadline that is no longer the current one is ignored (02 §5.3)."""
    delivery = row.deliveries.get(record.message_id)
    if delivery is None or delivery.deadline != record.deadline or record.at < record.deadline:
        return Result(row)
    return _signalled(row, delivery, timer_signal(delivery, record.attempt), record.at, context)


def _signalled(row: LaneRow, delivery: Delivery, signal: Signal, at: datetime, context: Context) -> Result:
    if "resend" in TRANSITIONS[delivery.state, signal].emits:
        posted = resend(delivery, signal, at, context)
        return Result(_put(row, posted.delivery), posted.said)
    after, _, _ = advance(delivery, signal, at)
    after, rows = booked(delivery, after, at)
    return Result(_put(row, after), tuple(Said(each) for each in rows))


def _put(row: LaneRow, delivery: Delivery) -> LaneRow:
    return replace(row, deliveries=row.deliveries | {delivery.message_id: delivery})


def _wake(row: LaneRow, record: Wake, context: Context) -> Result:
    """Receipts without a message, held events, refused hand-overs; then what is old enough to be forgotten.

    Receipts go first: one that is about a message which waits for its hand-over proves that it has left, and a letter of
    this very record has not been taken yet, so nothing else may speak of its message.
    """
    result = take_orphans(row, record.at, context)
    row, said = result.row or row, list(result.said)
    result = _in_turn(row, take_held(row, record, context), record.at, context)
    row, said = result.row or row, [*said, *result.said]
    return Result(_forgotten(row, record.at, context), tuple(said))


def _in_turn(before: LaneRow, result: Result, at: datetime, context: Context) -> Result:
    """No message of a lane overtakes another: what waits for its hand-over goes before anything new, all of it together.

    A new message is a reason to try again before its time; of two that wait, the one with the longer pause goes first
    when it is the older (design §3: all that concerns one stay stays in order).
    """
    row = result.row or before
    waiting = [row.deliveries[key] for key, d in before.deliveries.items() if d.retry is not None]
    new = row.deliveries.keys() - before.deliveries.keys()
    if not new and not any(d.retry is not None and d.retry <= at for d in waiting):
        return result
    posted = [_once_more(delivery, at, context) for delivery in waiting]
    row = replace(row, deliveries=row.deliveries | {p.delivery.message_id: p.delivery for p in posted})
    return Result(row, (*(said for p in posted for said in p.said), *result.said))


def _once_more(delivery: Delivery, at: datetime, context: Context) -> Posted:
    """A refused hand-over: the first dispatch, or a resend that an operator has decided on."""
    first = delivery.state is DeliveryState.CREATED
    return retry(delivery, at, context) if first else resend(delivery, Signal.OP_RESEND, at, context)


def _forgotten(row: LaneRow, at: datetime, context: Context) -> LaneRow:
    """What has come of age leaves: stays by 00 §2.7, messages by 02 §5.1; no stay of which an event waits.

    An open stay that was silent too long leaves a case behind.
    """
    visits = {key: visit for key, visit in row.visits.items() if visit.held or not stay.forget(visit, at, context.stay)}
    silent = [visit for visit in visits.values() if not visit.held and stay.abandoned(visit, at, context.stay)]
    deliveries = {
        key: delivery
        for key, delivery in row.deliveries.items()
        if delivery.forgotten is None or at < delivery.forgotten
    }
    return replace(
        row,
        visits={key: visit for key, visit in visits.items() if visit not in silent},
        deliveries=deliveries,
        cases=row.cases | dict(case_of(visit, at, context.ids) for visit in silent),
    )


def _decided(row: LaneRow, record: Decision, context: Context) -> Result:
    """An operator's decision (02 §5.8); what the state does not allow is refused. A repeat of our own step says nothing."""
    if record.id and record.id in row.settled:
        return Result(row)
    delivery = row.deliveries.get(record.message_id)
    if delivery is not None:
        result = _DECISIONS[record.action](row, delivery, record, context)
    else:
        result = close_stay_case(row, record)
    if not record.id:
        return result
    met = "" if delivery is None else delivery.state
    taken = Said(decision_row(record, str(lane_of_id(record.message_id) or ""), met))
    return Result(settled(result.row or row, record.id), (*result.said, taken))


def _resend(row: LaneRow, delivery: Delivery, record: Decision, context: Context) -> Result:
    return _allowed(row, delivery, resend_signal(delivery), record.at, context)


def _give_up(row: LaneRow, delivery: Delivery, record: Decision, context: Context) -> Result:
    return _allowed(row, delivery, Signal.OP_GIVE_UP, record.at, context)


def _close_case(row: LaneRow, delivery: Delivery, record: Decision, _: Context) -> Result:
    if delivery.case is None or delivery.case.closed is not None:
        raise Rejected("action", "there is no open case", "look it up in the ledger", "no-case")
    case = replace(delivery.case, closed=record.at, closing=cut(record.reason))
    return Result(_put(row, replace(delivery, case=case, content=b"")))


def _send_anew(row: LaneRow, delivery: Delivery, record: Decision, context: Context) -> Result:
    return _in_turn(row, take_send_anew(row, delivery, record, context), record.at, context)


#: What an operator may decide (02 §5.8, 00 §3.5).
_DECISIONS: Final[dict[str, Callable[[LaneRow, Delivery, Decision, Context], Result]]] = {
    "resend": _resend,
    "give-up": _give_up,
    "close-case": _close_case,
    "send-anew": _send_anew,
}


def _allowed(row: LaneRow, delivery: Delivery, signal: Signal, at: datetime, context: Context) -> Result:
    """Raises `Rejected` where the table says `refused`, so that the one who decided hears of it."""
    if any(word.startswith("refused:") for word in TRANSITIONS[delivery.state, signal].emits):
        problem = f"a message in state {delivery.state} with {delivery.attempt} attempts does not allow it (02 §5.4)"
        raise Rejected("action", problem, "look it up in the ledger", "not-allowed")
    return _signalled(row, delivery, signal, at, context)


def refused(row: LaneRow, message_id: str, at: datetime, context: Context) -> Result:
    """The lane when the broker would not have the letter of a message: taken back, to be tried again (00 §3.3).

    To be asked of the row as the record left it that said the letter, before anything else is folded over it.
    """
    delivery = row.deliveries.get(message_id)  # type: ignore[call-overload]  # a header holds it as plain text
    if delivery is None or delivery.state is not DeliveryState.SENT:
        return Result(row)
    current = delivery.attempts[-1]
    back = hand_over_refused(delivery, at)
    failing = replace(
        back, attempts=(*back.attempts[:-1], current) if len(delivery.attempts) == 1 else delivery.attempts
    )
    told, step = sent(failing, stored_cpr(delivery), at, context, failed=True)
    return Result(_put(row, replace(back, recorded=told.recorded)), (step,))
