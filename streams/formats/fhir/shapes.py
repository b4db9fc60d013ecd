"""The types of FHIR R4 (4.0.1): which elements a type has, in which order, how often, of which type; and what a
primitive value looks like.

Decided by HL7 FHIR R4, here only for the resource types that MedCom's hospital notification, acknowledgement and
EHMI Delivery Status documents use, and the datatypes they reach. Two readers live from it: the XML reader (in XML
nothing shows what repeats and what is a number) and the checks (unknown elements are refused). A date that the
calendar does not have is refused here too. What a profile narrows further is not here, nor what a value means (which
code, which zone is the Danish one). A test lays every row beside the published StructureDefinitions and the R4 models.

Narrative is a primitive of its own, XHTML that shows a person what a resource holds. Decided by FHIR R4 (Narrative: XHTML
subset, txt-1, txt-2) and MedCom's narrative governance (spec 01 §5): a non-empty, well-formed `div` in the XHTML
namespace, basic elements only, nothing active in it, all data escaped. Which elements are shown is decided by each message.
XML does not know the entities of HTML, so a narrative that has one is refused: it could not stand in FHIR XML (00 §8.4).
"""

import re
from collections.abc import Callable, Iterable
from datetime import date, datetime
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple, TypeAlias, TypeGuard

from lxml import etree

#: A value of FHIR as JSON has it: dict, list, str, bool, int, float or None. What it is, its class shows.
JsonValue: TypeAlias = Any
#: A resource or an element: its members by name.
JsonObject: TypeAlias = dict[str, JsonValue]

# ---- elements -------------------------------------------------------------------------------------------------------


class Element(NamedTuple):
    """One element as it is spelled in JSON: `choice` names the group (`deceased[x]`) that allows only one of its kind."""

    name: str
    type: str
    min: int
    many: bool
    choice: str = ""


_RESOURCE: Final = "id:id meta:Meta implicitRules:uri language:code"
_DOMAIN: Final = _RESOURCE + " text:Narrative contained:Resource* extension:Extension* modifierExtension:Extension*"
_ELEMENT: Final = "id:string extension:Extension*"
_BACKBONE: Final = _ELEMENT + " modifierExtension:Extension*"

#: One line per type: `element:type` and `!` for 1..1, `*` for 0..*, `+` for 1..*; `x[x]:a|b` is a choice of types.
#: `id` and `extension` of every element, `modifierExtension` of backbones, and what every resource has are not repeated.
_TYPES: Final = """
Extension url:uri! value[x]:base64Binary|boolean|canonical|code|date|dateTime|decimal|id|instant|integer|markdown|oid|positiveInt|string|time|unsignedInt|uri|url|uuid|Address|Age|Annotation|Attachment|CodeableConcept|Coding|ContactPoint|Count|Distance|Duration|HumanName|Identifier|Period|Quantity|Range|Ratio|Reference|Signature
Meta versionId:id lastUpdated:instant source:uri profile:canonical* security:Coding* tag:Coding*
Narrative status:code! div:xhtml!
Identifier use:code type:CodeableConcept system:uri value:string period:Period assigner:Reference
HumanName use:code text:string family:string given:string* prefix:string* suffix:string* period:Period
Address use:code type:code text:string line:string* city:string district:string state:string postalCode:string country:string period:Period
ContactPoint system:code value:string use:code rank:positiveInt period:Period
Period start:dateTime end:dateTime
Coding system:uri version:string code:code display:string userSelected:boolean
CodeableConcept coding:Coding* text:string
Reference reference:string type:uri identifier:Identifier display:string
Quantity value:decimal comparator:code unit:string system:uri code:code
Age value:decimal comparator:code unit:string system:uri code:code
Count value:decimal comparator:code unit:string system:uri code:code
Distance value:decimal comparator:code unit:string system:uri code:code
Duration value:decimal comparator:code unit:string system:uri code:code
Range low:Quantity high:Quantity
Ratio numerator:Quantity denominator:Quantity
Attachment contentType:code language:code data:base64Binary url:url size:unsignedInt hash:base64Binary title:string creation:dateTime
Annotation author[x]:Reference|string time:dateTime text:markdown!
Signature type:Coding+ when:instant! who:Reference! onBehalfOf:Reference targetFormat:code sigFormat:code data:base64Binary
"""
#: The same of resources and their parts: one that is added is known from then on.
_RESOURCE_TYPES: Final = """
Bundle identifier:Identifier type:code! timestamp:instant total:unsignedInt link:Bundle.link* entry:Bundle.entry* signature:Signature
Bundle.link relation:string! url:uri!
Bundle.entry link:Bundle.link* fullUrl:uri resource:Resource search:Bundle.entry.search request:Bundle.entry.request response:Bundle.entry.response
Bundle.entry.search mode:code score:decimal
Bundle.entry.request method:code! url:uri! ifNoneMatch:string ifModifiedSince:instant ifMatch:string ifNoneExist:string
Bundle.entry.response status:string! location:uri etag:string lastModified:instant outcome:Resource
MessageHeader event[x]:Coding|uri! destination:MessageHeader.destination* sender:Reference enterer:Reference author:Reference source:MessageHeader.source! responsible:Reference reason:CodeableConcept response:MessageHeader.response focus:Reference* definition:canonical
MessageHeader.destination name:string target:Reference endpoint:url! receiver:Reference
MessageHeader.source name:string software:string version:string contact:ContactPoint endpoint:url!
MessageHeader.response identifier:id! code:code! details:Reference
Encounter identifier:Identifier* status:code! statusHistory:Encounter.statusHistory* class:Coding! classHistory:Encounter.classHistory* type:CodeableConcept* serviceType:CodeableConcept priority:CodeableConcept subject:Reference episodeOfCare:Reference* basedOn:Reference* participant:Encounter.participant* appointment:Reference* period:Period length:Duration reasonCode:CodeableConcept* reasonReference:Reference* diagnosis:Encounter.diagnosis* account:Reference* hospitalization:Encounter.hospitalization location:Encounter.location* serviceProvider:Reference partOf:Reference
Encounter.statusHistory status:code! period:Period!
Encounter.classHistory class:Coding! period:Period!
Encounter.participant type:CodeableConcept* period:Period individual:Reference
Encounter.diagnosis condition:Reference! use:CodeableConcept rank:positiveInt
Encounter.hospitalization preAdmissionIdentifier:Identifier origin:Reference admitSource:CodeableConcept reAdmission:CodeableConcept dietPreference:CodeableConcept* specialCourtesy:CodeableConcept* specialArrangement:CodeableConcept* destination:Reference dischargeDisposition:CodeableConcept
Encounter.location location:Reference! status:code physicalType:CodeableConcept period:Period
Patient identifier:Identifier* active:boolean name:HumanName* telecom:ContactPoint* gender:code birthDate:date deceased[x]:boolean|dateTime address:Address* maritalStatus:CodeableConcept multipleBirth[x]:boolean|integer photo:Attachment* contact:Patient.contact* communication:Patient.communication* generalPractitioner:Reference* managingOrganization:Reference link:Patient.link*
Patient.contact relationship:CodeableConcept* name:HumanName telecom:ContactPoint* address:Address gender:code organization:Reference period:Period
Patient.communication language:CodeableConcept! preferred:boolean
Patient.link other:Reference! type:code!
Organization identifier:Identifier* active:boolean type:CodeableConcept* name:string alias:string* telecom:ContactPoint* address:Address* partOf:Reference contact:Organization.contact* endpoint:Reference*
Organization.contact purpose:CodeableConcept name:HumanName telecom:ContactPoint* address:Address
Provenance target:Reference+ occurred[x]:Period|dateTime recorded:instant! policy:uri* location:Reference reason:CodeableConcept* activity:CodeableConcept agent:Provenance.agent+ entity:Provenance.entity* signature:Signature*
Provenance.agent type:CodeableConcept role:CodeableConcept* who:Reference! onBehalfOf:Reference
Provenance.entity role:code! what:Reference! agent:Provenance.agent*
OperationOutcome issue:OperationOutcome.issue+
OperationOutcome.issue severity:code! code:code! details:CodeableConcept diagnostics:string location:string* expression:string*
AuditEvent type:Coding! subtype:Coding* action:code period:Period recorded:instant! outcome:code outcomeDesc:string purposeOfEvent:CodeableConcept* agent:AuditEvent.agent+ source:AuditEvent.source! entity:AuditEvent.entity*
AuditEvent.agent type:CodeableConcept role:CodeableConcept* who:Reference altId:string name:string requestor:boolean! location:Reference policy:uri* media:Coding network:AuditEvent.agent.network purposeOfUse:CodeableConcept*
AuditEvent.agent.network address:string type:code
AuditEvent.source site:string observer:Reference! type:Coding*
AuditEvent.entity what:Reference type:Coding role:Coding lifecycle:Coding securityLabel:Coding* name:string description:string query:base64Binary detail:AuditEvent.entity.detail*
AuditEvent.entity.detail type:string! value[x]:string|base64Binary!
"""
_ROWS: Final = {line.split(" ", 1)[0]: line.split(" ", 1)[1] for line in (_TYPES + _RESOURCE_TYPES).split("\n") if line}
RESOURCES: Final = frozenset(
    name for line in _RESOURCE_TYPES.strip().splitlines() if "." not in (name := line.split(" ", 1)[0])
)
DOMAIN_RESOURCES: Final = RESOURCES - {"Bundle"}


@cache
def elements(type_name: str) -> dict[str, Element]:
    """The elements of a type by name, in FHIR order. KeyError for a type that is not tabled."""
    if type_name in RESOURCES:
        common = _DOMAIN if type_name in DOMAIN_RESOURCES else _RESOURCE
    else:
        common = _BACKBONE if "." in type_name else _ELEMENT
    found: list[Element] = []
    for token in f"{common} {_ROWS[type_name]}".split():
        name, kinds = token.split(":")
        many, least = kinds[-1] in "*+", int(kinds[-1] in "!+")
        types = kinds.rstrip("!*+").split("|")
        if name.endswith("[x]"):
            found += [Element(name[:-3] + kind[0].upper() + kind[1:], kind, least, many, name) for kind in types]
        else:
            found.append(Element(name, types[0], least, many))
    return {element.name: element for element in found}


def is_resource(type_name: object) -> TypeGuard[str]:
    """Whether the table knows this resource type."""
    return type_name.__class__ is str and type_name in RESOURCES


def type_of(path: str) -> str | None:
    """The type at a dotted path of JSON names, `Encounter.period.start` -> `dateTime`; None when there is none."""
    first, *rest = path.split(".")
    here = first
    for name in rest:
        if here not in _ROWS or name not in elements(here):
            return None
        here = elements(here)[name].type
    return here


# ---- primitive values: predicates over the JSON value ---------------------------------------------------------------

_DATE: Final = re.compile(r"[0-9]{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?")
_MOMENT: Final = re.compile(
    r"([0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])T(?:[01][0-9]|2[0-3]):[0-5][0-9]):([0-5][0-9]|60)"
    r"(?:\.([0-9]{1,9}))?(Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9]|[+-]14:00)"
)
_URI: Final = re.compile(r"\S+")
#: Characters that XML 1.0 cannot carry, and lone surrogates: no FHIR string may hold them.
ILLEGAL_CHARACTER: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_INT_LIMIT: Final = 1 << 31

#: What each primitive must be, in words for a remedy.
FORMS: Final[dict[str, str]] = {
    "base64Binary": "base64 text",
    "boolean": "true or false",
    "canonical": "a URL without white space",
    "code": "a code without outer or double white space",
    "date": "a date, YYYY-MM-DD",
    "dateTime": "a date, or date and time with zone, YYYY-MM-DDThh:mm:ss+01:00",
    "decimal": "a number",
    "id": "1 to 64 of A-Z, a-z, 0-9, hyphen and dot",
    "instant": "date and time with zone, YYYY-MM-DDThh:mm:ss+01:00",
    "integer": "a whole number",
    "markdown": "non-empty text",
    "oid": "urn:oid: and an OID",
    "positiveInt": "a whole number above 0",
    "string": "non-empty text without control characters",
    "time": "a time, hh:mm:ss",
    "unsignedInt": "a whole number from 0",
    "uri": "a URI without white space",
    "url": "a URL without white space",
    "uuid": "urn:uuid: and a UUID in lower case",
    "xhtml": 'a non-empty <div xmlns="http://www.w3.org/1999/xhtml">',
}
PRIMITIVES: Final = frozenset(FORMS)

#: Primitives that are a string of one pattern.
PATTERNS: Final[dict[str, re.Pattern[str]]] = {
    "base64Binary": re.compile(r"[A-Za-z0-9+/\s]+={0,2}\s*"),
    "canonical": _URI,
    "code": re.compile(r"[^\s]+(\s[^\s]+)*"),
    "id": re.compile(r"[A-Za-z0-9\-.]{1,64}"),
    "oid": re.compile(r"urn:oid:[0-2](\.(0|[1-9][0-9]*))+"),
    "time": re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]{1,9})?"),
    "uri": _URI,
    "url": _URI,
    "uuid": re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
}


@lru_cache(maxsize=4096)
def instant_of(text: str) -> datetime | None:
    """The moment of a dateTime with time and zone, or of an instant; None when the text is not one.

    A leap second counts as the second before it.
    """
    found = _MOMENT.fullmatch(text)
    if found is None:
        return None
    minute, second, fraction, zone = found.groups()
    second = "59" if second == "60" else second
    micro = (fraction or "").ljust(6, "0")[:6]
    try:
        return datetime.fromisoformat(f"{minute}:{second}.{micro}{'+00:00' if zone == 'Z' else zone}")
    except ValueError:
        return None  # 31 April


def is_text(value: object) -> bool:
    """A string with something in it besides white space, and nothing that XML cannot carry."""
    if value.__class__ is not str or not value:
        return False
    assert isinstance(value, str)
    return (value.isprintable() and not value.isspace()) or (
        bool(value.strip()) and ILLEGAL_CHARACTER.search(value) is None
    )


def _is_date(value: object) -> bool:
    if not isinstance(value, str) or _DATE.fullmatch(value) is None:
        return False
    if len(value) < 10:
        return True  # a year or a month
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def _is_instant(value: object) -> bool:
    return value.__class__ is str and instant_of(value) is not None


def _whole(least: int) -> Callable[[object], bool]:
    return lambda value: value.__class__ is int and least <= value < _INT_LIMIT


def _matches(pattern: re.Pattern[str]) -> Callable[[object], bool]:
    match = pattern.fullmatch
    return lambda value: value.__class__ is str and match(value) is not None


#: The test of every primitive but xhtml (below).
TESTS: Final[dict[str, Callable[[object], bool]]] = {
    **{name: _matches(pattern) for name, pattern in PATTERNS.items()},
    "boolean": lambda value: value.__class__ is bool,
    "date": _is_date,
    "dateTime": lambda value: _is_instant(value) or _is_date(value),
    "decimal": lambda value: value.__class__ in (int, float),
    "instant": _is_instant,
    "integer": _whole(-_INT_LIMIT),
    "markdown": is_text,
    "positiveInt": _whole(1),
    "string": is_text,
    "unsignedInt": _whole(0),
}


# ---- narrative: the XHTML that shows a person what a resource holds ----------------------------------------------------

OPENING: Final = '<div xmlns="http://www.w3.org/1999/xhtml">'

_XHTML: Final = "{http://www.w3.org/1999/xhtml}"
_ENTITY: Final = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);)[A-Za-z][A-Za-z0-9]*;")
#: No head, body, script, forms, frames, objects, links (spec 01, 5.5; FHIR R4 Narrative).
_ACTIVE: Final = frozenset(
    {"head", "body", "script", "form", "base", "link", "xlink", "iframe", "frame", "frameset", "object", "embed"}
    | {"applet", "input", "button", "select", "textarea"}
)


def escaped(text: str) -> str:
    """The text as XHTML content: `&`, `<`, `>` and quotes as entities that XML itself knows."""
    if "&" in text:
        text = text.replace("&", "&amp;")
    if "<" in text:
        text = text.replace("<", "&lt;")
    if ">" in text:
        text = text.replace(">", "&gt;")
    if '"' in text:
        text = text.replace('"', "&quot;")
    return text


def narrative(rows: Iterable[tuple[str, str]], *, extensions: bool = False) -> JsonObject:
    """A `text` element of label and value rows. `extensions`: it shows extension content too (5.2).

    Labels are ours and taken as they are; values are data and escaped.
    """
    body = "<br/>".join([f"<b>{label}</b>: {escaped(value)}" for label, value in rows])
    return {"status": "extensions" if extensions else "generated", "div": f"{OPENING}<p>{body}</p></div>"}


def is_narrative(value: object) -> bool:
    """The cheap test, for text that a writer of ours has escaped: it begins and ends as a div with something in it."""
    return isinstance(value, str) and value.startswith("<div xmlns=") and value.endswith("</div>") and len(value) > 50


class NarrativeFault(NamedTuple):
    """Why a `div` cannot be used, and what to send instead."""

    problem: str
    remedy: str


_WRONG: Final = NarrativeFault(f"not {FORMS['xhtml']}", f"send {FORMS['xhtml']}")
_FOREIGN: Final = NarrativeFault("an entity that XML does not have", "send the character itself, or its number: &#160;")
_MARKUP: Final = NarrativeFault("a comment, declaration or instruction", "send elements and text only")


def narrative_fault(value: object) -> NarrativeFault | None:
    """The full test, for text that comes from others."""
    if not isinstance(value, str):
        return _WRONG
    if "<!" in value or "<?" in value:
        return _MARKUP
    try:
        root = etree.fromstring(value.encode(), etree.XMLParser(resolve_entities=False))
    except (etree.XMLSyntaxError, ValueError):
        return _FOREIGN if _ENTITY.search(value) else _WRONG
    filled = any(text.strip() for text in root.itertext()) or next(root.iter(_XHTML + "img"), None) is not None
    if root.tag != _XHTML + "div" or not filled:
        return _WRONG
    for node in root.iter():
        if str(node.tag).removeprefix(_XHTML) in _ACTIVE or any(str(a).lower().startswith("on") for a in node.attrib):
            return _WRONG
    return None
