"""Receipts before timers after an outage (02 §5.7, 00 §3.4): what was answered meanwhile must not be sent again.

At start the ends of `receipts.raw` and of the letterboxes are noted. No deadline is published before the group that
reads them, whichever worker that is, has committed past those ends. The offsets are the broker's, so it holds for several workers.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from streams.kafka.topics import RECEIPTS_RAW

__all__ = ["Barrier"]

#: Seconds between two questions to the broker: the timer looks five times a second, for each partition.
_PAUSE: Final = 1.0


class Barrier:
    """Opens once and stays open."""

    def __init__(
        self, bootstrap: str, group: str, security: Mapping[str, Any], letterboxes: Iterable[str] = ()
    ) -> None:
        self._topics = [RECEIPTS_RAW, *letterboxes]
        self._bootstrap, self._group, self._security = bootstrap, group, dict(security)
        self._waiting: dict[TopicPartition, int] | None = None
        self._is_open = False
        self._ask_again = 0.0  # time of the loop

    async def note_ends(self) -> None:
        """Remembers how far the topics of receipts reach now; to be called before the worker starts."""
        partitions = await self._partitions()
        consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, **self._security)
        try:
            await consumer.start()
            # Assigned together, or aiokafka would learn of one topic after the other, 100 ms each; and nothing fetched.
            consumer.assign(partitions)
            consumer.pause(*partitions)
            starts, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
        finally:
            await consumer.stop()
        # Where nothing is kept any more nothing will be read, so no offset would ever be committed there.
        self._waiting = {tp: end for tp, end in ends.items() if end > starts[tp]}

    async def _partitions(self) -> list[TopicPartition]:
        """Asked of the broker: a consumer without an assignment knows of no partition."""
        async with self._admin() as admin:
            topics = await admin.describe_topics(self._topics)
        return [TopicPartition(topic["topic"], p["partition"]) for topic in topics for p in topic["partitions"]]

    async def is_open(self) -> bool:
        """Whether every receipt that lay there at start has been taken."""
        now = asyncio.get_running_loop().time()
        if not self._is_open and self._waiting is not None and now >= self._ask_again:
            self._ask_again = now + _PAUSE
            self._is_open = not self._waiting or await self._passed(self._waiting)
        return self._is_open

    async def _passed(self, waiting: Mapping[TopicPartition, int]) -> bool:
        async with self._admin() as admin:
            # Named one by one: the embedded broker has no answer to the question for all.
            committed = await admin.list_consumer_group_offsets(self._group, partitions=list(waiting))
        return all(tp in committed and committed[tp].offset >= end for tp, end in waiting.items())

    @contextlib.asynccontextmanager
    async def _admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap, **self._security)
        try:
            await admin.start()
            yield admin
        finally:
            await admin.close()
