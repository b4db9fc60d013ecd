"""The border: one record of an inbox, and one of a receiver's receipts, from bytes to a record for its lane.

A message is read and checked here, before anyone gets a copy. What fails is answered at once (B5): `fatal-error` when the
document names its sender, else a NegativeMessage when the envelope does; it lies with the dead letters too. A good envelope
gets its own receipt (02 §2.4), which is nobody's verdict.

The lane is the key under which the record lay in the inbox, where all messages of a stay have the same (B9); for a record
without a lane as key, the lane at the front of the message's id. Where the two differ, the id was made by others: its
answers look for it where its id leads, and a record there sends them on.

Pure. Ids stand for the arrival, so a step that is repeated after a crash repeats them.
"""

import re
from collections.abc import Container
from datetime import datetime
from typing import Final, Protocol

from msgspec.structs import replace

from streams.envelopes import vans
from streams.envelopes.envelope import ENVELOPES
from streams.envelopes.wrapping import OpenedEnvelope, open_any
from streams.messages.acknowledgement import reaction
from streams.messages.message_type import MESSAGE_TYPES
from streams.messages.sending import read_receipt
from streams.records import trace
from streams.records.ledger import arrival_row, copy_receipt_row, returned_row
from streams.records.trace import About
from streams.relay.bounds import bounded
from streams.relay.lane import Traced
from streams.words.codes import HOSPITAL_NOTIFICATION
from streams.words.errors import Rejected
from streams.words.ids import Ids, Kommunekode, Lane, minted_lane
from streams.words.model import NetworkReceipt, Receipt, ReceiptIssue

from .answer import Answerable, answer, envelope_receipt
from .forms import FORMS, Incoming, form_of
from .row import Consequence, CopyAnswered, Elsewhere, MessageArrived, RefusedRecord, SentOn

_LANE: Final = re.compile(rb"[0-9a-f]{8}")
#: Of answers to a message of which no lane is known.
_NO_LANE: Final = Lane("0" * 8)
_HEAD: Final = 512  # bytes in which the first element begins

Consequences = tuple[Consequence, ...]


class Addresses(Protocol):
    """What the border asks of the registers."""

    def senders(self, kommunekode: str, at: datetime) -> Container[str]:
        """The location numbers of a municipality."""


def take_in(
    value: bytes,
    key: bytes,
    *,
    kommunekode: Kommunekode,
    origin: str,
    at: datetime,
    ids: Ids,
    registers: Addresses,
    device_id: str = "",
) -> Consequences:
    """What follows from the record at `origin` (`topic/partition/offset`) of an inbox. Never raises `Rejected`.

    `device_id` names our station in status events; "" for none.
    """
    key_lane = Lane(key.decode()) if _LANE.fullmatch(key) else None
    lane = key_lane or _NO_LANE

    def refused(rejected: Rejected, message_id: str = "") -> Consequences:
        row = arrival_row(
            at, origin, "refused", message_id, lane=lane, kommunekode=kommunekode, reason=rejected.rule or "rejected"
        )
        return Consequence(row), Consequence(RefusedRecord(rejected))

    try:
        opened = open_any(value)
    except vans.EnvelopeRefused as fault:
        negative = () if fault.answer is None else (_receipt(fault.answer, fault, lane, origin, at, ids),)
        return (*negative, *refused(fault))
    except Rejected as fault:
        return refused(fault)
    if opened is not None and opened.network_receipt() is not None:
        return refused(Rejected("$", "a receipt in an inbox", "send it to the topic of receipts", "AV6"))
    head = _head(opened)
    document = value if opened is None else opened.payload
    form = form_of(document)
    try:
        incoming = FORMS[form].reads(document)
    except Rejected as fault:
        negative = () if head is None else (_receipt(head, fault, lane, origin, at, ids),)
        return (*negative, *refused(fault))

    sender, receiver = incoming.sender, incoming.receiver
    if head is not None:
        sender, receiver = head.sender, head.receiver
    id_lane = minted_lane(incoming.message_id)
    lane = key_lane or id_lane or _NO_LANE
    envelope = _envelope_of(value) if opened is not None else "none"
    errors = _errors(incoming, receiver, registers.senders(kommunekode, at), id_lane)
    if errors:
        rejected = Rejected(
            "Bundle", errors[0].text, "send a new message that is right", errors[0].details_code or "B5"
        )
        to = Answerable(form, document, incoming.message_id, envelope, sender, receiver)
        try:
            back = answer(to, "fatal-error", errors, lane, origin, at, ids)
        except Rejected:  # it names no one to be answered
            negative = () if head is None else (_receipt(head, rejected, lane, origin, at, ids),)
            return (*negative, *refused(rejected, incoming.message_id))
        returned: Consequences = ()
        if back is not None:
            row = returned_row(
                at, back.receipt_id, "fatal-error", incoming.message_id, kommunekode, lane, reason="refused"
            )
            returned = (Consequence(back), Consequence(row))
            if incoming.parties and device_id:
                document_type = MESSAGE_TYPES[incoming.message_type or HOSPITAL_NOTIFICATION].traced
                about = About(
                    incoming.message_id, document_type, "", incoming.parties[0], incoming.parties[1], incoming.cpr
                )
                step = trace.returned(
                    about,
                    receipt_id=back.receipt_id,
                    bundle_id=back.copy_id,
                    transport_id=back.transport_id,
                    recorded=at,
                    device_id=device_id,
                )
                returned = (*returned, Consequence(Traced(incoming.message_id, step)))
        return (*returned, *refused(rejected, incoming.message_id))

    letter = MessageArrived(
        at=at,
        origin=origin,
        kommunekode=kommunekode,
        message_type=incoming.message_type,
        message_id=incoming.message_id,
        copy_id=incoming.copy_id,
        label=incoming.label,
        form=form,
        envelope=envelope,
        envelope_id="" if opened is None else opened.envelope_id,
        sender=sender,
        receiver=receiver,
        cpr=incoming.cpr,
        parties=incoming.parties,
        data=value,
    )
    effects = [Consequence(SentOn(lane, letter))]
    if id_lane is not None and id_lane != lane:
        effects.append(Consequence(SentOn(id_lane, Elsewhere(at=at, message_id=incoming.message_id, lane=lane))))
    if head is not None and head.meta.transport != "unreliable":
        effects.append(_receipt(head, None, lane, origin, at, ids))
    return tuple(effects)


def _head(opened: OpenedEnvelope | None) -> vans.Head | None:
    """Who sent a VANSEnvelope to whom; None for every other one, which gets no receipt of its own here."""
    if not isinstance(opened, vans.Opened) or opened.meta is None:
        return None
    return vans.Head(
        sender=opened.sender,
        sender_kind=opened.sender_kind,
        receiver=opened.receiver,
        receiver_kind=opened.receiver_kind,
        envelope_id=opened.envelope_id,
        meta=opened.meta,
    )


def _receipt(head: vans.Head, fault: Rejected | None, lane: Lane, origin: str, at: datetime, ids: Ids) -> Consequence:
    problem = None if fault is None else f"{fault.path}: {fault.problem}"
    return Consequence(envelope_receipt(head, problem, lane, origin, at, ids))


def _envelope_of(value: bytes) -> str:
    """The name of the envelope that the first element names."""
    head = value[:_HEAD]
    return next((row.name for row in ENVELOPES.values() if any(root in head for root in row.roots)), "none")


def _errors(incoming: Incoming, receiver: str, ours: Container[str], id_lane: Lane | None) -> tuple[ReceiptIssue, ...]:
    """Why nobody gets a copy (B5)."""
    if incoming.errors:
        return incoming.errors
    if receiver not in ours:
        unknown = "MSG_Receiver_Identifier_UNKNOWN"
        return (ReceiptIssue(severity="error", code="not-found", details_code=unknown, text="unknown receiver"),)
    if id_lane is None:
        return (ReceiptIssue(severity="error", code="value", text="MessageHeader.id is no UUID"),)
    return ()


def take_answer(value: bytes, *, kommunekode: Kommunekode, system: str, origin: str, at: datetime) -> Consequences:
    """What follows from the record at `origin` of a receiver's topic of receipts. Never raises `Rejected`."""

    def unusable(what: str, rejected: Rejected, verdict: str = "") -> Consequences:
        row = copy_receipt_row(at, origin, what, verdict, kommunekode, system, reason=rejected.rule)
        return Consequence(row), Consequence(RefusedRecord(rejected))

    try:
        opened = open_any(value)
        if opened is not None and opened.network_receipt() is not None:
            return ()  # that an envelope has arrived is no answer (02 §7.3)
        receipt = read_receipt(value) if opened is None else read_receipt(opened.payload, opened.media_type)
    except Rejected as fault:
        return unusable("unreadable", fault)
    if isinstance(receipt, NetworkReceipt):
        return ()
    if opened is not None:
        receipt = replace(receipt, transport_id=opened.envelope_id, transport_sender=opened.sender)
    receipt = bounded(replace(receipt, origin=origin, posted_by=kommunekode))
    place, remedy = "MessageHeader.response.identifier", "quote MessageHeader.id of the message answered"
    if reaction(receipt) == "ignore":
        answered = Rejected(place, "an acknowledgement is never acknowledged", remedy, "AV6")
        return unusable("quarantined", answered, receipt.verdict)
    lane = next((lane for one in quoted(receipt) if (lane := minted_lane(one)) is not None), None)
    if lane is None:
        return unusable("unmatched", Rejected(place, "no id of this form", remedy, "unmatched"), receipt.verdict)
    return (Consequence(SentOn(lane, CopyAnswered(at=at, kommunekode=kommunekode, system=system, receipt=receipt))),)


def quoted(receipt: Receipt) -> tuple[str, ...]:
    """The ids by which a receipt may name its message."""
    return (receipt.message_id, *receipt.fallback_ids)
