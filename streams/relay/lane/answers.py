"""What an answer does to its lane, and what its absence does (02 §§4.4, 5.3; 00 §3.2).

An answer is found by the ids it quotes, and by nothing else: response.identifier among the messages, then among their
Bundle ids, then what Provenance names; anything but the first is flagged. A receipt that finds nothing is kept for five
minutes and then dead-lettered (02 §5.6); at once when sixteen wait already. Its texts are cut before they enter the
row (`bounds`). One from another unit than was addressed, or from the letterbox of another municipality (00 §9.1), is
quarantined. One that this lane has taken before, under the same arrival, is our own step repeated after a crash: it
changes nothing and is recorded once.
"""

from datetime import datetime
from typing import Final

from msgspec.structs import replace

from streams.delivery.delivery import Delivery, advance, envelope_of, timer_signal, verdict_signal
from streams.delivery.rules import Signal
from streams.messages.acknowledgement.check import sender_matches
from streams.messages.message_type import FORMATS
from streams.records.ledger import receipt_row, waiting_row
from streams.records.trace import acknowledged, envelope_returned, network_answered, strictly_after
from streams.relay.bounds import ORPHANS, bounded
from streams.words.errors import Rejected
from streams.words.ids import Gln, Kommunekode, Sor, minted_lane, uuid4_or_none
from streams.words.model import (
    NetworkReceipt,
    NetworkReceiptArrived,
    Overdue,
    Receipt,
    ReceiptArrived,
    ReceiptIssue,
    Unit,
)

from .letters import family
from .perform import dispatch_of, envelope_receipt, perform, signalled
from .row import KEPT, REMEMBERED, Alarm, Context, DeadLetter, Effect, LaneRow, Orphan, Traced, Turn, is_unchanged

_OTHER_UNIT: Final = "receipt-from-other-unit"

_NETWORK: Final = {
    ("cur", True): Signal.NET_POS_CUR,
    ("cur", False): Signal.NET_NEG_CUR,
    ("old", True): Signal.NET_POS_OLD,
    ("old", False): Signal.NET_NEG_OLD,
}


def take_receipt(row: LaneRow, record: ReceiptArrived, context: Context) -> Turn:
    """One acknowledgement."""
    receipt, at = bounded(record.receipt), record.at
    if receipt.origin in row.settled or any(o.receipt.origin == receipt.origin for o in row.orphans):
        return row, ()
    delivery = _find(row, receipt)
    if delivery is not None:
        return _answer(row, delivery, receipt, at, context)
    if len(row.orphans) >= ORPHANS:  # those that came first may be the honest ones
        return row.settle(receipt.origin), _unmatched(receipt, at, context)
    orphan = Orphan(receipt=receipt, arrived=at, due=at + context.orphan_wait)
    waiting = waiting_row(at, receipt.origin, receipt.verdict, _quoted(receipt))
    return replace(row, orphans=(*row.orphans, orphan)), (Effect(waiting),)


def take_orphans(row: LaneRow, at: datetime, context: Context) -> Turn:
    """Receipts whose message was not known: once more, and then never (02 §5.6)."""
    due = [orphan.receipt for orphan in row.orphans if orphan.due <= at]
    if not due:
        return row, ()
    row = replace(row, orphans=tuple(orphan for orphan in row.orphans if orphan.due > at))
    effects: tuple[Effect, ...] = ()
    for receipt in due:
        delivery = _find(row, receipt)
        if delivery is None:
            row, more = row.settle(receipt.origin), _unmatched(receipt, at, context)
        else:
            row, more = _answer(row, delivery, receipt, at, context)
        effects += more
    return row, effects


def take_network_receipt(row: LaneRow, record: NetworkReceiptArrived, context: Context) -> Turn:
    """One receipt of the network. On VANS it is no status event (03 §4.1, S5), on EHMI it is (S6)."""
    receipt, at = bounded(record.receipt), record.at
    arrival = receipt.origin if receipt.layer == "vans" else f"{receipt.origin} {receipt.transport_id}"
    for delivery in row.deliveries.values():
        place = envelope_of(delivery, receipt.original_transport_id)
        if place is None:
            continue
        if arrival in delivery.arrivals:
            return row, ()
        if (foreign := _foreign(delivery, receipt)) is not None:
            return row, (Effect(DeadLetter(foreign)),)
        signal = _NETWORK[place, receipt.positive]
        performed = perform(row, advance(delivery, signal, at), at, context, receipt)
        after = replace(performed.delivery, arrivals=(*delivery.arrivals, arrival)[-REMEMBERED:])
        case = after.case
        if delivery.number and case is not None and case.reason == "undeliverable" and not case.issues:
            # The network says in CTL01 why it could not deliver a letter (04 §12).
            issue = ReceiptIssue(severity="error", text=receipt.description)
            after = replace(after, case=replace(case, issues=(issue,)))
        return row.with_deliveries(after), performed.effects
    fault = Rejected(
        "Receipt.OriginalEnvelopeIdentifier",
        "no envelope of ours has this id",
        "quote EnvelopeIdentifier of the envelope that is answered",
        "unknown-envelope",
    )
    unknown = Effect(DeadLetter(fault))
    if receipt.layer == "vans" or not (receipt.sender_sor and receipt.receiver_sor and receipt.transport_id):
        return row, (unknown,)
    step = network_answered(
        receipt,
        original_message_id="",
        sender=Unit(sor=Sor(receipt.sender_sor), gln=Gln(receipt.transport_sender), name=""),  # as quoted, unchecked
        receiver=Unit(sor=Sor(receipt.receiver_sor), gln=Gln(receipt.receiver_gln), name=""),
        recorded=strictly_after(at, None),
        device_id=context.device_id,
        original=None,
    )
    return row, (Effect(Traced(receipt.transport_id, step)), unknown)


def take_silence(row: LaneRow, at: datetime) -> Turn:
    """Envelopes whose receipt has not come in time: a warning each, and nothing is sent again for it (02 §5.3)."""
    effects: list[Effect] = []
    for delivery in row.deliveries.values():
        if (due := delivery.network_due) is not None and due <= at:
            row = row.with_deliveries(replace(delivery, warned=delivery.attempt))
            about = (delivery.message_id, delivery.address.kommunekode, delivery.state)
            effects.append(Effect(Alarm("alert:network", *about, attempt=delivery.attempt)))
    return row, tuple(effects)


def take_overdue(row: LaneRow, record: Overdue, context: Context) -> Turn:
    """A deadline has passed; a firing for a deadline that is no longer the current one is ignored (02 §5.3)."""
    delivery = row.deliveries.get(record.message_id)
    if delivery is None or delivery.deadline != record.deadline or record.at < record.deadline:
        return row, ()
    code = delivery.address.kommunekode
    if context.is_paused(code):  # nothing is resent meanwhile
        return row.with_deliveries(replace(delivery, deadline=record.at + KEPT)), ()
    control = context.controls(code)
    own = (
        replace(delivery, address=replace(delivery.address, mode=control.mode))
        if control and control.mode
        else delivery
    )
    signal = timer_signal(own, record.attempt)
    if signal is Signal.TIMER_RESEND and not (
        _is_accepted(delivery, record.at, context) and is_unchanged(row, delivery)
    ):
        # About what would not be the same a person decides (02 §6.2, C1), and about a format that is no longer accepted:
        # a resend never changes it (05 §6.4).
        signal = Signal.TIMER_HOLD
    performed = signalled(row, delivery, signal, record.at, context)
    return row.with_deliveries(performed.delivery), performed.effects


def _is_accepted(delivery: Delivery, at: datetime, context: Context) -> bool:
    """Whether the municipality still takes the format in which the message was sent."""
    address = delivery.address
    accepted = context.registers.acceptances(address.kommunekode, delivery.message_type, at)
    return any(one.format == family(address.format) for one in accepted)


def _find(row: LaneRow, receipt: Receipt) -> Delivery | None:
    for quoted in (receipt.message_id, *receipt.fallback_ids):
        for delivery in row.deliveries.values():
            letter_id = FORMATS[delivery.address.format].letter_id(delivery.lane, delivery.message_id)
            if quoted in (delivery.message_id, letter_id, *[attempt.envelope_id for attempt in delivery.attempts]):
                return delivery
    return None


def _misquoted(receipt: Receipt, delivery: Delivery) -> bool:
    """Whether it names the message otherwise than it should: receipts of letters know those by their own ids."""
    return not FORMATS[delivery.address.format].letter and receipt.message_id != delivery.message_id


def _quoted(receipt: Receipt) -> str:
    """The message that a receipt quotes, in our spelling; "" for what has not the form of an id: it is text of others."""
    return uuid4_or_none(receipt.message_id) or (receipt.message_id if minted_lane(receipt.message_id) else "")


def _unmatched(receipt: Receipt, at: datetime, context: Context) -> tuple[Effect, ...]:
    """A receipt that answers nothing we know: S8, unless it does not even name its sender and receiver."""
    effects = [Effect(receipt_row(at, receipt.origin, "unmatched", receipt.verdict, message=_quoted(receipt)))]
    effects += _envelope_answered(receipt, at, context)
    if receipt.sender_sor and receipt.destination_sor and receipt.ack_message_id:
        step = acknowledged(
            receipt,
            sender=Unit(sor=Sor(receipt.sender_sor), gln=Gln(receipt.sender_gln), name=""),  # as quoted, unchecked
            receiver=Unit(sor=Sor(receipt.destination_sor), gln=Gln(receipt.destination_gln), name=""),
            recorded=strictly_after(at, at if len(effects) > 1 else None),  # S10 comes first
            device_id=context.device_id,
            original=None,
        )
        effects.append(Effect(Traced(receipt.message_id, step)))
    fault = Rejected(
        "MessageHeader.response.identifier",
        "no message of ours has this id",
        "quote MessageHeader.id of the notification that is answered",
        "unmatched",
    )
    return (*effects, Effect(DeadLetter(fault, ReceiptArrived(at=at, receipt=receipt))))


def _answer(row: LaneRow, delivery: Delivery, receipt: Receipt, at: datetime, context: Context) -> Turn:
    """The row after the answer to one of its messages: S7, whatever becomes of it."""
    arrival = f"{receipt.origin} {dispatch_of(receipt)}"
    if arrival in delivery.arrivals:
        return row, ()
    if not sender_matches(receipt, delivery.address):
        fault = _foreign(delivery, receipt) or Rejected(
            "SenderID" if receipt.transport_id else "MessageHeader.sender",
            "the receipt comes from another unit than was addressed",
            "answer from the unit that was addressed, or have its alias registered",
            _OTHER_UNIT,
        )
        facts = (receipt.origin, "quarantined", receipt.verdict, delivery.lane)
        quarantined = receipt_row(at, *facts, message=delivery.message_id)
        answered = _envelope_answered(receipt, at, context)
        return row.settle(receipt.origin), (Effect(quarantined), *answered, Effect(DeadLetter(fault)))
    advances = advance(delivery, verdict_signal(receipt.verdict), at)
    after, effects = perform(row, advances, at, context, receipt)
    case = after.case
    if case is not None and case.reason == "fatal" and not case.issues:
        case = replace(case, issues=receipt.issues)
    after = replace(
        after,
        arrivals=(*after.arrivals, arrival)[-REMEMBERED:],
        ack_message_id=receipt.ack_message_id if advances[-1].receipt == "first" else after.ack_message_id,
        nonconformant=after.nonconformant or bool(receipt.nonconformant) or _misquoted(receipt, delivery),
        case=case,
    )
    return row.with_deliveries(after), effects


def _envelope_answered(receipt: Receipt, at: datetime, context: Context) -> tuple[Effect, ...]:
    """S10 for an acknowledgement that settles nothing of ours (03 §4.1): its envelope has arrived all the same.

    To the municipality in whose letterbox it lay; of another sender no inbox is known.
    """
    lane = next(filter(None, map(minted_lane, (receipt.message_id, *receipt.fallback_ids))), None)
    named = receipt.sender_sor and receipt.destination_sor and receipt.ack_message_id
    if receipt.asked is None or not receipt.posted_by or not named or lane is None:
        return ()
    hospital = Unit(sor=Sor(receipt.destination_sor), gln=Gln(receipt.destination_gln), name="")  # as quoted, unchecked
    municipality = Unit(sor=Sor(receipt.sender_sor), gln=Gln(receipt.transport_sender), name="")
    letter = envelope_receipt(receipt, (hospital, municipality), lane, Kommunekode(receipt.posted_by), at, context)
    step = envelope_returned(
        receipt,
        letter.transport_id,
        hospital,
        municipality,
        recorded=strictly_after(at, None),
        device_id=context.device_id,
    )
    return Effect(letter), Effect(Traced(receipt.message_id, step), letter.message_id)


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
