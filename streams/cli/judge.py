"""What a document is, whether it is valid, the findings, and its content (acceptance.md, `inspect`).

The kind is one of those of acceptance.md, `unknown` else, found by the bytes (and a name ending in `.hl7`). Broken
documents have a kind too: an invalid notification is to be judged as one. So the first XML element decides, not a
complete parse, and JSON that cannot be read is recognised by the words it has.

The knowledge lies with the kinds themselves; this table only finds it. Modules are imported when a document of their
kind is met, so that a command about one kind does not load them all.
"""

import re
from importlib import import_module
from typing import Any, Final

import orjson

from streams.envelopes.envelope import ENVELOPES
from streams.formats.fhir.read import excess
from streams.messages.message_type import MESSAGE_TYPES

__all__ = ["KINDS", "judge", "kind_of"]

#: Every kind, in the order in which they are shown.
KINDS: Final = (
    "adt",
    *MESSAGE_TYPES,
    "fhir-message",
    *(row.kind for row in ENVELOPES.values() if row.kind),
    "eds-event",
    "xdis20",
    "xdis17",
    "dis20",
    "dis17",
    "xctl",
    "ctl",
    "unknown",
)

#: Event code of a FHIR message. The profile that its Bundle names goes before: an event code may be what is wrong.
_EVENTS: Final = {row.event: row.name for row in MESSAGE_TYPES.values()}
#: First element of an XML document, without its namespace prefix.
_ROOTS: Final = {root: row.kind for row in ENVELOPES.values() for root in row.roots} | {b"AuditEvent": "eds-event"}
#: First letter element in an Emessage (04 §§9-12).
_LETTERS: Final[dict[bytes, str]] = {
    b"NotificationOfAdmission": "xdis20",
    b"NotificationOfDischarge": "xdis17",
    b"PositiveReceipt": "xctl",
    b"NegativeReceipt": "xctl",
    b"NegativeVansReceipt": "xctl",
}
#: Association code at the end of UNH, the first that stands there (04 §§11, 12).
_INTERCHANGES: Final[dict[bytes, str]] = {b"DIS20": "dis20", b"DIS17": "dis17", b"CTL0": "ctl", b"CONTRL": "ctl"}
_ASSOCIATION: Final = re.compile(b"|".join(_INTERCHANGES))

_ER7: Final = re.compile(rb"(MSH[^A-Za-z0-9\s]|[A-Z][A-Z0-9]{2}\|)")
_ELEMENT: Final = re.compile(rb"<(?:[A-Za-z_][\w.-]*:)?([A-Za-z_][\w.-]*)")
_CODE: Final = re.compile(rb"""<(?:[A-Za-z_][\w.-]*:)?code\s+value\s*=\s*["']([^"']*)["']""")
_EVENT_TEXT: Final = re.compile(rf'"({"|".join(_EVENTS)})"'.encode())
_HEAD: Final = 65_536  # bytes in which the elements that decide stand
_SPACE: Final = b" \t\r\n\x0b\x0c"


def kind_of(data: bytes, name: str = "") -> str:
    """The kind of a document. `name` counts only by its ending `.hl7`."""
    if name.lower().endswith(".hl7"):
        return "adt"
    text = data.removeprefix(b"\xef\xbb\xbf").lstrip(_SPACE)
    if _ER7.match(text):
        return "adt"
    if text.startswith((b"UNA", b"UNB")):
        # By the association code behind UNH; without a UNH by the first that stands anywhere, or by what a receipt has.
        if found := _ASSOCIATION.search(text, max(text.find(b"UNH"), 0)):
            return _INTERCHANGES[found[0]]
        return "ctl" if b"UCI" in text else "unknown"
    if text.startswith(b"{"):
        return _json_kind(text)
    return _xml_kind(text) if text.startswith(b"<") else "unknown"


def _json_kind(text: bytes) -> str:
    if excess(text):
        return _by_words(text)
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        return _by_words(text)
    kind = document.get("resourceType")
    if kind != "Bundle":
        return "eds-event" if kind == "AuditEvent" else "unknown"
    meta = document.get("meta")
    stated = str(meta.get("profile")) if isinstance(meta, dict) else ""
    for row in MESSAGE_TYPES.values():
        if row.profile in stated:
            return row.name
    # By the event code of a MessageHeader, whatever else is wrong with the document.
    entries = document.get("entry")
    for entry in entries if isinstance(entries, list) else []:
        resource = entry.get("resource") if isinstance(entry, dict) else None
        coding = resource.get("eventCoding") if isinstance(resource, dict) else None
        code = coding.get("code") if isinstance(coding, dict) else None
        if isinstance(code, str) and code in _EVENTS:
            return _EVENTS[code]
    return _by_profile(text)


def _by_words(text: bytes) -> str:
    """The kind of JSON that cannot be read: it is refused, but as what it was meant to be."""
    if b'"Bundle"' not in text:
        return "eds-event" if b'"AuditEvent"' in text else "unknown"
    found = _EVENT_TEXT.search(text)
    return _EVENTS[found[1].decode()] if found else _by_profile(text)


def _by_profile(text: bytes) -> str:
    return next((row.name for row in MESSAGE_TYPES.values() if row.profile.encode() in text), "fhir-message")


def _xml_kind(text: bytes) -> str:
    elements = [found[1] for found in _ELEMENT.finditer(_after_prolog(text))]
    root = elements[0] if elements else b""
    if root in _ROOTS:
        return _ROOTS[root]
    if root == b"Emessage":
        return next((_LETTERS[name] for name in elements if name in _LETTERS), "unknown")
    if root != b"Bundle":
        return "unknown"
    # By the profile before the first entry, else by the event code, else by any profile.
    stated = _by_profile(text[: max(text.find(b"<entry"), 0)])
    if stated != "fhir-message":
        return stated
    found = _CODE.search(text, max(text.find(b"eventCoding"), 0))
    event = found[1].strip().decode("ascii", errors="replace") if found else ""
    return _EVENTS.get(event) or _by_profile(text)


def _after_prolog(text: bytes) -> bytes:
    """From the first element on: past declaration, comments, instructions and document type."""
    at = 0
    while text[at : at + 2] in (b"<?", b"<!"):
        end = b"-->" if text[at : at + 4] == b"<!--" else b">"
        past = text.find(end, at)
        at = text.find(b"<", past) if past >= 0 else -1
        if at < 0:
            return b""
    return text[at : at + _HEAD]


#: Where each kind is read; all take bytes and give `kind`, `valid`, `issues`, `reading`.
_READERS: Final[dict[str, str]] = {
    "adt": "streams.messages.adt.inspect",
    **{row.name: f"streams.messages.{row.folder}" for row in MESSAGE_TYPES.values()},
    "fhir-message": "streams.messages.other",
    "eds-event": "streams.messages.edsevent",
    "xdis20": "streams.messages.legacy.inspect",
    "xdis17": "streams.messages.legacy.inspect",
    "xctl": "streams.messages.legacy.inspect",
    "dis20": "streams.messages.legacy.inspect",
    "dis17": "streams.messages.legacy.inspect",
    "ctl": "streams.messages.legacy.inspect",
    "unknown": "streams.messages.other",
}
#: Readers of several kinds: they may find another one, or none; so each names the keys that a kind has.
_OF_SEVERAL: Final = ("streams.messages.legacy.inspect", "streams.messages.other")
#: Envelopes are given `judge` for what is inside them.
_ENVELOPES: Final = {row.kind: f"streams.envelopes.{row.name}" for row in ENVELOPES.values() if row.kind}


def judge(data: bytes, name: str = "", kind: str | None = None) -> dict[str, Any]:
    """`{"kind", "valid", "issues", "reading"}` of a document. Never raises on content.

    `kind`: what it is to be read as; else it is found by `kind_of`.
    """
    as_kind = kind or kind_of(data, name)
    if as_kind in _ENVELOPES:
        judged = import_module(_ENVELOPES[as_kind]).inspect(data, judge)
    else:
        judged = import_module(_READERS[as_kind]).inspect(data)
    shown = {"kind": as_kind, **{key: judged[key] for key in ("valid", "issues", "reading")}}
    found = judged.get("kind", as_kind)
    if found not in (as_kind, "unknown"):
        if kind is None:  # it reads as another kind than its words promise
            shown["kind"] = found
        else:
            problem, remedy = f"a document of kind {found}", f"send a document of kind {kind}, or name the kind it has"
            issue = {"severity": "error", "path": "$", "rule": "kind", "problem": problem, "remedy": remedy}
            shown |= {"valid": False, "issues": [issue, *shown["issues"]]}
    module = _READERS.get(shown["kind"], "")
    if module in _OF_SEVERAL:  # every key of its kind, absent values null (acceptance.md), whatever could be read
        read = shown["reading"] or {}
        keys = import_module(module).nothing_read(shown["kind"])
        shown["reading"] = {key: read.get(key, absent) for key, absent in keys.items()}
    return shown
