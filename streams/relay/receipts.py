"""One receipt as received, from bytes to a record for the lane that its quoted id names (02 §4.4, 00 §1.3).

A receipt comes in a VANSEnvelope, in an SBDH, or bare. Every id we mint begins with its lane, so whatever layer a
receipt belongs to, the id it quotes says where its message lies. What cannot be read gets no answer, and the timer of
the message goes on (AV1, AV2); an answer to one of our own acknowledgements is none of ours (AV6). One that quotes no
id of our form cannot find a lane: it is unmatched at once.

Pure. Who has posted it is known from its topic alone (00 §9.1) and goes along; whether that is the unit which was
written to (AV3) is judged in the lane, beside the address.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from streams.envelopes import sbdh, vans
from streams.messages.acknowledgement import reaction
from streams.messages.acknowledgement import read_bytes as read_receipt
from streams.records.ledger import LedgerRow, receipt_row
from streams.words.errors import Rejected
from streams.words.ids import Lane, lane_of_id
from streams.words.model import LaneRecord, NetworkReceipt, NetworkReceiptArrived, Receipt, ReceiptArrived

from .bounds import bounded

__all__ = ["Inbound", "take_receipt"]

_SBDH_MARK: Final = b"StandardBusinessDocument"
_VANS_MARK: Final = b"VANSEnvelope"


@dataclass(frozen=True, slots=True)
class Inbound:
    """A record for a lane; or what the arrival was instead (law L4) and why, for its dead letter."""

    lane: Lane | None = None
    record: LaneRecord | None = None
    row: LedgerRow | None = None
    rejected: Rejected | None = None


def take_receipt(value: bytes, *, origin: str, at: datetime, posted_by: str = "") -> Inbound:
    """What the record at `origin` (`topic/partition/offset`) is, as taken up at `at`. Never raises `Rejected`.

    `posted_by`: the municipality whose letterbox it comes from; "" when the topic is not one municipality's.
    """
    try:
        read = _read(value, origin, posted_by)
    except Rejected as rejected:
        return Inbound(row=receipt_row(at, origin, "unreadable", reason=rejected.rule), rejected=rejected)
    if isinstance(read, NetworkReceipt):
        return _network(bounded(read), at)
    read = bounded(read)
    if reaction(read) == "ignore":
        return _refused(read, at, "quarantined", "an acknowledgement is never acknowledged", "AV6")
    quoted = (read.message_id, *read.fallback_ids)
    lane = next((lane for lane in map(lane_of_id, quoted) if lane is not None), None)
    if lane is None:
        return _refused(read, at, "unmatched", "no id of ours is of this form", "unmatched")
    return Inbound(lane, ReceiptArrived(at=at, receipt=read))


def _refused(receipt: Receipt, at: datetime, what: str, problem: str, rule: str) -> Inbound:
    fault = Rejected(
        "MessageHeader.response.identifier", problem, "quote MessageHeader.id of the notification answered", rule
    )
    return Inbound(row=receipt_row(at, receipt.origin, what, receipt.verdict, reason=rule), rejected=fault)


def _network(receipt: NetworkReceipt, at: datetime) -> Inbound:
    """A receipt for an envelope; one that names none of ours is set aside and counts for nothing (03 §4.1, S5)."""
    lane = lane_of_id(receipt.original_transport_id)
    if lane is None:
        fault = Rejected(
            "OriginalEnvelopeIdentifier", "no envelope of ours has this id", "quote our EnvelopeIdentifier", "unmatched"
        )
        return Inbound(rejected=fault)
    return Inbound(lane, NetworkReceiptArrived(at=at, receipt=receipt))


def _read(value: bytes, origin: str, posted_by: str) -> Receipt | NetworkReceipt:
    """By the first tag: an envelope, or a bare document. Raises `Rejected`."""
    head = value[:512]
    if _VANS_MARK in head:
        return replace(_from_vans(value, origin), posted_by=posted_by)
    if _SBDH_MARK in head:
        return replace(_from_sbdh(value, origin), posted_by=posted_by)
    return replace(read_receipt(value), origin=origin, posted_by=posted_by)


def _from_vans(value: bytes, origin: str) -> Receipt | NetworkReceipt:
    opened = vans.open_envelope(value)
    network = opened.network_receipt(origin)
    if network is not None:
        return network
    receipt = read_receipt(opened.payload, opened.media_type)
    return replace(receipt, origin=origin, transport_id=opened.envelope_id, transport_sender=opened.sender)


def _from_sbdh(value: bytes, origin: str) -> Receipt | NetworkReceipt:
    opened = sbdh.open_envelope(value)
    network = opened.network_receipt(origin)
    if network is not None:
        return network
    receipt = read_receipt(opened.payload, opened.media_type)
    return replace(receipt, origin=origin, transport_id=opened.envelope_id, transport_sender=opened.sender)
