"""An operator's `send-anew`: a new message of the notification that no municipality has (00 §3.5; 02 §5.5, last column).

The old message was given up, could not be delivered or was refused, so it is never sent again. The new one says the same
under a new MessageHeader.id, takes the old one's place in the chain of its stay (`stay/reissue`), and is routed as of now:
a wrong address may be the reason for all of it. It is counted as one notification more of the event behind the old one.
What was said lies in the old message until its case is closed, and this closes it.

The message that began a stay is not sent anew once a later one of its chain has been received or may be: it has no
chain that would show a receiver that it is the older one, and a start replaces what is known (spec 01, 19.9). A citizen
who has gone home would be shown as admitted. All of this: docs/decisions/0015.
"""

from datetime import datetime
from typing import Final

from msgspec.structs import replace

from streams.delivery.delivery import Delivery
from streams.delivery.rules import RENEWABLE
from streams.messages.hospitalnotification import reread
from streams.records.ledger import reissue_row
from streams.stay.reissue import followers, reissue_alone, reissue_in_stay
from streams.words.errors import Rejected
from streams.words.model import Decision, Link, Notification, Outcome

from .context import Context
from .effects import Result, Said
from .post import concerns, post, stored
from .row import LaneRow

__all__ = ["take_send_anew"]

_LOOK: Final = "look the message up in the ledger"


def take_send_anew(row: LaneRow, old: Delivery, record: Decision, context: Context) -> Result:
    """The lane with the new message on its way; raises `Rejected` when the old one is none to be sent anew."""
    _check(old)
    at = record.at
    said = _said(row, old)
    _check_start(row, old, said)
    row, chain = _chain(row, old, said, at, context)
    notification = replace(said, message_id=chain[-1].message_id, assembled=chain[-1].occurred, chain=chain)
    posted = post(notification, at, context, concerns=concerns(row.deliveries, notification))
    if isinstance(posted, Outcome):
        raise Rejected(posted.path or "action", posted.problem or "it cannot leave", posted.remedy, posted.reason)
    new = replace(posted.delivery, replaces=old.message_id)
    deliveries = row.deliveries | {old.message_id: _replaced(old, new, at), new.message_id: new}
    counted = Said(reissue_row(at, old.event_id, new.message_id, old.lane))
    return Result(replace(row, deliveries=deliveries, ordinal=row.ordinal + 1), (counted, *posted.said))


def _check(old: Delivery) -> None:
    if old.replaced_by:
        problem = f"the message has been sent anew already, as {old.replaced_by}"
        raise Rejected("message_id", problem, "decide about that one", "replaced")
    if old.state not in RENEWABLE:
        problem = f"a message in state {old.state} is not sent anew (00 §3.5)"
        remedy = f"wait until it is {', '.join(sorted(RENEWABLE))}; {_LOOK}"
        raise Rejected("action", problem, remedy, "not-allowed")
    if not old.content:
        problem = "the case of the message is closed, and what it said has gone with it"
        raise Rejected("action", problem, "have the hospital send the event again, with a new MSH-10", "no-case")


def _said(row: LaneRow, old: Delivery) -> Notification:
    return reread(
        stored(old),
        notice=old.notice,
        lane=old.lane,
        visit=old.visit,
        ordinal=row.ordinal,
        event_id=old.event_id,
        to=old.address.kommunekode,
    )


def _check_start(row: LaneRow, old: Delivery, said: Notification) -> None:
    if said.chain[-1].role:
        return
    visit = row.visits.get(old.visit)
    later = None if visit is None else followers(visit, old.message_id)
    settled = later is not None and all(_is_unknown(row.deliveries.get(message)) for message in later)
    if not settled:
        problem = "the stay that the message began has gone on, and a later message of it has arrived or may arrive"
        remedy = (
            "close the case as delivered-otherwise; a start that comes last would be taken for a new one (01, 19.9)"
        )
        raise Rejected("action", problem, remedy, "overtaken")


def _is_unknown(later: Delivery | None) -> bool:
    """Whether the municipality has not got it: it is to be sent anew itself, after the start."""
    return later is not None and later.state in RENEWABLE


def _chain(
    row: LaneRow, old: Delivery, said: Notification, at: datetime, context: Context
) -> tuple[LaneRow, tuple[Link, ...]]:
    """The row with the message's place in its stay taken, and the chain of the new one."""
    visit = row.visits.get(old.visit)
    found = visit and reissue_in_stay(visit, old.message_id, at=at, ids=context.ids, ordinal=row.ordinal)
    if not found:
        lone = reissue_alone(said.chain, lane=old.lane, visit=old.visit, at=at, ids=context.ids, ordinal=row.ordinal)
        return row, lone
    after, chain = found
    return replace(row, visits=row.visits | {after.id: after}), chain


def _replaced(old: Delivery, new: Delivery, at: datetime) -> Delivery:
    case = old.case and replace(old.case, closed=at, closing=f"replaced-by {new.message_id}")
    return replace(old, replaced_by=new.message_id, case=case, content=b"")
