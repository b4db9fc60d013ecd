"""The tables on disk: the same relay with RocksDB, restarted in between, loses nothing either."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from agents.station import FastClock
from streams.kafka.embedded import EmbeddedBroker
from tests.end_to_end.letters import faults_of, inbox_letters
from tests.end_to_end.rest import watching
from tests.end_to_end.scene import Scene, closes, expected_letters, municipalities, prepare, relay_here, stays

pytest.importorskip("rocksdict")

KOMMUNER = ("0101", "0461", "0751")
BEHAVIOURS = {"0101": "ok", "0461": "silent>ok", "0751": "duplicate"}


async def test_restart_with_tables_on_disk_balances(own_embedded: EmbeddedBroker, tmp_path: Path) -> None:
    clock = FastClock(datetime(2026, 3, 2, 7, tzinfo=UTC), 600)
    scene = Scene(own_embedded, tmp_path, KOMMUNER, clock=clock)
    prepare(scene)
    everybody = stays(scene, 40, seed=5)
    async with watching(scene.bootstrap) as ledger, municipalities(scene, BEHAVIOURS) as town:
        async with relay_here(scene, store="rocksdb"):
            await scene.send(everybody[:20])
            await ledger.until(lambda one: len(one.of("message", "SENT")) >= 10)
        await scene.send(everybody[20:])
        async with relay_here(scene, store="rocksdb"):
            await ledger.rest(60, lambda: town.is_idle)
    assert list(tmp_path.rglob("*.sst")) or list(tmp_path.rglob("*.log")), "the tables were not on disk"
    assert faults_of(await inbox_letters(scene.bootstrap), expected_letters(everybody)) == []
    await closes(scene.bootstrap)
