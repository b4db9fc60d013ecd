"""Legacy letters and their receipts: bytes to a value and back, in both syntaxes (spec 04 §§10-12)."""

from datetime import datetime
from typing import Any

import pytest
from msgspec.structs import replace

from streams.messages.legacy.document import read, read_all, write
from streams.messages.legacy.inspect import inspect
from streams.messages.legacy.letter import AnsweredLetter, LetterReceipt
from streams.words.errors import Rejected
from tests.meanings.letters import ADMISSION, DISCHARGE, HOSPITAL, REFUSED, TOWN, letter, receipt
from tests.published import SHARED

LEGACY = SHARED / "data" / "legacy"
SAMPLES = [path for path in sorted(LEGACY.glob("*")) if path.suffix in (".xml", ".edi")]
SYNTAX = {".xml": "oioxml", ".edi": "edifact"}
OTHER = {"oioxml": "edifact", "edifact": "oioxml"}
SYNTAXES = pytest.mark.parametrize("syntax", ["oioxml", "edifact"])

#: Bytes in both syntaxes, and the value.
LETTERS = {
    "an admission": (ADMISSION, letter()),
    "a cancelled discharge, of few words": (
        DISCHARGE,
        letter(
            number="17",
            envelope_id="ST0000000000B2",
            letter_id="ST0000000000B1",
            sent=datetime(2026, 3, 6, 10, 40),
            authorised=datetime(2026, 3, 6, 10, 39, 59),
            positive_receipt=False,
            status="annulleretbrev",
            sender=replace(
                HOSPITAL,
                identifier="2990000000019",
                code="lokationsnummer",
                name="Sygehus <Nord> & Syd",
                department="",
                unit="",
                phone="",
            ),
            answer_to="",
            receiver=replace(TOWN, name=""),
            patient_status="udskrevet_til_hjemmet",
            occurred=datetime(2026, 3, 6, 10, 2),
        ),
    ),
    "a negative receipt": (
        REFUSED,
        receipt(
            number="02",
            envelope_id="MK0000000000C2",
            refuse_code="ikke_specificeret",
            refuse_text="To breve",
            letters=(
                AnsweredLetter(letter_id="ST0000000000A1", version="XD2030C", refuse_code="problem_med_version"),
                AnsweredLetter(
                    letter_id="ST0000000000A2",
                    version="XD1730C",
                    refuse_code="syntaksfejl",
                    refuse_text=f"Linje 1: nej\n{'0123456789' * 7}abc",
                ),
            ),
        ),
    ),
}


def in_syntax(value: Any, syntax: str) -> Any:
    """A receipt names versions in the spelling of its syntax (04 §12)."""
    if not isinstance(value, LetterReceipt):
        return value
    plain = (replace(each, version=each.version.removeprefix("X")) for each in value.letters)
    prefix = "X" if syntax == "oioxml" else ""
    return replace(value, letters=tuple(replace(each, version=prefix + each.version) for each in plain))


@SYNTAXES
@pytest.mark.parametrize("name", LETTERS)
def test_bytes_are_read_and_written_again(name: str, syntax: Any) -> None:
    data, value = LETTERS[name]
    assert read(data[syntax]) == in_syntax(value, syntax)
    assert write(value, syntax) == data[syntax]


@pytest.mark.published
@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_sample_is_written_as_it_was_read(path: Any) -> None:
    data, syntax = path.read_bytes(), SYNTAX[path.suffix]
    value = read(data)
    assert write(value, syntax) == data  # type: ignore[arg-type]
    assert write(read(write(value, OTHER[syntax])), syntax) == data  # type: ignore[arg-type]


@pytest.mark.published
@pytest.mark.parametrize("path", [path for path in SAMPLES if path.suffix == ".xml"], ids=lambda path: path.name)
def test_twins_of_two_syntaxes_are_one_letter(path: Any) -> None:
    twin = path.with_name(path.name.removeprefix("X")).with_suffix(".edi")
    assert write(read(path.read_bytes()), "edifact") == twin.read_bytes()
    assert write(read(twin.read_bytes()), "oioxml") == path.read_bytes()


def test_several_letters_in_an_envelope_are_read_together() -> None:
    head, tail = ADMISSION["oioxml"].split(b"</Emessage>")
    begin = DISCHARGE["oioxml"].index(b"  <NotificationOfDischarge>")
    both = head + DISCHARGE["oioxml"][begin:]
    first, second = read_all(both)
    assert first == letter()
    assert second == replace(
        LETTERS["a cancelled discharge, of few words"][1],
        envelope_id=first.envelope_id,
        sent=first.sent,
        positive_receipt=True,
    )
    with pytest.raises(Rejected, match="2 letters in one envelope"):
        read(both)
    judged = inspect(
        both.replace(b"  <NotificationOfDischarge>", b"<Local_Elements>x</Local_Elements><NotificationOfDischarge>")
    )
    assert (judged["kind"], judged["valid"], judged["reading"]["type"]) == ("xdis20", True, "XDIS20")
    assert [(issue["severity"], issue["rule"]) for issue in judged["issues"]] == [("warning", "00 §7.21")]
    assert tail == b"\n"
