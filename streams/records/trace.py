"""Status events for track and trace: what our station did with a message, as a FHIR AuditEvent.

Decided by spec 03 §§2-5 (EHMI Delivery Status implementation guide 1.0.2, EHMI terminology 1.2.0). An event is in one of
two profiles: about a patient's message, or about anything without a patient. We are the sending application and its
message handler in one station. A `TraceEvent` is what happened; `audit_event` is the same as a resource. Sender and
receiver are always those of the object the event is about: for an acknowledgement the municipality sends and the
hospital receives (03 §3).

There is no code for refused, timed out or given up: those are states of the ledger, not status events (03 §4.1, S11).
Nothing here knows when to emit: the lane does.
"""

from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

import msgspec

from streams.words.codes import ACKNOWLEDGEMENT_EVENT, EHMI
from streams.words.ids import audit_event_id
from streams.words.model import NetworkReceipt, Receipt, Unit
from streams.words.times import COPENHAGEN

Json = dict[str, Any]  # an object of the resource, in FHIR element order


# ---- the codes of EHMI Delivery Status: one list for the writer and the checker ---------------------------------------

Subtype = Literal[
    "msg-created", "msg-created-and-sent", "msg-sent", "msg-received", "msg-received-and-finalized", "msg-finalized"
]
Profile = Literal["patient", "basic"]
Source = Literal["EUA", "EUA-MSH", "MSH", "AP-MSH", "AP"]
OutcomeCode = Literal["0", "8"]  # success, serious failure; 4 and 12 are excluded (03 §2.1)

_TERMINOLOGY: Final = f"{EHMI}ig/terminology/CodeSystem/"
_DEFINITION: Final = f"{EHMI}ig/eds/StructureDefinition/"
TYPE_SYSTEM: Final = _TERMINOLOGY + "ehmi-delivery-status-types"
SUBTYPE_SYSTEM: Final = _TERMINOLOGY + "ehmi-delivery-status-sub-types"
ROLE_SYSTEM: Final = _TERMINOLOGY + "ehmi-delivery-status-participationroletype"
SOURCE_SYSTEM: Final = _TERMINOLOGY + "ehmi-delivery-status-source-type"
ENTITY_SYSTEM: Final = _TERMINOLOGY + "ehmi-delivery-status-entity-type"
OTHER_ID_SYSTEM: Final = _TERMINOLOGY + "ehmi-delivery-status-agent-who-identifier-types"
OTHER_ID: Final = _DEFINITION + "eds-otherId"
OBJECT_ROLE_SYSTEM: Final = "http://terminology.hl7.org/CodeSystem/object-role"

#: 03 §2.1, meta.profile
PROFILES: Final[dict[Profile, str]] = {
    "patient": _DEFINITION + "EdsPatientDeliveryStatus",
    "basic": _DEFINITION + "EdsBasicDeliveryStatus",
}
#: 03 §3: code and display
SUBTYPES: Final[dict[Subtype, str]] = {
    "msg-created": "Message created",
    "msg-created-and-sent": "Message created and sent",
    "msg-sent": "Message sent",
    "msg-received": "Message received",
    "msg-received-and-finalized": "Message received and finalized",
    "msg-finalized": "Message finalized",
}
#: 03 §2.1, source.type; the display of the published samples. No sample shows AP-MSH: it goes without display.
SOURCES: Final[dict[Source, str]] = {
    "EUA": "EUA (End-user Application)",
    "EUA-MSH": "EUA & MSH (End-user Application & Message Service Handler)",
    "MSH": "MSH (Application Server)",
    "AP-MSH": "",
    "AP": "AP (Access Point)",
}
#: 03 §2.2: entity types and displays
ENTITIES: Final[dict[str, str]] = {
    "ehmiPatient": "Patient",
    "ehmiMessage": "Message",
    "ehmiMessageEnvelope": "Message Envelope",
    "ehmiTransportEnvelope": "Transport Envelope",
    "ehmiOrigMessage": "Original Message",
    "ehmiOrigTransportEnvelope": "Original Transport Envelope",
}


def coding(system: str, code: str, display: str = "") -> Json:
    """A Coding; without display when there is none."""
    return {"system": system, "code": code, "display": display} if display else {"system": system, "code": code}


# ---- what happened -----------------------------------------------------------------------------------------------------


class TracedDocument(NamedTuple):
    """Type and version of a message or an envelope, as the events name them (03 §2.3)."""

    type: str
    version: str


ACKNOWLEDGEMENT: Final = TracedDocument(ACKNOWLEDGEMENT_EVENT, "2.0")
ENVELOPE_RECEIPT: Final = TracedDocument("ehmisbdh-acknowledgement", "ebbp-signals-2.0")
UNKNOWN: Final = TracedDocument("unknown", "unknown")  # 03 §4.1, S6 and S8
VANS: Final = TracedDocument("VANSEnvelope", "1.0.4")  # 03 §1
SBDH: Final = TracedDocument("SBDH", "1.0")
BESKEDKUVERT: Final = TracedDocument("Haendelsesbesked", "1.0")  # own: 03 names no envelope of KOMBIT's


class TraceEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One step of one message at one station. "" and None stand for an entity or detail that is not named."""

    subtype: Subtype
    profile: Profile
    outcome: OutcomeCode = "0"
    recorded: datetime  # of the step, not of the posting
    sender: Unit
    receiver: Unit
    device_id: str  # EER device id of the station
    source: Source = "EUA-MSH"
    message_id: str
    document: TracedDocument
    statistics: str = ""  # first event of a message, last of an acknowledgement, and no other (03 §2.3)
    cpr: str = ""  # only in profile `patient` (03 §9)
    bundle_id: str = ""
    envelope: str = "Bundle"  # what it is the id of: of a letter its own envelope
    transport_id: str = ""
    transport: TracedDocument = VANS
    original_message_id: str = ""
    original: TracedDocument = UNKNOWN
    original_transport_id: str = ""
    ordinal: int = 0  # repeated failures of one hand-over, repeated arrivals of one receipt (03 §4.4)

    def __repr__(self) -> str:
        return f"TraceEvent({self.subtype}, {self.document.type}, outcome={self.outcome})"


class About(NamedTuple):
    """What S2 to S4 are about: one message on its way to one receiver."""

    message_id: str
    document: TracedDocument
    postfix: str  # what stands in the statistics for what the message is; "" for a letter, whose type says it
    sender: Unit
    receiver: Unit
    cpr: str


def created(
    about: About, *, bundle_id: str, recorded: datetime, device_id: str, envelope: str = "Bundle"
) -> TraceEvent:
    """S2: the message is built, checked and stored; `bundle_id` is that of attempt 1."""
    return TraceEvent(
        subtype="msg-created",
        profile="patient",
        recorded=recorded,
        sender=about.sender,
        receiver=about.receiver,
        device_id=device_id,
        message_id=about.message_id,
        document=about.document,
        statistics=_statistics(about.document, about.postfix),
        cpr=about.cpr,
        bundle_id=bundle_id,
        envelope=envelope,
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
    transport: TracedDocument = VANS,
    envelope: str = "Bundle",
) -> TraceEvent:
    """S3: an attempt is handed over; S4 (`failed`): it could not be.

    `ordinal` is how often this attempt failed before, also for the success that follows: nothing else makes the id
    of a failure differ from that of the success (03 §4.4), and a store drops an id that it has.
    """
    return TraceEvent(
        subtype="msg-sent",
        profile="patient",
        outcome="8" if failed else "0",
        recorded=recorded,
        sender=about.sender,
        receiver=about.receiver,
        device_id=device_id,
        message_id=about.message_id,
        document=about.document,
        cpr=about.cpr,
        bundle_id=bundle_id,
        envelope=envelope,
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
    original: TracedDocument | None,
    document: TracedDocument = ACKNOWLEDGEMENT,
    envelope: str = "Bundle",
    transport: TracedDocument = VANS,
    ordinal: int = 0,
) -> TraceEvent:
    """S7: an acknowledgement of `sender` (the municipality) for us; S8 (`original` None): it answers nothing of ours.

    The verdict is the receipt's own, also when the message is settled otherwise (03 §4.1).
    """
    return TraceEvent(
        subtype="msg-received-and-finalized",
        profile="basic",
        outcome="8" if original is None else "0",
        recorded=recorded,
        sender=sender,
        receiver=receiver,
        device_id=device_id,
        message_id=receipt.ack_message_id,
        document=document,
        statistics=_statistics(document, receipt.statistics or receipt.verdict),
        bundle_id=receipt.ack_envelope_id,
        envelope=envelope,
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
    original: TracedDocument | None,
    ordinal: int = 0,
) -> TraceEvent:
    """S6: an SBDH envelope receipt, positive or not; `original` None: for an envelope that is not ours.

    A VANS receipt gives no event (S5): that is for the caller to see.
    """
    return TraceEvent(
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


# ---- behind an inbox (03 §4.2): B and C are the municipality's own matter and have no event -------------------------


def received(
    about: About,
    *,
    bundle_id: str,
    transport_id: str,
    recorded: datetime,
    device_id: str,
    transport: TracedDocument = VANS,
) -> TraceEvent:
    """A message is received and read; a duplicate too."""
    return TraceEvent(
        subtype="msg-received",
        profile="patient",
        recorded=recorded,
        sender=about.sender,
        receiver=about.receiver,
        device_id=device_id,
        message_id=about.message_id,
        document=about.document,
        cpr=about.cpr,
        bundle_id=bundle_id,
        transport_id=transport_id,
        transport=transport,
    )


def returned(
    about: About, *, receipt_id: str, bundle_id: str, transport_id: str, recorded: datetime, device_id: str
) -> TraceEvent:
    """The acknowledgement of a message has been handed over, whatever its cause. `about`: the message."""
    return TraceEvent(
        subtype="msg-created-and-sent",
        profile="basic",
        recorded=recorded,
        sender=about.receiver,
        receiver=about.sender,
        device_id=device_id,
        message_id=receipt_id,
        document=ACKNOWLEDGEMENT,
        bundle_id=bundle_id,
        transport_id=transport_id,
        original_message_id=about.message_id,
        original=about.document,
    )


def envelope_returned(
    receipt: Receipt, transport_id: str, sender: Unit, receiver: Unit, *, recorded: datetime, device_id: str
) -> TraceEvent:
    """S10: the receipt that `sender` has given for the SBDH envelope of an acknowledgement."""
    return TraceEvent(
        subtype="msg-created-and-sent",
        profile="basic",
        recorded=recorded,
        sender=sender,
        receiver=receiver,
        device_id=device_id,
        message_id=transport_id,  # its MESSAGEIDENTIFIER, the same by 02 §3.1
        document=ENVELOPE_RECEIPT,
        transport_id=transport_id,
        transport=SBDH,
        original_message_id=receipt.ack_message_id,
        original=ACKNOWLEDGEMENT,
        original_transport_id=receipt.transport_id,
    )


def strictly_after(at: datetime, last: datetime | None) -> datetime:
    """`at`, or 1 ms after `last` when that is not earlier: `recorded` increases per journey (03 §4.4).

    Both count in whole milliseconds, as they are written.
    """
    at = at.replace(microsecond=at.microsecond // 1000 * 1000)
    return at if last is None or at > last else last + timedelta(milliseconds=1)


def _statistics(document: TracedDocument, postfix: str) -> str:
    name = f"MCM:{document.type}|{document.version}"
    return f"{name}#{postfix}" if postfix else name


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


def audit_event(event: TraceEvent) -> Json:
    """The resource of an event, in FHIR element order; its id is computed from what it is about (03 §4.4).

    The dict shares constant parts with others: it is to be written, not changed.
    """
    return {
        "resourceType": "AuditEvent",
        "id": audit_event_id(
            event.device_id, event.message_id, event.bundle_id, event.transport_id, event.subtype, str(event.ordinal)
        ),
        "meta": _META[event.profile],
        "type": _TYPE,
        "subtype": _SUBTYPE[event.subtype],
        "action": "C",
        "recorded": event.recorded.astimezone(COPENHAGEN).isoformat(timespec="milliseconds"),
        "outcome": event.outcome,
        "agent": [_agent(event.sender, _SENDER, requestor=True), _agent(event.receiver, _RECEIVER, requestor=False)],
        "source": {"observer": {"identifier": {"value": event.device_id}}, "type": _SOURCE[event.source]},
        "entity": _entities(event),
    }


def _agent(unit: Unit, role: Json, *, requestor: bool) -> Json:
    agent: Json = {}
    if unit.gln:
        agent["extension"] = [{"url": OTHER_ID, "valueIdentifier": {"type": _GLN, "value": unit.gln}}]
    agent["type"] = role
    agent["who"] = {"identifier": {"value": unit.sor}}
    if unit.name:  # the sender of an unknown message may have none (S8)
        agent["who"]["display"] = agent["name"] = unit.name
    agent["requestor"] = requestor
    return agent


def _entities(event: TraceEvent) -> list[Json]:
    """The entities of 03 §2.2 in its order; a patient only where the profile is about one."""
    found: list[Json] = []
    if event.profile == "patient":
        found.append({"what": {"identifier": {"value": event.cpr}}, "type": _ENTITY["ehmiPatient"], "role": _PATIENT})
    details = _details("ehmiMessage", event.document)
    if event.statistics:
        details.append({"type": "ehmiStatisticalInfo", "valueString": event.statistics})
    found.append(_entity("ehmiMessage", event.message_id, details))
    if event.bundle_id:
        kind = [{"type": "ehmiMessageEnvelopeType", "valueString": event.envelope}]
        found.append(_entity("ehmiMessageEnvelope", event.bundle_id, kind))
    if event.transport_id:
        found.append(
            _entity("ehmiTransportEnvelope", event.transport_id, _details("ehmiTransportEnvelope", event.transport))
        )
    if event.original_message_id:
        found.append(_entity("ehmiOrigMessage", event.original_message_id, _details("ehmiMessage", event.original)))
    if event.original_transport_id:
        details = _details("ehmiTransportEnvelope", event.transport)
        found.append(_entity("ehmiOrigTransportEnvelope", event.original_transport_id, details))
    return found


def _entity(code: str, value: str, detail: list[dict[str, str]]) -> Json:
    return {"what": {"identifier": {"value": value}}, "type": _ENTITY[code], "detail": detail}


def _details(kind: str, document: TracedDocument) -> list[dict[str, str]]:
    return [
        {"type": kind + "Type", "valueString": document.type},
        {"type": kind + "Version", "valueString": document.version},
    ]
