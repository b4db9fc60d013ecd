"""The course of an experiment: an installation under load, faults, a quiet time, a verdict, a line of the record."""

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from tests.closing import note
from tests.end_to_end.outside import SECRET, Outside
from tests.faults.evidence import CHANGELOG, gathered, partitions_of
from tests.faults.load import KOMMUNER, Hospitals, IntentLog, sending
from tests.faults.oracle import Verdict, judge
from tests.faults.site import End, Worker, prepared, supervised
from tests.faults.town import answering

__all__ = ["Experiment", "Line", "under_load"]

#: Takes a line of the record: see `conftest.py`.
Line = Callable[..., None]

STILL: Final = 3.0  # seconds without a new record, after which it is worth looking
GIVEN_UP: Final = 30.0  # seconds without a new record, after which nothing more will come
LIMIT: Final = 240.0  # seconds for everything that was sent to be settled


@dataclass
class Experiment:
    """What a test acts on."""

    site: Outside
    logs: Sequence[Path]
    hospitals: Hospitals
    intents: IntentLog
    line: Line
    stack: AsyncExitStack
    workers: list[Worker] = field(default_factory=list)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _load: asyncio.Task[None] | None = None

    @property
    def bootstrap(self) -> str:
        return self.site.env["STAFET_BOOTSTRAP"]

    async def worker(self, name: str, **options: str) -> Worker:
        """A supervised worker, not started."""
        worker = await self.stack.enter_async_context(supervised(self.site, name, **options))
        self.workers.append(worker)
        return worker

    def load(self, rate: float) -> None:
        """Messages at this rate from now on."""
        self.hospitals.rate = rate
        if self._load is None:
            self._load = asyncio.create_task(self.hospitals.keep_sending(self._stop))

    async def quiet(self) -> None:
        """No more messages."""
        self._stop.set()
        if self._load is not None:
            await self._load
        self._load, self._stop = None, asyncio.Event()

    async def works(self, limit: float = 60.0) -> None:
        """Until letters arrive again."""
        before = await self._ends(lambda name: name.endswith(".inbox"))
        await self.hospitals.send(1)
        end = time.monotonic() + limit
        while await self._ends(lambda name: name.endswith(".inbox")) <= before:
            assert time.monotonic() < end, f"no letter within {limit:g} s; ends: {self.ends()}"
            await asyncio.sleep(0.2)

    def ends(self) -> list[End]:
        """Of all workers, those that were their own: nobody had asked for them, and no SIGKILL of ours was the cause."""
        return [end for worker in self.workers for end in worker.ends if end.code != -signal.SIGKILL]

    async def judged(self, name: str, *, fault: str, rounds: int, repeats: int | None = None) -> Verdict:
        """The verdict once everything is settled, as a line of the record. Fails when something is wrong.

        `repeats`: how many copies of a letter are allowed, where that is bounded.
        """
        await self.quiet()
        verdict = await self._settled()
        reported = sorted({end.reported for end in self.ends()})
        faults = verdict.faults()
        faults += [
            f"exit {end.code} of {end.worker}: {end.said}" for end in self.ends() if end.traceback or not end.reported
        ]
        if repeats is not None and verdict.repeats > repeats:
            faults.append(f"{verdict.repeats} repeats, allowed {repeats}")
        self.line(
            name,
            fault=fault,
            rounds=rounds,
            sent=verdict.sent,
            lost=len(verdict.lost),
            changed=len(verdict.changed) + len(verdict.contents),
            late_rows=len(verdict.late_rows) + len(verdict.back),
            order="no" if verdict.disordered or verdict.misrouted or verdict.invented else "yes",
            repeats=verdict.repeats,
            resends=verdict.resends,
            worst_wait=round(verdict.worst_wait, 1),
            exits=len(self.ends()),
            reported=reported,
            held=not faults,
        )
        note(
            f"{name}: {rounds} rounds, {verdict.sent} sent, {len(verdict.lost)} lost, worst {verdict.worst_wait:.1f} s"
        )
        assert not faults, "\n".join(faults)
        return verdict

    async def judged_quietly(self) -> None:
        """Fails when something is wrong so far; no line."""
        await self.quiet()
        faults = (await self._settled()).faults()
        assert not faults, "\n".join(faults)

    async def written(self) -> int:
        """Letters, lane records and rows of the ledger that there have ever been."""
        return await self._ends(lambda name: name.endswith(".inbox") or name in ("lanes", "ledger"))

    async def _settled(self) -> Verdict:
        """The verdict once it is clean, or once nothing moves any more."""
        intents, began = self.intents.intents(), time.monotonic()
        before, moved = None, time.monotonic()
        while True:
            ends, now = (
                await self._ends(lambda name: not name.startswith("_") and not name.endswith(CHANGELOG)),
                time.monotonic(),
            )
            if ends != before:
                before, moved = ends, now
            if now - moved >= STILL:
                evidence = await gathered(self.bootstrap, self.logs)
                assert evidence.positions, "nothing to judge: no position rows"
                assert evidence.written or not self.logs, "nothing to judge: no batches in the segments"
                verdict = judge(intents, evidence)
                done = not (verdict.lost or verdict.unsettled)
                if done or now - moved >= GIVEN_UP or now - began >= LIMIT:
                    return verdict
            await asyncio.sleep(0.5)

    async def _ends(self, wanted: Callable[[str], bool]) -> int:
        """Records that these topics have ever taken; a broker that is down is waited for."""
        end = time.monotonic() + LIMIT
        while True:
            try:
                return await _ends(self.bootstrap, wanted)
            except (KafkaError, TimeoutError):
                if time.monotonic() > end:
                    raise
                await asyncio.sleep(0.5)


async def _ends(bootstrap: str, wanted: Callable[[str], bool]) -> int:
    consumer: Any = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        places = await partitions_of(bootstrap, wanted)
        consumer.assign(places)  # together: aiokafka learns of one topic after the other, 100 ms each
        consumer.pause(*places)
        return sum((await consumer.end_offsets(places)).values())
    finally:
        await consumer.stop()


@contextlib.asynccontextmanager
async def under_load(
    bootstrap: str,
    folder: Path,
    line: Line,
    *,
    logs: Iterable[Path] = (),
    seed: int = 1,
    answers: bool = True,
    **settings: str,
) -> AsyncIterator[Experiment]:
    """An installation with municipalities that answer and hospitals that are ready to send; no worker yet."""
    site = await prepared(bootstrap, folder, **settings)
    intents = IntentLog(folder / "intents.jsonl")
    intents.path.touch()
    async with (
        answering(bootstrap, KOMMUNER if answers else ()),
        sending(bootstrap, SECRET, intents, seed) as hospitals,
        AsyncExitStack() as stack,
    ):
        made = Experiment(site, list(logs), hospitals, intents, line, stack)
        try:
            yield made
        finally:
            await made.quiet()
