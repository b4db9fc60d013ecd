"""The distributor: a municipality's inbox in, a copy for each receiver out, one answer back (02 §7); a Faust app as the relay.

    municipality.<kommunekode>.inbox ── inboxes ──> distributions ── distributions ──> municipality.<kommunekode>.<system>
                                                      ^  ^   │                            │ (the receiver answers)
                                             timer ───┘  │   └──> receipts.raw             │
                                                         └── answers <── municipality.<kommunekode>.<system>.receipts

Everything that can happen to a message behind an inbox meets in its lane, where one agent folds it. What comes out is
as safe as the relay: effects first, rows second, offsets last, rows fenced, receipts before timers.
"""

import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass

from agents.copies import TICK, DueLanes, answers_stage, device_of, distributions_stage, inboxes_stage
from agents.station import Station
from agents.worker.app import Worker, build_app, raw_table, running
from agents.worker.assembly import WorkerOptions, add_stages, add_timer
from agents.worker.gaps import Gaps, Skips
from agents.worker.tables import FencedApp, FencedTable
from agents.worker.timer import Barrier, keep_index
from streams.distributor.fold import DistributorContext
from streams.distributor.row import decode_row
from streams.kafka.topics import DISTRIBUTIONS, inbox, receiver_receipts


@dataclass(frozen=True)
class Distributor:
    """A distributor in the making: its app, and what others may look at."""

    app: FencedApp
    station: Station
    systems: Mapping[str, tuple[str, ...]]  # by kommunekode
    distributions: FencedTable
    inboxes: FencedTable
    answers: FencedTable
    due: DueLanes
    gaps: Gaps
    skips: Skips

    @property
    def sources(self) -> tuple[tuple[str, FencedTable], ...]:
        """Every topic that is read, with the table that keeps its positions."""
        boxes = ((inbox(code), self.inboxes) for code in self.systems)
        answers = (
            (receiver_receipts(code, name), self.answers) for code, names in self.systems.items() for name in names
        )
        return ((DISTRIBUTIONS, self.distributions), *boxes, *answers)


def build_distributor(
    worker: Worker, station: Station, options: WorkerOptions | None = None, always: Iterable[str] = ()
) -> Distributor:
    """The app with its stages and the timer; call inside the running loop.

    It serves every municipality that has, or once has, more than one receiver, and those in `always`. Raises `ValueError`
    when there is none.
    """
    options, also = options or WorkerOptions(), frozenset(always)
    systems = station.registers.distributed(also=also)
    if not systems:
        raise ValueError("no municipality has more than one receiver")
    app = build_app(worker, options.leave)
    distributions = raw_table(app, "distributions", worker.partitions)
    inboxes = raw_table(app, "inboxes", worker.inbox_partitions)
    answers = raw_table(app, "answers", worker.letterbox_partitions)
    context = DistributorContext(station.ids, station.registers, device_of(station))
    due, gaps = DueLanes(context), Gaps(worker.bootstrap, worker.security)
    skips = Skips(worker.bootstrap, worker.security)
    stages = (
        inboxes_stage(station, inboxes, systems, also),
        distributions_stage(station, context, distributions, due),
        answers_stage(station, answers, systems),
    )
    add_stages(app, stages, station, options, gaps, skips)
    keep_index(app, distributions, DISTRIBUTIONS, due, decode_row)
    boxes = [receiver_receipts(code, name) for code, names in systems.items() for name in names]
    barrier = Barrier(worker.bootstrap, worker.app_id, worker.security, gaps=gaps, receipts=boxes, lanes=DISTRIBUTIONS)
    add_timer(
        app,
        distributions,
        DISTRIBUTIONS,
        due.deadlines,
        TICK,
        barrier=barrier,
        gaps=gaps,
        station=station,
        options=options,
    )
    return Distributor(app, station, systems, distributions, inboxes, answers, due, gaps, skips)


@contextlib.asynccontextmanager
async def distributor_running(
    distributor: Distributor, limit: float = 60.0, patience: float = 60.0
) -> AsyncIterator[Distributor]:
    """The distributor started and recovered; at the end drained. Seconds and errors as of `running` in `worker/app.py`."""
    await distributor.skips.refresh()
    async with running(distributor.app, limit, patience):
        yield distributor
