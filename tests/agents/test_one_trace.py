"""All records about one message are one trace (00 §4.4): the letter, its rows and events, its receipts and decisions."""

from datetime import datetime

import pytest

from agents.worker.gaps import RetentionLoss, loss_letters
from agents.worker.letters import lane_letter
from streams.kafka.records import header, headers
from streams.kafka.topics import DEAD_LETTERS, LANES, LEDGER, TRACE, inbox
from streams.words.ids import Lane, MessageId
from streams.words.model import (
    Decision,
    LaneRecord,
    NetworkReceipt,
    NetworkReceiptArrived,
    Overdue,
    Receipt,
    ReceiptArrived,
    Wake,
)
from tests.agents.conftest import NOON
from tests.agents.one_lane import ShellLane


def trace(headers: tuple[tuple[str, bytes], ...]) -> str:
    return (header(headers, "traceparent") or b"").decode().split("-")[1]


def span(headers: tuple[tuple[str, bytes], ...]) -> str:
    return (header(headers, "traceparent") or b"").decode().split("-")[2]


def lane_records(message_id: MessageId, at: datetime) -> list[tuple[tuple[str, bytes], ...]]:
    receipt = Receipt(verdict="ok", message_id=f"urn:uuid:{message_id.upper()}", origin="receipts.raw/0/1")
    records = (
        ReceiptArrived(at=at, receipt=receipt),
        Overdue(at=at, message_id=message_id, attempt=1, deadline=at),
        Decision(at=at, action="resend", message_id=message_id, actor="duty", reason="", id="d1"),
    )
    return [lane_letter(Lane(message_id[:8]), record, f"r{number}").headers for number, record in enumerate(records)]


def test_all_records_about_message_are_one_trace() -> None:
    lane = ShellLane()
    lane.play("A01 08:00")
    lane.answer()
    message = lane.last.message_id
    letters = [one for one in lane.written_to_kafka if one.topic in (inbox("0461"), inbox("0751"), LEDGER, TRACE)]
    about = [one.headers for one in letters if header(one.headers, "event-type") != b"ledger.stay-event"]
    assert len(about) >= 7, "a letter, four rows, three events"
    about += lane_records(message, NOON)
    assert len({trace(headers) for headers in about}) == 1
    assert len({span(headers) for headers in about}) == len(about)


FOUND = NetworkReceipt(
    positive=True, original_transport_id="envelope-1", transport_id="t", transport_sender="n", layer="vans"
)
STRANGE = Receipt(verdict="ok", message_id="no-uuid", origin="receipts.raw/0/1")

#: A record for the lane, its kind, and whose trace it belongs to; a tick belongs to none but its own.
RECORDS: dict[str, tuple[LaneRecord, str]] = {
    "receipt": (ReceiptArrived(at=NOON, receipt=STRANGE), "no-uuid"),
    "network-receipt": (NetworkReceiptArrived(at=NOON, receipt=FOUND), "envelope-1"),
    "overdue": (Overdue(at=NOON, message_id=MessageId("m"), attempt=1, deadline=NOON), "m"),
    "wake": (Wake(at=NOON, due=NOON), "r1"),
    "decision": (Decision(at=NOON, action="resend", message_id=MessageId("m"), actor="a", reason="", id="d1"), "m"),
}


@pytest.mark.parametrize(("kind", "record", "about"), [(kind, *case) for kind, case in RECORDS.items()], ids=RECORDS)
def test_lane_record_belongs_to_what_it_is_about(kind: str, record: LaneRecord, about: str) -> None:
    letter = lane_letter(Lane("0123abcd"), record, "r1")
    expected = headers(
        message_id="r1", event_type=kind, schema="lane-record", content_type="application/json", about=about
    )
    assert (letter.topic, letter.key, letter.headers) == (LANES, b"0123abcd", expected)


def test_what_retention_took_is_dead_letter_and_row() -> None:
    lost = RetentionLoss("adt.raw", 3, expected=40, oldest=47)
    dead, row = loss_letters(lost, stage="intake", at=NOON, version="1")
    facts = {name: value.decode() for name, value in dead.headers}
    assert (dead.topic, dead.key, dead.value) == (DEAD_LETTERS, None, b"")
    assert facts["dlq.original-offset"] == "40"
    assert facts["dlq.original-partition"] == "3"
    assert facts["dlq.problem"] == "7 offsets from 40 on were deleted by retention before they were read"
    assert facts["dlq.path"] == "adt.raw/3"
    assert (row.topic, row.key, header(row.headers, "event-type")) == (LEDGER, b"adt.raw/3/40", b"ledger.lost")
