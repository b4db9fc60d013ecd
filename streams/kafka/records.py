"""What a record looks like on the wire: headers, lane records as JSON, dead letters.

Headers: 00-rulings §4.4. `traceparent` is W3C trace context, computed from what the record is about: all records
about one message are one trace, and a repeated record is the same span. Dead letters: spec 06 §4.3, original key, value and headers unchanged, one family `dlq.`
beside them, and `kafka_dlt-original-topic` so that the redrive button of common Kafka pages works. No key and no
header ever holds personal data; the text of an exception of ours might, so only its class and place are told.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

from streams.relay.bounds import check_lane_record
from streams.words.errors import Rejected
from streams.words.model import LaneRecord, StayEventArrived
from streams.words.times import utc_text

from .foreign import Copy, bounded, left_behind, number, one_line, time_text
from .topics import DEAD_LETTERS, size_limit

__all__ = [
    "LANE_RECORD",
    "STAY_EVENT",
    "Headers",
    "Letter",
    "Record",
    "check_lane_size",
    "dead_letter",
    "decode_lane_record",
    "encode_lane_record",
    "header",
    "headers",
    "last_dead_letter",
    "place_of",
    "size_of",
    "traceparent",
]

Headers = tuple[tuple[str, bytes], ...]


class Record(NamedTuple):
    """A record as it was read. Key and value as they are: either may be missing (None) or empty."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    timestamp_ms: int = 0  # as stored by the broker; the embedded broker stores none that is of use

    @property
    def origin(self) -> str:
        """`topic/partition/offset`: the physical arrival (spec 03 §4.4)."""
        return f"{self.topic}/{self.partition}/{self.offset}"


class Letter(NamedTuple):
    """A record to be written. `refusable`: the stage wants to hear when the broker will not take it (00 §3.3).

    A letter that comes `after` another (by its `name`) is written once that one is confirmed, and not at all when the
    broker refuses it: what is said of a step must not be said of one that did not happen (spec 03 §4.1, S3).
    """

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    refusable: bool = False
    name: str = ""
    after: str = ""


#: What a record weighs beside its fields: framing of the batch and lengths of the fields, generously.
_FRAMING: Final = 1024


def size_of(letter: Letter) -> int:
    """Bytes of the record on the wire, never less than the truth."""
    fields = sum(4 * len(name) + len(value) + 8 for name, value in letter.headers)
    return len(letter.key or b"") + len(letter.value or b"") + fields + _FRAMING


def traceparent(about: str, record_id: str, event_type: str) -> str:
    """W3C `traceparent`: one trace per message or event that records are `about`, one span per record; always the same."""
    of_subject = hashlib.sha256(about.encode())
    trace = of_subject.hexdigest()[:32]
    of_subject.update(f"\0{record_id}\0{event_type}".encode())
    return f"00-{trace}-{of_subject.hexdigest()[:16]}-01"


@lru_cache(maxsize=256)
def _of_kind(event_type: str, schema: str, content_type: str) -> Headers:
    """The headers that all records of a kind share."""
    return (
        ("event-type", event_type.encode()),
        ("schema", schema.encode()),
        ("content-type", content_type.encode()),
    )


def headers(
    *, message_id: str, event_type: str, schema: str, content_type: str, about: str = "", more: Headers = ()
) -> Headers:
    """The five headers of every record (00 §4.4), then `more`.

    `about`: the message or event whose trace the record belongs to; `message_id` itself by default.
    """
    return (
        ("message-id", message_id.encode()),
        *_of_kind(event_type, schema, content_type),
        ("traceparent", traceparent(about or message_id, message_id, event_type).encode()),
        *more,
    )


def header(of: Iterable[tuple[str, bytes]], name: str) -> bytes | None:
    """The first header of that name."""
    return next((value for key, value in of if key == name), None)


_encode: Final = msgspec.json.Encoder(order="deterministic").encode
_decode: Final[msgspec.json.Decoder[LaneRecord]] = msgspec.json.Decoder(LaneRecord)
#: Bytes of a record on `lanes`; a row takes 1 MB. A receipt in full has some 50 KB, a stay event one.
LANE_RECORD: Final = 128 << 10
STAY_EVENT: Final = 16 << 10
_PLACE: Final = re.compile(r"`(\$[^`]*)`$")


def encode_lane_record(record: LaneRecord) -> bytes:
    """A record on `lanes` as JSON; the same record gives the same bytes."""
    return _encode(record)


def decode_lane_record(value: bytes | None) -> LaneRecord:
    """The record on `lanes`; raises `Rejected` with the place of the fault and none of its content."""
    check_lane_size(value)
    try:
        record = _decode.decode(value or b"")
    except msgspec.ValidationError as fault:
        place = _PLACE.search(str(fault))
        raise Rejected(
            place[1] if place else "$", "a value of another form", "send a record of `lanes`", "unreadable"
        ) from None
    except (msgspec.DecodeError, RecursionError, UnicodeError):  # nesting without end is not DecodeError to msgspec
        raise Rejected(
            "$", f"{len(value or b'')} bytes that are not JSON of a sane depth", "send JSON", "unreadable"
        ) from None
    if isinstance(record, StayEventArrived):
        check_lane_size(value, STAY_EVENT)
    check_lane_record(record)
    return record


def check_lane_size(value: bytes | None, most: int = LANE_RECORD) -> None:
    """Raises `Rejected` for a record that would fill the row of its lane by itself. `most`: bytes."""
    if value is not None and len(value) > most:
        raise Rejected(
            "$", f"{len(value)} bytes about one event", f"send shorter values, {most} bytes at most", "too-large"
        )


def place_of(fault: BaseException) -> str:
    """Where an exception of ours was raised, as `module.py:line`: its text may hold content and is never told."""
    trace = fault.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "unknown"
    return f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"


def _facts(fault: Exception) -> Mapping[str, str]:
    if isinstance(fault, Rejected):
        return {
            "error-code": fault.rule or "rejected",
            "error-class": "Rejected",
            "error-message": f"{fault.path}: {fault.problem}; {fault.remedy}",
            "path": fault.path,
            "problem": fault.problem,
            "remedy": fault.remedy,
        }
    return {
        "error-code": "internal-error",
        "error-class": type(fault).__name__,
        "error-message": f"{type(fault).__name__} at {place_of(fault)}",
        "path": place_of(fault),
        "problem": "a fault of the relay, not of the sender",
        "remedy": "keep the record; send it again with `stafet quarantine redrive` once the fault is mended",
    }


def _kept(of: Sequence[tuple[str, bytes]]) -> Headers:
    return tuple((name, value) for name, value in of if not name.startswith(("dlq.", "kafka_dlt-")))


def dead_letter(record: Record, fault: Exception, *, stage: str, at: datetime, version: str = "") -> Letter:
    """The record set aside: same key, value and headers, and why (spec 06 §4.3). Always one that its topic takes.

    What is too large to be copied stays in the source topic, and its size and hash are named (`foreign.py`). A record
    that was sent again after an earlier failure keeps its first failure and its count of redrives.
    """
    earlier = {name: value for name, value in record.headers if name.startswith("dlq.")}
    now = utc_text(at)
    own: dict[str, str] = {
        **_origin(record, stage),
        **_facts(fault),
        "attempts": str(number(earlier.get("dlq.attempts")) + 1),
        "first-failed-at": time_text(earlier.get("dlq.first-failed-at"), now),
        "last-failed-at": now,
        "app-version": version,
        "redrive-count": str(number(earlier.get("dlq.redrive-count"))),
    }
    copy = bounded(record.key, _kept(record.headers))
    return _fitting(record, copy, (*_named(own, record), *copy.more))


def last_dead_letter(record: Record, fault: Exception, *, stage: str) -> Letter:
    """Origin and class alone: what is written of a record of which a dead letter could not be made."""
    own = {**_origin(record, stage), "error-code": "internal-error", "error-class": type(fault).__name__}
    return Letter(DEAD_LETTERS, None, b"", _named(own, record))


def _origin(record: Record, stage: str) -> Mapping[str, str]:
    return {
        "original-topic": record.topic,
        "original-partition": str(record.partition),
        "original-offset": str(record.offset),
        "original-timestamp": str(record.timestamp_ms),
        "stage": stage,
    }


def _named(own: Mapping[str, str], record: Record) -> Headers:
    ours = tuple((f"dlq.{name}", one_line(text)) for name, text in own.items())
    return (*ours, ("kafka_dlt-original-topic", record.topic.encode()))


def _fitting(record: Record, copy: Copy, ours: Headers) -> Letter:
    letter = Letter(DEAD_LETTERS, copy.key, record.value, (*copy.headers, *ours))
    if size_of(letter) > size_limit(DEAD_LETTERS):
        letter = letter._replace(value=b"", headers=(*letter.headers, *left_behind("value", record.value or b"")))
    elif record.value is None and copy.key is None:
        # The client sends no record without both.
        letter = letter._replace(value=b"", headers=(*letter.headers, ("dlq.value-null", b"true")))
    return letter
