"""Reads changelogs back: the state of partitions that this worker owns now.

A consumer of its own reads what is committed, partition by partition, up to where the log ended after the partition was
fenced (`fence.py`): nobody else writes there any more, so that is all. Positions are compared, not offsets of records:
the end of a log may be the mark of a transaction, which no consumer ever sees. The end is the high water, not the last
stable offset: the mark of a commit comes a moment after it, and the open transaction of a stranger would hide what is
behind it. Such a transaction is waited for, and named.

How far it is can be asked at any time (`Restoring`), and whether it still moves: a start has no fixed time, it is given
up when nothing moves.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from aiokafka import TopicPartition

from streams.kafka.lenient import AIOKafkaConsumer

from .fence import Place

__all__ = ["Behind", "Restoring", "restore"]

#: Records taken in one go: the loop has other work.
_AT_ONCE: Final = 1_000

#: Seconds without a row after which the reader looks for what holds it.
_HELD: Final = 5.0

#: (place, records in order): puts them into the local store.
Take = Callable[[Place, Sequence[Any]], None]


class Behind(Exception):
    """A changelog ends before what the local store has read of it."""

    def __init__(self, place: Place, end: int, known: int) -> None:
        super().__init__(
            f"{place.topic}/{place.partition} ends at {end} and the state directory has read {known} records of it: the topic "
            "was emptied or made again; delete the state directory"
        )


class Restoring:
    """How far the restoring of tables is. Times are of `time.monotonic`."""

    def __init__(self) -> None:
        self.done = self.total = 0
        self.held = ""  # what the reading waits for
        self.moved_at = time.monotonic()

    def begins(self, total: int) -> None:
        """`total` rows are to be read."""
        self.done, self.total, self.held = 0, total, ""
        self.moved()

    def read(self, number: int) -> None:
        """That many rows more."""
        self.done += number
        self.held = ""
        self.moved()

    def moved(self) -> None:
        """Something has happened that brings the start forward."""
        self.moved_at = time.monotonic()

    def __str__(self) -> str:
        rows = f"{self.done:,} of {self.total:,} rows are read" if self.total else "waits for its partitions"
        return f"{rows}; {self.held}" if self.held else rows


async def _ends(client: Mapping[str, Any], places: list[TopicPartition]) -> dict[TopicPartition, int]:
    """Where the logs end, open transactions included."""
    consumer = AIOKafkaConsumer(**client, enable_auto_commit=False)
    try:
        await consumer.start()
        consumer.assign(places)
        consumer.pause(*places)
        ends: dict[TopicPartition, int] = await consumer.end_offsets(places)
        return ends
    finally:
        await consumer.stop()


async def restore(
    client: Mapping[str, Any], starts: Mapping[Place, int | None], take: Take, restoring: Restoring
) -> dict[Place, int]:
    """Returns when everything committed has been taken: where each changelog ended.

    `client`: aiokafka's options, `bootstrap_servers` among them. `starts`: where to begin, None for the beginning. Raises
    `Behind`, and aiokafka's `KafkaError`.
    """
    places = {TopicPartition(*place): place for place in starts}
    ends = await _ends(client, list(places))
    consumer = AIOKafkaConsumer(
        **client, isolation_level="read_committed", enable_auto_commit=False, auto_offset_reset="earliest"
    )
    try:
        await consumer.start()
        consumer.assign(list(places))
        oldest = await consumer.beginning_offsets(list(places))
        for tp, place in places.items():
            known = starts[place] or 0
            if known > ends[tp]:
                raise Behind(place, ends[tp], known)
            consumer.seek(tp, max(known, oldest[tp]))
        restoring.begins(sum(ends[tp] - max(starts[place] or 0, oldest[tp]) for tp, place in places.items()))
        waiting = [tp for tp in places if await consumer.position(tp) < ends[tp]]
        while waiting:
            for tp, batch in (await consumer.getmany(*waiting, timeout_ms=500, max_records=_AT_ONCE)).items():
                take(places[tp], batch)
                restoring.read(len(batch))
                await asyncio.sleep(0)  # a turn for everything else
            waiting = [tp for tp in waiting if await consumer.position(tp) < ends[tp]]
            if waiting and time.monotonic() - restoring.moved_at > _HELD:
                restoring.held = (
                    f"{waiting[0].topic}/{waiting[0].partition} has an open transaction at offset "
                    f"{await consumer.position(waiting[0])} that is none of ours: it ends by its time limit, or by "
                    "kafka-transactions.sh abort"
                )
        return {place: ends[tp] for tp, place in places.items()}
    finally:
        await consumer.stop()
