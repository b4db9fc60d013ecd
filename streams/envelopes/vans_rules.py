"""The VANSEnvelope 1.0.4 as a table, the documents that travel in it, and how an envelope describes them.

Decided by the schema of "Den gode VANSEnvelope" 1.0.4 (spec 02 §2.2) and MedCom's statistical codes (spec 02 §2.3).
The one place where we are stricter than the schema: an id is hexadecimal (spec 02 §2.1).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from streams.words.codes import ACK_CODES, ACTIVITIES, VANS_POSTFIX, Verdict, postfix_of_activity

from .grammar import BASE64, BOOLEAN, DATE_TIME, Choice, ElementRule, Text, matching, one_of, sized

__all__ = [
    "ACKNOWLEDGEMENT_VERSION",
    "ADDRESS",
    "DOCUMENTS",
    "ENVELOPE",
    "FORMATS",
    "KINDS",
    "META",
    "MIME_TAG",
    "NAMESPACE",
    "NOTIFICATION_VERSION",
    "ContentKind",
    "EndpointKind",
    "MetaInformation",
    "acknowledgement_name",
    "document_name",
    "known",
]

NAMESPACE: Final = "urn:oio:medcom:vans-envelope:1.0.4"
NOTIFICATION_VERSION: Final = "3.0.0"
ACKNOWLEDGEMENT_VERSION: Final = "2.0.0"
MIME_TAG: Final = "MCM:MIME"
EndpointKind = Literal["EAN", "CVR", "VANS"]
ContentKind = Literal["message", "positive-message", "negative-message", "negative-vans"]
FORMATS: Final = ("XML", "EDIFACT", "HL7", "Binary", "Other")
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
        _leaf("Format", one_of(*FORMATS)),
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


_NOTIFICATION: Final = "MCM:FDIS20#"
#: MedCom's governance asks for an activity code as postfix, and for a name that the code system has, which excludes it
#: (spec 02 §2.3): we write the code system's, and partners that follow the other sentence are read (spec 01, 20.6).
_BY_ACTIVITY: Final = {f"{_NOTIFICATION}{code}": _NOTIFICATION + postfix_of_activity(code) for code in ACTIVITIES}

#: Version: older pages have 1.0 for all FHIR types (spec 02 §2.3); `MCM:FCTL` had no postfix before terminology 2.0.0.
DOCUMENTS: Final = (
    Known(
        "HL7",
        frozenset(_NOTIFICATION + postfix for postfix in VANS_POSTFIX.values()),
        re.compile(r"3\.0(\.\d+)?|1\.0"),
        True,
        _BY_ACTIVITY,
    ),
    Known(
        "HL7", frozenset({"MCM:FCTL"} | {f"MCM:FCTL#{c}" for c in ACK_CODES}), re.compile(r"2\.0(\.\d+)?|1\.0"), True
    ),
    Known("XML", frozenset({"MCM:XDIS20"}), re.compile(r"XD20\d\d[A-Z]")),
    Known("XML", frozenset({"MCM:XDIS17"}), re.compile(r"XD17\d\d[A-Z]")),
    Known("XML", frozenset({"MCM:XCTL01", "MCM:XCTL02", "MCM:XCTL03"}), re.compile(r"XC0[123]\d\d[A-Z]")),
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


def document_name(activity: str) -> str:
    """Name of a hospital notification: `MCM:FDIS20#` and the postfix of its activity (spec 02 §2.3)."""
    return _NOTIFICATION + postfix_of_activity(activity)


def acknowledgement_name(verdict: Verdict) -> str:
    """Name of an acknowledgement: `MCM:FCTL#` and its verdict (spec 02 §2.3)."""
    return "MCM:FCTL#" + verdict
