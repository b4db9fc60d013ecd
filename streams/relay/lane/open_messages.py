"""Which messages of the lanes have no final state: the figures of a worker, kept up to date row by row (spec 03 §10).

Made of the rows as they lie in the table, never of what was said of them. So it is right after a recovery, and law L2
can be judged with it: open = open at the last recovery + created - settled, where the right side is counted from the
ledger rows that the lanes said since (03 §6.3). A difference is a message without a state, or with two.

No clock in here. Partitions are told apart because a worker still holds the rows of those it has lost.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from streams.delivery.rules import FINAL, DeliveryState
from streams.records.ledger import LedgerRow

from .row import LaneRow

__all__ = ["OpenMessages"]


class _Open(NamedTuple):
    partition: int
    kommunekode: str
    since: datetime  # when the message was made
    due: datetime | None  # its deadline, or the next try of a refused hand-over


class OpenMessages:
    """The open messages of all lanes of a process."""

    def __init__(self) -> None:
        self._messages: dict[str, _Open] = {}
        self._lanes: dict[bytes, tuple[str, ...]] = {}
        self._counts: dict[int, Counter[str]] = defaultdict(Counter)
        self._oldest: dict[tuple[int, str], list[tuple[datetime, str]]] = defaultdict(list)  # heaps; may hold old ones
        self._dues: dict[int, list[tuple[datetime, str]]] = defaultdict(list)  # the same
        self._expected = 0  # messages open by what was said
        self._said = 0  # the same of records whose rows are not safe yet

    def __len__(self) -> int:
        return len(self._messages)

    def clear(self) -> None:
        """Forgets everything: the rows follow."""
        for known in (self._messages, self._lanes, self._counts, self._oldest, self._dues):
            known.clear()
        self.begin()

    def begin(self) -> None:
        """Law L2 is judged from here on: what is open now is as it should be."""
        self._expected, self._said = len(self), 0

    def set(self, partition: int, key: bytes, row: LaneRow | None) -> None:
        """The row of `key` is safe; None when the lane remembers nothing. All rows of a batch come in one breath."""
        self._expected, self._said = self._expected + self._said, 0
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
                self._open(message, now)
        if found:
            self._lanes[key] = tuple(found)

    def _open(self, message: str, now: _Open) -> None:
        self._messages[message] = now
        self._counts[now.partition][now.kommunekode] += 1
        heapq.heappush(self._oldest[now.partition, now.kommunekode], (now.since, message))
        if now.due is not None:
            heapq.heappush(self._dues[now.partition], (now.due, message))

    def _close(self, message: str) -> None:
        if (before := self._messages.pop(message, None)) is not None:
            self._counts[before.partition][before.kommunekode] -= 1

    def said(self, row: LedgerRow) -> None:
        """A row of the ledger that a lane has said: it counts once the rows of its batch are safe (`set`)."""
        if row.kind != "message":
            return
        if row.what == DeliveryState.CREATED and row.ordinal == 0:
            self._said += 1
        elif row.what in FINAL:
            self._said -= row.delta

    @property
    def residual(self) -> int:
        """Law L2: open messages by the rows, less those by what was said. 0 unless a message is lost or doubled."""
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
            while heap and not self._is(heap[0][1], since=heap[0][0], partition=partition):
                heapq.heappop(heap)
            if heap and partition in wanted:
                found[kommunekode] = min(heap[0][0], found.get(kommunekode, heap[0][0]))
        return found

    def late(self, partitions: Iterable[int], before: datetime) -> int:
        """Law L8: open messages whose own deadline lies before that time, and whose lane has not heard of it."""
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

    def _is(self, message: str, *, since: datetime, partition: int) -> bool:
        now = self._messages.get(message)
        return now is not None and (now.since, now.partition) == (since, partition)
