"""The quick set of the experiments, for every run of the suite: a kill, a pause, a doubled name, a record of nothing."""

import asyncio
from pathlib import Path
from random import Random

import pytest

from streams.kafka.local import LocalBroker
from tests.faults.acts import PAUSE, doubled, killed, paused
from tests.faults.experiment import Line, under_load
from tests.faults.poison import NOTHING, put_poison

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]


async def test_kill_and_record_of_nothing_cost_nothing(kafka: LocalBroker, tmp_path: Path, line: Line) -> None:
    async with under_load(kafka.bootstrap, tmp_path, line, logs=[kafka.directory / "data"]) as run:
        worker = await run.worker("w1")
        await worker.up()
        await run.hospitals.send(40)
        await asyncio.to_thread(put_poison, kafka.bootstrap, "adt.raw", [NOTHING])
        run.load(15)
        await asyncio.sleep(Random(1).uniform(1, 2))
        await killed(worker)
        await worker.ready()
        await run.works()
        await run.judged("Q1 kill, and a record of nothing", fault="SIGKILL; null key and null value", rounds=1)


async def test_paused_worker_changes_nothing(kafka: LocalBroker, tmp_path: Path, line: Line) -> None:
    async with under_load(kafka.bootstrap, tmp_path, line, logs=[kafka.directory / "data"]) as run:
        stopped, successor = await run.worker("w1"), await run.worker("w2")
        await stopped.up()
        await successor.up()
        run.load(10)
        await run.works()
        await paused(run, stopped, backlog=60)
        await run.works()
        await stopped.ready()
        await run.judged("Q2 paused worker", fault=f"SIGSTOP for {PAUSE:g} s, then CONT", rounds=1)


async def test_second_process_of_one_name_costs_nothing(kafka: LocalBroker, tmp_path: Path, line: Line) -> None:
    async with under_load(kafka.bootstrap, tmp_path, line, logs=[kafka.directory / "data"]) as run:
        worker = await run.worker("w1")
        await worker.up()
        run.load(10)
        await run.works()
        await doubled(run, worker, 0)
        await worker.ready()
        await run.works()
        await run.judged("Q3 two processes with one name", fault="a second process with the same name", rounds=1)
