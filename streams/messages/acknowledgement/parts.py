"""The parts of an acknowledgement that its meaning hangs on, decoded once and typed; everything else is passed over.

A topic of receipts is read at full speed, so JSON goes straight into these structs: no dict is built, no element that
nobody asks for is kept. Where a document does not have the types of FHIR, the slow way is taken: it is read strictly,
what has the wrong type is left out, and the rest is seen as if it stood alone. So one broken narrative costs no verdict.

Absent values are empty. Decided by spec 02 §4.1 (which elements) and FHIR R4 (their types); what they mean is in
`read.py`. What the strict reading refuses in elements nobody asks for here (a member given twice, endless numbers) the
fast way lets pass.
"""

import re
from typing import Any, Final, get_args, get_origin

import msgspec

from streams.formats.fhir.read import LIMIT, document, from_json, read_xml

__all__ = ["Bundle", "Coded", "Coding", "Identifier", "Reference", "Resource", "decoded", "parts_of"]


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


class Extension(_Part, frozen=True):
    """An extension that holds a Coding: the use of a destination."""

    url: str = ""
    value_coding: Coding = Coding()


class Destination(_Part, frozen=True):
    """To whom the message goes."""

    extension: tuple[Extension, ...] = ()
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


class Entry(_Part, frozen=True):
    """One entry of the Bundle."""

    full_url: str = ""
    resource: Resource = Resource()


class Bundle(_Part, frozen=True):
    """The whole message."""

    resource_type: str = ""
    id: str = ""
    type: str = ""
    timestamp: str = ""
    entry: tuple[Entry, ...] = ()


#: Escapes that may hide a character that no FHIR text has: control characters and U+FFFE, U+FFFF.
_SUSPICIOUS: Final = re.compile(rb"\\u(?:00[01]|[fF]{3}[eEfF])")
_DECODER: Final = msgspec.json.Decoder(Bundle)


def decoded(data: bytes, media: str = "") -> Bundle:
    """The parts of a document in bytes. `media`: its MIME type; empty when the sender did not say (02 C12).

    Raises `Rejected` when it cannot be read at all.
    """
    if media:
        return parts_of(read_xml(data).resource) if "xml" in media else _from_json(data)
    return _from_json(data) if data[:1] == b"{" else parts_of(document(data).resource)


def _from_json(data: bytes) -> Bundle:
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
