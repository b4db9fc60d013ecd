"""Is a status event right: the two profiles of EHMI Delivery Status as tables, over any JSON (spec 03 §2).

Decided by the EDS implementation guide 1.0.2, spec 03 §§2.1-2.4 and §9. A FHIR library accepts events that break every
profile, so the profiles are checked here: cardinalities, closed lists of details, and our own rule that an event
without a patient never carries a CPR number. What is merely unusual, such as names in place of numbers, is a warning; so is, in an
event of others, the one defect that published events have (03 §2.4).
"""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from streams.formats.fhir.read import document
from streams.formats.fhir.structure import Finding, base_check
from streams.messages.common import Object, listed, member, text_at
from streams.records.trace import (
    ENTITIES,
    ENTITY_SYSTEM,
    OTHER_ID,
    PROFILES,
    ROLE_SYSTEM,
    SOURCE_SYSTEM,
    SOURCES,
    SUBTYPE_SYSTEM,
    SUBTYPES,
    TYPE_SYSTEM,
    Profile,
)
from streams.words.errors import Issue, Rejected, Severity, judgement

KIND: Final = "eds-event"
_ELEMENTS, _ENTITIES, _VALUES, _PRIVACY = "03 §2.1", "03 §2.2", "03 §2.3", "03 §9"
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_GLN: Final = re.compile(r"\d{13}")
_CPR: Final = re.compile(r"\d{10}")


class Slice(NamedTuple):
    """One entity type: how often, and its details with (least, most); other details are not allowed (03 §2.2)."""

    low: int
    details: dict[str, int]  # detail type -> 1 when mandatory, else 0; each at most once
    closed: bool = True


_MESSAGE: Final = {"ehmiMessageType": 1, "ehmiMessageVersion": 1}
_TRANSPORT: Final = {"ehmiTransportEnvelopeType": 0, "ehmiTransportEnvelopeVersion": 0}
#: 03 §2.2; each at most once. How often a patient occurs depends on the profile.
SLICES: Final[dict[str, Slice]] = {
    "ehmiPatient": Slice(0, {}),
    "ehmiMessage": Slice(1, _MESSAGE | {"ehmiStatisticalInfo": 0}),
    "ehmiMessageEnvelope": Slice(0, {"ehmiMessageEnvelopeType": 0}, closed=False),
    "ehmiTransportEnvelope": Slice(0, _TRANSPORT),
    "ehmiOrigMessage": Slice(0, _MESSAGE),
    "ehmiOrigTransportEnvelope": Slice(0, _TRANSPORT),
}
_LEAST_ENTITIES: Final[dict[Profile, int]] = {"patient": 3, "basic": 2}
#: Single values: path, values that are allowed, what to send (03 §2.1).
FIXED: Final[tuple[tuple[str, frozenset[str], str], ...]] = (
    ("action", frozenset({"C"}), "C"),
    ("outcome", frozenset({"0", "8"}), "0 for success or 8 for serious failure"),
)
FORBIDDEN: Final = ("period", "outcomeDesc", "purposeOfEvent")


def inspect(data: bytes) -> Object:
    """`kind`, `valid`, `issues`, `reading` of a status event in JSON or XML (acceptance.md). Never raises on content."""
    try:
        read = document(data)
        event, issues = read.resource, read.beside(check(read.resource))
    except Rejected as rejected:
        event, issues = {}, [rejected.issue()]
    return judgement(KIND, issues, reading(event))


def check(event: Object, *, outgoing: bool = False) -> list[Issue]:
    """Every departure of an AuditEvent from its profile, then what base FHIR finds wrong at other places: unknown
    elements, values of other types. `outgoing`: one of ours, to which nothing is forgiven.
    """
    if event.get("resourceType") != "AuditEvent":
        return [_issue("error", "resourceType", _ELEMENTS, "not an AuditEvent", "send an AuditEvent")]
    found = [issue for rule in RULES for issue in rule(event)]
    if outgoing:
        found = [msgspec.structs.replace(issue, severity="error") for issue in found]
    named = {issue.path for issue in found}
    try:
        base = base_check(event)
    except RecursionError:
        base = [Finding("", "json", "nested too deep", "send the elements of the profile")]
    for path, rule, problem, remedy, severity in base:
        if severity == "error" and f"AuditEvent{path}" not in named:
            found.append(_issue("error", path.removeprefix("."), rule, problem, remedy))
    return found


def profile_of(event: Object) -> Profile:
    """The profile an event states, or without one the one it looks like."""
    stated = listed(member(event, "meta"), "profile")
    for name, url in PROFILES.items():
        if url in stated:
            return name
    return "patient" if _entities_of(event, "ehmiPatient") else "basic"


def reading(event: Object) -> Object:
    """The content of an event, as written; None for what it does not have."""
    names = (
        "ehmiMessage",
        "ehmiMessageEnvelope",
        "ehmiTransportEnvelope",
        "ehmiOrigMessage",
        "ehmiOrigTransportEnvelope",
    )
    ids = [next((_identifier(entity, "what") for _, entity in _entities_of(event, name)), None) for name in names]
    sender, receiver = (
        next((_identifier(agent, "who") for _, agent in _agents_of(event, role)), None)
        for role in ("ehmiSender", "ehmiReceiver")
    )
    return {
        "profile": profile_of(event) if event else None,
        "subtype": _text(_first(event, "subtype"), "code"),
        "outcome": _text(event, "outcome"),
        "recorded": _text(event, "recorded"),
        "sender_sor": sender,
        "receiver_sor": receiver,
        "source_type": _text(_first(member(event, "source"), "type"), "code"),
        "message_id": ids[0],
        "message_envelope_id": ids[1],
        "transport_envelope_id": ids[2],
        "original_message_id": ids[3],
        "original_transport_envelope_id": ids[4],
    }


# ---- rules ------------------------------------------------------------------------------------------------------


def _issue(severity: Severity, path: str, rule: str, problem: str, remedy: str) -> Issue:
    return Issue(severity=severity, path=f"AuditEvent.{path}", rule=rule, problem=problem, remedy=remedy)


def values(event: Object) -> Iterator[Issue]:
    """Single values: fixed, forbidden, the time, the profile."""
    for name, allowed, remedy in FIXED:
        if _text(event, name) not in allowed:
            problem = "missing" if name not in event else "a value that the profile excludes"
            yield _issue("error", name, _ELEMENTS, problem, f"send {remedy}")
    for name in FORBIDDEN:
        if name in event:
            yield _issue("error", name, _ELEMENTS, "not allowed in a status event", "leave it out")
    if not _is_instant(event.get("recorded")):
        problem, remedy = "no time with seconds and zone", "send YYYY-MM-DDThh:mm:ss.sss+01:00"
        yield _issue("error", "recorded", _ELEMENTS, problem, remedy)
    stated = listed(member(event, "meta"), "profile")
    if not any(url in stated for url in PROFILES.values()):
        yield _issue("warning", "meta.profile", _ELEMENTS, "no profile of EDS stated", "state the profile")


def _is_instant(value: object) -> bool:
    if not isinstance(value, str) or _INSTANT.fullmatch(value) is None:
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def codes(event: Object) -> Iterator[Issue]:
    """Type and subtype."""
    kind = member(event, "type")
    if (kind.get("system"), kind.get("code")) != (TYPE_SYSTEM, "ehmiMessaging"):
        yield _issue("error", "type", _ELEMENTS, "not ehmiMessaging", f"send ehmiMessaging of {TYPE_SYSTEM}")
    subtypes = _objects(event, "subtype")
    if len(subtypes) != 1:
        yield _issue("error", "subtype", "03 §3", f"{len(subtypes)} codings", "send exactly one")
    for index, subtype in enumerate(subtypes):
        if subtype.get("system") != SUBTYPE_SYSTEM or _text(subtype, "code") not in SUBTYPES:
            remedy = f"send a code of {SUBTYPE_SYSTEM}"
            yield _issue("error", f"subtype[{index}]", "03 §3", "no status code of EDS", remedy)


def agents(event: Object) -> Iterator[Issue]:
    """Two to four agents, one sender and one receiver among them, each named by its SOR code."""
    count = len(_objects(event, "agent"))
    if not 2 <= count <= 4:
        yield _issue("error", "agent", _ELEMENTS, f"{count} agents", "send sender and receiver")
    for role, requests in (("ehmiSender", True), ("ehmiReceiver", False)):
        found = _agents_of(event, role)
        if len(found) != 1:
            yield _issue("error", "agent", _ELEMENTS, f"{len(found)} agents {role}", f"send exactly one {role}")
        for number, agent in found:
            path = f"agent[{number}]"
            if agent.get("requestor") is not requests:
                remedy = f"send {str(requests).lower()}"
                yield _issue("error", f"{path}.requestor", _ELEMENTS, "missing or the other value", remedy)
            if not _identifier(agent, "who"):
                yield _issue("error", f"{path}.who.identifier.value", _ELEMENTS, "missing", "send the SOR code")
            for index, extension in enumerate(_objects(agent, "extension")):
                value = _text(member(extension, "valueIdentifier"), "value")
                if extension.get("url") == OTHER_ID and not (value and _GLN.fullmatch(value)):
                    place, problem = f"{path}.extension[{index}]", "no number of 13 digits"
                    yield _issue("warning", place, _ELEMENTS, problem, "send the bare GLN")


def source(event: Object) -> Iterator[Issue]:
    """The station: which kind, and its device."""
    station = member(event, "source")
    types = _objects(station, "type")
    if len(types) != 1 or _text(types[0], "code") not in SOURCES or types[0].get("system") != SOURCE_SYSTEM:
        yield _issue("error", "source.type", _ELEMENTS, "not one kind of station", f"send one code of {SOURCE_SYSTEM}")
    observer = member(station, "observer")
    if not observer:
        yield _issue("error", "source.observer", _ELEMENTS, "missing", "send the EER device id of the station")
    elif not _text(member(observer, "identifier"), "value"):
        problem, remedy = "a reference in place of the device id", "send identifier.value: the EER device id"
        yield _issue("warning", "source.observer", "03 §2.4", problem, remedy)


def entities(event: Object) -> Iterator[Issue]:
    """What the event is about: how many of each, and each one's content."""
    profile, every = profile_of(event), _objects(event, "entity")
    if len(every) < _LEAST_ENTITIES[profile]:
        remedy = f"send at least {_LEAST_ENTITIES[profile]}"
        yield _issue("error", "entity", _ELEMENTS, f"{len(every)} entities", remedy)
    patients = len(_entities_of(event, "ehmiPatient"))
    if profile == "patient" and patients == 0:
        yield _issue("error", "entity", _ENTITIES, "no entity ehmiPatient", "send the patient, or the basic profile")
    if profile == "basic" and patients:
        remedy = "leave the patient out: the basic profile is for what has none"
        yield _issue("error", "entity", _PRIVACY, "ehmiPatient in a basic delivery status", remedy)
    for name, row in SLICES.items():
        found = _entities_of(event, name)
        if not row.low <= len(found) <= 1:
            yield _issue("error", "entity", _ENTITIES, f"{len(found)} entities {name}", f"send {name} once")
        for index, entity in found:
            yield from _details(entity, row, f"entity[{index}]")
    for index, entity in enumerate(every):
        path, value, kind = f"entity[{index}]", _identifier(entity, "what"), member(entity, "type")
        if not value:
            known = kind.get("code") == "ehmiMessageEnvelope" and "what" not in entity  # published so: 03 §2.4
            severity: Severity = "warning" if known else "error"
            remedy = "send its id, or leave the entity out"
            yield _issue(severity, f"{path}.what.identifier", _ENTITIES, "missing", remedy)
        for name in ("system", "code", "display"):
            if not _text(kind, name):
                yield _issue("error", f"{path}.type.{name}", _ELEMENTS, "missing", "send code, system and display")
        if _text(kind, "code") in ENTITIES and kind.get("system") != ENTITY_SYSTEM:
            yield _issue("error", f"{path}.type.system", _ENTITIES, "another system", f"send {ENTITY_SYSTEM}")
        if value and kind.get("code") == "ehmiPatient" and not _CPR.fullmatch(value):
            yield _issue("warning", f"{path}.what.identifier", _ENTITIES, "not ten digits", "send the CPR number")


def _details(entity: Object, row: Slice, path: str) -> Iterator[Issue]:
    details = _objects(entity, "detail")
    names = [_text(detail, "type") for detail in details]
    for name, least in row.details.items():
        if not least <= names.count(name) <= 1:
            yield _issue("error", f"{path}.detail", _VALUES, f"{names.count(name)} of {name}", f"send {name} once")
    for index, detail in enumerate(details):
        here = f"{path}.detail[{index}]"
        if not _text(detail, "valueString") or not _text(detail, "type"):
            yield _issue("error", here, _ELEMENTS, "type or valueString missing", "send both as text")
        if row.closed and names[index] not in row.details:
            yield _issue("error", here, _ENTITIES, "a detail that this entity does not have", "leave it out")


#: Every rule about an AuditEvent that claims to be a status event, with its source.
RULES: Final = (
    values,  # 03 §2.1
    codes,  # 03 §2.1, §3
    agents,  # 03 §2.1
    source,  # 03 §2.1, §2.4
    entities,  # 03 §2.2, §2.3, §9
)


# ---- looking things up in any JSON ------------------------------------------------------------------------------


def _objects(parent: Object, name: str) -> list[Object]:
    return [item for item in listed(parent, name) if isinstance(item, dict)]


def _first(parent: Object, name: str) -> Object:
    return next(iter(_objects(parent, name)), {})


def _text(parent: Object, name: str) -> str | None:
    """The string under a name; None when there is none, or an empty one."""
    return text_at(parent, name) or None


def _identifier(parent: Object, name: str) -> str | None:
    """The value of the Reference by identifier under a name: whom or what an agent or entity is."""
    return _text(member(member(parent, name), "identifier"), "value")


def _agents_of(event: Object, role: str) -> list[tuple[int, Object]]:
    return [
        (index, agent)
        for index, agent in enumerate(_objects(event, "agent"))
        if any(
            (coding.get("system"), coding.get("code")) == (ROLE_SYSTEM, role)
            for coding in _objects(member(agent, "type"), "coding")
        )
    ]


def _entities_of(event: Object, code: str) -> list[tuple[int, Object]]:
    """Entities of a type by its code alone: a patient in another system is a patient all the same."""
    every = enumerate(_objects(event, "entity"))
    return [(index, entity) for index, entity in every if member(entity, "type").get("code") == code]
