"""The acknowledgement's profiles as rows: what IG 2.0.3 narrows of base FHIR, element by element (spec 02 §4.1).

Decided by medcom.fhir.dk.acknowledgement 2.0.3 with the messaging profiles it builds on, and by the issue codes of
spec 02 §4.3. The checks of §4.4 are in `faults.py` and `read.py`, because they need nothing but the parts that are read.
"""

from typing import Final

from streams.formats.fhir.pieces import Check
from streams.formats.fhir.structure import Compiler, Constraint, Extension, Profile
from streams.messages.hospitalnotification.identifiers import organization_identifiers, sor_digits
from streams.messages.hospitalnotification.rules import DESTINATION_USE_URL
from streams.messages.hospitalnotification.rules import PROFILES as _NOTIFICATION_PROFILES
from streams.words.codes import (
    ACK_ERROR_SYSTEM,
    ACKNOWLEDGEMENT_EVENT,
    ACTIVITY_SYSTEM,
    DESTINATION_USE_SYSTEM,
    EVENT_SYSTEM,
    FHIR_GUIDES,
)

__all__ = ["CHECK", "ERROR_CODES", "ISSUE_TYPES", "KNOWN_CODES", "PROFILES", "SEVERITIES"]

_ACK: Final = f"{FHIR_GUIDES}ig/acknowledgement/StructureDefinition/"

#: Canonicals of meta.profile.
PROFILES: Final[dict[str, str]] = {
    "Bundle": _ACK + "medcom-messaging-acknowledgement",
    "MessageHeader": _ACK + "medcom-messaging-acknowledgementHeader",
    "OperationOutcome": _ACK + "medcom-acknowledgement-operationoutcome",
    "Organization": _NOTIFICATION_PROFILES["MessagingOrganization"],
    "Provenance": _NOTIFICATION_PROFILES["Provenance"],
}

#: System A of spec 02 §4.3, spelled as published: the only codes we write (00 §3.9).
ERROR_CODES: Final = frozenset(
    {
        "MSG_Receiver_Identifier_UNKNOWN",
        "MSG_Receiver_Identifier_MISSING",
        "MSG_RECEIVER_UNABLE_TO_RECEIVE_MSG_TYPE",
        "MSG_VALUESET_VALUE_UNKNOWN",
        "MSG_CodeSystem_VALUE_UNKNOWN",
        "MSG_Element_To_Long",
        "MSG_Datatype_Wrong",
        "MSG_Mailbox_Out_Of_Operation",
        "MSG_Damaged_durin_transport",
    }
)

#: System B of spec 02 §4.3, read and never written; terminology 1.4.0 and 1.8.1 spell one of them differently.
_HL7_LISTED: Final = (
    "MSG_ID_INVALID MSG_ID_TOO_LONG MSG_INVALID_ID MSG_DUPLICATE_ID MSG_BAD_FORMAT MSG_BAD_SYNTAX MSG_DATE_FORMAT "
    "MSG_JSON_OBJECT MSG_WRONG_NS MSG_LOCAL_FAIL MSG_NO_MATCH MSG_NO_EXIST MSG_NO_SUMMARY MSG_PARAM_INVALID "
    "MSG_PARAM_NO_REPEAT MSG_PARAM_UNKNOWN MSG_RESOURCE_ID_MISMATCH MSG_RESOURCE_ID_FAIL MSG_RESOURCE_FAIL "
    "MSG_RESOURCE_ID_MISSING MSG_RESOURCE_NOT_ALLOWED MSG_RESOURCE_REQUIRED MSG_RESOURCE_TYPE_MISMATCH "
    "MSG_TRANSACTION_DUPLICATE_ID MSG_TRANSACTION_MISSING_ID MSG_UNKNOWN_TYPE MSG_VERSION_AWARE "
    "MSG_VERSION_AWARE_CONFLICT MSG_VERSION_AWARE_URL"
)
_HL7_CODES: Final = frozenset(_HL7_LISTED.lower().split())
#: System -> its codes, lower case: system A is not case-sensitive (4.3).
KNOWN_CODES: Final[dict[str, frozenset[str]]] = {
    ACK_ERROR_SYSTEM: frozenset(code.lower() for code in ERROR_CODES),
    "http://terminology.hl7.org/CodeSystem/operation-outcome": _HL7_CODES,
    "http://hl7.org/fhir/ValueSet/operation-outcome": _HL7_CODES,
}

SEVERITIES: Final = frozenset({"fatal", "error", "warning", "information"})
#: FHIR R4, value set issue-type (required binding of OperationOutcome.issue.code).
_TYPES_LISTED: Final = (
    "invalid structure required value invariant security login unknown expired forbidden suppressed processing "
    "not-supported duplicate multiple-matches not-found deleted too-long code-invalid extension too-costly "
    "business-rule conflict transient lock-error no-store exception timeout incomplete throttled informational"
)
ISSUE_TYPES: Final = frozenset(_TYPES_LISTED.split())

_USE: Final = "MessageHeader.destination.extension:use.valueCoding"

_CONSTRAINTS: Final = (
    Constraint("Bundle.entry", min=1, rule="bdl-12"),
    Constraint("Bundle.total", max=0, rule="bdl-1"),
    Constraint("Bundle.entry.search", max=0, rule="bdl-2"),
    Constraint("Bundle.entry.request", max=0, rule="bdl-3"),
    Constraint("Bundle.entry.response", max=0, rule="bdl-4"),
    Constraint("Bundle.entry.resource", min=1, rule="bdl-5"),
    Constraint("Bundle.entry.fullUrl", min=1, rule="6.6"),
    Constraint("MessageHeader.id", min=1),
    Constraint("MessageHeader.eventUri", max=0, rule="MessageHeader.event[x]", remedy="send eventCoding"),
    Constraint("MessageHeader.eventCoding.system", min=1, fixed=(EVENT_SYSTEM,), rule="MessageHeader.event[x]"),
    Constraint("MessageHeader.eventCoding.code", min=1, fixed=(ACKNOWLEDGEMENT_EVENT,), rule="MessageHeader.event[x]"),
    Constraint("MessageHeader.destination", min=1, rule="MessageHeader.destination:primary"),
    Constraint("MessageHeader.destination.extension", min=1, rule="MessageHeader.destination:primary"),
    Constraint(f"{_USE}.system", min=1, fixed=(DESTINATION_USE_SYSTEM,), rule="MessageHeader.destination:primary"),
    Constraint(f"{_USE}.code", min=1, fixed=("primary",), rule="MessageHeader.destination:cc"),
    Constraint("MessageHeader.destination.receiver", min=1, rule="MessageHeader.destination:primary.receiver"),
    Constraint("MessageHeader.sender", min=1),
    Constraint("MessageHeader.focus", max=0, rule="4.1", remedy="send no content: an acknowledgement has none"),
    Constraint("MessageHeader.response", min=1),
    Constraint("Organization.identifier", min=1),
    Constraint("Provenance.target", max=1),
    Constraint("Provenance.occurredPeriod", max=0, rule="Provenance.occurred[x]", remedy="send occurredDateTime"),
    Constraint("Provenance.occurredDateTime", min=1, rule="Provenance.occurred[x]"),
    Constraint("Provenance.activity", min=1),
    Constraint("Provenance.activity.coding", min=1),
    Constraint("Provenance.activity.coding.system", fixed=(ACTIVITY_SYSTEM,), rule="Provenance.activity"),
    Constraint("Provenance.activity.coding.code", min=1),
    Constraint("OperationOutcome.issue.code", codes=ISSUE_TYPES),
)
_EXTENSIONS: Final = (
    Extension("MessageHeader.destination.extension", "use", DESTINATION_USE_URL, "valueCoding", min=1),
)
#: The shape and profile of a received acknowledgement, from a JSON value to findings. An extension that we do not know
#: is a warning (00 §8.3).
CHECK: Final[Check] = Compiler(
    Profile(
        _CONSTRAINTS,
        _EXTENSIONS,
        {"Organization.identifier[]": (organization_identifiers, sor_digits)},
    )
).check("Bundle")
