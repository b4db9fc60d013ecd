"""A case about a stay: it was open, and nothing has been heard of it for 400 days (00 §2.7).

The stay itself is forgotten, person and chain with it; what stays is enough to ask the hospital whether the citizen has
gone home, and lies in the row until an operator closes it (`stafet close-case`), like the case of a message. Its id is
its own and begins with the lane, so that a decision finds it. It is heard of as every case is (`alarms`).
"""

from datetime import datetime

from msgspec.structs import replace

from streams.delivery.delivery import Case
from streams.stay.fold import Visit
from streams.stay.state import situation
from streams.words.errors import Rejected
from streams.words.ids import Ids
from streams.words.model import Decision

from .effects import Result
from .row import LaneRow, StayCase

__all__ = ["case_of", "close_stay_case"]


def case_of(visit: Visit, at: datetime, ids: Ids) -> tuple[str, StayCase]:
    """The id of the case and the case, of a visit that is given up at `at`."""
    sent = visit.stay.sent
    case = StayCase(
        visit=visit.id,
        feed=visit.feed,
        number=visit.number,
        kommunekode=sent[-1].to if sent else visit.residence,
        state=situation(visit.stay).value,
        case=Case(reason="abandoned", opened=at),
    )
    return ids.mint(visit.lane, "case", visit.id, at.isoformat()), case


def close_stay_case(row: LaneRow, record: Decision) -> Result:
    """The lane without the case that a decision names; raises `Rejected` when there is none."""
    if record.message_id not in row.cases:
        problem = "no message and no case of this lane has this id"
        raise Rejected("message_id", problem, "look it up in the ledger", "unknown")
    if record.action != "close-case":
        problem = "a case about a stay can only be closed"
        raise Rejected("action", problem, "Try: stafet close-case, once the hospital has answered", "not-allowed")
    return Result(replace(row, cases={key: case for key, case in row.cases.items() if key != record.message_id}))
