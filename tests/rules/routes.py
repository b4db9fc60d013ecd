"""Routes asked for a notice alone: what the route needs to know of a message, and nothing else."""

from datetime import datetime
from typing import NamedTuple

from streams.delivery.route import RouteRegisters, route
from streams.words.codes import HOSPITAL_NOTIFICATION, Notice
from streams.words.ids import Kommunekode
from streams.words.model import Address, Outcome

__all__ = ["route_notice"]


class _Outgoing(NamedTuple):
    to: Kommunekode
    label: str
    class_: str
    follows: bool
    message_type: str = HOSPITAL_NOTIFICATION


def route_notice(
    to: Kommunekode, notice: Notice, class_: str, at: datetime, registers: RouteRegisters, *, concerns: str = ""
) -> Address | Outcome:
    """The route of a notice about a stay of this class."""
    follows = notice.is_correction or notice.is_cancellation
    return route(_Outgoing(to, notice, class_, follows), at, registers, concerns=concerns)
