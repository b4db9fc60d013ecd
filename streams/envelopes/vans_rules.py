"""The VANSEnvelope 1.0.4 as a table, the documents that travel in it, and how an envelope describes them.

Decided by the schema of "Den gode VANSEnvelope" 1.0.4 (spec 02 §2.2) and MedCom's statistical codes (spec 02 §2.3).
The one place where we are stricter than the schema: an id is hexadecimal (spec 02 §2.1).

`read_plain` reads the plain spelling of an envelope with a message without a parser, in a quarter of the time: one
expression, made of the same table, checks it against the schema (V1, V2) and takes it apart. Whatever is spelled otherwise,
right or wrong, is left to the parser and the grammar, which alone find what is wrong.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple

import msgspec

from streams.messages.message_type import FORMATS, MESSAGE_TYPES, MessageType
from streams.words.ids import UUID_FORM

from .grammar import BASE64, BOOLEAN, DATE_TIME, Choice, ElementRule, Text, matching, one_of, plain, sized

NAMESPACE: Final = "urn:oio:medcom:vans-envelope:1.0.4"
MIME_TAG: Final = "MCM:MIME"
EndpointKind = Literal["EAN", "CVR", "VANS"]
ContentKind = Literal["message", "positive-message", "negative-message", "negative-vans"]
DOCUMENT_FORMATS: Final = ("XML", "EDIFACT", "HL7", "Binary", "Other")
KINDS: Final = ("EAN", "CVR", "VANS")

_UUID: Final = matching(UUID_FORM.pattern, "a UUID of hexadecimal digits")
_INT: Final = Text(
    "a whole number below 2147483648",
    lambda text: re.fullmatch(r"[+-]?[0-9]{1,20}", text) is not None and -(1 << 31) <= int(text) < 1 << 31,
    collapse=True,
    plain="[0-9]{1,9}",
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
_SENT: Final = _leaf("SentDateTime", DATE_TIME)
META: Final = _node("MetaInformation", *_META)

#: Spec 02 §2.2, in the order of its table.
ENVELOPE: Final = _node(
    "VANSEnvelope",
    *ADDRESS,
    _SENT,
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


class MetaInformation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
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


# ---- the plain spelling ---------------------------------------------------------------------------------------------

_LONGEST: Final = 1 << 20  # bytes; longer ones are rare enough for the parser
_BEGIN, _END = b"<Data>", b"</Data>"
_DECLARED: Final = r'(?:<\?xml version="1\.0"(?: encoding="(?:UTF-8|utf-8)")?\?>)?[ \t\r\n]*'
_HEAD: Final = re.compile(
    rf'{_DECLARED}<VANSEnvelope xmlns="{re.escape(NAMESPACE)}">[ \t\r\n]*'
    + "".join(map(plain, (*ADDRESS, _SENT)))
    + r"<Message>[ \t\r\n]*"
    + plain(META)
)
_TAIL: Final = re.compile(rb"</Data>[ \t\r\n]*</Message>[ \t\r\n]*</VANSEnvelope>[ \t\r\n]*")
_TAG: Final = re.compile(r'<ServiceTag name="([^"]*)">([^<]*)</ServiceTag>')
#: Base64 between quotes, in a third of the time of `base64`. What it refuses is not plain.
_from_base64: Final = msgspec.json.Decoder(bytes).decode


def read_plain(data: bytes) -> tuple[dict[str, Any], MetaInformation, bytes] | None:
    """Of an envelope in the plain spelling the fields of `Opened` that stand before the message, the description of
    its document, and the document; None for any other data.
    """
    begin = data.find(_BEGIN) if len(data) <= _LONGEST else -1
    end = data.rfind(_END)
    if not 0 <= begin < end or _TAIL.fullmatch(data, end) is None or not data[:begin].isascii():
        return None
    head, text = data[:begin].decode("ascii"), data[begin + len(_BEGIN) : end]
    found = _HEAD.fullmatch(head)
    if found is None or b"\\" in text:
        return None
    try:
        payload = _from_base64(b'"%b"' % text)
        sent = datetime.fromisoformat(found["SentDateTime"])
    except ValueError:  # msgspec's errors are such
        return None
    fields = {
        "envelope_id": found["EnvelopeIdentifier"].lower(),
        "sender": found["SenderID"],
        "sender_kind": found["SenderIDEndPointType"],
        "receiver": found["ReceiverID"],
        "receiver_kind": found["ReceiverIDEndPointType"],
        "sent": sent,
    }
    provider, transform = found["ProviderIdentifier"], found["TransformMessage"]
    meta = MetaInformation(
        identifier=found["Identifier"].lower(),
        format=found["Format"],
        name=found["Name"],
        version=found["Version"] or "",
        size=int(found["SizeInBytes"]),
        processing=None if provider is None else (provider, found["ServiceIdentifier"]),
        transport=found["Type"] or "",
        transform=None if transform is None else transform in ("true", "1"),
        tags=() if transform is None else tuple(_TAG.findall(head, found.end("TransformMessage"))),
    )
    return fields, meta, payload


# ---- documents ------------------------------------------------------------------------------------------------------


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


@lru_cache(maxsize=256)
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
