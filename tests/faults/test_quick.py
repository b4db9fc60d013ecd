"""The quick experiment, for every run of the suite: a record of nothing, a kill, a pause and a doubled name, one after the
other in one installation."""

import asyncio
from pathlib import Path
from random import Random

import pytest

from streams.kafka.local import LocalBroker
from tests.faults.acts import PAUSE, doubled, killed, paused
from tests.faults.experiment import Line, under_load
from tests.faults.poison import NOTHING, put_poison

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]


async def test_nothing_kill_pause_and_double_cost_nothing(kafka: LocalBroker, tmp_path: Path, line: Line) -> None:
    async with under_load(kafka.bootstrap, tmp_path, line, logs=[kafka.directory / "data"]) as run:
        worker, successor = await run.worker("w1"), await run.worker("w2")
        await worker.up()
        await run.hospitals.send(40)
        await asyncio.to_thread(put_poison, kafka.bootstrap, "adt.raw", [NOTHING])
        run.load(10)
        await asyncio.sleep(Random(1).uniform(1, 2))
        await killed(worker)
        await worker.ready()
        await run.works()
        await successor.up()
        await paused(run, worker, backlog=60)
        await run.works()
        await worker.ready()
        await doubled(run, successor, 0)
        await successor.ready()
        await run.works()
        fault = (
            f"null key and null value; SIGKILL; SIGSTOP for {PAUSE:g} s, then CONT; a second process with the same name"
        )
        await run.judged("Q nothing, kill, pause, double", fault=fault, rounds=3)
