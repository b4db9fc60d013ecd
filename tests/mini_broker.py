"""Beskedfordeler as a broker of a few frames that keeps what it was sent.

RabbitMQ is not part of the suite. This one is written from AMQP 0-9-1 and the way of 02 §7.3; its frames are those of
pamqp, which aiormq uses too, so it shows what is asked for, not how a RabbitMQ behaves.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from pamqp import body, frame, header, heartbeat
from pamqp.commands import Basic, Channel, Confirm, Connection


@dataclass
class MiniBroker:
    """One answer for each besked of `answers`: `None` none at all, "returned" no queue, "dropped" a cut connection."""

    answers: list[bytes | str | None] = field(default_factory=list)
    mailbox: list[bytes] = field(default_factory=list)
    mechanisms: str = "PLAIN EXTERNAL"
    tokens: list[str] = field(default_factory=list)  # of each handshake
    vhosts: list[str] = field(default_factory=list)
    published: list[tuple[Basic.Publish, Basic.Properties, bytes]] = field(default_factory=list)
    consumed: dict[str, bool] = field(default_factory=dict)  # queue -> no_ack
    acknowledged: int = 0
    gives_up: bool = False  # after the last of the mailbox it ends the reading, not the connection
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await self._speak(reader, writer)
        writer.close()

    async def _speak(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def put(answer: Any, channel: int) -> None:
            writer.write(frame.marshal(answer, channel))

        def deliver(tag: str, number: int, content: bytes, channel: int, **properties: Any) -> None:
            put(Basic.Deliver(tag, number, False, "", ""), channel)
            put(header.ContentHeader(0, len(content), Basic.Properties(**properties)), channel)
            if content:
                put(body.ContentBody(content), channel)

        assert await reader.readexactly(8) == b"AMQP\x00\x00\x09\x01"
        capabilities = {"publisher_confirms": True, "basic.nack": True}
        put(Connection.Start(0, 9, {"capabilities": capabilities}, self.mechanisms, "en_US"), 0)
        tags: dict[str, str] = {}
        publish, properties, content, size, number = Basic.Publish(), Basic.Properties(), b"", 0, 0
        while True:
            head = await reader.readexactly(7)
            rest = await reader.readexactly(int.from_bytes(head[3:7], "big") + 1)
            _, channel, said = frame.unmarshal(head + rest)
            match said:
                case Connection.StartOk():
                    assert said.mechanism == "EXTERNAL"
                    self.tokens.append(said.response)
                    put(Connection.Tune(0, 131_072, 30), 0)
                case Connection.TuneOk() | heartbeat.Heartbeat():
                    pass
                case Connection.Open():
                    self.vhosts.append(said.virtual_host)
                    put(Connection.OpenOk(), 0)
                case Connection.Close():
                    put(Connection.CloseOk(), 0)
                    return
                case Channel.Open():
                    put(Channel.OpenOk(), channel)
                case Channel.Close():
                    put(Channel.CloseOk(), channel)
                case Confirm.Select():
                    put(Confirm.SelectOk(), channel)
                case Basic.Qos():
                    put(Basic.QosOk(), channel)
                case Basic.Consume():
                    tags[said.queue], self.consumed[said.queue] = said.consumer_tag, said.no_ack
                    put(Basic.ConsumeOk(said.consumer_tag), channel)
                    if said.queue != "amq.rabbitmq.reply-to" and self.acknowledged < len(self.mailbox):
                        deliver(said.consumer_tag, 1, self.mailbox[self.acknowledged], channel)
                case Basic.Ack():
                    self.acknowledged += 1
                    if self.acknowledged == len(self.mailbox):
                        if not self.gives_up:
                            return
                        put(Basic.Cancel(next(iter(tags.values())), True), channel)
                        continue
                    lying = self.mailbox[self.acknowledged]
                    deliver(next(iter(tags.values())), said.delivery_tag + 1, lying, channel)
                case Basic.Publish():
                    publish, number, content = said, number + 1, b""
                case header.ContentHeader():
                    properties, size = said.properties, said.body_size
                case body.ContentBody():
                    content += said.value
                    if len(content) < size:
                        continue
                    self.published.append((publish, properties, content))
                    answer = self.answers.pop(0)
                    if answer == "dropped":
                        return
                    if answer == "returned":
                        put(Basic.Return(312, "NO_ROUTE", publish.exchange, ""), channel)
                        put(header.ContentHeader(0, 0, properties), channel)
                    put(Basic.Ack(number), channel)
                    if isinstance(answer, bytes):
                        known = properties.correlation_id
                        deliver(tags[properties.reply_to], number, answer, channel, correlation_id=known)
                case _:
                    raise AssertionError(said)
            await writer.drain()


@asynccontextmanager
async def running(broker: MiniBroker, context: ssl.SSLContext | None = None) -> AsyncIterator[MiniBroker]:
    server = await asyncio.start_server(broker.serve, "127.0.0.1", 0, ssl=context)
    broker.port = server.sockets[0].getsockname()[1]
    try:
        yield broker
    finally:
        server.close()
