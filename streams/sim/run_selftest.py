"""The self-test over topics: letters into an inbox, answers from the topic of receipts, until all are in or time is up.

Joins no group and leaves nothing behind but the letters. Only receipts that come after the start are read.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from aiokafka import AIOKafkaProducer

from streams.kafka.clients import new_producer
from streams.kafka.lenient import AIOKafkaConsumer
from streams.kafka.records import SELFTEST, Headers, letter_headers

from .selftest import Exchange, Letter

__all__ = ["MissingTopic", "run_selftest"]

_POLL_MS = 100


class MissingTopic(LookupError):
    """A topic that was named is not on the broker."""


async def run_selftest(
    bootstrap: str,
    exchange: Exchange,
    *,
    inbox: str,
    receipts: str,
    timeout: timedelta,
    quiet: timedelta,
    now: Callable[[], datetime],
    **security: Any,
) -> None:
    """Play `exchange` against whoever reads `inbox` and writes `receipts`.

    An answer is waited for `timeout`, counted from the last letter sent; when all are in, `quiet` longer for answers
    that should not come. Raises MissingTopic.
    """
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, **security)
    try:
        await consumer.start()
        await _assign(consumer, inbox, receipts)
        async with new_producer(bootstrap, client_id="stafet-selftest", **security) as producer:
            end = await _until_acknowledged(exchange, producer, inbox, consumer, timeout, now)
        while exchange.lacks_receipts and now() < end:
            await _read(exchange, consumer, now)
        end = now() + quiet
        while now() < end:
            await _read(exchange, consumer, now)
    finally:
        await consumer.stop()


async def _assign(consumer: AIOKafkaConsumer, inbox: str, receipts: str) -> None:
    """Reads the receipts from their present ends on."""
    there = await consumer.topics()
    for topic in (inbox, receipts):
        if topic not in there:
            raise MissingTopic(topic)
    consumer.subscribe([receipts])
    while not consumer.assignment():
        await consumer.getmany(timeout_ms=_POLL_MS)
    await consumer.seek_to_end()
    for partition in consumer.assignment():
        await consumer.position(partition)


async def _until_acknowledged(
    exchange: Exchange,
    producer: AIOKafkaProducer,
    inbox: str,
    consumer: AIOKafkaConsumer,
    timeout: timedelta,
    now: Callable[[], datetime],
) -> datetime:
    """Sends what is due until everything is acknowledged or time is up; when it is, counted from the last letter."""
    end = now()
    while True:
        if await _send(exchange, producer, inbox, now()):
            end = now() + timeout
        if not exchange.is_waiting or now() >= end:
            return end
        await _read(exchange, consumer, now)


async def _send(exchange: Exchange, producer: AIOKafkaProducer, inbox: str, at: datetime) -> int:
    letters = exchange.due(at)
    sent = [
        await producer.send(inbox, letter.data, key=letter.key.encode(), headers=list(_headers(letter)))
        for letter in letters
    ]
    await asyncio.gather(*sent)
    return len(letters)


def _headers(letter: Letter) -> Headers:
    """As the relay's, and the mark by which the balance leaves the letter out."""
    about = letter.message_id or letter.transport_id
    return letter_headers(about, letter.event_type, letter.transport_id, more=((SELFTEST, b"subscriber"),))


async def _read(exchange: Exchange, consumer: AIOKafkaConsumer, now: Callable[[], datetime]) -> None:
    for batch in (await consumer.getmany(timeout_ms=_POLL_MS)).values():
        for record in batch:
            exchange.take(record.value or b"", now())
