"""What a document is, by its bytes (and a name ending in `.hl7`): one of the kinds of acceptance.md, `unknown` else.

Broken documents have a kind too: an invalid notification is to be judged as one. So the first XML element decides, not
a complete parse, and JSON that cannot be read is recognised by the words it would have.
"""

import re
from collections.abc import Iterator
from typing import Any, Final, Literal, get_args

import orjson

__all__ = ["KINDS", "Kind", "kind_of"]

Kind = Literal[
    "adt",
    "hospital-notification",
    "acknowledgement",
    "fhir-message",
    "vans-envelope",
    "sbdh",
    "eds-event",
    "xdis20",
    "xdis17",
    "dis20",
    "dis17",
    "xctl",
    "ctl",
    "unknown",
]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

#: Event code of a FHIR message, or the profile of one whose event code is wrong.
_EVENTS: Final[dict[str, Kind]] = {
    "hospital-notification-message": "hospital-notification",
    "acknowledgement-message": "acknowledgement",
}
_PROFILES: Final[tuple[tuple[str, Kind], ...]] = (
    ("medcom-hospitalNotification-message", "hospital-notification"),
    ("medcom-messaging-acknowledgement", "acknowledgement"),
)
#: First element of an XML document, without its namespace prefix.
_ROOTS: Final[dict[bytes, Kind]] = {
    b"VANSEnvelope": "vans-envelope",
    b"StandardBusinessDocument": "sbdh",
    b"StandardBusinessDocumentHeader": "sbdh",
    b"AuditEvent": "eds-event",
}
#: First letter element in an Emessage (04 §§9-12).
_LETTERS: Final[tuple[tuple[bytes, Kind], ...]] = (
    (b"NotificationOfAdmission", "xdis20"),
    (b"NotificationOfDischarge", "xdis17"),
    (b"PositiveReceipt", "xctl"),
    (b"NegativeReceipt", "xctl"),
    (b"NegativeVansReceipt", "xctl"),
)
#: Association code at the end of UNH (04 §§11, 12).
_INTERCHANGES: Final[tuple[tuple[bytes, Kind], ...]] = (
    (b"DIS20", "dis20"),
    (b"DIS17", "dis17"),
    (b"CTL0", "ctl"),
    (b"CONTRL", "ctl"),
)

_ER7: Final = re.compile(rb"(MSH[^A-Za-z0-9\s]|[A-Z][A-Z0-9]{2}\|)")
_ELEMENT: Final = re.compile(rb"<(?:[A-Za-z_][\w.-]*:)?([A-Za-z_][\w.-]*)")
_EVENT_XML: Final = re.compile(rb'<eventCoding>.*?<code\s+value="([^"]*)"', re.DOTALL)
_EVENT_TEXT: Final = re.compile(rb'"(hospital-notification-message|acknowledgement-message)"')
_SPACE: Final = b" \t\r\n\x0b\x0c"


def kind_of(data: bytes, name: str = "") -> Kind:
    """The kind of a document. `name` counts only by its ending `.hl7`."""
    if name.lower().endswith(".hl7"):
        return "adt"
    text = data.removeprefix(b"\xef\xbb\xbf").lstrip(_SPACE)
    if _ER7.match(text):
        return "adt"
    if text.startswith((b"UNA", b"UNB")):
        return next((kind for mark, kind in _INTERCHANGES if mark in text), "unknown")
    if text.startswith(b"{"):
        return _json_kind(text)
    return _xml_kind(text) if text.startswith(b"<") else "unknown"


def _json_kind(text: bytes) -> Kind:
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        return _by_words(text)
    kind = document.get("resourceType")
    if kind == "AuditEvent":
        return "eds-event"
    return _bundle_kind(document, text) if kind == "Bundle" else "unknown"


def _by_words(text: bytes) -> Kind:
    """The kind of JSON that cannot be read: it will be refused, but as what it was meant to be."""
    if b'"AuditEvent"' in text and b'"Bundle"' not in text:
        return "eds-event"
    if b'"Bundle"' not in text:
        return "unknown"
    found = _EVENT_TEXT.search(text)
    return _EVENTS[found[1].decode()] if found else _by_profile(text)


def _bundle_kind(bundle: dict[str, Any], text: bytes) -> Kind:
    for code in _event_codes(bundle):
        if code in _EVENTS:
            return _EVENTS[code]
    return _by_profile(text)


def _event_codes(bundle: dict[str, Any]) -> Iterator[str]:
    """Event codes of the MessageHeaders, whatever else is wrong with the document."""
    entries = bundle.get("entry")
    for entry in entries if isinstance(entries, list) else []:
        resource = entry.get("resource") if isinstance(entry, dict) else None
        coding = resource.get("eventCoding") if isinstance(resource, dict) else None
        code = coding.get("code") if isinstance(coding, dict) else None
        if isinstance(code, str):
            yield code


def _by_profile(text: bytes) -> Kind:
    return next((kind for profile, kind in _PROFILES if profile.encode() in text), "fhir-message")


def _xml_kind(text: bytes) -> Kind:
    elements = [found[1] for found in _ELEMENT.finditer(text[:65_536])]
    root = elements[0] if elements else b""
    if root in _ROOTS:
        return _ROOTS[root]
    if root == b"Bundle":
        found = _EVENT_XML.search(text)
        event = found[1].decode("ascii", errors="replace") if found else ""
        return _EVENTS.get(event) or _by_profile(text)
    if root == b"Emessage":
        return next((kind for name, kind in _LETTERS if name in elements), "unknown")
    return "unknown"
