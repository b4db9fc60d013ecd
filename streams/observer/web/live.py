"""`/events`: a server-sent event each time the read model has moved on. What a page then shows it asks for itself.

An event says that something has changed and nothing else, so that nobody learns here what they may not see.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from sqlalchemy import func, select

from streams.observer.model import schema

from .site import Site

_LOOK: Final = 1.0  # seconds between two looks
_QUIET: Final = 15  # looks without a change until a comment keeps the connection open


def live(site: Site) -> APIRouter:
    """The stream of changes."""
    router = APIRouter(include_in_schema=False)

    def standing() -> str:
        of = schema.positions.c
        with site.engine.connect() as c:
            return str(c.execute(select(func.sum(of.next_offset))).scalar() or 0)

    async def changes(request: Request) -> AsyncIterator[str]:
        seen, quiet = request.headers.get("last-event-id", ""), 0
        while not await request.is_disconnected():
            stands = await asyncio.to_thread(standing)
            if stands != seen:
                seen, quiet = stands, 0
                yield f"id: {stands}\nevent: changed\ndata: {stands}\n\n"
            elif quiet >= _QUIET:
                quiet = 0
                yield ": quiet\n\n"
            quiet += 1
            await asyncio.sleep(_LOOK)

    @router.get("/events")
    async def events(request: Request) -> StreamingResponse:
        return StreamingResponse(
            changes(request), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    return router
