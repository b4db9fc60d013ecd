"""The codes of EHMI Delivery Status, the national track-and-trace format: one list for the writer and the checker.

Decided by the EDS implementation guide 1.0.2 and the EHMI terminology 1.2.0 (spec 03 §§2, 3). A status event is a
FHIR AuditEvent in one of two profiles: about a patient's message, or about anything without a patient.
"""

from typing import Any, Final, Literal

from streams.words.codes import EHMI

__all__ = [
    "ENTITIES",
    "PROFILES",
    "SOURCES",
    "SUBTYPES",
    "TERMINOLOGY",
    "Outcome",
    "Profile",
    "Source",
    "Subtype",
    "coding",
]

Subtype = Literal[
    "msg-created", "msg-created-and-sent", "msg-sent", "msg-received", "msg-received-and-finalized", "msg-finalized"
]
Profile = Literal["patient", "basic"]
Source = Literal["EUA", "EUA-MSH", "MSH", "AP-MSH", "AP"]
Outcome = Literal["0", "8"]  # success, serious failure; 4 and 12 are excluded (03 §2.1)

TERMINOLOGY: Final = f"{EHMI}ig/terminology/CodeSystem/"
_DEFINITION: Final = f"{EHMI}ig/eds/StructureDefinition/"
TYPE_SYSTEM: Final = TERMINOLOGY + "ehmi-delivery-status-types"
SUBTYPE_SYSTEM: Final = TERMINOLOGY + "ehmi-delivery-status-sub-types"
ROLE_SYSTEM: Final = TERMINOLOGY + "ehmi-delivery-status-participationroletype"
SOURCE_SYSTEM: Final = TERMINOLOGY + "ehmi-delivery-status-source-type"
ENTITY_SYSTEM: Final = TERMINOLOGY + "ehmi-delivery-status-entity-type"
OTHER_ID_SYSTEM: Final = TERMINOLOGY + "ehmi-delivery-status-agent-who-identifier-types"
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


def coding(system: str, code: str, display: str = "") -> dict[str, Any]:
    """A Coding; without display when there is none."""
    return {"system": system, "code": code, "display": display} if display else {"system": system, "code": code}
