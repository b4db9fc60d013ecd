"""Too many connections, too many handshakes, no file descriptors: refused, named, counted, and nobody else disturbed."""

import asyncio
import errno
import io
import json
import logging
import os
import resource
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import pytest

from streams.gateway import server
from streams.gateway.admission import report_to
from streams.gateway.mllp import framed
from streams.gateway.server import Caps, Door
from streams.operations import logs
from streams.operations.metrics import Metrics
from tests.contracts.gateways import Running, adt, client, gateway, raw


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


async def closed(reader: asyncio.StreamReader) -> bool:
    with suppress(ConnectionError):
        return await reader.read() == b""
    return True


@pytest.mark.parametrize(
    ("caps", "why"),
    [
        pytest.param(Caps(connections=2), "too-many-connections", id="in all"),
        pytest.param(Caps(connections_per_address=2), "too-many-connections-of-address", id="of one address"),
    ],
)
async def test_connection_too_many_is_closed_and_others_stay(caps: Caps, why: str) -> None:
    async with gateway(caps=caps) as running:
        async with client(running) as first, client(running) as second:
            assert (await first.send(adt("A1"))).taken
            assert (await second.send(adt("A2"))).taken
            reader, writer = await raw(running, framed(adt("A3")))
            assert await closed(reader)
            writer.close()
            assert (await running.until("gateway.turned-away")) == {"peer": "127.0.0.1", "why": why}
            assert (await first.send(adt("A4"))).taken
        await left(running, 2)
        async with client(running) as third:  # there is room again
            assert (await third.send(adt("A5"))).taken
    assert [record.document.control_id for record in running.records] == ["A1", "A2", "A4", "A5"]


async def left(running: Running, count: int) -> None:
    async with asyncio.timeout(10):
        while [event for event, _ in running.reported].count("gateway.disconnected") < count:
            await asyncio.sleep(0.002)


def test_each_address_has_its_own_share() -> None:
    door = Door(Caps(connections=3, connections_per_address=2, handshakes_per_address=1, handshakes=2))
    assert door.enter("10.0.0.1") is None
    assert door.enter("10.0.0.1") == "too-many-handshakes-of-address"
    assert door.enter("10.0.0.2") is None
    assert door.enter("10.0.0.3") == "too-many-handshakes"
    door.known("10.0.0.1")
    door.known("10.0.0.2")
    assert door.enter("10.0.0.1") is None
    door.known("10.0.0.1")
    assert door.enter("10.0.0.1") == "too-many-connections"
    door.leave("10.0.0.2")
    assert door.enter("10.0.0.1") == "too-many-connections-of-address"
    assert door.enter("10.0.0.2") is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("10.0.0.1", "10.0.0.2", False),
    ],
)
def test_network_of_ipv6_is_one_address(one: str, other: str, same: bool) -> None:
    door = Door(Caps(connections_per_address=1))
    assert door.enter(one) is None
    assert (door.enter(other) is not None) is same


# ---- file descriptors ---------------------------------------------------------------------------------------------


@asynccontextmanager
async def logged(running: Running) -> AsyncIterator[tuple[io.StringIO, Metrics]]:
    """What the log holds of it, and the figures."""
    lines, metrics = io.StringIO(), Metrics()
    logs.configure(stream=lines)
    running.also = report_to(logs.get("gateway"), metrics)
    yield lines, metrics


@pytest.fixture
def few_descriptors(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[socket.socket]]:
    """Sockets that take every descriptor but some; a limit close by, so that few are needed."""
    monkeypatch.setattr(server, "_PAUSE_S", 0.01)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 20, hard))
    taken: list[socket.socket] = []
    yield taken
    for each in taken:
        each.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_no_file_descriptors_is_one_line_and_heals(few_descriptors: list[socket.socket]) -> None:
    async with gateway() as running, logged(running) as (lines, metrics), client(running) as first:
        assert (await first.send(adt("A1"))).taken
        waiting = socket.create_connection(("127.0.0.1", running.port))
        waiting.close()
        mine = [socket.socket() for _ in range(3)]  # descriptors of the waiting clients
        with suppress(OSError):
            while True:
                few_descriptors.append(socket.socket())
        for each in mine:
            each.setblocking(False)
            with suppress(BlockingIOError):
                each.connect(("127.0.0.1", running.port))
        async with asyncio.timeout(20):
            while [event for event, _ in running.reported].count("gateway.exhausted") < 5:
                await asyncio.sleep(0.005)
        assert (await first.send(adt("A2"))).taken, "who is in is served"
        for each in few_descriptors:
            each.close()
        await asyncio.get_running_loop().sock_sendall(mine[2], framed(adt("A3")))
        answer = await asyncio.get_running_loop().sock_recv(mine[2], 1000)
        assert b"MSA|AA|A3" in answer
        for each in mine:
            each.close()
    reported = [json.loads(line) for line in lines.getvalue().splitlines()]
    exhausted = [line for line in reported if line["event"] == "gateway.exhausted"]
    assert [line["why"] for line in exhausted] == [errno.errorcode[errno.EMFILE]]
    count = metrics.registry.get_sample_value("stafet_gateway_unserved_total", {"reason": "no-file-descriptor"})
    assert count is not None
    assert count >= 5


# ---- lines and figures --------------------------------------------------------------------------------------------


def test_what_stranger_repeats_is_one_line_in_ten_seconds() -> None:
    lines, metrics, now = io.StringIO(), Metrics(), [0.0]
    logs.configure(stream=lines)
    report = report_to(logs.get("gateway"), metrics, lambda: now[0])
    for second in range(25):
        now[0] = second
        report("gateway.handshake-failed", peer="10.0.0.1", why="NO_SHARED_CIPHER")
        report("gateway.turned-away", peer="10.0.0.2", why="too-many-connections")
    reported = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [(line["peer"], line.get("count")) for line in reported if line["event"] == "gateway.handshake-failed"] == [
        ("10.0.0.1", None), ("10.0.0.1", 9), ("10.0.0.1", 9),
    ]  # fmt: skip
    for reason in ("handshake-failed", "too-many-connections"):
        assert metrics.registry.get_sample_value("stafet_gateway_unserved_total", {"reason": reason}) == 25


def test_stranger_with_many_addresses_does_not_fill_log() -> None:
    lines = io.StringIO()
    logs.configure(stream=lines)
    report = report_to(logs.get("gateway"), Metrics(), lambda: 0.0)
    for number in range(5000):
        report("gateway.handshake-failed", peer=f"2001:db8::{number:x}", why="HTTP_REQUEST")
    assert len(lines.getvalue().splitlines()) <= 1025
