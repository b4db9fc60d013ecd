"""The plain spelling of a VANSEnvelope with a message, read without an XML parser.

Nearly every envelope is written one way: the elements of the schema in its order, plain ASCII, no comment, no entity, no
prefix, base64 in one piece. That spelling is a regular language, so one expression both checks it against the schema of
spec 02 §2.2 (V1, V2) and takes it apart, in a quarter of the time. Whatever is spelled otherwise, right or wrong, is no
match and goes to the parser and the grammar, which alone find what is wrong: the two must never disagree about a match.
"""

import base64
import re
from datetime import datetime
from typing import Any, Final, NamedTuple

from .vans_rules import DOCUMENT_FORMATS, KINDS, NAMESPACE, MetaInformation

__all__ = ["Plain", "plain"]

_LONGEST: Final = 1 << 20  # bytes; longer ones are rare enough for the parser
_S: Final = r"[ \t\r\n]*"
_UUID: Final = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
_TIME: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:Z|[+-][0-9]{2}:[0-9]{2})"
_WORD: Final = "[A-Za-z0-9:#._/+;=-]"  # no blank: some types collapse it, others do not


def _leaf(name: str, pattern: str) -> str:
    return f"<{name}>{pattern}</{name}>{_S}"


def _endpoint(name: str) -> str:
    return rf'<{name} EndPointType="(?P<{name}Kind>{"|".join(KINDS)})">(?P<{name}>[A-Za-z0-9]{{1,18}})</{name}>{_S}'


_TAG: Final = rf'<ServiceTag name="({_WORD}{{1,70}})">({_WORD}{{1,70}})</ServiceTag>{_S}'
_TAGS: Final = re.compile(_TAG)
_HEAD: Final = re.compile(
    rf'(?:<\?xml version="1\.0"(?: encoding="(?:UTF-8|utf-8)")?\?>)?{_S}<VANSEnvelope xmlns="{re.escape(NAMESPACE)}">{_S}'
    + _endpoint("SenderID")
    + _endpoint("ReceiverID")
    + _leaf("EnvelopeIdentifier", f"(?P<id>{_UUID})")
    + _leaf("SentDateTime", f"(?P<sent>{_TIME})")
    + f"<Message>{_S}<MetaInformation>{_S}"
    + _leaf("Identifier", f"(?P<identifier>{_UUID})")
    + f"<Document>{_S}"
    + _leaf("Format", f"(?P<format>{'|'.join(DOCUMENT_FORMATS)})")
    + _leaf("Name", f"(?P<name>{_WORD}{{1,255}})")
    + f"(?:{_leaf('Version', f'(?P<version>{_WORD}{{1,255}})')})?"
    + _leaf("SizeInBytes", "(?P<size>[0-9]{1,9})")
    + f"</Document>{_S}<Transport>{_S}"
    + f"(?:{_leaf('Type', '(?P<type>reliable|unreliable)')})?"
    + _leaf("TransformMessage", "(?P<transform>true|false)")
    + rf"(?P<tags>(?:{_TAG.replace('(', '(?:')}){{0,5}})</Transport>{_S}</MetaInformation>{_S}"
)
_TAIL: Final = re.compile(rf"</Data>{_S}</Message>{_S}</VANSEnvelope>{_S}".encode())
_BEGIN: Final = b"<Data>"
_END: Final = b"</Data>"


class Plain(NamedTuple):
    """The parts of a plain envelope: `head` are the fields of `Opened` that stand before the message."""

    head: dict[str, Any]
    meta: MetaInformation
    payload: bytes


def plain(data: bytes) -> Plain | None:
    """The parts of an envelope in the plain spelling; None for any other document."""
    begin = data.find(_BEGIN) if len(data) <= _LONGEST else -1
    end = data.find(_END, begin)
    if begin < 0 or end < 0 or _TAIL.fullmatch(data, end) is None or not data[:begin].isascii():
        return None
    found = _HEAD.fullmatch(data[:begin].decode("ascii"))
    if found is None:
        return None
    try:
        payload = base64.b64decode(data[begin + len(_BEGIN) : end], validate=True)
        sent = datetime.fromisoformat(found["sent"])
    except ValueError:
        return None
    head = {
        "envelope_id": found["id"].lower(),
        "sender": found["SenderID"],
        "sender_kind": found["SenderIDKind"],
        "receiver": found["ReceiverID"],
        "receiver_kind": found["ReceiverIDKind"],
        "sent": sent,
    }
    meta = MetaInformation(
        identifier=found["identifier"].lower(),
        format=found["format"],
        name=found["name"],
        version=found["version"] or "",
        size=int(found["size"]),
        transport=found["type"] or "",
        transform=found["transform"] == "true",
        tags=tuple(_TAGS.findall(found["tags"])),
    )
    return Plain(head, meta, payload)
