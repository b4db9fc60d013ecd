"""Den gode VANSEnvelope 1.0.4: a message or a receipt in its envelope, sealed, opened and inspected.

Decided by spec 02 §2. Documents and schema are the tables of `vans_rules`. Sealing writes text, because it happens for
every message. Opening makes the checks V1 to V6 (§2.4) in that order, and the first failure decides what the sender
gets as answer; a receipt is never answered. V7, the duplicates, needs memory and is the lane's matter. Whether the
document inside is right is not looked at here.
"""

import base64
from collections.abc import Callable, Container
from datetime import datetime
from typing import Any, Final, Literal

import msgspec
import orjson
from lxml import etree

from streams.words.errors import Issue, Rejected, judgement
from streams.words.model import NetworkReceipt
from streams.words.times import danish_text, local_time

from .envelope import Waybill
from .grammar import LIMIT, decoded, escaped, faults, root_of
from .vans_rules import (
    ADDRESS,
    DOCUMENT_FORMATS,
    ENVELOPE,
    META,
    MIME_TAG,
    NAMESPACE,
    ContentKind,
    EndpointKind,
    MetaInformation,
    known,
    read_plain,
)

KIND: Final = "vans-envelope"
_NS: Final = "{" + NAMESPACE + "}"
_META_PATH: Final = "VANSEnvelope.Message.MetaInformation"
#: Element of a receipt -> what the envelope holds (spec 02 §2.2).
_RECEIPTS: Final[dict[str, ContentKind]] = {
    "PositiveMessage": "positive-message",
    "NegativeMessage": "negative-message",
    "NegativeVans": "negative-vans",
}
FHIR_JSON: Final = "application/fhir+json"
FHIR_XML: Final = "application/fhir+xml"
#: Labels of FHIR payloads; older pages have `text/fhir+json` (spec 02 §2.3).
_LABELS: Final = {FHIR_JSON: FHIR_JSON, FHIR_XML: FHIR_XML, "text/fhir+json": FHIR_JSON, "text/fhir+xml": FHIR_XML}


class Head(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What an answer needs to know of an envelope that was refused: who sent it to whom, its id, its document."""

    sender: str
    sender_kind: EndpointKind
    receiver: str
    receiver_kind: EndpointKind
    envelope_id: str
    meta: MetaInformation


class EnvelopeRefused(Rejected):
    """An envelope that fails V1 to V6. `answer` is what a NegativeMessage needs; None: dead letter, no receipt."""

    def __init__(self, issue: Issue, answer: Head | None) -> None:
        super().__init__(issue.path, issue.problem, issue.remedy, issue.rule)
        self.answer = answer


class Opened(msgspec.Struct, frozen=True, kw_only=True, gc=False):
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

    @property
    def asked(self) -> datetime | None:
        """None: receipts of envelopes are the network's matter."""
        return None

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


# ---- sealing --------------------------------------------------------------------------------------------------------

_ERROR_LIMIT: Final = 512  # characters of Error/Description (spec 02 §2.2)
_BEFORE: Final = b"</MetaInformation><Data>"
_AFTER: Final = b"</Data></Message></VANSEnvelope>"


def seal(payload: bytes, waybill: Waybill) -> bytes:
    """The envelope of one document. Raises `Rejected` (20.1) when the whole is over 100 MB."""
    about = waybill.about
    return seal_message(
        payload,
        sender_gln=about.sender.gln,
        receiver_gln=about.receiver.gln,
        transport_id=waybill.transport_id,
        message_id=waybill.bundle_id,
        sent=waybill.sent,
        name=waybill.name,
        version=waybill.version,
        media_type=waybill.media_type,
        format=waybill.format,
        tags=waybill.tags,
    )


def seal_message(
    payload: bytes,
    *,
    sender_gln: str,
    receiver_gln: str,
    transport_id: str,
    message_id: str,
    sent: datetime,
    name: str,
    version: str,
    media_type: str = "",
    format: str = "HL7",
    tags: tuple[tuple[str, str], ...] = (),
) -> bytes:
    """The envelope of one document (spec 02 §2.4).

    `message_id` is Bundle.id; `media_type` "" for documents other than FHIR; `tags` are further service tags, such as
    ("MCM:STATISTIC", "auto"). Raises `Rejected` (20.1) when the whole is over 100 MB.
    """
    meta = MetaInformation(
        identifier=message_id,
        format=format,
        name=name,
        version=version,
        size=len(payload),
        transport="reliable",
        transform=False,
        tags=((MIME_TAG, media_type), *tags) if media_type else tags,  # spec 02 §2.3: FHIR carries its media type
    )
    head = f"{_head_xml(sender_gln, receiver_gln, transport_id, sent)}<Message><MetaInformation>{_meta_xml(meta)}"
    sealed = b"".join((head.encode(), _BEFORE, base64.b64encode(payload), _AFTER))
    if len(sealed) > LIMIT:
        raise Rejected("VANSEnvelope", "longer than 100 MB", "send one message of at most 100 MB", "20.1")
    return sealed


def seal_receipt(
    kind: Literal["positive-message", "negative-message", "negative-vans"],
    *,
    sender: str,
    receiver: str,
    transport_id: str,
    sent: datetime,
    original_transport_id: str,
    original: MetaInformation | None,
    error: str = "",
    error_code: int | None = None,
    sender_kind: EndpointKind = "EAN",
    receiver_kind: EndpointKind = "EAN",
) -> bytes:
    """The receipt for one envelope: `sender` and `receiver` are those of the receipt, `original` its MetaInformation.

    Only `negative-vans`, a network operator's, may lack `original`; `error` is cut to what the schema takes.
    """
    head = _head_xml(sender, receiver, transport_id, sent, sender_kind=sender_kind, receiver_kind=receiver_kind)
    inside = f"<OriginalEnvelopeIdentifier>{original_transport_id}</OriginalEnvelopeIdentifier>"
    if original is not None:
        inside += f"<OriginalMessage>{_meta_xml(original)}</OriginalMessage>"
    if kind != "positive-message":
        number = "" if error_code is None else f"<Code>{error_code}</Code>"
        description = escaped(error[:_ERROR_LIMIT] or "unknown")
        inside = f"<Error>{number}<Description>{description}</Description></Error>{inside}"
    element = {"positive-message": "PositiveMessage", "negative-message": "NegativeMessage"}.get(kind, "NegativeVans")
    return f"{head}<Receipt><{element}>{inside}</{element}></Receipt></VANSEnvelope>".encode()


def _head_xml(
    sender: str,
    receiver: str,
    envelope_id: str,
    sent: datetime,
    *,
    sender_kind: EndpointKind = "EAN",
    receiver_kind: EndpointKind = "EAN",
) -> str:
    """Everything before Message or Receipt. `sent` is written in Danish time with its offset (spec 02 §2.2)."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<VANSEnvelope xmlns="urn:oio:medcom:vans-envelope:1.0.4">'
        f'<SenderID EndPointType="{sender_kind}">{escaped(sender)}</SenderID>'
        f'<ReceiverID EndPointType="{receiver_kind}">{escaped(receiver)}</ReceiverID>'
        f"<EnvelopeIdentifier>{envelope_id}</EnvelopeIdentifier><SentDateTime>{danish_text(sent)}</SentDateTime>"
    )


def _meta_xml(meta: MetaInformation) -> str:
    """The content of MetaInformation or OriginalMessage, in the order of the schema."""
    processing = version = transport = ""
    if meta.processing is not None:
        provider, service = map(escaped, meta.processing)
        processing = (
            f"<Processing><ProviderIdentifier>{provider}</ProviderIdentifier>"
            f"<ServiceIdentifier>{service}</ServiceIdentifier></Processing>"
        )
    if meta.version:
        version = f"<Version>{escaped(meta.version)}</Version>"
    if meta.transform is not None:
        kind = f"<Type>{meta.transport}</Type>" if meta.transport else ""
        transform = "true" if meta.transform else "false"
        tags = [f'<ServiceTag name="{escaped(name)}">{escaped(value)}</ServiceTag>' for name, value in meta.tags]
        transport = f"<Transport>{kind}<TransformMessage>{transform}</TransformMessage>{''.join(tags)}</Transport>"
    return (
        f"<Identifier>{meta.identifier}</Identifier>{processing}<Document><Format>{meta.format}</Format>"
        f"<Name>{escaped(meta.name)}</Name>{version}<SizeInBytes>{meta.size}</SizeInBytes></Document>{transport}"
    )


# ---- opening --------------------------------------------------------------------------------------------------------


def open_envelope(data: bytes, *, ours: Container[str] | None = None) -> Opened:
    """Opens an envelope and makes the checks V1 to V6; `ours`: the receivers that V3 takes, None for any.

    Raises `EnvelopeRefused` with the rule that failed and, where the sender gets an answer, what that needs.
    """
    if (parts := read_plain(data)) is not None:
        head, meta, payload = parts
        opened = _message(meta, payload, head)
        if _fault_of(opened, ours) is None:  # else the parser leads to the same fault and the answer to it
            return opened
    try:
        root = root_of(data, "V1")
    except Rejected as rejected:
        raise EnvelopeRefused(rejected.issue(), None) from None
    found, issues = judged(root, ours)
    if found is None:
        raise EnvelopeRefused(issues[0], _answer(root))
    return found


def judged(root: etree._Element, ours: Container[str] | None) -> tuple[Opened | None, list[Issue]]:
    """V2 to V6 over a parsed envelope: the envelope when it passes, and what was found."""
    issues = faults(root, ENVELOPE, "V2")
    if issues:
        return None, issues
    opened = _read(root)
    fault = _fault_of(opened, ours)
    if fault is not None:
        return None, [fault.issue(), *opened.warnings]
    return opened, list(opened.warnings)


def _read(root: Any) -> Opened:
    """An envelope that has passed the schema. A sending time without zone, as in the published sample, is Danish
    (spec 02 §2.2).
    """
    sender, receiver, envelope_id, sent, content = root
    at = datetime.fromisoformat(sent.text.strip())
    head = {
        "envelope_id": envelope_id.text.lower(),
        "sender": sender.text.strip(),
        "sender_kind": sender.get("EndPointType"),
        "receiver": receiver.text.strip(),
        "receiver_kind": receiver.get("EndPointType"),
        "sent": at if at.tzinfo is not None else local_time(at),
    }
    if content.tag == _NS + "Message":
        meta = _meta(content.find(_NS + "MetaInformation"))
        return _message(meta, decoded(content.findtext(_NS + "Data") or "") or b"", head)
    branch = content[0]
    original, code = branch.find(_NS + "OriginalMessage"), branch.findtext(f"{_NS}Error/{_NS}Code")
    return Opened(
        **head,
        content_kind=_RECEIPTS[branch.tag.removeprefix(_NS)],
        meta=None if original is None else _meta(original),
        original_envelope_id=(branch.findtext(_NS + "OriginalEnvelopeIdentifier") or "").lower(),
        error=branch.findtext(f"{_NS}Error/{_NS}Description") or "",
        error_code=None if code is None or len(code) > 18 else int(code),
    )


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


def _message(meta: MetaInformation, payload: bytes, head: dict[str, Any]) -> Opened:
    """An envelope with a message; `head`: what stands before it. Warns of what is odd about the labels of a FHIR
    document and all the same no reason to refuse it.
    """
    row, label = known(meta.format, meta.name, meta.version), meta.tag(MIME_TAG)
    if row is None or not row.fhir:
        return Opened(**head, content_kind="message", meta=meta, payload=payload)
    if label:
        media_type = _LABELS.get(label.strip().partition(";")[0].strip().lower(), "")
    else:  # shown by the first byte (C12)
        first = payload.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")[:1]
        media_type = {b"{": FHIR_JSON, b"<": FHIR_XML}.get(first, "")
    warnings: tuple[Issue, ...] = ()
    if usual := row.tolerated.get(meta.name):
        problem = "an activity code as postfix, which the code system of names does not have"
        warnings += (_warning(f"{_META_PATH}.Document.Name", "V5", problem, f"send {usual}"),)
    if not label:
        problem, remedy = (
            "no MCM:MIME tag; recognised by its first byte",
            "send the media type in a service tag MCM:MIME",
        )
        warnings += (_warning(f"{_META_PATH}.Transport.ServiceTag", "V6", problem, remedy),)
    return Opened(**head, content_kind="message", meta=meta, payload=payload, media_type=media_type, warnings=warnings)


def _warning(path: str, rule: str, problem: str, remedy: str) -> Issue:
    return Issue(severity="warning", path=path, rule=rule, problem=problem, remedy=remedy)


def _fault_of(opened: Opened, ours: Container[str] | None) -> Rejected | None:
    """The first of V3 to V6 (spec 02 §2.4) that fails. A receipt holds no document: V4 to V6 are not for it."""
    if ours is not None and opened.receiver not in ours:
        return Rejected("VANSEnvelope.ReceiverID", "unknown receiver", "send to a receiver of this system", "V3")
    if opened.content_kind != "message" or opened.meta is None:
        return None
    meta, media_type = opened.meta, opened.media_type
    if len(opened.payload) != meta.size:
        path, problem = "Document.SizeInBytes", f"{meta.size} stated, {len(opened.payload)} bytes decoded"
        return Rejected(f"{_META_PATH}.{path}", problem, "send the length of the document before base64", "V4")
    row = known(meta.format, meta.name, meta.version)
    if row is None:
        remedy = "send name, format and version of a document that is received here"
        return Rejected(f"{_META_PATH}.Document", "unknown document type", remedy, "V5")
    if not row.fhir:
        return None
    if not media_type:
        remedy = "send application/fhir+json or application/fhir+xml as MCM:MIME"
        return Rejected(f"{_META_PATH}.Transport.ServiceTag", "no media type of FHIR", remedy, "V6")
    path = "VANSEnvelope.Message.Data"  # a payload is a document of its media type at all
    if media_type == FHIR_XML:
        try:
            root_of(opened.payload, "V6")
        except Rejected as rejected:
            return Rejected(path, f"inside: {rejected.problem}", rejected.remedy, "V6")
        return None
    try:
        document = orjson.loads(opened.payload)
    except orjson.JSONDecodeError:
        document = None
    if isinstance(document, dict):
        return None
    return Rejected(path, f"not a document of type {media_type}", f"send one FHIR resource as {media_type}", "V6")


def _answer(root: Any) -> Head | None:
    """What a NegativeMessage to the sender needs; None when its address cannot be read, or it sent a receipt itself.

    A NegativeMessage must carry a MetaInformation (spec 02 §2.2): for one that cannot be read stands one with the
    envelope id as message id, because the published sample shows both equal.
    """
    parts = {part.names[0]: part for part in ADDRESS}
    nodes = [root.find(name) for name in parts]
    if any(node is None or faults(node, parts[node.tag], "V2") for node in nodes) or root.find(_NS + "Message") is None:
        return None
    sender, receiver, envelope_id = nodes
    meta = root.find(f"{_NS}Message/{_NS}MetaInformation")
    own = envelope_id.text.lower()
    if meta is None or faults(meta, META, "V2"):
        described = MetaInformation(identifier=own, format=DOCUMENT_FORMATS[-1], name="unknown", size=0)
    else:
        described = _meta(meta)
    return Head(
        sender=sender.text.strip(),
        sender_kind=sender.get("EndPointType"),
        receiver=receiver.text.strip(),
        receiver_kind=receiver.get("EndPointType"),
        envelope_id=own,
        meta=described,
    )


# ---- inspecting -----------------------------------------------------------------------------------------------------


def inspect(data: bytes, inside: Callable[[bytes], dict[str, Any]]) -> dict[str, Any]:
    """What an envelope holds and whether it is right, for people and checks outside (acceptance.md, `inspect`):
    `kind`, `valid`, `issues`, `reading`. `inside` inspects the document in the envelope.

    Never raises on content. Everything is shown as written, also when the envelope is not valid; errors of what is
    inside are the inside's own.
    """
    root = None
    try:
        root = root_of(data, "V1")
        issues = judged(root, None)[1]
    except Rejected as rejected:
        issues = [rejected.issue()]
    message, receipt, branch = _find(root, "Message"), _find(root, "Receipt"), None
    kind = None if message is None else "message"
    if message is None:
        for name, kind_ in _RECEIPTS.items():
            if (branch := _find(receipt, name)) is not None:
                kind = kind_
                break
    about = _find(message, "MetaInformation") if message is not None else _find(branch, "OriginalMessage")
    payload = decoded(_text(message, "Data") or "")
    reading = {
        "envelope_id": _text(root, "EnvelopeIdentifier"),
        "sender": _text(root, "SenderID"),
        "receiver": _text(root, "ReceiverID"),
        "sent": _text(root, "SentDateTime"),
        "content_kind": kind,
        "message_id": _text(about, "Identifier"),
        "document": _text(about, "Document", "Name"),
        "original_envelope_id": _text(branch, "OriginalEnvelopeIdentifier"),
        "error": _text(branch, "Error", "Description"),
        "content": inside(payload) if payload else None,
    }
    return judgement(KIND, issues, reading)


def _find(node: etree._Element | None, *names: str) -> etree._Element | None:
    return None if node is None else node.find("/".join(_NS + name for name in names))


def _text(node: etree._Element | None, *names: str) -> str | None:
    found = _find(node, *names)
    return None if found is None else (found.text or "").strip() or None
