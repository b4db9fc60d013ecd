"""Whether Kafka answers, asked every few seconds by a connection of its own: what `/readyz` is told of the broker.

A client that waits for records notices a dead broker late and a frozen one not at all. So the cluster is asked for its
topics, with a time limit. The answer is also looked at for partitions that were added to a topic of keys.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

__all__ = ["BrokerWatch"]

_EVERY: Final = 3.0  # seconds between two questions
_LIMIT: Final = 5.0  # seconds for an answer
_SILENT: Final = 12.0  # seconds without an answer until it is said: a leader that is elected takes some

#: Called with the partition count of every topic at each answer.
OnTopics = Callable[[Mapping[str, int]], None]


class BrokerWatch:
    """Remembers when Kafka last answered. `clock`: monotonic seconds."""

    def __init__(self, client: Mapping[str, Any], clock: Callable[[], float] = time.monotonic) -> None:
        self._options, self._clock = dict(client), clock
        self._answered = clock()
        self.on_topics: OnTopics = lambda _counts: None

    def problem(self) -> str:
        """ "" while Kafka answers; else for how long it has not."""
        silent = self._clock() - self._answered
        return f"Kafka has not answered for {silent:.0f} s" if silent > _SILENT else ""

    async def look(self, client: Any) -> None:
        """One question."""
        with suppress(KafkaError, TimeoutError, OSError):
            cluster = await asyncio.wait_for(client.fetch_all_metadata(), _LIMIT)
            self._answered = self._clock()
            self.on_topics({topic: len(cluster.partitions_for_topic(topic) or ()) for topic in cluster.topics()})

    @asynccontextmanager
    async def running(self) -> AsyncIterator["BrokerWatch"]:
        """Asks until the end of the block."""
        task = asyncio.create_task(self._watch())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _watch(self) -> None:
        client: Any = None
        try:
            while True:
                if client is None:
                    client = AIOKafkaClient(**self._options, request_timeout_ms=int(_LIMIT * 1000))
                    try:
                        await asyncio.wait_for(client.bootstrap(), _LIMIT)
                    except (KafkaError, TimeoutError, OSError):
                        await client.close()
                        client = None
                if client is not None:
                    await self.look(client)
                await asyncio.sleep(_EVERY)
        finally:
            if client is not None:
                await client.close()
