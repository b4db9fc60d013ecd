"""The EHMI envelope as a table: the published schema (dk-ehmi-sbdh 2.0.1), with the defects that are read all the same.

Decided by spec 02 §§3.1, 3.3.
"""

from collections.abc import Mapping
from typing import Final, Literal

from .grammar import BASE64, DATE_TIME, Choice, ElementRule, Text, one_of

Kind = Literal["message", "receipt-acknowledgement", "exception"]

NAMESPACE: Final = "http://www.unece.org/cefact/namespaces/StandardBusinessDocumentHeader"
PEPPOL: Final = "http://peppol.eu/xsd/ticc/envelope/1.0"
EBBP: Final = "http://docs.oasis-open.org/ebxml-bp/ebbp-signals-2.0"
NS: Final = "{" + NAMESPACE + "}"

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

#: The same as they are written.
FLAGS: Final = " ".join(
    f'{name}="{RECEIPT_TIME if text is _TIME_TO_RECEIPT else text.form}"'
    for name, text in _TRANSACTION.items()
    if name != "TypeOfServiceTransaction"
)


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
