"""What every message of MedCom's messaging profile has, read and written in one way: notification and acknowledgement.

Decided by the packages medcom messaging 2.1.0, medcom core 2.3.0 and dk.core 2.2.0 (spec 01, 1.2): a Bundle whose first
entry is the MessageHeader, organizations with SOR code and GLN, a Provenance for each message of the chain.

Reading is tolerant by design: `View` takes whatever was sent, finds what it can and never raises, so that the checks
can speak of a broken message and a reader can show what is in it. What is right or wrong is decided by the rows of each
message; those that all messages share are `MESSAGING`. Whether a number exists in a register is not here.
"""

import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

from streams.formats.fhir.shapes import OPENING, escaped, instant_of, narrative
from streams.formats.fhir.structure import Constraint, Finding
from streams.messages.message_type import MESSAGE_TYPES
from streams.words.codes import (
    DESTINATION_USE_SYSTEM,
    EVENT_SYSTEM,
    FHIR_GUIDES,
    GLN_SYSTEM,
    GLN_SYSTEMS_ACCEPTED,
    SOR_ENDPOINT,
    SOR_SYSTEM,
)
from streams.words.ids import sor_digit

Object = dict[str, Any]

# ---- profile ----------------------------------------------------------------------------------------------------

CORE: Final = f"{FHIR_GUIDES}ig/core/StructureDefinition/"
_PROFILES: Final = f"{FHIR_GUIDES}ig/messaging/StructureDefinition/"
MESSAGING_ORGANIZATION: Final = _PROFILES + "medcom-messaging-organization"
MESSAGING_PROVENANCE: Final = _PROFILES + "medcom-messaging-provenance"
DESTINATION_USE_URL: Final = _PROFILES + "medcom-messaging-destinationUseExtension"

#: The use of a destination, as rows name it, and as it is sent: the one receiver of a message is the primary one.
USE: Final = "MessageHeader.destination.extension:use.valueCoding"
PRIMARY: Final = {"url": DESTINATION_USE_URL, "valueCoding": {"system": DESTINATION_USE_SYSTEM, "code": "primary"}}

#: What every message narrows of base FHIR, element by element.
MESSAGING: Final = (
    Constraint("Bundle.entry", min=1, rule="bdl-12"),
    Constraint("Bundle.total", max=0, rule="bdl-1"),  # bdl-1 to bdl-5: what a Bundle of type message has
    Constraint("Bundle.entry.search", max=0, rule="bdl-2"),
    Constraint("Bundle.entry.request", max=0, rule="bdl-3"),
    Constraint("Bundle.entry.response", max=0, rule="bdl-4"),
    Constraint("Bundle.entry.resource", min=1, rule="bdl-5"),
    Constraint("Bundle.entry.fullUrl", min=1, rule="6.6"),
    Constraint("MessageHeader.id", min=1),
    Constraint("MessageHeader.eventUri", max=0, rule="MessageHeader.event[x]", remedy="send eventCoding"),
    Constraint("MessageHeader.eventCoding.system", min=1, fixed=(EVENT_SYSTEM,), rule="MessageHeader.event[x]"),
    Constraint("MessageHeader.destination.extension", min=1, rule="MessageHeader.destination:primary"),
    Constraint(f"{USE}.system", min=1, fixed=(DESTINATION_USE_SYSTEM,), rule="MessageHeader.destination:primary"),
    Constraint("MessageHeader.destination.receiver", min=1, rule="MessageHeader.destination:primary.receiver"),
    Constraint("MessageHeader.sender", min=1),
    Constraint("Organization.identifier", min=1),
    Constraint("Provenance.target", max=1),
    Constraint("Provenance.occurredPeriod", max=0, rule="Provenance.occurred[x]", remedy="send occurredDateTime"),
    Constraint("Provenance.occurredDateTime", min=1, rule="Provenance.occurred[x]"),
    Constraint("Provenance.activity", min=1),
    Constraint("Provenance.activity.coding", min=1),
    Constraint("Provenance.activity.coding.code", min=1),
)

# ---- looking things up in any JSON ------------------------------------------------------------------------------

_NOTHING: Final[Object] = {}


def member(value: Object, name: str) -> Object:
    """The object under a name; empty when there is none."""
    found = value.get(name)
    return found if found.__class__ is dict else _NOTHING


def listed(value: Object, name: str) -> list[Any]:
    """The list under a name; empty when there is none."""
    found = value.get(name)
    return found if found.__class__ is list else []


def first(value: Object, name: str) -> Object:
    """The first object of the list under a name; empty when there is none."""
    found = value.get(name)
    if found.__class__ is list and found and found[0].__class__ is dict:
        return found[0]
    return _NOTHING


def text_at(value: Object, name: str) -> str | None:
    """The string under a name; None when there is none."""
    found = value.get(name)
    return found if found.__class__ is str else None


def instant_at(value: Object, name: str) -> datetime | None:
    """The moment under a name; None when there is no text, or none with date, time and zone."""
    text = text_at(value, name)
    return None if text is None else instant_of(text)


def reference(value: Object, name: str) -> str | None:
    """`reference` of the Reference under a name, as written."""
    return text_at(member(value, name), "reference")


def extensions_of(value: Object) -> dict[str, Object]:
    """The extensions of an element by URL, the first of each."""
    found: dict[str, Object] = {}
    for extension in listed(value, "extension"):
        url = text_at(extension, "url") if extension.__class__ is dict else None
        if url is not None:
            found.setdefault(url, extension)
    return found


# ---- a Bundle as one message ------------------------------------------------------------------------------------

_TYPE_AND_ID: Final = re.compile(r"([A-Za-z]+/[A-Za-z0-9\-.]{1,64})(?:/_history/.*)?$")

Placed = tuple[int, Object]  # a resource with the index of its entry


class View:
    """The parts of one Bundle, found and resolved. Every attribute is filled; what is missing is empty or None."""

    __slots__ = (
        "bundle",
        "by_kind",
        "current",
        "encounter",
        "entries",
        "header",
        "patient",
        "provenances",
        "resources",
        "targets",
    )

    def __init__(self, bundle: Object) -> None:
        self.bundle = bundle
        self.entries = listed(bundle, "entry")
        self.by_kind: dict[str, list[Placed]] = {}
        self.targets: dict[str, Placed] = {}
        self.resources: list[Placed] = [(-1, bundle)]  # the Bundle, then every entry that holds a resource
        for index, entry in enumerate(self.entries):
            resource = member(entry, "resource") if entry.__class__ is dict else _NOTHING
            kind = text_at(resource, "resourceType")
            if kind is None:
                continue
            placed: Placed = (index, resource)
            self.resources.append(placed)
            self.by_kind.setdefault(kind, []).append(placed)
            if (full_url := text_at(entry, "fullUrl")) is not None:
                self.targets.setdefault(full_url, placed)
            self.targets.setdefault(f"{kind}/{text_at(resource, 'id')}", placed)
        self.header = self._first("MessageHeader")
        self.provenances = self.by_kind.get("Provenance", [])
        focus = self.resolve(text_at(first(self.header[1], "focus"), "reference"))
        self.encounter = self._first("Encounter") if focus is None else focus
        subject = self.resolve(reference(self.encounter[1], "subject"))
        self.patient = self._first("Patient") if subject is None else subject
        mine = f"MessageHeader/{text_at(self.header[1], 'id')}"
        self.current = [p for p in self.provenances if target_of(p[1]) == mine]

    def _first(self, kind: str) -> Placed:
        found = self.by_kind.get(kind)
        return found[0] if found else (0, _NOTHING)

    def resolve(self, written: str | None) -> Placed | None:
        """The entry that a reference means: relative, absolute or `urn:uuid:` (00 §3.1); None when it is not here."""
        if written is None:
            return None
        found = self.targets.get(written)
        return self.targets.get(_type_and_id(written)) if found is None else found


def _type_and_id(written: str) -> str:
    """A reference without base and version: `MessageHeader/<id>`; `urn:uuid:` and others as written."""
    if written.count("/") == 1:
        return written
    found = _TYPE_AND_ID.search(written)
    return written if found is None else found.group(1)


def _message(written: str) -> str:
    """The same where a message is meant: `urn:uuid:<id>` is a form of it, also of one that is no entry (00 §3.1)."""
    bare = written.removeprefix("urn:uuid:")
    return _type_and_id(written) if bare == written else f"MessageHeader/{bare}"


def target_of(provenance: Object) -> str | None:
    """`MessageHeader/<id>` of the message that a Provenance is about."""
    written = text_at(first(provenance, "target"), "reference")
    return None if written is None else _message(written)


def predecessor_of(provenance: Object) -> str | None:
    """`MessageHeader/<id>` of the message before, as entity.what names it; None for the first or a legacy one."""
    written = reference(first(provenance, "entity"), "what")
    return None if written is None else _message(written)


def bare_id(message: str | None) -> str:
    """The id in `MessageHeader/<id>`; empty when there is none."""
    return (message or "").removeprefix("MessageHeader/")


def activity_of(provenance: Object) -> str:
    """The activity code of a Provenance; empty when there is none."""
    return text_at(first(member(provenance, "activity"), "coding"), "code") or ""


# ---- the identifiers of organizations (spec 01 §§3.5, 4, 6) -----------------------------------------------------

_SOR: Final = re.compile(r"[0-9]{11,}")  # min-digits-sor
_GLN: Final = re.compile(r"[0-9]{13}")  # gln-length
_SOR_SYSTEMS, _GLN_SYSTEMS = frozenset({SOR_SYSTEM}), frozenset({GLN_SYSTEM})


@lru_cache(maxsize=4096)
def gln_is_valid(value: str) -> bool:
    """Thirteen digits with GS1 check digit (invariants gln-length, gln-modulus-10)."""
    if _GLN.fullmatch(value) is None or not value.isascii():
        return False
    digits = [int(digit) for digit in value]
    return (sum(digits[0:12:2]) + 3 * sum(digits[1:12:2]) + digits[12]) % 10 == 0


def sor_of(organization: Object) -> str | None:
    """The SOR code of an Organization; None when it has none."""
    return _value(organization, _SOR_SYSTEMS)


def gln_of(organization: Object) -> str | None:
    """The location number of an Organization, under any system that counts as GLN (spec 01, 6.5)."""
    return _value(organization, _GLN_SYSTEMS) or _value(organization, GLN_SYSTEMS_ACCEPTED)


def _value(organization: Object, systems: frozenset[str]) -> str | None:
    for identifier in listed(organization, "identifier"):
        if identifier.__class__ is dict and text_at(identifier, "system") in systems:
            return text_at(identifier, "value")
    return None


def organization_identifiers(identifiers: list[Object]) -> list[Finding] | None:
    """SOR exactly once, GLN at most once, each plausible (core organization). Others must not drive logic: ignored."""
    found: list[Finding] = []
    systems = [identifier.get("system") for identifier in identifiers]
    for index, (identifier, system) in enumerate(zip(identifiers, systems, strict=True)):
        if system != SOR_SYSTEM and system not in GLN_SYSTEMS_ACCEPTED:
            continue
        path, value = f"[{index}]", identifier.get("value", "")
        if system == SOR_SYSTEM and _SOR.fullmatch(value) is None:
            found.append(Finding(f"{path}.value", "min-digits-sor", "not a SOR code", "send at least 11 digits"))
        elif system != SOR_SYSTEM and _GLN.fullmatch(value) is None:
            found.append(Finding(f"{path}.value", "gln-length", "not a GLN", "send 13 digits"))
        elif system != SOR_SYSTEM and not gln_is_valid(value):
            remedy = "send the GLN as registered"
            found.append(Finding(f"{path}.value", "gln-modulus-10", "wrong check digit", remedy))
        else:
            if identifier.get("use", "official") != "official":  # fixed by dk.core, if sent
                found.append(
                    Finding(f"{path}.use", "Identifier.use", "not official", "send official, or leave use out")
                )
            if system not in (SOR_SYSTEM, GLN_SYSTEM):
                problem = "an older or newer GLN system"
                found.append(Finding(f"{path}.system", "6.5", problem, f"send {GLN_SYSTEM}", "warning"))
    if (sors := systems.count(SOR_SYSTEM)) != 1:
        found.append(Finding("", "Organization.identifier:SOR-ID", f"{sors} SOR codes", "send exactly one"))
    if systems.count(GLN_SYSTEM) > 1:  # one under another system besides it is an identifier among others
        found.append(Finding("", "Organization.identifier:EAN-ID", "more than one GLN", "send one"))
    return found or None


def sor_digits(identifiers: list[Object]) -> list[Finding] | None:
    """A SOR code with a wrong check digit: a remark on what others send (05 §3), for the rule is measured, not published.

    Not a test of what we send: whether a register may hold such a code is the register's own setting.
    """
    problem, remedy = "wrong check digit of a SOR code", "send the SOR code as registered"
    return [
        Finding(f"[{index}].value", "sor-check-digit", problem, remedy, "warning")
        for index, identifier in enumerate(identifiers)
        if identifier.get("system") == SOR_SYSTEM
        and _SOR.fullmatch(value := identifier.get("value", ""))
        and value[-1] != sor_digit(value[:-1])
    ] or None


# ---- writing ----------------------------------------------------------------------------------------------------


class UnitEntry(NamedTuple):
    """An organization as an entry of the Bundle: its SOR code, and the reference that leads to it."""

    sor: str
    reference: str


def clean(text: str) -> str:
    """Text as FHIR wants it: NFC, no outer or double white space (spec 01, 20.4)."""
    text = " ".join(text.split())
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def describe_unit(sor: str, gln: str, name: str) -> tuple[str, str, Object]:
    """Of an Organization the narrative before and after its id, and the elements that describe it."""
    identifiers = [{"system": SOR_SYSTEM, "value": sor}]
    shown = f"<b>SOR</b>: {escaped(sor)}"
    if gln:
        identifiers.append({"system": GLN_SYSTEM, "value": gln})
        shown += f"<br/><b>Lokationsnummer / GLN</b>: {escaped(gln)}"
    described: Object = {"identifier": identifiers}
    if name := clean(name):
        described["name"] = name
        shown += f"<br/><b>Navn / Name</b>: {escaped(name)}"
    return f"{OPENING}<p><b>Id</b>: ", f"<br/>{shown}</p></div>", described


def organization(id_: str, meta: Object, unit: tuple[str, str, Object]) -> Object:
    """The Organization of a unit as `describe_unit` gives it."""
    before, after, described = unit
    return {
        "resourceType": "Organization",
        "id": id_,
        "meta": meta,
        "text": {"status": "generated", "div": f"{before}{id_}{after}"},
        **described,
    }


def addressing(event: str, sender: UnitEntry, receiver: UnitEntry) -> Object:
    """Of a MessageHeader the elements with what it is, to whom and from whom, in FHIR order."""
    return {
        "eventCoding": {"system": EVENT_SYSTEM, "code": event},
        "destination": [
            {
                "extension": [PRIMARY],
                "endpoint": SOR_ENDPOINT + receiver.sor,
                "receiver": {"reference": receiver.reference},
            }
        ],
        "sender": {"reference": sender.reference},
        "source": {"endpoint": SOR_ENDPOINT + sender.sor},
    }


def header_lines(header: Object, event: str) -> str:
    """The narrative of what `addressing` gives; `event`: its Danish and English name."""
    destination = header["destination"][0]
    return (
        f"<b>Id</b>: {header['id']}<br/><b>Meddelelse / Event</b>: {event}<br/>"
        "<b>Modtager / Destination</b>: Primær modtager / Primary receiver (primary)<br/>"
        f"<b>Modtagers adresse / Destination endpoint</b>: {escaped(destination['endpoint'])}<br/>"
        f"<b>Modtagende organisation / Receiver</b>: {destination['receiver']['reference']}<br/>"
        f"<b>Afsender / Sender</b>: {header['sender']['reference']}<br/>"
        f"<b>Afsenders adresse / Source endpoint</b>: {escaped(header['source']['endpoint'])}"
    )


#: Of every type.
_ACTIVITY_TEXTS: Final = {code: text for row in MESSAGE_TYPES.values() for code, text in row.activities.items()}


def provenance_text(provenance: Object, *, roles: Mapping[str, str] | None = None) -> Object:
    """Who did what when; of others anything may be missing. `roles`: texts for entity.role, and its agent is named too."""
    activity, entity = activity_of(provenance), first(provenance, "entity")
    what, role = member(entity, "what"), text_at(entity, "role") or ""
    before = text_at(what, "reference") or text_at(member(what, "identifier"), "value")
    rows = (
        ("Id", provenance["id"]),
        ("Meddelelse / Target", text_at(first(provenance, "target"), "reference")),
        ("Sendt / Occurred", text_at(provenance, "occurredDateTime")),
        ("Registreret / Recorded", text_at(provenance, "recorded")),
        ("Aktivitet / Activity", _ACTIVITY_TEXTS.get(activity, activity)),
        ("Aktør / Agent", reference(first(provenance, "agent"), "who")),
        ("Rolle / Role", roles[role] if role and roles else role),
        ("Forrige meddelelse / Previous message", before),
        ("Forrige aktør / Previous agent", reference(first(entity, "agent"), "who") if roles else ""),
    )
    return narrative([(label, value) for label, value in rows if value])
