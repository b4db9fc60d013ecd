"""What a record carries: the headers of every record, lane records as JSON, dead letters that give the reason and no content."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.kafka.records import (
    Record,
    dead_letter,
    decode_lane_record,
    encode_lane_record,
    header,
    headers,
    traceparent,
)
from streams.kafka.topics import DEAD_LETTERS
from streams.words.errors import Rejected
from streams.words.ids import MessageId
from streams.words.model import (
    Decision,
    LaneRecord,
    NetworkReceipt,
    NetworkReceiptArrived,
    Overdue,
    ReceiptArrived,
    Wake,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CPR = "2512489996"
RECORD = Record("adt.raw", 3, 41, b"key", b"MSH|", (("feed", b"EPJ"),), 1_772_366_400_000)

LANE_RECORDS = {
    "overdue": Overdue(at=NOON, message_id=MessageId("m"), attempt=1, deadline=NOON + timedelta(minutes=30)),
    "wake": Wake(at=NOON, due=NOON),
    "decision": Decision(at=NOON, action="resend", message_id=MessageId("m"), actor="operator", reason="asked"),
    "network-receipt": NetworkReceiptArrived(
        at=NOON, receipt=NetworkReceipt(positive=True, original_transport_id="t", origin="receipts.raw/0/1")
    ),
}


def test_every_record_carries_five_headers() -> None:
    made = headers(message_id="m1", event_type="ledger", schema="ledger/1", content_type="application/json")
    assert [name for name, _ in made] == ["message-id", "event-type", "schema", "content-type", "traceparent"]
    assert header(made, "schema") == b"ledger/1"
    assert header(made, "absent") is None


@given(st.text(), st.text(), st.text())
def test_trace_follows_from_message_and_has_form_of_w3c(about: str, record: str, event_type: str) -> None:
    version, trace, span, flags = traceparent(about, record, event_type).split("-")
    assert (version, len(trace), len(span), flags) == ("00", 32, 16, "01")
    assert traceparent(about, record, event_type) == traceparent(about, record, event_type)
    for other in (traceparent(about, record + "x", event_type), traceparent(about, record, event_type + "x")):
        assert other.split("-")[1] == trace
        assert other.split("-")[2] != span


@pytest.mark.parametrize("record", LANE_RECORDS.values(), ids=LANE_RECORDS)
def test_lane_record_survives_trip_and_always_has_same_bytes(record: LaneRecord) -> None:
    data = encode_lane_record(record)
    assert decode_lane_record(data) == record
    assert encode_lane_record(decode_lane_record(data)) == data


@pytest.mark.parametrize("kind", ["receipt", "network-receipt"])
def test_lane_record_of_before_letterboxes_is_read(kind: str) -> None:
    old = {
        "receipt": b'"verdict":"ok","message_id":"m"',
        "network-receipt": b'"positive":true,"original_transport_id":"t"',
    }
    record = decode_lane_record(
        b'{"type":"%s","at":"2026-03-01T12:00:00Z","receipt":{%s}}' % (kind.encode(), old[kind])
    )
    assert isinstance(record, ReceiptArrived | NetworkReceiptArrived)
    assert record.receipt.posted_by == ""


UNREADABLE = {
    "missing": (None, "$"),
    "empty": (b"", "$"),
    "no JSON": (b"\xff\xfe", "$"),
    "cut off": (b'{"type":"wake","at":"2026', "$"),
    "no object": (b"[]", "$"),
    "unknown kind": (b'{"type":"2512489996"}', "$.type"),
    "a field of another form": (b'{"type":"wake","at":"2512489996","due":"2026-03-01T12:00:00Z"}', "$.at"),
    "a field left out": (b'{"type":"wake","at":"2026-03-01T12:00:00Z"}', "$"),
    "nested too deep": (b'{"type":"wake","more":' + b"[" * 100_000, "$"),
}


@pytest.mark.parametrize(("value", "path"), UNREADABLE.values(), ids=UNREADABLE)
def test_unreadable_lane_record_is_refused_without_content(value: bytes | None, path: str) -> None:
    with pytest.raises(Rejected) as refused:
        decode_lane_record(value)
    assert refused.value.path == path
    assert CPR not in str(refused.value)


class TestDeadLetters:
    def test_key_value_and_headers_stay_as_they_were(self) -> None:
        letter = dead_letter(
            RECORD, Rejected("PID-3", "empty", "send a CPR number", "no-person"), stage="intake", at=NOON
        )
        assert (letter.topic, letter.key, letter.value) == (DEAD_LETTERS, RECORD.key, RECORD.value)
        assert header(letter.headers, "feed") == b"EPJ"

    def test_letter_names_origin_reason_and_remedy(self) -> None:
        fault = Rejected("PID-3", "empty", "send a CPR number", "no-person")
        letter = dead_letter(RECORD, fault, stage="intake", at=NOON, version="1.2")
        reported = {name: value.decode() for name, value in letter.headers if name != "feed"}
        assert reported == {
            "dlq.original-topic": "adt.raw",
            "dlq.original-partition": "3",
            "dlq.original-offset": "41",
            "dlq.original-timestamp": "1772366400000",
            "dlq.stage": "intake",
            "dlq.error-code": "no-person",
            "dlq.error-class": "Rejected",
            "dlq.error-message": "PID-3: empty; send a CPR number",
            "dlq.path": "PID-3",
            "dlq.problem": "empty",
            "dlq.remedy": "send a CPR number",
            "dlq.attempts": "1",
            "dlq.first-failed-at": "2026-03-01T12:00:00.000Z",
            "dlq.last-failed-at": "2026-03-01T12:00:00.000Z",
            "dlq.app-version": "1.2",
            "dlq.redrive-count": "0",
            "kafka_dlt-original-topic": "adt.raw",
        }

    def test_fault_of_ours_shows_class_and_place_only(self) -> None:
        try:
            {}[CPR]
        except KeyError as fault:
            letter = dead_letter(RECORD, fault, stage="intake", at=NOON)
        reported = b" ".join(value for _, value in letter.headers).decode()
        assert header(letter.headers, "dlq.error-code") == b"internal-error"
        assert "KeyError at test_records.py:" in reported
        assert CPR not in reported

    def test_failing_again_after_redrive_keeps_first_failure_and_counts(self) -> None:
        first = dead_letter(RECORD, Rejected("a", "b", "c"), stage="intake", at=NOON)
        again = tuple((n, b"1" if n == "dlq.redrive-count" else v) for n, v in first.headers)
        second = dead_letter(
            RECORD._replace(offset=77, headers=again),
            Rejected("a", "b", "c"),
            stage="intake",
            at=NOON + timedelta(days=1),
        )
        assert len({name for name, _ in second.headers}) == len(second.headers), "no header twice"
        facts = ("attempts", "redrive-count", "first-failed-at", "last-failed-at", "original-offset")
        assert [header(second.headers, f"dlq.{fact}") for fact in facts] == [
            b"2", b"1", b"2026-03-01T12:00:00.000Z", b"2026-03-02T12:00:00.000Z", b"77",
        ]  # fmt: skip
