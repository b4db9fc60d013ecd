"""Complete flows, made by the product's own steps: one hospital event in, its letters, the receipt, its letters.

The steps are those of the relay's three stages; tables are dicts. What they write is what the bare loop has to send,
record by record. Time and ids are fixed, so every process of a run makes the same flows.
"""

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from agents.intake import intake_stage
from agents.lanes import lanes_stage, tick_for
from agents.receipts import receipts_stage
from agents.station import Clock, FastClock, Station
from agents.worker.shell import Stage
from streams.formats.hl7v2 import parse
from streams.kafka.records import ProducerRecord, Record, decode_lane_record
from streams.kafka.topics import ADT_RAW, LANES, RECEIPTS_RAW, RELAY, changelog
from streams.messages.adt.patient import record_key
from streams.registry import Registers, load
from streams.relay.lane import Context, Effect, fold
from streams.relay.standing import Standing
from streams.sim.hospital import journeys, scripts
from streams.sim.municipality import answer, behaviour
from streams.sim.stories import STORIES
from streams.words.ids import Ids

__all__ = ["BEGIN", "IDS", "Bench", "Flow", "Taken"]

BEGIN: Final = datetime(2026, 3, 2, 6, tzinfo=UTC)
IDS: Final = Ids(b"benchmarks: the same ids in every process")

#: Stages whose rows have a changelog: name of the stage -> of its table.
_TABLES: Final[Mapping[str, str]] = {"intake": "persons", "lanes": "lanes"}


@dataclass(frozen=True, slots=True)
class Taken:
    """One record taken by a stage, and everything it had written: letters, then the row."""

    stage: str
    record: Record
    letters: tuple[ProducerRecord, ...]
    row: ProducerRecord | None

    @property
    def written(self) -> tuple[ProducerRecord, ...]:
        """Letters and changelog record."""
        return self.letters if self.row is None else (*self.letters, self.row)


@dataclass(frozen=True, slots=True)
class Flow:
    """One message and its receipt: what is fed in, and the four records taken for it, in order."""

    event: ProducerRecord
    receipt: ProducerRecord
    taken: tuple[Taken, ...]

    @property
    def sealed(self) -> ProducerRecord:
        """The letter to the municipality."""
        return next(one for one in self.taken[1].letters if one.topic.startswith("municipality."))


class Bench:
    """Registers, station and the three stages over dicts; the example set and a clock that runs, unless set otherwise."""

    def __init__(self, registers: Registers | None = None, clock: Clock | None = None) -> None:
        self.registers: Registers = registers or load("example")
        self.station = Station(IDS, self.registers, clock or FastClock(BEGIN, 1.0))
        station, registers = self.station, self.registers
        self.context = Context(IDS, registers, registers.stay, station.device_id)
        self.standing = Standing(registers.stay)
        persons = lanes = receipts = None
        self.stages: Mapping[str, Stage] = {
            source: stage
            for stage in (
                intake_stage(station, persons),  # type: ignore[arg-type]  # the steps never touch their table
                lanes_stage(station, self.context, lanes, self.standing),  # type: ignore[arg-type]
                receipts_stage(station, receipts),  # type: ignore[arg-type]
            )
            for source in stage.sources
        }
        self._rows: dict[str, dict[bytes | None, bytes | None]] = {name: {} for name in _TABLES}
        self._offsets: Counter[str] = Counter()

    def events(self, number: int, *, skip: int = 0) -> Iterator[bytes]:
        """Admissions of so many persons as ADT^A01, `skip` persons passed over."""
        story = next(one for one in STORIES if one.name == "admitted, home")
        places, kommuner = journeys(self.registers.locations, BEGIN), sorted(self.registers.kommuner)
        begin, rng = BEGIN - timedelta(minutes=30), random.Random(1)
        stays = scripts(skip + number, places, kommuner, begin, rng, spread=timedelta(minutes=20), stories=[story])
        for count, stay in enumerate(stays):
            if count >= skip:
                yield stay.sendings[0].data

    def letter(self, data: bytes) -> ProducerRecord:
        """An event as the gateway puts it on `adt.raw`."""
        document = parse(data)
        feed = self.registers.feed(document.header.text(3), document.header.text(4))
        assert feed is not None
        return ProducerRecord(ADT_RAW, record_key(document, feed, IDS).encode(), data)

    def admit(self, data: bytes) -> None:
        """An event through intake and its lane."""
        self.take(_only(self.take(self.letter(data)).letters, LANES))

    def flows(self, number: int, *, skip: int = 0) -> list[Flow]:
        """Complete flows."""
        return [self._flow(self.letter(data)) for data in self.events(number, skip=skip)]

    def _flow(self, event: ProducerRecord) -> Flow:
        taken = [self.take(event)]
        taken.append(self.take(_only(taken[0].letters, LANES)))
        sealed = next(one for one in taken[1].letters if one.topic.startswith("municipality."))
        reply = answer(sealed.value or b"", behaviour("ok"), BEGIN, random.Random(1))[0]
        receipt = ProducerRecord(RECEIPTS_RAW, sealed.key, reply.data)
        taken.append(self.take(receipt))
        taken.append(self.take(_only(taken[2].letters, LANES)))
        return Flow(event, receipt, tuple(taken))

    def reported(self, record: Record) -> tuple[Effect, ...]:
        """What a lane without a row shows to a record of `lanes`."""
        return fold(None, decode_lane_record(record.value), self.context).effects

    def take(self, letter: ProducerRecord) -> Taken:
        """What the stage of the letter's topic does with it, the row kept."""
        stage = self.stages[letter.topic]
        self._offsets[letter.topic] += 1
        record = Record(letter.topic, 0, self._offsets[letter.topic], letter.key, letter.value, letter.headers)
        table = _TABLES.get(stage.name)
        row, letters = stage.step(self._rows[stage.name].get(letter.key) if table else None, record)
        for one in letters:
            if one.refusable:
                stage.on_taken(one.name)
        if table is None:
            return Taken(stage.name, record, tuple(letters), None)
        self._rows[stage.name][letter.key] = row
        stage.on_row(letter.key or b"", row, 0)
        return Taken(stage.name, record, tuple(letters), ProducerRecord(changelog(RELAY, table), letter.key, row))

    def tick(self, until: datetime) -> tuple[datetime, ProducerRecord] | None:
        """What the timer publishes next, and when; None when nothing is due up to a time."""
        due = next(iter(self.standing.deadlines.due(0, until, most=1)), None)
        if due is None:
            return None
        self.standing.deadlines.done(due)
        at = max(due.deadline, self.station.clock())
        return at, tick_for(lambda _, key: self._rows["lanes"].get(key))(due, at)


def _only(letters: Iterable[ProducerRecord], topic: str) -> ProducerRecord:
    (found,) = (letter for letter in letters if letter.topic == topic)
    return found
