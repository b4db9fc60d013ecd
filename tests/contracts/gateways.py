"""A gateway over real sockets whose log is a list in memory, a client for it, and messages to send (spec 04 §5).

So each way of failing can be played; `test_gateway_kafka.py` does the same with a broker.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from streams.gateway.admission import (
    LOCAL,
    AdtRecord,
    Event,
    FrontDesk,
    GatewayFields,
    GatewayRefusal,
    GatewayReport,
    Publish,
    WriteRefusal,
    silent,
)
from streams.gateway.mllp import ClientTls, MllpClient, ServerTls, server_context
from streams.gateway.server import Caps, GatewayLimits, Server
from streams.messages.adt.feed import FeedProfile
from streams.words.ids import Ids

NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
FEEDS = {
    (feed.application, feed.facility): feed
    for feed in (
        FeedProfile(application="EPJ-SYD", facility="OUH", certificates=("engine.test",)),
        FeedProfile(application="EPJ-TEST", facility="OUH", test=True),
        FeedProfile(application="EPJ-OLD", facility="OUH", charset="iso8859-1", certificates=("old.test",)),
    )
}
LIMITS = GatewayLimits()
CAPS = Caps()
PERSON = "PID|1||2512489996^^^&1.2.208.176.1.2&ISO^NNDNK||Berggren^Nancy Ann Test\r"


def adt(
    control_id: str = "A1",
    *,
    application: str = "EPJ-SYD",
    processing: str = "P",
    accept: str = "",
    charset: str = "UNICODE UTF-8",
    kind: str = "ADT^A01",
    family: str = "Bølgemose",
) -> bytes:
    header = f"MSH|^~\\&|{application}|OUH|X|Y|20260301090000+0100||{kind}|{control_id}|{processing}|2.5.1|||{accept}|||{charset}\r"
    encoding = "latin-1" if charset == "8859/1" or application == "EPJ-OLD" else "utf-8"
    return (header + PERSON.replace("Berggren", family) + "PV1|1|I\r").encode(encoding)


@dataclass
class Running:
    """A gateway that is being served, and what it has published and reported."""

    port: int = 0
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    records: list[AdtRecord] = field(default_factory=list)
    refusals: list[GatewayRefusal] = field(default_factory=list)
    reported: list[tuple[str, GatewayFields]] = field(default_factory=list)
    also: GatewayReport = silent

    async def keep(self, record: AdtRecord) -> None:
        self.records.append(record)

    async def keep_refusal(self, refusal: GatewayRefusal) -> None:
        self.refusals.append(refusal)

    def report(self, event: Event, **fields: object) -> None:
        self.reported.append((event, fields))  # type: ignore[arg-type]
        self.also(event, **fields)  # type: ignore[arg-type]

    def events(self) -> list[str]:
        return [event for event, _ in self.reported if event not in ("gateway.connected", "gateway.disconnected")]

    async def until(self, event: str) -> GatewayFields:
        while True:
            for name, fields in self.reported:
                if name == event:
                    return fields
            await asyncio.sleep(0.002)


def front_desk(
    running: Running, publish: Publish, write_refusal: WriteRefusal, limits: GatewayLimits = LIMITS
) -> FrontDesk:
    return FrontDesk(
        lambda *sender: FEEDS.get(sender),
        lambda document, feed: f"{feed.key}#key",
        Ids(b"a secret of the tests").masked,
        publish,
        write_refusal,
        running.report,
        limits.confirm,
        known=frozenset({"engine.test", "old.test"}),
        now=lambda: NOW,
    )


async def answered(block: bytes, running: Running) -> bytes | None:
    """The answer to a block without a socket, under one id for all."""
    desk = front_desk(running, running.keep, running.keep_refusal)
    return (await replace(desk, new_id=lambda: "R1").accept(block, LOCAL)).ack


@asynccontextmanager
async def gateway(
    publish: Callable[[Running], Publish] = lambda running: running.keep,
    *,
    write_refusal: Callable[[Running], WriteRefusal] = lambda running: running.keep_refusal,
    limits: GatewayLimits = LIMITS,
    caps: Caps = CAPS,
    tls: ServerTls | None = None,
) -> AsyncIterator[Running]:
    running, listening = Running(), asyncio.get_running_loop().create_future()
    desk = front_desk(running, publish(running), write_refusal(running), limits)
    server = Server(desk, running.report, limits, server_context("127.0.0.1", tls), caps)
    serving = asyncio.create_task(server.serve("127.0.0.1", 0, running.stop, listening.set_result))
    running.port = await listening
    try:
        yield running
    finally:
        running.stop.set()
        await serving


def client(running: Running, tls: ClientTls | None = None, wait: float = 5) -> MllpClient:
    return MllpClient("localhost" if tls else "127.0.0.1", running.port, tls, timedelta(seconds=wait))


async def raw(running: Running, data: bytes, *, end: bool = False) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    writer.write(data)
    await writer.drain()
    if end:
        writer.write_eof()
    return reader, writer
