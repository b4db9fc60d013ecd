"""Experiments on workers: killed, paused, doubled, joining and leaving."""

import asyncio
import signal
import time
from pathlib import Path
from random import Random

import pytest

from streams.kafka.local import LocalBroker
from tests.faults.acts import PAUSE, doubled, killed, paused
from tests.faults.experiment import Line, under_load
from tests.faults.site import after

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

KILLS = 20
ROUNDS = 6
STORM = 180.0  # seconds


async def test_e01_worker_is_killed_twenty_times(kafka: LocalBroker, tmp_path: Path, line: Line) -> None:
    """Two kills of three hit a worker at work, one a worker that starts or recovers."""
    rng = Random(1)
    async with under_load(kafka.bootstrap, tmp_path, line, logs=[kafka.directory / "data"]) as run:
        worker = await run.worker("w1")
        await worker.up()
        run.load(15)
        for number in range(KILLS):
            if number % 3:
                await worker.ready()
            await asyncio.sleep(rng.uniform(0.2, 3.0))
            await killed(worker)
        await worker.ready()
        await run.works()
        await run.judged("E01 kills of the worker", fault="SIGKILL at random moments under load", rounds=KILLS)


@pytest.mark.parametrize("backlog", [0, 150], ids=["quiet", "backlog"])
async def test_e04_worker_is_paused_for_longer_than_its_session(
    kafka: LocalBroker, tmp_path: Path, line: Line, backlog: int
) -> None:
    """Two workers take turns; after each round the successor is killed, so that the state it left is recovered."""
    rng = Random(4)
    async with under_load(kafka.bootstrap, tmp_path, line, logs=[kafka.directory / "data"], seed=4) as run:
        workers = [await run.worker("w1"), await run.worker("w2")]
        for worker in workers:
            await worker.up()
        run.load(6)
        for number in range(ROUNDS):
            stopped, successor = workers[number % 2], workers[1 - number % 2]
            await asyncio.sleep(rng.uniform(0.0, 0.5))
            await paused(run, stopped, backlog=backlog)
            await run.works()
            await killed(successor)
            await stopped.ready()
            await successor.ready()
            await run.works()
        kind = "in a backlog" if backlog else "quiet"
        fault = f"SIGSTOP for {PAUSE:g} s, then CONT, of one of two workers; then SIGKILL of the other"
        await run.judged(f"E04 paused worker, {kind}", fault=fault, rounds=ROUNDS)


async def test_e07_worker_joins_and_leaves_every_ten_seconds(kafka: LocalBroker, tmp_path: Path, line: Line) -> None:
    async with under_load(kafka.bootstrap, tmp_path, line, logs=[kafka.directory / "data"], seed=7) as run:
        first, second = await run.worker("w1"), await run.worker("w2")
        await first.up()
        run.load(8)
        end, rounds = time.monotonic() + STORM, 0
        while time.monotonic() < end:
            await second.up()
            await after(10, lambda: not run.ends())
            assert await second.rest(signal.SIGTERM if rounds % 2 else signal.SIGKILL) in (0, -signal.SIGKILL)
            await after(10, lambda: not run.ends())
            rounds += 1
        await run.works()
        fault = "a second worker joins for 10 s and leaves for 10 s, by SIGKILL and SIGTERM in turn, for 3 minutes"
        await run.judged("E07 rebalance storm", fault=fault, rounds=rounds)


async def test_rolling_restart(kafka: LocalBroker, tmp_path: Path, line: Line) -> None:
    """SIGTERM drains: exit 0, and not one letter twice."""
    async with under_load(kafka.bootstrap, tmp_path, line, logs=[kafka.directory / "data"], seed=9) as run:
        workers = [await run.worker("w1"), await run.worker("w2")]
        for worker in workers:
            await worker.up()
        run.load(8)
        for _ in range(3):
            for worker in workers:
                await asyncio.sleep(3)
                assert await worker.rest() == 0
                await worker.up()
        await run.works()
        await run.judged("Rolling restart", fault="SIGTERM and start of two workers in turn", rounds=6)


async def test_two_processes_with_one_name(kafka: LocalBroker, tmp_path: Path, line: Line) -> None:
    """One of the two shows it in one sentence and leaves; the other works on."""
    async with under_load(kafka.bootstrap, tmp_path, line, logs=[kafka.directory / "data"], seed=10) as run:
        worker = await run.worker("w1")
        await worker.up()
        run.load(8)
        for number in range(3):
            await run.works()
            await doubled(run, worker, number)
            await worker.ready()
        await run.works()
        fault = "a second process with the same STAFET_WORKER_ID and a state directory of its own"
        await run.judged("Two processes with one name", fault=fault, rounds=3)
