"""The bounds of the readers: what is as large as a bound is read, what is a little larger is refused unread."""

from collections.abc import Callable
from typing import Any

import pytest

from streams.envelopes import grammar
from streams.formats import edifact, oioxml, xml
from streams.formats.fhir import read as fhir
from streams.formats.fhir.structure import base_check
from streams.words.errors import Rejected
from tests.meanings.test_legacy import ADMISSION, NOTICE

XML = ADMISSION.replace(b"\n", b"")


def _nothing(size: int) -> bytes:
    """Bytes that are refused at the first of them, if they are read at all."""
    return b"]" * size


def _notice(size: int) -> bytes:
    return NOTICE + b" " * (size - len(NOTICE))


def _tags(root: bytes, tags: int) -> bytes:
    """A document of one namespace with this number of `<`."""
    return b'<r xmlns="%b">' % root + b"<a/>" * (tags - 2) + b"</r>"


def _segments(number: int) -> bytes:
    """An interchange of this number of segments."""
    head, tail = NOTICE.split(b"UNT+25")
    more = b"PAS+HS'" * (number - 27)
    return head + more + b"UNT+%d" % (number - 2) + tail


def _separators(number: int) -> bytes:
    """An interchange of this number of separators within segments."""
    there = sum(NOTICE[9:].count(mark) for mark in (b"+", b":", b"?"))
    return NOTICE.replace(b"Hospital", b"Hospital" + b":" * (number - there))


def _deep(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


#: Bound -> (reader, a document of a size, the bound, the problem of one that is larger)
BOUNDS: dict[str, tuple[Callable[[bytes], Any], Callable[[int], bytes], int, str]] = {
    "bytes of EDIFACT": (edifact.read, _notice, 1 << 20, "longer than 1 MB"),
    "segments": (edifact.read, _segments, 5_000, "more than 5000 segments"),
    "separators": (edifact.read, _separators, 100_000, "more than 100000 components"),
    "bytes of OIOXML": (oioxml.parse, lambda size: XML + b" " * (size - len(XML)), 1 << 20, "longer than 1 MB"),
    "tags of OIOXML": (
        oioxml.parse,
        lambda tags: _tags(oioxml.NAMESPACE.encode(), tags),
        20_000,
        "more than 20000 tags",
    ),
    "bytes of FHIR XML": (fhir.read_xml, _nothing, 100 << 20, "longer than 100 MB"),
    "tags of FHIR XML": (
        lambda data: fhir.read_xml(data.replace(b"<r ", b"<Patient ").replace(b"</r>", b"</Patient>")),
        lambda tags: _tags(b"http://hl7.org/fhir", tags),
        200_000,
        "more than 200000 tags",
    ),
    "bytes of JSON": (fhir.from_json, _nothing, 100 << 20, "longer than 100 MB"),
    "objects of JSON": (
        fhir.from_json,
        lambda number: b'{"a":[' + b"{}," * (number - 2) + b"{}]}",
        20_000,
        "more than 20000 objects",
    ),
    "members of JSON": (
        fhir.from_json,
        lambda number: b'{"a":"' + b":" * (number - 1) + b'"}',
        200_000,
        "more than 200000 members",
    ),
    "values of JSON": (
        fhir.from_json,
        lambda number: b'{"a":"' + b"," * number + b'"}',
        500_000,
        "more than 500000 values",
    ),
    "levels of JSON": (fhir.from_json, _deep, 100, "nested too deep"),
    "digits of a number": (fhir.from_json, lambda digits: b'{"a":' + b"9" * digits + b"}", 18, "a number of 19 digits"),
    "tags of an envelope": (
        lambda data: grammar.root_of(data, "V1"),
        lambda tags: _tags(b"x", tags),
        200_000,
        "more than 200000 tags",
    ),
}


@pytest.mark.parametrize(("read", "document", "bound", "problem"), BOUNDS.values(), ids=BOUNDS)
def test_bound_is_last_size_that_is_read(
    read: Callable[[bytes], Any], document: Callable[[int], bytes], bound: int, problem: str
) -> None:
    assert _problem(read, document(bound)) != problem
    assert _problem(read, document(bound + 1)) == problem


def _problem(read: Callable[[bytes], Any], data: bytes) -> str:
    try:
        read(data)
    except Rejected as rejected:
        return rejected.problem
    return ""


@pytest.mark.parametrize(
    "wrong", [{"resourceType": "Patient"} | dict.fromkeys(map(str, range(20_000)), 1), {"name": [{}] * 20_001}]
)
def test_more_members_than_any_message_are_one_finding(wrong: dict[str, Any]) -> None:
    found = base_check({"resourceType": "Patient"} | wrong)
    assert [finding.problem for finding in found] == ["more than 20000 members or items"]


@pytest.mark.parametrize(
    "data", [b"<!DOCTYPE a><a/>", b"<!DOCTYPE a SYSTEM 'x'><a/>", b"<a><!ENTITY x 'y'></a>", b"<a>&lt;!</a><!ENTITY"]
)
def test_document_type_or_entity_is_refused_unread(data: bytes) -> None:
    with pytest.raises(Rejected) as rejected:
        xml.parse(data, "rule", "send XML")
    assert (rejected.value.path, rejected.value.problem) == ("/", "has a document type")
    assert (rejected.value.remedy, rejected.value.rule) == ("send XML without document type and entities", "rule")


def test_error_names_its_line_where_it_is_asked_to() -> None:
    for lines, problem in ((True, "not well-formed XML at line 2"), (False, "not well-formed XML")):
        with pytest.raises(Rejected) as rejected:
            xml.parse(b"<a>\n<b></a>", "rule", "send XML", lines=lines)
        assert (rejected.value.problem, rejected.value.remedy) == (problem, "send XML")


def test_comments_and_instructions_are_left_out() -> None:
    root = xml.parse(b"<?a b?><a><!-- c --><?d e?><f/></a>", "rule", "send XML")
    assert [child.tag for child in root] == ["f"]


EDIFACT_FORMS = {
    "without UNA": (b"UNA:+.? '\n", b""),
    "with Windows line ends": (b"'\n", b"'\r\n"),
    "without line ends": (b"'\n", b"'"),
}


@pytest.mark.parametrize(("there", "instead"), EDIFACT_FORMS.values(), ids=EDIFACT_FORMS)
def test_form_of_interchange_changes_nothing(there: bytes, instead: bytes) -> None:
    assert edifact.read(NOTICE.replace(there, instead)) == edifact.read(NOTICE)


def test_una_names_other_separators() -> None:
    other = NOTICE[9:].translate(bytes.maketrans(b":+?'", b"|#!~"))
    assert edifact.read(b"UNA|#.! ~" + other) == edifact.read(NOTICE)


@pytest.mark.parametrize("una", [b"UNA", b"UNA:+.? ", b"UNA::.. '", b"UNA:+:+ '", b"UNA:+.+ '", b"UNA:+.: '"])
def test_una_names_six_separators_that_differ(una: bytes) -> None:
    with pytest.raises(Rejected) as rejected:
        edifact.read(una)
    assert rejected.value.path == "UNA"


def test_released_character_is_text() -> None:
    found = edifact.read(NOTICE.replace(b"Hospital:Ward:Bed", b"A?+B:C?:D:E?'F??"))
    sender = found.first("NAD", "SOR")
    assert sender is not None
    assert [sender.get(4, number) for number in (1, 2, 3)] == ["A+B", "C:D", "E'F?"]
    assert (sender.get(9), sender.get(1, 2), sender.get(4, 9)) == ("", "", "")


@pytest.mark.parametrize(
    "end", [b"UNZ+1+AB0000000000A1", b"UNZ+1+AB0000000000A1'x", b"UNZ+1+AB0000000000A1'?", b"UNZ+1+AB0000000000A1'+"]
)
def test_last_segment_has_end(end: bytes) -> None:
    with pytest.raises(Rejected) as rejected:
        edifact.read(NOTICE.replace(b"UNZ+1+AB0000000000A1'\n", end))
    assert (rejected.value.path, rejected.value.problem) == ("UNZ", "the last segment has no end")


@pytest.mark.parametrize(
    ("letter", "read"),
    [
        (0x09, False),
        (0x0A, False),
        (0x0D, False),
        (0x1F, False),
        (0x7E, True),
        (0x7F, False),
        (0x9F, False),
        (0xA0, True),
        (0xE6, True),
    ],
)
def test_letters_are_those_of_iso_8859_1(letter: int, read: bool) -> None:
    data = NOTICE.replace(b"Hospital", b"Hosp%btal" % bytes([letter]))
    if read:
        edifact.read(data)
    else:
        with pytest.raises(Rejected) as rejected:
            edifact.read(data)
        assert rejected.value.path == "UNB-1"
