"""The relay: hospital events in, notifications out, receipts back; the story as a list of stages with their topics.

    adt.raw ── intake ──> lanes ── lanes ──> municipality.<kommunekode>.inbox
                            ^  ^                    │ (the municipality answers)
                   timer ───┘  ├── letterboxes <── municipality.<kommunekode>.receipts
                               └── receipts <── receipts.raw (VANS network, distributor)

Everything that can happen to a stay meets in its lane, where one agent folds it. What becomes of a bad record or a
fault of ours is decided in one place, `agents/shell.py`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import faust

from agents.barrier import Barrier
from agents.intake import intake_stage
from agents.lanes import deadline_of, lanes_stage, tick_for
from agents.receipts import letterboxes_stage, receipts_stage
from agents.shell import Leave, Limits, Stage, guarded, leave_now
from agents.station import Station
from agents.tables import ConfirmedTable
from agents.timers import caught_up, keep_index, publish_due
from agents.wiring import Worker, build_app, raw_table, raw_topic, running
from streams.deadlines import Deadlines
from streams.kafka.topics import ADT_RAW, LANES, RECEIPTS_RAW, letterbox
from streams.lane import Context

__all__ = ["Relay", "build_relay", "relay_running"]

#: How often the timer looks, on the wall clock.
_EVERY = timedelta(milliseconds=200)


@dataclass(frozen=True)
class Relay:
    """A relay in the making: its app, and what others may look at."""

    app: faust.App
    station: Station
    lanes: ConfirmedTable
    persons: ConfirmedTable
    receipts: ConfirmedTable
    letterboxes: ConfirmedTable
    index: Deadlines
    barrier: Barrier

    @property
    def sources(self) -> tuple[tuple[str, ConfirmedTable], ...]:
        """Every topic that is read, with the table that keeps its positions."""
        boxes = ((letterbox(code), self.letterboxes) for code in sorted(self.station.registers.kommuner))
        return ((ADT_RAW, self.persons), (LANES, self.lanes), (RECEIPTS_RAW, self.receipts), *boxes)


@dataclass(frozen=True)
class RelayOptions:
    """What a test or a demo may want otherwise. `security`: aiokafka's client options."""

    leave: Leave = leave_now
    limits: Limits = field(default_factory=Limits)
    security: Mapping[str, Any] = field(default_factory=dict)
    every: timedelta = _EVERY


def build_relay(worker: Worker, station: Station, options: RelayOptions | None = None) -> Relay:
    """The app with its stages and the timer; call inside the running loop."""
    options = options or RelayOptions()
    app = build_app(worker)
    persons, lanes, receipts = (raw_table(app, name, worker.partitions) for name in ("persons", "lanes", "receipts"))
    letterboxes = raw_table(app, "letterboxes", worker.letterbox_partitions)
    index = Deadlines()
    registers = station.registers
    context = Context(station.ids, registers, registers.stay, station.device_id)
    relay = Relay(
        app,
        station,
        lanes,
        persons,
        receipts,
        letterboxes,
        index,
        Barrier(worker.bootstrap, worker.app_id, options.security, map(letterbox, registers.kommuner)),
    )
    for stage in (
        intake_stage(station, persons),
        lanes_stage(station, context, lanes, index),
        receipts_stage(station, receipts),
        letterboxes_stage(station, letterboxes, registers.kommuner),
    ):
        _agent(relay, stage, options)
    _timer(relay, options)
    return relay


def _agent(relay: Relay, stage: Stage, options: RelayOptions) -> None:
    station = relay.station
    body = guarded(
        relay.app, stage, clock=station.clock, leave=options.leave, limits=options.limits, version=station.version
    )
    topics = (stage.source,) if isinstance(stage.source, str) else stage.source
    relay.app.agent(raw_topic(relay.app, *topics), name=stage.name)(body)


def _timer(relay: Relay, options: RelayOptions) -> None:
    keep_index(relay.app, relay.lanes, LANES, relay.index, deadline_of(relay.station.registers.stay))
    tick = tick_for(relay.lanes)

    async def gate(partition: int) -> bool:
        return await relay.barrier.is_open() and await caught_up(relay.app, relay.lanes, LANES, partition)

    @relay.app.timer(options.every.total_seconds())  # type: ignore[untyped-decorator]  # Faust is untyped to us
    async def overdue() -> None:
        await publish_due(relay.app, LANES, relay.index, tick, clock=relay.station.clock, gate=gate)


@contextlib.asynccontextmanager
async def relay_running(relay: Relay, limit: float = 60.0, leave: Leave = leave_now) -> AsyncIterator[Relay]:
    """The relay started and recovered; at the end drained. Raises `wiring.NotReady`."""
    await asyncio.wait_for(relay.barrier.note_ends(), limit)
    async with running(relay.app, limit, leave):
        yield relay
