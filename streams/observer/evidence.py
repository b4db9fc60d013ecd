"""What lies on the topics, read by code of its own: the second witness of the balance (00 §5, spec 06 §3.4).

Nothing here is shared with what the product writes or counts with: rows are decoded as plain JSON, envelopes are opened
by element names, and only as far as an id. So a fault in a codec, a counter or a table cannot hide itself.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lxml import etree

_ENVELOPES = frozenset({"VANSEnvelope", "StandardBusinessDocument", "Haendelsesbesked"})
_MAX_DEPTH = 4  # envelope, Bundle; more is a construction that no sender makes


@dataclass(frozen=True, slots=True)
class TopicRecord:
    """One record of a topic as it lies there. `timestamp` is None where the broker keeps none."""

    topic: str
    partition: int
    offset: int
    value: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    timestamp: datetime | None = None

    @property
    def place(self) -> str:
        """`topic/partition/offset`, as ledger rows name an arrival."""
        return f"{self.topic}/{self.partition}/{self.offset}"


@dataclass(frozen=True, slots=True)
class InboxLetter:
    """A document in an inbox: the message it is, and the dispatch it came with. Legacy letters have their own ids."""

    message_id: str
    envelope_id: str
    legacy: bool = False


@dataclass(frozen=True, slots=True)
class Quoted:
    """What an acknowledgement answers, as it quotes it (02 §4.1), and its verdict."""

    message_id: str
    code: str


def received_at(record: TopicRecord) -> datetime | None:
    """When a record arrived: the header of spec 04 §6, else the broker's time."""
    return moment_of(record.headers.get("received-at")) or record.timestamp


def moment_of(text: object) -> datetime | None:
    """An instant with its offset; None for anything else."""
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return at if at.tzinfo is not None else None


#: Key of a row in which a worker notes how far it has come: source topic and partition.
_POSITION = re.compile(rb"\0position/(.+)/([0-9]{1,9})")


def position_of(key: bytes | None, value: bytes | None) -> tuple[tuple[str, int], int] | None:
    """Source partition and next offset that a record of a changelog notes; None for every other record."""
    found = _POSITION.fullmatch(key or b"")
    if found is None or value is None or not value.isdigit() or len(value) > 18:
        return None
    return (found[1].decode("utf-8", "replace"), int(found[2])), int(value)


def row_of(value: bytes) -> dict[str, Any] | None:
    """A JSON object, or None when the value is none, or one nested beyond sense."""
    try:
        row = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


#: How the origin of a message begins that the gateway refused: it has no place on a topic.
GATEWAY = "gateway/"

#: Fields of a ledger row that are compared, and what they are (03 §6).
_ROW_FIELDS: Mapping[str, type] = {
    "id": str, "kind": str, "subject": str, "what": str, "origin": str, "event": str,
    "delta": int, "ordinal": int, "parts": int, "k": int, "attempt": int,
}  # fmt: skip


def ledger_row_of(value: bytes) -> dict[str, Any] | None:
    """A row of the ledger with all that is compared; None for a record that is none."""
    row = row_of(value)
    if row is None or any(not isinstance(row.get(field), kind) for field, kind in _ROW_FIELDS.items()):
        return None
    arrivals = dict.fromkeys(("receipt", "arrival", "copy-receipt"), row["subject"])
    arrivals["event"] = row["origin"] or row["subject"]
    place = arrivals.get(row["kind"], row["origin"])
    if row["kind"] == "event" and place.startswith(GATEWAY):
        return row
    return row if is_place(place) or (place == "" and row["kind"] not in arrivals) else None


def is_place(text: str) -> bool:
    """Whether a text names an arrival: `topic/partition/offset`."""
    parts = text.rsplit("/", 2)
    return len(parts) == 3 and all(part.isascii() and part.isdigit() and len(part) < 20 for part in parts[1:])


def source_of(value: bytes) -> tuple[str, str]:
    """`application/facility` and control id of an ADT message: MSH-3.1, MSH-4.1, MSH-10; "" where there is none.

    A stay that is taken over at a go-live names both.
    """
    if value[:1] == b"{":
        stay = row_of(value) or {}
        return str(stay.get("feed", "")), str(stay.get("control_id", ""))
    line = value.lstrip(b"\x0b\xef\xbb\xbf\r\n ").replace(b"\n", b"\r").split(b"\r")[0].decode("latin-1")
    fields = line.split(line[3:4]) if len(line) > 3 else []
    fields += [""] * (10 - len(fields))
    component = fields[1][:1] or "^"
    application, facility = (fields[index].split(component)[0] for index in (2, 3))
    return f"{application}/{facility}", fields[9].split(component)[0]


def letter_source_of(value: bytes) -> tuple[str, str]:
    """No feed, and the id of what a hospital has written itself: MessageHeader.id, or `<location number>#<letter id>`.

    As `source_of` of an ADT message.
    """
    document = _innermost(value) or b""
    if (letter := open_letter(document)) is not None and not letter.legacy:
        return "", letter.message_id.strip()
    if document.lstrip(b"\xef\xbb\xbf\r\n ").startswith((b"UNA", b"UNB")):
        sender, number = _of_edifact(document.decode("latin-1").lstrip("\xef\xbb\xbf\r\n "))
    else:
        root = _xml(document)
        sender = "" if root is None else _below(root, ["Sender", "EANIdentifier"])
        number = "" if root is None else _below(root, ["Letter", "Identifier"])
    return "", f"{sender}#{number}"


def _below(root: etree._Element, path: list[str]) -> str:
    """The text at a path below any child of the root that is a letter; "" where there is none."""
    for child in root:
        nodes = [] if _local(child) == "Local_Elements" else [child]
        for name in path:
            nodes = [below for node in nodes for below in node if _local(below) == name]
        if nodes:
            found = nodes[0]  # a comment divides a text
            return "".join([found.text or "", *(inside.tail or "" for inside in found)]).strip()
    return ""


def _of_edifact(text: str) -> tuple[str, str]:
    """Sender of UNB and id of UNH, in whatever separators `UNA` names."""
    segments = _segments(text, most=3)  # UNB and UNH are the first two
    return _component(segments, "UNB", 2), _component(segments, "UNH", 1)


def _component(segments: list[list[str]], tag: str, place: int) -> str:
    """The first component of an element of the first segment with this tag; "" where there is none."""
    found = next((segment for segment in segments if segment and segment[0] == tag), [])
    return found[place].split("\0")[0] if len(found) > place else ""


def _segments(text: str, most: int = 1000) -> list[list[str]]:
    """The segments of an interchange, at most so many, by elements whose components are parted by NUL."""
    component, element, _, release, _, end = tuple(text[3:9] if text.startswith("UNA") else ":+.? '")
    parts, escaped, word = list[list[str]]([[]]), False, ""
    for mark in text[9:] if text.startswith("UNA") else text:
        if escaped or mark not in (release, element, end, component):
            word, escaped = word + mark, False
        elif mark == release:
            escaped = True
        elif mark == component:
            word += "\0"
        else:
            parts[-1].append(word.strip("\r\n"))
            word = ""
            if mark == end:
                parts.append([])
        if len(parts) > most:
            break
    return parts


def open_letter(value: bytes) -> InboxLetter | None:
    """The message inside an envelope of any kind, or in a bare document; None when there is none to be found."""
    document = _innermost(value)
    if document is None:
        return None
    if (bundle := row_of(document)) is not None:
        for resource in _resources(bundle):
            if resource.get("resourceType") == "MessageHeader":
                return InboxLetter(str(resource.get("id", "")), str(bundle.get("id", "")))
        return None
    if document.startswith(_EDIFACT):
        segments = _segments(document.decode("latin-1"), most=3)
        return InboxLetter(_component(segments, "UNH", 1), _component(segments, "UNB", 5), legacy=True)
    root = _xml(document)
    if root is None:
        return None
    kind = _local(root)
    for element in root.iter():
        if kind == "Bundle" and _local(element) == "MessageHeader":
            return InboxLetter(_child_value(element, "id"), _child_value(root, "id"))
        # OIOXML: Emessage with an Envelope and one letter, each with an Identifier.
        if kind == "Emessage" and _local(element) == "Envelope":
            return InboxLetter(_below(root, ["Letter", "Identifier"]), _below(root, ["Identifier"]), legacy=True)
    return None


def is_network_receipt(value: bytes) -> bool:
    """Whether a receipt is one of the network, which is about an envelope (02 §2.4, §3.2)."""
    root = None if value.startswith(_EDIFACT) else _xml(value)
    if (answer := _letter_receipt(_innermost(value) or b"")) is not None:
        return answer.code == _NETWORK
    if root is None:
        return False
    if _local(root) == "VANSEnvelope":
        return any(_local(child) == "Receipt" for child in root)
    kinds = ("ReceiptAcknowledgement", "ReceiptException")
    return _local(root) == "StandardBusinessDocument" and _first(root, "Type") in kinds


def quoted(value: bytes) -> Quoted | None:
    """What an acknowledgement of any wrapping answers; None when it is none that can be read."""
    document = _innermost(value)
    if document is None:
        return None
    if (answer := _letter_receipt(document)) is not None:
        return answer
    if (bundle := row_of(document)) is not None:
        for resource in _resources(bundle):
            response = resource.get("response")
            if resource.get("resourceType") == "MessageHeader" and isinstance(response, dict) and response:
                return Quoted(str(response.get("identifier", "")), str(response.get("code", "")))
        return None
    root = _xml(document)
    for response in root.iter() if root is not None else ():
        if _local(response) == "response":
            return Quoted(_child_value(response, "identifier"), _child_value(response, "code"))
    return None


#: Receipts for letters (04 §12): by the element of OIOXML and by the type of EDIFACT.
_NETWORK = "network"
_ANSWERS = {"03": "ok", "02": "fatal-error", "01": _NETWORK}
_ELEMENTS = {"PositiveReceipt": "03", "NegativeReceipt": "02", "NegativeVansReceipt": "01"}
_EDIFACT = (b"UNA", b"UNB")


def _letter_receipt(document: bytes) -> Quoted | None:
    """What a receipt for a letter answers: the first letter that it names, else the envelope; None for anything else."""
    if document.startswith(_EDIFACT):
        segments = _segments(document.decode("latin-1"))
        code = _ANSWERS.get(_component(segments, "UNH", 3)[-2:])
        if code is None or not _component(segments, "UCI", 1):
            return None
        return Quoted(_component(segments, "UCM", 1) or _component(segments, "UCI", 1), code)
    root = _xml(document) if b"Emessage" in document[:200] else None
    for child in root if root is not None else ():
        if _local(child) in _ELEMENTS:
            quoted = _first(child, "OriginalLetterIdentifier") or _first(child, "OriginalEnvelopeIdentifier")
            return Quoted(quoted, _ANSWERS[_ELEMENTS[_local(child)]])
    return None


def lane_of_letter(letter_id: str) -> str:
    """The lane in a letter id of ours: seven digits of base 36 after two letters (00 §7.1); "" for no such id."""
    if re.fullmatch("[A-Z]{2}[0-9A-Z]{12}", letter_id) is None:
        return ""
    return f"{int(letter_id[2:9], 36):08x}"


def _innermost(value: bytes) -> bytes | None:
    """The document inside all envelopes; None when one of them has no content."""
    for _ in range(_MAX_DEPTH):
        root, text = None, ""
        if value[:1] == b"{":  # the record of a copy holds its document as an envelope does (02 §7.3)
            copy = row_of(value) if value.startswith(b'{"besked_id"') else None
            text = str((copy or {}).get("payload", ""))
        else:
            root = _xml(value)
        if not text and (root is None or _local(root) not in _ENVELOPES):
            return value
        if root is not None:
            text = _first(root, "Data") or _first(root, "BinaryContent") or _first(root, "Base64")
        try:
            value = base64.b64decode("".join(text.split()))
        except (binascii.Error, ValueError):
            return None
        if not value:
            return None
    return None


def _xml(value: bytes) -> etree._Element | None:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)
    try:
        return etree.fromstring(value, parser)
    except (etree.XMLSyntaxError, ValueError):
        return None


def _local(element: etree._Element) -> str:
    return etree.QName(element).localname if isinstance(element.tag, str) else ""


def _first(root: etree._Element, name: str) -> str:
    """Text of the first element of that local name, "" when there is none."""
    for element in root.iter():
        if _local(element) == name:
            return (element.text or "").strip()
    return ""


def _resources(bundle: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    entries = bundle.get("entry")
    for entry in entries if isinstance(entries, list) else ():
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(resource, dict):
            yield resource


def _child_value(parent: etree._Element, name: str) -> str:
    for child in parent:
        if _local(child) == name:
            return str(child.get("value", ""))
    return ""
