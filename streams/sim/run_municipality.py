"""Simulated municipalities at work: they read their inboxes and post receipts, each in its letterbox, when they are due.

Reading joins no group and begins at the oldest or the newest record, so nothing is left behind on a broker. Due receipts
wait in memory: a simulator that is stopped forgets them, as does a system that is switched off.
"""

import asyncio
import heapq
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from random import Random
from typing import Any, Protocol

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from streams.kafka.lenient import AIOKafkaConsumer
from streams.kafka.topics import inbox, letterbox

from .municipality import Behaviour, answer, message_id

__all__ = ["Answering", "Tally", "Town", "run_municipalities"]

_POLL_MS = 100

#: What a script meets in a document that is well-formed and no notification: an inbox may hold anything.
_NOT_A_MESSAGE = (LookupError, TypeError, AttributeError, ValueError, RuntimeError)


@dataclass(slots=True)
class Tally:
    """What was done."""

    received: int = 0
    answered: int = 0


class Answering(Protocol):
    """Municipalities as this shell sees them: what they read, and which receipts they have ready."""

    @property
    def codes(self) -> Collection[str]:
        """Kommunekoder of the inboxes to be read."""

    @property
    def tally(self) -> Tally:
        """What was done."""

    def receive(self, topic: str, envelope: bytes, at: datetime) -> None:
        """Take one record of an inbox."""

    def due(self, now: datetime) -> list[tuple[str, bytes]]:
        """Receipts whose time has come, each with the kommunekode of its sender; they count as sent."""


@dataclass(slots=True)
class Town:
    """All scripted municipalities of one run: what they have received, and which receipts are due when."""

    behaviour: Mapping[str, Behaviour]  # by kommunekode
    rng: Random
    tally: Tally = field(default_factory=Tally)
    _seen: Counter[tuple[str, str]] = field(default_factory=Counter)
    _due: list[tuple[datetime, int, str, bytes]] = field(default_factory=list)
    _number: Iterator[int] = field(default_factory=count)  # equal times keep their order

    @property
    def codes(self) -> Collection[str]:
        """Whose inboxes are read."""
        return self.behaviour.keys()

    def receive(self, topic: str, envelope: bytes, at: datetime) -> None:
        """Take one record of an inbox; its receipts are due from now on."""
        self.tally.received += 1
        code = topic.split(".")[1]
        try:
            message = message_id(envelope)
            if message is None:
                return
            self._seen[topic, message] += 1
            replies = answer(envelope, self.behaviour[code], at, self.rng, self._seen[topic, message])
        except _NOT_A_MESSAGE:
            return
        for reply in replies:
            heapq.heappush(self._due, (at + reply.after, next(self._number), code, reply.data))

    @property
    def is_idle(self) -> bool:
        """Whether no receipt is left to be sent for what has been received."""
        return not self._due

    def due(self, now: datetime) -> list[tuple[str, bytes]]:
        """Receipts whose time has come, in order of time, each with its sender."""
        receipts = []
        while self._due and self._due[0][0] <= now:
            _, _, code, receipt = heapq.heappop(self._due)
            receipts.append((code, receipt))
        return receipts


async def run_municipalities(
    bootstrap: str,
    town: Answering,
    producer: AIOKafkaProducer,
    stop: asyncio.Event,
    now: Callable[[], datetime],
    *,
    from_start: bool = True,
    **security: Any,
) -> Tally:
    """Answer on behalf of the municipalities of `town` until `stop`, with a started `producer`; `now` may run fast."""
    partitions = await _partitions(bootstrap, [inbox(code) for code in town.codes], security)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="earliest" if from_start else "latest",
        **security,
    )
    try:
        await consumer.start()
        consumer.assign(partitions)
        while not stop.is_set():
            for batch in (await consumer.getmany(timeout_ms=_POLL_MS)).values():
                for record in batch:
                    town.receive(record.topic, record.value or b"", now())
            receipts = town.due(now())
            sent = [await producer.send(letterbox(code), receipt) for code, receipt in receipts]
            await asyncio.gather(*sent)
            town.tally.answered += len(receipts)
    finally:
        await consumer.stop()
    return town.tally


async def _partitions(bootstrap: str, topics: list[str], security: dict[str, Any]) -> list[TopicPartition]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, **security)
    try:
        await admin.start()
        present = sorted(set(topics).intersection(await admin.list_topics()))
        found = await admin.describe_topics(present) if present else []
    finally:
        await admin.close()
    partitions = [TopicPartition(topic["topic"], p["partition"]) for topic in found for p in topic["partitions"]]
    if not partitions:
        raise LookupError("none of the inboxes is on the broker; prepare it with `stafet topics apply --yes`")
    return partitions
