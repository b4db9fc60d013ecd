"""The MLLP server: listens, lets in as many as it can hold, serves each connection on its own, drains on request.

What decides it: spec 04 §5.1 and §5.2. At most one message of a connection is unacknowledged: the next block is taken
only after the answer to the previous one is written. Back-pressure needs no queue: a sender whose message Kafka has not
confirmed waits for its ACK, and its next bytes wait in its own socket. Inside a block the next byte must come within 30
seconds and the last one within a minute; between blocks a connection may be silent for as long as it likes. An empty
block is a sign of life and has no answer (00 §8.5).

What ends a connection: the sender; a block that is too slow; a block over the limit (after `AR`); no confirmation from
Kafka (no answer, so that the sender sends again); draining, once the block in hand is answered. A block that the sender
breaks off is dropped, and only its length is reported; one that we break off becomes a dead letter.

Draining: stop listening, let every connection finish the block in hand, cut what is still open after
`GatewayLimits.drain`.

asyncio's own server shakes hands before it shows a connection, so that handshakes under way cannot be counted nor their
failures be given to a peer; and when file descriptors run out it writes a line for each waiting connection, every second.

Not here: what is answered (`admission.py`), certificates (`mllp.py`), `/livez` and `/metrics` (the runner).
"""

import asyncio
import errno
import hashlib
import ipaddress
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from .admission import LOCAL, BlockAnswer, FrontDesk, GatewayReport, Peer, names_of
from .mllp import BLOCK_LIMIT, FrameReader, FrameTooLong, framed

#: No descriptor, no memory: of ours or of the machine (accept(2)). The connections wait in the kernel meanwhile.
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_PAUSE_S = 1.0  # until descriptors are looked for again
_HANDSHAKE_S = 10.0  # a silent peer must not hold a socket that it opens
_TLS_GOODBYE_S = 2.0  # the longest wait for the peer's side of a TLS close
_PIECE = 1 << 16  # bytes per read: with the block limit, all that one connection can make us hold


async def bound(host: str, port: int) -> list[socket.socket]:
    """A listening socket for each address of `host`; raises OSError when one cannot be bound."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            sockets.append(socket.create_server(address[:2], family=family, backlog=128))
            sockets[-1].setblocking(False)
    except OSError:
        for each in sockets:
            each.close()
        raise
    return sockets


async def accepted(listening: socket.socket, take: Callable[[socket.socket, str], None], report: GatewayReport) -> None:
    """Gives every connection and its peer's address to `take`, until it is cancelled.

    Not by the loop's own `sock_accept`: cancelled in the moment of a connection, it loses it with a traceback.
    """
    loop = asyncio.get_running_loop()
    while True:
        waiting = asyncio.Event()
        loop.add_reader(listening, waiting.set)
        try:
            await waiting.wait()
        finally:
            loop.remove_reader(listening)
        try:
            connection, address = listening.accept()
        except BlockingIOError:
            continue
        except OSError as failed:
            if failed.errno in _EXHAUSTED:
                report("gateway.exhausted", why=errno.errorcode[failed.errno])
                await asyncio.sleep(_PAUSE_S)
            continue  # of any other kind it is about that one connection, which is gone (accept(2))
        connection.setblocking(False)
        take(connection, address[0])


TurnedAway = Literal[
    "too-many-connections",
    "too-many-connections-of-address",
    "too-many-handshakes",
    "too-many-handshakes-of-address",
]


@dataclass(frozen=True, slots=True)
class Caps:
    """How many may be in: the reasons stand beside the settings.

    A faulty engine opens connections and never closes them; without a limit it takes the file descriptors of all others.
    """

    connections: int = 512
    connections_per_address: int = 128
    handshakes: int = 128
    handshakes_per_address: int = 64


@dataclass(slots=True)
class Door:
    """Counts who is in. Every `enter` that is not turned away ends with `leave`, every handshake with `known` before."""

    caps: Caps
    _inside: Counter[str] = field(default_factory=Counter)
    _shaking: Counter[str] = field(default_factory=Counter)

    def enter(self, address: str) -> TurnedAway | None:
        """Lets one in whose handshake begins now, or names why not."""
        caps, who = self.caps, _network_of(address)
        counts: tuple[tuple[int, int, TurnedAway], ...] = (
            (self._inside.total(), caps.connections, "too-many-connections"),
            (self._inside[who], caps.connections_per_address, "too-many-connections-of-address"),
            (self._shaking.total(), caps.handshakes, "too-many-handshakes"),
            (self._shaking[who], caps.handshakes_per_address, "too-many-handshakes-of-address"),
        )
        for count, most, why in counts:
            if count >= most:
                return why
        self._inside[who] += 1
        self._shaking[who] += 1
        return None

    def known(self, address: str) -> None:
        """The handshake ends, well or not."""
        _less(self._shaking, _network_of(address))

    def leave(self, address: str) -> None:
        """The connection ends."""
        _less(self._inside, _network_of(address))


def _less(counts: Counter[str], who: str) -> None:
    counts[who] -= 1
    if not counts[who]:
        del counts[who]


def _network_of(address: str) -> str:
    """What counts as one address: an IPv6 sender has a whole network to call from, its /64 (RFC 4291 §2.5.1)."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return address
    return str(ip.ipv4_mapped or ipaddress.ip_network((ip, 64), strict=False))


@dataclass(frozen=True, slots=True)
class GatewayLimits:
    """How long and how large (spec 04 §5.1, §5.2)."""

    block: int = BLOCK_LIMIT
    between_bytes: timedelta = timedelta(seconds=30)
    whole_block: timedelta = timedelta(seconds=60)
    confirm: timedelta = timedelta(seconds=10)
    #: After SIGTERM: a publish in hand (10 s) and the rest of a block that is arriving; then the connection is cut.
    drain: timedelta = timedelta(seconds=25)


class _TooSlow(Exception):
    """A block has not ended in time."""


@dataclass(eq=False)
class SenderConnection:
    """Serves one connection until it ends; never raises on account of the peer."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    desk: FrontDesk
    limits: GatewayLimits
    report: GatewayReport
    peer: Peer = LOCAL
    _draining: bool = False
    _idle: asyncio.Timeout | None = None
    _frames: FrameReader = field(init=False)

    def __post_init__(self) -> None:
        self._frames = FrameReader(self.limits.block)

    async def serve(self) -> None:
        """Answer block after block until one side ends the connection."""
        try:
            await self._answer_blocks()
        except _TooSlow as slow:
            self.report("gateway.slow", length=self._frames.partial, why=str(slow), peer=self.peer.address)
            await self.desk.too_slow(self._frames.begun, self.peer)
        except TimeoutError:
            self.report("gateway.silent", length=self._frames.partial)
        except (ConnectionError, ssl.SSLError):
            self.report("gateway.reset", length=self._frames.partial)
        finally:
            self.writer.close()
            try:
                await self.writer.wait_closed()
            except (OSError, TimeoutError):
                # The peer went first, or does not complete the closing handshake of TLS: it is closed all the same.
                self.cut()

    def drain(self) -> None:
        """Take no further block; the one in hand is finished and answered."""
        self._draining = True
        if self._idle is not None:
            self._idle.reschedule(asyncio.get_running_loop().time())

    def cut(self) -> None:
        """End now, whatever is in hand: it has no answer, so the sender sends it again."""
        self.writer.transport.abort()

    async def _answer_blocks(self) -> None:
        while True:
            try:
                block = await self._next_block()
            except FrameTooLong as too_long:
                self.report("gateway.too-long", length=too_long.limit)
                await self._write(await self.desk.too_long(too_long.head, too_long.limit, self.peer))
                return
            if block is None:
                return
            if block:
                answer = await self.desk.accept(block, self.peer)
                await self._write(answer)
                if answer.close:
                    return
            if self._draining:
                return

    async def _next_block(self) -> bytes | None:
        """The next block; None at the end of the stream, or when draining and no block has begun."""
        end: float | None = None
        while (block := self._frames.next_block()) is None:
            if self._draining and not self._frames.inside:
                return None
            if not self._frames.inside:
                try:  # no time limit between blocks, but `drain` ends the wait as if the stream had ended
                    async with asyncio.timeout(None) as self._idle:
                        piece = await self.reader.read(_PIECE)
                except TimeoutError:
                    piece = b""
                finally:
                    self._idle = None
            else:
                if end is None:
                    end = asyncio.get_running_loop().time() + self.limits.whole_block.total_seconds()
                piece = await self._rest_of_block(end)
            if not piece:
                if self._frames.partial:
                    self.report("gateway.partial", length=self._frames.partial)
                return None
            self._frames.feed(piece)
        if noise := self._frames.take_noise():
            self.report("gateway.noise", length=noise)
        return block

    async def _rest_of_block(self, end: float) -> bytes:
        """Bytes inside a block, which has to be whole at `end` (of the loop's time). Raises _TooSlow."""
        now = asyncio.get_running_loop().time()
        next_byte = now + self.limits.between_bytes.total_seconds()
        try:
            async with asyncio.timeout_at(min(next_byte, end)):
                if now < end:  # what is there already is read without waiting, and a wait alone can time out
                    return await self.reader.read(_PIECE)
        except TimeoutError:
            pass
        raise _TooSlow("between two bytes" if next_byte < end else "the whole block")

    async def _write(self, answer: BlockAnswer) -> None:
        if answer.ack is None:
            return
        self.writer.write(framed(answer.ack))
        # A sender that never reads its answers must not hold us for ever either.
        async with asyncio.timeout(self.limits.between_bytes.total_seconds()):
            await self.writer.drain()


@dataclass(eq=False)
class Server:
    """One listener. `serve` returns after draining; it raises OSError when the address cannot be bound."""

    desk: FrontDesk
    report: GatewayReport
    limits: GatewayLimits = field(default_factory=GatewayLimits)
    tls: ssl.SSLContext | None = None
    caps: Caps = field(default_factory=Caps)
    _open: dict[SenderConnection, asyncio.Task[None]] = field(default_factory=dict)
    _arriving: set[asyncio.Task[None]] = field(default_factory=set)  # handshakes: nothing of theirs is in hand

    async def serve(
        self, host: str, port: int, stop: asyncio.Event, listening: Callable[[int], None] = lambda port: None
    ) -> None:
        """Serve until `stop` is set, then drain. `listening` gets the port in use (for port 0)."""
        door = Door(self.caps)
        sockets = await bound(host, port)
        async with asyncio.TaskGroup() as tasks:

            def take(arrived: socket.socket, address: str) -> None:
                if (why := door.enter(address)) is not None:
                    self.report("gateway.turned-away", peer=address, why=why)
                    arrived.close()
                    return
                task = tasks.create_task(self._visit(arrived, address, door))
                self._arriving.add(task)
                # A task that is cancelled before it begins never runs its own closing.
                task.add_done_callback(lambda ended: arrived.close() if ended.cancelled() else None)

            accepting = [tasks.create_task(accepted(each, take, self.report)) for each in sockets]
            listening(sockets[0].getsockname()[1])
            try:
                await stop.wait()
            finally:
                for connection in self._open:
                    connection.drain()
                for task in (*accepting, *self._arriving):
                    task.cancel()
                await asyncio.wait(accepting)
                for each in sockets:
                    each.close()
            if self._open:
                await asyncio.wait(self._open.values(), timeout=self.limits.drain.total_seconds())
            for connection in self._open:
                connection.cut()

    async def _visit(self, arrived: socket.socket, address: str, door: Door) -> None:
        """One connection from its handshake to its end."""
        task = asyncio.current_task()
        assert task is not None
        try:
            try:
                connection = await self._shake_hands(arrived, address)
            finally:
                door.known(address)
                self._arriving.discard(task)
            if connection is None:
                return
            self._open[connection] = task
            self.report("gateway.connected", open=len(self._open))
            try:
                await connection.serve()
            except BaseException:
                connection.cut()
                raise
            finally:
                del self._open[connection]
                self.report("gateway.disconnected", open=len(self._open))
        except Exception as fault:  # noqa: BLE001  # a fault of ours ends this connection without an ACK, and no other
            self.report("gateway.fault", why=type(fault).__name__)
        finally:
            door.leave(address)

    async def _shake_hands(self, arrived: socket.socket, address: str) -> SenderConnection | None:
        """The connection once its handshake is done; None when that fails."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol,
                arrived,
                ssl=self.tls,
                ssl_handshake_timeout=_HANDSHAKE_S if self.tls is not None else None,
                ssl_shutdown_timeout=_TLS_GOODBYE_S if self.tls is not None else None,
            )
        except OSError as failed:  # of TLS too; OpenSSL's own words hold none of the peer's names
            why = getattr(failed, "reason", None) or type(failed).__name__
            if isinstance(failed, ssl.SSLCertVerificationError):
                why = f"{failed.reason}: {failed.verify_message}"
            elif isinstance(failed, ConnectionAbortedError):  # asyncio's word for its own time limit
                why = "not done in time"
            self.report("gateway.handshake-failed", peer=address, why=why)
            return None
        try:
            peer = Peer(address)
            tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
            if tls is not None and tls.context.verify_mode is ssl.CERT_REQUIRED:
                fingerprint = hashlib.sha256(tls.getpeercert(binary_form=True) or b"").hexdigest()[:16]
                peer = Peer(address, names_of(tls.getpeercert() or {}), fingerprint)
        except BaseException:
            transport.abort()
            raise
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        return SenderConnection(reader, writer, self.desk, self.limits, self.report, peer)
