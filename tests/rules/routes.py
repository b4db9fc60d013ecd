"""Routes asked for a notice alone: what the route needs to know of a message, and nothing else."""

from datetime import datetime

from msgspec.structs import replace

from streams.delivery.route import RouteRegisters, route
from streams.words.codes import Notice
from streams.words.ids import Kommunekode
from streams.words.model import Address, Outcome
from tests.meanings.notifications import notification

__all__ = ["route_notice"]


def route_notice(
    to: Kommunekode, notice: Notice, class_: str, at: datetime, registers: RouteRegisters, *, concerns: str = ""
) -> Address | Outcome:
    """The route of a notice about a stay of this class."""
    asked = replace(notification(Notice.STIN), to=to, notice=notice, class_=class_)  # type: ignore[arg-type]
    return route(asked.outgoing, at, registers, concerns=concerns)
