"""Whether a process can go on: `/readyz` asks whether Kafka answers, `/livez` whether a worker that has work gets on.

A client that waits for records notices a dead broker late and a frozen one not at all. So the cluster is asked for its
topics every few seconds, by a connection of its own and with a time limit. The answer is also looked at for partitions
that were added to a topic of keys.

A worker may live without a living stream, and Faust only logs that. Dead is: records lie there, and no position row has
moved for `limit`. Empty topics, a recovery and a rebalance are no reason: then the time begins again (spec 06 §4.1;
decisions/0002).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Final, Protocol

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from faust.types import TP

from agents.worker.any_record import position_at
from agents.worker.changelog import ClientOptions
from agents.worker.gaps import Gaps
from agents.worker.tables import FencedApp, FencedTable, position_key
from agents.worker.timer import owned_of

_EVERY: Final = 3.0  # seconds between two questions
_LIMIT: Final = 5.0  # seconds for an answer
_SILENT: Final = 12.0  # seconds without an answer until it is a problem: a leader that is elected takes some

#: Far above every wait of the shell (45 s), after which a worker leaves by itself.
_STANDSTILL: Final = timedelta(minutes=5)

#: Called with the partition count of every topic at each answer.
OnTopics = Callable[[Mapping[str, int]], None]

#: Topic and partition -> (next offset expected, high water).
Positions = Mapping[tuple[str, int], tuple[int, int]]


class BrokerWatch:
    """Remembers when Kafka last answered. `clock`: monotonic seconds."""

    def __init__(self, client: ClientOptions, clock: Callable[[], float] = time.monotonic) -> None:
        self._options, self._clock = dict(client), clock
        self._answered = clock()
        self.on_topics: list[OnTopics] = []

    def problem(self) -> str:
        """ "" while Kafka answers; else for how long it has not."""
        silent = self._clock() - self._answered
        return f"Kafka has not answered for {silent:.0f} s" if silent > _SILENT else ""

    async def look(self, client: AIOKafkaClient) -> None:
        """One question."""
        with suppress(KafkaError, TimeoutError, OSError):
            cluster = await asyncio.wait_for(client.fetch_all_metadata(), _LIMIT)
            self._answered = self._clock()
            counts = {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in cluster.topics()}
            for check in self.on_topics:
                check(counts)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["BrokerWatch"]:
        """Asks until the end of the block."""

        async def watch() -> None:
            client: AIOKafkaClient | None = None
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

        task = asyncio.create_task(watch())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait([task])


class Progress:
    """Remembers when something last moved. `now` is a monotonic time in seconds."""

    def __init__(self, now: float, limit: timedelta = _STANDSTILL) -> None:
        self._since, self._limit = now, limit.total_seconds()
        self._last: dict[tuple[str, int], int] = {}

    def look(self, positions: Positions, now: float) -> str:
        """ "" while alive; else why not."""
        lag = sum(max(end - at, 0) for at, end in positions.values())
        current = {partition: at for partition, (at, _) in positions.items()}
        if lag == 0 or current != self._last:
            self._since, self._last = now, current
        idle = now - self._since
        return f"{lag} records wait and none was taken for {idle:.0f} s" if idle >= self._limit else ""


class Reader(Protocol):
    """A worker as it is watched: the relay, or the distributor."""

    @property
    def app(self) -> FencedApp:
        """Its app."""

    @property
    def sources(self) -> tuple[tuple[str, FencedTable], ...]:
        """Every topic that is read, with the table that keeps its positions."""

    @property
    def gaps(self) -> Gaps:
        """What knows where a topic holds no record."""


async def positions_of(relay: Reader) -> Positions:
    """The partitions that this worker owns; empty while a rebalance or a recovery is under way.

    What is left of a partition and holds no record counts as taken.
    """
    app, tables = relay.app, dict(relay.sources)
    found = {
        (topic, number): (
            position_at(tables[topic].get(number, position_key(topic, number)), topic, number) or 0,
            int(end),
        )
        for topic, number in owned_of(app, tables)
        if (end := app.consumer.highwater(TP(topic, number))) is not None
    }
    return {
        (topic, number): (end if 0 < at < end and await relay.gaps.is_empty(topic, number, at, end) else at, end)
        for (topic, number), (at, end) in found.items()
    }
