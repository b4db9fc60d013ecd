"""The MLLP server: listens, serves each connection on its own, drains on request.

What decides it: spec 04 §5.1. Back-pressure needs no queue: a sender whose message has not been confirmed by Kafka
waits for its ACK, and its next bytes wait in its own socket. Draining: stop listening, let every connection finish the
block in hand, cut what is still open after `Limits.drain`.

Not here: what is answered (`acceptor.py`), certificates (`tls.py`), `/livez` and `/metrics` (the runner).
"""

import asyncio
import hashlib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from .caps import Caps, Door
from .connection import Acceptor, Connection, Limits
from .listener import accepted, bound
from .peer import Peer, names_of
from .report import Report

__all__ = ["Server"]

_HANDSHAKE_S = 10.0  # a peer that opens a socket and says nothing must not hold it
_TLS_GOODBYE_S = 2.0  # how long we wait for the peer's side of a TLS close


@dataclass(eq=False)
class Server:
    """One listener. `serve` returns after draining; it raises OSError when the address cannot be bound."""

    acceptor: Acceptor
    report: Report
    limits: Limits = field(default_factory=Limits)
    tls: ssl.SSLContext | None = None
    caps: Caps = field(default_factory=Caps)
    _open: dict[Connection, asyncio.Task[None]] = field(default_factory=dict)
    _arriving: set[asyncio.Task[None]] = field(default_factory=set)  # handshakes: nothing of theirs is in hand

    async def serve(
        self, host: str, port: int, stop: asyncio.Event, listening: Callable[[int], None] = lambda port: None
    ) -> None:
        """Serve until `stop` is set, then drain. `listening` is told the port in use (for port 0)."""
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
                # One that is cancelled before it began has let nobody in and closed nothing.
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
            await self._drain()

    async def _visit(self, arrived: socket.socket, address: str, door: Door) -> None:
        """One connection from its handshake to its end."""
        try:
            try:
                connection = await self._met(arrived, address)
            finally:
                door.known(address)
                self._arriving.discard(_this_task())
            if connection is not None:
                await self._run(connection)
        except Exception as fault:  # noqa: BLE001  # a fault of ours ends this connection without an ACK, and no other
            self.report("gateway.fault", why=type(fault).__name__)
        finally:
            door.leave(address)

    async def _met(self, arrived: socket.socket, address: str) -> Connection | None:
        """The connection once its handshake is done; None when that has failed."""
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
        except OSError as failed:  # of TLS too, and of its time limit
            self.report("gateway.handshake-failed", peer=address, why=_reason(failed))
            return None
        try:
            peer = _peer(transport, address)
        except BaseException:
            transport.abort()
            raise
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        return Connection(reader, writer, self.acceptor, self.limits, self.report, peer)

    async def _run(self, connection: Connection) -> None:
        self._open[connection] = _this_task()
        self.report("gateway.connected", open=len(self._open))
        try:
            await connection.serve()
        except BaseException:
            connection.cut()
            raise
        finally:
            del self._open[connection]
            self.report("gateway.disconnected", open=len(self._open))

    async def _drain(self) -> None:
        if self._open:
            await asyncio.wait(self._open.values(), timeout=self.limits.drain.total_seconds())
        for connection in self._open:
            connection.cut()


def _this_task() -> asyncio.Task[None]:
    task = asyncio.current_task()
    assert task is not None
    return task


def _peer(transport: asyncio.Transport, address: str) -> Peer:
    shown: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    if shown is None or shown.context.verify_mode is not ssl.CERT_REQUIRED:
        return Peer(address)
    certificate = shown.getpeercert(binary_form=True) or b""
    return Peer(address, names_of(shown.getpeercert() or {}), hashlib.sha256(certificate).hexdigest()[:16])


def _reason(failed: OSError) -> str:
    """Why a handshake failed: OpenSSL's own words, which say nothing of the peer's names."""
    if isinstance(failed, ssl.SSLCertVerificationError):
        return f"{failed.reason}: {failed.verify_message}"
    if isinstance(failed, ConnectionAbortedError):  # as asyncio says it of its time limit
        return "not done in time"
    return getattr(failed, "reason", None) or type(failed).__name__
