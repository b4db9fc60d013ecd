"""The hospital notification's profiles as rows: what they narrow of base FHIR, element by element.

Decided by the packages of spec 01, 1.2 (hospitalnotification 3.0.2, messaging 2.1.0, medcom core 2.3.0, dk.core
2.2.0, terminology 1.5.0); a test compares every row with their StructureDefinitions and value sets. What elements say
together (chain, references, times) is in `graph.py`; numbers and check digits are in `identifiers.py`.
"""

import re
from typing import Any, Final

from streams.formats.fhir.pieces import Check, Finding
from streams.formats.fhir.structure import Constraint, Extension, Profile
from streams.formats.fhir.xhtml import is_narrative
from streams.words.codes import (
    ACT_SYSTEM,
    ACTIVITIES,
    ACTIVITY_SYSTEM,
    CPR_SYSTEM,
    DESTINATION_USE_SYSTEM,
    ENCOUNTER_CLASSES,
    ENCOUNTER_STATUSES,
    EVENT_SYSTEM,
    FHIR_GUIDES,
    GLN_SYSTEM,
    HOSPITAL_NOTIFICATION_EVENT,
    SOR_SYSTEM,
)

from .identifiers import episode_identifiers, organization_identifiers, patient_identifiers, sor_digits

__all__ = ["INCOMING", "OUTGOING", "PROFILES"]

_HN: Final = f"{FHIR_GUIDES}ig/hospitalnotification/StructureDefinition/"
_CORE: Final = f"{FHIR_GUIDES}ig/core/StructureDefinition/"
_MESSAGING: Final = f"{FHIR_GUIDES}ig/messaging/StructureDefinition/"

#: Canonicals of meta.profile (spec 01 §2). Organization: the messaging profile, or core for a service provider.
PROFILES: Final[dict[str, str]] = {
    "Bundle": _HN + "medcom-hospitalNotification-message",
    "MessageHeader": _HN + "medcom-hospitalNotification-messageHeader",
    "Encounter": _HN + "medcom-hospitalNotification-encounter",
    "Patient": _CORE + "medcom-core-patient",
    "Organization": _CORE + "medcom-core-organization",
    "MessagingOrganization": _MESSAGING + "medcom-messaging-organization",
    "Provenance": _MESSAGING + "medcom-messaging-provenance",
}
DESTINATION_USE_URL: Final = _MESSAGING + "medcom-messaging-destinationUseExtension"
REPORT_FLAG_URL: Final = _HN + "medcom-messaging-reportOfAdmissionExtension"
REPORT_RECIPIENT_URL: Final = _HN + "medcom-messaging-reportOfAdmissionRecipientExtension"
LEAVE_PERIOD_URL: Final = _HN + "medcom-hospitalnotifiation-leave-period-extension"  # the spelling is the canonical's

_ENCOUNTER_FORBIDDEN: Final = (
    *("type", "serviceType", "priority", "basedOn", "participant", "appointment", "length", "reasonCode"),
    *("reasonReference", "diagnosis", "account", "hospitalization", "location", "partOf"),
)
_RELATIVE: Final = re.compile(r"[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64}")
_USE: Final = "MessageHeader.destination.extension:use.valueCoding"

_CONSTRAINTS: Final = (
    Constraint("Bundle.id", min=1),
    Constraint("Bundle.type", fixed=("message",)),
    Constraint("Bundle.timestamp", min=1),
    Constraint("Bundle.entry", min=1, rule="bdl-12"),
    Constraint("Bundle.total", max=0, rule="bdl-1"),  # bdl-1 to bdl-5: what a Bundle of type message has
    Constraint("Bundle.entry.search", max=0, rule="bdl-2"),
    Constraint("Bundle.entry.request", max=0, rule="bdl-3"),
    Constraint("Bundle.entry.response", max=0, rule="bdl-4"),
    Constraint("Bundle.entry.resource", min=1, rule="bdl-5"),
    Constraint("Bundle.entry.fullUrl", min=1, rule="6.6"),
    Constraint("MessageHeader.id", min=1),
    Constraint("MessageHeader.eventCoding", min=1, rule="MessageHeader.event[x]"),
    Constraint("MessageHeader.eventUri", max=0, rule="MessageHeader.event[x]", remedy="send eventCoding"),
    Constraint("MessageHeader.eventCoding.system", min=1, fixed=(EVENT_SYSTEM,), rule="MessageHeader.event[x]"),
    Constraint(
        "MessageHeader.eventCoding.code", min=1, fixed=(HOSPITAL_NOTIFICATION_EVENT,), rule="MessageHeader.event[x]"
    ),
    Constraint(
        "MessageHeader.destination", min=1, max=1, rule="medcom-hospitalNotification-5"
    ),  # primary 1..1, cc 0..0
    Constraint("MessageHeader.destination.extension", min=1, rule="MessageHeader.destination:primary"),
    Constraint(f"{_USE}.system", min=1, fixed=(DESTINATION_USE_SYSTEM,), rule="MessageHeader.destination:primary"),
    Constraint(f"{_USE}.code", min=1, fixed=("primary",), rule="medcom-hospitalNotification-5"),
    Constraint("MessageHeader.destination.receiver", min=1, rule="MessageHeader.destination:primary.receiver"),
    Constraint("MessageHeader.sender", min=1),
    Constraint("MessageHeader.focus", min=1, max=1),
    *[Constraint(f"Encounter.{name}", max=0) for name in _ENCOUNTER_FORBIDDEN],
    Constraint("Encounter.extension:leavePeriod.valuePeriod.start", min=1),
    Constraint("Encounter.status", codes=ENCOUNTER_STATUSES),
    Constraint("Encounter.class.system", min=1, fixed=(ACT_SYSTEM,), rule="Encounter.class"),
    Constraint("Encounter.class.code", min=1, codes=ENCOUNTER_CLASSES, rule="Encounter.class"),
    Constraint("Encounter.subject", min=1),
    Constraint("Encounter.episodeOfCare", min=1),
    Constraint("Encounter.episodeOfCare.reference", max=0),
    Constraint("Encounter.episodeOfCare.identifier", min=1),
    Constraint("Encounter.period", min=1),
    Constraint("Encounter.period.start", min=1),
    Constraint("Encounter.serviceProvider", min=1),
    Constraint("Patient.identifier", min=1),
    Constraint("Patient.name", min=1),
    Constraint("Organization.identifier", min=1),
    Constraint("Provenance.target", max=1),
    Constraint("Provenance.occurredPeriod", max=0, rule="Provenance.occurred[x]", remedy="send occurredDateTime"),
    Constraint("Provenance.occurredDateTime", min=1, rule="Provenance.occurred[x]"),
    Constraint("Provenance.activity", min=1),
    Constraint("Provenance.activity.coding", min=1),
    Constraint("Provenance.activity.coding.code", min=1),
    Constraint(
        "Reference.reference",
        pattern=r"(?:[a-z][a-z0-9+.\-]*:|#)\S+|[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?",
        rule="Reference.reference",
        remedy="send <Type>/<id>",
    ),
)

_EXTENSIONS: Final = (
    Extension("MessageHeader.extension", "reportOfAdmissionFlag", REPORT_FLAG_URL, "valueBoolean"),
    Extension("MessageHeader.extension", "reportOfAdmissionRecipient", REPORT_RECIPIENT_URL, "valueReference"),
    Extension("MessageHeader.destination.extension", "use", DESTINATION_USE_URL, "valueCoding", min=1),
    Extension("Encounter.extension", "leavePeriod", LEAVE_PERIOD_URL, "valuePeriod"),
)


def _official_name(listed: list[dict[str, Any]]) -> list[Finding] | None:
    """Slice Patient.name:official: exactly one, with a family name."""
    official = [index for index, name in enumerate(listed) if name.get("use") == "official"]
    if len(official) != 1:
        problem = f"{len(official)} official names"
        return [Finding("", "Patient.name:official", problem, "send exactly one name with use official")]
    if "family" not in listed[official[0]]:
        path = f"[{official[0]}].family"
        return [Finding(path, "Patient.name:official.family", "missing", "send the family name")]
    return None


def _a_hospital_activity(codings: list[dict[str, Any]]) -> list[Finding] | None:
    """P-11, the meaning of the vacuous medcom-hospitalNotification-3; the system is not case-sensitive (spec 01 §9)."""
    if any(c.get("system") == ACTIVITY_SYSTEM and c["code"].lower() in ACTIVITIES for c in codings):
        return None
    remedy = f"send one of the {len(ACTIVITIES)} codes of medcom-hospitalNotification-messageActivities"
    return [Finding("[0].code", "P-11", "not an activity of a hospital notification", remedy)]


_WHOLES: Final[dict[str, tuple[Check, ...]]] = {
    "Provenance.activity.coding[]": (_a_hospital_activity,),
    "Encounter.episodeOfCare[]": (episode_identifiers,),
    "Patient.identifier[]": (patient_identifiers,),
    "Patient.name[]": (_official_name,),
    "Organization.identifier[]": (organization_identifiers,),
}

#: The elements we send, and no others (spec 01 §3: data minimisation), by type or by path where it differs.
_EMITTED: Final[dict[str, frozenset[str]]] = {
    where: frozenset(names.split())
    for where, names in {
        "Bundle": "id meta type timestamp entry",
        "Bundle.entry": "fullUrl resource",
        "MessageHeader": "id meta text extension eventCoding destination sender source focus",
        "MessageHeader.destination": "extension endpoint receiver",
        "MessageHeader.source": "endpoint",
        "Encounter": "id meta text extension status class subject episodeOfCare period serviceProvider",
        "Encounter.episodeOfCare": "identifier",
        "Patient": "id meta text identifier name deceasedBoolean",
        "Organization": "id meta text identifier name",
        "Provenance": "id meta text target occurredDateTime recorded activity agent entity",
        "Provenance.agent": "who",
        "Provenance.entity": "role what agent",
        "Provenance.entity.what": "reference identifier",
        "Provenance.entity.what.identifier": "value",
        "Narrative": "status div",
        "Identifier": "system value",
        "HumanName": "use family given",
        "Period": "start end",
        "Coding": "system code",
        "CodeableConcept": "coding",
        "Reference": "reference",
    }.items()
}

_EVENT: Final = {"system": EVENT_SYSTEM, "code": HOSPITAL_NOTIFICATION_EVENT}
_PRIMARY: Final = {"url": DESTINATION_USE_URL, "valueCoding": {"system": DESTINATION_USE_SYSTEM, "code": "primary"}}


def _meta(*profiles: str) -> tuple[dict[str, list[str]], ...]:
    return tuple({"profile": [PROFILES[profile]]} for profile in profiles)


_ENTRIES: Final = ("MessageHeader", "Encounter", "Patient", "Organization", "Provenance")

#: Rows for what we send only: text, meta.profile, one coding, one agent (decided in spec 01 §§2.3, 3, 5).
_OWN: Final = (
    *[Constraint(f"{kind}.id", min=1, rule="P-5") for kind in _ENTRIES],
    *[Constraint(f"{kind}.text", min=1, rule="5.1") for kind in _ENTRIES],
    *[
        Constraint(f"{kind}.meta", min=1, fixed=_meta(kind), rule="2.3")
        for kind in ("Bundle", "MessageHeader", "Encounter", "Patient", "Provenance")
    ],
    Constraint("MessageHeader.eventCoding", min=1, fixed=(_EVENT,), rule="MessageHeader.event[x]"),
    Constraint("MessageHeader.destination.extension", min=1, fixed=([_PRIMARY],), rule="medcom-hospitalNotification-5"),
    Constraint("Encounter.class", fixed=tuple({"system": ACT_SYSTEM, "code": c} for c in sorted(ENCOUNTER_CLASSES))),
    Constraint("Organization.meta", min=1, fixed=_meta("MessagingOrganization", "Organization"), rule="2.3"),
    Constraint("Narrative.status", codes=frozenset({"generated", "extensions"}), rule="5.2"),
    Constraint("Organization.name", min=1, rule="3.5"),
    Constraint("Patient.identifier.system", min=1, fixed=(CPR_SYSTEM,), rule="medcom-hospitalNotification-4"),
    Constraint("Provenance.activity.coding", min=1, max=1, rule="3.7"),
    Constraint("Provenance.activity.coding.code", min=1, codes=ACTIVITIES, rule="P-11"),
    Constraint("Provenance.agent", max=1, rule="3.7"),
    Constraint("Provenance.entity", max=1, rule="3.7"),
)


def _is_plain_reference(value: Any) -> bool:
    return (
        value.__class__ is dict
        and len(value) == 1
        and (written := value.get("reference")).__class__ is str
        and _RELATIVE.fullmatch(written) is not None
    )


def _is_plain_identifier(value: Any) -> bool:
    return (
        value.__class__ is dict
        and len(value) == 2
        and value.get("system") in (SOR_SYSTEM, GLN_SYSTEM)
        and (number := value.get("value")).__class__ is str
        and number.isalnum()
    )


def _is_plain_narrative(value: Any) -> bool:
    return (
        value.__class__ is dict
        and len(value) == 2
        and value.get("status") in ("generated", "extensions")
        and is_narrative(value.get("div"))
    )


#: The forms our writer gives to what a message holds most of: recognised at once, explained by the full test.
_SHORTCUTS: Final = {
    "Reference": _is_plain_reference,
    "Identifier": _is_plain_identifier,
    "Narrative": _is_plain_narrative,
}


def _merged(rows: tuple[Constraint, ...], more: tuple[Constraint, ...]) -> tuple[Constraint, ...]:
    """The rows, with those of `more` in the place of rows about the same element."""
    return tuple({row.path: row for row in (*rows, *more)}.values())


#: What a receiver refuses. An extension that it does not know is a warning: it need not understand what it does not
#: show (00 §8.3).
INCOMING: Final = Profile(
    _CONSTRAINTS, _EXTENSIONS, _WHOLES | {"Organization.identifier[]": (organization_identifiers, sor_digits)}
)
#: What we hold ourselves to.
OUTGOING: Final = Profile(
    _merged(_CONSTRAINTS, _OWN), _EXTENSIONS, _WHOLES, _EMITTED, _SHORTCUTS, well_formed_narrative=False
)
