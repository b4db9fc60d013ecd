"""Experiments on the broker: killed and started again, alone and as one of three."""

import asyncio
from pathlib import Path

import pytest

from streams.kafka.local import LocalBroker
from tests.faults.cluster import leader_of, three_brokers
from tests.faults.experiment import Line, under_load

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]


async def test_e10_broker_is_killed_and_comes_back(kafka: LocalBroker, tmp_path: Path, line: Line) -> None:
    """Short outages and one that is longer than a session."""
    async with under_load(kafka.bootstrap, tmp_path, line, logs=[kafka.directory / "data"], seed=10) as run:
        worker = await run.worker("w1")
        await worker.up()
        run.load(8)
        outages = (0.0, 2.0, 0.0, 15.0)
        for outage in outages:
            await asyncio.sleep(4)
            await asyncio.to_thread(kafka.kill)
            await asyncio.sleep(outage)
            await asyncio.to_thread(kafka.start)
            await worker.ready(120)
            await run.works(120)
        await run.judged(
            "E10 kill of the broker", fault="SIGKILL of the only broker, started after 0 to 15 s", rounds=len(outages)
        )


async def test_e22_leader_of_three_is_killed(tmp_path: Path, line: Line) -> None:
    with three_brokers(tmp_path) as nodes:
        bootstrap = ",".join(node.bootstrap for node in nodes.values())
        logs = [node.directory / "data" for node in nodes.values()]
        async with under_load(bootstrap, tmp_path, line, logs=logs, seed=22, STAFET_REPLICATION="3") as run:
            worker = await run.worker("w1")
            await worker.up(120)
            run.load(5)
            topics = ("lanes", "stafet-relay-lanes-changelog", "adt.raw")
            for topic in topics:
                await run.works(120)
                node = nodes[await asyncio.to_thread(leader_of, bootstrap, topic)]
                await asyncio.to_thread(node.kill)
                await run.works(180)
                await asyncio.to_thread(node.start, 180)
            await run.works(120)
            fault = "SIGKILL of the leader of `lanes`, of its changelog, of `adt.raw`, acks=all, two in sync"
            await run.judged("E22 kill of a leader of three", fault=fault, rounds=len(topics))
