"""Municipalities that follow the standard: each inbox is read by a reference subscriber of its own. Pure.

This is the behaviour `subscriber` of `stafet simulate municipality`: streams/receiver/inbox.py decides, this keeps one
reception per municipality. The other behaviours, which answer by script, share no code with the product
(`municipality.py`); this one is the product's own receiver at work.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from streams.receiver.inbox import Reception, take

from .municipality import Tally, reader_of


@dataclass(slots=True)
class Subscribers:
    """The subscribers of one run. `ours`: by kommunekode the addresses that V3 takes; without an entry any is taken."""

    codes: Collection[str]
    ours: Mapping[str, Collection[str]] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    receptions: dict[str, Reception] = field(default_factory=dict)  # by kommunekode
    _due: list[tuple[str, bytes]] = field(default_factory=list)

    def receive(self, topic: str, envelope: bytes, at: datetime) -> None:
        """Take one record of an inbox; its receipts are due at once."""
        code = reader_of(topic)
        before = self.receptions.get(code, Reception())
        self.receptions[code], receipts = take(before, envelope, at, ours=self.ours.get(code))
        self.tally.received += 1
        self._due += ((code, receipt) for receipt in receipts)

    def due(self, now: datetime) -> list[tuple[str, bytes]]:
        """Receipts for everything received, in order, each with its sender; they count as sent."""
        receipts, self._due = self._due, []
        return receipts
