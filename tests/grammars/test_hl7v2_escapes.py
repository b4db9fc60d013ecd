"""Escape sequences of ER7 (spec 04 §2.3)."""

import pytest

from streams.formats.hl7v2 import STANDARD, Separators, read, unescape

RESOLVED = [
    pytest.param(r"a\F\b", "a|b", id="field"),
    pytest.param(r"a\S\b", "a^b", id="component"),
    pytest.param(r"a\T\b", "a&b", id="subcomponent"),
    pytest.param(r"a\R\b", "a~b", id="repetition"),
    pytest.param(r"a\E\b", "a\\b", id="escape"),
    pytest.param(r"\E\F\E\ ", "\\F\\ ", id="an escaped escape opens nothing"),
    pytest.param(r"\XC3B8\re", "øre", id="hex"),
    pytest.param(r"\Xc3b8\re", "øre", id="hex, small"),
    pytest.param(r"a\.br\b", "a\nb", id="line break"),
    pytest.param(r"a\.ce\b", "a\nb", id="centred line"),
    pytest.param(r"a\.sp\b", "a\nb", id="one line"),
    pytest.param(r"a\.sp+3\b", "a\n\n\nb", id="three lines"),
    pytest.param(r"a\.sp2\b", "a\n\nb", id="two lines, sign left out"),
    pytest.param(r"a\.sp999\b", "a" + "\n" * 99 + "b", id="more lines than a page"),
    pytest.param(r"a\.in+4\b", "a b", id="indent"),
    pytest.param(r"a\.ti-4\b", "a b", id="temporary indent"),
    pytest.param(r"a\.sk5\b", "a b", id="skip"),
    pytest.param(r"\H\a\N\ ", "a ", id="highlight"),
    pytest.param(r"\.nf\a\.fi\ ", "a ", id="no fill, fill"),
    pytest.param("plain", "plain", id="none"),
    pytest.param(r"\F\\S\ ", "|^ ", id="two in a row"),
]

AS_WRITTEN = [
    pytest.param(r"a\C2842\b", id="character set, single byte"),
    pytest.param(r"a\M2842\b", id="character set, multi byte"),
    pytest.param(r"a\Z01\b", id="local"),
    pytest.param(r"a\Q\b", id="unknown"),
    pytest.param(r"a\f\b", id="small letter"),
    pytest.param(r"a\P\b", id="truncation not declared"),
    pytest.param(r"a\XE6\b", id="hex that is no text"),
    pytest.param(r"a\XABC\b", id="odd number of digits"),
    pytest.param(r"a\X\b", id="hex without digits"),
    pytest.param(r"a\b", id="never closed"),
    pytest.param("a\\", id="last character"),
    pytest.param(r"a\\b", id="nothing inside"),
]


@pytest.mark.parametrize(("written", "meant"), RESOLVED)
def test_escape_sequence_is_resolved(written: str, meant: str) -> None:
    assert unescape(written, STANDARD, "utf-8") == (meant, True)


@pytest.mark.parametrize("written", AS_WRITTEN)
def test_what_is_not_understood_is_left_as_written(written: str) -> None:
    assert unescape(written, STANDARD, "utf-8") == (written, False)


def test_hex_is_read_in_character_set_of_message() -> None:
    assert unescape(r"\XE6\ ", STANDARD, "iso8859-1") == ("æ ", True)


def test_truncation_character_is_meant_when_declared() -> None:
    assert unescape(r"a\P\b", Separators("|", "^", "~", "\\", "&", "#"), "utf-8") == ("a#b", True)


def test_escapes_stand_for_delimiters_of_this_message() -> None:
    assert unescape("%F%%S%%R%%T%%E%", Separators("!", "@", "#", "%", "*"), "utf-8") == ("!@#*%", True)


def test_value_is_unescaped_after_splitting_and_warned_about_once() -> None:
    document = read(b"MSH|^~\\&|A|B|||1||ADT^A01|K1|P|2.5\rPID|||a\\S\\b^c\\Q\\d\r")
    pid = document.first("PID")
    assert pid is not None
    assert document.warnings == []
    assert [pid.text(3), pid.text(3, comp=2), pid.text(3, comp=2)] == ["a^b", "c\\Q\\d", "c\\Q\\d"]
    assert [(issue.path, issue.rule) for issue in document.warnings] == [("PID-3", "escape")]
    assert pid.raw(3) == "a\\S\\b^c\\Q\\d"
