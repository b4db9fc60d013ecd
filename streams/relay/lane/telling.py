"""From what a delivery has come to, to what is written of it: ledger rows and trace events.

The words of 02 §5.4 that `delivery.advance` gives are turned into effects here, and nowhere else. A change of state or
attempt is a row of the ledger with the next number of that message; a late verdict is a pair (03 §6.1).
"""

from collections.abc import Iterator
from datetime import datetime

from msgspec.structs import replace

from streams.delivery.delivery import Delivery
from streams.delivery.rules import FINAL, DeliveryState
from streams.records import trace
from streams.records.ledger import LedgerRow, message_row
from streams.records.trace import TraceEvent, acknowledged, strictly_after
from streams.words.model import Receipt, Unit

from .context import Context
from .effects import Said, Traced

__all__ = ["booked", "created", "known_receipt", "sent", "unknown_receipt"]


def booked(before: Delivery | None, after: Delivery, at: datetime) -> tuple[Delivery, list[LedgerRow]]:
    """The delivery with its changes counted, and the rows for them."""
    if before is not None and (before.state, before.attempt) == (after.state, after.attempt):
        return after, []
    rows: list[LedgerRow] = []
    number = 0 if before is None else before.changes
    if before is not None and before.state in FINAL and after.state in FINAL:
        rows.append(_row(after, at, before.state, number, delta=-1, was=before.state))
        number += 1
    rows.append(_row(after, at, after.state, number, was="" if before is None else before.state))
    return replace(after, changes=number + 1), rows


def _row(
    d: Delivery, at: datetime, state: DeliveryState, number: int, *, was: str, delta: int | None = None
) -> LedgerRow:
    return message_row(
        at,
        d.message_id,
        state,
        number,
        delta=delta,
        attempt=d.attempt,
        was=was,
        event=d.event_id,
        lane=d.lane,
        kommunekode=d.address.kommunekode,
        notice=str(d.notice),
        verdict=d.verdict or "",
        late=d.late,
    )


def created(delivery: Delivery, cpr: str, at: datetime, context: Context) -> tuple[Delivery, Said]:
    """S2: the message is built, checked and stored."""
    step = trace.created(
        _about(delivery, cpr),
        bundle_id=delivery.attempts[0].envelope_id,
        recorded=strictly_after(at, delivery.recorded),
        device_id=context.device_id,
    )
    return _recorded(delivery, step), Said(Traced(delivery.message_id, step))


def sent(
    delivery: Delivery, cpr: str, at: datetime, context: Context, *, failed: bool = False
) -> tuple[Delivery, Said]:
    """S3 of the current attempt, or S4: it could not be handed over.

    The ordinal is how often this dispatch failed before, so that the success after a failure has an id of its own
    (03 §4.4: nothing else in it differs).
    """
    attempt = delivery.attempts[-1]
    failures = delivery.refusals if delivery.refused == attempt.envelope_id else 0
    step = trace.sent(
        _about(delivery, cpr),
        bundle_id=attempt.envelope_id,
        transport_id=attempt.transport_id,
        recorded=strictly_after(at, delivery.recorded),
        device_id=context.device_id,
        failed=failed,
        ordinal=failures - 1 if failed else failures,
    )
    after = "" if failed else delivery.message_id
    return _recorded(delivery, step), Said(Traced(delivery.message_id, step), after)


def _about(delivery: Delivery, cpr: str) -> trace.About:
    return trace.About(delivery.message_id, delivery.activity, delivery.sender, delivery.address.receiver, cpr)


def _recorded(delivery: Delivery, step: TraceEvent) -> Delivery:
    return replace(delivery, recorded=step.recorded)


def known_receipt(
    delivery: Delivery, receipt: Receipt, ordinal: int, at: datetime, context: Context
) -> tuple[Delivery, Said]:
    """S7: an acknowledgement of one of our messages, whatever became of it."""
    step = acknowledged(
        replace(receipt, message_id=delivery.message_id),
        sender=delivery.address.receiver,
        receiver=delivery.sender,
        recorded=strictly_after(at, delivery.recorded),
        device_id=context.device_id,
        ordinal=ordinal,
    )
    return _recorded(delivery, step), Said(Traced(delivery.message_id, step))


def unknown_receipt(receipt: Receipt, at: datetime, context: Context) -> Iterator[Said]:
    """S8: an acknowledgement that answers nothing we know; none when it does not even say who speaks."""
    if not (receipt.sender_sor and receipt.destination_sor and receipt.ack_message_id):
        return
    step = acknowledged(
        receipt,
        sender=Unit(sor=receipt.sender_sor, gln=receipt.sender_gln, name=""),  # type: ignore[arg-type]  # as quoted
        receiver=Unit(sor=receipt.destination_sor, gln=receipt.destination_gln, name=""),  # type: ignore[arg-type]
        recorded=strictly_after(at, None),
        device_id=context.device_id,
        original=None,
    )
    yield Said(Traced(receipt.message_id, step))
