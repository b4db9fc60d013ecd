"""The whole relay in one process, on the embedded broker and a clock that runs faster than the wall.

Simulated hospitals play stays of test persons, all eighteen notices among them; simulated municipalities answer well,
badly, late, twice or not at all. Deadlines of half an hour pass in seconds. It ends by itself when every message has
its fate, and then the balance is recomputed from the topics by code that knows nothing of the relay.

Not here: what is printed (`demo_cli.py`), the story of one stay (`demo_story.py`).
"""

import asyncio
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final

from aiokafka import AIOKafkaProducer
from msgspec.structs import replace

from agents.relay import Relay, build_relay, relay_running
from agents.start.progress import positions_of
from agents.station import Station
from agents.worker.app import Worker
from agents.worker.clock import FastClock
from agents.worker.tables import rows_of
from agents.worker.timer import owned_of
from streams.cli import interrupts
from streams.kafka.clients import new_producer
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.topics import TopicPlan, inbox, plan
from streams.observer.reading import read_book
from streams.observer.reconcile import Balance, balance
from streams.registry import Registers, load
from streams.relay.lane import decode_row
from streams.sim.hospital import Script, journeys, scripts, woven
from streams.sim.municipality import behaviour
from streams.sim.run_hospital import Deliver, onto_topic, play
from streams.sim.run_municipality import Town, run_municipalities
from streams.words.ids import Ids

from .room import Room, forgotten, room
from .story import StoryLine, tell_story

__all__ = ["FAULTS", "DemoOptions", "DemoResult", "Progress", "demo"]

#: The faults that are on by default, and how a municipality that has one behaves: names of `stafet simulate`.
FAULTS: Final[Mapping[str, str]] = {
    "fatal": "fatal",
    "transient": "transient>ok",
    "silent": "silent",
    "late": "late:45m",
    "duplicate": "duplicate",
    "garbage": "garbage>ok",
    "wrong-sender": "wrong-sender>ok",
    "conflicting": "conflicting",
}
#: The municipality of the told story: the first message goes unanswered once, so that a resend is seen.
_STORY_BEHAVIOUR: Final = "silent>ok"
_STORY: Final = "leave"

#: A demo of a demo: the secret is no secret, and the ids are the same on every machine (00 §1.5).
_SECRET: Final = b"stafet demo: no secret at all"
_BEGIN: Final = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
_STAYS_BEGIN: Final = timedelta(days=21)  # before the demo's clock: no stay reaches into its future
_SPEED: Final = 600.0  # half an hour in three seconds
_STRIDE: Final = 0.5  # seconds: five looks of the timer
#: On the wall, for the slowest machine; a demo that hangs says so. A quiet one takes 20 s and 35 ms a stay.
_LIMIT: Final = timedelta(minutes=15)
_LIMIT_A_STAY: Final = timedelta(milliseconds=300)


@dataclass(frozen=True)
class DemoOptions:
    """What may be chosen on the command line."""

    stays: int = 300
    municipalities: int = 98
    faults: tuple[str, ...] = tuple(FAULTS)
    seed: int = 1


@dataclass
class Progress:
    """How far it is, for a progress bar."""

    sent: int = 0
    to_send: int = 0
    messages: int = 0
    settled: int = 0
    clock: datetime = _BEGIN


@dataclass(frozen=True)
class DemoResult:
    """What there is to tell at the end."""

    balance: Balance
    story: Sequence[StoryLine]
    stays: int
    municipalities: int
    behaviours: Mapping[str, int]  # name -> how many municipalities
    took: timedelta  # on the wall
    played: timedelta  # on the demo's clock


@dataclass
class _Stage:
    """The set of one demo."""

    options: DemoOptions
    registers: Registers
    ids: Ids
    clock: FastClock
    scripts: list[Script]
    town: Town
    progress: Progress
    show: Callable[[Progress], None]
    stop: asyncio.Event = field(default_factory=asyncio.Event)


async def demo(options: DemoOptions, show: Callable[[Progress], None]) -> DemoResult:
    """Plays until every message is settled. `show` is called a few times a second.

    Raises TimeoutError, and `demo_room.Forgotten` when there is no whole record to draw a balance from.
    """
    stage = _set_up(options, show)
    space = room(stay.person.kommunekode for stay in stage.scripts)
    began = asyncio.get_running_loop().time()
    with (
        EmbeddedBroker() as broker,
        TemporaryDirectory(prefix="stafet-demo-") as folder,
        interrupts.leaving(lambda: shutil.rmtree(folder, ignore_errors=True)),
    ):
        broker.create(_topics(stage.registers, space))
        worker = Worker(
            bootstrap=broker.bootstrap,
            worker_id="demo",
            state_dir=Path(folder),
            partitions=space.keyed,
            letterbox_partitions=space.letterboxes,
            embedded=True,
        )
        relay = build_relay(worker, Station(stage.ids, stage.registers, stage.clock))
        limit = _LIMIT + _LIMIT_A_STAY * options.stays
        async with asyncio.timeout(limit.total_seconds()), relay_running(relay):
            await _play(stage, relay, broker.bootstrap)
        book = await read_book(broker.bootstrap)
        forgotten(book.starts)
        story = await tell_story(broker.bootstrap, _told(stage.scripts), stage.registers)
    took = timedelta(seconds=asyncio.get_running_loop().time() - began)
    return DemoResult(
        balance=balance(book),
        story=story,
        stays=options.stays,
        municipalities=len(stage.town.behaviour),
        behaviours=_tally(stage.town),
        took=took,
        played=stage.clock() - _BEGIN,
    )


def _topics(registers: Registers, space: Room) -> list[TopicPlan]:
    """The topic table, with each inbox as wide as this demo needs it."""
    wide = {inbox(code): partitions for code, partitions in space.inboxes.items()}
    topics = plan(
        registers.kommuner, partitions=space.keyed, inbox_partitions=1, letterbox_partitions=space.letterboxes
    )
    return [replace(topic, partitions=wide.get(topic.name, topic.partitions)) for topic in topics]


def _set_up(options: DemoOptions, show: Callable[[Progress], None]) -> _Stage:
    registers, rng = load("example"), Random(options.seed)  # noqa: S311  # chance, not secrecy
    kommuner = sorted(registers.kommuner)
    residents = sorted(rng.sample(kommuner, options.municipalities))
    places = journeys(registers.locations, _BEGIN)
    stays = list(scripts(options.stays, places, residents, _BEGIN - _STAYS_BEGIN, rng, every_story_first=True))
    behaviours = _behaviours(residents, options.faults, _told(stays), rng)
    town = Town({code: behaviour(name) for code, name in behaviours.items()}, Random(options.seed))  # noqa: S311  # the same
    progress = Progress(to_send=sum(len(stay.sendings) for stay in stays))
    return _Stage(
        options, registers, Ids(_SECRET, "demo"), FastClock(_BEGIN, _SPEED, _STRIDE), stays, town, progress, show
    )


def _told(stays: Sequence[Script]) -> Script:
    """The stay whose story is told: the first with a leave, else the first that is notified at all."""
    for stay in stays:
        if stay.story.name == _STORY:
            return stay
    return next((stay for stay in stays if stay.notices), stays[0])


def _behaviours(kommuner: Sequence[str], faults: Sequence[str], told: Script, rng: Random) -> dict[str, str]:
    """Every other municipality has a fault, each fault in turn; the told one always answers a resend."""
    chosen = dict.fromkeys(kommuner, "ok")
    faulty = rng.sample(list(kommuner), len(kommuner) // 2) if faults else []
    for number, code in enumerate(faulty):
        chosen[code] = FAULTS[faults[number % len(faults)]]
    if faults:
        chosen[told.person.kommunekode] = _STORY_BEHAVIOUR
    return chosen


def _tally(town: Town) -> dict[str, int]:
    names = [how.name for how in town.behaviour.values()]
    return {name: names.count(name) for name in sorted(set(names))}


async def _play(stage: _Stage, relay: Relay, bootstrap: str) -> None:
    producer = new_producer(bootstrap)
    await producer.start()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(run_municipalities(bootstrap, stage.town, producer, stage.stop, stage.clock))
            await _hospitals(stage, relay, producer)
            await _until_settled(stage, relay)
            stage.stop.set()
    finally:
        await producer.stop()


async def _hospitals(stage: _Stage, relay: Relay, producer: AIOKafkaProducer) -> None:
    deliver = _paced(onto_topic(producer, stage.registers, stage.ids), stage, relay)
    await play(woven(stage.scripts), deliver, stage.stop)


def _paced(deliver: Deliver, stage: _Stage, relay: Relay) -> Deliver:
    """Counts, and waits now and then until the relay has taken all: on a slow machine a queue of seconds would be hours
    on the demo's clock, and every receipt in it late."""

    async def paced(data: bytes) -> bool:
        taken = await deliver(data)
        stage.progress.sent += 1
        if stage.progress.sent % 20 == 0:
            stage.progress.clock = stage.clock()
            stage.show(stage.progress)
            await _until_taken(relay)
        return taken

    return paced


async def _until_taken(relay: Relay) -> None:
    taken = False
    while not taken:
        await asyncio.sleep(0.02)
        taken = await _all_taken(relay)


async def _until_settled(stage: _Stage, relay: Relay) -> None:
    """Until every record is taken, every message has its fate and nobody means to say anything more; twice in a row."""
    quiet = 0
    while quiet < 2:
        await asyncio.sleep(0.25)
        open_ = _look(stage, relay)
        quiet = quiet + 1 if not open_ and stage.town.is_idle and await _all_taken(relay) else 0
    _look(stage, relay)


def _look(stage: _Stage, relay: Relay) -> int:
    """How much is still under way: open messages, receipts without one, held events."""
    rows = [row for _, data in rows_of(relay.lanes) if (row := decode_row(data)) is not None]
    deliveries = [delivery for row in rows for delivery in row.deliveries.values()]
    progress = stage.progress
    progress.messages, progress.settled = len(deliveries), sum(d.is_final for d in deliveries)
    progress.clock = stage.clock()
    stage.show(progress)
    held = sum(len(visit.held) for row in rows for visit in row.visits.values())
    return progress.messages - progress.settled + held + sum(len(row.orphans) for row in rows)


async def _all_taken(relay: Relay) -> bool:
    """Looked up, not asked for: of 98 letterboxes most are empty, and the broker would be asked about each."""
    positions = await positions_of(relay)
    known = len(positions) == len(owned_of(relay.app, dict(relay.sources)))
    return known and all(taken >= end for taken, end in positions.values())
