"""State has one writer, and a start that would do harm gives the reason: real processes on real Kafka."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions

from streams.cli.frame import Code
from streams.kafka.local import LocalBroker
from streams.kafka.topics import ADT_RAW, LANES, LEDGER, RELAY, changelog
from tests.brokers import at_least, put, until
from tests.end_to_end.outside import Outside, Process

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]


async def installed(broker: LocalBroker, folder: Path, **more: str) -> Outside:
    """An installation with one partition of everything."""
    site = Outside.at(broker.bootstrap, folder, STAFET_PARTITIONS="1", **more)
    applied = await site.stafet("topics", "apply", "--yes")
    assert applied.code == 0, applied.err
    return site


async def gone(process: Process, limit: float = 60.0) -> int:
    """The exit code of a process that leaves by itself."""
    return await asyncio.wait_for(process.child.wait(), limit)


async def works(broker: LocalBroker, number: int) -> None:
    """One record more is taken by whoever works; `number`: records taken then."""
    await put(broker.bootstrap, ADT_RAW, [(b"k", b"record %d" % number)])
    await at_least(broker.bootstrap, LEDGER, number)


def sentences(process: Process, words: str) -> list[str]:
    """The lines that hold these words."""
    return [line for line in process.err if words in line]


async def test_second_process_in_same_directory_is_refused(own_real: LocalBroker, tmp_path: Path) -> None:
    site = await installed(own_real, tmp_path)
    other = Outside(site.folder, site.env, http=site.http)  # the port is not what is wrong
    async with site.running("run", "relay") as first:
        await first.ready()
        async with other.running("run", "relay") as second:
            assert await gone(second) == 2
        assert len(sentences(second, "another process runs as worker")) == 1
        assert not sentences(second, "Traceback")
        await works(own_real, 1)
        assert await first.end(signal.SIGTERM) == 0


async def test_of_two_processes_with_one_id_elder_leaves(own_real: LocalBroker, tmp_path: Path) -> None:
    site = await installed(own_real, tmp_path)
    other = Outside(site.folder, {**site.env, "STAFET_STATE_DIR": str(tmp_path / "elsewhere")})
    async with site.running("run", "relay") as elder:
        await elder.ready()
        await works(own_real, 1)
        async with other.running("run", "relay") as younger:
            await younger.ready()
            assert await gone(elder) == 70
            assert len(sentences(elder, "has another owner")) == 1
            await works(own_real, 2)
            assert await younger.end(signal.SIGTERM) == 0


async def test_emptied_changelog_is_named_and_accepted(own_real: LocalBroker, tmp_path: Path) -> None:
    site = await installed(own_real, tmp_path)
    async with site.running("run", "relay") as process:
        await works(own_real, 1)
        assert await process.end(signal.SIGTERM) == 0
    admin = AdminClient({"bootstrap.servers": own_real.bootstrap, "log_level": 0})
    [deleted] = admin.delete_topics([changelog(RELAY, "persons")]).values()
    deleted.result(10)
    assert (await site.stafet("topics", "apply", "--yes")).code == 0
    async with site.running("run", "relay") as process:
        assert await gone(process) == 70
    notified = f"adt.raw/0 ({changelog(RELAY, 'persons')}): 1 records are committed and the state knows of 0"
    assert len(sentences(process, notified)) == 1
    async with site.running("run", "relay", "--accept-loss") as process:
        await works(own_real, 2)
        assert await process.end(signal.SIGTERM) == 0
    assert [line for line in sentences(process, "records.lost") if "adt.raw" in line]


async def test_added_partitions_stop_worker_before_harm(own_real: LocalBroker, tmp_path: Path) -> None:
    site = await installed(own_real, tmp_path)
    async with site.running("run", "relay") as process:
        await process.ready()
        admin = AdminClient({"bootstrap.servers": own_real.bootstrap, "log_level": 0})
        [added] = admin.create_partitions([NewPartitions(LANES, 3)]).values()
        added.result(10)
        assert await gone(process) == 70
    assert len(sentences(process, "lanes has 3 partitions where the state has 1")) == 1
    again = await site.stafet("run", "relay")
    assert again.code == Code.NO_BROKER
    assert "lanes has 3 partitions where the state has 1" in again.err
    async with site.running("run", "relay") as process:
        assert await gone(process) != 0
    assert sentences(process, "partitions where the state has")


async def test_readiness_shows_frozen_and_dead_broker(own_real: LocalBroker, tmp_path: Path) -> None:
    site = await installed(own_real, tmp_path)

    async def status() -> int:
        return (await site.get("/readyz") or (0, ""))[0]

    async with site.running("run", "all") as process:
        await process.ready()
        assert await status() == 200
        os.kill(own_real.pid, signal.SIGSTOP)
        try:
            await until(lambda: _is(site, 503), 30)
            assert "Kafka has not answered" in (await site.get("/readyz") or (0, ""))[1]
        finally:
            os.kill(own_real.pid, signal.SIGCONT)
        await until(lambda: _is(site, 200), 30)
        await works(own_real, 1)
        own_real.kill()
        await until(lambda: _is(site, 503), 30)
        own_real.start()
        await until(lambda: _is(site, 200), 60)
        await works(own_real, 2)


async def _is(site: Outside, status: int) -> bool:
    return (await site.get("/readyz") or (0, ""))[0] == status
