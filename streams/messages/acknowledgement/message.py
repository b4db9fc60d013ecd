"""One acknowledgement with its parts found: header, the two organizations, the Provenances, the reasons.

A topic of receipts is read at full speed, so JSON goes straight into the structs below: the parts that the meaning hangs
on, decoded once and typed. No dict is built, no element without a use here is kept. Where a document does not have the
types of FHIR, the slow way is taken: it is read strictly, what has the wrong type is left out, and the rest is seen as if
it stood alone. So one broken narrative costs no verdict.

Tolerant by design: absent values are empty, and how ids and references are written is of no account (00 §3.1: absolute,
relative, `urn:uuid:`). Decided by spec 02 §4.1 (which elements) and FHIR R4 (their types); what is right or wrong is
decided in `read.py`. What the strict reading refuses in elements without a use here (a member given twice, endless
numbers) the fast way lets pass.
"""

import re
from typing import Any, Final, get_args, get_origin

import msgspec

from streams.formats.fhir.read import LIMIT, document, from_json, read_xml
from streams.words.codes import GLN_SYSTEMS_ACCEPTED, SOR_SYSTEM

__all__ = [
    "ABSENT",
    "ACTIVITY",
    "Coding",
    "Message",
    "Resource",
    "activity_of",
    "bare_what",
    "decoded",
    "parts_of",
    "same_id",
    "target_of",
]

ACTIVITY: Final = "acknowledgement"  # of medcom-messaging-activityCodes: the answer itself (4.1)


class _Part(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """Base of every part: every field has a default, unknown members are passed over."""


class Coding(_Part, frozen=True):
    """A code with its system."""

    system: str = ""
    code: str = ""


class Coded(_Part, frozen=True):
    """A CodeableConcept."""

    coding: tuple[Coding, ...] = ()
    text: str = ""


class Identifier(_Part, frozen=True):
    """An identifier with its system."""

    system: str = ""
    value: str = ""


class Reference(_Part, frozen=True):
    """A reference by address, or by identifier for a legacy letter."""

    reference: str = ""
    identifier: Identifier = Identifier()


class DestinationUse(_Part, frozen=True):
    """The extension of a destination that says its use: primary or cc."""

    url: str = ""
    value_coding: Coding = Coding()


class Destination(_Part, frozen=True):
    """To whom the message goes."""

    extension: tuple[DestinationUse, ...] = ()
    receiver: Reference = Reference()


class Response(_Part, frozen=True):
    """The answer: to which message, and what."""

    identifier: str = ""
    code: str = ""
    details: Reference = Reference()


class Agent(_Part, frozen=True):
    """Who acted."""

    who: Reference = Reference()


class Entity(_Part, frozen=True):
    """What was acted upon."""

    role: str = ""
    what: Reference = Reference()


class OutcomeIssue(_Part, frozen=True):
    """One issue of an OperationOutcome."""

    severity: str = ""
    code: str = ""
    details: Coded = Coded()
    diagnostics: str = ""


class Resource(_Part, frozen=True):
    """A resource of any type: the elements of MessageHeader, Organization, Provenance and OperationOutcome together."""

    resource_type: str = ""
    id: str = ""
    event_coding: Coding = Coding()
    destination: tuple[Destination, ...] = ()
    sender: Reference = Reference()
    response: Response = Response()
    identifier: tuple[Identifier, ...] = ()
    target: tuple[Reference, ...] = ()
    activity: Coded = Coded()
    agent: tuple[Agent, ...] = ()
    entity: tuple[Entity, ...] = ()
    issue: tuple[OutcomeIssue, ...] = ()


class BundleEntry(_Part, frozen=True):
    """One entry of the Bundle."""

    full_url: str = ""
    resource: Resource = Resource()


class Bundle(_Part, frozen=True):
    """The whole message."""

    resource_type: str = ""
    id: str = ""
    type: str = ""
    timestamp: str = ""
    entry: tuple[BundleEntry, ...] = ()


ABSENT: Final = Resource()
_NO_REFERENCE: Final = Reference()

#: Escapes that may hide a character that no FHIR text has: control characters and U+FFFE, U+FFFF.
_SUSPICIOUS: Final = re.compile(rb"\\u(?:00[01]|[fF]{3}[eEfF])")
_DECODER: Final = msgspec.json.Decoder(Bundle)


def decoded(data: bytes, media: str = "") -> Bundle:
    """The parts of a document in bytes. `media`: its MIME type; empty when the sender did not say (02 C12).

    Raises `Rejected` when it cannot be read at all.
    """
    if not (media or data[:1] == b"{"):
        return parts_of(document(data).resource)
    if "xml" in media:
        return parts_of(read_xml(data).resource)
    if len(data) <= LIMIT and (b"\\u" not in data or _SUSPICIOUS.search(data) is None):
        try:
            return _DECODER.decode(data)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            pass
    return parts_of(from_json(data))


def parts_of(bundle: Any) -> Bundle:
    """The parts of a Bundle in a dict, or of what claims to be one. Never raises."""
    return msgspec.convert(_fitting(bundle, Bundle), Bundle)


def _fitting(value: Any, type_: Any) -> Any:
    """The value without what has another type than FHIR gives it; list items keep their places."""
    if type_ is str:
        return value if isinstance(value, str) else ""
    if get_origin(type_) is tuple:
        inner = get_args(type_)[0]
        return [_fitting(item, inner) for item in value] if isinstance(value, list) else []
    if not isinstance(value, dict):
        return {}
    return {
        field.encode_name: _fitting(value[field.encode_name], field.type)
        for field in msgspec.structs.fields(type_)
        if field.encode_name in value
    }


class Message:
    """The parts of one acknowledgement, found and resolved. Anything may be missing; then it is empty."""

    __slots__ = (
        "bundle",
        "destination",
        "destination_numbers",
        "header",
        "organizations",
        "outcomes",
        "own",
        "provenances",
        "sender",
        "sender_numbers",
    )

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        first = bundle.entry[0].resource if bundle.entry else ABSENT
        self.header = first if first.resource_type == "MessageHeader" else ABSENT
        self.provenances: list[Resource] = []
        self.outcomes: list[Resource] = []
        self.organizations: dict[str, Resource] = {}
        for entry in bundle.entry:
            resource = entry.resource
            if resource.resource_type == "Organization":
                self.organizations[resource.id] = resource
            elif resource.resource_type == "Provenance":
                self.provenances.append(resource)
            elif resource.resource_type == "OperationOutcome":
                self.outcomes.append(resource)
        self.sender = self.organization(self.header.sender)
        primary = self.header.destination[0].receiver if self.header.destination else _NO_REFERENCE
        self.destination = self.organization(primary)
        self.sender_numbers = _numbers(self.sender.identifier)
        self.destination_numbers = _numbers(self.destination.identifier)
        self.own = ABSENT  # the Provenance of the acknowledgement itself: about this header, else by its activity
        if self.header.id:
            own = [p for p in self.provenances if target_of(p) == self.header.id]
            stray = own or [
                p for p in self.provenances if activity_of(p) == ACTIVITY and bare_what(p) == target_of(p) != ""
            ]
            self.own = stray[0] if stray else ABSENT

    def organization(self, reference: Reference) -> Resource:
        """The Organization a reference means, in whatever form it is written (00 §3.1); an empty one if none."""
        return self.organizations.get(_bare(reference.reference), ABSENT) if reference.reference else ABSENT


def _bare(written: str) -> str:
    """An id without base, type, version and `urn:uuid:`."""
    if "/_history/" in written:
        written = written.partition("/_history/")[0]
    return written.rpartition("/")[2].removeprefix("urn:uuid:")


def target_of(provenance: Resource) -> str:
    """The id of the message that a Provenance is about; empty when there is none."""
    return _bare(provenance.target[0].reference) if provenance.target else ""


def activity_of(provenance: Resource) -> str:
    """The activity code, lower case (the system is not case-sensitive); empty when there is none."""
    return provenance.activity.coding[0].code.lower() if provenance.activity.coding else ""


def bare_what(provenance: Resource) -> str:
    """The id of the message or letter that entity.what names: `[lokationsnummer]#[brevid]` for a letter (4.1)."""
    what = provenance.entity[0].what if provenance.entity else _NO_REFERENCE
    return _bare(what.reference) if what.reference else what.identifier.value.rpartition("#")[2]


def same_id(one: str, other: str) -> bool:
    """Two ids as quoted: the form of reference and the case of a UUID are of no account (spec 01, 14.8)."""
    return one == other or _bare(one).lower() == _bare(other).lower()


def _numbers(identifiers: tuple[Identifier, ...]) -> tuple[str, str]:
    """SOR code and location number of an Organization; empty where it has none."""
    sor = gln = ""
    for identifier in identifiers:
        if identifier.system == SOR_SYSTEM:
            sor = sor or identifier.value
        elif identifier.system in GLN_SYSTEMS_ACCEPTED:
            gln = gln or identifier.value
    return sor, gln
