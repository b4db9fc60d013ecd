"""SIGTERM ends a role soon and with exit 0, whatever it is doing: nothing is left to finish before it is ready."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from confluent_kafka import ConsumerGroupState
from confluent_kafka.admin import AdminClient

from agents.worker.tables import position_key
from streams.kafka.local import LocalBroker
from streams.kafka.topics import RELAY, changelog
from tests.brokers import producing, until
from tests.closing import note
from tests.end_to_end.outside import Outside, Process

pytestmark = pytest.mark.timeout(180)

SOON = 8.0  # seconds, on a busy machine; a start that is waited for has 60
ROWS = 60_000  # some six seconds of recovery


class Silent:
    """A broker that takes connections and never answers."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.bootstrap = ""

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator["Silent"]:
        done = asyncio.Event()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            self.asked.set()
            await done.wait()
            writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        self.bootstrap = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            done.set()
            server.close()


async def terminated(process: Process) -> tuple[int, float]:
    """Exit code and seconds after SIGTERM."""
    began = time.monotonic()
    return await process.end(signal.SIGTERM), time.monotonic() - began


@pytest.mark.parametrize("role", ["relay", "gateway", "all"])
async def test_while_broker_is_asked_that_does_not_answer(tmp_path: Path, role: str) -> None:
    async with (
        Silent().listening() as broker,
        Outside.at(broker.bootstrap, tmp_path).running("run", role) as process,
    ):
        await asyncio.wait_for(broker.asked.wait(), 30)
        code, took = await terminated(process)
    assert code == 0, process.err
    assert took < SOON
    assert "ready" not in process.err


@pytest.mark.real
class TestOnARealBroker:
    async def test_while_tables_recover(self, own_real: LocalBroker, tmp_path: Path) -> None:
        site = Outside.at(own_real.bootstrap, tmp_path)
        assert (await site.stafet("topics", "apply", "--yes")).code == 0
        await filled(own_real.bootstrap, changelog(RELAY, "persons"))
        async with site.running("run", "all") as process:
            await until(lambda: assigned(own_real.bootstrap), 60)
            code, took = await terminated(process)
        assert code == 0, process.err
        assert took < SOON
        assert "ready" not in process.err
        note(f"SIGTERM to the end of `run all` while {ROWS} rows were recovered: {took:.1f} s")

    async def test_second_sigterm_still_drains(self, own_real: LocalBroker, tmp_path: Path) -> None:
        site = Outside.at(own_real.bootstrap, tmp_path)
        assert (await site.stafet("topics", "apply", "--yes")).code == 0
        async with site.running("run", "all") as process:
            await process.ready()
            process.child.send_signal(signal.SIGTERM)
            code, took = await terminated(process)
        assert code == 0, process.err
        assert took < SOON
        assert any("relay.drained" in line for line in process.err)

    async def test_when_broker_has_gone_meanwhile(self, own_real: LocalBroker, tmp_path: Path) -> None:
        site = Outside.at(own_real.bootstrap, tmp_path)
        assert (await site.stafet("topics", "apply", "--yes")).code == 0
        async with site.running("run", "all") as process:
            await process.ready()
            own_real.kill()
            code, took = await terminated(process)
        assert code == 0, process.err
        assert took < SOON
        note(f"SIGTERM to the end of `run all` after its broker was killed: {took:.1f} s")

    async def test_broker_that_hangs_holds_no_process_up(self, own_real: LocalBroker, tmp_path: Path) -> None:
        """It leaves before supervisors kill; what it could not acknowledge comes again."""
        site = Outside.at(own_real.bootstrap, tmp_path)
        assert (await site.stafet("topics", "apply", "--yes")).code == 0
        async with site.running("run", "all") as process:
            await process.ready()
            assert own_real.pid is not None
            os.kill(own_real.pid, signal.SIGSTOP)
            try:
                code, took = await terminated(process)
            finally:
                os.kill(own_real.pid, signal.SIGCONT)
        assert code in (0, 70), process.err
        assert took < 30.0
        note(f"SIGTERM to the end of `run all` whose broker hangs: {took:.1f} s, exit {code}")


async def filled(bootstrap: str, topic: str) -> None:
    """Rows that nobody reads as rows: position rows of a topic of nobody's."""
    async with producing(bootstrap) as producer:
        sends = [
            await producer.send(topic, b"%d" % number + b" " * 300, key=position_key("nobody", number))
            for number in range(ROWS)
        ]
        await asyncio.gather(*sends)


async def assigned(bootstrap: str) -> bool:
    """Whether the relay has its partitions: then it recovers."""
    client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    with contextlib.suppress(Exception):
        group = await asyncio.to_thread(lambda: client.describe_consumer_groups([RELAY])[RELAY].result(5))
        return bool(group.state == ConsumerGroupState.STABLE)
    return False
