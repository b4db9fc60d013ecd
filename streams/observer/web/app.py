"""The observer's web application: what every answer carries, and what stands at which address.

No page takes anything from outside or has script or style within it, so the policy of contents is the strictest there
is. Not here: who may what; the pages (`pages.py`).
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from socket import AF_INET, AF_INET6, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET, socket
from typing import Final

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from .live import live
from .pages import pages
from .site import STATIC, Site

#: On every answer.
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def create_app(site: Site) -> FastAPI:
    """The application over a site."""
    app = FastAPI(title="Stafet observer", docs_url=None, redoc_url=None)

    @app.middleware("http")
    async def add_headers(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await answer(request)
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        if not request.url.path.startswith("/static/"):
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    @app.exception_handler(404)
    async def not_found(request: Request, fault: HTTPException) -> Response:
        heading = site.text(request)("Siden findes ikke")
        return site.page(request, "missing.html", {"heading": heading}, status=404)

    app.mount("/static", StaticFiles(directory=STATIC))
    app.include_router(live(site))
    app.include_router(pages(site))
    return app


class _Server(uvicorn.Server):
    """A server in a loop that is not its own: signals stay with whoever owns it."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


async def serve(app: FastAPI, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve until cancelled; `ready` gets the address once it answers. Port 0 takes a free one. Raises OSError."""
    with socket(AF_INET6 if ":" in host else AF_INET, SOCK_STREAM) as bound:
        bound.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        bound.bind((host, port))
        server = _Server(uvicorn.Config(app, log_level="error", access_log=False, lifespan="off", server_header=False))
        async with asyncio.TaskGroup() as group:
            task = group.create_task(server.serve(sockets=[bound]))
            try:
                await server.up.wait()
                ready(f"http://{host}:{bound.getsockname()[1]}/")
                await asyncio.shield(task)
            finally:  # streams of events never end by themselves
                server.should_exit = server.force_exit = True
