"""A whole installation for one test: a broker prepared, hospitals, municipalities, and the relay in this process."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from agents.distributor import Distributor, build_distributor, distributor_running
from agents.relay import Relay, build_relay, relay_running
from agents.station import Station
from agents.worker.app import Worker
from agents.worker.assembly import WorkerOptions
from streams.kafka.admin import apply
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.topics import DISTRIBUTOR, TopicPlan, inbox, plan
from streams.observer.reading import read_book
from streams.observer.reconcile import balance
from streams.registry import Registers, load
from streams.sim.hospital import Played, Script, Sending, journeys, onto_topic, play, scripts, woven
from streams.sim.municipality import Town, behaviour, run_municipalities
from streams.sim.stories import STORIES, Story
from streams.words.ids import Ids
from tests.brokers import AnyBroker, producing
from tests.secured import Secured

__all__ = [
    "SECRET",
    "Scene",
    "closes",
    "distributor_here",
    "expected_letters",
    "municipalities",
    "prepare",
    "relay_here",
    "stays",
]

SECRET = b"end-to-end tests: no secret"
PARTITIONS = 4
LETTERBOXES = 1  # partitions of each: the relay reads those of all 98 municipalities
BEFORE = timedelta(days=21)  # no stay reaches into the future


@dataclass
class Scene:
    """Where a test plays."""

    broker: AnyBroker
    directory: Path
    kommuner: Sequence[str]
    registers: Registers = field(default_factory=lambda: load("example"))
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    partitions: int = PARTITIONS
    ids: Ids = field(default_factory=lambda: Ids(SECRET))
    secured: Secured | None = None  # the relay comes as its user; hospitals and municipalities stay the administrator

    @property
    def bootstrap(self) -> str:
        return self.broker.bootstrap

    async def send(self, what: Iterable[Script], rate: float | None = None) -> Played:
        """The hospitals of these stays, onto `adt.raw`."""
        return await self.send_all(woven(what), rate)

    async def send_all(self, sendings: Sequence[Sending], rate: float | None = None) -> Played:
        """These messages in this order, onto `adt.raw`."""
        async with producing(self.bootstrap) as producer:
            return await play(sendings, onto_topic(producer, self.registers, self.ids), asyncio.Event(), rate=rate)


def prepare(scene: Scene, *, without: Sequence[str] = (), inbox_partitions: int = 1) -> None:
    """Creates the topics of the scene, but none of these names."""
    wanted = [
        topic
        for topic in plan(
            scene.registers.kommuner,
            hospitals=scene.registers.letter_hospitals,
            systems=scene.registers.distributed(),
            partitions=scene.partitions,
            inbox_partitions=inbox_partitions,
            letterbox_partitions=LETTERBOXES,
        )
        if topic.row.name != "municipality.<kommunekode>.inbox" or topic.name.split(".")[1] in scene.kommuner
    ]
    wanted = [topic for topic in wanted if topic.name not in without]
    create(scene.broker, wanted)
    if scene.secured:
        scene.secured.grant(wanted, scene.kommuner)


def create(broker: AnyBroker, wanted: Sequence[TopicPlan]) -> None:
    if isinstance(broker, EmbeddedBroker):
        broker.create(wanted)
    else:
        apply(broker.bootstrap, wanted)


#: A merge goes from one person's key to another's, so it and what follows it are no single order: tests that send as
#: fast as they can leave it out; test_no_person_leaks plays it with the hours between that a hospital has.
ONE_KEY = tuple(story for story in STORIES if all(step.identity == "cpr" for step in story.steps))


def stays(scene: Scene, number: int, seed: int, stories: Sequence[Story] = ONE_KEY) -> list[Script]:
    """As many stays as persons, all stories among them when there are enough."""
    places = journeys(scene.registers.locations, scene.clock())
    begin = (scene.clock() - BEFORE).replace(microsecond=0)
    rng = Random(seed)
    return list(scripts(number, places, scene.kommuner, begin, rng, stories=stories, every_story_first=True))


def expected_letters(what: Iterable[Script]) -> dict[str, tuple[str, Sequence[str]]]:
    """Person's number -> inbox and notices, for `letters.faults_of`."""
    return {one.person.cpr: (inbox(one.person.kommunekode), one.notices) for one in what}


@contextlib.asynccontextmanager
async def municipalities(
    scene: Scene, behaviours: Mapping[str, str], seed: int = 1, now: Callable[[], datetime] | None = None
) -> AsyncIterator[Town]:
    """Municipalities that answer until the end of the block; `now` is their clock."""
    town = Town({code: behaviour(name) for code, name in behaviours.items()}, Random(seed))
    stop = asyncio.Event()
    async with producing(scene.bootstrap) as producer:
        task = asyncio.create_task(run_municipalities(scene.bootstrap, town, producer, stop, now or scene.clock))
        try:
            yield town
        finally:
            stop.set()
            await task


@contextlib.asynccontextmanager
async def relay_here(
    scene: Scene,
    *,
    worker_id: str = "w1",
    registers: Any = None,
    station: Station | None = None,
    store: Any = "memory",
) -> AsyncIterator[Relay]:
    """The relay in this process, started and at the end drained; a worker that leaves fails the test."""
    left: list[str] = []
    test = asyncio.current_task()
    assert test is not None

    def leave(reason: str) -> None:
        left.append(reason)
        test.cancel()

    worker = Worker(
        bootstrap=scene.secured.bootstrap if scene.secured else scene.bootstrap,
        security=scene.secured.aiokafka("stafet-relay") if scene.secured else {},
        librdkafka=scene.secured.librdkafka("stafet-relay") if scene.secured else {},
        worker_id=worker_id,
        state_dir=scene.directory,
        partitions=scene.partitions,
        letterbox_partitions=LETTERBOXES,
        store=store,
        commit_interval=timedelta(milliseconds=200),
        session_timeout=timedelta(seconds=6),
        embedded=isinstance(scene.broker, EmbeddedBroker),
    )
    station = station or Station(scene.ids, registers or scene.registers, scene.clock)
    relay = build_relay(worker, station, WorkerOptions(leave=leave))
    try:
        async with relay_running(relay):
            try:
                yield relay
            finally:
                if left:  # the batch in hand never ends: nothing to drain
                    relay.app.conf.stream_wait_empty = False
    except asyncio.CancelledError:
        assert not left, f"the worker left: {left}"
        raise


@contextlib.asynccontextmanager
async def distributor_here(scene: Scene, *, worker_id: str = "w1") -> AsyncIterator[Distributor]:
    """The distributor in this process, started and at the end drained; a worker that leaves fails the test."""
    left: list[str] = []
    test = asyncio.current_task()
    assert test is not None

    def leave(reason: str) -> None:
        left.append(reason)
        test.cancel()

    worker = Worker(
        bootstrap=scene.bootstrap,
        app_id=DISTRIBUTOR,
        worker_id=worker_id,
        state_dir=scene.directory,
        partitions=scene.partitions,
        inbox_partitions=1,
        letterbox_partitions=LETTERBOXES,
        commit_interval=timedelta(milliseconds=200),
        session_timeout=timedelta(seconds=6),
        embedded=isinstance(scene.broker, EmbeddedBroker),
    )
    station = Station(scene.ids, scene.registers, scene.clock)
    distributor = build_distributor(worker, station, WorkerOptions(leave=leave))
    try:
        async with distributor_running(distributor):
            try:
                yield distributor
            finally:
                if left:
                    distributor.app.conf.stream_wait_empty = False
    except asyncio.CancelledError:
        assert not left, f"the worker left: {left}"
        raise


async def closes(bootstrap: str) -> None:
    """The balance of all topics, and what is wrong when it does not close."""
    found = balance(await read_book(bootstrap))
    wrong = [one for one in (*found.lines, *found.checks) if one.difference]
    assert found.difference == 0, wrong
