"""The relay: hospital events in, notifications out, receipts back; the story as a list of stages with their topics.

    letters.raw ─┐
    adt.raw ──── intake ──> lanes ── lanes ──> municipality.<kommunekode>.inbox
                  │         ^  ^                    │ (the municipality answers)
          timer ──│─────────┘  ├── letterboxes <── municipality.<kommunekode>.receipts
                  │            └── receipts <── receipts.raw (VANS network, distributor)
                  └──> hospital.<sor>.answers

Everything that can happen to a stay meets in its lane, where one agent folds it. What becomes of a bad record or a
fault of ours is decided in one place, `agents/worker/shell.py`.
"""

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from agents.intake import intake_stage
from agents.lanes import lanes_stage, tick_for
from agents.receipts import letterboxes_stage, receipts_stage
from agents.station import Clock, Station
from agents.worker.app import Worker, build_app, raw_table, running
from agents.worker.assembly import WorkerOptions, add_stages, add_timer
from agents.worker.gaps import Gaps, Skips
from agents.worker.tables import FencedApp, FencedTable
from agents.worker.timer import Barrier, keep_index, owned
from streams.kafka.topics import ADT_RAW, LANES, LETTERS_RAW, RECEIPTS_RAW, letterbox
from streams.operations.metrics import Metrics
from streams.relay.lane import Context, decode_row
from streams.relay.standing import Standing

#: Law L8: how long after its deadline a message may stand before its timer counts as lost (spec 03 §6.3).
_LATE: Final = timedelta(minutes=15)


@dataclass(frozen=True)
class Relay:
    """A relay in the making: its app, and what others may look at."""

    app: FencedApp
    station: Station
    lanes: FencedTable
    persons: FencedTable
    receipts: FencedTable
    letterboxes: FencedTable
    standing: Standing
    barrier: Barrier
    gaps: Gaps
    skips: Skips

    @property
    def sources(self) -> tuple[tuple[str, FencedTable], ...]:
        """Every topic that is read, with the table that keeps its positions."""
        boxes = ((letterbox(code), self.letterboxes) for code in sorted(self.station.registers.kommuner))
        return (
            (ADT_RAW, self.persons),
            (LETTERS_RAW, self.persons),
            (LANES, self.lanes),
            (RECEIPTS_RAW, self.receipts),
            *boxes,
        )


def build_relay(worker: Worker, station: Station, options: WorkerOptions | None = None) -> Relay:
    """The app with its stages and the timer; call inside the running loop."""
    options = options or WorkerOptions()
    app = build_app(worker, options.leave)
    persons, lanes, receipts = (raw_table(app, name, worker.partitions) for name in ("persons", "lanes", "receipts"))
    letterboxes = raw_table(app, "letterboxes", worker.letterbox_partitions)
    registers = station.registers
    standing = Standing(registers.stay)
    skipped = Skips(worker.bootstrap, worker.security)
    context = Context(
        station.ids, registers, registers.stay, station.device_id, archive=station.archive, controls=skipped.control
    )
    gaps = Gaps(worker.bootstrap, worker.security)
    relay = Relay(
        app,
        station,
        lanes,
        persons,
        receipts,
        letterboxes,
        standing,
        Barrier(worker.bootstrap, worker.app_id, worker.security, map(letterbox, registers.kommuner), gaps),
        gaps,
        skipped,
    )
    stages = (
        intake_stage(station, persons),
        lanes_stage(station, context, lanes, standing),
        receipts_stage(station, receipts),
        letterboxes_stage(station, letterboxes, registers.kommuner),
    )
    add_stages(app, stages, station, options, gaps, relay.skips)
    keep_index(app, lanes, LANES, standing, decode_row)
    add_timer(
        app,
        lanes,
        LANES,
        standing.deadlines,
        tick_for(lanes.get),
        barrier=relay.barrier,
        gaps=gaps,
        station=station,
        options=options,
    )
    _show_open(app, standing, station.figures.metrics, station.clock)
    return relay


@contextlib.asynccontextmanager
async def relay_running(relay: Relay, limit: float = 60.0, patience: float = 60.0) -> AsyncIterator[Relay]:
    """The relay started and recovered; at the end drained. Seconds and errors as of `running` in `worker/app.py`."""
    await relay.skips.refresh()
    async with running(relay.app, limit, patience):
        yield relay


def _show_open(app: FencedApp, standing: Standing, metrics: Metrics, clock: Clock) -> None:
    """Puts the open messages of the partitions that this worker owns into every reading of the metrics."""

    def look() -> None:
        partitions, now = owned(app, LANES), clock()
        metrics.set_all("hn_open_messages", _by_municipality(standing.messages.counts(partitions)))
        oldest = standing.messages.oldest(partitions).items()
        ages = {code: max((now - since).total_seconds(), 0.0) for code, since in oldest}
        metrics.set_all("hn_oldest_open_seconds", _by_municipality(ages))
        laws = {"L2": standing.messages.residual, "L8": standing.late(partitions, now - _LATE)} if partitions else {}
        metrics.set_all("hn_law_residual", [({"law": law}, value) for law, value in laws.items()])

    metrics.before_reading(look)


def _by_municipality(values: Mapping[str, float]) -> list[tuple[dict[str, str], float]]:
    return [({"municipality": code}, float(value)) for code, value in sorted(values.items())]
