"""Effects of the pure pipeline as records: one row per kind, with key, headers and value (00 §4.4, design §4)."""

from datetime import datetime
from typing import assert_never

from streams.formats.fhir.build import to_json
from streams.kafka.records import (
    LANE_RECORD,
    STAY_EVENT,
    ProducerRecord,
    Record,
    check_lane_size,
    dead_letter,
    encode_lane_record,
    headers,
    letter_headers,
)
from streams.kafka.topics import ARCHIVE, LANES, LEDGER, TRACE
from streams.records.ledger import LedgerRow
from streams.records.ledger import to_json as ledger_json
from streams.records.trace import audit_event
from streams.relay.bounds import check_lane_record
from streams.relay.lane import Alarm, Answered, DeadLetter, Dispatch, Effect, Traced
from streams.words.ids import Lane, uuid4_or_none
from streams.words.model import (
    Decision,
    LaneRecord,
    NetworkReceiptArrived,
    Overdue,
    ReceiptArrived,
    ReportArrived,
    StayEventArrived,
    Wake,
)

_JSON = "application/json"


def lane_letter(lane: Lane, record: LaneRecord, message_id: str) -> ProducerRecord:
    """A record for `lanes`; `message_id` is the id of what it is about. Raises `Rejected` for one the lane refuses."""
    check_lane_record(record)
    value = encode_lane_record(record)
    check_lane_size(value, STAY_EVENT if isinstance(record, StayEventArrived) else LANE_RECORD)
    about: str
    match record:  # the message or event whose trace the record belongs to
        case StayEventArrived():
            about = record.event.id
        case ReceiptArrived():
            about = uuid4_or_none(record.receipt.message_id) or record.receipt.message_id
        case Overdue() | Decision():
            about = record.message_id
        case ReportArrived():
            about = record.letter_id
        case NetworkReceiptArrived():
            about = record.receipt.original_transport_id
        case Wake():  # a tick that is about the lane
            about = ""
        case _:
            assert_never(record)
    head = headers(
        message_id=message_id,
        event_type=str(record.__struct_config__.tag),
        schema="lane-record",
        content_type=_JSON,
        about=about or message_id,
    )
    return ProducerRecord(LANES, lane.encode(), value, head)


def ledger_letter(row: LedgerRow, after: str = "") -> ProducerRecord:
    """A row for `ledger`, keyed by what it is about; `after`: see `Letter`."""
    head = headers(
        message_id=row.id,
        event_type=f"ledger.{row.kind}",
        schema="ledger-row",
        content_type=_JSON,
        about=row.message or row.subject,
    )
    return ProducerRecord(LEDGER, row.subject.encode(), ledger_json(row), head, after=after)


def trace_letter(traced: Traced, after: str = "") -> ProducerRecord:
    """A status event for `track-and-trace`; `after`: see `Letter`."""
    event = audit_event(traced.step)
    head = headers(
        message_id=str(event["id"]),
        event_type=traced.step.subtype,
        schema="eds-event",
        content_type="application/fhir+json",
        about=traced.key,
    )
    return ProducerRecord(TRACE, traced.key.encode(), to_json(event), head, after=after)


def letter_of(wanted: Effect, record: Record, *, stage: str, at: datetime, version: str) -> ProducerRecord | None:
    """The record for one effect, if it leaves; `record` is the one in hand."""
    effect = wanted.action
    match effect:
        case Dispatch():
            return ProducerRecord(
                effect.topic,
                effect.lane.encode(),
                effect.payload,
                letter_headers(effect.message_id, effect.event_type, effect.transport_id, effect.envelope),
                refusable=effect.topic != ARCHIVE,  # a copy that nobody tries again is never dropped
                name=effect.message_id,
            )
        case Traced():
            return trace_letter(effect, wanted.after)
        case LedgerRow():
            return ledger_letter(effect, wanted.after)
        case DeadLetter():
            value = record.value if effect.record is None else encode_lane_record(effect.record)
            letter = dead_letter(record._replace(value=value), effect.rejected, stage=stage, at=at, version=version)
            return letter._replace(after=wanted.after)
        case Alarm() | Answered():
            return None
        case _:
            assert_never(effect)
