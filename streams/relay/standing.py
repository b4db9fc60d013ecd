"""What a process knows of all its lanes at a glance: which are due, and which of their messages have no final state.

Made of the rows that are safe, by partition, rebuilt from them after every recovery, and never the truth. Partitions
are kept apart because a worker still holds the rows of those it has lost. No clock in here: `now` is an argument.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from streams.delivery.rules import FINAL, DeliveryState
from streams.records.ledger import LedgerRow
from streams.stay.fold import StayPolicy

from .lane import LaneRow, next_due

__all__ = ["Deadlines", "Due", "OpenMessages", "Standing"]

#: (partition, key, row or None)
Rows = Iterable[tuple[int, bytes, LaneRow | None]]


class Due(NamedTuple):
    """A lane whose deadline has come."""

    deadline: datetime
    key: bytes
    partition: int


class Deadlines:
    """One deadline per key, the earliest of each partition at hand.

    A timer asks it and publishes `overdue` or `wake` into the lane (design §3; 00 §1.7); the fold ignores a tick made for
    a deadline that is no longer the row's (spec 02 §5.3), so an index that is wrong costs a record and nothing else.
    A due lane stays due until `done` confirms that the broker has its record.
    """

    def __init__(self) -> None:
        self._current: dict[bytes, tuple[datetime, int]] = {}
        self._heaps: dict[int, list[tuple[datetime, bytes]]] = {}

    def __len__(self) -> int:
        return len(self._current)

    def set(self, partition: int, key: bytes, deadline: datetime | None) -> None:
        """The row of `key` has this deadline now; None when it waits for nothing."""
        if deadline is None:
            self._current.pop(key, None)
        elif self._current.get(key) != (deadline, partition):
            self._current[key] = deadline, partition
            heapq.heappush(self._heaps.setdefault(partition, []), (deadline, key))

    def due(self, partition: int, now: datetime, most: int = 500) -> tuple[Due, ...]:
        """The lanes of a partition whose deadline has come, earliest first; they stay until `done`."""
        heap = self._heaps.get(partition, [])
        found: list[Due] = []
        while heap and heap[0][0] <= now and len(found) < most:
            deadline, key = heapq.heappop(heap)
            if self._current.get(key) == (deadline, partition):  # else: a later `set` replaced it
                found.append(Due(deadline, key, partition))
        for deadline, key, _ in found:
            heapq.heappush(heap, (deadline, key))
        return tuple(dict.fromkeys(found))

    def done(self, due: Due) -> None:
        """Its record is in the lane: not due again until its row is. A newer deadline of the row stays."""
        if self._current.get(due.key) == (due.deadline, due.partition):
            del self._current[due.key]

    def earliest(self, partitions: Iterable[int]) -> datetime | None:
        """The earliest deadline in these partitions."""
        wanted = set(partitions)
        return min((deadline for deadline, partition in self._current.values() if partition in wanted), default=None)

    def rebuild(self, rows: Iterable[tuple[int, bytes, datetime | None]]) -> None:
        """Forgets everything and takes (partition, key, deadline) of every row."""
        self._current.clear()
        self._heaps.clear()
        for partition, key, deadline in rows:
            self.set(partition, key, deadline)


class _Open(NamedTuple):
    """A message without a final state."""

    partition: int
    kommunekode: str
    since: datetime  # when the message was made
    due: datetime | None  # its deadline, or the next try of a refused hand-over


class OpenMessages:
    """The open messages of all lanes of a process: the figures of a worker, kept up to date row by row (spec 03 §10).

    Made of the rows as they lie in the table, so it is right after a recovery, and law L2 can be judged with it: open =
    open at the last recovery + created - settled, where the right side is counted from the ledger rows that the lanes
    have given since (03 §6.3). A difference is a message without a state, or with two.
    """

    def __init__(self) -> None:
        self._messages: dict[str, _Open] = {}
        self._lanes: dict[bytes, tuple[str, ...]] = {}
        self._counts: dict[int, Counter[str]] = defaultdict(Counter)
        # Heaps; an entry that is no longer the message's own is dropped when it comes up.
        self._oldest: dict[tuple[int, str], list[tuple[datetime, str]]] = defaultdict(list)
        self._dues: dict[int, list[tuple[datetime, str]]] = defaultdict(list)
        self._expected = 0  # messages open by the ledger
        self._pending = 0  # the same of records whose rows are not safe yet

    def __len__(self) -> int:
        return len(self._messages)

    def clear(self) -> None:
        """Forgets everything: the rows follow."""
        for known in (self._messages, self._lanes, self._counts, self._oldest, self._dues):
            known.clear()
        self.begin()

    def begin(self) -> None:
        """Law L2 is judged from here on: what is open now is as it should be."""
        self._expected, self._pending = len(self), 0

    def set(self, partition: int, key: bytes, row: LaneRow | None) -> None:
        """The row of `key` is safe; None when the lane remembers nothing. All rows of a batch come in one breath."""
        self._expected, self._pending = self._expected + self._pending, 0
        deliveries = {} if row is None else row.deliveries
        found = {
            str(one.message_id): _Open(partition, one.address.kommunekode, one.created, one.due)
            for one in deliveries.values()
            if not one.is_final
        }
        for message in self._lanes.pop(key, ()):
            if message not in found:
                self._close(message)
        for message, now in found.items():
            if self._messages.get(message) != now:
                self._close(message)
                self._messages[message] = now
                self._counts[partition][now.kommunekode] += 1
                heapq.heappush(self._oldest[partition, now.kommunekode], (now.since, message))
                if now.due is not None:
                    heapq.heappush(self._dues[partition], (now.due, message))
        if found:
            self._lanes[key] = tuple(found)

    def _close(self, message: str) -> None:
        if (before := self._messages.pop(message, None)) is not None:
            self._counts[before.partition][before.kommunekode] -= 1

    def count(self, row: LedgerRow) -> None:
        """A row for the ledger that a lane has given: it counts once the rows of its batch are safe (`set`)."""
        if row.kind != "message":
            return
        if row.what == DeliveryState.CREATED and row.ordinal == 0:
            self._pending += 1
        elif row.what in FINAL:
            self._pending -= row.delta

    @property
    def residual(self) -> int:
        """Law L2: open messages by the rows, less those by the ledger. 0 unless a message is lost or doubled."""
        return len(self) - self._expected

    def counts(self, partitions: Iterable[int]) -> Counter[str]:
        """How many are open, by kommunekode; 0 where there were some."""
        total: Counter[str] = Counter()
        for partition in partitions:
            total.update(self._counts[partition])
        return total

    def oldest(self, partitions: Iterable[int]) -> dict[str, datetime]:
        """When the oldest open message of each municipality was made."""
        wanted, found = set(partitions), dict[str, datetime]()
        for (partition, kommunekode), heap in self._oldest.items():
            while heap:
                since, message = heap[0]
                now = self._messages.get(message)
                if now is not None and (now.since, now.partition) == (since, partition):
                    break
                heapq.heappop(heap)
            if heap and partition in wanted:
                found[kommunekode] = min(heap[0][0], found.get(kommunekode, heap[0][0]))
        return found

    def late(self, partitions: Iterable[int], before: datetime) -> int:
        """Law L8: open messages whose own deadline lies before that time, and whose lane has not had the record of it."""
        late = 0
        for partition in partitions:
            heap, kept = self._dues[partition], set[tuple[datetime, str]]()
            while heap and heap[0][0] < before:
                due, message = heapq.heappop(heap)
                now = self._messages.get(message)
                if now is not None and (now.due, now.partition) == (due, partition):
                    kept.add((due, message))
            for one in kept:
                heapq.heappush(heap, one)
            late += len(kept)
        return late


@dataclass(frozen=True)
class Standing:
    """Deadlines and open messages of the lanes of a process. Each row is decoded once for both."""

    policy: StayPolicy
    deadlines: Deadlines = field(default_factory=Deadlines)
    messages: OpenMessages = field(default_factory=OpenMessages)

    def set(self, partition: int, key: bytes, row: LaneRow | None) -> None:
        """The row of `key` is safe; None when the lane remembers nothing."""
        self.deadlines.set(partition, key, next_due(row, self.policy))
        self.messages.set(partition, key, row)

    def rebuild(self, rows: Rows) -> None:
        """Forgets everything and takes every row."""

        def dues() -> Iterator[tuple[int, bytes, datetime | None]]:
            for partition, key, row in rows:
                self.messages.set(partition, key, row)
                yield partition, key, next_due(row, self.policy)

        self.messages.clear()
        self.deadlines.rebuild(dues())
        self.messages.begin()
