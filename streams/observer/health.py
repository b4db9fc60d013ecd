"""What an operator's probes ask a process: is it alive, can records flow, what are its figures (acceptance.md).

`/livez` answers while the event loop turns, with 503 and a reason when work lies there and none is done; `/readyz`
answers 503 with a reason until records can flow, and again while tables recover; `/metrics` is Prometheus text. No page
here shows anything of a person.
"""

import contextlib
from collections.abc import AsyncIterator, Callable

from aiohttp import web

from streams.operations.metrics import Metrics
from streams.operations.settings import Listen

__all__ = ["health_served"]

#: "" when all is well, else the reason why not.
Reason = Callable[[], str]


@contextlib.asynccontextmanager
async def health_served(
    listen: Listen, reason: Reason, metrics: Metrics, dead: Reason = lambda: ""
) -> AsyncIterator[int]:
    """Serves the three addresses while inside; yields the port. Raises OSError when the address is taken.

    `reason`: why records cannot flow; `dead`: why the process should be started again.
    """

    async def livez(_: web.Request) -> web.Response:
        why = dead()
        return web.Response(text=f"{why or 'alive'}\n", status=503 if why else 200)

    async def readyz(_: web.Request) -> web.Response:
        why = reason()
        return web.Response(text=f"{why or 'ready'}\n", status=503 if why else 200)

    async def figures(_: web.Request) -> web.Response:
        return web.Response(body=metrics.text(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    app = web.Application()
    app.add_routes([web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", figures)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, listen.host, listen.port)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
