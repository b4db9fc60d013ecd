"""One lane: a stay and all its deliveries, folded record by record (design §3). The pure half of `agents/lanes.py`."""

from .fold import fold, refused
from .row import (
    ROW_UNREADABLE,
    Action,
    Alarm,
    Answered,
    Context,
    DeadLetter,
    Dispatch,
    Effect,
    LaneRow,
    LaneTurn,
    Traced,
    decode_row,
    encode_row,
    next_due,
    tick,
    unreadable_row,
)

__all__ = [
    "ROW_UNREADABLE",
    "Action",
    "Alarm",
    "Answered",
    "Context",
    "DeadLetter",
    "Dispatch",
    "Effect",
    "LaneRow",
    "LaneTurn",
    "Traced",
    "decode_row",
    "encode_row",
    "fold",
    "next_due",
    "refused",
    "tick",
    "unreadable_row",
]
