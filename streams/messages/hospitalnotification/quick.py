"""The quick test of what we send ourselves: true only of a notification that the full check finds nothing wrong with.

Every message passes it before it leaves, so its cost is the cost of checking (spec 01, 1.9). The shape is tested in C
by structs made from the rows of `rules`; what resources say together is tested here, for the one form our writer gives.
It words nothing and may doubt freely: whatever it does not know as right, deaths included, goes to the full check.
The value is JSON as a parser or our writer makes it.
"""

import re
from functools import lru_cache
from typing import Any, Final

import msgspec

from streams.formats.fhir.narrative import OPENING
from streams.formats.fhir.shapes import PATTERNS, instant_of, is_text
from streams.formats.fhir.structs import struct_of
from streams.messages.common import gln_is_valid
from streams.words.codes import ACTIVITY_SYSTEM, CPR_SYSTEM, GLN_SYSTEM, LPR3_SYSTEM, SOR_SYSTEM

from .notice import COMBINATIONS, classify
from .rules import OUTGOING, PROFILES, cpr_is_plausible, episode_identifiers, is_danish

__all__ = ["is_right"]

_KINDS: Final = ("MessageHeader", "Encounter", "Patient", "Organization", "Provenance")
#: Texts that are compared below with one that is right, or tested by a rule that is stricter than the pattern.
_COMPARED: Final = frozenset(
    {"Bundle.id", "Bundle.entry.fullUrl", "Reference.reference", "Identifier.system", "Coding.system"}
    | {"MessageHeader.source.endpoint", "MessageHeader.destination.endpoint"}
    | {f"{kind}.id" for kind in _KINDS}
)
_BUNDLE: Final = struct_of(OUTGOING, _COMPARED, _KINDS)
_UUID: Final = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
#: Bundle.id and the relative references of the entries in the order of our writer.
_LAYOUT: Final = re.compile(
    f"{_UUID} MessageHeader/{_UUID} Encounter/{_UUID} Patient/{_UUID}(?: Organization/{_UUID})+(?: Provenance/{_UUID})+"
)
_SOR: Final = re.compile(r"[0-9]{11,18}")
_MESSAGE: Final = re.compile(f"MessageHeader/{_UUID}")
_OPENS: Final = len(OPENING)
_MOST: Final = 200  # entries, names, identifiers: more is doubtful
_MESSAGING: Final = PROFILES["MessagingOrganization"]


def is_right(bundle: Any) -> bool:
    """Whether this is a notification as we send it. False means only that the full check must look."""
    try:
        message = msgspec.convert(bundle, _BUNDLE)
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError):
        return False
    laid_out = _laid_out(message)
    if laid_out is None:
        return False
    placed, count = laid_out
    (mine, stay, person, *names), (header, encounter, patient, *others) = placed, placed.values()
    messaging, units = _units(others[:count], names)
    current = _chain(others[count:], mine, messaging)
    return (
        current is not None
        and _is_right_header(header, stay, messaging)
        and _is_right_patient(patient)
        and _is_right_stay(encounter, person, units)
        and _is_in_order(encounter, message.timestamp, current.recorded)
        and _goes_together(*_codes(current, encounter, patient))
    )


@lru_cache(maxsize=64)
def _is_base(base: str) -> bool:
    return (
        base.startswith("https://")
        and base.endswith("/")
        and "/_history/" not in base
        and PATTERNS["uri"].fullmatch(base) is not None
    )


def _laid_out(message: Any) -> tuple[dict[str, Any], int] | None:
    """The resources by relative reference in the order of our writer, and how many of them are units.

    None unless ids are distinct UUIDs, each fullUrl is base and reference, and narratives are whole.
    """
    entries = message.entry
    base = entries[0].fullUrl.removesuffix(f"MessageHeader/{entries[0].resource.id}")
    if len(entries) > _MOST or not _is_base(base):
        return None
    placed, ids = {}, {message.id}
    for entry in entries:
        resource = entry.resource
        id_, div = resource.id, resource.text.div
        name = f"{resource.__class__.__name__}/{id_}"
        if entry.fullUrl != base + name or div[:_OPENS] != OPENING or div[-6:] != "</div>":
            return None
        placed[name] = resource
        ids.add(id_)
    names = " ".join([message.id, *placed])
    # An id may be any text here, even one that reads like two references; so the blanks are counted as well.
    if len(ids) <= len(entries) or names.count(" ") != len(entries) or _LAYOUT.fullmatch(names) is None:
        return None
    return placed, names.count("Organization")


def _units(organizations: list[Any], names: list[str]) -> tuple[set[str], set[str]]:
    """References of the units with GLN, and of all; none at all when one of them is wrong."""
    messaging, every = set(), set(names[: len(organizations)])
    for unit, name in zip(organizations, names):  # noqa: B905  # after them come the names of the chain
        sor, *more = unit.identifier
        if sor.system != SOR_SYSTEM:
            return set(), set()
        if len(more) == 1 and more[0].system == GLN_SYSTEM and _is_unit(sor.value, more[0].value or "", unit.name):
            messaging.add(name)
        elif more or unit.meta.profile[0] == _MESSAGING or not _is_unit(sor.value, None, unit.name):
            return set(), set()
    return messaging, every


@lru_cache(maxsize=4096)  # the municipalities, and the wards of the hospitals
def _is_unit(sor: str | None, gln: str | None, name: str | None) -> bool:
    return sor is not None and _SOR.fullmatch(sor) is not None and (gln is None or gln_is_valid(gln)) and is_text(name)


def _chain(provenances: list[Any], mine: str, units: set[str]) -> Any | None:
    """The Provenance of this message, when the chain is closed, begins once, and its actors are here."""
    known = {provenance.target[0].reference for provenance in provenances}
    current, beginnings = [], 0
    for provenance in provenances:
        target, coding = provenance.target[0].reference, provenance.activity.coding[0]
        before = _predecessor(provenance.entity, units)
        if target == mine:
            current.append(provenance)
        elif target is None or _MESSAGE.fullmatch(target) is None:
            return None
        beginnings += before is None
        if (
            coding.system != ACTIVITY_SYSTEM
            or provenance.agent[0].who.reference not in units
            or not (before is None or before in known)
            or provenance.recorded != provenance.occurredDateTime
            or instant_of(provenance.recorded) is None
        ):
            return None
    return current[0] if len(current) == 1 and beginnings == 1 else None


def _predecessor(entities: list[Any] | None, units: set[str]) -> str | None:
    """The message before as written; None for none or a legacy letter; empty, which is no message, when in doubt."""
    if entities is None:
        return None
    entity = entities[0]
    if entity.agent is not None and (len(entity.agent) != 1 or entity.agent[0].who.reference not in units):
        return ""
    reference, letter = entity.what.reference, entity.what.identifier
    if letter is None:
        return reference or ""
    return None if reference is None and is_text(letter.value) else ""


def _is_right_header(header: Any, focus: str, units: set[str]) -> bool:
    """References lead to entries; the recipient of a report exactly when it is asked for (P-6, P-10)."""
    asked, recipient = None, None
    for extension in header.extension or ():
        if extension.__class__.__name__ == "valueBoolean":
            if asked is not None:
                return False
            asked = extension.valueBoolean
        elif recipient is not None or (recipient := extension.valueReference.reference) not in units:
            return False
    return (
        header.focus[0].reference == focus
        and _is_uri(header.source.endpoint)
        and _is_uri(header.destination[0].endpoint)
        and header.sender.reference in units
        and header.destination[0].receiver.reference in units
        and bool(asked) == (recipient is not None)
    )


def _is_right_patient(patient: Any) -> bool:
    """One CPR number, one official name."""
    identifier, name = patient.identifier[0], patient.name[0]
    return (
        len(patient.identifier) == len(patient.name) == 1
        and identifier.system == CPR_SYSTEM
        and cpr_is_plausible(identifier.value or "")
        and name.use == "official"
        and is_text(name.family)
        and all(map(is_text, name.given or ()))
        and len(name.given or ()) < _MOST
    )


def _is_right_stay(encounter: Any, subject: str, units: set[str]) -> bool:
    """References lead to entries; every episode id with system and value, its form as its own rule asks (P-12)."""
    if encounter.subject.reference != subject or encounter.serviceProvider.reference not in units:
        return False
    lpr3 = 0
    for episode in encounter.episodeOfCare:
        system, value = episode.identifier.system, episode.identifier.value
        if system is None or not is_text(value) or not _is_uri(system):
            return False
        if system == LPR3_SYSTEM:
            lpr3 += 1
            if episode_identifiers([{"identifier": {"system": system, "value": value}}]) is not None:
                return False
    return lpr3 <= 1 and len(encounter.episodeOfCare) < _MOST


@lru_cache(maxsize=1024)  # those of the hospitals
def _is_uri(text: str) -> bool:
    return PATTERNS["uri"].fullmatch(text) is not None


def _is_in_order(encounter: Any, assembled: str, sent: str) -> bool:
    """Stay, leave and return in this order, with Danish offsets; then assembly, then sending (P-7, P-8, P-9)."""
    leaves = encounter.extension or ()
    if len(leaves) > 1 or (encounter.status == "onleave" and not leaves):
        return False
    start, end = encounter.period.start, encounter.period.end
    if not is_danish(start) or (end is not None and not (is_danish(end) and _is_not_after(start, end))):
        return False
    last = start
    for leave in leaves:
        for text in (leave.valuePeriod.start, leave.valuePeriod.end):
            if text is not None:
                if not (is_danish(text) and _is_not_after(last, text)):
                    return False
                last = text
    return _is_not_after(start, sent) and _is_not_after(assembled, sent)


def _is_not_after(one: str, other: str) -> bool:
    first, second = instant_of(one), instant_of(other)
    return first is not None and second is not None and first <= second


def _codes(current: Any, encounter: Any, patient: Any) -> tuple[Any, ...]:
    role = current.entity[0].role if current.entity else ""
    ended = encounter.period.end is not None
    activity = current.activity.coding[0].code
    return activity, role, patient.deceasedBoolean, encounter.class_.code, encounter.status, ended


@lru_cache(maxsize=1024)
def _goes_together(activity: str, role: str, deceased: bool | None, class_: str, status: str, ended: bool) -> bool:
    """P-2 without deaths: MORS or RE_MORS is told by the chain, which the full check reads."""
    if deceased:
        return False
    notice = classify(activity, role, deceased, after_death=False)
    return (notice, class_, status, deceased, role) in COMBINATIONS and ended == (status == "finished")
