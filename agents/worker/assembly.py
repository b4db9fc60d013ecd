"""A worker put together: its stages on their app, and the timer of its lanes behind the barrier."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta

from agents.station import Station
from streams.kafka.records import Record
from streams.relay.standing import Deadlines

from .any_record import position_at
from .app import raw_topic
from .gaps import Gaps, Skips
from .shell import Fold, Leave, Limits, Stage, Step, guarded, leave_now
from .tables import FencedApp, FencedTable, position_key
from .timer import Barrier, Tick, caught_up, publish_due

#: How often the timer looks, on the wall clock.
_EVERY = timedelta(milliseconds=200)


@dataclass(frozen=True)
class WorkerOptions:
    """What a test or a demo may want otherwise."""

    leave: Leave = leave_now
    limits: Limits = field(default_factory=Limits)
    every: timedelta = _EVERY


def add_stages(
    app: FencedApp, stages: Iterable[Stage], station: Station, options: WorkerOptions, gaps: Gaps, skips: Skips
) -> None:
    """Each stage as an agent in its shell; and what operators pass over, read again and again."""
    for stage in stages:
        body = guarded(
            app,
            replace(stage, step=_timed(stage, station)),
            clock=station.clock,
            leave=options.leave,
            limits=options.limits,
            version=station.version,
            gaps=gaps,
            skips=skips,
        )
        app.agent(raw_topic(app, *stage.sources), name=stage.name)(body)

    @app.timer(Skips.EVERY.total_seconds())  # type: ignore[untyped-decorator]  # Faust is untyped to us
    async def refresh_skips() -> None:
        await skips.refresh()


def add_timer(
    app: FencedApp,
    table: FencedTable,
    topic: str,
    deadlines: Deadlines,
    tick: Tick,
    *,
    barrier: Barrier,
    gaps: Gaps,
    station: Station,
    options: WorkerOptions,
) -> None:
    """Publishes into `topic` what is due by the rows of `table`, receipts before timers after every rebalance."""

    @table.on_recover  # type: ignore[untyped-decorator]  # Faust is untyped to us
    async def close() -> None:
        barrier.close()

    def taken(partition: int) -> int:
        return position_at(table.get(partition, position_key(topic, partition)), topic, partition) or 0

    async def gate(partition: int) -> bool:
        open_now = await barrier.is_open(partition, taken)
        return open_now and await caught_up(app, table, topic, partition, gaps)

    @app.timer(options.every.total_seconds())  # type: ignore[untyped-decorator]  # Faust is untyped to us
    async def overdue() -> None:
        await publish_due(app, topic, deadlines, tick, clock=station.clock, gate=gate)


def _timed(stage: Stage, station: Station) -> Step:
    """The step of a stage, with the time that each record takes in it."""
    metrics = station.figures.metrics

    def step(row: bytes | None, record: Record) -> Fold:
        begun = time.perf_counter()
        try:
            return stage.step(row, record)
        finally:
            metrics.observe("stafet_step_seconds", time.perf_counter() - begun, stage=stage.name)

    return step
