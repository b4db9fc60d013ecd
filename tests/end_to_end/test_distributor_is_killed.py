"""A distributor killed at random moments, with A late, B silent and C without receipts: no copy and no verdict is lost.

Real Kafka, real clock, SIGKILL while it starts, recovers, fans out, answers. Judged by the balance over all topics, and
by the order of each receiver's copies.
"""

import asyncio
import os
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from agents.station import FastClock
from streams.kafka.local import LocalBroker
from tests.closing import note
from tests.end_to_end.distributor_worker import distributor_process, registers_of
from tests.end_to_end.relay_worker import RelayOrders, ready, terminated
from tests.end_to_end.rest import watching
from tests.end_to_end.scene import SECRET, Scene, closes, municipalities, prepare, relay_here, stays
from tests.end_to_end.test_distributor import orders_of
from tests.rules.distributions import CODE, SYSTEMS

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]

SEED = int(os.environ.get("STAFET_TEST_SEED", "0")) or int(time.time())
RATE = float(os.environ.get("STAFET_TEST_RATE", "10"))
#: Receivers think up to a minute; this many times faster it is two seconds.
HASTE = 30.0
#: A's second half minute on their clock is a second of ours: now and then after its time.
BEHAVIOURS = {f"{CODE}.care": "late:4m>ok", f"{CODE}.overview": "silent", f"{CODE}.archive": "silent"}


async def test_every_copy_and_verdict_survives(own_real: LocalBroker, tmp_path: Path) -> None:
    await survived(own_real, tmp_path, number=10, kills=2, ack_timeout=12.0)


async def survived(own_real: LocalBroker, tmp_path: Path, *, number: int, kills: int, ack_timeout: float) -> None:
    """So many stays and so many kills; what is wrong fails the test."""
    rng, log, seed = Random(SEED), tmp_path / "worker.log", f"STAFET_TEST_SEED={SEED}"
    orders = RelayOrders(own_real.bootstrap, str(tmp_path), SECRET.decode(), 4, "d1", ack_timeout)
    scene = Scene(own_real, tmp_path, (CODE,), registers_of(orders))
    prepare(scene)
    haste = FastClock(datetime.now(UTC), HASTE)
    async with AsyncExitStack() as stack:
        ledger = await stack.enter_async_context(watching(scene.bootstrap))
        await stack.enter_async_context(relay_here(scene))
        town = await stack.enter_async_context(municipalities(scene, BEHAVIOURS, SEED, haste))
        hospitals = asyncio.create_task(scene.send(stays(scene, number, seed=SEED), rate=RATE))
        for _ in range(kills):
            async with distributor_process(orders, log) as child:
                if rng.random() < 2 / 3:
                    await ready(child)
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(child.wait(), rng.uniform(0.2, 4.0))
                child.kill()
                await child.wait()
        last = await stack.enter_async_context(distributor_process(orders, log))
        await ready(last)
        await hospitals
        await ledger.rest(240, lambda: town.is_idle)
        assert await terminated(last) == 0, log.read_text()[-2000:]
    assert {state for _, state in ledger.states.values()} == {"ACKED_OK"}, seed
    orders_seen = await orders_of(scene.bootstrap)
    inboxes = {place.split()[1]: order for place, order in orders_seen.items() if ".inbox " in place}
    for name in SYSTEMS:
        copies = {place.split()[1]: order for place, order in orders_seen.items() if f".{name} " in place}
        assert copies == inboxes, seed
    await closes(scene.bootstrap)
    note(f"distributor killed {kills} times: {number} stays, {len(ledger.states)} messages, copies lost 0, {seed}")
