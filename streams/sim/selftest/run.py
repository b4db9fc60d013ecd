"""The self-test over topics: letters into an inbox, answers from the topic of receipts, until all are in or time is up.

Joins no group and leaves nothing behind but the letters. Only receipts that come after the start are read.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from streams.kafka.clients import AIOKafkaConsumer, new_producer
from streams.kafka.records import SELFTEST, letter_headers
from streams.sim.selftest import Exchange

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
    """Play `exchange` against the subscriber that reads `inbox` and writes `receipts`.

    An answer is waited for `timeout`, counted from the last letter sent; when all are in, `quiet` longer for answers
    that should not come. Raises MissingTopic.
    """
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, **security)
    try:
        await consumer.start()
        there = await consumer.topics()
        for topic in (inbox, receipts):
            if topic not in there:
                raise MissingTopic(topic)
        consumer.subscribe([receipts])
        while not consumer.assignment():
            await consumer.getmany(timeout_ms=_POLL_MS)
        await consumer.seek_to_end()
        for partition in consumer.assignment():  # the receipts are read from their present ends on
            await consumer.position(partition)
        async with new_producer(bootstrap, client_id="stafet-selftest", **security) as producer:
            end = now()
            while True:
                if letters := exchange.due(now()):
                    sent = []
                    for (
                        letter
                    ) in letters:  # with the relay's headers, and the mark by which the balance leaves them out
                        about, mark = letter.message_id or letter.transport_id, ((SELFTEST, b"subscriber"),)
                        headers = list(letter_headers(about, letter.event_type, letter.transport_id, more=mark))
                        sent.append(await producer.send(inbox, letter.data, key=letter.key.encode(), headers=headers))
                    await asyncio.gather(*sent)
                    end = now() + timeout
                if not exchange.is_waiting or now() >= end:
                    break
                await _read(exchange, consumer, now)
        while exchange.lacks_receipts and now() < end:
            await _read(exchange, consumer, now)
        end = now() + quiet
        while now() < end:
            await _read(exchange, consumer, now)
    finally:
        await consumer.stop()


async def _read(exchange: Exchange, consumer: AIOKafkaConsumer, now: Callable[[], datetime]) -> None:
    for batch in (await consumer.getmany(timeout_ms=_POLL_MS)).values():
        for record in batch:
            exchange.take(record.value or b"", now())
