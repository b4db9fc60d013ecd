"""What goes back to the hospital: an answer to a message in its form, and the receipt for an envelope (02 §§2.4, 7.2 B3).

An answer leaves from the unit that was addressed to the one that sent, in a VANSEnvelope where the message came in an
envelope (02 §7.1), and bare where it came bare. Ids stand for what is answered, so a repeated step repeats them.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from streams.envelopes import vans
from streams.words.codes import Verdict
from streams.words.ids import Ids, Lane
from streams.words.model import ReceiptIssue

from .forms import FORMS, AnswerIds
from .row import Returned


class Answerable(NamedTuple):
    """A message as far as its answer needs it."""

    form: str
    document: bytes
    message_id: str
    envelope: str  # a row of `ENVELOPES`
    sender: str  # GLN
    receiver: str


def answer(
    to: Answerable,
    verdict: Verdict,
    issues: Sequence[ReceiptIssue],
    lane: Lane,
    occasion: str,
    at: datetime,
    ids: Ids,
) -> Returned | None:
    """The answer; None where the form has no such verdict. `occasion` tells the answers to one message apart.

    Raises `Rejected` when the message does not name whom to answer.
    """
    header_id, copy_id, transport_id = (
        ids.mint(lane, what, to.message_id, occasion) for what in ("returned", "returned-copy", "returned-envelope")
    )
    written = FORMS[to.form].answers(to.document, verdict, issues, AnswerIds(header_id, copy_id, ids), at)
    if written is None:
        return None
    bare, data = to.envelope == "none", written.data
    if not bare:
        data = vans.seal_message(
            data,
            sender_gln=to.receiver,
            receiver_gln=to.sender,
            transport_id=transport_id,
            message_id=copy_id,
            sent=at,
            name=written.name,
            version=written.version,
            media_type=written.media_type,
            format=written.label,
        )
    content_type = (written.media_type or f"text/{written.label.lower()}") if bare else "application/xml"
    return Returned(
        lane, data, header_id, f"receipt.{verdict}", to.message_id, content_type, copy_id, "" if bare else transport_id
    )


def envelope_receipt(head: vans.Head, problem: str | None, lane: Lane, origin: str, at: datetime, ids: Ids) -> Returned:
    """The receipt for the envelope that lay at `origin`: a NegativeMessage where there is a problem."""
    receipt_id = ids.mint(lane, "envelope-receipt", head.envelope_id, origin)
    data = vans.seal_receipt(
        "positive-message" if problem is None else "negative-message",
        sender=head.receiver,
        receiver=head.sender,
        sender_kind=head.receiver_kind,
        receiver_kind=head.sender_kind,
        transport_id=receipt_id,
        sent=at,
        original_transport_id=head.envelope_id,
        original=head.meta,
        error=problem or "",
    )
    return Returned(lane, data, receipt_id, "envelope-receipt", head.envelope_id)
