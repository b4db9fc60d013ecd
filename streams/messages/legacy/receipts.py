"""What a receipt for letters says of our message: XCTL01-03 and CTL01-03 as the values of every receipt (spec 04 §12).

`03` accepts the whole envelope, `02` refuses the letters that it names, or all when it names none; of other letters it says
nothing to us. `01` comes from the network, which could not deliver the envelope. There is no transient verdict.
"""

from collections.abc import Iterator
from typing import Final

from streams.words.codes import ACK_ERROR_SYSTEM, Verdict
from streams.words.errors import Rejected
from streams.words.model import NetworkReceipt, Receipt, ReceiptIssue

from .document import read
from .letter import AnsweredLetter, Letter, LetterReceipt

_HL7: Final = "http://terminology.hl7.org/CodeSystem/operation-outcome"
_UNKNOWN_RECEIVER: Final = ("not-found", "MSG_Receiver_Identifier_UNKNOWN", ACK_ERROR_SYSTEM)
#: RefuseCode -> code of the issue, MedCom's code and its system (04 §12, 02 §4.3).
_REASONS: Final = {
    "ukendt_lokationsnummer": _UNKNOWN_RECEIVER,
    "problem_med_modtagerID": _UNKNOWN_RECEIVER,
    "problem_med_version": ("not-supported", "MSG_RECEIVER_UNABLE_TO_RECEIVE_MSG_TYPE", ACK_ERROR_SYSTEM),
    "syntaksfejl": ("structure", "MSG_BAD_SYNTAX", _HL7),
    "ikke_specificeret": ("processing", "", ""),
    "": ("processing", "", ""),
}


def read_bytes(data: bytes, media: str = "") -> Receipt | NetworkReceipt:
    """The receipt in a document of either syntax. Raises `Rejected`; rule `AV1` for a letter that is no receipt."""
    found = read(data)
    if isinstance(found, Letter):
        raise Rejected("/", "a letter, where a receipt is expected", "send XCTL or CTL", "AV1")
    return receipt_of(found)


def receipt_of(found: LetterReceipt) -> Receipt | NetworkReceipt:
    """The same as a value of the relay. A message is known by its letter, or by the envelope when no letter is named."""
    issues = tuple(_issues(found))
    if found.number == "01":
        return NetworkReceipt(
            positive=False,
            original_transport_id=found.original_envelope_id,
            transport_id=found.envelope_id,
            transport_sender=found.sender_gln,
            description="; ".join(issue.text or issue.details_code for issue in issues),
        )
    positive = found.number == "03"
    letters = [each.letter_id for each in found.letters]
    # What refuses other letters of the envelope must not reach ours by the id of the envelope.
    message_id, *others = [*letters, found.original_envelope_id] if positive or not letters else letters
    verdict: Verdict = "ok" if positive else "fatal-error"
    return Receipt(
        verdict=verdict,
        message_id=message_id,
        fallback_ids=tuple(dict.fromkeys(each for each in others if each != message_id)),
        ack_message_id=found.receipt_id,
        ack_envelope_id=found.envelope_id,
        sender_gln=found.sender_gln,
        destination_gln=found.receiver_gln,
        issues=issues,
        statistics=verdict,
    )


def _issues(found: LetterReceipt) -> Iterator[ReceiptIssue]:
    reasons: tuple[LetterReceipt | AnsweredLetter, ...] = (found, *found.letters)
    for each in reasons:
        if each.refuse_code or each.refuse_text:
            code, details, system = _REASONS[each.refuse_code]
            yield ReceiptIssue(
                severity="error", code=code, details_code=details, details_system=system, text=each.refuse_text
            )
