"""What an answer does to its lane: found by the ids it quotes, and by nothing else (02 §4.4, 00 §3.2).

Order of the search: response.identifier among the messages, then among their Bundle ids, then what Provenance names;
anything but the first is flagged.
A receipt that finds nothing is kept for five minutes and then set aside (02 §5.6); at once when sixteen wait already.
What it says is cut before it enters the row (`bounds`). One from another unit than was addressed, or from the letterbox
of another municipality (00 §9.1), is quarantined. One that this lane has taken before, under the same arrival, is our own step repeated after a
crash and says nothing twice.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from streams.delivery.delivery import Case, Delivery, advance, envelope_of, verdict_signal
from streams.delivery.rules import PROVES_HAND_OVER, DeliveryState, Signal
from streams.messages.acknowledgement.judge import sender_matches
from streams.records.ledger import LedgerRow, receipt_row, waiting_row
from streams.relay.bounds import ORPHANS, bounded
from streams.words.errors import Rejected
from streams.words.ids import uuid4_or_none
from streams.words.model import NetworkReceipt, NetworkReceiptArrived, Receipt, ReceiptArrived

from .context import Context
from .effects import Result, Said, SetAside
from .post import stored_cpr
from .row import LaneRow, Orphan
from .telling import booked, known_receipt, sent, unknown_receipt

__all__ = ["settled", "take_network_receipt", "take_orphans", "take_receipt"]

#: Arrivals remembered per message and per lane: far more than 3 dispatches can honestly bring.
_REMEMBERED: Final = 64


def take_receipt(row: LaneRow, record: ReceiptArrived, context: Context) -> Result:
    """One acknowledgement."""
    receipt = bounded(record.receipt)
    if receipt.origin in row.settled or any(o.receipt.origin == receipt.origin for o in row.orphans):
        return Result(row)
    delivery = _find(row, receipt)
    if delivery is None:
        if len(row.orphans) >= ORPHANS:  # those that came first may be the honest ones
            return Result(settled(row, receipt.origin), tuple(_unmatched(receipt, record.at, context)))
        orphan = Orphan(receipt=receipt, arrived=record.at, due=record.at + context.orphan_wait)
        waiting = waiting_row(record.at, receipt.origin, receipt.verdict, _quoted(receipt))
        return Result(replace(row, orphans=(*row.orphans, orphan)), (Said(waiting),))
    return _apply(row, delivery, receipt, record.at, context)


def take_orphans(row: LaneRow, at: datetime, context: Context) -> Result:
    """Receipts whose message was not known: once more, and then never (02 §5.6)."""
    said: list[Said] = []
    for orphan in tuple(o for o in row.orphans if o.due <= at):
        row = replace(row, orphans=tuple(o for o in row.orphans if o is not orphan))
        delivery = _find(row, orphan.receipt)
        if delivery is None:
            row = settled(row, orphan.receipt.origin)
            said += _unmatched(orphan.receipt, at, context)
        else:
            result = _apply(row, delivery, orphan.receipt, at, context)
            row, said = result.row or row, [*said, *result.said]
    return Result(row, tuple(said))


def _unmatched(receipt: Receipt, at: datetime, context: Context) -> Iterable[Said]:
    yield Said(receipt_row(at, receipt.origin, "unmatched", receipt.verdict, message=_quoted(receipt)))
    yield from unknown_receipt(receipt, at, context)
    fault = Rejected(
        "MessageHeader.response.identifier",
        "no message of ours has this id",
        "quote MessageHeader.id of the notification that is answered",
        "unmatched",
    )
    yield Said(SetAside(fault, ReceiptArrived(at=at, receipt=receipt)))


def _quoted(receipt: Receipt) -> str:
    """The message that a receipt quotes, in our spelling; "" for what has not the form of an id: it is text of others."""
    return uuid4_or_none(receipt.message_id) or ""


def _find(row: LaneRow, receipt: Receipt) -> Delivery | None:
    for quoted in (receipt.message_id, *receipt.fallback_ids):
        for delivery in row.deliveries.values():
            if quoted == delivery.message_id or any(a.envelope_id == quoted for a in delivery.attempts):
                return delivery
    return None


def _apply(row: LaneRow, delivery: Delivery, receipt: Receipt, at: datetime, context: Context) -> Result:
    dispatch = receipt.transport_id or receipt.ack_envelope_id
    arrival = f"{receipt.origin} {dispatch}"
    if arrival in delivery.arrivals:
        return Result(row)
    if not sender_matches(receipt, delivery.address):
        return Result(settled(row, receipt.origin), tuple(_quarantined(delivery, receipt, at)))
    signal = verdict_signal(receipt.verdict)
    delivery, proof = _proved(delivery, signal, at, context)
    after, _, class_ = advance(delivery, signal, at)
    after, rows = booked(delivery, after, at)
    ordinal = sum(known.partition(" ")[2] == dispatch for known in delivery.arrivals)
    after, step = known_receipt(after, receipt, ordinal, at, context)
    after = replace(
        after,
        arrivals=(*after.arrivals, arrival)[-_REMEMBERED:],
        ack_message_id=receipt.ack_message_id if class_ == "first" else after.ack_message_id,
        nonconformant=after.nonconformant or bool(receipt.nonconformant) or receipt.message_id != delivery.message_id,
        case=_with_issues(after, receipt),
    )
    said = (
        *proof,
        *(Said(each) for each in rows),
        Said(_booked(receipt, class_ or "stale", delivery, at)),
        step,
    )
    return Result(_put(row, after), said)


def _booked(receipt: Receipt, class_: str, delivery: Delivery, at: datetime) -> LedgerRow:
    return receipt_row(at, receipt.origin, class_, receipt.verdict, delivery.lane, message=delivery.message_id)


def _proved(delivery: Delivery, signal: Signal, at: datetime, context: Context) -> tuple[Delivery, tuple[Said, ...]]:
    """An answer to a message that was not known to have left proves that it has: that is told first (02 §5.6)."""
    if delivery.state is not DeliveryState.CREATED or signal not in PROVES_HAND_OVER:
        return delivery, ()
    handed, _, _ = advance(delivery, Signal.PRODUCED, at)
    handed, rows = booked(delivery, handed, at)
    handed, step = sent(handed, stored_cpr(delivery), at, context)
    return handed, (*(Said(each) for each in rows), Said(step.effect))


def _with_issues(delivery: Delivery, receipt: Receipt) -> Case | None:
    if delivery.case is None or delivery.case.reason != "fatal" or delivery.case.issues:
        return delivery.case
    return replace(delivery.case, issues=receipt.issues)


_OTHER_UNIT: Final = "receipt-from-other-unit"


def _quarantined(delivery: Delivery, receipt: Receipt, at: datetime) -> Iterable[Said]:
    yield Said(_booked(receipt, "quarantined", delivery, at))
    fault = Rejected(
        "SenderID" if receipt.transport_id else "MessageHeader.sender",
        "the receipt comes from another unit than was addressed",
        "answer from the unit that was addressed, or have its alias registered",
        _OTHER_UNIT,
    )
    yield Said(SetAside(_foreign(delivery, receipt) or fault))


def _foreign(delivery: Delivery, receipt: Receipt | NetworkReceipt) -> Rejected | None:
    """What is wrong with a receipt that lay in the letterbox of another municipality than was addressed."""
    addressed = delivery.address.kommunekode
    if receipt.posted_by in ("", addressed):
        return None
    return Rejected(
        "topic",
        f"municipality {receipt.posted_by} has posted a receipt for a message to {addressed}",
        "post it on the topic of receipts of the municipality that was addressed",
        _OTHER_UNIT,
    )


def settled(row: LaneRow, name: str) -> LaneRow:
    """The row that remembers a receipt by its origin, or a decision by its id: not taken twice."""
    return replace(row, settled=(*row.settled, name)[-_REMEMBERED:])


def _put(row: LaneRow, delivery: Delivery) -> LaneRow:
    return replace(row, deliveries=row.deliveries | {delivery.message_id: delivery})


_NETWORK: Final = {
    ("cur", True): Signal.NET_POS_CUR,
    ("cur", False): Signal.NET_NEG_CUR,
    ("old", True): Signal.NET_POS_OLD,
    ("old", False): Signal.NET_NEG_OLD,
}


def take_network_receipt(row: LaneRow, record: NetworkReceiptArrived, context: Context) -> Result:
    """One receipt of the network. On VANS it is no status event (03 §4.1, S5)."""
    receipt, at = bounded(record.receipt), record.at
    for delivery in row.deliveries.values():
        place = envelope_of(delivery, receipt.original_transport_id)
        if place is None:
            continue
        if receipt.origin in delivery.arrivals:
            return Result(row)
        foreign = _foreign(delivery, receipt)
        if foreign is not None:
            return Result(row, (Said(SetAside(foreign)),))
        signal = _NETWORK[place, receipt.positive]
        delivery, proof = _proved(delivery, signal, at, context)
        after, _, _ = advance(delivery, signal, at)
        after, rows = booked(delivery, after, at)
        after = replace(after, arrivals=(*after.arrivals, receipt.origin)[-_REMEMBERED:])
        return Result(_put(row, after), (*proof, *(Said(each) for each in rows)))
    fault = Rejected(
        "Receipt.OriginalEnvelopeIdentifier",
        "no envelope of ours has this id",
        "quote EnvelopeIdentifier of the envelope that is answered",
        "unknown-envelope",
    )
    return Result(row, (Said(SetAside(fault)),))
