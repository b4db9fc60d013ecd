"""ER7, the text form of HL7 version 2: segments, fields, repetitions, components (spec 04 §2).

`read` does the nine steps of spec 04 §2.1 in their order. They and an unknown sender are the only causes of a
negative acknowledgement; what comes later is ours to sort out. It is lazy: lines are found and named, but a line is
split when a field of it is asked for, and a value is unescaped when it is used. Blanks at the end of a value are taken
off, because they mean nothing (00 §8.1); the bytes are kept unchanged.

Not here: what the fields mean (`streams/messages/adt`), framing (the gateway), the answer (`hl7v2_ack`).
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Final, Literal

import msgspec

from streams.words.errors import Issue, Rejected

from .hl7v2_charset import Undecodable, Unsupported, decode, decode_as
from .hl7v2_escapes import STANDARD, Separators, unescape

__all__ = [
    "ABSENT",
    "NULL",
    "Document",
    "Fields",
    "Refused",
    "Segment",
    "check_header",
    "parse",
    "read",
    "strip_framing",
]

AckCode = Literal["AR", "AE"]
Newline = Literal["cr", "lf", "crlf"]

NULL: Final = '""'  # "delete the value"; for us not present, except in the comparison of an A08 (spec 04 §2.4)

_NAME: Final = re.compile(r"[A-Z][A-Z0-9]{2}")  # at the front of a line
_VERSIONS: Final = frozenset({"2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6"})  # those in use; found without a pattern
_VERSION: Final = re.compile(r"2\.[1-9](\.[0-9])?")
_BOM: Final = b"\xef\xbb\xbf"
_USUAL: Final = b"|^~\\&|"  # MSH-1 and MSH-2 of nearly every message
_KNOWN: Final = frozenset({"MSH|", "EVN|", "PID|", "PD1|", "NK1|", "PV1|", "PV2|", "MRG|"})  # and how its lines begin
_DECLARED: Final = len("MSH|^~\\&")  # behind it, what looks like a separator is one
_ABSENT: Final = [""] * 64  # fields that a line does not have, up to the last one that anybody reads
_COMPONENTS: Final = 32  # of one field; PID-11 has the most that anybody reads, 22


class Refused(Rejected):
    """A message that is answered negatively: `ack` AR or AE (None: no answer can be formed), `code` of table 0357.

    `segment` and `field` fill ERR-2; the text says nothing of the content (spec 04 §5.2).
    """

    def __init__(
        self, ack: AckCode | None, code: str, problem: str, remedy: str, *, segment: str = "MSH", field: int = 0
    ) -> None:
        super().__init__(f"{segment}-{field}" if field else segment, problem, remedy, rule=f"hl7-{code}")
        self.ack, self.code, self.segment, self.field = ack, code, segment, field


def _part(text: str, separator: str, index: int) -> str:
    if index == 1:
        return text.partition(separator)[0]
    parts = text.split(separator, index)
    return parts[index - 1] if index <= len(parts) else ""


class Writing:
    """How one message is written, and what was odd about it: all that a segment needs to know of the others.

    A segment that knew its document would form a circle with it, which only the garbage collector takes apart.
    """

    __slots__ = ("charset", "marks", "separators", "warnings")

    def __init__(self, separators: Separators, charset: str, text: str = "") -> None:
        self.separators, self.charset = separators, charset
        self.warnings: list[Issue] = []
        self.marks = separators.marks(text[_DECLARED:])

    def plain(self, text: str, segment: str, field: int) -> str:
        """`text` unescaped; warns once per field about a sequence that is left as written."""
        value, understood = unescape(text, self.separators, self.charset)
        if not understood:
            self.warn(f"{segment}-{field}", "escape", "an escape sequence is unknown or not closed", "send it closed")
        return value.rstrip(" ")  # an escaped blank is one too

    def warn(self, path: str, rule: str, problem: str, remedy: str) -> None:
        """Note something odd that does not stop the message."""
        issue = Issue(severity="warning", path=path, rule=rule, problem=problem, remedy=remedy)
        if issue not in self.warnings:
            self.warnings.append(issue)


class Fields:
    """Fields that are read together."""

    __slots__ = ("last", "numbers", "of")

    def __init__(self, *numbers: int) -> None:
        self.numbers, self.last, self.of = numbers, max(numbers), itemgetter(*numbers)


class Segment(msgspec.Struct, eq=False, gc=False):
    """One line. Fields, repetitions, components and subcomponents count from 1; what is not there is ""."""

    name: str  # the first three characters of the line
    writing: Writing
    _line: str
    _fields: list[str] | None = None
    _plain: bool = True
    #: What a reader has made of the segment, and by what: a message is asked twice who it is about (3.5 µs).
    reading: tuple[object, object] | None = None

    def __repr__(self) -> str:
        return f"Segment({self.name})"

    def _split(self) -> list[str]:
        return self.take(self._line.split(self.writing.separators.field))

    def take(self, fields: list[str]) -> list[str]:
        """Its fields, split by whoever had to look at them first."""
        line = self._line
        if self.name == "MSH":
            fields.insert(1, self.writing.separators.field)  # MSH-1 is the separator itself
            line = line[_DECLARED:]
        self._fields, self._plain = fields, True
        for mark in self.writing.marks:
            if mark in line:
                self._plain = False
        return fields

    def raw(self, field: int) -> str:
        """The whole field as sent, with its separators and escapes."""
        fields = self._fields or self._split()
        return fields[field] if field < len(fields) else ""

    def repetitions(self, field: int) -> list[str]:
        """The repetitions of a field as sent; none when it has no value."""
        text = self.raw(field)
        if not text or text == NULL:
            return []
        return text.split(self.writing.separators.repetition)

    def is_null(self, field: int) -> bool:
        """Whether the field says `""`: delete the value (spec 04 §2.4)."""
        return self.raw(field) == NULL

    def text(self, field: int, rep: int = 1, comp: int = 1, sub: int = 1) -> str:
        """One value, unescaped; "" when absent or null."""
        fields = self._fields or self._split()
        text = fields[field] if field < len(fields) else ""
        if not text:
            return ""
        separators = self.writing.separators
        if comp == rep == sub == 1 and (self._plain or self._is_plain(text)):
            return text.partition(separators.component)[0]
        text = _part(_part(text, separators.repetition, rep), separators.component, comp)
        return self.subcomponent(text, field, sub)

    def _is_plain(self, text: str) -> bool:
        for mark in self.writing.marks:  # noqa: SIM110  # `all` of a generator costs three times as much
            if mark in text:
                return False
        return True

    def texts(self, fields: Fields) -> Sequence[str]:
        """The first value of several fields, each as `text` gives it, at a third of the cost."""
        own = self._fields or self._split()
        sent: Sequence[str] = fields.of(own if len(own) > fields.last else own + _ABSENT)
        if not self._plain and any(sent):
            return [self.text(field) if text else "" for field, text in zip(fields.numbers, sent, strict=True)]
        component = self.writing.separators.component
        if component not in "".join(sent):
            return sent
        return [text.partition(component)[0] if component in text else text for text in sent]

    def components(self, repetition: str, field: int) -> list[str]:
        """The components of one of the `repetitions` of a field, each as `text` gives it; at most thirty-two."""
        parts = repetition.split(self.writing.separators.component, _COMPONENTS)
        if len(parts) > _COMPONENTS:
            parts.pop()  # all the others in one
        if self._plain:
            return parts
        separators = self.writing.separators
        if separators.escape in repetition or NULL in repetition:
            return [self.subcomponent(part, field) for part in parts]
        if separators.subcomponent in repetition:
            return [part.partition(separators.subcomponent)[0] for part in parts]
        return parts

    def subcomponent(self, component: str, field: int, sub: int = 1) -> str:
        """One subcomponent of a component as sent, as `text` gives it."""
        if not component or self._is_plain(component):
            return component if sub == 1 else ""
        separators = self.writing.separators
        text = _part(component, separators.subcomponent, sub)
        if text == NULL:
            return ""
        return self.writing.plain(text, self.name, field) if separators.escape in text else text


#: MSH: sending application and facility, time, message type, control id, processing id, version.
_HEADER: Final = Fields(3, 4, 7, 9, 10, 11, 12)
#: In place of a segment that is not there: all its values are "".
ABSENT: Final = Segment("", Writing(STANDARD, "ascii"), "")


class Document:
    """A message that can be read: its segments in order, how it was written, what was odd about it."""

    def __init__(
        self,
        data: bytes,
        separators: Separators,
        charset: str,
        text: str,
        lines: list[str],
        *,
        header: list[str] | None = None,
    ) -> None:
        self.data, self.separators, self.charset = data, separators, charset
        self.writing = writing = Writing(separators, charset, text)
        self.warnings = writing.warnings
        self.any_null = NULL in writing.marks  # whether some field may say `""`: else none need be asked
        self.segments: list[Segment] = []
        self.firsts: dict[str, Segment] = {}  # the first segment of each name
        for line in lines:
            name = line[:3]
            segment = Segment(name, writing, line)
            self.segments.append(segment)
            if name not in self.firsts:
                self.firsts[name] = segment
        self.header = self.segments[0]  # MSH: always the first
        if header is not None:
            self.header.take(header)  # they had to be known before the character set
        told = self.header.texts(_HEADER)
        self.application, self.facility, self.sent, self.kind, self.control_id, self.processing, self.version = told
        self._sha256 = ""
        self.trigger = ""  # MSH-9.2, else EVN-1; set by `check_header`

    def __repr__(self) -> str:
        return f"Document({len(self.data)} bytes, {len(self.segments)} segments)"

    @property
    def newline(self) -> Newline:
        """The line end found; of several the most deliberate one, as the published examples name it."""
        body = strip_framing(self.data)
        if b"\r\n" in body:
            return "crlf"
        return "lf" if b"\n" in body and b"\r" not in body else "cr"

    @property
    def sha256(self) -> str:
        """Hex digest of the bytes as received."""
        if not self._sha256:
            self._sha256 = hashlib.sha256(self.data).hexdigest()
        return self._sha256

    def first(self, name: str) -> Segment | None:
        """The first segment of that name."""
        return self.firsts.get(name)

    def all(self, name: str) -> Iterator[Segment]:
        """All segments of that name in order."""
        return (segment for segment in self.segments if segment.name == name)

    def warn(self, path: str, rule: str, problem: str, remedy: str) -> None:
        """`Writing.warn`."""
        self.writing.warn(path, rule, problem, remedy)


def strip_framing(data: bytes) -> bytes:
    """Step 1: without MLLP framing, byte order mark, and line ends or blanks before the first segment."""
    data = data.removeprefix(b"\x0b").removesuffix(b"\x1c\r").removeprefix(_BOM)
    return data.lstrip(b"\r\n ")


def separators_of(body: bytes) -> Separators:
    """Step 5: the delimiters that MSH-1 and MSH-2 declare. Raises `Refused` AR 102."""
    if body[3:9] == _USUAL:
        return STANDARD
    end = len(body)
    for stop in (body[3:4], b"\r", b"\n"):
        if stop and 0 <= (found := body.find(stop, 4)) < end:
            end = found
    return _declared(body[3 : min(end, 16)])


@lru_cache(maxsize=64)
def _declared(declared: bytes) -> Separators:
    usable = all(0x21 <= byte <= 0x7E and not chr(byte).isalnum() for byte in declared)
    if not 5 <= len(declared) <= 6 or not usable or len(set(declared)) != len(declared):
        problem = "MSH-1 and MSH-2 are not 5 or 6 different printable characters"
        raise Refused("AR", "102", problem, "send MSH|^~\\& and use these delimiters", field=2)
    return Separators(*declared.decode("ascii"))


def _lines(text: str, separators: Separators) -> list[str]:
    """Steps 4 and 8: CR, CRLF and LF all end a segment, also mixed; blank lines are dropped; each line has a name."""
    if "\n" in text:
        text = text.replace("\r\n", "\r").replace("\n", "\r")
    sent = text.split("\r")
    if not sent[-1]:
        sent.pop()
    for line in sent:
        if line[:4] not in _KNOWN or separators.field != "|":
            return _judged(sent, separators)
    return sent  # nearly always


def _judged(sent: list[str], separators: Separators) -> list[str]:
    """The same where some line is of a segment that we do not read, blank, or none at all."""
    lines: list[str] = []
    for line in sent:
        if line and not line.isspace():
            if not _NAME.match(line) or line[3:4] not in (separators.field, ""):
                problem = f"line {len(lines) + 1} does not begin with a segment name"
                raise Refused("AR", "100", problem, "send three capital letters or digits and the field separator")
            lines.append(line)
    return lines


def _text(body: bytes, separators: Separators, header: list[str], forced: str | None) -> tuple[str, str, bool]:
    """Step 7: the text by MSH-18, or by the set agreed for the feed, which overrides it (spec 04 §2.2); the set that
    read it; whether it is another one (00 §8.2).
    """
    said = "agreed for this feed" if forced else "declared"
    declared = header[17].partition(separators.repetition)[0].strip() if len(header) > 17 else ""
    try:
        return decode_as(body, forced) if forced else decode(body, "" if declared == NULL else declared)
    except Unsupported:
        raise Refused("AR", "103", "character set not supported", "send UNICODE UTF-8 or 8859/1", field=18) from None
    except Undecodable:
        problem, remedy = f"the bytes are not text of the character set {said}", f"send the character set {said}"
        raise Refused("AE", "102", problem, remedy, field=18) from None


def parse(data: bytes, *, charset: str | None = None) -> Document:
    """Steps 1-8: the message as segments, whatever it is about. `charset`: a codec name forced by the feed.

    Raises `Refused`.
    """
    body = strip_framing(data)
    if body[:3] != b"MSH":
        raise Refused(None, "100", "the message does not begin with MSH", "send one message per block, MSH first")
    if b"\x00" in body or b"\x0b" in body or b"\x1c" in body:
        raise Refused("AR", "102", "a control byte 00, 0B or 1C inside the message", "send text and end marks only")
    separators = separators_of(body)
    if b"\rMSH" in body or b"\nMSH" in body:
        raise Refused("AR", "100", "more than one MSH in one block", "send one message per block")
    line = body.partition(b"\r")[0].partition(b"\n")[0].decode("latin-1")
    header = line.split(separators.field)
    text, used, untrue = _text(body, separators, header, charset)
    lines = separators.without_blanks(_lines(text, separators), text)
    document = Document(data, separators, used, text, lines, header=header if line == lines[0] else None)
    if untrue:
        problem = f"not the character set that is declared; read as {used}"
        document.warn("MSH-18", "charset-lie", problem, "declare the set that is used")
    return document


def check_header(document: Document) -> None:
    """Step 9: an ADT message with type, trigger and control id. Raises `Refused`; sets `document.trigger`.

    The trigger is MSH-9.2, else EVN-1; MSH-9.3 never decides, it is often wrong.
    """
    if not (document.kind and document.control_id):
        empty = 10 if document.kind else 9
        raise Refused("AR", "101", "empty", "send message type and control id", field=empty)
    if document.kind != "ADT":
        raise Refused("AR", "200", "message type not supported", "send ADT messages only", field=9)
    event, header = document.first("EVN"), document.header
    told = event.text(1) if event is not None else ""
    _, *more = header.components(header.repetitions(9)[0], 9)
    document.trigger = (more[0] if more else "") or told
    if not document.trigger:
        raise Refused("AR", "201", "no trigger event", "send it in MSH-9.2", field=9)
    if told and told != document.trigger:
        document.warn("EVN-1", "trigger-differs", "not the trigger of MSH-9.2, which counts", "send the same in both")
    if document.version not in _VERSIONS and not _VERSION.fullmatch(document.version):
        document.warn("MSH-12", "version", "no HL7 version from 2.1 to 2.9", "send the version the message follows")


def read(data: bytes, *, charset: str | None = None) -> Document:
    """An ADT message from the bytes of one block or record; raises `Refused` and nothing else."""
    document = parse(data, charset=charset)
    check_header(document)
    return document
