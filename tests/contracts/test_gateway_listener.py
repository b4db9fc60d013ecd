"""The socket that listens: what happens in the moment it is given up."""

import asyncio
import socket
from typing import Any

from streams.gateway.server import accepted, bound


async def test_connection_at_moment_of_end_is_no_fault() -> None:
    faults: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: faults.append(context))
    [listening] = await bound("127.0.0.1", 0)
    taken: list[socket.socket] = []
    for _ in range(5):
        task = asyncio.create_task(
            accepted(listening, lambda peer, _address: taken.append(peer), lambda *_, **__: None)
        )
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        with socket.create_connection(listening.getsockname()):
            asyncio.get_running_loop().call_soon(task.cancel)  # in the turn that finds the connection
            await asyncio.wait([task])
    listening.close()
    for peer in taken:
        peer.close()
    assert faults == []
