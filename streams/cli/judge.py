"""What a document is, whether it is valid, the findings, and its content (acceptance.md, `inspect`).

The kind is one of those of acceptance.md, `unknown` else, found by the bytes (and a name ending in `.hl7`). Broken
documents have a kind too: an invalid notification is to be judged as one. So the first XML element decides, not a
complete parse, and JSON that cannot be read is recognised by the words it has.

The knowledge lies with the kinds themselves; this table only finds it. Modules are imported when a document of their
kind is met, so that a command about one kind does not load them all.
"""

import re
from importlib import import_module
from typing import Any, Final, NamedTuple

import orjson

from streams.envelopes.envelope import ENVELOPES
from streams.formats.fhir.read import excess
from streams.messages.message_type import MESSAGE_TYPES

_LEGACY: Final = "messages.legacy.inspect"
_OTHER: Final = "messages.other"


class _Row(NamedTuple):
    """One kind: what reads it, and by what it is known. `reader` takes bytes; an envelope's also `judge`, for the inside."""

    kind: str
    reader: str
    roots: tuple[bytes, ...] = ()  # the first element of an XML document, without its namespace prefix
    letters: tuple[bytes, ...] = ()  # the first letter element in an Emessage (04 §§9-12)
    associations: tuple[
        bytes, ...
    ] = ()  # association code at the end of UNH, the first that stands there (04 §§11, 12)


#: In the order in which they are shown.
_ROWS: Final = (
    _Row("adt", "messages.adt.inspect"),
    *(_Row(row.name, f"messages.{row.folder}") for row in MESSAGE_TYPES.values()),
    _Row("fhir-message", _OTHER),
    *(_Row(row.kind, f"envelopes.{row.name}", row.roots) for row in ENVELOPES.values() if row.kind),
    _Row("eds-event", "messages.edsevent", (b"AuditEvent",)),
    _Row("xdis20", _LEGACY, letters=(b"NotificationOfAdmission",)),
    _Row("xdis17", _LEGACY, letters=(b"NotificationOfDischarge",)),
    _Row("dis20", _LEGACY, associations=(b"DIS20",)),
    _Row("dis17", _LEGACY, associations=(b"DIS17",)),
    _Row("xctl", _LEGACY, letters=(b"PositiveReceipt", b"NegativeReceipt", b"NegativeVansReceipt")),
    _Row("ctl", _LEGACY, associations=(b"CTL0", b"CONTRL")),
    _Row("unknown", _OTHER),
)
KINDS: Final = tuple(row.kind for row in _ROWS)
_READERS: Final = {row.kind: row.reader for row in _ROWS}
_ROOTS: Final = {root: row.kind for row in _ROWS for root in row.roots}
_ENVELOPES: Final = {root: f"envelopes.{row.name}" for row in ENVELOPES.values() if not row.kind for root in row.roots}
_LETTERS: Final = {letter: row.kind for row in _ROWS for letter in row.letters}
_INTERCHANGES: Final = {code: row.kind for row in _ROWS for code in row.associations}
_ASSOCIATION: Final = re.compile(b"|".join(_INTERCHANGES))
#: Event code of a FHIR message. The profile that its Bundle names goes before: an event code may be what is wrong.
_EVENTS: Final = {row.event: row.name for row in MESSAGE_TYPES.values()}
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


def _bare_envelope(data: bytes) -> str:
    """The reader of an envelope that has no kind: it is judged by what is in it; "" for any other document."""
    root = _ELEMENT.match(_after_prolog(data.removeprefix(b"\xef\xbb\xbf").lstrip(_SPACE)))
    return _ENVELOPES.get(root[1], "") if root else ""


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


#: Readers of several kinds: they may find another one, or none; so each names the keys that a kind has.
_OF_SEVERAL: Final = (_LEGACY, _OTHER)


def _reader(kind: str) -> Any:
    return import_module(f"streams.{_READERS[kind]}")


def judge(data: bytes, name: str = "", kind: str | None = None) -> dict[str, Any]:
    """`{"kind", "valid", "issues", "reading"}` of a document. Never raises on content.

    `kind`: what it is to be read as; else it is found by `kind_of`.
    """
    as_kind = kind or kind_of(data, name)
    if as_kind == "unknown" and (reader := _bare_envelope(data)):
        return import_module(f"streams.{reader}").inspect(data, judge)  # type: ignore[no-any-return]
    inside = (judge,) if _READERS[as_kind].startswith("envelopes.") else ()
    judged = _reader(as_kind).inspect(data, *inside)
    shown = {"kind": as_kind, **{key: judged[key] for key in ("valid", "issues", "reading")}}
    found = judged.get("kind", as_kind)
    if found not in (as_kind, "unknown"):
        if kind is None:  # it reads as another kind than its words promise
            shown["kind"] = found
        else:
            problem, remedy = f"a document of kind {found}", f"send a document of kind {kind}, or name the kind it has"
            issue = {"severity": "error", "path": "$", "rule": "kind", "problem": problem, "remedy": remedy}
            shown |= {"valid": False, "issues": [issue, *shown["issues"]]}
    if (
        _READERS[shown["kind"]] in _OF_SEVERAL
    ):  # every key of its kind, absent values null (acceptance.md), whatever could be read
        read = shown["reading"] or {}
        keys = _reader(shown["kind"]).nothing_read(shown["kind"])
        shown["reading"] = {key: read.get(key, absent) for key, absent in keys.items()}
    return shown
