"""Any letter and any receipt: both syntaxes carry it, each form is that of its standard (spec 04 §§10-12; 00 §7)."""

import unicodedata
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from lxml import etree
from msgspec.structs import replace

from streams.messages.legacy.document import Syntax, changes, read, write
from streams.messages.legacy.inspect import inspect
from streams.messages.legacy.letter import AnsweredLetter, Letter, LetterReceipt, Party
from streams.messages.legacy.text import latin1
from streams.messages.legacy.trees import REFUSE_CODES, SENDER_CODES, STATUSES
from tests import damage
from tests.meanings.interchange_grammar import faults
from tests.meanings.letters import ADMISSION, HOSPITAL, TOWN, letter, receipt
from tests.meanings.test_letters import LETTERS, SAMPLES, SYNTAXES, in_syntax
from tests.published import SHARED

# What means something in EDIFACT or XML, what is Danish, what ISO 8859-1 does not have, what is a control character.
_LETTERS = st.sampled_from("aZ0 ?+:'\\&<>\"*_-æøåÆØÅé\xa0\xad\xff—’łŁąƵ\u0301\u200b\t\n\x85😀")
_ANY = _LETTERS | st.characters(codec="utf-8", exclude_characters="\0")


def _texts(longest: int = 60) -> st.SearchStrategy[str]:
    return st.text(_ANY, max_size=longest)


def _names() -> st.SearchStrategy[str]:
    # `_` alone is the name of nobody in EDIFACT (00 §7.9).
    return _texts().filter(lambda text: latin1(text, 35).text not in ("", "_"))


def _ids(longest: int) -> st.SearchStrategy[str]:
    marks = st.sampled_from("A9 ?+:'&<æÿ")
    return st.text(marks, min_size=1, max_size=longest).filter(lambda text: text == text.strip())


#: Two digits of a year mean these (04 §11).
_SENT = st.datetimes(datetime(1976, 1, 1), datetime(2075, 12, 31, 23, 59)).map(
    lambda at: at.replace(second=0, microsecond=0)
)
_SIGNED = st.datetimes().map(lambda at: at.replace(microsecond=0))
_HAPPENED = st.datetimes().map(lambda at: at.replace(second=0, microsecond=0))


def _letters() -> st.SearchStrategy[Letter]:
    party = st.builds(Party, gln=_ids(35), identifier=_ids(17), code=st.sampled_from(SENDER_CODES), name=_names())
    sender = st.builds(
        lambda one, department, unit, phone: replace(one, department=department, unit=unit, phone=phone),
        party,
        _texts(),
        _texts(),
        _texts(),
    )
    receiver = st.builds(lambda one, name: replace(one, code="kommunenummer", name=name), party, st.just("") | _names())

    def of(number: Any) -> st.SearchStrategy[Letter]:
        return st.builds(
            Letter,
            number=st.just(number),
            envelope_id=_ids(14),
            sent=_SENT,
            positive_receipt=st.booleans(),
            letter_id=_ids(14),
            authorised=_SIGNED,
            status=st.sampled_from(("nytbrev", "rettetbrev", "annulleretbrev")),
            stay=_ids(35),
            sender=sender,
            answer_to=_ids(35) if number == "20" else st.just("") | _ids(35),
            receiver=receiver,
            cpr=st.text(st.sampled_from("0123456789"), min_size=10, max_size=10),
            patient_status=st.sampled_from(("", *STATUSES[f"DIS{number}"])),
            occurred=_HAPPENED,
        )

    return of("20") | of("17")


def _receipts() -> st.SearchStrategy[LetterReceipt]:
    line = st.text(_ANY | st.just("\\"), max_size=80)
    reasons = st.lists(line, max_size=7).map("\n".join)
    codes = st.sampled_from(("", *REFUSE_CODES))

    def of(number: Any) -> st.SearchStrategy[LetterReceipt]:
        silent = number == "03"
        refusal = {"refuse_code": st.just("") if silent else codes, "refuse_text": st.just("") if silent else reasons}
        answered = st.builds(
            AnsweredLetter, letter_id=_ids(14), version=st.sampled_from(("XD2030C", "XD1730C")), **refusal
        )
        return st.builds(
            LetterReceipt,
            number=st.just(number),
            envelope_id=_ids(14),
            sent=_SENT,
            receipt_id=_ids(14),
            original_envelope_id=_ids(14),
            letters=st.lists(answered, max_size=3).map(tuple),
            **{
                name: _ids(35)
                for name in ("sender_gln", "receiver_gln", "original_sender_gln", "original_receiver_gln")
            },
            **refusal,
        )

    return of("03") | of("02") | of("01")


def cleaned(value: Letter) -> Letter:
    """What is left of its texts (00 §7.11)."""
    sender = value.sender
    return replace(
        value,
        sender=replace(
            sender,
            name=latin1(sender.name, 35).text,
            department=latin1(sender.department, 35).text,
            unit=latin1(sender.unit, 35).text,
            phone=latin1(sender.phone, 25, marked=False).text,
        ),
        receiver=replace(value.receiver, name=latin1(value.receiver.name, 35).text),
    )


@given(_letters())
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_letter_is_carried_by_both_syntaxes(value: Letter) -> None:
    clean = cleaned(value)
    for syntax in ("oioxml", "edifact"):
        data = write(value, syntax)  # type: ignore[arg-type]
        again = read(data)
        assumed = {"20": "indlagt", "17": "uoplyst"}[value.number] if syntax == "edifact" else ""
        assert again == replace(clean, patient_status=value.patient_status or assumed)
        assert write(again, syntax) == data  # type: ignore[arg-type]
    assert faults(write(value, "edifact")) == []
    if value.patient_status:
        assert write(read(write(value, "edifact")), "oioxml") == write(value, "oioxml")
        assert write(read(write(value, "oioxml")), "edifact") == write(value, "edifact")


@given(_receipts())
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@example(receipt(number="02", refuse_text="en \\\nto\\"))
@example(receipt(number="02", refuse_code="syntaksfejl", refuse_text=f"{'x' * 69}\\\n{'y' * 70}\\"))
def test_any_receipt_is_carried_by_both_syntaxes(value: LetterReceipt) -> None:
    for syntax in ("oioxml", "edifact"):
        data = write(value, syntax)  # type: ignore[arg-type]
        again = read(data)
        assert write(again, syntax) == data  # type: ignore[arg-type]
    assert faults(write(value, "edifact")) == []
    plain, reasons = read(write(value, "oioxml")), (value, *value.letters)
    if all(each.refuse_code or not each.refuse_text for each in reasons) and not any(
        change.what == "cut" for change in changes(value, "edifact")
    ):
        assert in_syntax(read(write(value, "edifact")), "oioxml") == plain
        assert write(read(write(value, "edifact")), "oioxml") == write(value, "oioxml")


@pytest.mark.published
@given(_letters() | _receipts())
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_letter_is_valid_by_its_schema(value: Letter | LetterReceipt) -> None:
    _valid(write(value, "oioxml"))


_SCHEMAS: list[etree.XMLSchema] = []


def _valid(data: bytes) -> None:
    """Entities, document types and network are off."""
    parser = etree.XMLParser(resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False)
    if not _SCHEMAS:
        _SCHEMAS.append(etree.XMLSchema(etree.parse(SHARED / "data" / "legacy" / "advis-2005-08-07.xsd", parser)))
    _SCHEMAS[0].assertValid(etree.fromstring(data, parser))


#: Of what its schema lets pass we refuse this (00 §7.21), and days that there are not.
_STRICTER = ("VersionCode", "TypeCode", "StatisticalCode", "IdentifierCode")


@pytest.mark.published
@pytest.mark.parametrize("name", LETTERS)
def test_reader_and_schema_agree_on_damage(name: str) -> None:
    found = {True: 0, False: 0}
    for how, data in damage.xml(LETTERS[name][0]["oioxml"]):
        try:
            _valid(data)
            valid = True
        except etree.DocumentInvalid:
            valid = False
        judged = inspect(data)
        errors = [issue["path"].rpartition("/")[2] for issue in judged["issues"] if issue["severity"] == "error"]
        ours = not [each for each in errors if not (valid and each in _STRICTER)]
        assert ours == valid, how
        found[valid] += 1
    assert min(found.values()) > 30


@pytest.mark.parametrize("name", LETTERS)
def test_what_the_grammar_takes_is_read(name: str) -> None:
    """The reader takes more than the grammar, which is that of what we write; never less, but for 00 §7.22."""
    for how, data in damage.edifact(LETTERS[name][0]["edifact"]):
        if not faults(data.replace(b"\r\n", b"").replace(b"\n", b"\r\n").replace(b".? '", b".? '\r\n", 1)):
            assert inspect(data)["valid"], how


@pytest.mark.published
@pytest.mark.parametrize("name", LETTERS)
def test_our_letters_are_valid_by_their_schema(name: str) -> None:
    _valid(LETTERS[name][0]["oioxml"])


@pytest.mark.parametrize("name", LETTERS)
def test_our_interchanges_are_right_by_the_grammar(name: str) -> None:
    assert faults(LETTERS[name][0]["edifact"]) == []


@pytest.mark.published
@pytest.mark.parametrize("path", [path for path in SAMPLES if path.suffix == ".edi"], ids=lambda path: path.name)
def test_grammar_takes_the_samples(path: Any) -> None:
    assert faults(path.read_bytes()) == []


@pytest.mark.parametrize(
    ("there", "instead"),
    [
        (b"UNT+26", b"UNT+25"),
        (b"afd. ?'A", b"afd. 'A"),
        (b"GIS+P'\r\n", b""),
        (b"SRI:ST", b"SRI:XX"),
        (b"PAS+HS", b"PAS+DH"),
    ],
)
def test_grammar_is_not_blind(there: bytes, instead: bytes) -> None:
    assert faults(ADMISSION["edifact"].replace(there, instead))


# ---- texts ----------------------------------------------------------------------------------------------------------

#: Text, limit -> what is written (00 §7.11).
CLEANED = [
    ("Sygehus Øst", 35, "Sygehus Øst"),
    ("Łódź Ąę", 35, "?ódz Ae"),
    ("Cafe\u0301", 35, "Café"),
    ("a—b’c😀", 35, "a?b?c?"),
    ("\t a\r\nb\x85", 35, "a  b"),
    ("x" * 35, 35, "x" * 35),
    ("x" * 36, 35, "x" * 34 + "*"),
    ("x" * 34 + "  ", 35, "x" * 34),
    ("e\u0301" * 35, 35, "é" * 35),
    ("'" * 36, 35, "'" * 34 + "*"),  # counted before they are released
    ("", 35, ""),
    (" \n ", 35, ""),
]


@pytest.mark.parametrize(("text", "limit", "written"), CLEANED)
def test_text_is_cleaned(text: str, limit: int, written: str) -> None:
    assert latin1(text, limit).text == written


@given(_texts(80), st.integers(0, 40), st.booleans())
def test_cleaned_text_is_clean(text: str, limit: int, marked: bool) -> None:
    once = latin1(text, limit, marked=marked)
    assert latin1(once.text, limit, marked=marked) == (once.text, False, False)
    assert not limit or len(once.text) <= limit
    assert all(unicodedata.category(each) != "Cc" and ord(each) < 256 for each in once.text)


@SYNTAXES
def test_changes_of_texts_are_named(syntax: Syntax) -> None:
    sender = replace(HOSPITAL, name="Łódź", department="x" * 40, unit="ł" * 40, phone="1" * 30)
    changed = changes(letter(sender=sender, receiver=replace(TOWN, name="Odense")), syntax)
    assert [(each.what, each.field) for each in changed] == [
        ("transliterated", "sender.name"),
        ("cut", "sender.department"),
        ("transliterated", "sender.unit"),
        ("cut", "sender.unit"),
        ("cut", "sender.phone"),
    ]
    assert changes(letter(), syntax) == ()


def test_what_a_segment_must_say_is_assumed() -> None:
    silent = letter(patient_status="")
    assert [*changes(silent, "edifact")] == [("assumed", "patient_status", "indlagt")]
    reason = receipt(number="02", refuse_text="nej")
    assert [*changes(reason, "edifact")] == [("assumed", "refuse_code", "ikke_specificeret")]
    assert changes(silent, "oioxml") == changes(reason, "oioxml") == ()


def test_reason_without_room_in_segment_is_cut_there() -> None:
    refused = receipt(number="02", refuse_code="syntaksfejl", refuse_text="\n".join("abcdef"))
    assert changes(refused, "oioxml") == ()
    assert [(each.what, each.field) for each in changes(refused, "edifact")] == [("cut", "refuse_text")]
    assert read(write(refused, "edifact")).refuse_text == "a\nb\nc\nd\ne*"  # type: ignore[union-attr]
