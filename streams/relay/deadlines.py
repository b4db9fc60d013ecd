"""Which lanes are due: an index over the rows by partition, rebuilt from them after every recovery, never the truth.

A timer asks it and publishes `overdue` or `wake` into the lane (design §3; 00 §1.7); the fold ignores a tick made for
a deadline that is no longer the row's (spec 02 §5.3), so an index that is wrong costs a record and nothing else.
A due lane stays due until `done` says that the broker has its record. No clock in here: `now` is an argument.
"""

import heapq
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

__all__ = ["Deadlines", "Due"]


class Due(NamedTuple):
    """A lane whose deadline has come."""

    deadline: datetime
    key: bytes
    partition: int


class Deadlines:
    """One deadline per key, the earliest of each partition at hand."""

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
        """Its record is in the lane: not due again before the row says so. A newer deadline of the row stays."""
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
