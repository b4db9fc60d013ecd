"""The shape of FHIR R4 (4.0.1): which elements a type has, in which order, how often, of which type.

Decided by HL7 FHIR R4, here only for the resource types that MedCom's hospital notification, acknowledgement and
EHMI Delivery Status documents use, and the datatypes they reach. Two readers live from it: the XML reader (XML does
not say what repeats and what is a number) and the checks (unknown elements are refused). What a profile narrows
further is not here. A test lays every row beside the published StructureDefinitions and the R4 models.

One line per type: `element:type` and `!` for 1..1, `*` for 0..*, `+` for 1..*; `x[x]:a|b` is a choice of types.
`id` and `extension` of every element, `modifierExtension` of backbones, and what every resource has are not repeated.
"""

from functools import cache
from typing import Final, NamedTuple

__all__ = ["DOMAIN_RESOURCES", "PRIMITIVES", "RESOURCES", "Element", "elements", "is_resource", "type_of"]


class Element(NamedTuple):
    """One element as it is spelled in JSON: `choice` names the group (`deceased[x]`) that allows only one of its kind."""

    name: str
    type: str
    min: int
    many: bool
    choice: str = ""


PRIMITIVES: Final = frozenset(
    {"base64Binary", "boolean", "canonical", "code", "date", "dateTime", "decimal", "id", "instant", "integer"}
    | {"markdown", "oid", "positiveInt", "string", "time", "unsignedInt", "uri", "url", "uuid", "xhtml"}
)
DOMAIN_RESOURCES: Final = frozenset(
    {"MessageHeader", "Encounter", "Patient", "Organization", "Provenance", "OperationOutcome", "AuditEvent"}
)
RESOURCES: Final = DOMAIN_RESOURCES | {"Bundle"}

_RESOURCE: Final = "id:id meta:Meta implicitRules:uri language:code"
_DOMAIN: Final = _RESOURCE + " text:Narrative contained:Resource* extension:Extension* modifierExtension:Extension*"
_ELEMENT: Final = "id:string extension:Extension*"
_BACKBONE: Final = _ELEMENT + " modifierExtension:Extension*"

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
_ROWS: Final = {line.split(" ", 1)[0]: line.split(" ", 1)[1] for line in _TYPES.strip().splitlines()}


def _common(type_name: str) -> str:
    if type_name in DOMAIN_RESOURCES:
        return _DOMAIN
    if type_name in RESOURCES:
        return _RESOURCE
    return _BACKBONE if "." in type_name else _ELEMENT


def _parse(token: str) -> list[Element]:
    name, kinds = token.split(":")
    many, least = kinds[-1] in "*+", int(kinds[-1] in "!+")
    types = kinds.rstrip("!*+").split("|")
    if not name.endswith("[x]"):
        return [Element(name, types[0], least, many)]
    return [Element(name[:-3] + kind[0].upper() + kind[1:], kind, least, many, name) for kind in types]


@cache
def elements(type_name: str) -> dict[str, Element]:
    """The elements of a type by name, in FHIR order. KeyError for a type that is not tabled."""
    row = _ROWS[type_name]
    return {e.name: e for token in f"{_common(type_name)} {row}".split() for e in _parse(token)}


def is_resource(type_name: object) -> bool:
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
