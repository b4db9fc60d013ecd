"""What can happen to a stay and its lane, by a name each, and one turn of it in a line: every field of every effect counts.

A lane begins with an admission at 08:00 whose letter has left. Each happening is one record, or one answer of the broker.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import Any, Final

import msgspec
import orjson

from streams.records.ledger import LedgerRow
from streams.records.trace import audit_event
from streams.relay.lane import Action, DeadLetter, Traced, next_due, tick
from streams.words.errors import Rejected
from streams.words.ids import MessageId
from streams.words.model import (
    Decision,
    LaneRecord,
    NetworkReceipt,
    NetworkReceiptArrived,
    Overdue,
    Receipt,
    ReceiptArrived,
    ReceiptIssue,
    StayEventArrived,
    Wake,
)
from tests.rules.lanes import DAY, MINUTE, Lane, context
from tests.rules.stay_events import event, transfer

__all__ = ["DELIVERY", "EVENTS", "HAPPENINGS", "LANE_RECORDS", "RARER", "begun", "happened"]

UNKNOWN: Final = MessageId("00c0ffee-0000-4000-8000-000000000000")
ISSUES: Final = (ReceiptIssue(severity="error", code="invalid", details_code="KOM", details_system="x", text="wrong"),)
PARTIES: Final = {
    "sender_sor": "900000000009001",
    "sender_gln": "5790000000005",
    "destination_sor": "900000000001001",
    "destination_gln": "5790000000005",
}


def begun(**more: Any) -> Lane:
    """A lane with one admission; `more` of its context."""
    return Lane(context(**more)).play("A01 08:00")


def _event(line: str, lane: Lane) -> Any:
    trigger, *more = line.split(" ", 1)
    return lane.event(" ".join((trigger, (lane.now + 9 * MINUTE).isoformat(), *more)))


def _answer(verdict: Any, lane: Lane, **more: Any) -> Any:
    return lane.answer(verdict, **more)


def _again(lane: Lane) -> Any:
    """The answer just taken, from another dispatch of the municipality: the same words."""
    receipt = Receipt(verdict="ok", message_id=lane.last.message_id, ack_envelope_id="b", origin="receipts.raw/0/900")
    sender = lane.last.address.receiver.gln
    return lane.take(ReceiptArrived(at=lane.now + MINUTE, receipt=msgspec.structs.replace(receipt, sender_gln=sender)))


def _late(lane: Lane, attempt: int = 0) -> Any:
    """A deadline that is not the current one; `attempt`: the attempt that it is of."""
    last = lane.last
    due = last.deadline or lane.now
    return lane.take(Overdue(at=due, message_id=last.message_id, attempt=last.attempt - attempt, deadline=due))


def _decided(action: Any, lane: Lane, **more: Any) -> Any:
    return lane.decide(action, **more)


def _case(lane: Lane) -> Any:
    """The case about the stay, where there is one."""
    cases = list(lane.row.cases) if lane.row else []
    words = {"action": "close-case", "actor": "operator", "reason": "asked", "id": "D9"}
    return lane.take(Decision(at=lane.now + MINUTE, message_id=MessageId(*cases[:1] or [UNKNOWN]), **words))


def _due(lane: Lane) -> Any:
    """The timer, for what is due next."""
    due = next_due(lane.row, lane.context.stay) or lane.now
    return lane.take(tick(lane.row, due, max(due, lane.now)))


HAPPENINGS: Final[dict[str, Callable[[Lane], Any]]] = {
    **{line: partial(_event, line) for line in ("A03", "A21", "A11", "A08 unit=SUR", "A08 patient=MAJA", "A31")},
    **{
        line: partial(_event, line) for line in ("A02 unit=FAR", "A22", "A13", "A03 patient=none", "A08 residence=0751")
    },
    "ok": partial(_answer, "ok"),
    "transient": partial(_answer, "transient-error"),
    "fatal": partial(_answer, "fatal-error", issues=ISSUES, nonconformant=("AV4",)),
    "ok once more": _again,
    "ok to the envelope": lambda lane: lane.answer(message_id=lane.last.attempts[-1].envelope_id),
    "ok to what it names beside": lambda lane: lane.answer(message_id="x", fallback_ids=(lane.last.message_id,)),
    "ok from another unit": lambda lane: lane.answer(transport_sender="5790000000999", sender_gln="5790000000999"),
    "bare ok from another unit": lambda lane: lane.answer(transport_id="", transport_sender="", sender_gln="9"),
    "ok posted elsewhere": lambda lane: lane.answer(posted_by="0751", transport_sender="9"),
    "ok posted by who is addressed": lambda lane: lane.answer(posted_by="0461"),
    "ok to none": lambda lane: lane.answer(message_id=UNKNOWN),
    "ok to none from a known unit": lambda lane: lane.answer("fatal-error", message_id=UNKNOWN, **PARTIES),
    "network +": lambda lane: lane.network(),
    "network -": lambda lane: lane.network(positive=False, description="no such receiver"),
    "network + old": lambda lane: lane.network(envelope=0),
    "network - old": lambda lane: lane.network(positive=False, envelope=0),
    "network to none": lambda lane: lane.network(original_transport_id="x"),
    "network posted elsewhere": lambda lane: lane.network(posted_by="0751"),
    "overdue": _late,
    "overdue of the one before": partial(_late, attempt=1),
    "due": _due,
    "five minutes": lambda lane: lane.wake(lane.now + 5 * MINUTE),
    "half an hour": lambda lane: lane.wake(lane.now + timedelta(minutes=30)),
    "31 days": lambda lane: lane.wake(lane.now + 31 * DAY),
    "401 days": lambda lane: lane.wake(lane.now + 401 * DAY),
    **{action: partial(_decided, action, id=f"D-{action}") for action in ("resend", "give-up", "send-anew")},
    "close-case": partial(_decided, "close-case", id="D-close", reason="delivered-otherwise"),
    "give-up without an id": partial(_decided, "give-up"),
    "resend of none": partial(_decided, "resend", message_id=UNKNOWN, id="D1"),
    "close of the stay": _case,
    "refused by the broker": lambda lane: lane.refuse(),
}

#: Those of answers, timers and decisions, one of each kind.
DELIVERY: Final = (
    *("ok", "transient", "fatal", "ok once more", "ok to the envelope", "ok from another unit", "ok to none"),
    *("network +", "network -", "network + old", "network - old", "overdue", "due", "half an hour", "31 days"),
    *("resend", "give-up", "send-anew", "close-case", "refused by the broker"),
)


def happened(lane: Lane, name: str) -> tuple[Lane, str]:
    """The lane after a happening, and what it led to."""
    mine = replace(lane, effects=[*lane.effects], results=[*lane.results])
    begin = len(mine.results)
    try:
        HAPPENINGS[name](mine)
    except Rejected as rejected:
        return lane, f"refused: {rejected} ({rejected.rule})"
    except IndexError:  # no message is left
        return lane, "nothing"
    effects = [one for turn in mine.results[begin:] for one in turn.effects]
    words = [_worded(one.action) for one in effects]
    whole = orjson.dumps([[one.after, *_whole(one.action)] for one in effects])
    row = b"" if mine.row is None else msgspec.json.encode(mine.row)
    return mine, f"{', '.join(words) or 'silent'} {sha256(whole + row).hexdigest()[:8]}"


def _worded(action: Action) -> str:
    """Kind and code of an effect, for who reads the answers."""
    match action:
        case LedgerRow():
            return f"{action.kind} {action.what} {action.delta:+d}"
        case Traced(step=step):
            return f"{step.subtype}/{step.outcome}"
        case DeadLetter(rejected=rejected):
            return f"dead letter ({rejected}, {rejected.rule})"
    return type(action).__name__.lower() + f" {getattr(action, 'word', '')}".rstrip()


def _whole(action: Action) -> Iterator[str]:
    """Every field of an effect."""
    if isinstance(action, Traced):
        yield orjson.dumps(audit_event(action.step)).decode()
    elif isinstance(action, DeadLetter):
        yield repr((str(action.rejected), action.rejected.rule, action.record))
    elif isinstance(action, LedgerRow):
        yield msgspec.json.encode(action).decode()
    else:
        yield repr([getattr(action, name) for name in action.__struct_fields__])


_AT: Final = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)
_LAST: Final = {"message_id": MessageId("00000000-0000-4000-8000-000000000001"), "at": _AT}
#: One of each kind, with a time in every place that takes one.
LANE_RECORDS: Final[dict[str, LaneRecord]] = {
    "event": StayEventArrived(
        at=_AT,
        event=msgspec.structs.replace(
            event("A01 08:00 start_time=07:30 end_time=09:00 death_time=09:00 occurred_again=08:00")[0],
            recorded=_AT,
            transfer=transfer(same_region=True),
        ),
    ),
    "receipt": ReceiptArrived(
        at=_AT,
        receipt=Receipt(
            verdict="fatal-error",
            message_id="00000000-0000-4000-8000-00000000000A",
            fallback_ids=("b",),
            issues=(ReceiptIssue(severity="error", code="invalid", text="wrong"),),
            nonconformant=("AV4",),
        ),
    ),
    "network receipt": NetworkReceiptArrived(
        at=_AT, receipt=NetworkReceipt(positive=False, original_transport_id="t", description="none")
    ),
    "overdue": Overdue(**_LAST, attempt=1, deadline=_AT),
    "wake": Wake(at=_AT, due=_AT),
    "decision": Decision(**_LAST, action="resend", actor="operator", reason="asked", id="D1"),
}

#: Events of a stay: one of each kind, and what decides about it.
EVENTS: Final = (
    *("A01", "A04", "A05", "A06", "A07", "A03", "A13", "A21", "A22", "A52", "A53", "A11", "A23", "A31"),
    *("A01 unit=SUR", "A01 dead=yes", "A02 unit=SUR", "A02 unit=NEAR", "A02 unit=FAR", "A12 unit=MED", "A06 unit=FAR"),
    *("A03 disposition=death", "A03 disposition=transfer-hospital", "A03 dead=yes death_time=08:30"),
    *("A08 start_time=07:30", "A08 end_time=09:30", "A08 dead=yes", "A08 unit=SUR a08_ward_is_correction=yes"),
    *("A08 class_=IMP a08_class_is_correction=yes", "A08 deleted=end_time", "A08 residence=0751", "A08 patient=MAJA"),
    *("A40 patient=MAJA", "A45 patient=MAJA", "A08 disposition=death", "A21 leave_home=no"),
)

#: What is reported less often: by feeds that leave things out, late, early, or of other persons and places.
RARER: Final = (
    *("A01 residence=none", "A08 residence=none", "A08 residence=none residence_problem=abroad"),
    *(
        "A01 residence=none residence_problem=no-municipality",
        "A01 patient=none",
        "A08 patient=none",
        "A31 patient=MAJA",
    ),
    *(
        "A03 disposition=hospice",
        "A03 residence=none",
        "A08 correction=yes unit=SUR",
        "A08 correction=yes start_time=07:30",
    ),
    *("A08 allow_person_change=no patient=MAJA", "A02 unit=NEAR prior_unit=MED", "A12 unit=MED prior_unit=SUR"),
    *("A04 planned=yes class_=OUTPATIENT", "A08 class_=OUTPATIENT", "A07 class_=OUTPATIENT", "A04 class_=OUTPATIENT"),
    *("A08 lpr3=urn:uuid:00000000-0000-5000-8000-000000000001", "A01 now=06:00", "A03 now=06:00", "A03 now=4/06:00"),
    *("A08 dead=yes death_time=12:30", "A31 dead=yes death_time=12:30", "A03 dead=yes death_time=12:30"),
    *("A08 start_time=12:30", "A08 end_time=12:30", "A06 now=06:00", "A12 unit=MED now=06:00", "A03 disposition=death"),
    *("A21 now=4/06:00", "A03 occurred_again=11:00", "A08 unit=none", "A02 unit=none", "A08 deleted=start_time,dead"),
)
