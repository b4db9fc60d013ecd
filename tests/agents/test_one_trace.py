"""All records about one message are one trace (00 §4.4): the letter, its rows and events, its receipts and decisions."""

from datetime import datetime

from agents.worker.letters import lane_letter
from streams.kafka.records import header
from streams.kafka.topics import LEDGER, TRACE, inbox
from streams.words.ids import Lane, MessageId
from streams.words.model import Decision, Overdue, Receipt, ReceiptArrived
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


def test_all_records_about_a_message_are_one_trace() -> None:
    lane = ShellLane()
    lane.play("A01 08:00")
    lane.answer()
    message = lane.last.message_id
    letters = [one for one in lane.said_to_kafka if one.topic in (inbox("0461"), inbox("0751"), LEDGER, TRACE)]
    about = [one.headers for one in letters if header(one.headers, "event-type") != b"ledger.stay-event"]
    assert len(about) >= 7, "a letter, four rows, three events"
    about += lane_records(message, NOON)
    assert len({trace(headers) for headers in about}) == 1
    assert len({span(headers) for headers in about}) == len(about)
