"""Status events for track and trace: what our station did with a message, as a FHIR AuditEvent.

Decided by spec 03 §§2-5 (EHMI Delivery Status 1.0.2). We are the sending application and its message handler in one
station. A `Step` says what happened; `audit_event` is the same as a resource. Sender and receiver are always those of
the object the event is about: for an acknowledgement the municipality sends and the hospital receives (03 §3).

There is no code for refused, timed out or given up: those are states of the ledger, not status events (03 §4.1, S11).
Nothing here knows when to emit: the lane does.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from streams.words.codes import ACKNOWLEDGEMENT_EVENT, HOSPITAL_NOTIFICATION_EVENT, postfix_of_activity
from streams.words.ids import audit_event_id
from streams.words.model import NetworkReceipt, Notification, Receipt, Unit
from streams.words.times import COPENHAGEN

from .trace_codes import (
    ENTITIES,
    ENTITY_SYSTEM,
    OBJECT_ROLE_SYSTEM,
    OTHER_ID,
    OTHER_ID_SYSTEM,
    PROFILES,
    ROLE_SYSTEM,
    SOURCE_SYSTEM,
    SOURCES,
    SUBTYPE_SYSTEM,
    SUBTYPES,
    TYPE_SYSTEM,
    Outcome,
    Profile,
    Source,
    Subtype,
    coding,
)

__all__ = [
    "ACKNOWLEDGEMENT",
    "ENVELOPE_RECEIPT",
    "NOTIFICATION",
    "SBDH",
    "UNKNOWN",
    "VANS",
    "About",
    "Document",
    "Step",
    "acknowledged",
    "audit_event",
    "created",
    "network_answered",
    "sent",
    "strictly_after",
]


class Document(NamedTuple):
    """Type and version of a message or an envelope, as the events name them (03 §2.3)."""

    type: str
    version: str


NOTIFICATION: Final = Document(HOSPITAL_NOTIFICATION_EVENT, "3.0")
ACKNOWLEDGEMENT: Final = Document(ACKNOWLEDGEMENT_EVENT, "2.0")
ENVELOPE_RECEIPT: Final = Document("ehmisbdh-acknowledgement", "ebbp-signals-2.0")
UNKNOWN: Final = Document("unknown", "unknown")  # 03 §4.1, S6 and S8
VANS: Final = Document("VANSEnvelope", "1.0.4")  # 03 §1
SBDH: Final = Document("SBDH", "1.0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of one message at one station. "" and None stand for an entity or detail that is not named."""

    subtype: Subtype
    profile: Profile
    outcome: Outcome = "0"
    recorded: datetime  # of the step, not of the posting
    sender: Unit
    receiver: Unit
    device_id: str  # EER device id of the station
    source: Source = "EUA-MSH"
    message_id: str
    document: Document
    statistics: str = ""  # first event of a message, last of an acknowledgement, and no other (03 §2.3)
    cpr: str = ""  # only in profile `patient` (03 §9)
    bundle_id: str = ""
    transport_id: str = ""
    transport: Document = VANS
    original_message_id: str = ""
    original: Document = UNKNOWN
    original_transport_id: str = ""
    ordinal: int = 0  # repeated failures of one hand-over, repeated arrivals of one receipt (03 §4.4)

    def __repr__(self) -> str:
        return f"Step({self.subtype}, {self.document.type}, outcome={self.outcome})"


class About(NamedTuple):
    """What S2 to S4 are about: one notification on its way to one municipality."""

    message_id: str
    activity: str
    sender: Unit
    receiver: Unit
    cpr: str

    @classmethod
    def of(cls, notification: Notification, receiver: Unit) -> "About":
        """The notification, and who is told."""
        patient = notification.patient
        return cls(notification.message_id, notification.activity, notification.sender, receiver, patient.cpr)


def created(
    about: About, *, bundle_id: str, recorded: datetime, device_id: str, document: Document = NOTIFICATION
) -> Step:
    """S2: the message is built, checked and stored; `bundle_id` is that of attempt 1."""
    return Step(
        subtype="msg-created",
        profile="patient",
        recorded=recorded,
        sender=about.sender,
        receiver=about.receiver,
        device_id=device_id,
        message_id=about.message_id,
        document=document,
        statistics=_statistics(document, postfix_of_activity(about.activity)),
        cpr=about.cpr,
        bundle_id=bundle_id,
    )


def sent(
    about: About,
    *,
    bundle_id: str,
    transport_id: str,
    recorded: datetime,
    device_id: str,
    failed: bool = False,
    ordinal: int = 0,
    document: Document = NOTIFICATION,
    transport: Document = VANS,
) -> Step:
    """S3: an attempt is handed over; S4 (`failed`): it could not be.

    `ordinal` is how often this attempt failed before, also for the success that follows: nothing else tells the id of
    a failure from that of the success (03 §4.4), and a store drops an id that it has.
    """
    return Step(
        subtype="msg-sent",
        profile="patient",
        outcome="8" if failed else "0",
        recorded=recorded,
        sender=about.sender,
        receiver=about.receiver,
        device_id=device_id,
        message_id=about.message_id,
        document=document,
        cpr=about.cpr,
        bundle_id=bundle_id,
        transport_id=transport_id,
        transport=transport,
        ordinal=ordinal,
    )


def acknowledged(
    receipt: Receipt,
    *,
    sender: Unit,
    receiver: Unit,
    recorded: datetime,
    device_id: str,
    original: Document | None = NOTIFICATION,
    transport: Document = VANS,
    ordinal: int = 0,
) -> Step:
    """S7: an acknowledgement of `sender` (the municipality) for us; S8 (`original` None): it answers nothing we know.

    The verdict is the receipt's own, also when the message is settled otherwise (03 §4.1).
    """
    return Step(
        subtype="msg-received-and-finalized",
        profile="basic",
        outcome="8" if original is None else "0",
        recorded=recorded,
        sender=sender,
        receiver=receiver,
        device_id=device_id,
        message_id=receipt.ack_message_id,
        document=ACKNOWLEDGEMENT,
        statistics=_statistics(ACKNOWLEDGEMENT, receipt.statistics or receipt.verdict),
        bundle_id=receipt.ack_envelope_id,
        transport_id=receipt.transport_id,
        transport=transport,
        original_message_id=receipt.message_id,
        original=original or UNKNOWN,
        ordinal=ordinal,
    )


def network_answered(
    receipt: NetworkReceipt,
    *,
    original_message_id: str,
    sender: Unit,
    receiver: Unit,
    recorded: datetime,
    device_id: str,
    original: Document | None = NOTIFICATION,
    ordinal: int = 0,
) -> Step:
    """S6: an SBDH envelope receipt, positive or not; `original` None: for an envelope that we do not know.

    A VANS receipt gives no event (S5): that is for the caller to see.
    """
    return Step(
        subtype="msg-received-and-finalized",
        profile="basic",
        outcome="8" if original is None else "0",
        recorded=recorded,
        sender=sender,
        receiver=receiver,
        device_id=device_id,
        message_id=receipt.transport_id,  # its MESSAGEIDENTIFIER, the same by 02 §3.1
        document=ENVELOPE_RECEIPT,
        transport_id=receipt.transport_id,
        transport=SBDH,
        original_message_id=original_message_id,
        original=original or UNKNOWN,
        original_transport_id=receipt.original_transport_id,
        ordinal=ordinal,
    )


def strictly_after(at: datetime, last: datetime | None) -> datetime:
    """`at`, or 1 ms after `last` when that is not earlier: `recorded` increases per journey (03 §4.4).

    Both count in whole milliseconds, as they are written.
    """
    at = at.replace(microsecond=at.microsecond // 1000 * 1000)
    return at if last is None or at > last else last + timedelta(milliseconds=1)


def _statistics(document: Document, postfix: str) -> str:
    return f"MCM:{document.type}|{document.version}#{postfix}"


# ---- the resource ----------------------------------------------------------------------------------------------

_TYPE: Final = coding(TYPE_SYSTEM, "ehmiMessaging", "EHMI messaging event")
_SUBTYPE: Final = {code: [coding(SUBTYPE_SYSTEM, code, display)] for code, display in SUBTYPES.items()}
_META: Final = {profile: {"profile": [url]} for profile, url in PROFILES.items()}
_SOURCE: Final = {code: [coding(SOURCE_SYSTEM, code, display)] for code, display in SOURCES.items()}
_ENTITY: Final = {code: coding(ENTITY_SYSTEM, code, display) for code, display in ENTITIES.items()}
_SENDER: Final = {"coding": [coding(ROLE_SYSTEM, "ehmiSender", "Sender")]}
_RECEIVER: Final = {"coding": [coding(ROLE_SYSTEM, "ehmiReceiver", "Receiver")]}
_GLN: Final = {"coding": [coding(OTHER_ID_SYSTEM, "GLN")]}
_PATIENT: Final = coding(OBJECT_ROLE_SYSTEM, "1", "Patient")
_BUNDLE: Final = [{"type": "ehmiMessageEnvelopeType", "valueString": "Bundle"}]


def audit_event(step: Step) -> dict[str, Any]:
    """The AuditEvent of a step, in FHIR element order; its id is computed from what it is about (03 §4.4).

    The dict shares constant parts with others: it is to be written, not changed.
    """
    return {
        "resourceType": "AuditEvent",
        "id": audit_event_id(
            step.device_id, step.message_id, step.bundle_id, step.transport_id, step.subtype, str(step.ordinal)
        ),
        "meta": _META[step.profile],
        "type": _TYPE,
        "subtype": _SUBTYPE[step.subtype],
        "action": "C",
        "recorded": step.recorded.astimezone(COPENHAGEN).isoformat(timespec="milliseconds"),
        "outcome": step.outcome,
        "agent": [_agent(step.sender, _SENDER, requestor=True), _agent(step.receiver, _RECEIVER, requestor=False)],
        "source": {"observer": {"identifier": {"value": step.device_id}}, "type": _SOURCE[step.source]},
        "entity": _entities(step),
    }


def _agent(unit: Unit, role: dict[str, Any], *, requestor: bool) -> dict[str, Any]:
    agent: dict[str, Any] = {}
    if unit.gln:
        agent["extension"] = [{"url": OTHER_ID, "valueIdentifier": {"type": _GLN, "value": unit.gln}}]
    agent["type"] = role
    agent["who"] = {"identifier": {"value": unit.sor}}
    if unit.name:  # the sender of an unknown message may have none (S8)
        agent["who"]["display"] = agent["name"] = unit.name
    agent["requestor"] = requestor
    return agent


def _entities(step: Step) -> list[dict[str, Any]]:
    """The entities of 03 §2.2 in its order; a patient only where the profile is about one."""
    found: list[dict[str, Any]] = []
    if step.profile == "patient":
        found.append({"what": {"identifier": {"value": step.cpr}}, "type": _ENTITY["ehmiPatient"], "role": _PATIENT})
    details = _details("ehmiMessage", step.document)
    if step.statistics:
        details.append({"type": "ehmiStatisticalInfo", "valueString": step.statistics})
    found.append(_entity("ehmiMessage", step.message_id, details))
    if step.bundle_id:
        found.append(_entity("ehmiMessageEnvelope", step.bundle_id, _BUNDLE))
    if step.transport_id:
        found.append(
            _entity("ehmiTransportEnvelope", step.transport_id, _details("ehmiTransportEnvelope", step.transport))
        )
    if step.original_message_id:
        found.append(_entity("ehmiOrigMessage", step.original_message_id, _details("ehmiMessage", step.original)))
    if step.original_transport_id:
        details = _details("ehmiTransportEnvelope", step.transport)
        found.append(_entity("ehmiOrigTransportEnvelope", step.original_transport_id, details))
    return found


def _entity(code: str, value: str, detail: list[dict[str, str]]) -> dict[str, Any]:
    return {"what": {"identifier": {"value": value}}, "type": _ENTITY[code], "detail": detail}


def _details(kind: str, document: Document) -> list[dict[str, str]]:
    return [
        {"type": kind + "Type", "valueString": document.type},
        {"type": kind + "Version", "valueString": document.version},
    ]
