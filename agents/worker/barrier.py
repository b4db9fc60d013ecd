"""Receipts before timers after every rebalance (02 §5.7, 00 §3.4): what was answered meanwhile must not be sent again.

When partitions have come to this worker, the ends of `receipts.raw` and of the letterboxes are noted. No deadline is
published before the group that reads them, whichever worker that is, has committed past those ends, and before the
partition of `lanes` has been taken up to where it ended then: the receipts have arrived there by that time. The offsets
are the broker's, so it holds for several workers.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from streams.kafka.clients import committed_offsets
from streams.kafka.lenient import AIOKafkaConsumer
from streams.kafka.topics import LANES, RECEIPTS_RAW

from .gaps import Gaps

__all__ = ["Barrier"]

#: Seconds between two questions to the broker: the timer looks five times a second, for each partition.
_PAUSE: Final = 1.0


class Barrier:
    """Closed from a rebalance until every receipt of that time is in its lane. `receipts`: the topics they come on."""

    def __init__(
        self,
        bootstrap: str,
        group: str,
        security: Mapping[str, Any],
        letterboxes: Iterable[str] = (),
        gaps: Gaps | None = None,
    ) -> None:
        self._gaps = gaps or Gaps(bootstrap, security)
        self._bootstrap, self._group, self._security = bootstrap, group, dict(security)
        self._topics = (RECEIPTS_RAW, *letterboxes)
        self._turn = 0
        self.close()

    def close(self) -> None:
        """Partitions have changed hands: everything is to be noted and waited for once more."""
        self._turn += 1
        self._receipts: dict[TopicPartition, int] | None = None  # the ends to be passed
        self._lanes: dict[int, int] | None = None  # the ends of `lanes`, noted once the receipts are passed
        self._ask_again = 0.0  # time of the loop

    async def is_open(self, partition: int, taken: Callable[[int], int]) -> bool:
        """Whether deadlines of this partition of `lanes` may be published. `taken`: partition -> next offset expected."""
        if self._lanes is None and self._is_time():
            await self._look(self._turn)
        if self._lanes is None:
            return False
        return await self._is_empty(TopicPartition(LANES, partition), taken(partition), self._lanes.get(partition, 0))

    async def _look(self, turn: int) -> None:
        """Notes what can be noted now; nothing when partitions have changed hands meanwhile."""
        receipts = self._receipts
        if receipts is None:
            receipts = {tp: end for tp, end in (await self._ends(self._topics)).items() if end}
        lanes = await self._ends([LANES]) if await self._passed(receipts) else None
        if turn == self._turn:
            self._receipts = receipts
            self._lanes = None if lanes is None else {tp.partition: end for tp, end in lanes.items()}

    def _is_time(self) -> bool:
        now = asyncio.get_running_loop().time()
        if now < self._ask_again:
            return False
        self._ask_again = now + _PAUSE
        return True

    async def _ends(self, topics: Iterable[str]) -> dict[TopicPartition, int]:
        """Where the topics end now; 0 where nothing is kept any more, since nothing would ever be read there."""
        async with self._admin() as admin:  # a consumer without an assignment knows of no partition
            partitions = [
                TopicPartition(topic["topic"], partition["partition"])
                for topic in await admin.describe_topics(list(topics))
                for partition in topic["partitions"]
            ]
        consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, **self._security)
        try:
            await consumer.start()
            # Assigned together, or aiokafka would learn of one topic after the other, 100 ms each; and nothing fetched.
            consumer.assign(partitions)
            consumer.pause(*partitions)
            starts, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
        finally:
            await consumer.stop()
        return {tp: end if end > starts[tp] else 0 for tp, end in ends.items()}

    async def _passed(self, ends: Mapping[TopicPartition, int]) -> bool:
        if not ends:
            return True
        async with self._admin() as admin:
            committed = await committed_offsets(admin, self._group, ends)
        return all([await self._is_empty(tp, committed.get(tp, 0), end) for tp, end in ends.items()])

    async def _is_empty(self, tp: TopicPartition, reached: int, end: int) -> bool:
        """Whether nothing is left up to the end: a partition may end in the marker of a transaction."""
        return reached >= end or await self._gaps.is_empty(tp.topic, tp.partition, reached, end)

    @contextlib.asynccontextmanager
    async def _admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap, **self._security)
        try:
            await admin.start()
            yield admin
        finally:
            await admin.close()
