"""The line to Beskedfordeler over AMQP 0-9-1 (02 §7.3): TLS, virtual host `BF`, a token in SASL and in each message.

The token of the security token service is the whole response of the mechanism EXTERNAL, as in KOMBIT's public samples.
aiormq answers EXTERNAL with nothing; `_Connection` puts the token there. That is the one private name of the library used
here, `Connection._credentials_class`, pinned by tests/agents/test_amqp.py against a broker that reads the handshake.

A besked goes to an exchange and is confirmed by the broker; what Beskedfordeler says of it comes over the direct reply
queue of the same channel. Either may be missing: then nothing is known, and the besked goes again.

Not here: what is done about an answer (`streams/distributor/beskedfordeler.py`); who fetches tokens and puts them in the file.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiormq
from aiormq.abc import AbstractChannel, DeliveredMessage
from pamqp.commands import Basic
from pamqp.exceptions import PAMQPException

from streams.operations.settings import Listen

from .bridge import Unreachable

VIRTUAL_HOST: Final = "BF"
EXCHANGE: Final = "AFSEND_BESKED_EXCHANGE"
REPLIES: Final = "amq.rabbitmq.reply-to"
_LIMIT: Final = 10.0  # seconds for a connection, and for an answer

_LOST: Final = (aiormq.AMQPError, PAMQPException, OSError, RuntimeError, TimeoutError)


class _Connection(aiormq.Connection):
    """A connection whose EXTERNAL response is a token."""

    def __init__(self, url: str, token: str, context: ssl.SSLContext | None) -> None:
        super().__init__(url, context=context)
        self._token = token

    def _credentials_class(self, start_frame: Any) -> Any:
        if "EXTERNAL" not in start_frame.mechanisms.split():
            raise aiormq.AuthenticationError("the broker does not take EXTERNAL")
        return _External("EXTERNAL", lambda connection: _Response(self._token))


class _External(NamedTuple):
    """What aiormq asks of a mechanism."""

    name: str
    value: Callable[[object], "_Response"]


class _Response(NamedTuple):
    """The response of a mechanism."""

    text: str

    def marshal(self) -> str:
        """As aiormq sends it."""
        return self.text

    def __repr__(self) -> str:
        return "_Response()"


class _OpenLine(NamedTuple):
    """A connection that sends: its channel and the answers that are waited for, by BeskedId."""

    connection: _Connection
    channel: AbstractChannel
    token: str
    waiting: dict[str, asyncio.Future[bytes]]


@dataclass
class AmqpLine:
    """`BeskedLine` over AMQP. `token` reads the token of this moment; `context` None is for tests: no TLS."""

    address: Listen
    token: Callable[[], str]
    context: ssl.SSLContext | None
    limit: float = _LIMIT
    _open: _OpenLine | None = None
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def send(self, besked_id: str, besked: bytes) -> bytes:
        """Hands a besked over; its answer. Raises `Unreachable`."""
        with _lost():
            async with asyncio.timeout(self.limit):
                to = await self._connected()
            answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
            to.waiting[besked_id] = answer
            properties = Basic.Properties(
                content_type="application/xml",
                correlation_id=besked_id,
                message_id=besked_id,
                reply_to=REPLIES,
                delivery_mode=2,
                headers={"token": to.token},
            )
            try:
                async with asyncio.timeout(self.limit):
                    # Mandatory: a besked that no queue takes comes back, and is no success.
                    await to.channel.basic_publish(besked, exchange=EXCHANGE, properties=properties, mandatory=True)
                    verdict = await answer
            except TimeoutError:  # it may be stuck; a late answer would be about the same besked, and do no harm
                await self._drop(to)
                raise
            finally:
                to.waiting.pop(besked_id, None)
        return verdict

    async def renew(self) -> None:
        """Reads the token again; a connection that has another one ends."""
        open_now = self._open
        with _lost():
            if open_now is not None and open_now.token != self.token():
                await self._drop(open_now)

    async def close(self) -> None:
        """Ends the connection that sends."""
        if self._open is not None:
            await self._drop(self._open)

    async def listen(self, mailbox: str, take: Callable[[bytes], Awaitable[None]]) -> None:
        """Hands what lies in a mailbox to `take`, one by one, each acknowledged after. Raises `Unreachable`."""
        come = asyncio.Queue[DeliveredMessage | None]()
        with _lost():
            async with asyncio.timeout(self.limit):
                connection = await self._connection(self.token())
        try:
            with _lost():
                channel = await connection.channel()
                assert isinstance(channel, aiormq.Channel)  # the one kind there is; its base does not show `consumers`
                channel.closing.add_done_callback(lambda _: come.put_nowait(None))
                await channel.basic_qos(prefetch_count=1)
                tag = (await channel.basic_consume(mailbox, come.put)).consumer_tag
            while True:
                try:
                    async with asyncio.timeout(self.limit):
                        message = await come.get()
                except TimeoutError:
                    if tag in channel.consumers:
                        continue
                    message = None  # a broker that gives the queue up says so, and aiormq tells nobody
                if message is None:
                    raise Unreachable("the mailbox was closed")
                await take(message.body)
                with _lost():
                    await channel.basic_ack(message.delivery_tag or 0)
        finally:
            await _closed(connection)

    async def _connected(self) -> _OpenLine:
        async with self._opening:
            if self._open is not None and not self._open.channel.is_closed:
                return self._open
            if self._open is not None:
                await self._drop(self._open)
            token = self.token()
            connection = await self._connection(token)
            waiting: dict[str, asyncio.Future[bytes]] = {}

            async def answered(message: DeliveredMessage) -> None:
                answer = waiting.get(message.header.properties.correlation_id or "")
                if answer is not None and not answer.done():
                    answer.set_result(bytes(message.body))

            def lost(_: object) -> None:
                for answer in waiting.values():
                    if not answer.done():
                        answer.set_exception(ConnectionResetError())

            try:
                channel = await connection.channel()
                await channel.basic_consume(REPLIES, answered, no_ack=True)
            except BaseException:
                await _closed(connection)
                raise
            channel.closing.add_done_callback(lost)
            self._open = _OpenLine(connection, channel, token, waiting)
            return self._open

    async def _connection(self, token: str) -> _Connection:
        scheme = "amqp" if self.context is None else "amqps"
        host = f"[{self.address.host}]" if ":" in self.address.host else self.address.host
        connection = _Connection(
            f"{scheme}://{host}:{self.address.port}/{VIRTUAL_HOST}?heartbeat=30", token, self.context
        )
        await connection.connect()
        return connection

    async def _drop(self, dropped: _OpenLine) -> None:
        if self._open is dropped:
            self._open = None
        await _closed(dropped.connection)


@contextlib.contextmanager
def _lost() -> Iterator[None]:
    """What a library raises about a line, as `Unreachable`; its texts may be those of the other side."""
    try:
        yield
    except _LOST as fault:
        raise Unreachable(type(fault).__name__) from None


async def _closed(connection: _Connection) -> None:
    """Ends a connection, whatever state it is in."""
    with contextlib.suppress(*_LOST):
        async with asyncio.timeout(2):
            await connection.close()


def token_in(file: Path) -> Callable[[], str]:
    """Reads the token of this moment. What it returns raises `OSError` where there is none."""

    def read() -> str:
        token = file.read_text(encoding="utf-8", errors="replace").strip()
        if not token:
            raise OSError("the file of the token is empty")
        return token

    return read
