"""What a process knows of all its lanes at a glance, kept up to date with the rows that are safe, and never the truth.

Each row is decoded once for both: when its lane is next due, and which of its messages are open.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from streams.relay.deadlines import Deadlines
from streams.stay.fold import StayPolicy

from .open_messages import OpenMessages
from .row import LaneRow, next_due

__all__ = ["Standing"]

#: (partition, key, row or None)
Rows = Iterable[tuple[int, bytes, LaneRow | None]]


@dataclass(frozen=True)
class Standing:
    """Deadlines and open messages of the lanes of a process."""

    policy: StayPolicy
    deadlines: Deadlines = field(default_factory=Deadlines)
    messages: OpenMessages = field(default_factory=OpenMessages)

    def set(self, partition: int, key: bytes, row: LaneRow | None) -> None:
        """The row of `key` is safe; None when the lane remembers nothing."""
        self.deadlines.set(partition, key, next_due(row, self.policy))
        self.messages.set(partition, key, row)

    def rebuild(self, rows: Rows) -> None:
        """Forgets everything and takes every row."""
        self.messages.clear()
        self.deadlines.rebuild(self._dues(rows))
        self.messages.begin()

    def _dues(self, rows: Rows) -> Iterator[tuple[int, bytes, datetime | None]]:
        for partition, key, row in rows:
            self.messages.set(partition, key, row)
            yield partition, key, next_due(row, self.policy)
