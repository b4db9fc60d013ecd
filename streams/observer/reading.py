"""Reading all topics once, from the oldest record kept to the newest, for the balance; or a recording of them.

Plain aiokafka: no group, nothing committed, no codec of ours. Upstream topics are closed first: what arrives while the
others are being read is not in the book, and rows about it are left out (`Cohort`). What is under way at that moment
shows as a difference; look again, or at rest (03 §6.5).
"""

import base64
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import TopicAuthorizationFailedError

from streams.kafka.lenient import AIOKafkaConsumer

from .cohort import Book
from .evidence import TopicRecord, position_of

__all__ = ["read_book", "read_recording", "recorded"]

#: Topics of the balance; inboxes and letterboxes are found by their names (design §4).
TOPICS = ("adt.raw", "receipts.raw", "lanes", "ledger", "dead.letters")

#: Where the workers note how far they are (docs/decisions/0002), by the names that Faust gives.
CHANGELOGS = tuple(f"stafet-relay-{table}-changelog" for table in ("lanes", "letterboxes", "persons", "receipts"))

_FETCH_BYTES = 16 << 20  # 00 §4.2
_POLL_MS = 500


async def read_book(bootstrap: str, **security: Any) -> Book:
    """Everything on the topics now. `security`: as for any aiokafka client. Raises aiokafka's KafkaError."""
    book = Book()
    if partitions := await _partitions(bootstrap, security, _is_ours):
        async with _reading(bootstrap, security, partitions) as consumer:
            starts = await consumer.beginning_offsets(partitions)
            ends = await consumer.end_offsets(partitions)
            book.starts |= {(tp.topic, tp.partition): offset for tp, offset in starts.items()}
            book.ends |= {(tp.topic, tp.partition): offset for tp, offset in ends.items()}
            async for message in _until(consumer, ends):
                book.add(_topic_record(message))
    if partitions := await _partitions(bootstrap, security, CHANGELOGS.__contains__):
        try:  # how far the workers are, by their own notes; what the broker takes back is not seen
            async with _reading(bootstrap, security, partitions, "read_committed") as consumer:
                async for message in _until(consumer, await consumer.end_offsets(partitions)):
                    if (noted := position_of(message.key, message.value)) is not None:
                        book.note(*noted)
        except TopicAuthorizationFailedError:
            book.unreadable = CHANGELOGS
    return book


@contextlib.asynccontextmanager
async def _reading(
    bootstrap: str,
    security: dict[str, Any],
    partitions: list[TopicPartition],
    isolation: str = "read_uncommitted",
) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer of these partitions without a group, paused until `_until`."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        max_partition_fetch_bytes=_FETCH_BYTES,
        isolation_level=isolation,
        **security,
    )
    try:
        await consumer.start()
        # Assigned together, or aiokafka learns of one topic after the other, 100 ms each.
        consumer.assign(partitions)
        consumer.pause(*partitions)
        yield consumer
    finally:
        await consumer.stop()


async def _partitions(bootstrap: str, security: dict[str, Any], wanted: Callable[[str], bool]) -> list[TopicPartition]:
    """The partitions there are, asked of the broker: a consumer knows those of its own topics only."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, **security)
    try:
        await admin.start()
        names = sorted(filter(wanted, await admin.list_topics()))
        topics = await admin.describe_topics(names) if names else []  # no names: all topics
    finally:
        await admin.close()
    return [TopicPartition(topic["topic"], p["partition"]) for topic in topics for p in topic["partitions"]]


def _is_ours(topic: str) -> bool:
    return topic in TOPICS or (topic.startswith("municipality.") and topic.endswith((".inbox", ".receipts")))


async def _until(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> AsyncIterator[Any]:
    """Records before `ends`. A partition is paused when it is done: the rest is then fetched without it."""
    consumer.assign(list(ends))
    await consumer.seek_to_beginning(*ends)
    waiting = set(ends)
    while waiting:
        for tp in list(waiting):
            if await consumer.position(tp) >= ends[tp]:
                waiting.discard(tp)
                consumer.pause(tp)
        for tp, batch in (await consumer.getmany(timeout_ms=_POLL_MS if waiting else 0)).items():
            for message in batch:
                if message.offset < ends[tp]:
                    yield message


def _topic_record(message: Any) -> TopicRecord:
    headers = {name: (value or b"").decode("utf-8", errors="replace") for name, value in message.headers}
    at: datetime | None = None
    if (
        message.timestamp and message.timestamp > 0
    ):  # of the broker or the sender; the embedded broker has no usable one
        with contextlib.suppress(OverflowError, ValueError, OSError):
            at = datetime.fromtimestamp(message.timestamp / 1000, UTC)
    return TopicRecord(message.topic, message.partition, message.offset, message.value or b"", headers, at)


def recorded(seen: TopicRecord) -> str:
    """One record as a line of a recording: a JSON object, the value in base64."""
    line = {
        "topic": seen.topic,
        "partition": seen.partition,
        "offset": seen.offset,
        "value": base64.b64encode(seen.value).decode(),
        "headers": dict(seen.headers),
        "timestamp": None if seen.timestamp is None else seen.timestamp.isoformat(),
    }
    return json.dumps(line, ensure_ascii=False)


def read_recording(lines: Iterable[str]) -> Iterator[TopicRecord]:
    """The records of a recording. Raises ValueError or KeyError for a line that is none."""
    for line in lines:
        if not line.strip():
            continue
        row = json.loads(line)
        at = None if row["timestamp"] is None else datetime.fromisoformat(row["timestamp"])
        value = base64.b64decode(row["value"])
        yield TopicRecord(row["topic"], row["partition"], row["offset"], value, row["headers"], at)
