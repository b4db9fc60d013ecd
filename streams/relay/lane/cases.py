"""What an operator decides about a message or a silent stay (02 §5.8, 00 §3.5).

A decision is resend, give up, close the case, or reissue (`send-anew`): a new message of the notification that no
municipality has. The old message was given up, could not be delivered or was refused, so it is never sent again. The
new one has the same content under a new MessageHeader.id, takes the old one's place in the chain of its stay
(`stay/reissue`), and is routed as of now: a wrong address may be the reason for all of it. It is counted as one
notification more of the event behind the old one. The content lies in the old message until its case is closed, and
this closes it.

The message that began a stay is not reissued once a later one of its chain has been received or may be: it has no
chain that would show a receiver that it is the older one, and a start replaces what is known (spec 01, 19.9). A citizen
who has gone home would be shown as admitted. All of this: docs/decisions/0015.
"""

from typing import Final

from msgspec.structs import replace

from streams.delivery.delivery import Delivery, resend_signal
from streams.delivery.rules import RENEWABLE, TRANSITIONS, Emission, Signal
from streams.records.ledger import decision_row, reissue_row
from streams.relay.bounds import cut
from streams.stay.notify import followers, reissue_alone, reissue_in_stay
from streams.words.errors import Rejected
from streams.words.ids import minted_lane
from streams.words.model import Decision, Notification, Outcome

from .letters import remembered
from .perform import signalled
from .post import post, send_pending_first
from .row import Context, Effect, LaneRow, Turn, is_unchanged, message_of

_REFUSALS: Final = frozenset({Emission.REFUSE_RESEND, Emission.REFUSE_GIVE_UP})
_LOOK: Final = "look the message up in the ledger"


def take_decision(row: LaneRow, record: Decision, context: Context) -> Turn:
    """An operator's decision; raises `Rejected` for one that the state does not allow, so that the operator learns of it.

    One that was taken before is our own step repeated: it changes nothing and is recorded once.
    """
    if record.id and record.id in row.settled:
        return row, ()
    delivery = row.deliveries.get(record.message_id)
    effects: tuple[Effect, ...] = ()
    if delivery is None:
        after = _close_stay_case(row, record)
    elif record.action == "close-case":
        if delivery.case is None or delivery.case.closed is not None:
            raise Rejected("action", "there is no open case", "look it up in the ledger", "no-case")
        case = replace(delivery.case, closed=record.at, closing=cut(record.reason))
        after = row.with_deliveries(replace(delivery, case=case, content=None))
    elif record.action == "send-anew":
        reissued = _reissue(row, delivery, record, context)
        after, effects = send_pending_first(row, reissued, record.at, context)
    else:
        signal = resend_signal(delivery) if record.action == "resend" else Signal.OP_GIVE_UP
        if _REFUSALS & {*TRANSITIONS[delivery.state, signal].emits}:
            problem = (
                f"a message in state {delivery.state} with {delivery.attempt} attempts does not allow it (02 §5.4)"
            )
            raise Rejected("action", problem, "look it up in the ledger", "not-allowed")
        if signal is Signal.OP_RESEND and not is_unchanged(row, delivery):
            problem = "the message would be written otherwise today, and a resend is unchanged (02 §5.5)"
            raise Rejected("action", problem, "give it up, then send-anew", "content-changed")
        performed = signalled(row, delivery, signal, record.at, context)
        after, effects = row.with_deliveries(performed.delivery), performed.effects
    if not record.id:
        return after, effects
    met, lane = ("", minted_lane(record.message_id)) if delivery is None else (delivery.state, delivery.lane)
    taken = Effect(decision_row(record, str(lane or ""), met))
    return after.settle(record.id), (*effects, taken)


def _close_stay_case(row: LaneRow, record: Decision) -> LaneRow:
    """The lane without the case about a stay that a decision names."""
    if record.message_id not in row.cases:
        problem = "no message and no case of this lane has this id"
        raise Rejected("message_id", problem, "look it up in the ledger", "unknown")
    if record.action != "close-case":
        problem = "a case about a stay can only be closed"
        raise Rejected("action", problem, "Try: stafet close-case, once the hospital has answered", "not-allowed")
    return replace(row, cases={key: case for key, case in row.cases.items() if key != record.message_id})


def _reissue(row: LaneRow, old: Delivery, record: Decision, context: Context) -> Turn:
    """The lane with a new message of the same notification on its way; raises `Rejected` when the old one forbids it."""
    at = record.at
    content = _reissuable(row, old)
    visit = row.visits.get(old.visit)
    if visit is not None and (
        found := reissue_in_stay(visit, old.message_id, at=at, ids=context.ids, ordinal=row.ordinal)
    ):
        visit, chain = found
        row = replace(row, visits=row.visits | {visit.id: visit})
    else:
        chain = reissue_alone(
            content.chain, lane=old.lane, visit=old.visit, at=at, ids=context.ids, ordinal=row.ordinal
        )
    notification = replace(content, message_id=chain[-1].message_id, assembled=chain[-1].occurred, chain=chain)
    if (known := row.sent_as.get(old.message_id)) is not None and known.says is not None:  # it says that once more
        row = replace(row, sent_as=remembered(row.sent_as, notification.message_id, known))
    posted = post(row, notification, at, context)
    if isinstance(posted, Outcome):
        raise Rejected(posted.path or "action", posted.problem or "it cannot leave", posted.remedy, posted.reason)
    row, letters = posted
    new = replace(row.deliveries[notification.message_id], replaces=old.message_id)
    case = old.case and replace(old.case, closed=at, closing=f"replaced-by {new.message_id}")
    old = replace(old, replaced_by=new.message_id, case=case, content=None)
    row = replace(row.with_deliveries(old, new), ordinal=row.ordinal + 1)
    counted = Effect(reissue_row(at, old.event_id, new.message_id, old.lane))
    return row, (counted, *letters)


def _reissuable(row: LaneRow, old: Delivery) -> Notification:
    """The notification of a message that may be reissued; raises `Rejected` for every other."""
    if old.replaced_by:
        problem = f"the message has been sent anew already, as {old.replaced_by}"
        raise Rejected("message_id", problem, "decide about that one", "replaced")
    if old.state not in RENEWABLE:
        problem = f"a message in state {old.state} is not sent anew (00 §3.5)"
        remedy = f"wait until it is {', '.join(sorted(RENEWABLE))}; {_LOOK}"
        raise Rejected("action", problem, remedy, "not-allowed")
    if old.content is None:
        problem = "the case of the message is closed, and what it said has gone with it"
        raise Rejected("action", problem, "have the hospital send the event again, with a new MSH-10", "no-case")
    content = message_of(row, old)
    if not isinstance(content, Notification):
        problem = "only the author of the message can write it again"
        raise Rejected("action", problem, "ask the author for a new message", "not-allowed")
    content = replace(content, ordinal=row.ordinal)
    if content.chain[-1].role:
        return content
    # It began the stay. The municipality must have none of the later ones: they are reissued themselves, after it.
    visit = row.visits.get(old.visit)
    later = None if visit is None else followers(visit, old.message_id)
    after = [row.deliveries.get(message) for message in later or ()]
    if later is None or not all(one is not None and one.state in RENEWABLE for one in after):
        problem = "the stay that the message began has gone on, and a later message of it has arrived or may arrive"
        remedy = (
            "close the case as delivered-otherwise; a start that comes last would be taken for a new one (01, 19.9)"
        )
        raise Rejected("action", problem, remedy, "overtaken")
    return content
