"""What one record of a topic says of shipments: a step, or something of its own. Pure.

A step keeps what the record reports under an id of the record's own, so a record read twice is one step. What is about
a person becomes a keyed hash here and goes no further; a text that a person wrote is kept with everything that looks
like a CPR number masked. Every text is cut to its column, so no record of others is one that a database refuses.

Sources: `ledger`, `track-and-trace` (03 §2), the hospital events and receipts of `lanes` (which ledger and trace do not
hold), `dead.letters`, `recipients.control`. Not here: what follows from steps (`fold.py`).
"""

import re
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgspec

from streams.kafka.records import Record, header
from streams.kafka.topics import CONTROL, DEAD_LETTERS, LANES, LEDGER, TRACE
from streams.records.ledger import LedgerRow
from streams.words.ids import Ids
from streams.words.model import RecipientControl

#: Topics that the read model is folded from.
READ: Final = (LEDGER, TRACE, LANES, DEAD_LETTERS, CONTROL)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CPR: Final = re.compile(r"(?<!\d)\d{6}[- ]?\d{4}(?!\d)")
_TEXT: Final = 2000
_ID: Final = 80
_LARGEST: Final = 2**31 - 1


class Step(NamedTuple):
    """One thing that a record reports; a row of `steps`. `body`: JSON of `LedgerRow`, `StatusEvent` or a part of `lanes`."""

    id: str
    source: str  # ledger, trace, lane
    kind: str
    at: datetime
    message_id: str
    event_id: str
    topic: str
    partition: int
    offset: int
    body: str


class Fallen(NamedTuple):
    """A dead letter; a row of `dead_letters` as it begins."""

    place: str
    origin: str
    at: datetime
    stage: str
    code: str
    path: str
    problem: str
    remedy: str


class Unreadable(Exception):
    """A record that is none of those that lie on its topic; the text names no content."""


class _Body(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of what is kept of a record that is not kept whole."""


class TracedParty(_Body, frozen=True, kw_only=True):
    """Sender or receiver of a status event."""

    sor: str = ""
    gln: str = ""
    name: str = ""


class StatusEvent(_Body, frozen=True, kw_only=True):
    """An AuditEvent without its patient (03 §2): what `streams.records.trace.TraceEvent` is written from."""

    id: str
    subtype: str
    recorded: datetime
    outcome: str = "0"
    sender: TracedParty = TracedParty()
    receiver: TracedParty = TracedParty()
    device_id: str = ""
    source: str = ""
    person: str = ""  # keyed hash
    message_id: str = ""  # of a letter, its own id
    document: str = ""
    version: str = ""
    statistics: str = ""
    bundle_id: str = ""
    envelope: str = ""  # Bundle, Emessage, Interchange
    transport_id: str = ""
    transport: str = ""
    original_message_id: str = ""
    original_transport_id: str = ""


class HospitalEvent(_Body, frozen=True, kw_only=True):
    """A stay event as the hospital reported it, without person and visit number."""

    kind: str
    trigger: str = ""
    feed: str = ""
    control_id: str = ""
    episode: str = ""  # the local id of its stay
    stay: str = ""  # keyed hash of feed and visit number
    visit: str = ""  # keyed hash of the visit number
    person: str = ""  # keyed hash of the CPR number
    origin: str = ""
    occurred: datetime | None = None
    registered: datetime | None = None
    received: datetime
    hospital_sor: str = ""
    hospital_name: str = ""
    department: str = ""


class ReceivedAnswer(_Body, frozen=True, kw_only=True):
    """What a receipt says of itself: its ids, and why, in the words of the receiver."""

    verdict: str = ""
    ids: tuple[str, ...] = ()
    reason: str = ""
    codes: tuple[str, ...] = ()


# ---- as they lie on the topics: no more of them than is kept ------------------------------------------------------


class _Identifier(msgspec.Struct, frozen=True):
    value: str = ""


class _Who(msgspec.Struct, frozen=True):
    identifier: _Identifier = _Identifier()


class _Coding(msgspec.Struct, frozen=True):
    code: str = ""


class _Extension(msgspec.Struct, frozen=True):
    value_identifier: _Identifier = msgspec.field(default=_Identifier(), name="valueIdentifier")


class _Agent(msgspec.Struct, frozen=True):
    who: _Who = _Who()
    name: str = ""
    requestor: bool = False
    extension: list[_Extension] = []


class _Detail(msgspec.Struct, frozen=True):
    type: str = ""
    value: str = msgspec.field(default="", name="valueString")


class _Entity(msgspec.Struct, frozen=True):
    type: _Coding
    what: _Who = _Who()
    detail: list[_Detail] = []


class _Source(msgspec.Struct, frozen=True):
    observer: _Who = _Who()
    type: list[_Coding] = []


class _AuditEvent(msgspec.Struct, frozen=True):
    id: str
    recorded: datetime
    subtype: list[_Coding]
    outcome: str = ""
    agent: list[_Agent] = []
    source: _Source = _Source()
    entity: list[_Entity] = []


class _Place(msgspec.Struct, frozen=True):
    hospital: str = ""
    hospital_name: str = ""
    department: str = ""


class _Person(msgspec.Struct, frozen=True):
    cpr: str = ""


class _Event(msgspec.Struct, frozen=True):
    id: str
    kind: str
    feed: str = ""
    control_id: str = ""
    trigger: str = ""
    visit: str = ""
    visit_number: str = ""
    origin: str = ""
    occurred: datetime | None = None
    recorded: datetime | None = None
    patient: _Person | None = None
    unit: _Place | None = None


class _Issue(msgspec.Struct, frozen=True):
    code: str = ""
    details_code: str = ""
    text: str = ""


class _Receipt(msgspec.Struct, frozen=True):
    origin: str = ""
    verdict: str = ""
    message_id: str = ""
    ack_message_id: str = ""
    ack_envelope_id: str = ""
    transport_id: str = ""
    issues: list[_Issue] = []


class _StayEventArrived(msgspec.Struct, frozen=True, tag="stay-event"):
    at: datetime
    event: _Event


class _ReceiptArrived(msgspec.Struct, frozen=True, tag="receipt"):
    at: datetime
    receipt: _Receipt


class _Tagged(msgspec.Struct, frozen=True):
    type: str


_ledger_row: Final = msgspec.json.Decoder(LedgerRow).decode
_audit_event: Final = msgspec.json.Decoder(_AuditEvent).decode
_tagged: Final = msgspec.json.Decoder(_Tagged).decode
_arrived: Final[msgspec.json.Decoder[_StayEventArrived | _ReceiptArrived]] = msgspec.json.Decoder(
    _StayEventArrived | _ReceiptArrived
)
_control: Final = msgspec.json.Decoder(RecipientControl).decode
_encode: Final = msgspec.json.Encoder().encode


def read(record: Record, ids: Ids) -> Step | Fallen | RecipientControl | None:
    """What the record says; None for one that says nothing of shipments. Raises `Unreadable`."""
    if record.topic == DEAD_LETTERS:
        return _fallen(record)
    if record.value is None:  # a tombstone
        return None
    try:
        return _READERS[record.topic](record, ids)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError) as fault:
        raise Unreadable(f"{record.origin}: {type(fault).__name__}") from None


def _ledger(record: Record, ids: Ids) -> Step:
    row = _ledger_row(record.value or b"")
    message, event = "", row.event
    if row.kind in ("message", "conversion", "archived", "decision"):
        message = row.subject
    elif row.kind == "stay-event":
        event = row.subject
    elif row.kind == "receipt":
        message, event = row.message, row.subject
    row = msgspec.structs.replace(
        row,
        parts=_bounded(row.parts),
        k=_bounded(row.k),
        ordinal=_bounded(row.ordinal),
        attempt=_bounded(row.attempt),
        reason=plain(row.reason),
    )
    return _step(record, row.id, "ledger", row.kind, row.at, message, event, row)


def _trace(record: Record, ids: Ids) -> Step:
    event = _audit_event(record.value or b"")
    entities = {entity.type.code: entity for entity in event.entity}
    parties = {agent.requestor: _party(agent) for agent in event.agent}
    message, bundle, transport = (
        entities.get(f"ehmi{name}", _NOTHING) for name in ("Message", "MessageEnvelope", "TransportEnvelope")
    )
    patient = _value(entities.get("ehmiPatient", _NOTHING))
    kept = StatusEvent(
        id=_cut(event.id),
        subtype=event.subtype[0].code if event.subtype else "",
        recorded=event.recorded,
        outcome=event.outcome,
        sender=parties.get(True, TracedParty()),
        receiver=parties.get(False, TracedParty()),
        device_id=event.source.observer.identifier.value,
        source=event.source.type[0].code if event.source.type else "",
        person=ids.search_key("person", patient) if patient else "",
        message_id=_value(message),
        document=_detail(message, "ehmiMessageType"),
        version=_detail(message, "ehmiMessageVersion"),
        statistics=_detail(message, "ehmiStatisticalInfo"),
        bundle_id=_value(bundle),
        envelope=_detail(bundle, "ehmiMessageEnvelopeType"),
        transport_id=_value(transport),
        transport=_detail(transport, "ehmiTransportEnvelopeType"),
        original_message_id=_value(entities.get("ehmiOrigMessage", _NOTHING)),
        original_transport_id=_value(entities.get("ehmiOrigTransportEnvelope", _NOTHING)),
    )
    about = (record.key or b"").decode("utf-8", "replace")  # MessageHeader.id of the notification (design §4)
    return _step(record, f"trace/{event.id}", "trace", kept.subtype, event.recorded, about, "", kept)


_NOTHING: Final = _Entity(_Coding())


def _value(entity: _Entity) -> str:
    return _cut(entity.what.identifier.value, 200)


def _detail(entity: _Entity, kind: str) -> str:
    return next((_cut(one.value, 200) for one in entity.detail if one.type == kind), "")


def _party(agent: _Agent) -> TracedParty:
    gln = agent.extension[0].value_identifier.value if agent.extension else ""
    return TracedParty(sor=_cut(agent.who.identifier.value, 20), gln=_cut(gln, 20), name=_cut(agent.name, 200))


def _lane(record: Record, ids: Ids) -> Step | None:
    value = record.value or b""
    if _tagged(value).type not in ("stay-event", "receipt"):
        return None
    found = _arrived.decode(value)
    if isinstance(found, _ReceiptArrived):
        receipt = found.receipt
        named = (receipt.ack_message_id, receipt.ack_envelope_id, receipt.transport_id)
        answer = ReceivedAnswer(
            verdict=receipt.verdict,
            ids=tuple(_cut(name, 200) for name in named if name),
            reason=plain("; ".join(one.text or one.details_code or one.code for one in receipt.issues)),
            codes=tuple(_cut(one.details_code or one.code) for one in receipt.issues[:20]),
        )
        name = f"lane/receipt/{receipt.origin or record.origin}"
        return _step(record, name, "lane", "receipt", found.at, "", receipt.origin, answer)
    event, place = found.event, found.event.unit or _Place()
    for at in (event.occurred, event.recorded):
        _check(at)
    kept = HospitalEvent(
        kind=event.kind,
        trigger=event.trigger,
        feed=_cut(event.feed),
        control_id=_cut(event.control_id, 200),
        episode=_cut(event.visit),
        stay=ids.search_key("stay", event.feed, event.visit_number) if event.visit_number else "",
        visit=ids.search_key("visit", event.visit_number) if event.visit_number else "",
        person=ids.search_key("person", event.patient.cpr) if event.patient is not None else "",
        origin=_cut(event.origin, 120),
        occurred=event.occurred,
        registered=event.recorded,
        received=found.at,
        hospital_sor=_cut(place.hospital, 20),
        hospital_name=_cut(place.hospital_name, 200),
        department=_cut(place.department, 200),
    )
    return _step(record, f"lane/{event.id}", "lane", event.kind, found.at, "", event.id, kept)


def _recipient(record: Record, ids: Ids) -> RecipientControl | None:
    if not re.fullmatch(rb"[0-9]{4}", record.key or b""):  # the fingerprint of the secret, a skip
        return None
    control = _control(record.value or b"")
    for at in (control.at, control.paused_since):
        _check(at)
    return msgspec.structs.replace(
        control,
        actor=_cut(plain(control.actor), 200),
        reason=plain(control.reason),
        pause_reason=plain(control.pause_reason),
    )


_READERS: Final = {LEDGER: _ledger, TRACE: _trace, LANES: _lane, CONTROL: _recipient}


def _fallen(record: Record) -> Fallen:
    def fact(name: str, length: int = _TEXT) -> str:
        return _cut(plain((header(record.headers, f"dlq.{name}") or b"").decode("utf-8", "replace")), length)

    at = _EPOCH
    for text in (fact("last-failed-at"), fact("first-failed-at")):
        try:
            at = datetime.fromisoformat(text)
            _check(at)
            break
        except ValueError:
            at = datetime.fromtimestamp(max(record.timestamp_ms, 0) / 1000, UTC)
    origin = fact("origin", 120) or "/".join(fact(f"original-{part}") for part in ("topic", "partition", "offset"))
    problem = fact("problem") or fact("error-message")
    return Fallen(
        record.origin, _cut(origin, 120), at, fact("stage", 40), fact("error-code", 80), fact("path", 200), problem,
        fact("remedy"),
    )  # fmt: skip


def _step(record: Record, name: str, source: str, kind: str, at: datetime, message: str, event: str, body: Any) -> Step:
    _check(at)
    return Step(
        id=_cut(name, 300),
        source=source,
        kind=_cut(kind, 30),
        at=at,
        message_id=_cut(message),
        event_id=_cut(event, 120),
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        body=_encode(body).decode(),
    )


def _check(at: datetime | None) -> None:
    """Raises ValueError for a time without offset, which is no instant."""
    if at is not None and at.tzinfo is None:
        raise ValueError("a time without offset")


def _cut(text: str, length: int = _ID) -> str:
    return text.replace("\0", "")[:length]


def _bounded(number: int) -> int:
    return max(min(number, _LARGEST), -_LARGEST)


def plain(text: str) -> str:
    """A text of others as it may be kept: of bounded length, and nothing in it that looks like a CPR number."""
    return _CPR.sub("******", _cut(text, _TEXT))
