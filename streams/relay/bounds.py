"""How much of others' texts is remembered (spec 02 §4.3), and which times are times of this world.

A row has a limit of its own (00 §4.2), and what fills it takes it from the next event of the stay: texts of others are
cut where they enter. Their ids are longer than any of ours where they are cut, so a cut id matches nothing that it did not
match whole.
"""

import re
from datetime import datetime
from typing import Final, TypeVar

from msgspec.structs import replace

from streams.words.errors import Rejected
from streams.words.model import (
    LaneRecord,
    NetworkReceipt,
    Overdue,
    Receipt,
    ReceiptArrived,
    ReceiptIssue,
    StayEventArrived,
    Wake,
)

#: Characters of one text of others, and issues of one receipt, that are kept (02 §4.3).
TEXT: Final = 2000
ISSUES: Final = 20
#: Receipts of a lane that wait for their message (02 §5.6).
ORPHANS: Final = 16
#: Characters of an id, a number or a code of others: ours have 44 at most.
_ID: Final = 256

_LANE: Final = re.compile(r"[0-9a-f]{8}")

_R = TypeVar("_R", Receipt, NetworkReceipt)

#: Beyond these years sums of times leave the range of Python; nothing that is relayed lies there.
_YEARS: Final = range(1900, 2200)


def cut(text: str, length: int = TEXT) -> str:
    """The text, or its beginning with an ellipsis."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def bounded(receipt: _R) -> _R:
    """The receipt as it may enter a row: itself when nothing in it is too long."""
    changes: dict[str, object] = {}
    for field in receipt.__struct_fields__:
        value = getattr(receipt, field)
        if isinstance(value, str) and len(value) > _ID:
            changes[field] = cut(value, TEXT if field == "description" else _ID)
        elif isinstance(value, tuple) and value:
            short = tuple(cut(each, _ID) if isinstance(each, str) else _bounded(each) for each in value[:ISSUES])
            if short != value:
                changes[field] = short
    return replace(receipt, **changes) if changes else receipt


def _bounded(part: ReceiptIssue) -> ReceiptIssue:
    return ReceiptIssue(
        severity=cut(part.severity, _ID),
        code=cut(part.code, _ID),
        details_code=cut(part.details_code, _ID),
        details_system=cut(part.details_system, _ID),
        text=cut(part.text),
    )


def check_lane_record(record: LaneRecord) -> None:
    """Raises `Rejected` for a time without its zone or of no year that a stay can be in, and for a lane that is none."""
    times: list[tuple[str, datetime | None]] = [("$.at", record.at)]
    match record:
        case StayEventArrived(event=event):
            if not _LANE.fullmatch(event.lane):
                raise Rejected("$.event.lane", "no lane", "send eight hex digits", "unreadable")
            times += [
                ("$.event.occurred", event.occurred),
                ("$.event.occurred_again", event.occurred_again),
                ("$.event.recorded", event.recorded),
                ("$.event.snapshot.start_time", event.snapshot.start_time),
                ("$.event.snapshot.end_time", event.snapshot.end_time),
                ("$.event.snapshot.death_time", event.snapshot.death_time),
            ]
            for prior in event.prior.notices if event.prior is not None else ():
                times += [("$.event.prior.notices.time", prior.time), ("$.event.prior.notices.sent", prior.sent)]
        case ReceiptArrived(receipt=receipt):
            times.append(("$.receipt.asked", receipt.asked))
        case Overdue():
            times.append(("$.deadline", record.deadline))
        case Wake():
            times.append(("$.due", record.due))
    for path, at in times:
        if at is not None and (at.tzinfo is None or at.year not in _YEARS):
            problem = "a time without its zone" if at.tzinfo is None else "a time of no year that a stay can be in"
            remedy = f"send date, time and zone, of the years {_YEARS.start} to {_YEARS.stop - 1}"
            raise Rejected(path, problem, remedy, "out-of-range")
