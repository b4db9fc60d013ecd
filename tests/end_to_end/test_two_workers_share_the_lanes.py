"""A second worker joins under load, takes its share, and leaves on SIGTERM: nothing is lost, nothing is sent twice."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from agents.station import FastClock
from streams.kafka.local import LocalBroker
from tests.end_to_end.letters import faults_of, inbox_letters
from tests.end_to_end.relay_worker import RelayOrders, ready, relay_process, terminated
from tests.end_to_end.rest import watching
from tests.end_to_end.scene import SECRET, Scene, closes, expected_letters, municipalities, prepare, stays

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

KOMMUNER = ("0101", "0461", "0751")
BEHAVIOURS = {"0101": "ok", "0461": "duplicate", "0751": "transient>ok"}


async def shares(bootstrap: str) -> list[int]:
    """Partitions of `lanes` that each member of the group has, by the broker's own word."""
    client = AdminClient({"bootstrap.servers": bootstrap})
    [promise] = client.describe_consumer_groups(["stafet-relay"]).values()
    group = await asyncio.to_thread(promise.result, 30)
    return sorted(sum(tp.topic == "lanes" for tp in one.assignment.topic_partitions) for one in group.members)


async def test_second_worker_joins_and_leaves_under_load(own_real: LocalBroker, tmp_path: Path) -> None:
    scene = Scene(own_real, tmp_path, KOMMUNER)
    prepare(scene)
    first, second, third = (stays(scene, 180, seed=8)[n::3] for n in range(3))
    first_orders, second_orders = (
        RelayOrders(own_real.bootstrap, str(tmp_path), SECRET.decode(), scene.partitions, worker_id=name)
        for name in ("w1", "w2")
    )
    log = tmp_path / "worker.log"
    async with (
        watching(scene.bootstrap) as ledger,
        municipalities(scene, BEHAVIOURS, now=FastClock(datetime.now(UTC), 30)) as town,  # they think for seconds
        relay_process(first_orders, log) as one,
        relay_process(second_orders, log) as two,
    ):
        await ready(one)
        await scene.send(first)
        await ready(two)
        assert await shares(scene.bootstrap) == [2, 2]
        await scene.send(second)
        before = len(ledger.rows)
        await ledger.until(lambda book: len(book.rows) > before + 50)
        assert await terminated(two) == 0, log.read_text()[-2000:]
        await scene.send(third)
        await ledger.rest(120, lambda: town.is_idle)
        assert await terminated(one) == 0, log.read_text()[-2000:]
    assert faults_of(await inbox_letters(scene.bootstrap), expected_letters([*first, *second, *third])) == []
    await closes(scene.bootstrap)
