"""The relay: hospital events in, notifications out, receipts back; the story as a list of stages with their topics.

    adt.raw ── intake ──> lanes ── lanes ──> municipality.<kommunekode>.inbox
                            ^  ^                    │ (the municipality answers)
                   timer ───┘  └── receipts <── receipts.raw

Everything that can happen to a stay meets in its lane, where one agent folds it. What becomes of a bad record or a
fault of ours is decided in one place, `agents/shell.py`.
"""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta

import faust

from agents.barrier import Barrier
from agents.intake import intake_stage
from agents.lanes import deadline_of, lanes_stage, tick_for
from agents.receipts import receipts_stage
from agents.shell import Leave, Limits, Stage, guarded, leave_now
from agents.station import Station
from agents.tables import FencedTable, position_key
from agents.timers import caught_up, keep_index, publish_due
from agents.wiring import Worker, build_app, raw_table, raw_topic, running
from streams.deadlines import Deadlines
from streams.kafka.topics import LANES
from streams.lane import Context

__all__ = ["Relay", "build_relay", "relay_running"]

#: How often the timer looks, on the wall clock.
_EVERY = timedelta(milliseconds=200)


@dataclass(frozen=True)
class Relay:
    """A relay in the making: its app, and what others may look at."""

    app: faust.App
    station: Station
    lanes: FencedTable
    persons: FencedTable
    receipts: FencedTable
    index: Deadlines
    barrier: Barrier


@dataclass(frozen=True)
class RelayOptions:
    """What a test or a demo may want otherwise."""

    leave: Leave = leave_now
    limits: Limits = field(default_factory=Limits)
    every: timedelta = _EVERY


def build_relay(worker: Worker, station: Station, options: RelayOptions | None = None) -> Relay:
    """The app with its three stages and the timer; call inside the running loop."""
    options = options or RelayOptions()
    app = build_app(worker, options.leave)
    persons, lanes, receipts = (raw_table(app, name, worker.partitions) for name in ("persons", "lanes", "receipts"))
    index = Deadlines()
    registers = station.registers
    context = Context(station.ids, registers, registers.stay, station.device_id)
    relay = Relay(
        app,
        station,
        lanes,
        persons,
        receipts,
        index,
        Barrier(worker.bootstrap, worker.app_id, worker.security),
    )
    for stage in (
        intake_stage(station, persons),
        lanes_stage(station, context, lanes, index),
        receipts_stage(station, receipts),
    ):
        _agent(relay, stage, options)
    _timer(relay, options)
    return relay


def _agent(relay: Relay, stage: Stage, options: RelayOptions) -> None:
    station = relay.station
    body = guarded(
        relay.app, stage, clock=station.clock, leave=options.leave, limits=options.limits, version=station.version
    )
    relay.app.agent(raw_topic(relay.app, stage.source), name=stage.name)(body)


def _timer(relay: Relay, options: RelayOptions) -> None:
    keep_index(relay.app, relay.lanes, LANES, relay.index, deadline_of(relay.station.registers.stay))
    tick = tick_for(relay.lanes)

    @relay.lanes.on_recover  # type: ignore[untyped-decorator]  # Faust is untyped to us
    async def close() -> None:
        relay.barrier.close()

    def taken(partition: int) -> int:
        return int(relay.lanes.get(position_key(LANES, partition)) or 0)

    async def gate(partition: int) -> bool:
        return await relay.barrier.is_open(partition, taken) and await caught_up(
            relay.app, relay.lanes, LANES, partition
        )

    @relay.app.timer(options.every.total_seconds())  # type: ignore[untyped-decorator]  # Faust is untyped to us
    async def overdue() -> None:
        await publish_due(relay.app, LANES, relay.index, tick, clock=relay.station.clock, gate=gate)


@contextlib.asynccontextmanager
async def relay_running(relay: Relay, limit: float = 60.0, patience: float = 60.0) -> AsyncIterator[Relay]:
    """The relay started and recovered; at the end drained. Seconds and errors as of `wiring.running`."""
    async with running(relay.app, limit, patience):
        yield relay
