"""Receipts for letters as the receipts of the relay: which message, which verdict, which reason (spec 04 §12)."""

from typing import Any

import pytest

from streams.messages.legacy.document import write
from streams.messages.legacy.letter import AnsweredLetter
from streams.messages.legacy.receipts import receipt_of
from streams.messages.sending import read_receipt
from streams.words.codes import ACK_ERROR_SYSTEM
from streams.words.errors import Rejected
from streams.words.model import NetworkReceipt, Receipt
from tests.meanings.letters import ADMISSION, receipt
from tests.published import SHARED

LETTER, ENVELOPE = "ST0000000000A1", "ST0000000000E1"
OURS, OTHERS = (AnsweredLetter(letter_id=each, version="XD2030C") for each in (LETTER, "ST0000000000A9"))
SYNTAXES = pytest.mark.parametrize("syntax", ["oioxml", "edifact"])

#: Number, the letters that it names -> verdict, the ids that are looked for in their order.
VERDICTS: list[tuple[str, tuple[AnsweredLetter, ...], str, tuple[str, ...]]] = [
    ("03", (OURS,), "ok", (LETTER, ENVELOPE)),
    ("03", (), "ok", (ENVELOPE,)),
    ("03", (OTHERS, OURS), "ok", ("ST0000000000A9", LETTER, ENVELOPE)),
    ("02", (OURS,), "fatal-error", (LETTER,)),
    ("02", (), "fatal-error", (ENVELOPE,)),
    ("02", (OTHERS,), "fatal-error", ("ST0000000000A9",)),  # ours is not among them: no message is found by it
    ("02", (OURS, OTHERS), "fatal-error", (LETTER, "ST0000000000A9")),
]


@SYNTAXES
@pytest.mark.parametrize(("number", "letters", "verdict", "quoted"), VERDICTS)
def test_receipt_is_verdict_about_letters(number: Any, letters: Any, verdict: str, quoted: Any, syntax: Any) -> None:
    data = write(receipt(number=number, letters=letters, original_envelope_id=ENVELOPE), syntax)
    read = read_receipt(data)
    assert isinstance(read, Receipt)
    assert (read.verdict, (read.message_id, *read.fallback_ids)) == (verdict, quoted)
    assert (read.sender_gln, read.destination_gln) == ("2990000004611", "2990000000019")
    assert (read.ack_message_id, read.nonconformant, read.statistics) == ("MK0000000000C1", (), verdict)


#: RefuseCode -> MedCom's code and its system (04 §12).
REASONS = {
    "ukendt_lokationsnummer": ("MSG_Receiver_Identifier_UNKNOWN", ACK_ERROR_SYSTEM),
    "problem_med_modtagerID": ("MSG_Receiver_Identifier_UNKNOWN", ACK_ERROR_SYSTEM),
    "problem_med_version": ("MSG_RECEIVER_UNABLE_TO_RECEIVE_MSG_TYPE", ACK_ERROR_SYSTEM),
    "syntaksfejl": ("MSG_BAD_SYNTAX", "http://terminology.hl7.org/CodeSystem/operation-outcome"),
    "ikke_specificeret": ("", ""),
}


@SYNTAXES
@pytest.mark.parametrize("code", REASONS)
@pytest.mark.parametrize("place", ["envelope", "letter"])
def test_reason_has_code_of_medcom(code: str, place: str, syntax: Any) -> None:
    reason = {"refuse_code": code, "refuse_text": "nej: ikke"}
    named = AnsweredLetter(letter_id=LETTER, version="XD2030C", **(reason if place == "letter" else {}))
    refused = receipt(number="02", letters=(named,), **(reason if place == "envelope" else {}))
    read = read_receipt(write(refused, syntax))
    assert isinstance(read, Receipt)
    (issue,) = read.issues
    assert (issue.details_code, issue.details_system) == REASONS[code]
    assert (issue.severity, issue.text) == ("error", "nej: ikke")


@SYNTAXES
def test_receipt_of_network_is_about_envelope(syntax: Any) -> None:
    refused = receipt(
        number="01",
        original_envelope_id=ENVELOPE,
        sender_gln="NETVAERK",
        refuse_code="ukendt_lokationsnummer",
        refuse_text="findes ikke",
    )
    assert read_receipt(write(refused, syntax)) == NetworkReceipt(
        positive=False,
        original_transport_id=ENVELOPE,
        transport_id="MK0000000000C1",
        transport_sender="NETVAERK",
        description="findes ikke",
    )


@SYNTAXES
def test_letter_is_no_receipt(syntax: str) -> None:
    with pytest.raises(Rejected) as rejected:
        read_receipt(ADMISSION[syntax])
    assert rejected.value.rule == "AV1"


def test_reason_without_text_is_shown_by_its_code() -> None:
    read = receipt_of(receipt(number="01", refuse_code="syntaksfejl"))
    assert isinstance(read, NetworkReceipt)
    assert read.description == "MSG_BAD_SYNTAX"


@pytest.mark.published
@pytest.mark.parametrize(
    ("name", "verdict"), [("CTL03-positive", "ok"), ("CTL02-negative", "fatal-error"), ("CTL01-vans-negative", None)]
)
def test_samples_of_two_syntaxes_are_one_receipt(name: str, verdict: str | None) -> None:
    folder = SHARED / "data" / "legacy"
    one = read_receipt((folder / f"X{name}.xml").read_bytes())
    assert one == read_receipt((folder / f"{name}.edi").read_bytes())
    assert getattr(one, "verdict", None) == verdict
