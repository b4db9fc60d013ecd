"""The MLLP server: listens, serves each connection on its own, drains on request.

What decides it: spec 04 §5.1. Back-pressure needs no queue: a sender whose message has not been confirmed by Kafka
waits for its ACK, and its next bytes wait in its own socket. Draining: stop listening, let every connection finish the
block in hand, cut what is still open after `Limits.drain`.

Not here: what is answered (`acceptor.py`), certificates (`tls.py`), `/livez` and `/metrics` (the runner).
"""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from .connection import Acceptor, Connection, Limits
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
    _open: dict[Connection, asyncio.Task[None]] = field(default_factory=dict)

    async def serve(
        self, host: str, port: int, stop: asyncio.Event, listening: Callable[[int], None] = lambda port: None
    ) -> None:
        """Serve until `stop` is set, then drain. `listening` is told the port in use (for port 0)."""
        async with asyncio.TaskGroup() as tasks:

            def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                if stop.is_set():  # its TLS handshake ended after the listener was closed
                    writer.close()
                    return
                connection = Connection(reader, writer, self.acceptor, self.limits, self.report)
                self._open[connection] = tasks.create_task(self._run(connection))

            async with await self._listen(connected, host, port) as server:
                listening(server.sockets[0].getsockname()[1])
                await stop.wait()
            await self._drain()

    async def _listen(
        self, connected: Callable[[asyncio.StreamReader, asyncio.StreamWriter], None], host: str, port: int
    ) -> asyncio.Server:
        if self.tls is None:
            return await asyncio.start_server(connected, host, port)
        return await asyncio.start_server(
            connected,
            host,
            port,
            ssl=self.tls,
            ssl_handshake_timeout=_HANDSHAKE_S,
            ssl_shutdown_timeout=_TLS_GOODBYE_S,
        )

    async def _run(self, connection: Connection) -> None:
        self.report("gateway.connected", open=len(self._open))
        try:
            await connection.serve()
        except Exception as fault:  # noqa: BLE001  # a fault of ours ends this connection without an ACK, and no other
            self.report("gateway.fault", why=type(fault).__name__)
            connection.cut()
        finally:
            del self._open[connection]
            self.report("gateway.disconnected", open=len(self._open))

    async def _drain(self) -> None:
        for connection in self._open:
            connection.drain()
        if self._open:
            await asyncio.wait(self._open.values(), timeout=self.limits.drain.total_seconds())
        for connection in self._open:
            connection.cut()
