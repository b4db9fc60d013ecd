"""What an operator decides about one message, one record or one municipality, as it lies on the topics.

A decision about a message goes into its lane, and the lane answers in the ledger (decision 0027). The ledger is read from
its end as it was before the decision was sent, so that no answer can be missed and nothing old is read. The answer's key
is the id of the message, so one partition of the ledger has it; all are read, they are quiet.

A skip, the last resort, is the decision not to take one record (decision 0026). It lies on `recipients.control`: key
`skip/topic/partition/offset`, value who, why and when. A record without value takes it back. Anything else under such a
key is passed over.

A pause and a mode of a municipality (00 §3.6) lie on the same topic, key kommunekode, with a row of the ledger for the
audit, as the topic keeps the newest alone.
"""

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from streams.records.ledger import recipient_row, skipped_row
from streams.records.ledger import to_json as ledger_json
from streams.words.ids import Kommunekode, minted_lane
from streams.words.model import Decision, RecipientControl

from .clients import AIOKafkaConsumer, new_producer, partitions_of
from .records import ProducerRecord, Record, encode_lane_record, headers
from .topics import CONTROL, LANES, LEDGER

_POLL_MS: Final = 100


class DecisionOutcome(NamedTuple):
    """What a lane has made of a decision: `reason` is the code of a refusal, `state` that of the message it met."""

    taken: bool
    reason: str
    state: str


class _Answer(msgspec.Struct):
    """The part of a ledger row that answers a decision."""

    id: str
    kind: str
    what: str = ""
    was: str = ""
    reason: str = ""


_decode: Final = msgspec.json.Decoder(_Answer).decode


async def decided(
    bootstrap: str, decisions: Sequence[Decision], timeout: float, security: Mapping[str, Any]
) -> dict[str, DecisionOutcome]:
    """Sends the decisions and waits for their outcomes, by decision id, at most `timeout` seconds; those without are absent.

    `security`: aiokafka's client options. Raises aiokafka's KafkaError, and LookupError when there is no ledger.
    """
    partitions = await partitions_of(bootstrap, LEDGER.__eq__, **security)
    if not partitions:
        raise LookupError(LEDGER)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, **security)
    try:
        await consumer.start()
        consumer.assign(partitions)
        for partition, end in (await consumer.end_offsets(partitions)).items():
            consumer.seek(partition, end)
        async with new_producer(bootstrap, client_id="stafet-decide", **security) as producer:
            for one in decisions:
                about = headers(
                    message_id=one.id,
                    event_type="decision",
                    schema="lane-record",
                    content_type="application/json",
                    about=one.message_id,
                )
                key = str(minted_lane(one.message_id)).encode()
                await producer.send_and_wait(LANES, encode_lane_record(one), key=key, headers=list(about))
        return await _outcomes(consumer, {f"decision/{one.id}": one.id for one in decisions}, timeout)
    finally:
        await consumer.stop()


async def _outcomes(
    consumer: AIOKafkaConsumer, waiting: Mapping[str, str], timeout: float
) -> dict[str, DecisionOutcome]:
    """`waiting`: id of the ledger's row -> id of its decision."""
    found: dict[str, DecisionOutcome] = {}
    loop = asyncio.get_running_loop()
    end = loop.time() + timeout
    while len(found) < len(waiting) and loop.time() < end:
        for batch in (await consumer.getmany(timeout_ms=_POLL_MS)).values():
            for record in batch:
                try:
                    row = _decode(record.value or b"")
                except (msgspec.MsgspecError, RecursionError):
                    continue  # any other record, whatever it is
                if row.kind == "decision" and row.id in waiting:
                    found[waiting[row.id]] = DecisionOutcome(row.what == "taken", row.reason, row.was)
    return found


#: `topic/partition/offset`.
PLACE: Final = re.compile(r"([A-Za-z0-9._-]{1,249})/(\d{1,9})/(\d{1,18})", re.ASCII)
_PREFIX: Final = b"skip/"


class Skip(msgspec.Struct, frozen=True):
    """Who passes over the record at `origin`, and why."""

    origin: str
    reason: str
    actor: str
    at: datetime


def skip_letters(skip: Skip) -> tuple[ProducerRecord, ...]:
    """The decision for the workers, and its row for the audit."""
    about = headers(message_id=f"skip/{skip.origin}", event_type="skip", schema="skip", content_type="application/json")
    row = skipped_row(skip.at, skip.origin, f"{skip.reason} ({skip.actor})")
    audit = headers(
        message_id=row.id, event_type="ledger.skipped", schema="ledger-row", content_type="application/json"
    )
    return (
        ProducerRecord(LEDGER, skip.origin.encode(), ledger_json(row), audit),
        ProducerRecord(CONTROL, _PREFIX + skip.origin.encode(), msgspec.json.encode(skip), about),
    )


def skips_among(records: Iterable[Record]) -> Mapping[str, Skip]:
    """The decisions that hold, by the record they are about; `records` of one partition in order."""
    found: dict[str, Skip] = {}
    for record in records:
        if record.key is None or not record.key.startswith(_PREFIX):
            continue
        origin = record.key.removeprefix(_PREFIX).decode("ascii", "replace")
        found.pop(origin, None)
        try:
            skip = msgspec.json.decode(record.value or b"", type=Skip)
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            continue
        if skip.origin == origin:
            found[origin] = skip
    return found


#: A kommunekode, as the key of a record.
_CODE: Final = re.compile(rb"[0-9]{4}")


def control_letters(control: RecipientControl) -> tuple[ProducerRecord, ...]:
    """The decision for the workers, and before it its row for the audit."""
    row = recipient_row(control)
    audit = headers(
        message_id=row.id, event_type="ledger.recipient", schema="ledger-row", content_type="application/json"
    )
    about = headers(
        message_id=row.id, event_type=control.action, schema="recipient-control", content_type="application/json"
    )
    key = control.kommunekode.encode()
    return (
        ProducerRecord(LEDGER, key, ledger_json(row), audit),
        ProducerRecord(CONTROL, key, msgspec.json.encode(control), about),
    )


def controls_among(records: Iterable[Record]) -> Mapping[Kommunekode, RecipientControl]:
    """What stands for each municipality; `records` of one partition in order.

    A record without value takes back what stood. One that cannot be read is passed over: a pause must not end by it.
    """
    found: dict[Kommunekode, RecipientControl] = {}
    for record in records:
        if record.key is None or not _CODE.fullmatch(record.key):
            continue
        code = Kommunekode(record.key.decode())
        if not record.value:
            found.pop(code, None)
            continue
        try:
            control = msgspec.json.decode(record.value, type=RecipientControl)
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            continue
        if control.kommunekode == code:
            found[code] = control
    return found
