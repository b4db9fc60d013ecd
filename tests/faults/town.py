"""Municipalities that read their inboxes and answer each letter soon with a positive receipt. Nothing is remembered."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from streams.sim.acknowledgement import acknowledgement, arrived, enveloped
from tests.brokers import producing
from tests.faults.evidence import partitions_of

__all__ = ["answering"]

THINKING: Final = 0.3  # seconds: many receipts are under way when a worker stops


@contextlib.asynccontextmanager
async def answering(bootstrap: str, kommuner: tuple[str, ...]) -> AsyncIterator[None]:
    """Every letter to these is answered once per copy until the end of the block."""
    if not kommuner:
        yield
        return
    stop = asyncio.Event()
    task = asyncio.create_task(_answer(bootstrap, kommuner, stop))
    try:
        yield
    finally:
        stop.set()
        await task


async def _answer(bootstrap: str, kommuner: tuple[str, ...], stop: asyncio.Event) -> None:
    inboxes = frozenset(f"municipality.{code}.inbox" for code in kommuner)
    own = {place.topic for place in await partitions_of(bootstrap, lambda name: name.endswith(".receipts"))}
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    async with producing(bootstrap) as producer:
        await consumer.start()
        try:
            consumer.assign(await partitions_of(bootstrap, inboxes.__contains__))
            while not stop.is_set():
                letters = [one for batch in (await consumer.getmany(timeout_ms=200)).values() for one in batch]
                await asyncio.sleep(THINKING)
                topics = [one.topic.replace(".inbox", ".receipts") for one in letters]
                await asyncio.gather(
                    *(
                        _sent(producer, topic if topic in own else "receipts.raw", _ok(one.value))
                        for topic, one in zip(topics, letters, strict=True)
                    )
                )
        finally:
            await consumer.stop()


async def _sent(producer: object, topic: str, value: bytes) -> None:
    """Until the broker has it."""
    while True:
        try:
            await producer.send_and_wait(topic, value)  # type: ignore[attr-defined]
        except KafkaError:
            await asyncio.sleep(0.2)
            continue
        return


def _ok(envelope: bytes) -> bytes:
    message, now = arrived(envelope), datetime.now(UTC)
    assert message is not None
    return enveloped(message, acknowledgement(message, "ok", now, 0), message.receiver, now)
