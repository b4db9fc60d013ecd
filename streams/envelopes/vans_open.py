"""Opening: the checks V1 to V6 of a VANSEnvelope, and what is inside.

Decided by spec 02 §2.4. The checks are made in that order and the first failure decides what the sender is told. V7,
the duplicates, needs memory and is the lane's matter. A receipt is never answered.
"""

from collections.abc import Container
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from streams.words.errors import Issue, Rejected
from streams.words.model import NetworkReceipt
from streams.words.times import local_time

from .grammar import decoded, faults, root_of
from .media import media_type_of, require_parses
from .vans_parts import ContentKind, EndpointKind, Head, MetaInformation, unread_meta
from .vans_plain import plain
from .vans_rules import ENVELOPE, MIME_TAG, NAMESPACE, known, name_to_send

__all__ = ["RECEIPTS", "Opened", "Refused", "judged", "open_envelope"]

_NS: Final = "{" + NAMESPACE + "}"
RECEIPTS: Final[dict[str, ContentKind]] = {
    _NS + "PositiveMessage": "positive-message",
    _NS + "NegativeMessage": "negative-message",
    _NS + "NegativeVans": "negative-vans",
}


class Refused(Rejected):
    """An envelope that fails V1 to V6. `answer` is what a NegativeMessage needs; None: dead letter, no receipt."""

    def __init__(self, issue: Issue, answer: Head | None) -> None:
        super().__init__(issue.path, issue.problem, issue.remedy, issue.rule)
        self.answer = answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An envelope that has passed V1 to V6. Ids are in lower case; "" and None stand for what it does not have."""

    envelope_id: str
    sender: str
    sender_kind: EndpointKind
    receiver: str
    receiver_kind: EndpointKind
    sent: datetime
    content_kind: ContentKind
    meta: MetaInformation | None  # of the document inside, or of the one the receipt is about
    payload: bytes = b""
    media_type: str = ""  # of a FHIR payload
    original_envelope_id: str = ""
    error: str = ""
    error_code: int | None = None
    warnings: tuple[Issue, ...] = ()

    def __repr__(self) -> str:
        return f"Opened({self.content_kind}, {self.envelope_id})"

    def network_receipt(self, origin: str = "") -> NetworkReceipt | None:
        """The receipt it holds, None when it holds a message. `origin`: topic/partition/offset of its arrival."""
        if self.content_kind == "message":
            return None
        return NetworkReceipt(
            positive=self.content_kind == "positive-message",
            original_transport_id=self.original_envelope_id,
            transport_id=self.envelope_id,
            transport_sender=self.sender,
            layer="vans",
            description=self.error,
            origin=origin,
        )


def open_envelope(data: bytes, *, ours: Container[str] | None = None) -> Opened:
    """Opens an envelope and makes the checks V1 to V6; `ours`: the receivers that V3 takes, None for any.

    Raises `Refused` with the rule that failed and, where the sender can be told, what the answer needs.
    """
    opened = _plain(data)
    if opened is not None and _passes(opened, ours):
        return opened
    try:
        root = root_of(data, "V1")
    except Rejected as rejected:
        raise Refused(rejected.issue(), None) from None
    opened, issues = judged(root, ours)
    if opened is None:
        raise Refused(issues[0], _answer(root))
    return opened


def _plain(data: bytes) -> Opened | None:
    """An envelope in the plain spelling; None for any other, and for what only the parser can tell apart."""
    parts = plain(data)
    if parts is None:
        return None
    text = parts.text
    try:
        sent = _instant(text("sent"))
    except ValueError:
        return None
    return _message(
        parts.meta,
        parts.payload,
        envelope_id=text("id").lower(),
        sender=text("SenderID"),
        sender_kind=text("SenderIDKind"),
        receiver=text("ReceiverID"),
        receiver_kind=text("ReceiverIDKind"),
        sent=sent,
    )


def _passes(opened: Opened, ours: Container[str] | None) -> bool:
    """Whether V3 to V6 hold; when not, the slow way finds the same fault and the answer to it."""
    try:
        _require(opened, ours)
    except Rejected:
        return False
    return True


def judged(root: Any, ours: Container[str] | None) -> tuple[Opened | None, list[Issue]]:
    """V2 to V6 over a parsed envelope: the envelope when it passes, and what was found."""
    issues = faults(root, ENVELOPE, "V2")
    if issues:
        return None, issues
    opened = _read(root)
    try:
        _require(opened, ours)
    except Rejected as rejected:
        return None, [rejected.issue(), *opened.warnings]
    return opened, list(opened.warnings)


def _read(root: Any) -> Opened:
    sender, receiver, envelope_id, sent, content = root
    branch = content[0] if content.tag == _NS + "Receipt" else content
    kind: ContentKind = RECEIPTS.get(branch.tag, "message")
    head = {
        "envelope_id": envelope_id.text.lower(),
        "sender": sender.text.strip(),
        "sender_kind": sender.get("EndPointType"),
        "receiver": receiver.text.strip(),
        "receiver_kind": receiver.get("EndPointType"),
        "sent": _instant(sent.text.strip()),
    }
    if kind == "message":
        meta = _meta(branch.find(_NS + "MetaInformation"))
        return _message(meta, decoded(branch.findtext(_NS + "Data") or "") or b"", **head)
    original, code = branch.find(_NS + "OriginalMessage"), branch.findtext(f"{_NS}Error/{_NS}Code")
    return Opened(
        **head,
        content_kind=kind,
        meta=None if original is None else _meta(original),
        original_envelope_id=(branch.findtext(_NS + "OriginalEnvelopeIdentifier") or "").lower(),
        error=branch.findtext(f"{_NS}Error/{_NS}Description") or "",
        error_code=None if code is None or len(code) > 18 else int(code),
    )


def _message(meta: MetaInformation, payload: bytes, **head: Any) -> Opened:
    """An envelope with a message; `head`: what stands before it."""
    row = known(meta.format, meta.name, meta.version)
    label, is_fhir = meta.tag(MIME_TAG), row is not None and row.fhir
    return Opened(
        **head,
        content_kind="message",
        meta=meta,
        payload=payload,
        media_type=media_type_of(label, payload) if is_fhir else "",
        warnings=_warnings(label, meta.name) if is_fhir else (),
    )


def _instant(text: str) -> datetime:
    """A sending time; without a zone, as in the published sample, it is Danish (spec 02 §2.2)."""
    at = datetime.fromisoformat(text)
    return at if at.tzinfo is not None else local_time(at)


def _meta(node: Any) -> MetaInformation:
    """A MetaInformation or OriginalMessage that has passed the schema."""
    provider = node.findtext(f"{_NS}Processing/{_NS}ProviderIdentifier")
    service = node.findtext(f"{_NS}Processing/{_NS}ServiceIdentifier")
    document, transport = node.find(_NS + "Document"), node.find(_NS + "Transport")
    transform = None if transport is None else transport.findtext(_NS + "TransformMessage").strip() in ("true", "1")
    tags = () if transport is None else transport.findall(_NS + "ServiceTag")
    return MetaInformation(
        identifier=node.findtext(_NS + "Identifier").lower(),
        format=document.findtext(_NS + "Format"),
        name=document.findtext(_NS + "Name"),
        version=document.findtext(_NS + "Version") or "",
        size=int(document.findtext(_NS + "SizeInBytes")),
        processing=None if provider is None or service is None else (provider, service),
        transport="" if transport is None else transport.findtext(_NS + "Type") or "",
        transform=transform,
        tags=tuple((tag.get("name"), tag.text) for tag in tags),
    )


_META: Final = "VANSEnvelope.Message.MetaInformation"


def _warnings(label: str, name: str) -> tuple[Issue, ...]:
    """What is odd about a FHIR document's labels and all the same no reason to refuse it."""
    found = []
    if usual := name_to_send(name):
        problem = "an activity code as postfix, which the code system of names does not have"
        found.append(_warning(f"{_META}.Document.Name", "V5", problem, f"send {usual}"))
    if not label:
        problem, remedy = (
            "no MCM:MIME tag; recognised by its first byte",
            "send the media type in a service tag MCM:MIME",
        )
        found.append(_warning(f"{_META}.Transport.ServiceTag", "V6", problem, remedy))
    return tuple(found)


def _warning(path: str, rule: str, problem: str, remedy: str) -> Issue:
    return Issue(severity="warning", path=path, rule=rule, problem=problem, remedy=remedy)


def _require(opened: Opened, ours: Container[str] | None) -> None:
    """V3 to V6 (spec 02 §2.4). A receipt holds no document: V4 to V6 are not for it."""
    if ours is not None and opened.receiver not in ours:
        raise Rejected("VANSEnvelope.ReceiverID", "unknown receiver", "send to a receiver of this system", "V3")
    if opened.content_kind != "message" or opened.meta is None:
        return
    meta, path = opened.meta, _META
    if len(opened.payload) != meta.size:
        problem = f"{meta.size} stated, {len(opened.payload)} bytes decoded"
        raise Rejected(f"{path}.Document.SizeInBytes", problem, "send the length of the document before base64", "V4")
    row = known(meta.format, meta.name, meta.version)
    if row is None:
        remedy = "send name, format and version of a document that is received here"
        raise Rejected(f"{path}.Document", "unknown document type", remedy, "V5")
    if row.fhir:
        if not opened.media_type:
            remedy = "send application/fhir+json or application/fhir+xml as MCM:MIME"
            raise Rejected(f"{path}.Transport.ServiceTag", "no media type of FHIR", remedy, "V6")
        require_parses(opened.payload, opened.media_type, "VANSEnvelope.Message.Data", "V6")


def _answer(root: Any) -> Head | None:
    """What a NegativeMessage to the sender needs; None when it cannot be told, or when it sent a receipt itself."""
    parts = {part.names[0]: part for part in ENVELOPE.parts[:3]}
    nodes = [root.find(name) for name in parts]
    if any(node is None or faults(node, parts[node.tag], "V2") for node in nodes) or root.find(_NS + "Message") is None:
        return None
    sender, receiver, envelope_id = nodes
    meta = root.find(f"{_NS}Message/{_NS}MetaInformation")
    grammar = ENVELOPE.parts[4].of[0].parts[0]
    readable = meta is not None and not faults(meta, grammar, "V2")
    own = envelope_id.text.lower()
    return Head(
        sender=sender.text.strip(),
        sender_kind=sender.get("EndPointType"),
        receiver=receiver.text.strip(),
        receiver_kind=receiver.get("EndPointType"),
        envelope_id=own,
        meta=_meta(meta) if readable else unread_meta(own),
    )
