"""A lanes stage in its shell, without Faust and broker: every record taken alone, or the same records in one batch.

    lane = ShellLane(letter_is_taken)
    lane.play("A01 08:00"); lane.overdue(); lane.answer()      # each record is a batch of its own
    lane.again([2, 1]).letters == lane.letters                 # the same records, cut otherwise

Only what is outside our code is stood in for: a table that is a dict, a sender that takes or refuses a letter.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace

from agents.lanes import lanes_stage
from agents.station import Station
from agents.worker.shell import guarded
from streams.kafka.records import ProducerRecord, encode_lane_record, header
from streams.kafka.sender import Refusal
from streams.kafka.topics import LANES
from streams.relay.lane import LaneTurn, decode_row
from streams.relay.standing import Standing
from streams.words.model import LaneRecord
from tests.agents.conftest import NOON
from tests.rules.lanes import Lane, registers
from tests.rules.stay_events import IDS

#: (which dispatch, counted from 0; how often it was tried before) -> whether the broker takes it.
Taken = Callable[[int, int], bool]


class Table(dict[bytes, bytes]):
    """Rows in memory, taken at once."""

    def get(self, _partition: int, key: bytes) -> bytes | None:  # type: ignore[override]  # as our tables are asked
        """The row of a key."""
        return super().get(key)

    async def write(self, _partition: int, rows: Mapping[bytes, bytes | None]) -> None:
        """What the broker takes."""
        for key, row in rows.items():
            if row is None:
                self.pop(key, None)
            else:
                self[key] = row


@dataclass
class Broker:
    """The sender and its broker: takes a letter, or finds it too large."""

    taken: Taken
    letters: list[ProducerRecord] = field(default_factory=list)
    tries: Counter[str] = field(default_factory=Counter)

    async def send(self, letters: Sequence[ProducerRecord]) -> list[Refusal]:
        """Those that it does not take."""
        refused = [letter for letter in letters if not self._takes(letter)]
        self.letters += [letter for letter in letters if letter not in refused]
        return [Refusal(letter, "too-large") for letter in refused]

    def _takes(self, letter: ProducerRecord) -> bool:
        dispatch = (header(letter.headers, "envelope-id") or b"").decode()
        if not dispatch:
            return True
        tried = self.tries[dispatch]
        self.tries[dispatch] += 1
        return self.taken(list(self.tries).index(dispatch), tried)


class Event:
    """Faust's event, as far as a batch looks at it."""

    def __init__(self, key: bytes, value: bytes, offset: int) -> None:
        self.message = SimpleNamespace(
            topic=LANES, partition=0, offset=offset, key=key, value=value, headers=(), timestamp=0.0
        )


@dataclass(frozen=True)
class Stream:
    """A stream that brings one batch and ends."""

    events: Sequence[Event]

    async def batches(self, _most: int) -> AsyncIterator[Sequence[Event]]:
        """The batch."""
        yield self.events


def _left(reason: str) -> None:
    raise AssertionError(f"the worker left: {reason}")


@dataclass
class ShellLane(Lane):
    """A lane whose records go through the shell; `taken` decides what the broker does."""

    taken: Taken = lambda _dispatch, _tries: True
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.table, self.broker, self.key = Table(), Broker(self.taken), b""
        self.station = Station(IDS, registers(), lambda: NOON, version="1")
        self.app = SimpleNamespace(
            positions={},
            repeats={},
            sender=self.broker,
            consumer=SimpleNamespace(topic_partitions=lambda _topic: 1),
        )
        stage = lanes_stage(self.station, self.context, self.table, Standing(self.context.stay))  # type: ignore[arg-type]  # a dict
        self.body = guarded(self.app, stage, clock=self.station.clock, leave=_left, version="1")

    def take(self, record: LaneRecord) -> LaneTurn:
        """One record, a batch of its own; the row is what lies in the table afterwards."""
        self.now = record.at
        lane = getattr(getattr(record, "event", None), "lane", None)
        self.key = self.key or str(lane).encode()
        self.events.append(Event(self.key, encode_lane_record(record), len(self.events)))
        self.batch(self.events[-1:])
        self.row = decode_row(self.table.get(0, self.key))
        return LaneTurn(self.row)

    def batch(self, events: Sequence[Event]) -> None:
        """These records together."""
        asyncio.run(self.body(Stream(events)))

    def again(self, cuts: Iterable[int]) -> "ShellLane":
        """Another life of the lane: the same records in batches of these sizes, the rest in one."""
        other = ShellLane(self.context, taken=self.taken)
        rest = list(self.events)
        for size in cuts:
            part, rest = rest[:size], rest[size:]
            if part:
                other.batch(part)
        if rest:
            other.batch(rest)
        other.key, other.events = self.key, self.events
        other.row = decode_row(other.table.get(0, self.key))
        return other

    @property
    def written_to_kafka(self) -> list[ProducerRecord]:
        """Everything that the broker has taken, in order."""
        return self.broker.letters
