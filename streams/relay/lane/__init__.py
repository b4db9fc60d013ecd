"""One lane: a stay and all its deliveries, folded record by record (design §3). The pure half of `agents/lanes.py`."""

from .alarms import Alarm, alarms
from .context import Context
from .effects import Dispatch, Effect, Result, Said, SetAside, Traced
from .fold import fold, refused
from .open_messages import OpenMessages
from .row import ROW_UNREADABLE, LaneRow, decode_row, encode_row, next_due, tick, unreadable_row
from .standing import Standing

__all__ = [
    "ROW_UNREADABLE",
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
    "unreadable_row",
]
