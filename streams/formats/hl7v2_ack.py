"""The answer to an HL7 message: MSA and, when it is negative, ERR (spec 04 §5.2, §5.3; HL7 v2.5 chapter 2.9).

The answer is about transport and form only: a stay that cannot be notified is still answered AA. It is written with
the delimiters and the character set of the message it answers, and holds nothing that a person could be known by.
An unreadable message is answered as far as its header can be read.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final, Literal

from streams.words.times import danish

from .hl7v2 import STANDARD, Document, MessageRefused, Separators, separators_of, strip_framing

Code = Literal["AA", "AE", "AR"]

#: Original mode -> enhanced mode (HL7 v2 table 0008).
ENHANCED: Final[Mapping[str, str]] = MappingProxyType({"AA": "CA", "AE": "CE", "AR": "CR"})

#: MSH-15 (table 0155) -> the codes that are answered. An unknown value is answered always: silence stops the sender.
ANSWERED: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "AL": frozenset({"AA", "AE", "AR"}),
        "ER": frozenset({"AE", "AR"}),
        "SU": frozenset({"AA"}),
        "NE": frozenset(),
    }
)

#: Table 0357, those that spec 04 §5.4 uses.
ERROR_TEXTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "100": "Segment sequence error",
        "101": "Required field missing",
        "102": "Data type error",
        "103": "Table value not found",
        "200": "Unsupported message type",
        "201": "Unsupported event code",
        "202": "Unsupported processing id",
        "203": "Unsupported version id",
        "205": "Duplicate key identifier",
        "207": "Application internal error",
    }
)

_OLD: Final = re.compile(r"2\.[1-4](\..*)?")  # ERR-8 user text exists from 2.5


class _Header:
    """MSH of the message answered, as far as it can be read: fields as sent, to be sent back."""

    def __init__(self, message: Document | bytes) -> None:
        body = strip_framing(message.data if isinstance(message, Document) else message)
        self.possible = body[:3] == b"MSH"
        self.charset = message.charset if isinstance(message, Document) else "latin-1"
        try:
            self.separators: Separators = separators_of(body)
        except MessageRefused:
            self.separators = STANDARD
        line = re.split(rb"[\r\n]", body, maxsplit=1)[0]
        text = re.sub("[\x00\x0b\x1c]", "", line.decode(self.charset, errors="replace"))  # what no block may hold
        self._fields = text.split(self.separators.field)

    def whole(self, field: int) -> str:
        """As it came, blanks and all: MSA-2 is MSH-10 unchanged (00 §8.1)."""
        return self._fields[field - 1] if field - 1 < len(self._fields) else ""

    def component(self, field: int, comp: int = 1) -> str:
        parts = self.whole(field).split(self.separators.repetition)[0].split(self.separators.component)
        return parts[comp - 1].rstrip(" ") if comp <= len(parts) else ""


def acknowledgement(
    message: Document | bytes,
    code: Code,
    *,
    refused: MessageRefused | None = None,
    now: datetime,
    control_id: str,
    application: str,
    facility: str,
) -> bytes | None:
    """The ACK for `message`, without framing; None when none can be formed or the sender wants none (MSH-15).

    `code` is that of the original mode; a sender in enhanced mode gets CA, CE or CR. `now` is written as Danish
    time. `control_id` is the id of the answer; `application` and `facility` are ours.
    """
    header = _Header(message)
    if not header.possible:
        return None
    accept, separators = header.whole(15).strip(), header.separators
    if accept and code not in ANSWERED.get(accept, ANSWERED["AL"]):
        return None
    enhanced = bool(accept or header.whole(16).strip())
    answer, c = (ENHANCED[code] if enhanced else code), separators.component
    kind = c.join(("ACK", header.component(9, 2), "ACK")) if header.component(9, 2) else "ACK"
    stamp = danish(now).strftime("%Y%m%d%H%M%S%z")
    sender = (application, facility, header.whole(3), header.whole(4), stamp, "", kind, control_id)
    more = (header.whole(11), header.whole(12), "", "", "", "", "", header.whole(18))
    old = refused is not None and _OLD.fullmatch(header.component(12)) is not None
    problem = "" if refused is None else f"{refused.path}: {refused.problem}; {refused.remedy}"
    problem = "".join(" " if character in separators.text else character for character in problem)
    segments = [
        f"MSH{separators.text}{separators.field}" + separators.field.join((*sender, *more)).rstrip(separators.field),
        separators.field.join(("MSA", answer, header.whole(10), problem if old else "")),
    ]
    if refused is not None and code != "AA":
        place = c.join((refused.segment, "1", str(refused.field))) if refused.field else refused.segment
        coded = c.join((refused.code, ERROR_TEXTS[refused.code], "HL70357"))
        segments.append(separators.field.join(("ERR", "", place, coded, "E", "", "", "", problem)))
    text = "".join(segment.rstrip(separators.field) + "\r" for segment in segments)
    return text.encode(header.charset, errors="replace")


def is_acknowledgement(data: bytes) -> bool:
    """Whether the bytes are an answer themselves: of type ACK, or with MSA. Judged before anything else is.

    An answer that is answered, and be it negatively, is answered again: two engines would never stop (00 §8.5).
    """
    header = _Header(data)
    answering = b"MSA" + header.separators.field.encode()
    typed = header.component(9).strip().upper() == "ACK"
    return header.possible and (typed or b"\r" + answering in data or b"\n" + answering in data)


def sent_control_id(data: bytes) -> str:
    """MSH-10 as it stands in a message, with all its components, for it comes back so in MSA-2; "" where there is none."""
    header = _Header(data)
    return header.whole(10) if header.possible else ""
