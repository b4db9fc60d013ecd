"""Ctrl-C ends every command at once, with 130 and without a traceback (spec 06 §4.2); real processes, a peer that is silent."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.brokers import until
from tests.end_to_end.outside import Outside, Process

ID = "0e64678e-d541-4ebd-9409-3b5de1e571d9"

#: `{}` is the port of a peer that takes connections and never answers.
WAITING = {
    "reconcile": "reconcile --bootstrap 127.0.0.1:{}",
    "resend": f"resend {ID} --reason x --bootstrap 127.0.0.1:{{}}",
    "quarantine": "quarantine ls --bootstrap 127.0.0.1:{}",
    "topics": "topics diff --bootstrap 127.0.0.1:{}",
    "doctor": "doctor --bootstrap 127.0.0.1:{}",
    "selftest": "selftest subscriber --inbox municipality.0461.inbox --receipts receipts.raw --bootstrap 127.0.0.1:{}",
    "hospital": "simulate hospital --stays 3 --bootstrap 127.0.0.1:{}",
    "hospital over MLLP": "simulate hospital --stays 3 --gateway 127.0.0.1:{}",
    "municipality": "simulate municipality 0461 --bootstrap 127.0.0.1:{}",
    "send": "send message.hl7 --port {}",
}


class Silent:
    """A peer that takes connections and never answers."""

    def __init__(self) -> None:
        self.connections, self.port = 0, 0

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionError):
            while await reader.read(1 << 16):
                pass
        writer.close()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator["Silent"]:
        server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()


async def ends_with_130(process: Process, limit: float = 5.0) -> None:
    begun = time.monotonic()
    assert await process.end(signal.SIGINT, 30) == 130
    assert time.monotonic() - begun < limit
    reported = "\n".join(process.err)
    assert "Traceback" not in reported, reported
    assert "Exception ignored" not in reported, reported


@pytest.mark.parametrize("name", WAITING)
async def test_command_that_waits_for_others_ends_at_once(name: str, tmp_path: Path) -> None:
    installation = Outside.at("127.0.0.1:1", tmp_path)
    (tmp_path / "message.hl7").write_bytes(b"MSH|^~\\&|EPJ|OUH|||20260301080000||ADT^A01|C1|P|2.5.1\r")
    async with Silent().listening() as peer:
        words = WAITING[name].format(peer.port).split()
        async with installation.running(*words) as process:

            async def waits() -> bool:
                assert process.child.returncode is None, process.err
                return peer.connections > 0

            await until(waits, 60)
            await ends_with_130(process)


async def test_command_that_reads_its_input_ends_at_once(tmp_path: Path) -> None:
    os.mkfifo(pipe := tmp_path / "pipe.json")
    async with Outside.at("127.0.0.1:1", tmp_path).running("inspect", str(pipe)) as process:

        async def reads() -> int | None:
            assert process.child.returncode is None, process.err
            try:
                return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
            except OSError:  # nobody reads yet
                return None

        writing = await until(reads, 60)
        try:
            await ends_with_130(process)
        finally:
            os.close(writing)


@pytest.mark.parametrize("until_it_shows", ["Test persons only", " 10 %"])
async def test_demo_ends_at_once_and_leaves_no_folder(until_it_shows: str, tmp_path: Path) -> None:
    installation = Outside.at("127.0.0.1:1", tmp_path, TMPDIR=str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    async with installation.running("demo", "--stays", "30", "--faults", "none") as process:
        assert process.child.stdout is not None
        if until_it_shows == "Test persons only":
            while until_it_shows not in (await process.child.stdout.readline()).decode():
                assert process.child.returncode is None, process.err
        else:

            async def reported() -> bool:
                assert process.child.returncode is None, process.err
                return any(until_it_shows in line for line in process.err)

            await until(reported, 90)
        await ends_with_130(process)
    assert list((tmp_path / "tmp").iterdir()) == []


async def test_second_ctrl_c_ends_role_that_drains(tmp_path: Path) -> None:
    installation = Outside.at("embedded", tmp_path)
    async with installation.running("run", "gateway") as process:
        await process.ready(90)
        _, writer = await asyncio.open_connection("127.0.0.1", installation.gateway)
        writer.write(b"\x0bMSH|^~\\&|half a block")  # draining waits for the rest
        await writer.drain()

        async def connected() -> bool:
            return any("gateway.connected" in line for line in process.err)

        async def drains() -> bool:
            try:
                _, other = await asyncio.open_connection("127.0.0.1", installation.gateway)
            except ConnectionError:
                return True
            other.close()
            return False

        await until(connected)
        process.child.send_signal(signal.SIGINT)
        await until(drains)
        assert process.child.returncode is None
        await ends_with_130(process)
        writer.close()
