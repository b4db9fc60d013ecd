"""One receipt as received, from bytes to a record for the lane that its quoted id names (02 §4.4, 00 §1.3).

A receipt comes in an envelope, or bare. Every envelope id is ours and begins with its lane. The lane of a message is
found by its type and the id that is quoted: that of a message of others is computed (`messages/message_type.py`). What
cannot be read gets no answer, and the timer of the message goes on (AV1, AV2); an answer to one of our own acknowledgements is none of ours (AV6). One that quotes no
id of our form cannot find a lane: it is unmatched at once.

Pure. Who has posted it is known from its topic alone (00 §9.1) and goes along; whether that is the unit that was
addressed (AV3) is judged in the lane, beside the address.
"""

from datetime import datetime

import msgspec
from msgspec.structs import replace

from streams.envelopes.wrapping import open_any
from streams.messages.acknowledgement import reaction
from streams.messages.message_type import MESSAGE_TYPES
from streams.messages.sending import read_receipt
from streams.records.ledger import LedgerRow, receipt_row
from streams.words.errors import Rejected
from streams.words.ids import Ids, Lane, minted_lane
from streams.words.model import LaneRecord, NetworkReceipt, NetworkReceiptArrived, Receipt, ReceiptArrived

from .bounds import bounded


class Inbound(msgspec.Struct, frozen=True):
    """A record for a lane; or what the arrival was instead (law L4) and why, for its dead letter."""

    lane: Lane | None = None
    record: LaneRecord | None = None
    row: LedgerRow | None = None
    rejected: Rejected | None = None


def take_receipt(value: bytes, *, origin: str, at: datetime, ids: Ids, posted_by: str = "") -> Inbound:
    """What the record at `origin` (`topic/partition/offset`) is, as taken up at `at`. Never raises `Rejected`.

    `posted_by`: the municipality whose letterbox it comes from; "" when the topic is not one municipality's.
    """
    try:
        read = _read(value)
    except Rejected as rejected:
        return Inbound(row=receipt_row(at, origin, "unreadable", reason=rejected.rule), rejected=rejected)
    read = replace(read, origin=origin, posted_by=posted_by)
    if isinstance(read, NetworkReceipt):
        read = bounded(read)
        lane = minted_lane(read.original_transport_id)
        if lane is not None:
            return Inbound(lane, NetworkReceiptArrived(at=at, receipt=read))
        # It names no envelope of ours: dead-lettered, and it counts for nothing (03 §4.1, S5).
        place, remedy = "OriginalEnvelopeIdentifier", "quote our EnvelopeIdentifier"
        return Inbound(rejected=Rejected(place, "no envelope of ours has this id", remedy, "unmatched"))
    read = bounded(read)
    if reaction(read) == "ignore":
        return _unusable(read, at, "quarantined", "an acknowledgement is never acknowledged", "AV6")
    answered, quoted = MESSAGE_TYPES[read.answers], (read.message_id, *read.fallback_ids)
    lane = next((lane for each in quoted if (lane := answered.lane(each, ids)) is not None), None)
    if lane is None:
        return _unusable(read, at, "unmatched", "no id of ours is of this form", "unmatched")
    return Inbound(lane, ReceiptArrived(at=at, receipt=read))


def _read(value: bytes) -> Receipt | NetworkReceipt:
    """In an envelope, or as a bare document. Raises `Rejected`."""
    opened = open_any(value)
    if opened is None:
        return read_receipt(value)
    if (network := opened.network_receipt()) is not None:
        return network
    receipt = read_receipt(opened.payload, opened.media_type)
    return replace(receipt, transport_id=opened.envelope_id, transport_sender=opened.sender, asked=opened.asked)


def _unusable(receipt: Receipt, at: datetime, what: str, problem: str, rule: str) -> Inbound:
    fault = Rejected(
        "MessageHeader.response.identifier", problem, "quote MessageHeader.id of the notification answered", rule
    )
    return Inbound(row=receipt_row(at, receipt.origin, what, receipt.verdict, reason=rule), rejected=fault)
