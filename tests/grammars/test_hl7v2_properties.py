"""ER7 reading on any input, and against python-hl7, an independent reader (spec 04 §7)."""

import re
import time
from pathlib import Path

import hl7
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from streams.formats.hl7v2 import STANDARD, Document, Fields, MessageRefused, read, unescape
from streams.formats.hl7v2_ack import acknowledgement
from tests.grammars.test_hl7v2_ack import OURS
from tests.published import examples

VALID = (
    b"MSH|^~\\&|EPJ-SYD|OUH^1.2.208.176.1.1.999000011000016004^ISO|BFO|MEDCOM|20260301081500+0100||ADT^A01^ADT_A01"
    b"|B000001|P|2.5.1|||AL|NE|DNK|UNICODE UTF-8|DAN\r"
    b"EVN||20260301081500+0100||||20260301080700+0100\r"
    b"PID|1||2512489996^^^&1.2.208.176.1.2&ISO^NNDNK~800123456^^^OUH^PI||Berggren^Nancy Ann Test^^^^^L||19481225|F\r"
    b"PV1|1|I|MED7^4^1^AUH^^N^^^Lunge\\T\\sygdomme|||||||MED\r"
)


def used(document: Document) -> list[str]:
    """What a caller would ask of a document."""
    return [
        segment.text(field, rep, comp, sub)
        for segment in document.segments
        for field in (0, 1, 3, 5, 9, 99)
        for rep in (1, 2)
        for comp in (1, 4)
        for sub in (1, 2)
    ]


def read_or_refused(data: bytes) -> Document | None:
    try:
        document = read(data)
    except MessageRefused as refused:
        if refused.ack is not None:
            acknowledgement(data, refused.ack, refused=refused, **OURS)
        return None
    used(document)
    acknowledgement(document, "AA", **OURS)
    return document


@given(st.binary(max_size=2_000))
@example(b"MSH")
@example(b"MSH|")
@example(b"MSH|^~\\&")
@example(b"\x0b\xef\xbb\xbfMSH|^~\\&|\r\n\x1c\r")
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    read_or_refused(data)
    read_or_refused(b"MSH" + data)
    read_or_refused(b"MSH|^~\\&|" + data)


@given(st.data())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_damaged_message_is_read_or_refused(data: st.DataObject) -> None:
    damaged = bytearray(VALID)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged)))
        change = data.draw(st.sampled_from(["cut", "insert", "replace"]))
        new = data.draw(
            st.one_of(
                st.binary(min_size=1, max_size=3),
                st.sampled_from([b"|", b"^", b"~", b"\\", b"&", b"\r", b"\n", b"MSH", b'""']),
            )
        )
        damaged[at : at + {"cut": 5, "insert": 0, "replace": len(new)}[change]] = b"" if change == "cut" else new
    read_or_refused(bytes(damaged))


def seconds(data: bytes) -> float:
    """CPU time that reading takes, the better of two."""
    best = float("inf")
    for _ in range(2):
        began = time.thread_time()
        document = read_or_refused(data)
        if document is not None:
            document.segments[-1].text(1)
        best = min(best, time.thread_time() - began)
    return best


@pytest.mark.parametrize(
    "filling", [b"|", b"^", b"~", b"&", b"\\", b"\\F", b"\r", b"\n", b"PID|\r", b" ", b"\xe6", b"1 |" + b" " * 997]
)
def test_reading_takes_time_in_proportion_to_length(filling: bytes) -> None:
    short, long = (seconds(VALID + b"ZZZ|" + filling * (size // len(filling)) + b"x\r") for size in (50_000, 800_000))
    # In proportion is 16 times, with the square of the length 256 times: a ratio within one run separates them.
    assert long < 80 * max(short, 0.0005)


_SENT = st.text(st.sampled_from('|^~&\\"FTx. '), max_size=60)


def naive(line: str, field: int, rep: int, comp: int) -> str:
    """The value by splitting at every level, with nothing spared."""
    value = line
    for separator, index in zip("|~^&", (field, rep - 1, comp - 1, 0), strict=True):
        parts = value.split(separator)
        value = (parts[index] if index < len(parts) else "").rstrip(" ")
    return "" if value == '""' else unescape(value, STANDARD, "utf-8")[0].rstrip(" ")


@given(st.lists(_SENT, max_size=3))
@example(["x^\\T\\~&", '|""^x'])
def test_every_access_equals_plain_splitting(lines: list[str]) -> None:
    document = read(VALID + b"".join(f"ZZZ|{line}\r".encode() for line in lines))
    fields = Fields(*range(1, 9))
    for line, segment in zip(lines, document.all("ZZZ"), strict=True):
        values = [naive(f"ZZZ|{line}", field, 1, 1) for field in fields.numbers]
        assert list(segment.texts(fields)) == [segment.text(field) for field in fields.numbers] == values
        for field in fields.numbers:
            for rep, repetition in enumerate(segment.repetitions(field), start=1):
                parts = segment.components(repetition, field)
                asked = [segment.text(field, rep, comp) for comp in range(1, len(parts) + 1)]
                assert parts == asked == [naive(f"ZZZ|{line}", field, rep, comp) for comp in range(1, len(parts) + 1)]


# Values without delimiters; python-hl7 strips blanks and takes only CR.
_values = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"], exclude_characters="|^~\\&"),
    max_size=6,
)
_fields = st.lists(_values, max_size=3).map("^".join)
_lines = st.lists(st.lists(_fields, min_size=1, max_size=2).map("~".join), max_size=6).map("|".join)


@given(st.lists(st.tuples(st.sampled_from(["EVN", "PID", "PV1", "ZBE"]), _lines), min_size=1, max_size=4))
def test_both_readers_find_same_values(lines: list[tuple[str, str]]) -> None:
    text = "MSH|^~\\&|A|B|||2026||ADT^A01|K1|P|2.5\r" + "".join(f"{name}|{line}\r" for name, line in lines)
    ours, theirs = read(text.encode()), hl7.parse(text)
    assert [segment.name for segment in ours.segments] == [str(segment[0]) for segment in theirs]
    for mine, other in zip(ours.segments, theirs, strict=True):
        for field in range(1, len(other)):
            assert mine.raw(field) == str(other[field])


@pytest.mark.published
@pytest.mark.parametrize("path", examples("adt", "*.hl7"), ids=lambda path: path.stem)
def test_both_readers_agree_on_published_examples(path: Path) -> None:
    data = path.read_bytes()
    ours = read(data)
    text = data.decode(ours.charset).replace("\r\n", "\r").replace("\n", "\r")
    theirs = hl7.parse("\r".join(line for line in text.split("\r") if line.strip()))
    ends = re.escape(ours.separators.text[1:])
    assert [segment.name for segment in ours.segments] == [str(segment[0]) for segment in theirs]
    for mine, other in zip(ours.segments, theirs, strict=True):
        for field in range(1, len(other)):
            assert mine.raw(field) == re.sub(rf" +(?=[{ends}]|$)", "", str(other[field]))
