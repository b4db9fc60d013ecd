"""What follows from the steps of one message, one receipt or one event. Pure, and whatever order they were read in.

A shipment is computed whole from its steps each time one is added. Its status is the state of the ledger's newest row about
it, as a word of 06 §3.3 by the table of 00 §5: nothing is delivered because a broker took it. A deadline is the last
hand-over and the wait that the registers give; none runs once the wait is over (02 §5.3). A case opens with a final
state without a good verdict and closes with a late good one, or when the lane takes a decision about a settled
message (02 §5.8): close-case and send-anew are the only ones it takes there.

Counts are derived from shipments: what a shipment counts for is computed before and after a change (`counted`).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import sha256
from typing import Final, NamedTuple

import msgspec

from streams.records.ledger import WAITING_FOR_RECHECK, LedgerRow
from streams.words.codes import HOSPITAL_NOTIFICATION

from .steps import HospitalEvent, ReceivedAnswer, StatusEvent, Step

#: State of 02 §5.2 -> word of 06 §3.3 (00 §5). SENT and NETWORK_OK of a later attempt are `resent`.
STATUS: Final = {
    "CREATED": "created",
    "SENT": "sent",
    "NETWORK_OK": "sent",
    "TRANSIENT": "transient",
    "TIMED_OUT": "overdue",
    "ACKED_OK": "delivered",
    "ACKED_FATAL": "rejected",
    "UNDELIVERABLE": "undeliverable",
    "GIVEN_UP": "given_up",
    "SENT_UNCONFIRMED": "sent-without-receipt",
}
OPEN: Final = ("created", "sent", "resent", "transient", "overdue")
FINAL: Final = ("delivered", "rejected", "undeliverable", "given_up", "sent-without-receipt")
#: Handed over and not answered: those for which a deadline runs.
AWAITING: Final = ("sent", "resent", "transient")

_CASES: Final = {"UNDELIVERABLE": "undeliverable", "ACKED_FATAL": "fatal"}
_ENVELOPES: Final = {"Bundle": "fhir", "Emessage": "oioxml", "Interchange": "edifact"}

#: Upper bounds of the classes of time to receipt, in seconds; the last class has none.
SLOTS: Final = (1, 2, 5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 86400)

#: How long a municipality has to answer in a format (05 §6.5).
WaitOf = Callable[[str, str], timedelta]
#: Hospital (SOR code, name) and department of a unit's SOR code, by the location register; None: unknown there.
PlaceOf = Callable[[str], tuple[str, str, str] | None]


class Shipment(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `shipments`."""

    message_id: str
    status: str
    is_open: bool
    late: bool
    kommunekode: str
    notice: str
    message_type: str
    format: str
    hospital_sor: str
    hospital_name: str
    department: str
    receiver_sor: str
    receiver_name: str
    lane: str
    feed: str
    event_id: str
    person: str
    stay: str
    event_time: datetime | None
    registered: datetime | None
    received: datetime | None
    created: datetime
    sent: datetime | None
    last_sent: datetime | None
    deadline: datetime | None
    settled: datetime | None
    acknowledged: datetime | None
    attempts: int
    verdict: str
    reason: str
    case_state: str
    case_reason: str
    case_opened: datetime | None


class ReceivedReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `receipts`."""

    origin: str
    at: datetime
    class_: str
    verdict: str
    message_id: str
    kommunekode: str
    reason: str


class Fate(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `events`: what became of one record of a source topic, or of one stay event."""

    id: str
    level: str
    at: datetime
    fate: str
    reason: str
    parts: int
    notifications: int
    feed: str


_row: Final = msgspec.json.Decoder(LedgerRow).decode
_status: Final = msgspec.json.Decoder(StatusEvent).decode
_hospital: Final = msgspec.json.Decoder(HospitalEvent).decode
_answer: Final = msgspec.json.Decoder(ReceivedAnswer).decode


class Steps:
    """Steps by what they are, each kind in the order of what happened."""

    def __init__(self, steps: Iterable[Step]) -> None:
        rows: dict[str, list[LedgerRow]] = {}
        self.traced: list[StatusEvent] = []
        self.hospital: list[HospitalEvent] = []
        self.answers: dict[str, ReceivedAnswer] = {}  # by the origin of the receipt
        for step in sorted(steps, key=lambda step: (step.at, step.id)):
            if step.source == "ledger":
                rows.setdefault(step.kind, []).append(_row(step.body))
            elif step.source == "trace":
                self.traced.append(_status(step.body))
            elif step.kind == "receipt":
                self.answers[step.event_id] = _answer(step.body)
            else:
                self.hospital.append(_hospital(step.body))
        self.changes = sorted(rows.get("message", ()), key=lambda row: row.ordinal)
        self.receipts = rows.get("receipt", [])
        self.decisions = [row for row in rows.get("decision", ()) if row.what == "taken"]
        self.fates = rows.get("stay-event", [])
        self.conversions = rows.get("conversion", [])
        self.records = rows.get("event", [])

    @cached_property
    def handed_over(self) -> list[LedgerRow]:
        """The rows of the hand-overs: each attempt enters its state once."""
        return [row for row in self.changes if row.what in ("SENT", "SENT_UNCONFIRMED") and row.delta >= 0]


def shipment(message_id: str, of: Steps, *, wait_of: WaitOf, place_of: PlaceOf) -> Shipment | None:
    """The shipment of a message, from every step of it and of the event behind it; None while it is not known."""
    if not of.changes:
        return None
    newest = of.changes[-1]
    created = next((event for event in of.traced if event.subtype == "msg-created"), None) or StatusEvent(
        id="", subtype="", recorded=newest.at
    )
    hospital = of.hospital[0] if of.hospital else None
    status = _word(newest)
    place = _place(hospital, created, place_of)
    format_ = of.conversions[0].what if of.conversions else _ENVELOPES.get(created.envelope, "")
    verdicts = [row for row in of.changes if row.what in ("ACKED_OK", "ACKED_FATAL") and row.delta > 0]
    finals = [row for row in of.changes if STATUS.get(row.what) in FINAL and row.delta > 0]
    last_sent = of.handed_over[-1].at if of.handed_over else None
    kommunekode = newest.kommunekode[:4]
    case_state, case_reason, case_opened = _case(of)
    return Shipment(
        message_id=message_id,
        status=status,
        is_open=status in OPEN,
        late=any(row.late for row in of.changes),
        kommunekode=kommunekode,
        notice=newest.notice[:30],
        message_type=(newest.message_type if isinstance(newest.message_type, str) else HOSPITAL_NOTIFICATION)[:60],
        format=format_[:20],
        hospital_sor=place[0],
        hospital_name=place[1],
        department=place[2],
        receiver_sor=created.receiver.sor,
        receiver_name=created.receiver.name,
        lane=newest.lane[:8],
        feed=hospital.feed if hospital else "",
        event_id=newest.event[:80],
        person=created.person or (hospital.person if hospital else ""),
        stay=hospital.stay if hospital else "",
        event_time=hospital.occurred if hospital else None,
        registered=hospital.registered if hospital else None,
        received=hospital.received if hospital else None,
        created=of.changes[0].at,
        sent=of.handed_over[0].at if of.handed_over else None,
        last_sent=last_sent,
        deadline=last_sent + wait_of(kommunekode, format_) if last_sent and status in AWAITING else None,
        settled=finals[0].at if finals else None,
        acknowledged=verdicts[0].at if verdicts else None,
        attempts=max((row.attempt for row in of.handed_over), default=0),
        verdict=newest.verdict[:20],
        reason=_reason(of, status),
        case_state=case_state,
        case_reason=case_reason,
        case_opened=case_opened,
    )


def _word(row: LedgerRow) -> str:
    if row.what in ("SENT", "NETWORK_OK") and row.attempt > 1:
        return "resent"
    return STATUS.get(row.what, row.what.lower()[:30])


def _place(hospital: HospitalEvent | None, created: StatusEvent, place_of: PlaceOf) -> tuple[str, str, str]:
    """Hospital and department: as the event names them, else of the sender by the register, else the sender itself."""
    if hospital is not None and hospital.hospital_sor:
        return hospital.hospital_sor, hospital.hospital_name, hospital.department
    sender = created.sender
    return place_of(sender.sor) or (sender.sor, sender.name.split(",")[0], "")


def _reason(of: Steps, status: str) -> str:
    """Why it is not delivered: the words of the newest receipt that says so, else the reason of the row."""
    if status not in ("rejected", "transient", "undeliverable"):
        return ""
    for row in reversed(of.receipts):
        answer = of.answers.get(row.subject)
        if row.verdict in ("fatal-error", "transient-error") or row.verdict not in ("ok", ""):
            return (answer.reason if answer is not None else "") or row.reason
    return ""


def _case(of: Steps) -> tuple[str, str, datetime | None]:
    """Whether there is a case, why, and since when."""
    opened = [row for row in of.changes if row.what in ("GIVEN_UP", "UNDELIVERABLE", "ACKED_FATAL") and row.delta > 0]
    refused = [row for row in of.receipts if row.verdict == "fatal-error" and row.what == "stale"]
    if not opened and not (refused and of.changes[-1].what == "SENT_UNCONFIRMED"):
        return "", "", None
    first = opened[0] if opened else refused[0]
    closed = [row for row in of.decisions if STATUS.get(row.was) in FINAL]
    late = [row for row in of.changes if row.what == "ACKED_OK" and row.late]
    by_operator = first.was == "TIMED_OUT"  # no timer runs there
    reason = _CASES.get(first.what, "given-up-by-operator" if by_operator else "timeout") if opened else "fatal"
    return "closed" if closed or late else "open", reason, first.at


def identified(message_id: str, of: Steps) -> Iterator[tuple[str, str]]:
    """Every id by which the shipment is found: value and kind."""
    yield message_id, "message"
    yield sha256(message_id.encode()).hexdigest()[:32], "trace"  # of `traceparent` (streams/kafka/records.py)
    for event in of.traced:
        if event.subtype in ("msg-created", "msg-sent"):
            yield event.message_id, "message"
            yield event.bundle_id, "bundle"
            yield event.transport_id, "envelope"
        else:
            yield event.message_id, "receipt"
            yield event.bundle_id, "receipt"
            yield event.transport_id, "receipt"
    for hospital in of.hospital:
        yield hospital.episode, "stay"
        yield hospital.stay, "visit"
        yield hospital.visit, "visit"
        yield hospital.control_id, "control"
        yield hospital.origin, "place"
    for row in of.receipts:
        yield row.subject, "place"
    for answer in of.answers.values():
        for name in answer.ids:
            yield name, "receipt"


def receipts(of: Steps, kommunekode: str = "") -> Iterator[ReceivedReceipt]:
    """The receipts of these steps. Of one that waited for its message, the class that followed holds."""
    by_origin: dict[str, LedgerRow] = {}
    for row in of.receipts:
        if row.subject not in by_origin or by_origin[row.subject].what == WAITING_FOR_RECHECK:
            by_origin[row.subject] = row
    for origin, row in by_origin.items():
        topic = origin.split(".")
        answer = of.answers.get(origin)
        yield ReceivedReceipt(
            origin=origin[:120],
            at=min(one.at for one in of.receipts if one.subject == origin),
            class_=row.what[:30],
            verdict=row.verdict[:20],
            message_id=row.message[:80],
            kommunekode=topic[1][:4] if topic[0] == "municipality" and len(topic) > 2 else kommunekode,
            reason=(answer.reason if answer is not None else "") or row.reason,
        )


def fates(of: Steps) -> Iterator[Fate]:
    """The fates of the records and of the stay event of these steps. A repeated step may add `duplicate`: no second fate."""
    for row in of.records:
        yield Fate(
            id=(row.origin or row.subject)[:300],
            level="record",
            at=row.at,
            fate=row.what[:20],
            reason=row.reason[:60],
            parts=row.parts,
            notifications=0,
            feed="",
        )
    if not of.fates:
        return
    net = Counter[str]()
    for row in of.fates:
        net[row.what] += row.delta
    standing = {fate for fate, count in net.items() if count > 0}
    if len(standing) > 1:
        standing.discard("duplicate")
    rows = [row for row in of.fates if row.what in standing and row.delta > 0] or of.fates
    yield Fate(
        id=of.fates[0].subject[:300],
        level="stay-event",
        at=of.fates[0].at,
        fate=rows[-1].what[:20] if standing else "",
        reason=rows[-1].reason[:60],
        parts=0,
        notifications=sum(row.k for row in of.fates),
        feed=of.hospital[0].feed if of.hospital else "",
    )


def recipient_decision(step: Step) -> dict[str, object] | None:
    """The row of `recipient_decisions` that a step is; None for every other step."""
    if step.source != "ledger" or step.kind != "recipient":
        return None
    row = _row(step.body)
    reason, _, actor = row.reason.rpartition(" (")  # as `streams.records.ledger.recipient_row` puts them together
    return {
        "id": step.id[:200],
        "kommunekode": row.kommunekode[:4],
        "at": row.at,
        "what": row.what[:40],
        "reason": reason,
        "actor": actor.removesuffix(")")[:120],
    }


# ---- sums ---------------------------------------------------------------------------------------------------------


class Count(NamedTuple):
    """The key of a row of `counts`."""

    place: str
    bucket: datetime
    what: str
    status: str
    format: str
    slot: int


FINE: Final = timedelta(minutes=5)
COARSE: Final = timedelta(hours=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def bucket(at: datetime, width: timedelta) -> datetime:
    """The start of the stretch of time that `at` is in."""
    return _EPOCH + (at - _EPOCH) // width * width


#: The place of the sums of the whole by hours; those by five minutes have none.
ALL: Final = "all"


def counted(row: Shipment) -> Iterator[Count]:
    """What the shipment counts for, once each."""
    times = (("created", row.created), ("sent", row.sent), ("receipt", row.acknowledged), ("settled", row.settled))
    for what, at in times:
        if at is None:
            continue
        slot = -1
        if what == "receipt" and row.sent is not None:
            slot = slot_of(at - row.sent)
        facts = (what, row.status, row.format, slot)
        hour = bucket(at, COARSE)
        yield Count("", bucket(at, FINE), *facts)
        yield Count(ALL, hour, *facts)
        yield Count(f"kommune/{row.kommunekode}", hour, *facts)
        yield Count(f"hospital/{row.hospital_sor}"[:24], hour, *facts)


def slot_of(waited: timedelta) -> int:
    """The class of a time to receipt."""
    seconds = waited.total_seconds()
    return next((slot for slot, bound in enumerate(SLOTS) if seconds <= bound), len(SLOTS))


def tallied(row: Fate | ReceivedReceipt) -> dict[Count, int]:
    """What a fate or a receipt counts for in the balance: of a record that gave stay events, those count instead."""
    found: dict[Count, int] = {}
    for place, at in (("", bucket(row.at, FINE)), (ALL, bucket(row.at, COARSE))):
        if isinstance(row, ReceivedReceipt):
            found[Count(place, at, "class", row.class_, "", -1)] = 1
        elif row.level == "stay-event":
            found[Count(place, at, "stay-event", row.fate, "", -1)] = 1
            found[Count(place, at, "made", "", "", -1)] = row.notifications
        elif not row.parts:
            found[Count(place, at, "record", row.fate, "", -1)] = 1
    return found


Counted = Shipment | Fate | ReceivedReceipt


def changes(before: Iterable[Counted], after: Iterable[Counted]) -> dict[Count, int]:
    """What is to be added to the sums when these rows take the place of those."""
    sums = Counter[Count]()
    for row in after:
        sums.update(counted(row) if isinstance(row, Shipment) else tallied(row))
    for row in before:
        sums.subtract(Counter(counted(row)) if isinstance(row, Shipment) else tallied(row))
    return {key: n for key, n in sums.items() if n}
