"""Records as no producer of ours writes them: raw bytes in header names, transactions that end either way."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.producer import message_accumulator
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from streams.kafka.topics import LARGE
from tests.brokers import fresh


class RawName(str):
    """A header name of any bytes: what a client in another language may write."""

    raw: bytes

    def __new__(cls, raw: bytes) -> "RawName":
        made = super().__new__(cls, raw.decode("latin-1"))
        made.raw = raw
        return made

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return self.raw


def raw_batch(producer: AIOKafkaProducer) -> Any:
    """An empty batch that encodes header names by their own method: aiokafka's own writes UTF-8 whatever they are."""
    own = message_accumulator.DefaultRecordBatchBuilder
    message_accumulator.DefaultRecordBatchBuilder = _DefaultRecordBatchBuilderPy
    try:
        return producer.create_batch()
    finally:
        message_accumulator.DefaultRecordBatchBuilder = own


@asynccontextmanager
async def foreign_producer(
    bootstrap: str, *, compression: str | None = None, transactional: bool = False
) -> AsyncIterator[AIOKafkaProducer]:
    """A producer that is none of ours; with `transactional`, records go inside `producer.transaction()`."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        compression_type=compression,
        max_request_size=4 * LARGE,
        transactional_id=fresh("transactions") if transactional else None,
    )
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def transaction(
    producer: AIOKafkaProducer, topic: str, pairs: list[tuple[bytes | None, bytes | None]], *, commit: bool
) -> None:
    """One transaction of these records into partition 0, committed or aborted."""
    await producer.begin_transaction()
    for key, value in pairs:
        await producer.send_and_wait(topic, value, key=key, partition=0)
    await (producer.commit_transaction() if commit else producer.abort_transaction())


async def send(
    producer: AIOKafkaProducer,
    topic: str,
    key: bytes | None,
    value: bytes | None,
    headers: list[tuple[str, bytes]],
    *,
    timestamp_ms: int | None = None,
) -> None:
    """One record into partition 0, as it is: without key and value too, which aiokafka's `send` refuses."""
    batch = raw_batch(producer)
    batch.append(timestamp=timestamp_ms, key=key, value=value, headers=headers)
    await (await producer.send_batch(batch, topic, partition=0))
