"""Two thousand stays, municipalities that misbehave in every known way, and a worker killed ten times: nothing is lost.

Real Kafka, real clock, SIGKILL at random moments: while it starts, recovers, folds, sends. Judged twice: by the balance
over all topics, and by a reader of the inboxes that shares no code with the product.
"""

import asyncio
import os
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from agents.station import FastClock
from streams.kafka.local import LocalBroker
from tests.closing import note
from tests.end_to_end.letters import faults_of, inbox_letters
from tests.end_to_end.relay_worker import RelayOrders, ready, relay_process, terminated
from tests.end_to_end.rest import watching
from tests.end_to_end.scene import SECRET, Scene, closes, expected_letters, municipalities, prepare, stays

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

STAYS = int(os.environ.get("STAFET_TEST_STAYS", "2000"))
KILLS = int(os.environ.get("STAFET_TEST_KILLS", "10"))
SEED = int(os.environ.get("STAFET_TEST_SEED", "0")) or int(time.time())
RATE = float(os.environ.get("STAFET_TEST_RATE", "70"))  # ADT messages a second
#: Municipalities think up to a minute; this many times faster it is two seconds, and `late` comes after the deadline.
HASTE = 30.0
FAULTS = (
    "ok", "ok", "ok", "ok", "silent>ok", "late:4m", "duplicate", "transient>ok", "fatal", "garbage>ok", "silent",
    "wrong-sender>ok", "conflicting",
)  # fmt: skip


@dataclass
class Killings:
    """How the worker has died, for the closing lines."""

    rng: Random
    starting: int = 0
    working: int = 0

    async def one(self, orders: RelayOrders, log: Path) -> None:
        """Starts the worker and kills it at some moment, which it must live to see: one in three before it is up."""
        async with relay_process(orders, log) as child:
            at_work = self.rng.random() < 2 / 3
            if at_work:
                await ready(child)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(child.wait(), self.rng.uniform(0.2, 5.0))
            child.kill()
            await child.wait()
        self.working += at_work
        self.starting += not at_work


async def test_nothing_is_lost_and_nothing_is_invented(own_real: LocalBroker, tmp_path: Path) -> None:
    rng, log = Random(SEED), tmp_path / "worker.log"
    scene = Scene(own_real, tmp_path, ())
    scene.kommuner = sorted(scene.registers.kommuner)
    prepare(scene)
    everybody = stays(scene, STAYS, seed=SEED)
    behaviours = {code: FAULTS[number % len(FAULTS)] for number, code in enumerate(scene.kommuner)}
    orders = RelayOrders(own_real.bootstrap, str(tmp_path), SECRET.decode(), scene.partitions)
    killings, haste = Killings(rng), FastClock(datetime.now(UTC), HASTE)
    seed = f"STAFET_TEST_SEED={SEED}"
    async with AsyncExitStack() as stack:
        ledger = await stack.enter_async_context(watching(scene.bootstrap))
        hospitals = asyncio.create_task(scene.send(everybody, rate=RATE))
        async with municipalities(scene, behaviours, SEED, haste) as town:
            for _ in range(KILLS):
                await killings.one(orders, log)
            last = await stack.enter_async_context(relay_process(orders, log))
            await ready(last)
            await hospitals
            await ledger.rest(240, lambda: town.is_idle)
        await ledger.rest(60)  # the municipalities are silent now
        assert await terminated(last) == 0, log.read_text()[-2000:]
    letters = await inbox_letters(scene.bootstrap)
    assert faults_of(letters, expected_letters(everybody)) == [], seed
    await closes(scene.bootstrap)
    dispatches = Counter(Counter(one.message_id for one in letters).values())
    note(
        f"worker killed {KILLS} times ({killings.working} at work, {killings.starting} while starting): {STAYS} stays, "
        f"{len(ledger.states)} messages, letters per message {dict(sorted(dispatches.items()))}, lost 0, {seed}"
    )
