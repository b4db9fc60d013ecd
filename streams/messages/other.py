"""Documents that are none of ours: a FHIR message of another event, and what cannot be recognised at all."""

from typing import Any, Final

from streams.formats.fhir.read import document
from streams.messages.common import View, member, text_at
from streams.words.errors import Rejected, judgement

#: The keys of a reading, in the order shown. A document of no kind shows only whether it is a resource.
_KEYS: Final = {
    "fhir-message": ("event", "message_header_id", "bundle_id", "bundle_type", "timestamp"),
    "unknown": ("resource_type",),
}

_NOTHING_KNOWN: Final = Rejected(
    "$", "no document that is known", "send HL7 v2, FHIR, VANS, SBDH, OIOXML or EDIFACT", "unknown-kind"
)


def nothing_read(kind: str) -> dict[str, Any]:
    """The reading of a document of that kind of which nothing can be read."""
    return dict.fromkeys(_KEYS[kind])


def inspect(data: bytes) -> dict[str, Any]:
    """A FHIR Bundle by its event and ids (00 §6: kind `fhir-message`); all else is `unknown`. Never raises."""
    try:
        read = document(data)
    except Rejected as rejected:
        is_fhir = data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{" or b"http://hl7.org/fhir" in data[:4096]
        return judgement("unknown", [(rejected if is_fhir else _NOTHING_KNOWN).issue()], None)
    except RecursionError:
        return judgement("unknown", [Rejected("$", "nested too deep", "send one message", "json").issue()], None)
    resource = read.resource
    if resource.get("resourceType") != "Bundle":
        unknown = Rejected("$.resourceType", "a resource that is no message", "send a message Bundle", "unknown-kind")
        return judgement("unknown", [unknown.issue()], {"resource_type": resource.get("resourceType")})
    header = View(resource).header[1]
    reading = {
        "event": text_at(member(header, "eventCoding"), "code"),
        "message_header_id": text_at(header, "id"),
        "bundle_id": text_at(resource, "id"),
        "bundle_type": text_at(resource, "type"),
        "timestamp": text_at(resource, "timestamp"),
    }
    missing = Rejected("Bundle.entry", "no MessageHeader", "send a message Bundle", "00 §6").issue()
    return judgement("fhir-message", read.beside([] if header else [missing]), reading)
