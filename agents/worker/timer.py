"""The timer: publishes into the lane what is due there, and does nothing else.

It never writes a table, looks only at partitions this worker owns, and never raises, because what leaves a Faust timer
ends the app. A deadline counts as published only when the broker has the record.
"""

import asyncio
from collections.abc import Awaitable, Callable, Container, Iterable, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

from faust.types import TP

from streams.kafka.clients import partition_of
from streams.kafka.records import Letter, place_of
from streams.relay.standing import Deadlines, Due

from .clock import Clock
from .gaps import Gaps
from .positions import position_at
from .shell import Report, say
from .tables import FencedTable, own_producer, position_key, rows_of

__all__ = ["Tick", "caught_up", "keep_index", "owned", "owned_of", "publish_due"]

#: (what is due, now) -> the record for its lane.
Tick = Callable[[Due, datetime], Letter]
#: partition -> whether ticks may go out for it (catch-up barrier, 00 §3.4).
Gate = Callable[[int], Awaitable[bool]]

T = TypeVar("T")
T_in = TypeVar("T_in", contravariant=True)


class Index(Protocol[T_in]):
    """What is made of the rows of a table: `Deadlines`, for one."""

    def rebuild(self, rows: Iterable[tuple[int, bytes, T_in | None]]) -> None:
        """Forgets everything and takes (partition, key, what was read of the row) of every row."""


_LIMIT = 30.0  # seconds for one round of sends


def owned(app: Any, topic: str) -> frozenset[int]:
    """The partitions of a topic that this worker owns; none while a rebalance or a recovery is under way."""
    return frozenset(partition for _, partition in owned_of(app, (topic,)))


def owned_of(app: Any, topics: Container[str]) -> frozenset[tuple[str, int]]:
    """The same for several topics, each with its partition."""
    if app.rebalancing or not app.tables.actives_ready:
        return frozenset()
    return frozenset((tp.topic, tp.partition) for tp in app.consumer.assignment() if tp.topic in topics)


async def caught_up(app: Any, positions: FencedTable, topic: str, partition: int, gaps: Gaps | None = None) -> bool:
    """Whether every record of the partition has been taken: its position row has reached its high water.

    `gaps` knows whether what is left up to there holds no record.
    """
    tp = TP(topic, partition)
    highwater: int | None = app.consumer.highwater(tp)
    if highwater is None:
        return False
    expected = position_at(positions.get(position_key(topic, partition)), topic, partition)
    if expected is not None:
        return expected >= highwater or (
            gaps is not None and await gaps.is_empty(topic, partition, expected, highwater)
        )
    earliest = await app.consumer.earliest_offsets(tp)
    return bool(earliest.get(tp) == highwater)


def keep_index(
    app: Any,
    table: FencedTable,
    topic: str,
    index: Index[T],
    read: Callable[[bytes], T | None],
    report: Report = say,
) -> None:
    """Rebuilds the index from the rows after every recovery. `read`: row -> what the index takes of it, pure.

    A row that cannot be read is no reason to have no timers: it is left out, and its next record will tell.
    """

    @table.on_recover  # type: ignore[untyped-decorator]  # Faust is untyped to us
    async def rebuild() -> None:
        partitions = app.consumer.topic_partitions(topic) or table.partitions
        index.rebuild((partition_of(key, partitions), key, readable(row)) for key, row in rows_of(table))

    def readable(row: bytes) -> T | None:
        try:
            return read(row)
        except Exception as fault:  # noqa: BLE001  # Faust swallows what a callback raises, and the rest of the index with it
            report("row.unreadable", topic=topic, where=place_of(fault), why=type(fault).__name__)
            return None


async def publish_due(
    app: Any,
    topic: str,
    index: Deadlines,
    tick: Tick,
    *,
    clock: Clock,
    gate: Gate,
    report: Report = say,
) -> int:
    """Publishes a record for everything due in the owned partitions whose gate is open; returns how many.

    To be called by `@app.timer(interval)`. Whatever goes wrong is reported and tried again at the next interval.
    """
    published = 0
    try:
        for partition in sorted(owned(app, topic)):
            due = index.due(partition, clock())
            if due and await gate(partition):
                ticks = [(one, _ticked(one, tick, clock(), topic, report)) for one in due]
                published += await _publish(app, topic, ticks)
                for one in due:
                    index.done(one)
    except Exception as fault:  # noqa: BLE001  # what leaves a timer crashes the app
        report("timer.failed", topic=topic, where=place_of(fault), why=type(fault).__name__)
    return published


def _ticked(one: Due, tick: Tick, now: datetime, topic: str, report: Report) -> Letter | None:
    """None for a lane whose row or key is none of ours: others do not wait behind it, and its next record will tell."""
    try:
        return tick(one, now)
    except Exception as fault:  # noqa: BLE001  # a fault of one lane
        report("timer.failed", topic=topic, where=place_of(fault), why=type(fault).__name__)
        return None


async def _publish(app: Any, topic: str, ticks: Sequence[tuple[Due, Letter | None]]) -> int:
    producer = own_producer(app)
    async with asyncio.timeout(_LIMIT):
        sends = [
            await producer.send(topic, letter.value, key=one.key, partition=one.partition, headers=list(letter.headers))
            for one, letter in ticks
            if letter is not None
        ]
        await asyncio.gather(*sends)
    return len(sends)
