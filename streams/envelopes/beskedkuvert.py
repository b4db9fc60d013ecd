"""The envelope of KOMBIT's Beskedfordeler, `Haendelsesbesked`, sealed, opened and inspected; and a copy as our own record.

Decided by spec 02 §7.3: names and order as in KOMBIT's public samples (namespaces `urn:oio:besked:kuvert:1.0` and
`urn:oio:sagdok:3.0.0`). What stands in `Beskeddata` for hospital notifications is not public: it is base64, as in the one
sample that holds a document, and other content is read as the one element that it is. `BeskedId` begins with the lane of
the message (00 §1.3), and `TransaktionsId` is MessageHeader.id: so each is found by the other. The UUID of the type of
message is configuration (`policy.toml`, [beskedkuvert]), because KOMBIT's is not public.

That Beskedfordeler takes or hands over an envelope is a hop receipt and nobody's answer: nothing here reads one.
"""

import base64
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, Literal

import msgspec
from lxml import etree

from streams.words.errors import Rejected, judgement
from streams.words.ids import UUID_FORM
from streams.words.model import NetworkReceipt, Value
from streams.words.times import danish_text

from .envelope import Waybill
from .grammar import BASE64, LIMIT, Choice, ElementRule, Text, decoded, faults, matching, root_of, sized

SCHEMA: Final = "beskedkuvert"
NAMESPACE: Final = "urn:oio:besked:kuvert:1.0"
SAGDOK: Final = "urn:oio:sagdok:3.0.0"
DATA: Final = "urn:besked:kuvert:1.0"  # of `Base64`
_K, _S, _BASE64 = f"{{{NAMESPACE}}}", f"{{{SAGDOK}}}", f"{{{DATA}}}Base64"
_CPR, _CVR = "urn:oio:cpr-nr:", "urn:oio:cvr-nr:"
_OFFICIAL: Final = re.compile(r"[0-9]{10}")  # a replacement number is none of the CPR register
_FHIR: Final = frozenset({"application/fhir+json", "application/fhir+xml"})
#: Media types of documents other than FHIR, by what a VANSEnvelope calls their format; each states its character set.
_OTHER: Final = {"XML": "application/xml", "EDIFACT": "application/edifact"}


class OpenedBesked(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An envelope that keeps the schema. Ids are in lower case; "" is absent."""

    envelope_id: str  # BeskedId
    message_id: str  # TransaktionsId: MessageHeader.id in what we have sealed
    message_type: str  # Beskedtype
    allowed: tuple[str, ...]  # CVR numbers of the municipalities that may receive it
    payload: bytes
    media_type: str  # of FHIR, else ""
    sender: str = ""  # the envelope names no location number

    def __repr__(self) -> str:
        return f"OpenedBesked({self.envelope_id})"

    @property
    def asked(self) -> datetime | None:
        """None: receipts of envelopes are the network's matter."""
        return None

    def network_receipt(self) -> NetworkReceipt | None:
        """Never one: Beskedfordeler answers hop by hop, in no envelope."""
        return None


def seal(payload: bytes, waybill: Waybill) -> bytes:
    """The envelope of one document. The person is named in it alone, never in what lies beside it.

    Raises `Rejected` (20.1) when the whole is over 100 MB.
    """
    about, terms = waybill.about, waybill.terms
    allowed = f"<k:TilladtModtager>{_urn(_CVR + terms.cvr)}</k:TilladtModtager>" if terms.cvr else ""
    person = (
        f"<k:RelateretObjekt><k:ObjektId>{_urn(_CPR + about.cpr)}</k:ObjektId>"
        f"<k:ObjektType>{_uuid(terms.person_type)}</k:ObjektType></k:RelateretObjekt>"
        if _OFFICIAL.fullmatch(about.cpr)
        else ""
    )
    media_type = waybill.media_type or _OTHER.get(waybill.format, "application/octet-stream")
    head = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<k:Haendelsesbesked xmlns:k="{NAMESPACE}" xmlns="{SAGDOK}">'
        f"<k:BeskedId>{_uuid(waybill.transport_id)}</k:BeskedId><k:BeskedVersion>1.0</k:BeskedVersion>"
        f"<k:Beskedkuvert><k:Filtreringsdata><k:Beskedtype>{_uuid(terms.besked_type)}</k:Beskedtype>"
        f"{_id_of('BeskedAnsvarligAktoer', terms.besked_actor)}{allowed}{person}</k:Filtreringsdata>"
        f"<k:Leveranceinformation><k:Dannelsestidspunkt><TidsstempelDatoTid>{danish_text(waybill.sent)}"
        f"</TidsstempelDatoTid></k:Dannelsestidspunkt>{_id_of('TransaktionsId', about.message_id)}"
        f"{_id_of('Sikkerhedsklassificering', terms.classification)}</k:Leveranceinformation></k:Beskedkuvert>"
        f'<k:Beskeddata><b:Base64 xmlns:b="{DATA}" content-type="{media_type}" encoding="base64">'
    )
    tail = b"</b:Base64></k:Beskeddata></k:Haendelsesbesked>"
    sealed = b"".join((head.encode(), base64.b64encode(payload), tail))
    if len(sealed) > LIMIT:
        raise Rejected("Haendelsesbesked", "longer than 100 MB", "send one message of at most 100 MB", "20.1")
    return sealed


def _uuid(text: str) -> str:
    return f"<UUIDIdentifikator>{text}</UUIDIdentifikator>"


def _urn(text: str) -> str:
    return f"<URNIdentifikator>{text}</URNIdentifikator>"


def _id_of(name: str, text: str) -> str:
    """An element that holds a UUID; none for any other text."""
    return f"<k:{name}>{_uuid(text)}</k:{name}>" if UUID_FORM.fullmatch(text) else ""


# ---- opening --------------------------------------------------------------------------------------------------------

_UUID: Final = matching(UUID_FORM.pattern, "a UUID of hexadecimal digits", collapse=True)
_URN: Final = Text("a URN", lambda text: text.startswith("urn:"), collapse=True)
_UUID_LEAF: Final = ElementRule((_S + "UUIDIdentifikator",), _UUID)
_ANY_ID: Final = Choice((_UUID_LEAF, ElementRule((_S + "URNIdentifikator",), _URN)))


def _node(name: str, *parts: ElementRule | Choice, low: int = 1, high: int | None = 1) -> ElementRule:
    """An element of the envelope; without parts, one that is not looked into."""
    return ElementRule((_K + name,), None, parts, low, high, loose=not parts)


#: Spec 02 §7.3, in the order of its table.
ENVELOPE: Final = _node(
    "Haendelsesbesked",
    _node("BeskedId", _UUID_LEAF),
    ElementRule((_K + "BeskedVersion",), sized(1, 32)),
    _node(
        "Beskedkuvert",
        _node(
            "Filtreringsdata",
            _node("Beskedtype", _UUID_LEAF),
            _node("BeskedAnsvarligAktoer", _ANY_ID, low=0),
            _node("TilladtModtager", _ANY_ID, low=0, high=None),
            _node(
                "RelateretObjekt",
                _node("ObjektId", _ANY_ID),
                _node("ObjektType", _ANY_ID),
                _node("ObjektRolle", _ANY_ID, low=0),
                low=0,
                high=None,
            ),
            _node("ObjektRegistrering", low=0, high=None),
            _node("TvaergaaendeProces", low=0, high=None),
        ),
        _node("Leveranceinformation"),
        _node("Modtagerhandling", low=0),
        _node("GyldighedFra", low=0),
        _node("GyldighedTil", low=0),
    ),
    _node("Beskeddata", low=0, high=None),
)


def open_envelope(data: bytes) -> OpenedBesked:
    """Opens an envelope that holds one document. Raises `Rejected` with the first thing that is wrong."""
    root = root_of(data, SCHEMA)
    if issues := faults(root, ENVELOPE, SCHEMA):
        first = issues[0]
        raise Rejected(first.path, first.problem, first.remedy, first.rule)
    contents = root.findall(_K + "Beskeddata")
    if len(contents) != 1:
        problem = f"{len(contents)} contents" if contents else "no content"
        raise Rejected("Haendelsesbesked.Beskeddata", problem, "send one document in one envelope", SCHEMA)
    payload, media_type = _document(contents[0])
    filters = root.find(f"{_K}Beskedkuvert/{_K}Filtreringsdata")
    assert filters is not None  # the schema has it
    return OpenedBesked(
        envelope_id=_id(root, "BeskedId"),
        message_id=_id(root, f"Beskedkuvert/{_K}Leveranceinformation/{_K}TransaktionsId"),
        message_type=_id(filters, "Beskedtype"),
        allowed=tuple(
            urn.removeprefix(_CVR)
            for each in filters.iterfind(f"{_K}TilladtModtager/{_S}URNIdentifikator")
            if (urn := (each.text or "").strip()).startswith(_CVR)
        ),
        payload=payload,
        media_type=media_type,
    )


def _id(node: etree._Element, path: str) -> str:
    return (node.findtext(f"{_K}{path}/{_S}UUIDIdentifikator") or "").strip().lower()


def _document(content: etree._Element) -> tuple[bytes, str]:
    """The document of a `Beskeddata`, and its media type if that is FHIR. Raises `Rejected`."""
    place = "Haendelsesbesked.Beskeddata"
    inside = list(content)
    if len(inside) != 1:
        raise Rejected(place, f"{len(inside)} elements", "send one document, in base64", SCHEMA)
    if inside[0].tag != _BASE64:
        return etree.tostring(inside[0], with_tail=False), ""
    payload = None if len(inside[0]) else decoded(inside[0].text or "")
    if not payload:
        raise Rejected(f"{place}.Base64", "no base64", f"send {BASE64.form}", SCHEMA)
    media_type = (inside[0].get("content-type") or "").partition(";")[0].strip().lower()
    return payload, media_type if media_type in _FHIR else ""


def inspect(data: bytes, inside: Callable[[bytes], dict[str, Any]]) -> dict[str, Any]:
    """The inspection of the document in it: the envelope has no kind of its own (acceptance.md). Its own faults are those
    of a document that is not known.
    """
    try:
        return inside(open_envelope(data).payload)
    except Rejected as rejected:
        return judgement("unknown", [rejected.issue()], None)


# ---- our own record of a copy ---------------------------------------------------------------------------------------


class Copy(Value, frozen=True, kw_only=True):
    """One receiver's copy as an adapter to Beskedfordeler takes it (02 §7.3): of the person only what is in the payload."""

    besked_id: str
    message_id: str  # MessageHeader.id
    municipality_cvr: str
    receiver_system_id: str
    receiver_type: Literal["A", "B", "C"]
    payload: bytes  # the document; base64 in JSON

    def __repr__(self) -> str:
        return f"Copy({self.besked_id}, {self.receiver_system_id})"


_copy_encode: Final = msgspec.json.Encoder(order="deterministic").encode
_copy_decode: Final[msgspec.json.Decoder[Copy]] = msgspec.json.Decoder(Copy)


def encode_copy(copy: Copy) -> bytes:
    """The record as JSON; the same copy gives the same bytes."""
    return _copy_encode(copy)


def decode_copy(data: bytes) -> Copy:
    """The record of JSON. Raises `Rejected` with none of its content."""
    try:
        return _copy_decode.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        raise Rejected(
            "$", f"{len(data)} bytes that are no copy", "send the six fields of a copy", "unreadable"
        ) from None
