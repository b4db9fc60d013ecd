"""One lane: a stay and all its deliveries, folded record by record (design §3). The pure half of `agents/lanes.py`."""

from .alarms import Alarm, alarms
from .context import Context
from .effects import Dispatch, Effect, Result, Said, SetAside, Traced
from .fold import fold, refused
from .open_messages import OpenMessages
from .row import LaneRow, decode_row, encode_row, next_due, tick
from .standing import Standing

__all__ = [
    "Alarm",
    "Context",
    "Dispatch",
    "Effect",
    "LaneRow",
    "OpenMessages",
    "Result",
    "Said",
    "SetAside",
    "Standing",
    "Traced",
    "alarms",
    "decode_row",
    "encode_row",
    "fold",
    "next_due",
    "refused",
    "tick",
]
