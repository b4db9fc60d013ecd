"""What a record looks like on the wire: headers, lane records as JSON, letters in an inbox, dead letters.

Headers: 00-rulings §4.4. `traceparent` is W3C trace context, computed from what the record is about: all records
about one message are one trace, and a repeated record is the same span. Dead letters: spec 06 §4.3, original key, value
and headers unchanged, one family `dlq.` beside them, and `kafka_dlt-original-topic` so that the redrive button of
common Kafka pages works. No key and no header ever holds personal data; the text of an exception of ours might, so only
its class and place are shown.

A dead letter fits its topic whatever the record was: what is compressed may be far larger than any limit when it is
read, and key and headers have no limit of their own. What is too large to be copied stays where it lies, and is named
by its size and its SHA-256, so that it can be found and recognised (decision 0025).
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

from streams.envelopes.envelope import ENVELOPES
from streams.relay.bounds import check_lane_record
from streams.words.errors import Rejected
from streams.words.model import LaneRecord, StayEventArrived
from streams.words.times import utc_text

from .topics import DEAD_LETTERS, size_limit

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


class ProducerRecord(NamedTuple):
    """A record to be written. `refusable`: the stage goes on when the broker does not take it (00 §3.3).

    A letter that comes `after` another (by its `name`) is written once that one is confirmed, and not at all when the
    broker refuses it: no step is recorded that did not happen (spec 03 §4.1, S3).
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


def size_of(letter: ProducerRecord) -> int:
    """Bytes of the record on the wire, never less than the truth."""
    size = _FRAMING + len(letter.key or b"") + len(letter.value or b"")
    for name, value in letter.headers:
        size += 4 * len(name) + len(value) + 8
    return size


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


#: Digits of a count: more is none of ours, and `int` refuses more than 4,300.
_DIGITS: Final = 9


def number(text: bytes | None) -> int:
    """A count in a header of ours; 0 for anything else."""
    return int(text) if text is not None and len(text) <= _DIGITS and text.isdigit() else 0


#: Header of a letter that a self-test writes; its value names the self-test. The balance leaves such a letter out: no
#: event of a hospital is behind it.
SELFTEST: Final = "selftest"


def letter_headers(
    message_id: str, event_type: str, transport_id: str, envelope: str = "vans", more: Headers = ()
) -> Headers:
    """The headers of a sealed letter in an inbox, from the relay or from a self-test (00 §4.4).

    `message_id` is MessageHeader.id, `transport_id` the id of the envelope; a notification is an `advis.<label>`.
    """
    return headers(
        message_id=message_id,
        event_type=event_type,
        schema=ENVELOPES[envelope].schema,
        content_type=ENVELOPES[envelope].content_type,
        more=(("envelope-id", transport_id.encode()), *more),
    )


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
    """Where an exception of ours was raised, as `module.py:line`: its text may hold content and is never shown."""
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


#: What is copied of a foreign record. Bytes of a key, which is a hash or an id.
_KEY: Final = 64 << 10
#: How many headers, and bytes of a name, of a value and of all together.
_HEADERS: Final = 64
_NAME: Final = 1 << 10
_VALUE: Final = 64 << 10
_ALL: Final = 256 << 10
#: Bytes of a text about a fault.
_TEXT: Final = 2 << 10


def dead_letter(record: Record, fault: Exception, *, stage: str, at: datetime, version: str = "") -> ProducerRecord:
    """The record for the topic of dead letters: same key, value and headers, and why (spec 06 §4.3). It always fits.

    What is too large to be copied stays in the source topic, and its size and hash are named. A record that was sent
    again after an earlier failure keeps its first failure and its count of redrives.
    """
    earlier = {name: value for name, value in record.headers if name.startswith("dlq.")}
    now = utc_text(at)
    try:
        first = earlier.get("dlq.first-failed-at", b"")[:64].decode("ascii")
        datetime.fromisoformat(first)
    except ValueError:
        first = now
    facts = {
        **_facts(fault),
        "attempts": str(number(earlier.get("dlq.attempts")) + 1),
        "first-failed-at": first,
        "last-failed-at": now,
        "app-version": version,
        "redrive-count": str(number(earlier.get("dlq.redrive-count"))),
    }
    key, copied, left = _bounded(record)
    letter = ProducerRecord(DEAD_LETTERS, key, record.value, (*copied, *_dlq_headers(record, stage, facts), *left))
    if size_of(letter) > size_limit(DEAD_LETTERS):
        letter = letter._replace(value=b"", headers=(*letter.headers, *_left_behind("value", record.value or b"")))
    elif record.value is None and key is None:
        # The client sends no record without both.
        letter = letter._replace(value=b"", headers=(*letter.headers, ("dlq.value-null", b"true")))
    return letter


def last_dead_letter(record: Record, fault: Exception, *, stage: str) -> ProducerRecord:
    """Origin and class alone: for a record of which no dead letter can be made."""
    facts = {"error-code": "internal-error", "error-class": type(fault).__name__}
    return ProducerRecord(DEAD_LETTERS, None, b"", _dlq_headers(record, stage, facts))


def _dlq_headers(record: Record, stage: str, facts: Mapping[str, str]) -> Headers:
    """The origin, then `facts`, each of sane length, whatever it quotes."""
    all_facts = {
        "original-topic": record.topic,
        "original-partition": str(record.partition),
        "original-offset": str(record.offset),
        "original-timestamp": str(record.timestamp_ms),
        "stage": stage,
        **facts,
    }
    ours = tuple(
        (f"dlq.{name}", text.encode("utf-8", "backslashreplace")[:_TEXT].decode("utf-8", "ignore").encode())
        for name, text in all_facts.items()
    )
    return (*ours, ("kafka_dlt-original-topic", record.topic.encode()))


def _bounded(record: Record) -> tuple[bytes | None, Headers, Headers]:
    """Copies of the key and of the headers that are not of an earlier failure, each whole or not at all.

    The third part are headers that name what is left behind. Nothing here fails, whatever the bytes are.
    """
    key, named = record.key, list[tuple[str, bytes]]()
    if key is not None and len(key) > _KEY:
        named += _left_behind("key", key)
        key = None
    kept, left, size = list[tuple[str, bytes]](), list[tuple[str, bytes]](), 0
    for name, value in record.headers:
        if name.startswith(("dlq.", "kafka_dlt-")):
            continue
        weight = len(name.encode("utf-8", "surrogatepass")) + len(value)
        fits = len(kept) < _HEADERS and len(name) <= _NAME and len(value) <= _VALUE and size + weight <= _ALL
        (kept if fits else left).append((name, value))
        size += weight if fits else 0
    if left:
        whole = b"".join(name.encode("utf-8", "surrogatepass") + b"\0" + value + b"\0" for name, value in left)
        named += (("dlq.headers-left-out", b"%d" % len(left)), *_left_behind("headers", whole))
    return key, tuple(kept), tuple(named)


def _left_behind(what: str, data: bytes) -> Headers:
    """Size and hash of what lies in the source topic only."""
    return (
        (f"dlq.{what}-left-behind", b"%d" % len(data)),
        (f"dlq.{what}-sha256", hashlib.sha256(data).hexdigest().encode()),
    )
