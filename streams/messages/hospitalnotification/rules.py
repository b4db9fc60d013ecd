"""The hospital notification's profiles as rows: what they narrow of base FHIR, element by element.

Decided by the packages of spec 01, 1.2 (hospitalnotification 3.0.2, messaging 2.1.0, medcom core 2.3.0, dk.core
2.2.0, terminology 1.5.0); a test compares every row with their StructureDefinitions and value sets. The rows that all
messages share, and the identifiers of organizations, are in `messages/common.py`. What elements must be together
(chain, references, times) is in `check.py`.

Which of the eighteen notices a message is (spec 01 §9.2), and which combinations of codes a notice has (§10), stands here
too. MORS has no activity of its own: it repeats the current one and is known by `deceasedBoolean`. So RE_MORS differs
from MORS only by its predecessor: a death that the reader knows of, or one that the chain itself shows.
"""

import re
from collections.abc import Container, Iterator
from functools import lru_cache
from typing import Final

from streams.formats.fhir.shapes import instant_of
from streams.formats.fhir.structure import Check, Constraint, Extension, Finding, Profile
from streams.messages.common import (
    CORE,
    DESTINATION_USE_URL,
    MESSAGING,
    MESSAGING_ORGANIZATION,
    MESSAGING_PROVENANCE,
    PRIMARY,
    USE,
    Object,
    View,
    activity_of,
    bare_id,
    first,
    organization_identifiers,
    predecessor_of,
    sor_digits,
    target_of,
    text_at,
)
from streams.words.codes import (
    ACT_SYSTEM,
    ACTIVITIES,
    ACTIVITY_SYSTEM,
    CPR_SYSTEM,
    ENCOUNTER_CLASSES,
    ENCOUNTER_STATUSES,
    EVENT_SYSTEM,
    FAMILY_OF_ACTIVITY,
    FHIR_GUIDES,
    HOSPITAL_NOTIFICATION_EVENT,
    LPR3_SYSTEM,
    NOTICES,
    Notice,
    plain_activity,
)
from streams.words.times import COPENHAGEN

_HN: Final = f"{FHIR_GUIDES}ig/hospitalnotification/StructureDefinition/"

#: Canonicals of meta.profile (spec 01 §2). Organization: the messaging profile, or core for a service provider.
PROFILES: Final[dict[str, str]] = {
    "Bundle": _HN + "medcom-hospitalNotification-message",
    "MessageHeader": _HN + "medcom-hospitalNotification-messageHeader",
    "Encounter": _HN + "medcom-hospitalNotification-encounter",
    "Patient": CORE + "medcom-core-patient",
    "Organization": CORE + "medcom-core-organization",
    "MessagingOrganization": MESSAGING_ORGANIZATION,
    "Provenance": MESSAGING_PROVENANCE,
}
REPORT_FLAG_URL: Final = _HN + "medcom-messaging-reportOfAdmissionExtension"
REPORT_RECIPIENT_URL: Final = _HN + "medcom-messaging-reportOfAdmissionRecipientExtension"
LEAVE_PERIOD_URL: Final = _HN + "medcom-hospitalnotifiation-leave-period-extension"  # the spelling is the canonical's

_ENCOUNTER_FORBIDDEN: Final = (
    *("type", "serviceType", "priority", "basedOn", "participant", "appointment", "length", "reasonCode"),
    *("reasonReference", "diagnosis", "account", "hospitalization", "location", "partOf"),
)

_CONSTRAINTS: Final = (
    *MESSAGING,
    Constraint("Bundle.id", min=1),
    Constraint("Bundle.type", fixed=("message",)),
    Constraint("Bundle.timestamp", min=1),
    Constraint("MessageHeader.eventCoding", min=1, rule="MessageHeader.event[x]"),
    Constraint(
        "MessageHeader.eventCoding.code", min=1, fixed=(HOSPITAL_NOTIFICATION_EVENT,), rule="MessageHeader.event[x]"
    ),
    Constraint(
        "MessageHeader.destination", min=1, max=1, rule="medcom-hospitalNotification-5"
    ),  # primary 1..1, cc 0..0
    Constraint(f"{USE}.code", min=1, fixed=("primary",), rule="medcom-hospitalNotification-5"),
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


#: Invariant `cpr` of dk.core 2.2.0 (spec 01 §4: this form, no modulus 11).
_CPR: Final = re.compile(
    r"(?:(?:0[1-9]|[12][0-9]|3[01])(?:01|03|05|07|08|10|12)|(?:0[1-9]|[12][0-9]|30)(?:04|06|09|11)|(?:0[1-9]|[12][0-9])02)"
    r"[0-9]{6}"
)
LPR3_ID: Final = re.compile(
    r"urn:uuid:[a-fA-F0-9]{8}-[a-fA-F0-9]{4}-5[a-fA-F0-9]{3}-[89aAbB][a-fA-F0-9]{3}-[a-fA-F0-9]{12}"
)


def cpr_is_plausible(value: str) -> bool:
    """Ten digits that begin like a date (invariant cpr)."""
    return _CPR.fullmatch(value) is not None


@lru_cache(maxsize=4096)
def is_danish(text: str) -> bool:
    """Whole seconds with the offset that is valid in Denmark at that moment (spec 01, 7.2)."""
    at = instant_of(text)
    if at is None or len(text) != 25:
        return False
    try:
        return at.astimezone(COPENHAGEN).utcoffset() == at.utcoffset()
    except OverflowError:
        return False  # the first and last year of the calendar


def patient_identifiers(identifiers: list[Object]) -> list[Finding] | None:
    """Exactly one identifier, the official CPR number (medcom-hospitalNotification-4, cpr)."""
    found: list[Finding] = []
    for index, identifier in enumerate(identifiers):
        path = f"[{index}]"
        if identifier.get("system") != CPR_SYSTEM or index > 0:
            rule, problem = "medcom-hospitalNotification-4", "an identifier besides the one official CPR number"
            remedy = "send one identifier, the official CPR number; without one no notification is sent (6.4)"
            found.append(Finding(path, rule, problem, remedy))
        elif not cpr_is_plausible(identifier.get("value", "")):
            found.append(Finding(f"{path}.value", "cpr", "not a CPR number", "send ten digits, no hyphen, date first"))
        if identifier.get("use", "official") != "official":  # fixed by dk.core, if sent
            found.append(Finding(f"{path}.use", "Identifier.use", "not official", "send official, or leave use out"))
    return found or None


def official_name(names: list[Object]) -> list[Finding] | None:
    """Slice Patient.name:official: exactly one, with a family name."""
    official = [index for index, name in enumerate(names) if name.get("use") == "official"]
    if len(official) != 1:
        problem = f"{len(official)} official names"
        return [Finding("", "Patient.name:official", problem, "send exactly one name with use official")]
    if "family" not in names[official[0]]:
        path = f"[{official[0]}].family"
        return [Finding(path, "Patient.name:official.family", "missing", "send the family name")]
    return None


def episode_identifiers(references: list[Object]) -> list[Finding] | None:
    """At least one id with system and value (P-12); LPR3 at most once and a UUID v5 (uuidv5: warning, 14.8)."""
    found: list[Finding] = []
    complete, lpr3 = 0, 0
    for index, reference in enumerate(references):
        identifier = reference.get("identifier", {})
        value = identifier.get("value")
        complete += value is not None and "system" in identifier
        if identifier.get("system") == LPR3_SYSTEM:
            lpr3 += 1
            if value is None or LPR3_ID.fullmatch(value) is None:
                problem, remedy = "not urn:uuid: and a UUID of version 5", "send the LPR3 id as issued"
                found.append(Finding(f"[{index}].identifier.value", "uuidv5", problem, remedy, "warning"))
    if lpr3 > 1:
        path = "Encounter.episodeOfCare:lpr3identifier"
        found.append(Finding("", path, "more than one LPR3 id", "send one"))
    if not complete:
        found.append(Finding("", "P-12", "no id with system and value", "send the local episode-of-care id"))
    return found or None


def hospital_activity(codings: list[Object]) -> list[Finding] | None:
    """P-11, the meaning of the vacuous medcom-hospitalNotification-3; the system is not case-sensitive (spec 01 §9)."""
    if any(c.get("system") == ACTIVITY_SYSTEM and c["code"].lower() in ACTIVITIES for c in codings):
        return None
    remedy = f"send one of the {len(ACTIVITIES)} codes of medcom-hospitalNotification-messageActivities"
    return [Finding("[0].code", "P-11", "not an activity of a hospital notification", remedy)]


_WHOLES: Final[dict[str, tuple[Check, ...]]] = {
    "Provenance.activity.coding[]": (hospital_activity,),
    "Encounter.episodeOfCare[]": (episode_identifiers,),
    "Patient.identifier[]": (patient_identifiers,),
    "Patient.name[]": (official_name,),
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


def _meta(*profiles: str) -> tuple[dict[str, list[str]], ...]:
    return tuple({"profile": [PROFILES[profile]]} for profile in profiles)


ENTRIES: Final = ("MessageHeader", "Encounter", "Patient", "Organization", "Provenance")

#: Rows for what we send only: text, meta.profile, one coding, one agent (decided in spec 01 §§2.3, 3, 5).
_OWN: Final = (
    *[Constraint(f"{kind}.id", min=1, rule="P-5") for kind in ENTRIES],
    *[Constraint(f"{kind}.text", min=1, rule="5.1") for kind in ENTRIES],
    *[
        Constraint(f"{kind}.meta", min=1, fixed=_meta(kind), rule="2.3")
        for kind in ("Bundle", "MessageHeader", "Encounter", "Patient", "Provenance")
    ],
    Constraint("MessageHeader.eventCoding", min=1, fixed=(_EVENT,), rule="MessageHeader.event[x]"),
    Constraint("MessageHeader.destination.extension", min=1, fixed=([PRIMARY],), rule="medcom-hospitalNotification-5"),
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


#: What a receiver refuses. An extension that it does not know is a warning: it need not understand what it does not
#: show (00 §8.3).
INCOMING: Final = Profile(
    _CONSTRAINTS, _EXTENSIONS, _WHOLES | {"Organization.identifier[]": (organization_identifiers, sor_digits)}
)
#: What we hold ourselves to: our own rows in the place of rows about the same element.
OUTGOING: Final = Profile(
    tuple({row.path: row for row in (*_CONSTRAINTS, *_OWN)}.values()),
    _EXTENSIONS,
    _WHOLES,
    _EMITTED,
    well_formed_narrative=False,
)


# ---- which notice a message is -----------------------------------------------------------------------------------------

_PREFIX: Final = {"cancel-": "AN_", "revise-": "RE_"}

Combination = tuple[Notice, str, str | None, bool | None, str]


def classify(activity: str, role: str, deceased: bool | None, *, after_death: bool) -> Notice | None:
    """The notice of a message from its current Provenance and Patient.deceasedBoolean; None for a foreign activity.

    `after_death`: the message it follows (entity.what) was itself a MORS.
    """
    code = activity.lower()
    family = FAMILY_OF_ACTIVITY.get(plain_activity(code))
    if family is None:
        return None
    if deceased:
        return Notice.RE_MORS if after_death else Notice.MORS
    if deceased is False and role == "removal" and not code.startswith("cancel-"):
        return Notice.AN_MORS
    return Notice(_PREFIX.get(code[:7], "") + family)


def notice_of(view: View, deaths: Container[str] = ()) -> Notice | None:
    """The notice of a message, None when its current Provenance has none.

    `deaths`: MessageHeader ids that the reader knows to be a MORS of this stay (9.2, 2).
    """
    if not view.current:
        return None
    provenance = view.current[0][1]
    deceased = view.patient[1].get("deceasedBoolean")
    return classify(
        activity_of(provenance),
        text_at(first(provenance, "entity"), "role") or "",
        deceased if isinstance(deceased, bool) else None,
        after_death=bare_id(predecessor_of(provenance)) in deaths or _is_after_death(view, provenance),
    )


def _is_after_death(view: View, provenance: Object) -> bool:
    """Whether the chain itself shows that the message before this one was a MORS (spec 01, 9.2).

    A MORS repeats the plain activity of its own predecessor with role revision; no other progress message does.
    """
    by_target = {target_of(p[1]): p[1] for p in view.provenances}
    before = by_target.get(predecessor_of(provenance))
    if before is None or before is provenance:
        return False
    earlier = by_target.get(predecessor_of(before))
    activity = activity_of(before)
    return (
        earlier is not None
        and text_at(first(before, "entity"), "role") == "revision"
        and not activity.startswith(("revise-", "cancel-"))
        and activity_of(earlier) == activity
    )


def _combinations() -> Iterator[Combination]:
    for notice, row in NOTICES.items():
        classes: tuple[str, ...] = ("EMER", "IMP")
        if len(set(row.activity.values())) == 1:  # the activity names the contact type: emergency, else inpatient
            classes = ("EMER",) if row.activity["EMER"].endswith("emergency") else ("IMP",)
        # Deaths on arrival are `in-progress` in the test scripts (10.3); AN_MORS restores what was before.
        statuses = [row.status, "in-progress"] if row.deceased else [row.status]
        if notice is Notice.AN_MORS:
            statuses = ["in-progress", "onleave"]
        roles = ["removal"] if notice.is_cancellation else ["revision"]
        if notice in (Notice.STAA, Notice.STIN, Notice.MORS):
            roles.append("")
        yield from (
            (notice, class_, status, row.deceased, role) for class_ in classes for status in statuses for role in roles
        )
        if notice is Notice.SLHJ and row.status:  # of an acute stay whose start had no form in letters (05 §6.4)
            yield notice, "EMER", row.status, row.deceased, ""


#: (notice, class, status, deceased, role) as spec 01 §10 has them: rule P-2.
COMBINATIONS: Final = frozenset(_combinations())
