"""The observer's web application: what every answer carries, and what stands at which address.

No page takes anything from outside or has script or style within it, so the policy of contents is the strictest there
is. Not here: who may what; the pages (`pages.py`).
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from socket import AF_INET, AF_INET6, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET, socket
from typing import Final

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from .api import api, problem
from .fhir import fhir
from .filters import BadField
from .live import live
from .pages import pages
from .site import STATIC, Site

#: Addresses for programs: errors are no pages.
_PROGRAMS: Final = ("/api/", "/fhir/", "/events")
#: Names by which a machine reaches itself; a page of another site that had its name lead here would use its own.
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
_PORT: Final = re.compile(r":[0-9]*$", re.ASCII)
#: On every answer.
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def create_app(site: Site, hosts: frozenset[str] = frozenset()) -> FastAPI:
    """The application over a site. `hosts`: names it answers to, without port; empty: any.

    Nothing is taken from a page of another site, whatever it may look at (`Sec-Fetch-Site`, `Origin`).
    """
    app = FastAPI(title="Stafet observer", docs_url=None, redoc_url=None)

    @app.middleware("http")
    async def add_headers(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        refused = _refusal(request, hosts)
        response = await answer(request) if refused is None else refused
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        if not request.url.path.startswith("/static/"):
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    @app.exception_handler(HTTPException)
    async def refused(request: Request, fault: HTTPException) -> Response:
        if fault.status_code != 404 or request.url.path.startswith(_PROGRAMS):
            answer = problem(fault.status_code, fault.detail, f"{request.method}: {fault.detail}.")
            answer.headers.update(fault.headers or {})
            return answer
        heading = site.text(request)("Siden findes ikke")
        return site.page(request, "missing.html", {"heading": heading}, status=404)

    @app.exception_handler(BadField)
    async def unreadable(request: Request, fault: BadField) -> Response:
        return problem(400, "A field cannot be read", str(fault))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, fault: RequestValidationError) -> Response:
        first = fault.errors()[0]
        return problem(400, "A field cannot be read", f"{first['loc'][-1]}: {first['msg']}.")

    app.mount("/static", StaticFiles(directory=STATIC))
    app.include_router(api(site))
    app.include_router(fhir(site))
    app.include_router(live(site))
    app.include_router(pages(site))
    return app


def _refusal(request: Request, hosts: frozenset[str]) -> Response | None:
    """The answer to a request that is for no page at all; None lets it through."""
    given = request.headers
    host = given.get("host", "")
    if hosts and _PORT.sub("", host.lower()) not in hosts:
        return problem(421, "Misdirected request", f"Host: this observer answers to {', '.join(sorted(hosts))}.")
    if "\0" in request.scope["path"] or b"%00" in request.scope["query_string"]:  # PostgreSQL takes none
        return problem(400, "Bad request", "NUL in the address.")
    foreign = given.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")
    other = given.get("origin", f"http://{host}").partition("://")[2] != host
    if request.method not in ("GET", "HEAD") and (foreign or other):
        return problem(403, "Forbidden", "Origin: sent by a page of another site.")
    return None


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
                await asyncio.wait([task])  # cancelled, it would leave the loop listening to a socket that is closed
