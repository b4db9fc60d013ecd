"""Effects of the pure pipeline as records: one row per kind, with key, headers and value (00 §4.4, design §4)."""

from datetime import datetime
from typing import assert_never

from streams.formats.fhir.build import to_json
from streams.kafka.records import (
    LANE_RECORD,
    STAY_EVENT,
    Letter,
    Record,
    check_lane_size,
    dead_letter,
    encode_lane_record,
    headers,
    letter_headers,
)
from streams.kafka.topics import LANES, LEDGER, TRACE
from streams.records.ledger import LedgerRow
from streams.records.ledger import to_json as ledger_json
from streams.records.trace import audit_event
from streams.relay.bounds import check_lane_record
from streams.relay.lane import Dispatch, Said, SetAside, Traced
from streams.words.errors import Rejected
from streams.words.ids import Lane, uuid4_or_none
from streams.words.model import (
    Decision,
    LaneRecord,
    NetworkReceiptArrived,
    Overdue,
    ReceiptArrived,
    StayEventArrived,
    Wake,
)

__all__ = ["dispatch_of", "lane_letter", "ledger_letter", "letter_of", "set_aside"]

_JSON, _FHIR = "application/json", "application/fhir+json"


def lane_letter(lane: Lane, record: LaneRecord, message_id: str) -> Letter:
    """A record for `lanes`; `message_id` is the id of what it is about. Raises `Rejected` for one the lane refuses."""
    check_lane_record(record)
    value = encode_lane_record(record)
    check_lane_size(value, STAY_EVENT if isinstance(record, StayEventArrived) else LANE_RECORD)
    kind = str(record.__struct_config__.tag)
    return Letter(
        LANES,
        lane.encode(),
        value,
        headers(
            message_id=message_id,
            event_type=kind,
            schema="lane-record",
            content_type=_JSON,
            about=_subject(record) or message_id,
        ),
    )


def _subject(record: LaneRecord) -> str:
    """The message or event that a lane record is about: its trace; "" for a tick that is about the lane."""
    match record:
        case StayEventArrived():
            return record.event.id
        case ReceiptArrived():
            return uuid4_or_none(record.receipt.message_id) or record.receipt.message_id
        case Overdue() | Decision():
            return record.message_id
        case NetworkReceiptArrived():
            return record.receipt.original_transport_id
        case Wake():
            return ""
        case _:
            assert_never(record)


def ledger_letter(row: LedgerRow) -> Letter:
    """A row for `ledger`, keyed by what it is about."""
    return Letter(
        LEDGER,
        row.subject.encode(),
        ledger_json(row),
        headers(
            message_id=row.id,
            event_type=f"ledger.{row.kind}",
            schema="ledger-row",
            content_type=_JSON,
            about=row.message or row.subject,
        ),
    )


def _traced(traced: Traced) -> Letter:
    event = audit_event(traced.step)
    return Letter(
        TRACE,
        traced.key.encode(),
        to_json(event),
        headers(
            message_id=str(event["id"]),
            event_type=traced.step.subtype,
            schema="eds-event",
            content_type=_FHIR,
            about=traced.key,
        ),
    )


def _dispatch(letter: Dispatch) -> Letter:
    return Letter(
        letter.topic,
        letter.lane.encode(),
        letter.payload,
        letter_headers(letter.message_id, f"advis.{letter.notice}", letter.transport_id, letter.content_type),
        refusable=True,
        name=letter.message_id,
    )


def dispatch_of(letter: Letter) -> str:
    """The message of a refused letter."""
    return letter.name


def set_aside(record: Record, rejected: Rejected, *, stage: str, at: datetime, version: str) -> Letter:
    """The dead letter of a record."""
    return dead_letter(record, rejected, stage=stage, at=at, version=version)


def letter_of(said: Said, record: Record, *, stage: str, at: datetime, version: str) -> Letter:
    """The record for one effect; `record` is the one in hand."""
    effect = said.effect
    match effect:
        case Dispatch():
            letter = _dispatch(effect)
        case Traced():
            letter = _traced(effect)
        case LedgerRow():
            letter = ledger_letter(effect)
        case SetAside():
            value = record.value if effect.record is None else encode_lane_record(effect.record)
            letter = set_aside(record._replace(value=value), effect.rejected, stage=stage, at=at, version=version)
        case _:
            assert_never(effect)
    return letter._replace(after=said.after)
