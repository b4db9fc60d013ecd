"""Sockets that listen, and the connections that come to them, before anything is known of a peer.

asyncio's own server shakes hands before it tells anybody of a connection, so that nobody can count handshakes under way
or say whose failed; and when file descriptors run out it writes a line for each waiting connection, every second.
"""

import asyncio
import errno
import socket
from collections.abc import Callable

from .report import Report

__all__ = ["accepted", "bound"]

#: No descriptor, no memory: of ours or of the machine (accept(2)). The connections wait in the kernel meanwhile.
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_PAUSE_S = 1.0  # until descriptors are looked for again


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


async def accepted(listening: socket.socket, take: Callable[[socket.socket, str], None], report: Report) -> None:
    """Gives every connection and its peer's address to `take`, until it is cancelled.

    Not by the loop's own `sock_accept`: cancelled in the moment of a connection, it loses it with a traceback.
    """
    while True:
        await _readable(listening)
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


async def _readable(listening: socket.socket) -> None:
    """Returns when somebody waits to be let in."""
    loop = asyncio.get_running_loop()
    waits = asyncio.Event()
    loop.add_reader(listening, waits.set)
    try:
        await waits.wait()
    finally:
        loop.remove_reader(listening)
