"""The timer publishes into the lane what is due there, and the barrier holds it back until every receipt has arrived.

The timer never writes a table, looks only at partitions this worker owns, and never raises, because what leaves a Faust
timer ends the app. A deadline counts as published only when the broker has the record.

Receipts before timers after every rebalance (02 §5.7, 00 §3.4): what was answered meanwhile must not be sent again. When
partitions have come to this worker, the ends of `receipts.raw` and of the letterboxes are noted. No deadline is
published before the group that reads them, whichever worker that is, has committed past those ends, and before the
partition of `lanes` has been taken up to where it ended then: the receipts have arrived there by that time. The offsets
are the broker's, so it holds for several workers.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Iterable
from datetime import datetime
from typing import Final, Protocol, TypeVar

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from faust.types import TP

from agents.station import Clock
from streams.kafka.clients import AIOKafkaConsumer, committed_offsets
from streams.kafka.records import ProducerRecord, place_of
from streams.kafka.topics import LANES, RECEIPTS_RAW
from streams.relay.standing import Deadlines, Due

from .any_record import position_at
from .changelog import ClientOptions
from .gaps import Gaps
from .shell import Report, log_warning
from .tables import FencedApp, FencedTable, position_key

#: (what is due, now) -> the record for its lane.
Tick = Callable[[Due, datetime], ProducerRecord]
#: partition -> whether ticks may go out for it (catch-up barrier, 00 §3.4).
Gate = Callable[[int], Awaitable[bool]]

T = TypeVar("T")
T_in = TypeVar("T_in", contravariant=True)

#: Seconds for which rows are read in one go: the loop has other work.
_TURN: Final = 0.005

#: Seconds between two questions of the barrier to the broker: the timer looks five times a second, for each partition.
_PAUSE: Final = 1.0


class Index(Protocol[T_in]):
    """What is made of the rows of a table: `Standing`, for one."""

    def clear(self) -> None:
        """Forgets everything: the rows follow."""

    def set(self, partition: int, key: bytes, row: T_in | None) -> None:
        """What was read of a row."""

    def begin(self) -> None:
        """Every row has been set."""


def owned(app: FencedApp, topic: str) -> frozenset[int]:
    """The partitions of a topic that this worker owns; none while a rebalance or a recovery is under way."""
    return frozenset(partition for _, partition in owned_of(app, (topic,)))


def owned_of(app: FencedApp, topics: Container[str]) -> frozenset[tuple[str, int]]:
    """The same for several topics, each with its partition."""
    if app.rebalancing or not app.tables.actives_ready:
        return frozenset()
    return frozenset((tp.topic, tp.partition) for tp in app.consumer.assignment() if tp.topic in topics)


async def caught_up(
    app: FencedApp, positions: FencedTable, topic: str, partition: int, gaps: Gaps | None = None
) -> bool:
    """Whether every record of the partition has been taken: its position row has reached its high water.

    `gaps` knows whether what is left up to there holds no record.
    """
    tp = TP(topic, partition)
    highwater: int | None = app.consumer.highwater(tp)
    if highwater is None:
        return False
    expected = position_at(positions.get(partition, position_key(topic, partition)), topic, partition)
    if expected is not None:
        return expected >= highwater or (
            gaps is not None and await gaps.is_empty(topic, partition, expected, highwater)
        )
    earliest = await app.consumer.earliest_offsets(tp)
    return bool(earliest.get(tp) == highwater)


def keep_index(
    app: FencedApp,
    table: FencedTable,
    topic: str,
    index: Index[T],
    read: Callable[[bytes], T | None],
    report: Report = log_warning,
) -> None:
    """Makes the index of the rows after every recovery, a few at a time: all else goes on meanwhile.

    `read`: row -> what the index takes of it, pure. A row that cannot be read is no reason to have no timers: it is left
    out, and its next record names it.
    """

    async def rebuild() -> None:
        index.clear()
        begun = time.perf_counter()
        for partition, key, row in table.rows():
            index.set(partition, key, readable(row))
            if time.perf_counter() - begun > _TURN:
                app.restoring.moved()
                await asyncio.sleep(0)
                begun = time.perf_counter()
        index.begin()

    def readable(row: bytes) -> T | None:
        try:
            return read(row)
        except Exception as fault:  # noqa: BLE001  # whatever is wrong with one row, the others have their timers
            report("row.unreadable", topic=topic, where=place_of(fault), why=type(fault).__name__)
            return None

    table.when_whole = rebuild


async def publish_due(
    app: FencedApp,
    topic: str,
    index: Deadlines,
    tick: Tick,
    *,
    clock: Clock,
    gate: Gate,
    report: Report = log_warning,
) -> int:
    """Publishes a record for everything due in the owned partitions whose gate is open; returns how many.

    To be called by `@app.timer(interval)`. Whatever goes wrong is reported and tried again at the next interval. A lane
    whose row or key is none of ours gives no record: others do not wait behind it, and its next record names it.
    """
    published = 0
    try:
        for partition in sorted(owned(app, topic)):
            due = index.due(partition, clock())
            if not due or not await gate(partition):
                continue
            letters: list[ProducerRecord] = []
            for one in due:
                try:
                    letters.append(tick(one, clock())._replace(topic=topic))
                except Exception as fault:  # noqa: BLE001  # a fault of one lane
                    report("timer.failed", topic=topic, where=place_of(fault), why=type(fault).__name__)
            if refusals := await app.sender.send(letters):
                report("timer.failed", topic=topic, why=refusals[0].reason)
                continue
            published += len(letters)
            for one in due:
                index.done(one)
    except Exception as fault:  # noqa: BLE001  # what leaves a timer crashes the app
        report("timer.failed", topic=topic, where=place_of(fault), why=type(fault).__name__)
    return published


class Barrier:
    """Closed from a rebalance until every receipt of that time is in its lane.

    `letterboxes`: topics of receipts beside `receipts`; `lanes`: the topic where they go.
    """

    def __init__(
        self,
        bootstrap: str,
        group: str,
        security: ClientOptions,
        letterboxes: Iterable[str] = (),
        gaps: Gaps | None = None,
        *,
        receipts: Iterable[str] = (RECEIPTS_RAW,),
        lanes: str = LANES,
    ) -> None:
        self._gaps = gaps or Gaps(bootstrap, security)
        self._bootstrap, self._group, self._security = bootstrap, group, dict(security)
        self._topics, self._topic = (*receipts, *letterboxes), lanes
        self._turn = 0
        self.close()

    def close(self) -> None:
        """Partitions have changed hands: everything is to be noted and waited for once more."""
        self._turn += 1
        self._receipts: dict[TopicPartition, int] | None = None  # the ends to be passed
        self._lanes: dict[int, int] | None = None  # the ends of the lanes, noted once the receipts are passed
        self._ask_again = 0.0  # time of the loop

    async def is_open(self, partition: int, taken: Callable[[int], int]) -> bool:
        """Whether deadlines of this partition of the lanes may be published. `taken`: partition -> next offset expected."""
        if self._lanes is None and (now := asyncio.get_running_loop().time()) >= self._ask_again:
            self._ask_again, turn = now + _PAUSE, self._turn
            receipts = self._receipts
            if receipts is None:
                receipts = {tp: end for tp, end in (await self._ends(self._topics)).items() if end}
            are_passed = True
            if receipts:
                async with self._admin() as admin:
                    committed = await committed_offsets(admin, self._group, receipts)
                are_passed = all([await self._is_empty(tp, committed.get(tp, 0), end) for tp, end in receipts.items()])
            lanes = await self._ends([self._topic]) if are_passed else None
            if turn == self._turn:  # else partitions have changed hands meanwhile
                self._receipts = receipts
                self._lanes = None if lanes is None else {tp.partition: end for tp, end in lanes.items()}
        if self._lanes is None:
            return False
        return await self._is_empty(
            TopicPartition(self._topic, partition), taken(partition), self._lanes.get(partition, 0)
        )

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
