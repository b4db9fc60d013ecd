"""A dead letter can be made of every record, and the broker's client takes it."""

import hashlib
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.kafka.records import ProducerRecord, Record, dead_letter, header, last_dead_letter, size_of
from streams.kafka.topics import ADT_RAW, DEAD_LETTERS, size_limit
from streams.words.errors import Rejected

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
FAULT = Rejected("PID-3", "empty", "send a CPR number", "no-person")
LARGE = b"x" * (17 << 20)


def letter_of(key: bytes | None, value: bytes | None, headers: tuple[tuple[str, bytes], ...] = ()) -> ProducerRecord:
    return dead_letter(Record(ADT_RAW, 3, 41, key, value, headers), FAULT, stage="intake", at=NOON)


def can_be_sent(letter: ProducerRecord) -> bool:
    """What aiokafka's producer and the topic ask of a record."""
    sendable = letter.key is not None or letter.value is not None
    encodable = [name.encode() for name, _ in letter.headers]
    return sendable and size_of(letter) <= size_limit(DEAD_LETTERS) and len(encodable) == len(letter.headers)


def test_record_without_key_and_value_has_letter() -> None:
    letter = letter_of(None, None)
    assert can_be_sent(letter)
    assert header(letter.headers, "dlq.value-null") == b"true"


@pytest.mark.parametrize(
    ("part", "record"),
    {
        "value": (None, LARGE, ()),
        "key": (LARGE, b"v", ()),
        "headers": (b"k", b"v", (("h", LARGE),)),
    }.items(),
)
def test_too_large_part_stays_behind_by_size_and_hash(
    part: str, record: tuple[bytes | None, bytes, tuple[tuple[str, bytes], ...]]
) -> None:
    letter = letter_of(*record)
    assert can_be_sent(letter)
    whole = b"h\0" + LARGE + b"\0" if part == "headers" else LARGE
    assert header(letter.headers, f"dlq.{part}-left-behind") == b"%d" % len(whole)
    assert header(letter.headers, f"dlq.{part}-sha256") == hashlib.sha256(whole).hexdigest().encode()
    assert (letter.value == record[1]) is (part != "value")


def test_header_that_fits_stays_beside_one_that_does_not() -> None:
    letter = letter_of(b"k", b"v", (("large", LARGE), ("feed", b"EPJ")))
    assert header(letter.headers, "feed") == b"EPJ"
    assert header(letter.headers, "large") is None


@pytest.mark.parametrize("count", [b"9" * 5000, b"-1", b"\xff", b"", b"1e9"])
def test_count_that_is_none_of_ours_counts_as_none(count: bytes) -> None:
    letter = letter_of(b"k", b"v", (("dlq.attempts", count), ("dlq.redrive-count", count)))
    assert header(letter.headers, "dlq.attempts") == b"1"
    assert header(letter.headers, "dlq.redrive-count") == b"0"


def test_first_failure_that_is_no_time_is_not_believed() -> None:
    letter = letter_of(b"k", b"v", (("dlq.first-failed-at", b"x" * 100_000),))
    assert header(letter.headers, "dlq.first-failed-at") == b"2026-03-01T12:00:00.000Z"


def test_fault_that_quotes_megabyte_is_cut() -> None:
    fault = Rejected("é" * 1_000_000, "empty", "send less")
    letter = dead_letter(Record(ADT_RAW, 0, 0, b"k", b"v"), fault, stage="intake", at=NOON)
    assert can_be_sent(letter)
    assert len(header(letter.headers, "dlq.path") or b"") <= 2048


def test_last_form_has_origin_and_class_only() -> None:
    letter = last_dead_letter(Record(ADT_RAW, 3, 41, b"k", b"v", (("h", b"1"),)), KeyError("2512489996"), stage="lanes")
    assert can_be_sent(letter)
    assert (letter.key, letter.value) == (None, b"")
    assert header(letter.headers, "dlq.original-offset") == b"41"
    assert header(letter.headers, "dlq.error-class") == b"KeyError"
    assert b"2512489996" not in b"".join(value for _, value in letter.headers)


NAMES = st.text(max_size=40) | st.sampled_from(["dlq.attempts", "dlq.first-failed-at", "dlq.redrive-count", "x" * 2000])
BYTES = st.binary(max_size=60) | st.sampled_from([b"x" * 70_000, b"9" * 5000, "²".encode()])


@settings(max_examples=200, deadline=None)
@given(st.none() | BYTES, st.none() | BYTES, st.lists(st.tuples(NAMES, BYTES), max_size=80), st.integers())
def test_every_record_has_letter_that_can_be_sent(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]], time: int
) -> None:
    record = Record(ADT_RAW, 0, 0, key, value, tuple(headers), time)
    letter = dead_letter(record, FAULT, stage="intake", at=NOON, version="1")
    assert can_be_sent(letter)
    assert len({n for n, _ in letter.headers if n.startswith("dlq.")}) == len(
        [n for n, _ in letter.headers if n.startswith("dlq.")]
    )
