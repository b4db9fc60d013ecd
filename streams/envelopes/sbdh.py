"""The EHMI envelope (ehmiSBDH), opened and inspected: the successor of the VANSEnvelope on eDelivery.

Decided by spec 02 §3 and the published schema (dk-ehmi-sbdh 2.0.1). Receipts are matched by the header only (§3.2): the
published payloads of receipts cannot be read. What §3.3 names as a defect of published material is a warning (00 §6);
every other departure is an error. Outer white space never counts.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, Literal

import msgspec
from lxml import etree

from streams.words.errors import Issue, Rejected, Severity, judgement
from streams.words.model import NetworkReceipt
from streams.words.times import local_time

from .grammar import BASE64, DATE_TIME, Choice, ElementRule, Text, decoded, faults, one_of, root_of

Kind = Literal["message", "receipt-acknowledgement", "exception"]

KIND: Final = "sbdh"
SCHEMA: Final = "sbdh-xsd"
#: Prefix of a location number in a participant identifier (spec 02 §3.1).
_GLN_SCHEME: Final = "0088:"

NAMESPACE: Final = "http://www.unece.org/cefact/namespaces/StandardBusinessDocumentHeader"
PEPPOL: Final = "http://peppol.eu/xsd/ticc/envelope/1.0"
EBBP: Final = "http://docs.oasis-open.org/ebxml-bp/ebbp-signals-2.0"
NS: Final = "{" + NAMESPACE + "}"
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

    def network_receipt(self, origin: str = "") -> NetworkReceipt | None:
        """The receipt it is, None when it holds a message. `origin`: topic/partition/offset of its arrival."""
        if self.content_kind == "message":
            return None
        return NetworkReceipt(
            positive=self.content_kind == "receipt-acknowledgement",
            original_transport_id=self.original_envelope_id,
            transport_id=self.envelope_id,
            transport_sender=self.sender,
            layer="sbdh",
            description=self.error,
            origin=origin,
        )


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


# ---- the schema as a table (spec 02 §3.1), with the defects that are read all the same (§3.3) -----------------------

MIME_TYPES: Final = ("application/xml", "application/fhir+json", "application/fhir+xml")

#: Standards of the schema, and those it lacks (spec 02 §3.3: the event code and the spelling of the DOCUMENTID).
STANDARDS: Final = frozenset({"homecareobservation-message", "acknowledgement-message", "ehmisbdh-acknowledgement"})
STANDARDS_LACKING: Final = frozenset({"hospital-notification-message", "hospitalnotification-message"})

#: DocumentIdentification/Type -> what the envelope holds (spec 02 §3.1)
KINDS: Final[dict[str, Kind]] = {
    "Bundle": "message",
    "ReceiptAcknowledgement": "receipt-acknowledgement",
    "ReceiptException": "exception",
}

_SCOPE_TYPES: Final = (
    "DOCUMENTID",
    "PROCESSID",
    "PATIENTID",
    "SENDERID",
    "RECEIVERID",
    "MESSAGEIDENTIFIER",
    "MESSAGEENVELOPEIDENTIFIER",
    "StatisticalInformation",
    "XDS-METADATA",
    "ORIGINALMESSAGEIDENTIFIER",
    "ORIGINALMESSAGEENVELOPEIDENTIFIER",
    "ORIGINALMESSAGESTANDARD",
    "ORIGINALMESSAGEVERSION",
    "ORIGINALENVELOPEIDENTIFIER",
    "EHMI-ReceiptAcknowledgement",
)
XDS_MISSPELT: Final = "XDS_METADATA"  # spec 02 §3.3
ACKNOWLEDGEMENT_SCOPE: Final = "EHMI-ReceiptAcknowledgement"

#: Scopes that every envelope has once (spec 02 §3.1); the published samples have them all.
REQUIRED_SCOPES: Final = (
    "DOCUMENTID",
    "PROCESSID",
    "SENDERID",
    "RECEIVERID",
    "MESSAGEIDENTIFIER",
    "MESSAGEENVELOPEIDENTIFIER",
    ACKNOWLEDGEMENT_SCOPE,
)

_ANY: Final = Text("text", lambda _: True)
_GIVEN: Final = Text("text", bool, collapse=True)
_STANDARD: Final = Text(
    "the event code of the message", lambda text: text.lower() in STANDARDS | STANDARDS_LACKING, collapse=True
)
_FALSE, _ZERO = one_of("false"), one_of("0")
#: The schema fixes 600000; prose has 0 for receipts and one sample has 300000 (spec 02 §3.3).
RECEIPT_TIME: Final = "600000"
_TIME_TO_RECEIPT: Final = one_of(RECEIPT_TIME, "0", "300000")

_TRANSACTION: Final = {
    "TypeOfServiceTransaction": one_of("RequestingServiceTransaction", "RespondingServiceTransaction"),
    "IsNonRepudiationRequired": _FALSE,
    "IsAuthenticationRequired": _FALSE,
    "IsNonRepudiationOfReceiptRequired": _FALSE,
    "IsIntelligibleCheckRequired": _FALSE,
    "IsApplicationErrorResponseRequested": _FALSE,
    "TimeToAcknowledgeReceipt": _TIME_TO_RECEIPT,
    "TimeToAcknowledgeAcceptance": _ZERO,
    "TimeToPerform": _ZERO,
    "Recurrence": _ZERO,
}


def _leaf(name: str, text: Text, low: int = 1, attributes: Mapping[str, Text] = {}) -> ElementRule:
    return ElementRule((NS + name,), text, (), low, 1, {key: (t, False) for key, t in attributes.items()})


def _node(name: str, *parts: ElementRule | Choice, low: int = 1, high: int | None = 1) -> ElementRule:
    return ElementRule((NS + name,), None, parts, low, high)


_PARTNER: Final = _leaf("Identifier", _GIVEN, attributes={"Authority": one_of("iso6523-actorid-upis")})
_CORRELATION_RULE: Final = _node(
    "CorrelationInformation",
    _leaf("RequestingDocumentCreationDateTime", DATE_TIME),
    _leaf("RequestingDocumentInstanceIdentifier", _GIVEN),
    _leaf("ExpectedResponseDateTime", DATE_TIME, 0),  # its absence is judged by what the envelope is (§3.3)
    low=0,
    high=None,
)
_SERVICE: Final = _node(
    "BusinessService",
    _leaf(
        "BusinessServiceName",
        one_of("EHMI-ReceiptAcknowledgement-Request", "EHMI-ReceiptAcknowledgement-Response", collapse=True),
    ),
    _leaf("ServiceTransaction", _ANY, attributes=_TRANSACTION),
    low=0,
    high=None,
)

#: Spec 02 §3.1, in the order of the schema. `Manifest` is forbidden: it has no row.
DOCUMENT: Final = _node(
    "StandardBusinessDocument",
    _node(
        "StandardBusinessDocumentHeader",
        _leaf("HeaderVersion", one_of("1.0", collapse=True)),
        _node("Sender", _PARTNER),
        _node("Receiver", _PARTNER),
        _node(
            "DocumentIdentification",
            _leaf("Standard", _STANDARD),
            _leaf("TypeVersion", _ANY),
            _leaf("InstanceIdentifier", _GIVEN),
            _leaf("Type", one_of(*KINDS, collapse=True)),
            _leaf("MultipleType", one_of("false", "0", collapse=True), 0),
            _leaf("CreationDateAndTime", DATE_TIME),
        ),
        _node(
            "BusinessScope",
            _node(
                "Scope",
                _leaf("Type", one_of(*_SCOPE_TYPES, XDS_MISSPELT, collapse=True)),
                _leaf("InstanceIdentifier", _ANY),
                _leaf("Identifier", one_of("dk-medcom-messaging", "dk-medcom-DocumentReference", "", collapse=True)),
                _CORRELATION_RULE,
                _SERVICE,
                _CORRELATION_RULE,
                low=0,
                high=None,
            ),
        ),
    ),
    ElementRule(
        (NS + "BinaryContent", f"{{{PEPPOL}}}BinaryContent"),
        BASE64,
        attributes={"mimeType": (one_of(*MIME_TYPES), True), "encoding": (one_of("UTF-8", "ISO-8859-1"), False)},
    ),
)


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
