"""The balance over topics on which anything lies: it names what it cannot read, and goes on."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.observer import reading
from streams.observer.evidence import TopicRecord
from streams.observer.reading import Book
from streams.observer.reconcile import balance
from tests.rules.test_reconcile import LOG

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TOPICS = ("adt.raw", "lanes", "receipts.raw", "ledger", "dead.letters", "municipality.0461.inbox")
JUNK = (
    b"[" * 200_000,
    b'{"a":' * 200_000,
    b'{"type":"stay-event","event":[]}',
    b'{"type":"stay-event"}',
    b'{"entry":[1,null,{"resource":7}]}',
    b'{"entry":7}',
    b'{"entry":[{"resource":{"resourceType":"MessageHeader","response":"x"}}]}',
    b'{"kind":"event","id":"x","subject":"no place","what":"accepted","origin":"",'
    b'"event":"","delta":1,"ordinal":0,"parts":0,"k":0,"attempt":0}',
    b'{"kind":[],"id":{}}',
    b"9" * 5000,
    b"MSH|^~\\&",
    b"<a>" * 100_000,
    b"",
    b"\xff\xfe\0",
)


@pytest.mark.parametrize("topic", TOPICS)
def test_junk_does_not_end_it(topic: str) -> None:
    junk = [TopicRecord(topic, 1, number, value) for number, value in enumerate(JUNK)]
    result = balance([*LOG, *junk])
    assert result.as_dict()["difference"] >= 0


def test_record_of_ledger_that_is_no_row_is_named() -> None:
    result = balance([*LOG, TopicRecord("ledger", 1, 7, b'{"kind":"event"}')])
    assert [check.ids for check in result.checks if check.name == "every record of the ledger is a row"] == [
        ("ledger/1/7",)
    ]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(TOPICS), st.binary(max_size=80), st.text(max_size=30)), max_size=8))
def test_arbitrary_records_do_not_end_it(found: list[tuple[str, bytes, str]]) -> None:
    seen = [TopicRecord(topic, 1, n, value, {"received-at": text}) for n, (topic, value, text) in enumerate(found)]
    balance(Book(seen), NOON)


@pytest.mark.parametrize("text", ["2026-01-01T00:00:00", "9999", "x", "9999-12-31T23:59:59+00:00"])
def test_time_of_receipt_that_is_none_is_not_compared(text: str) -> None:
    balance(Book([TopicRecord("adt.raw", 0, 0, b"MSH|", {"received-at": text})]), NOON)


@pytest.mark.parametrize("milliseconds", [-1, -(2**63), 2**63 - 1, 253_402_300_800_000, 0, None])
def test_timestamp_of_no_year_is_read_as_none(milliseconds: Any) -> None:
    message = SimpleNamespace(
        topic="adt.raw", partition=0, offset=0, value=None, headers=(("h", None),), timestamp=milliseconds
    )
    assert reading._topic_record(message).timestamp is None
