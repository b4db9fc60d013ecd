"""The VANSEnvelope 1.0.4 as a table, the documents that travel in it, and how an envelope describes them.

Decided by the schema of "Den gode VANSEnvelope" 1.0.4 (spec 02 §2.2) and MedCom's statistical codes (spec 02 §2.3).
The one place where we are stricter than the schema: an id is hexadecimal (spec 02 §2.1).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from streams.messages.format import FORMATS
from streams.messages.message_type import MESSAGE_TYPES, MessageType

from .grammar import BASE64, BOOLEAN, DATE_TIME, Choice, ElementRule, Text, matching, one_of, sized

__all__ = [
    "ADDRESS",
    "DOCUMENTS",
    "DOCUMENT_FORMATS",
    "ENVELOPE",
    "KINDS",
    "META",
    "MIME_TAG",
    "NAMESPACE",
    "ContentKind",
    "EndpointKind",
    "MetaInformation",
    "known",
]

NAMESPACE: Final = "urn:oio:medcom:vans-envelope:1.0.4"
MIME_TAG: Final = "MCM:MIME"
EndpointKind = Literal["EAN", "CVR", "VANS"]
ContentKind = Literal["message", "positive-message", "negative-message", "negative-vans"]
DOCUMENT_FORMATS: Final = ("XML", "EDIFACT", "HL7", "Binary", "Other")
KINDS: Final = ("EAN", "CVR", "VANS")

_UUID: Final = matching(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", "a UUID of hexadecimal digits")
_INT: Final = Text(
    "a whole number below 2147483648",
    lambda text: re.fullmatch(r"[+-]?[0-9]{1,20}", text) is not None and -(1 << 31) <= int(text) < 1 << 31,
    collapse=True,
)
_POSITIVE: Final = matching(r"\+?0*[1-9][0-9]*", "a positive number", collapse=True)
_T70, _T255, _T512 = sized(1, 70), sized(1, 255), sized(1, 512)


def _leaf(name: str, text: Text, low: int = 1, high: int = 1, /, **attributes: Text) -> ElementRule:
    return ElementRule(
        (f"{{{NAMESPACE}}}{name}",), text, (), low, high, {key: (t, True) for key, t in attributes.items()}
    )


def _node(name: str, *parts: ElementRule | Choice, low: int = 1) -> ElementRule:
    return ElementRule((f"{{{NAMESPACE}}}{name}",), None, parts, low)


_META: Final[tuple[ElementRule, ...]] = (
    _leaf("Identifier", _UUID),
    _node("Processing", _leaf("ProviderIdentifier", _T255), _leaf("ServiceIdentifier", _T255), low=0),
    _node(
        "Document",
        _leaf("Format", one_of(*DOCUMENT_FORMATS)),
        _leaf("Name", _T255),
        _leaf("Version", _T255, 0),
        _leaf("SizeInBytes", _INT),
    ),
    _node(
        "Transport",
        _leaf("Type", one_of("reliable", "unreliable"), 0),
        _leaf("TransformMessage", BOOLEAN),
        _leaf("ServiceTag", _T70, 0, 5, name=_T70),
        low=0,
    ),
)
_ERROR: Final = _node("Error", _leaf("Code", _POSITIVE, 0), _leaf("Description", _T512))
_ORIGINAL_ID: Final = _leaf("OriginalEnvelopeIdentifier", _UUID)
_ENDPOINT: Final = sized(1, 18, collapse=True)

#: What an answer to an envelope must be able to read, and what it should (spec 02 §2.2).
ADDRESS: Final = (
    _leaf("SenderID", _ENDPOINT, EndPointType=one_of(*KINDS)),
    _leaf("ReceiverID", _ENDPOINT, EndPointType=one_of(*KINDS)),
    _leaf("EnvelopeIdentifier", _UUID),
)
META: Final = _node("MetaInformation", *_META)

#: Spec 02 §2.2, in the order of its table.
ENVELOPE: Final = _node(
    "VANSEnvelope",
    *ADDRESS,
    _leaf("SentDateTime", DATE_TIME),
    Choice(
        (
            _node("Message", META, _leaf("Data", BASE64)),
            _node(
                "Receipt",
                Choice(
                    (
                        _node("NegativeVans", _ERROR, _ORIGINAL_ID, _node("OriginalMessage", *_META, low=0)),
                        _node("NegativeMessage", _ERROR, _ORIGINAL_ID, _node("OriginalMessage", *_META)),
                        _node("PositiveMessage", _ORIGINAL_ID, _node("OriginalMessage", *_META)),
                    )
                ),
            ),
        )
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaInformation:
    """Which document an envelope holds (spec 02 §2.2, META); a receipt returns a copy. "" and None: no such element."""

    identifier: str  # of the message: Bundle.id (02 §2.4)
    format: str
    name: str
    version: str = ""
    size: int  # bytes before base64
    processing: tuple[str, str] | None = None  # provider, service
    transport: str = ""  # "reliable", "unreliable"
    transform: bool | None = None  # None: no Transport at all
    tags: tuple[tuple[str, str], ...] = ()  # ServiceTag: name, value

    def tag(self, name: str) -> str:
        """Value of the first service tag of that name, "" when there is none."""
        return next((value for key, value in self.tags if key == name), "")


class Known(NamedTuple):
    """A kind of document: its format, its names, its versions, whether it is FHIR (spec 02 §2.3), odd names."""

    format: str
    names: frozenset[str]
    versions: re.Pattern[str]
    fhir: bool = False
    tolerated: Mapping[str, str] = {}  # names that partners use -> the one to send


def _fhir(row: MessageType) -> Known:
    """A message in FHIR; older pages have version 1.0 for every type (spec 02 §2.3)."""
    names = {f"{row.document}#{postfix}" for postfix in row.postfixes} | ({row.document} if row.plain_name else set())
    tolerated = {f"{row.document}#{odd}": f"{row.document}#{usual}" for odd, usual in row.tolerated.items()}
    versions = re.compile(rf"{re.escape(row.version)}(\.\d+)?|1\.0")
    return Known("HL7", frozenset(names), versions, True, tolerated)


DOCUMENTS: Final = (
    *map(_fhir, MESSAGE_TYPES.values()),
    *(
        Known(row.label, frozenset({name}), re.compile(version))
        for row in FORMATS.values()
        for name, version in row.letters.items()
    ),
)


def known(format_: str, name: str, version: str) -> Known | None:
    """The row of a document, or None when it is none that we read; a version may be missing (spec 02 §2.2)."""
    for row in DOCUMENTS:
        if (
            (name in row.names or name in row.tolerated)
            and format_ == row.format
            and (not version or row.versions.fullmatch(version))
        ):
            return row
    return None
