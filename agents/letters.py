"""Effects of the pure pipeline as records: one row per kind, with key, headers and value (00 §4.4, design §4)."""

from datetime import datetime
from typing import assert_never

from streams.bounds import check_lane_record
from streams.errors import Rejected
from streams.formats.fhir.build import to_json
from streams.ids import Lane
from streams.kafka.records import (
    LANE_RECORD,
    STAY_EVENT,
    Letter,
    Record,
    check_lane_size,
    dead_letter,
    encode_lane_record,
    headers,
)
from streams.kafka.topics import LANES, LEDGER, TRACE
from streams.lane import Dispatch, Said, SetAside, Traced
from streams.ledger import LedgerRow
from streams.ledger import to_json as ledger_json
from streams.model import LaneRecord, StayEventArrived
from streams.trace import audit_event

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
        headers(message_id=message_id, event_type=kind, schema="lane-record", content_type=_JSON),
    )


def ledger_letter(row: LedgerRow) -> Letter:
    """A row for `ledger`, keyed by what it is about."""
    return Letter(
        LEDGER,
        row.subject.encode(),
        ledger_json(row),
        headers(message_id=row.id, event_type=f"ledger.{row.kind}", schema="ledger-row", content_type=_JSON),
    )


def _traced(traced: Traced) -> Letter:
    event = audit_event(traced.step)
    return Letter(
        TRACE,
        traced.key.encode(),
        to_json(event),
        headers(message_id=str(event["id"]), event_type=traced.step.subtype, schema="eds-event", content_type=_FHIR),
    )


def _dispatch(letter: Dispatch) -> Letter:
    return Letter(
        letter.topic,
        letter.lane.encode(),
        letter.payload,
        headers(
            message_id=letter.message_id,
            event_type=f"advis.{letter.notice}",
            schema="vans-envelope-1.0.4",
            content_type=letter.content_type,
            more=(("envelope-id", letter.transport_id.encode()),),
        ),
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
