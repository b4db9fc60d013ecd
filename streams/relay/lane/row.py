"""The row of a lane: its visits, its deliveries, receipts that wait for their message; and when it wants to be woken.

One value, so that no crash can leave a notified stay without its timer (design §3). On the table it is MessagePack:
contents are bytes, and half a row would be base64 in JSON.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

import msgspec

from streams.delivery.delivery import Case, Delivery
from streams.stay.fold import StayPolicy, Visit
from streams.words.errors import Rejected
from streams.words.ids import EpisodeId, Kommunekode, MessageId
from streams.words.model import Overdue, Receipt, Value, Wake

__all__ = [
    "ROW_UNREADABLE",
    "LaneRow",
    "Orphan",
    "StayCase",
    "decode_row",
    "encode_row",
    "next_due",
    "tick",
    "unreadable_row",
]


class Orphan(Value, frozen=True, kw_only=True):
    """A receipt whose message is not known (yet): looked at again at `due` (02 §5.6)."""

    receipt: Receipt
    arrived: datetime
    due: datetime


class StayCase(Value, frozen=True, kw_only=True):
    """A stay that was open and has been silent too long (00 §2.7): what is needed to ask the hospital, and no person."""

    visit: EpisodeId
    feed: str
    number: str  # PV1-19.1: what the hospital calls the visit
    kommunekode: Kommunekode | None  # who was told last, or would be
    state: str  # what the municipality believes: `admitted`, `leave`, or `untold`
    case: Case


class LaneRow(Value, frozen=True, kw_only=True):
    """`ordinal` counts the messages that the lane has sent: the next one takes it."""

    ordinal: int = 0
    visits: dict[EpisodeId, Visit] = msgspec.field(default_factory=dict)
    deliveries: dict[MessageId, Delivery] = msgspec.field(default_factory=dict)
    orphans: tuple[Orphan, ...] = ()
    cases: dict[str, StayCase] = msgspec.field(default_factory=dict)  # by an id of their own, until they are closed
    settled: tuple[str, ...] = ()  # receipts that found no delivery, decisions: not taken twice

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to remember."""
        return not (self.visits or self.deliveries or self.orphans or self.cases)

    @property
    def open_stays(self) -> int:
        """Stays that are not over: their ids must not change (00 §1.5)."""
        return sum(visit.ended is None for visit in self.visits.values())


#: Reason code of a record that met a row which cannot be read.
ROW_UNREADABLE: Final = "row-unreadable"

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(LaneRow).decode


def encode_row(row: LaneRow) -> bytes:
    """The row as it lies in the table."""
    return _encode(row)


def decode_row(data: bytes | None) -> LaneRow | None:
    """The row of a lane; None when it has none. Raises `Rejected` for bytes that are none of ours."""
    if data is None:
        return None
    try:
        return _decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        raise unreadable_row(len(data)) from None


def unreadable_row(size: int) -> Rejected:
    """What every record about a row that cannot be read is set aside with: nothing begins as if it had never been."""
    problem = f"the state of this key is {size} bytes that are none of ours"
    remedy = (
        "bring back its last good record in the changelog, restart, then send this one again with `quarantine redrive`"
    )
    return Rejected("row", problem, remedy, ROW_UNREADABLE)


def _dues(row: LaneRow, policy: StayPolicy) -> Iterator[datetime]:
    for visit in row.visits.values():
        yield from (held.due for held in visit.held)
        if visit.held:
            continue  # what waits is told before anything is forgotten
        if visit.ended is not None:
            yield visit.ended + policy.keep_ended
        elif visit.touched is not None:
            yield visit.touched + policy.keep_silent
    for delivery in row.deliveries.values():
        if delivery.due is not None:
            yield delivery.due
        elif delivery.forgotten is not None:
            yield delivery.forgotten
    yield from (orphan.due for orphan in row.orphans)


def next_due(row: LaneRow | None, policy: StayPolicy) -> datetime | None:
    """When something in the lane is next due: a receipt, a held event, a hand-over, a farewell.

    Folding the wake at that time must leave nothing due then, or the timer would never come to rest.
    """
    return None if row is None else min(_dues(row, policy), default=None)


def tick(row: LaneRow | None, due: datetime, now: datetime) -> Overdue | Wake:
    """The record for what is due in the lane at `due` (design §3): a late receipt by name, anything else as a wake."""
    for delivery in row.deliveries.values() if row is not None else ():
        if delivery.retry is None and delivery.deadline is not None and delivery.deadline <= due:
            return Overdue(at=now, message_id=delivery.message_id, attempt=delivery.attempt, deadline=delivery.deadline)
    return Wake(at=now, due=due)
