"""The timer: publishes into the lane what is due there, and does nothing else.

It never writes a table, looks only at partitions this worker owns, and never raises, because what leaves a Faust timer
ends the app. A deadline counts as published only when the broker has the record.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

from faust.types import TP

from agents.clock import Clock
from agents.shell import Report, say
from agents.tables import FencedTable, own_producer, position_key, rows_of
from streams.deadlines import Deadlines, Due
from streams.kafka.clients import partition_of
from streams.kafka.records import Letter, place_of

__all__ = ["Tick", "caught_up", "keep_index", "owned", "publish_due"]

#: (what is due, now) -> the record for its lane.
Tick = Callable[[Due, datetime], Letter]
#: partition -> whether ticks may go out for it (catch-up barrier, 00 §3.4).
Gate = Callable[[int], Awaitable[bool]]

_LIMIT = 30.0  # seconds for one round of sends


def owned(app: Any, topic: str) -> frozenset[int]:
    """The partitions of a topic that this worker owns; none while a rebalance or a recovery is under way."""
    if app.rebalancing or not app.tables.actives_ready:
        return frozenset()
    return frozenset(tp.partition for tp in app.consumer.assignment() if tp.topic == topic)


async def caught_up(app: Any, positions: FencedTable, topic: str, partition: int) -> bool:
    """Whether every record of the partition has been taken: its position row has reached its high water."""
    tp = TP(topic, partition)
    highwater: int | None = app.consumer.highwater(tp)
    if highwater is None:
        return False
    row = positions.get(position_key(topic, partition))
    if row is not None:
        return int(row) >= highwater
    earliest = await app.consumer.earliest_offsets(tp)
    return bool(earliest.get(tp) == highwater)


def keep_index(
    app: Any,
    table: FencedTable,
    topic: str,
    index: Deadlines,
    deadline: Callable[[bytes], datetime | None],
    report: Report = say,
) -> None:
    """Rebuilds the index from the rows after every recovery. `deadline`: row -> datetime or None, pure.

    A row that cannot be read is no reason to have no timers: it is left out, and its next record will tell.
    """

    @table.on_recover  # type: ignore[untyped-decorator]  # Faust is untyped to us
    async def rebuild() -> None:
        partitions = app.consumer.topic_partitions(topic) or table.partitions
        index.rebuild((partition_of(key, partitions), key, due_at(row)) for key, row in rows_of(table))

    def due_at(row: bytes) -> datetime | None:
        try:
            return deadline(row)
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
