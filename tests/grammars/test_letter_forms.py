"""Rows that are read and written: a segment of EDIFACT, an element of OIOXML (decision 0060)."""

from typing import Any

import pytest
from lxml import etree

from streams.formats import oioxml
from streams.formats.edifact import EdifactSegment, aligned, form, released
from streams.formats.oioxml import OioElement
from streams.words.errors import Rejected

FORMS = (
    form("AAA+{one}:~X+Q"),
    form("?BBB+{two:2}"),
    form("CCC+Q+{three}:{four}"),
    form("CCC+R+~{one}"),
)


def segments(text: str) -> list[EdifactSegment]:
    parts = (each.split("+") for each in text.split())
    return [EdifactSegment(tag, tuple(tuple(one.split(":")) for one in elements)) for tag, *elements in parts]


#: Segments -> what they say, and the places of errors and warnings.
READ: list[tuple[str, dict[str, str], list[str], list[str]]] = [
    ("AAA+1:X+Q BBB+2:3 CCC+Q+4:5 CCC+R+1", {"one": "1", "two": "2\n3", "three": "4", "four": "5"}, [], []),
    ("AAA+1:X+Q CCC+Q+4 CCC+R+1", {"one": "1", "three": "4", "four": ""}, [], []),
    ("AAA+1:Y+Q CCC+Q CCC+R+2", {"one": "1", "three": "", "four": ""}, [], ["AAA-1.2", "CCC-2.1"]),
    ("AAA+1:X+Z BBB+:3 CCC+Q+4 CCC+R+1", {"one": "1", "two": "\n3", "three": "4", "four": ""}, ["AAA-2.1"], []),
    # Which of the two is missing is not known: the first takes what stands there.
    ("AAA+1:X+Q CCC+R+1", {"one": "1", "three": "1", "four": ""}, ["CCC-1.1", "CCC"], []),
    ("AAA+1:X+Q CCC+Q+4:5:6 CCC+R+1", {"one": "1", "three": "4", "four": "5"}, [], ["CCC"]),
    ("AAA+1:X+Q ZZZ+9 CCC+Q+4 CCC+R+1", {"one": "1", "three": "4", "four": ""}, ["ZZZ"], []),
    ("AAA+1:X+Q CCC+Q+4 CCC+R+1 zz+9", {"one": "1", "three": "4", "four": ""}, ["UNH"], []),
    ("CCC+Q+4 CCC+R+1", {"one": "1", "three": "4", "four": ""}, ["AAA"], []),
    ("", {}, ["AAA", "CCC", "CCC"], []),
]


@pytest.mark.parametrize(("text", "values", "errors", "warnings"), READ)
def test_segments_are_read_by_their_forms(text: str, values: Any, errors: list[str], warnings: list[str]) -> None:
    found, issues = aligned(segments(text), FORMS)
    assert found == values
    assert [each.path for each in issues if each.severity == "error"] == errors
    assert [each.path for each in issues if each.severity == "warning"] == warnings


def test_segment_is_written_without_an_empty_end() -> None:
    one, two, *_ = FORMS
    assert one.written({"one": "?+"}) == "AAA+?+:X+Q'\r\n"
    assert (two.written({"two": "a:b"}), two.written({"two": ""})) == ("BBB+a:b'\r\n", "BBB'\r\n")
    assert form("DDD+{one}+++{two}").written({"one": "x?+", "two": ""}) == "DDD+x?+'\r\n"


def test_what_means_something_is_released() -> None:
    assert released("a+b:c'd?") == "a?+b?:c?'d??"


ROWS = (
    OioElement("A", "[0-9]+", field="a"),
    OioElement("B", (OioElement("D", "x|y"), OioElement("T", "z")), 0, field="b"),
    OioElement("C", (OioElement("E", ".", field="e"),), 0, inline=True),
    OioElement("F", (OioElement("G", "g", field="g"), OioElement("H", None, 0, field="h")), 0, 9),
)


def parsed(inside: str) -> Any:
    return etree.fromstring(f'<Emessage xmlns="{oioxml.NAMESPACE}">{inside}</Emessage>')


@pytest.mark.parametrize(
    "values",
    [
        {"a": "1"},
        {"a": "1", "b": "xTz", "e": "&", "F": [{"g": "g", "h": "one\ntwo"}, {"g": "g"}]},
    ],
)
def test_elements_are_read_as_they_were_written(values: Any) -> None:
    data = oioxml.written(ROWS, values)
    root = oioxml.parse(data)
    assert oioxml.values_at(root, ROWS) == values
    assert list(oioxml.mismatches(root, ROWS, "")) == []


def test_element_that_must_be_there_is_named() -> None:
    with pytest.raises(Rejected) as rejected:
        oioxml.written(ROWS, {"b": "xTz"})
    assert rejected.value.path == "/Emessage/A"


#: Children -> places where they differ.
DIFFERENT = [
    ("<A>1</A>", []),
    ("<A>x</A>", ["/A"]),
    ("<A>1</A><A>2</A>", [""]),
    ("<C><E>a</E></C><A>1</A>", ["/A", ""]),
    ("<A>1</A><C/>", ["/C/E"]),
    ("<A>1</A><C><E>ab</E></C>", ["/C/E"]),
    ("<A>1</A><F><G>g</G><H>a<Break/>b<Space/></H></F>", []),
    ("<A>1</A><F><G>g</G><H><b/></H></F>", ["/F/H"]),
    ('<A>1</A><F x="y"><G z="">g</G></F>', ["/F", "/F/G"]),
    ("<A>1</A>x", [""]),
    ("<A>1<b/></A>", ["/A"]),
]


@pytest.mark.parametrize(("inside", "paths"), DIFFERENT)
def test_place_of_each_difference_is_named(inside: str, paths: list[str]) -> None:
    assert [each.path for each in oioxml.mismatches(parsed(inside), ROWS, "")] == paths


def test_line_end_of_the_document_is_a_blank() -> None:
    root = parsed("<F><G>g</G><H>one\ntwo<Break/> three <Space/>four<Break/></H></F>")
    assert oioxml.values_at(root, ROWS) == {"F": [{"g": "g", "h": "one two\nthree  four"}]}
