"""The line of the MLLP gateway: slow, idle and broken-off connections, and how it drains (spec 04 §5.1)."""

import asyncio
import contextlib
from datetime import timedelta

import pytest

from streams.gateway.admission import AdtRecord, Publish
from streams.gateway.mllp import framed
from streams.gateway.server import GatewayLimits
from tests.contracts.gateways import Running, adt, client, gateway, raw

# ---- the line -----------------------------------------------------------------------------------------------------


async def test_block_that_trickles_in_too_slowly_is_cut_off() -> None:
    async with gateway(limits=GatewayLimits(between_bytes=timedelta(milliseconds=30))) as running:
        reader, writer = await raw(running, framed(adt())[:40])
        assert await reader.read() == b""
        writer.close()
    reported = {"length": 39, "why": "between two bytes", "peer": "127.0.0.1"}
    assert ("gateway.slow", reported) in running.reported


async def test_block_that_never_ends_is_cut_off() -> None:
    limits = GatewayLimits(between_bytes=timedelta(seconds=10), whole_block=timedelta(milliseconds=50))
    async with gateway(limits=limits) as running, client(running) as other:
        reader, writer = await raw(running, framed(adt("slow"))[:120])
        trickle = asyncio.create_task(trickled(writer))
        assert (await other.send(adt("A1"))).taken
        with contextlib.suppress(ConnectionError):  # what is sent into the closed connection may reset it
            assert await reader.read() == b"", "without an answer: the engine sends it again"
        trickle.cancel()
        assert (await other.send(adt("A2"))).taken
    (refusal,) = running.refusals
    assert (refusal.why.rule, refusal.control_id, refusal.whole) == ("too-slow", "slow", False)
    assert refusal.block.startswith(adt("slow")[:119])
    assert (await running.until("gateway.slow"))["why"] == "the whole block"
    assert (await running.until("gateway.refused"))["reason"] == "too-slow"


async def trickled(writer: asyncio.StreamWriter) -> None:
    """One byte after the other, each well within the time between two bytes."""
    with contextlib.suppress(ConnectionError):
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.002)


async def test_block_of_which_nothing_came_is_only_logged() -> None:
    async with gateway(limits=GatewayLimits(between_bytes=timedelta(milliseconds=30))) as running:
        reader, writer = await raw(running, b"\x0b")
        assert await reader.read() == b""
        writer.close()
    assert (running.events(), running.refusals) == (["gateway.slow"], [])


async def test_idle_connection_stays_open() -> None:
    async with (
        gateway(limits=GatewayLimits(between_bytes=timedelta(milliseconds=5))) as running,
        client(running) as sender,
    ):
        assert (await sender.send(adt("A1"))).taken
        async with client(running) as other:
            for number in range(20):  # more round trips than the limit between bytes allows for
                await other.send(adt(f"N{number}"))
        assert (await sender.send(adt("A2"))).taken
    assert [event for event, _ in running.reported].count("gateway.connected") == 2


async def test_bytes_before_start_byte_are_dropped_and_counted() -> None:
    async with gateway() as running:
        reader, writer = await raw(running, b"\r\n" + framed(adt("A1")))
        assert b"MSA|AA|A1" in await reader.readuntil(b"\x1c\r")
        writer.close()
    assert ("gateway.noise", {"length": 2}) in running.reported


async def test_partial_block_at_end_is_dropped_and_reported() -> None:
    async with gateway() as running:
        reader, writer = await raw(running, framed(adt("A1")) + b"\x0bMSH|^~", end=True)
        assert (await reader.read()).count(b"MSA") == 1
        writer.close()
    assert ("gateway.partial", {"length": 6}) in running.reported
    assert len(running.records) == 1


# ---- draining -----------------------------------------------------------------------------------------------------


async def test_draining_closes_idle_connections_and_takes_no_new_ones() -> None:
    async with gateway() as running:
        reader, writer = await raw(running, framed(adt("A1")))
        await reader.readuntil(b"\x1c\r")
        running.stop.set()
        assert await reader.read() == b""
        writer.close()
        with pytest.raises(ConnectionError):
            await client(running).send(adt("A2"))


async def test_draining_answers_message_in_hand_and_no_next() -> None:
    confirmed = asyncio.Event()

    def held(running: Running) -> Publish:
        async def publish(record: AdtRecord) -> None:
            running.records.append(record)
            await confirmed.wait()

        return publish

    async with gateway(held) as running:
        reader, writer = await raw(running, framed(adt("A1")) + framed(adt("A2")))
        while not running.records:
            await asyncio.sleep(0.002)
        running.stop.set()
        confirmed.set()
        assert (await reader.read()).count(b"MSA|AA|A1") == 1
        writer.close()
    assert [record.document.control_id for record in running.records] == ["A1"]


async def test_draining_lets_block_that_is_arriving_arrive() -> None:
    async with gateway() as running:
        reader, writer = await raw(running, framed(adt("A1")) + framed(adt("A2"))[:30])
        await reader.readuntil(b"\x1c\r")
        running.stop.set()
        writer.write(framed(adt("A2"))[30:])
        assert b"MSA|AA|A2" in await reader.read()
        writer.close()


async def test_connection_that_does_not_end_in_time_is_cut() -> None:
    async with gateway(limits=GatewayLimits(drain=timedelta(milliseconds=30))) as running:
        reader, writer = await raw(running, framed(adt())[:40])
        await running.until("gateway.connected")
        running.stop.set()
        with pytest.raises(ConnectionError):
            if await reader.read() == b"":
                raise ConnectionError
        writer.close()
