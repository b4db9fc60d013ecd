"""What a process knows of all its lanes at a glance: which are due, and which of their messages have no final state.

Made of the rows that are safe, by partition, made again from them after every recovery, and never the truth. Partitions
are kept apart, so that those a worker has lost count for nothing. A lane takes some hundred bytes here: 100,000 of them
are waited for at a time. No clock in here: `now` is an argument.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from sys import intern
from typing import NamedTuple

import msgspec

from streams.delivery.rules import FINAL, DeliveryState
from streams.records.ledger import LedgerRow
from streams.stay.state import StayPolicy

from .lane import LaneRow, next_due


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
        self._current: dict[int, dict[bytes, datetime]] = defaultdict(dict)
        # Heaps; an entry that is no longer the key's own is dropped when it comes up.
        self._heaps: dict[int, list[tuple[datetime, bytes]]] = defaultdict(list)
        self._published: dict[int, dict[bytes, datetime]] = defaultdict(dict)  # those whose row is not there yet

    def __len__(self) -> int:
        return sum(map(len, self._current.values()))

    def clear(self) -> None:
        """Forgets everything: the rows follow."""
        for known in (self._current, self._heaps, self._published):
            known.clear()

    def set(self, partition: int, key: bytes, deadline: datetime | None) -> None:
        """The row of `key` has this deadline now; None when it waits for nothing."""
        current = self._current[partition]
        self._published[partition].pop(key, None)
        if deadline is None:
            current.pop(key, None)
        elif current.get(key) != deadline:
            current[key] = deadline
            heapq.heappush(self._heaps[partition], (deadline, key))

    def due(self, partition: int, now: datetime, most: int = 500) -> tuple[Due, ...]:
        """The lanes of a partition whose deadline has come, earliest first; they stay until `done`."""
        heap, current = self._heaps[partition], self._current[partition]
        found: list[tuple[datetime, bytes]] = []
        while heap and heap[0][0] <= now and len(found) < most:
            deadline, key = heapq.heappop(heap)
            if current.get(key) == deadline:
                found.append((deadline, key))
        for entry in found:
            heapq.heappush(heap, entry)
        return tuple(Due(*entry, partition) for entry in dict.fromkeys(found))

    def done(self, due: Due) -> None:
        """Its record is in the lane: not due again until its row is. A newer deadline of the row stays."""
        if self._current[due.partition].get(due.key) == due.deadline:
            self._published[due.partition][due.key] = self._current[due.partition].pop(due.key)

    def past(self, partition: int, before: datetime) -> frozenset[bytes]:
        """The lanes whose deadline lies before that time and whose row has not come since."""
        due = self.due(partition, before, most=len(self._heaps[partition]))
        published = self._published[partition].items()
        late = {one.key for one in due if one.deadline < before} | {key for key, at in published if at < before}
        return frozenset(late)


class _Open(msgspec.Struct, frozen=True, gc=False):
    """A message without a final state."""

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
        self._lanes: dict[int, dict[bytes, tuple[_Open, ...]]] = defaultdict(dict)  # the open ones of each lane
        self._counts: dict[int, Counter[str]] = defaultdict(Counter)
        # Heaps; an entry that is no longer a message's own is dropped when it comes up.
        self._oldest: dict[tuple[int, str], list[tuple[datetime, bytes]]] = defaultdict(list)
        self._expected = 0  # messages open by the ledger
        self._pending = 0  # the same of records whose rows are not safe yet

    def __len__(self) -> int:
        return sum(counts.total() for counts in self._counts.values())

    def clear(self) -> None:
        """Forgets everything: the rows follow."""
        for known in (self._lanes, self._counts, self._oldest):
            known.clear()
        self.begin()

    def begin(self) -> None:
        """Law L2 is judged from here on: what is open now is as it should be."""
        self._expected, self._pending = len(self), 0

    def set(self, partition: int, key: bytes, row: LaneRow | None) -> None:
        """The row of `key` is safe; None when the lane remembers nothing. All rows of a batch come in one breath."""
        self._expected, self._pending = self._expected + self._pending, 0
        before = self._lanes[partition].pop(key, ())
        now = tuple(
            _Open(intern(one.address.kommunekode), one.created, one.due)
            for one in (() if row is None else row.deliveries.values())
            if not one.is_final
        )
        if now:
            self._lanes[partition][key] = now
        counts = self._counts[partition]
        for one in before:
            counts[one.kommunekode] -= 1
        for one in now:
            counts[one.kommunekode] += 1
            if one not in before:
                heapq.heappush(self._oldest[partition, one.kommunekode], (one.since, key))

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
            if partition not in wanted:
                continue
            lanes = self._lanes[partition]
            while heap:
                since, key = heap[0]
                if any((one.kommunekode, one.since) == (kommunekode, since) for one in lanes.get(key, ())):
                    found[kommunekode] = min(since, found.get(kommunekode, since))
                    break
                heapq.heappop(heap)
        return found

    def late(self, partition: int, keys: Iterable[bytes], before: datetime) -> int:
        """How many messages of these lanes have a deadline before that time."""
        lanes = self._lanes[partition]
        return sum(one.due is not None and one.due < before for key in keys for one in lanes.get(key, ()))


@dataclass(frozen=True)
class Standing:
    """Deadlines and open messages of the lanes of a process. Each row is decoded once for both."""

    policy: StayPolicy
    deadlines: Deadlines = field(default_factory=Deadlines)
    messages: OpenMessages = field(default_factory=OpenMessages)

    def clear(self) -> None:
        """Forgets everything: the rows follow."""
        self.deadlines.clear()
        self.messages.clear()

    def set(self, partition: int, key: bytes, row: LaneRow | None) -> None:
        """The row of `key` is safe; None when the lane remembers nothing.

        Deadlines are in UTC, as a row has them that was read: what the timer publishes is the same in every life.
        """
        due = next_due(row, self.policy)
        self.deadlines.set(partition, key, due and due.astimezone(UTC))
        self.messages.set(partition, key, row)

    def begin(self) -> None:
        """Every row has been set."""
        self.messages.begin()

    def late(self, partitions: Iterable[int], before: datetime) -> int:
        """Law L8: open messages whose own deadline lies before that time, and whose lane has not had the record of it."""
        return sum(self.messages.late(number, self.deadlines.past(number, before), before) for number in partitions)
