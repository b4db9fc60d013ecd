"""The EHMI envelope (ehmiSBDH), sealed, opened and inspected: the successor of the VANSEnvelope on eDelivery.

Decided by spec 02 §3 and the published schema (dk-ehmi-sbdh 2.0.1). Receipts are matched by the header only (§3.2): the
published payloads of receipts cannot be read. What §3.3 names as a defect of published material is a warning (00 §6);
every other departure is an error. Outer white space never counts.

What we seal keeps the schema but for two points in which it does not admit a hospital notification (§3.3): the event code
in `Standard`, and the namespace of `BinaryContent`, which a peer may want as the schema has it. Sealing writes text,
because it happens for every message.
"""

import base64
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple

import msgspec
from lxml import etree

from streams.messages.message_type import MESSAGE_TYPES
from streams.records.trace import ENVELOPE_RECEIPT, UNKNOWN, TracedDocument
from streams.words.errors import Issue, Rejected, Severity, judgement
from streams.words.model import NetworkReceipt, Unit
from streams.words.times import danish_text, local_time

from .envelope import Waybill
from .grammar import LIMIT, decoded, escaped, faults, root_of
from .sbdh_rules import (
    ACKNOWLEDGEMENT_SCOPE,
    DOCUMENT,
    EBBP,
    FLAGS,
    KINDS,
    NAMESPACE,
    NS,
    PEPPOL,
    RECEIPT_TIME,
    REQUIRED_SCOPES,
    STANDARDS,
    XDS_MISSPELT,
    Kind,
)

KIND: Final = "sbdh"
SCHEMA: Final = "sbdh-xsd"
#: Prefix of a location number in a participant identifier (spec 02 §3.1).
_GLN_SCHEME: Final = "0088:"

EBBP_NS: Final = "{" + EBBP + "}"


class OpenedSbdh(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An envelope that keeps the schema, but for tolerated defects. Texts are trimmed, ids in lower case; "" is absent."""

    envelope_id: str
    sender: str  # bare GLN, as in a VANSEnvelope
    receiver: str
    created: datetime
    standard: str
    version: str
    content_kind: Kind
    scopes: dict[str, str]  # the first of each type
    original_envelope_id: str = ""  # of a receipt: InstanceIdentifier of the envelope it answers
    media_type: str
    payload: bytes
    error: str = ""  # of an exception: reason and message, when its payload can be read
    warnings: tuple[Issue, ...] = ()

    def __repr__(self) -> str:
        return f"OpenedSbdh({self.content_kind}, {self.envelope_id})"

    @property
    def asked(self) -> datetime | None:
        """Its creation, when it asks for a receipt of the envelope (§3.2): every one but a receipt does."""
        return self.created if self.content_kind == "message" else None

    def network_receipt(self, origin: str = "") -> NetworkReceipt | None:
        """The receipt it is, None when it holds a message. `origin`: topic/partition/offset of its arrival."""
        if self.content_kind == "message":
            return None
        return NetworkReceipt(
            positive=self.content_kind == "receipt-acknowledgement",
            original_transport_id=self.original_envelope_id,
            transport_id=self.envelope_id,
            transport_sender=self.sender,
            sender_sor=self.scopes.get("SENDERID", ""),
            receiver_sor=self.scopes.get("RECEIVERID", ""),
            receiver_gln=self.receiver,
            layer="sbdh",
            description=self.error,
            origin=origin,
        )


# ---- sealing --------------------------------------------------------------------------------------------------------

#: How long a sender waits for the receipt of its envelope (§3.1: creation + 10 min).
ANSWER_WITHIN: Final = timedelta(minutes=10)
_IDENTIFIER: Final = "dk-medcom-messaging"
_HOLE: Final = "\0"  # in no value: XML has no such character
#: DOCUMENTID by event code and version, as registered (ET).
_MESSAGE_DOCUMENT: Final = (
    "urn:dk:healthcare:medcom:messaging:fhir:structuredefinition::{name}##urn:dk:medcom:fhir:{name}::{version}"
)
_REGISTERED: Final = {row.event: row.registered or row.event for row in MESSAGE_TYPES.values()}
_RECEIPT_DOCUMENT: Final = (
    "urn:dk:healthcare:messaging:oasis:ebxml:schema:xsd::ehmisbdh-acknowledgement"
    "##urn:dk:ehmi:sbdh:ehmisbdh-acknowledgement::1.0"
)


class AnsweredInEnvelope(NamedTuple):
    """What an acknowledgement or a receipt of an envelope answers (§3.1). "" is not known: `unknown` is written."""

    message_id: str  # MessageHeader.id
    bundle_id: str
    document: TracedDocument = UNKNOWN
    envelope_id: str = ""  # of a receipt: InstanceIdentifier of the envelope that is answered
    created: datetime | None = None  # of the same

    @property
    def scopes(self) -> tuple[tuple[str, str], ...]:
        """The scopes in which it is named, in the order of the published samples."""
        return (
            ("ORIGINALMESSAGEIDENTIFIER", self.message_id),
            ("ORIGINALMESSAGEENVELOPEIDENTIFIER", self.bundle_id),
            ("ORIGINALMESSAGESTANDARD", self.document.type),
            ("ORIGINALMESSAGEVERSION", self.document.version),
            *((("ORIGINALENVELOPEIDENTIFIER", self.envelope_id),) if self.envelope_id else ()),
        )


def seal(payload: bytes, waybill: Waybill, answered: AnsweredInEnvelope | None = None) -> bytes:
    """The envelope of one FHIR message. `answered`: what an acknowledgement answers.

    Raises `Rejected` (20.1) when the whole is over 100 MB.
    """
    about, sender, receiver = waybill.about, waybill.about.sender, waybill.about.receiver
    stencil = _stencil(
        (sender.gln, receiver.gln, sender.sor, receiver.sor), about.document, about.postfix, with_person=bool(about.cpr)
    )
    made, expected = danish_text(waybill.sent), danish_text(waybill.sent + ANSWER_WITHIN)
    ids = (about.cpr, about.message_id, waybill.bundle_id) if about.cpr else (about.message_id, waybill.bundle_id)
    more = "".join([_scope(kind, value) for kind, value in answered.scopes]) if answered else ""
    own = (waybill.transport_id, made, *map(escaped, ids), more, made, waybill.transport_id, expected)
    opening = "" if waybill.terms.content_namespace == "sbdh" else f' xmlns="{PEPPOL}"'
    content = f'{_HEADER_END}<BinaryContent{opening} mimeType="{waybill.media_type}" encoding="UTF-8">'
    sealed = b"".join((f"{stencil % own}{content}".encode(), base64.b64encode(payload), _DOCUMENT_END))
    if len(sealed) > LIMIT:
        raise Rejected(_ROOT, "longer than 100 MB", "send one message of at most 100 MB", "20.1")
    return sealed


@lru_cache(maxsize=1024)
def _stencil(parties: tuple[str, ...], document: TracedDocument, postfix: str, *, with_person: bool) -> str:
    """The header of a message between these parties (GLN, then SOR of each); `%s` stands for what differs."""
    sender, receiver, sender_sor, receiver_sor = parties
    scopes = (
        ("DOCUMENTID", _document_id(document)),
        ("PROCESSID", "urn:ehmi:sdn-emergence"),
        *((("PATIENTID", _HOLE),) if with_person else ()),
        ("SENDERID", sender_sor),
        ("RECEIVERID", receiver_sor),
        ("MESSAGEIDENTIFIER", _HOLE),
        ("MESSAGEENVELOPEIDENTIFIER", _HOLE),
    )
    head = _header(sender, receiver, document, _HOLE, "Bundle", _HOLE)
    before = "".join([_scope(kind, value) for kind, value in scopes])
    statistics = _scope(
        "StatisticalInformation", f"MCM:{document.type}#{postfix}" if postfix else f"MCM:{document.type}"
    )
    whole = f"{head}{before}{_HOLE}{statistics}{_correlation('Request', _HOLE, _HOLE, _HOLE)}"
    return whole.replace("%", "%%").replace(_HOLE, "%s")


def _document_id(document: TracedDocument) -> str:
    """DOCUMENTID of a message."""
    return _MESSAGE_DOCUMENT.format(name=_REGISTERED.get(document.type, document.type), version=document.version)


def seal_receipt(
    answered: AnsweredInEnvelope, *, sender: Unit, receiver: Unit, transport_id: str, at: datetime, error: str = ""
) -> bytes:
    """The receipt of one envelope (§3.2); with an `error`, its syntax is refused. It is never answered itself."""
    scopes = (
        ("DOCUMENTID", _RECEIPT_DOCUMENT),
        ("PROCESSID", "urn:ehmi:sdn-emergence"),
        ("SENDERID", sender.sor),
        ("RECEIVERID", receiver.sor),
        ("MESSAGEIDENTIFIER", transport_id),
        ("MESSAGEENVELOPEIDENTIFIER", transport_id),
        *answered.scopes,
        ("StatisticalInformation", ACKNOWLEDGEMENT_SCOPE),
    )
    kind = "ReceiptException" if error else "ReceiptAcknowledgement"
    created = answered.created or at
    head = _header(sender.gln, receiver.gln, ENVELOPE_RECEIPT, transport_id, kind, danish_text(at))
    more = "".join([_scope(kind, value) for kind, value in scopes])
    parts = (
        ("OriginalMessageIdentifier", answered.envelope_id),
        ("OriginalDocumentIdentifier", _document_id(answered.document)),
        ("OriginalMessageDateTime", danish_text(created)),
        ("ThisMessageDateTime", danish_text(at)),
        ("FromPartyInfo", _GLN_SCHEME + sender.gln),
        ("ToPartyInfo", _GLN_SCHEME + receiver.gln),
        ("CollaborationIdentifier", answered.envelope_id),
    )
    inside = "".join(
        f"<s:{name}{_PARTY if 'Party' in name else ''}>{escaped(value)}</s:{name}>" for name, value in parts
    )
    root = "Exception" if error else "ReceiptAcknowledgement"
    if error:
        inside += "<s:ExceptionType><s:ReceiptException>Syntax</s:ReceiptException></s:ExceptionType>"
        inside += f"<s:Reason>{escaped(error)}</s:Reason>"
    signal = f'<s:{root} xmlns:s="{EBBP}">{inside}</s:{root}>'.encode()
    content = f'{_HEADER_END}<BinaryContent mimeType="application/xml" encoding="UTF-8">'
    response = _correlation(
        "Response", danish_text(created), escaped(answered.envelope_id), danish_text(created + ANSWER_WITHIN)
    )
    return b"".join((f"{head}{more}{response}{content}".encode(), base64.b64encode(signal), _DOCUMENT_END))


_HEADER_END: Final = "</BusinessScope></StandardBusinessDocumentHeader>"
_DOCUMENT_END: Final = b"</BinaryContent></StandardBusinessDocument>"
_AUTHORITY: Final = "iso6523-actorid-upis"
_ROLES: Final = {"Request": "RequestingServiceTransaction", "Response": "RespondingServiceTransaction"}
_PARTY: Final = f' type="{_AUTHORITY}"'


def _header(sender: str, receiver: str, document: TracedDocument, envelope_id: str, kind: str, created: str) -> str:
    """Everything before the scopes."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<StandardBusinessDocument xmlns="{NAMESPACE}">'
        "<StandardBusinessDocumentHeader><HeaderVersion>1.0</HeaderVersion>"
        f'<Sender><Identifier Authority="{_AUTHORITY}">{_GLN_SCHEME}{escaped(sender)}</Identifier></Sender>'
        f'<Receiver><Identifier Authority="{_AUTHORITY}">{_GLN_SCHEME}{escaped(receiver)}</Identifier></Receiver>'
        f"<DocumentIdentification><Standard>{document.type}</Standard><TypeVersion>{document.version}</TypeVersion>"
        f"<InstanceIdentifier>{envelope_id}</InstanceIdentifier><Type>{kind}</Type><MultipleType>false</MultipleType>"
        f"<CreationDateAndTime>{created}</CreationDateAndTime></DocumentIdentification><BusinessScope>"
    )


def _scope(kind: str, value: str, more: str = "", identifier: str = _IDENTIFIER) -> str:
    return (
        f"<Scope><Type>{kind}</Type><InstanceIdentifier>{escaped(value)}</InstanceIdentifier>"
        f"<Identifier>{identifier}</Identifier>{more}</Scope>"
    )


def _correlation(role: Literal["Request", "Response"], created: str, envelope_id: str, expected: str) -> str:
    """The scope that asks for a receipt of this envelope, or answers that of another."""
    return _scope(
        ACKNOWLEDGEMENT_SCOPE,
        role,
        "<CorrelationInformation>"
        f"<RequestingDocumentCreationDateTime>{created}</RequestingDocumentCreationDateTime>"
        f"<RequestingDocumentInstanceIdentifier>{envelope_id}</RequestingDocumentInstanceIdentifier>"
        f"<ExpectedResponseDateTime>{expected}</ExpectedResponseDateTime>"
        f"</CorrelationInformation><BusinessService><BusinessServiceName>{ACKNOWLEDGEMENT_SCOPE}-{role}"
        f'</BusinessServiceName><ServiceTransaction TypeOfServiceTransaction="{_ROLES[role]}" {FLAGS}/>'
        "</BusinessService>",
    )


# ---- opening --------------------------------------------------------------------------------------------------------


def open_envelope(data: bytes) -> OpenedSbdh:
    """Opens an EHMI envelope. Raises `Rejected` with the first departure that is no tolerated defect."""
    root = root_of(data, SCHEMA)
    issues = _issues_of(root)
    for issue in issues:
        if issue.severity == "error":
            raise Rejected(issue.path, issue.problem, issue.remedy, issue.rule)
    scopes, kind, payload = _values_of(root), _kind(root), _payload_of(root)
    created = datetime.fromisoformat(_text(root, "DocumentIdentification", "CreationDateAndTime") or "")
    return OpenedSbdh(
        envelope_id=(_text(root, "DocumentIdentification", "InstanceIdentifier") or "").lower(),
        sender=(_text(root, "Sender", "Identifier") or "").removeprefix(_GLN_SCHEME),
        receiver=(_text(root, "Receiver", "Identifier") or "").removeprefix(_GLN_SCHEME),
        created=created if created.tzinfo is not None else local_time(created),
        standard=(_text(root, "DocumentIdentification", "Standard") or "").lower(),
        version=_text(root, "DocumentIdentification", "TypeVersion") or "",
        content_kind=kind,
        scopes=scopes,
        original_envelope_id="" if kind == "message" else (_answered(root, scopes) or "").lower(),
        media_type=root[-1].get("mimeType") or "",
        payload=payload,
        error=_error_of(payload) if kind == "exception" else "",
        warnings=tuple(issues),
    )


def inspect(data: bytes, inside: Callable[[bytes], dict[str, Any]]) -> dict[str, Any]:
    """`kind`, `valid`, `issues`, `reading` (acceptance.md); `inside` inspects the message in the envelope."""
    root = None
    try:
        root = root_of(data, SCHEMA)
        issues = _issues_of(root)
    except Rejected as rejected:
        issues = [rejected.issue()]
    scopes, payload = _values_of(root), _payload_of(root)
    kind = KINDS.get(_text(root, "DocumentIdentification", "Type") or "")
    receipt = kind is not None and kind != "message"
    reading = {
        "envelope_id": _text(root, "DocumentIdentification", "InstanceIdentifier"),
        "sender": _text(root, "Sender", "Identifier"),
        "receiver": _text(root, "Receiver", "Identifier"),
        "sent": _text(root, "DocumentIdentification", "CreationDateAndTime"),
        "content_kind": kind,
        "message_id": scopes.get("MESSAGEIDENTIFIER") or None,
        "document": scopes.get("StatisticalInformation") or None,
        "original_envelope_id": _answered(root, scopes) if receipt else None,
        "error": (_error_of(payload) or None) if kind == "exception" else None,
        "content": inside(payload) if payload and not receipt else None,
    }
    return judgement(KIND, issues, reading)


# ---- the tree, right or wrong (spec 02 §§3.1, 3.2): texts, scopes, correlation, what is inside ----------------------

_CONTENT, _DEFECT = "02 §3.1", "02 §3.3"
_ROOT: Final = "StandardBusinessDocument"
_HEADER: Final = f"{_ROOT}.StandardBusinessDocumentHeader"
_SCOPES: Final = f"{_HEADER}.BusinessScope"
_CORRELATION: Final = "CorrelationInformation"
#: Elements that a receipt's payload must have (spec 02 §3.2).
_SIGNAL: Final = ("OriginalMessageIdentifier", "OriginalMessageDateTime", "ThisMessageDateTime")


def _text(root: etree._Element | None, *names: str) -> str | None:
    """A text of the header by the names that lead to it, trimmed; None when it is absent or empty."""
    if root is None:
        return None
    found = root.findtext("/".join(NS + name for name in ("StandardBusinessDocumentHeader", *names)))
    return (found or "").strip() or None


def _scopes_of(root: etree._Element | None) -> Iterator[tuple[str, etree._Element]]:
    """The scopes, with their types."""
    if root is not None:
        for scope in root.iterfind(f"{NS}StandardBusinessDocumentHeader/{NS}BusinessScope/{NS}Scope"):
            yield (scope.findtext(NS + "Type") or "").strip(), scope


def _values_of(root: etree._Element | None) -> dict[str, str]:
    """Scope type -> value, the first of each type, trimmed."""
    found: dict[str, str] = {}
    for name, scope in _scopes_of(root):
        found.setdefault(name, (scope.findtext(NS + "InstanceIdentifier") or "").strip())
    return found


def _correlation_of(root: etree._Element | None) -> etree._Element | None:
    """The correlation of the acknowledgement scope, None when there is none."""
    for name, scope in _scopes_of(root):
        if name == ACKNOWLEDGEMENT_SCOPE:
            return scope.find(NS + _CORRELATION)
    return None


def _answered(root: etree._Element | None, values: dict[str, str]) -> str | None:
    """The envelope that a receipt answers: by its correlation, else by its scope (spec 02 §3.2)."""
    correlation = _correlation_of(root)
    named = None if correlation is None else correlation.findtext(NS + "RequestingDocumentInstanceIdentifier")
    return (named or "").strip() or values.get("ORIGINALENVELOPEIDENTIFIER") or None


def _payload_of(root: etree._Element | None) -> bytes:
    """The bytes inside, empty when there are none or they are no base64."""
    if root is None:
        return b""
    text = root.findtext(NS + "BinaryContent") or root.findtext(f"{{{PEPPOL}}}BinaryContent") or ""
    return decoded(text) or b""


def _signal_of(payload: bytes) -> etree._Element | None:
    """The root of a receipt's payload, None when it is not well-formed."""
    try:
        return root_of(payload, "payload")
    except Rejected:
        return None


def _error_of(payload: bytes) -> str:
    """Reason and message of an exception, as far as its payload can be read."""
    signal = _signal_of(payload)
    if signal is None:
        return ""
    texts = ((signal.findtext(EBBP_NS + name) or "").strip() for name in ("Reason", "ExceptionMessage"))
    return ": ".join(text for text in texts if text)


# ---- is it right: the schema, what every envelope must hold, and the defects that are read all the same -------------


def _issues_of(root: etree._Element) -> list[Issue]:
    """Every finding about a parsed envelope: errors of the schema alone, else what the schema lets pass and the standard
    does not (spec 02 §3.1), and what is tolerated (§3.3).
    """
    if found := faults(root, DOCUMENT, SCHEMA):
        return found
    values, kind = _values_of(root), _kind(root)
    for name in REQUIRED_SCOPES:
        if not values.get(name):
            found.append(
                _issue("error", f"{_SCOPES}.Scope", _CONTENT, f"no scope {name}", f"send the scope {name} once")
            )
    role, path = "Request" if kind == "message" else "Response", f"{_SCOPES}.Scope[{ACKNOWLEDGEMENT_SCOPE}]"
    if values.get(ACKNOWLEDGEMENT_SCOPE, role) != role:
        found.append(_issue("error", path, _CONTENT, f"not {role}", f"send {role}: {kind} in the envelope"))
    correlation, path = _correlation_of(root), f"{path}.{_CORRELATION}"
    if correlation is None and (kind == "message" or _answered(root, values) is None):
        remedy = f"send {_CORRELATION} with creation time, instance identifier and expected response time"
        found.append(_issue("error", path, _CONTENT, "missing", remedy))
    if correlation is not None and correlation.find(NS + "ExpectedResponseDateTime") is None:
        # The schema demands it; prose excludes it from a receipt (spec 02 §3.3).
        path, remedy = f"{path}.ExpectedResponseDateTime", "send the creation time plus ten minutes"
        missing = _issue("error", path, SCHEMA, "missing", remedy)
        found.append(missing if kind == "message" else _issue("warning", path, _DEFECT, "missing", remedy))
    for present, place, problem, remedy in _DEFECTS:
        if present(root):
            found.append(_issue("warning", place, _DEFECT, problem, remedy))
    return found


def _issue(severity: Severity, path: str, rule: str, problem: str, remedy: str) -> Issue:
    return Issue(severity=severity, path=path, rule=rule, problem=problem, remedy=remedy)


def _kind(root: etree._Element) -> Kind:
    return KINDS[_text(root, "DocumentIdentification", "Type") or ""]


def _no_signal(root: etree._Element) -> bool:
    if _kind(root) == "message":
        return False
    signal = _signal_of(_payload_of(root))
    return signal is None or any(signal.find(EBBP_NS + name) is None for name in _SIGNAL)


def _mislabelled(root: etree._Element) -> bool:
    """A message that is not what its label promises, as far as its first element shows."""
    if _kind(root) != "message":
        return False
    payload = _payload_of(root)
    if root[-1].get("mimeType") == "application/fhir+json":
        return payload.lstrip()[:1] != b"{"
    signal = _signal_of(payload)
    return signal is None or not str(signal.tag).startswith("{http://hl7.org/fhir}")


#: Defect, where, what, what to send instead: the rows of spec 02 §3.3 that can be seen in an envelope.
_DEFECTS: Final[tuple[tuple[Callable[[etree._Element], bool], str, str, str], ...]] = (
    (
        lambda root: root[-1].tag != NS + "BinaryContent",
        f"{_ROOT}.BinaryContent",
        "in another namespace than the schema's",
        f"send it in {NAMESPACE}",
    ),
    (
        lambda root: _text(root, "DocumentIdentification", "Standard") not in STANDARDS,
        f"{_HEADER}.DocumentIdentification.Standard",
        "no value of the schema",
        "send the event code in lower case; the schema has none for hospital notifications yet",
    ),
    (
        lambda root: XDS_MISSPELT in _values_of(root),
        f"{_SCOPES}.Scope",
        "XDS-METADATA with an underscore",
        "send XDS-METADATA",
    ),
    (
        lambda root: any(
            node.get("TimeToAcknowledgeReceipt", RECEIPT_TIME) != RECEIPT_TIME
            for node in root.iter(NS + "ServiceTransaction")
        ),
        f"{_SCOPES}.Scope.BusinessService.ServiceTransaction@TimeToAcknowledgeReceipt",
        "another time than the schema's",
        f"send {RECEIPT_TIME}",
    ),
    (
        lambda root: any(len(node) == 0 and node.text and node.text != node.text.strip() for node in root[0].iter()),
        _HEADER,
        "white space around values",
        "send values without it",
    ),
    (
        _no_signal,
        f"{_ROOT}.BinaryContent",
        "the signal inside is not valid; the header is used",
        "send a signal of ebBP 2.0.4",
    ),
    (
        _mislabelled,
        f"{_ROOT}.BinaryContent",
        "inside is not what the media type says",
        "send FHIR, or the true media type",
    ),
)
