"""Offsets of a source topic at which there is no record: asked of the broker before anybody leaves (decision 0025).

An offset that is skipped is a record lost, so the worker leaves before it acknowledges anything beyond (`agents/worker/tables`).
But some offsets hold no record for anybody: the marker that ends a transaction, and what an aborted one has written,
where only committed records are read. And some hold one no longer: retention has deleted it. An independent reader that
starts at the offset expected sees what there is. Where it finds a record in between, the gap is ours, and the worker
leaves as before.

What the reader has seen beyond the gap is remembered: in a backlog of one record for each transaction it is asked once
in some hundred gaps.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from streams.kafka.lenient import AIOKafkaConsumer
from streams.kafka.topics import LARGE

from .tables import Skipped

__all__ = ["Gaps", "Loss"]

#: Seconds for the broker's answer about a gap, and about what is left of a partition, which is asked again.
_LIMIT: Final = 30.0
_SOON: Final = 3.0
#: Seconds for which a partition has stood still before it is asked about.
_STANDING: Final = 1.0
#: Questions about a partition that may stand beside each other: barrier, timers and progress each have an end of theirs.
_ASKERS: Final = 8
_POLL_MS: Final = 200
_AHEAD: Final = 2000

Isolation = str  # aiokafka: "read_uncommitted" or "read_committed"

#: What holds a record for a reader of everything is asked first; then, whether one of committed records would see it.
#: A reader of committed records alone stands still before a transaction that is still open.
_READERS: Final[tuple[Isolation, ...]] = ("read_uncommitted", "read_committed")


class Loss(NamedTuple):
    """Offsets that the broker no longer keeps: from the next one expected to the oldest one kept."""

    topic: str
    partition: int
    expected: int
    oldest: int


class _View(NamedTuple):
    """What a reader has seen of a partition: every record between two offsets, the second one not included."""

    start: int
    end: int
    offsets: list[int]

    def covers(self, first: int, end: int) -> bool:
        return self.start <= first and end <= self.end

    def holds(self, first: int, end: int) -> bool:
        """Whether a record lies from `first` to before `end`."""
        at = bisect_left(self.offsets, first)
        return at < len(self.offsets) and self.offsets[at] < end


class Gaps:
    """Answers for the source topics of one worker. `security`: aiokafka's client options; `standing` in seconds."""

    def __init__(self, bootstrap: str, security: Mapping[str, Any] | None = None, standing: float = _STANDING) -> None:
        self._standing = standing
        self._bootstrap, self._security = bootstrap, dict(security or {})
        self._views: dict[tuple[TopicPartition, Isolation], _View] = {}
        self._questions: dict[TopicPartition, dict[tuple[int, int], float]] = {}  # (first, end) -> since when
        self._asking = asyncio.Lock()

    async def explained(self, topic: str, partition: int, expected: int, got: int) -> Loss | None:
        """Returns when the broker has no record from `expected` to before `got`; with what retention has deleted.

        Raises `Skipped` when it has one, or does not answer.
        """
        try:
            oldest, is_empty = await self._asked(TopicPartition(topic, partition), expected, got, _LIMIT)
        except (KafkaError, TimeoutError) as why:
            raise Skipped(topic, partition, expected, got) from why
        if not is_empty:
            raise Skipped(topic, partition, expected, got)
        return Loss(topic, partition, expected, min(oldest, got)) if oldest > expected else None

    async def is_empty(self, topic: str, partition: int, first: int, end: int) -> bool:
        """Whether nothing more is to come before `end`: a partition may end in the marker of a transaction.

        To be asked again and again: the broker is asked once the same question has stood for `standing`. Where records come
        and are taken, it never does.
        """
        tp, now = TopicPartition(topic, partition), asyncio.get_running_loop().time()
        questions = self._questions.setdefault(tp, {})
        if (first, end) not in questions and len(questions) >= _ASKERS:
            questions.clear()
        if now - questions.setdefault((first, end), now) < self._standing:
            return False
        try:
            _, is_empty = await self._asked(tp, first, end, _SOON)
        except (KafkaError, TimeoutError):
            return False
        return is_empty

    async def _asked(self, tp: TopicPartition, first: int, end: int, limit: float) -> tuple[int, bool]:
        """The oldest offset kept, as far as it matters here, and whether no record lies in between."""
        if first >= end:
            return first, True
        oldest = first
        async with self._asking:
            for isolation in _READERS:
                view = self._views.get((tp, isolation))
                if view is None or not (view.covers(first, end) or (view.start <= first and view.holds(first, end))):
                    async with asyncio.timeout(limit):
                        oldest, view = await self._looked(tp, first, end, isolation)
                    self._views[tp, isolation] = view
                if view.covers(max(first, oldest), end) and not view.holds(first, end):
                    return oldest, True
        return oldest, False

    async def _looked(self, tp: TopicPartition, first: int, end: int, isolation: Isolation) -> tuple[int, _View]:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            enable_auto_commit=False,
            isolation_level=isolation,
            max_partition_fetch_bytes=LARGE,
            **self._security,
        )
        try:
            await consumer.start()
            consumer.assign([tp])
            oldest = (await consumer.beginning_offsets([tp]))[tp]
            consumer.seek(tp, max(first, oldest))
            offsets: list[int] = []
            while await consumer.position(tp) < end and not offsets:
                batch = await consumer.getmany(tp, timeout_ms=_POLL_MS, max_records=_AHEAD)
                offsets += [message.offset for message in batch.get(tp, ())]
            reached = await consumer.position(tp)
        finally:
            await consumer.stop()
        return oldest, _View(max(first, oldest), reached, offsets)
