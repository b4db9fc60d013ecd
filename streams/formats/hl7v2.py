"""ER7, the text form of HL7 version 2: segments, fields, repetitions, components (spec 04 §2).

`read` does the nine steps of spec 04 §2.1 in their order. They and an unknown sender are the only causes of a
negative acknowledgement; what comes later is ours to sort out. It is lazy: lines are found and named, but a line is
split when a field of it is asked for, and a value is unescaped when it is used. Blanks at the end of a value are taken
off, because they mean nothing (00 §8.1); the bytes are kept unchanged.

Delimiters are what MSH of the message declares, never `|^~\\&` by assumption. Every character set that is read keeps
ASCII where it is, so the delimiters can be found before the set is known. Engines stamp a constant into MSH-18, so
what is declared is often not what is sent: bytes that show another set are read as that one (00 §8.2).

Not here: what the fields mean (`streams/messages/adt`), framing (the gateway), the answer (`hl7v2_ack`); switching
the character set in a line (`\\C..\\`, `\\M..\\`, later repetitions of MSH-18), which is not supported.
"""

import dataclasses
import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Final, Literal

import msgspec

from streams.words.errors import Issue, Rejected

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
_ABSENT: Final = [""] * 64  # fields that a line does not have, up to the last one that is read
_COMPONENTS: Final = 32  # of one field; PID-11 has the most that are read, 22


class MessageRefused(Rejected):
    """A message that is answered negatively: `ack` AR or AE (None: no answer can be formed), `code` of table 0357.

    `segment` and `field` fill ERR-2; the text holds nothing of the content (spec 04 §5.2).
    """

    def __init__(
        self, ack: AckCode | None, code: str, problem: str, remedy: str, *, segment: str = "MSH", field: int = 0
    ) -> None:
        super().__init__(f"{segment}-{field}" if field else segment, problem, remedy, rule=f"hl7-{code}")
        self.ack, self.code, self.segment, self.field = ack, code, segment, field


# ---- delimiters and escape sequences (spec 04 §2.3) ---------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Separators:
    """The five delimiters of MSH-1 and MSH-2, and from 2.7 the truncation character ("" when not declared)."""

    field: str
    component: str
    repetition: str
    escape: str
    subcomponent: str
    truncation: str = ""
    #: A blank at the end of some value of a text; all such blanks of one line, found in linear time.
    blank: re.Pattern[str] = dataclasses.field(init=False, repr=False, compare=False)
    blanks: re.Pattern[str] = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        ends = re.escape(self.field + self.component + self.repetition + self.subcomponent)
        object.__setattr__(self, "blank", re.compile(rf" [{ends}\r\n]"))
        object.__setattr__(self, "blanks", re.compile(rf"(?<! ) ++(?=[{ends}]|\Z)"))

    @property
    def text(self) -> str:
        """As declared, field separator first."""
        return self.field + self.component + self.repetition + self.escape + self.subcomponent + self.truncation

    def marks(self, text: str) -> tuple[str, ...]:
        """Of what makes a value more than components side by side, that which occurs in `text`: mostly little."""
        found: tuple[str, ...] = ()
        for mark in (self.repetition, self.subcomponent, self.escape, NULL):
            if mark in text:
                found += (mark,)
        return found

    def without_blanks(self, lines: list[str], text: str) -> list[str]:
        """The lines of `text` without blanks at the end of any value: they mean nothing (data type ST; 00 §8.1)."""
        if self.blank.search(text) is None and text[-1:] != " ":
            return lines  # nearly always, and known in a quarter of a microsecond
        return [self.blanks.sub("", line) for line in lines]


STANDARD: Final = Separators("|", "^", "~", "\\", "&")

#: Letter -> the delimiter it stands for.
_DELIMITERS: Final[dict[str, Callable[[Separators], str]]] = {
    "F": lambda s: s.field,
    "S": lambda s: s.component,
    "T": lambda s: s.subcomponent,
    "R": lambda s: s.repetition,
    "E": lambda s: s.escape,
    "P": lambda s: s.truncation,
}
#: Formatting commands (HL7 v2.5 §2.7) -> what a value keeps of them.
_FORMATS: Final[dict[str, str]] = {
    "H": "",
    "N": "",
    ".nf": "",
    ".fi": "",
    ".br": "\n",
    ".ce": "\n",
    ".sp": "\n",
}
_SPACES: Final = re.compile(r"\.sp\+?([0-9]{1,3})")
_LINES: Final = 99  # a page; eight characters must not become a thousand
_INDENTS: Final = re.compile(r"\.(?:in|ti|sk)[+-]?[0-9]{0,3}")
_HEX: Final = re.compile(r"X((?:[0-9A-Fa-f]{2})+)")


def unescape(text: str, separators: Separators, charset: str) -> tuple[str, bool]:
    """The value with its escapes resolved, and whether all of them were understood; the others stay as written.

    MSH-1 and MSH-2 are never unescaped.
    """
    if separators.escape not in text:
        return text, True
    first, *pieces = text.split(separators.escape)
    out, understood = [first], True
    for code, after in zip(pieces[::2], pieces[1::2], strict=False):
        meaning = _meaning(code, separators, charset)
        if meaning is None:
            meaning, understood = f"{separators.escape}{code}{separators.escape}", False
        out += (meaning, after)
    if len(pieces) % 2:  # never closed
        out.append(separators.escape + pieces[-1])
        understood = False
    return "".join(out), understood


def _meaning(code: str, separators: Separators, charset: str) -> str | None:
    """What the sequence between two escape characters stands for; None when it is left as written."""
    if (delimiter := _DELIMITERS.get(code)) is not None:
        return delimiter(separators) or None
    if (kept := _FORMATS.get(code)) is not None:
        return kept
    if (lines := _SPACES.fullmatch(code)) is not None:
        return "\n" * min(int(lines[1]), _LINES)
    if _INDENTS.fullmatch(code):
        return " "
    if (digits := _HEX.fullmatch(code)) is not None:
        try:
            return bytes.fromhex(digits[1]).decode(charset)
        except UnicodeDecodeError:
            return None
    return None


# ---- segments and documents ---------------------------------------------------------------------------------------


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
        """Keeps `fields`, the line as it was split, and returns them; MSH-1 is put in its place."""
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
        """Whether the field is `""`: delete the value (spec 04 §2.4)."""
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
        self.any_null = NULL in writing.marks  # whether some field may be `""`: else none need be asked
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
        values = self.header.texts(_HEADER)
        self.application, self.facility, self.sent, self.kind, self.control_id, self.processing, self.version = values
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


# ---- the nine steps of spec 04 §2.1 -------------------------------------------------------------------------------


def read(data: bytes, *, charset: str | None = None) -> Document:
    """An ADT message from the bytes of one block or record; raises `MessageRefused` and nothing else."""
    document = parse(data, charset=charset)
    check_header(document)
    return document


def parse(data: bytes, *, charset: str | None = None) -> Document:
    """Steps 1-8: the message as segments, whatever it is about. `charset`: a codec name forced by the feed.

    Raises `MessageRefused`.
    """
    body = strip_framing(data)
    if body[:3] != b"MSH":
        problem = "the message does not begin with MSH"
        raise MessageRefused(None, "100", problem, "send one message per block, MSH first")
    if b"\x00" in body or b"\x0b" in body or b"\x1c" in body:
        problem = "a control byte 00, 0B or 1C inside the message"
        raise MessageRefused("AR", "102", problem, "send text and end marks only")
    separators = separators_of(body)
    if b"\rMSH" in body or b"\nMSH" in body:
        raise MessageRefused("AR", "100", "more than one MSH in one block", "send one message per block")
    line = body.partition(b"\r")[0].partition(b"\n")[0].decode("latin-1")
    header = line.split(separators.field)
    text, used, untrue = _text(body, separators, header, charset)
    lines = separators.without_blanks(_lines(text, separators), text)
    document = Document(data, separators, used, text, lines, header=header if line == lines[0] else None)
    if untrue:
        problem = f"not the character set that is declared; read as {used}"
        document.warn("MSH-18", "charset-lie", problem, "declare the set that is used")
    return document


def strip_framing(data: bytes) -> bytes:
    """Step 1: without MLLP framing, byte order mark, and line ends or blanks before the first segment."""
    data = data.removeprefix(b"\x0b").removesuffix(b"\x1c\r").removeprefix(_BOM)
    return data.lstrip(b"\r\n ")


def separators_of(body: bytes) -> Separators:
    """Step 5: the delimiters that MSH-1 and MSH-2 declare. Raises `MessageRefused` AR 102."""
    if body[3:9] == _USUAL:
        return STANDARD
    end = len(body)
    for stop in (body[3:4], b"\r", b"\n"):
        if stop and 0 <= (found := body.find(stop, 4)) < end:
            end = found
    return _separators_declared(body[3 : min(end, 16)])


@lru_cache(maxsize=64)
def _separators_declared(declared: bytes) -> Separators:
    usable = all(0x21 <= byte <= 0x7E and not chr(byte).isalnum() for byte in declared)
    if not 5 <= len(declared) <= 6 or not usable or len(set(declared)) != len(declared):
        problem = "MSH-1 and MSH-2 are not 5 or 6 different printable characters"
        raise MessageRefused("AR", "102", problem, "send MSH|^~\\& and use these delimiters", field=2)
    return Separators(*declared.decode("ascii"))


_ASCII: Final = "ascii"
_UTF_8: Final = "utf-8"
_LATIN_1: Final = "iso8859-1"
_LATIN_9: Final = "iso8859-15"
_WINDOWS: Final = "cp1252"  # has no name in table 0211
#: MSH-18, first repetition, by table 0211 -> its codec, "" where none is declared (spec 04 §2.2).
_CHARSETS: Final[dict[str, str]] = {
    "": "",
    "ASCII": _ASCII,
    "ISO IR6": _ASCII,
    "8859/1": _LATIN_1,
    "ISO IR100": _LATIN_1,
    "8859/15": _LATIN_9,
    "UNICODE UTF-8": _UTF_8,
    "UTF-8": _UTF_8,
    "UNICODE": _UTF_8,
    "ISO IR192": _UTF_8,
}
#: Control characters in every set of ISO 8859, letters and quotation marks in Windows-1252.
_WINDOWS_ONLY: Final = re.compile(rb"[\x80-\x9f]")


def _text(body: bytes, separators: Separators, header: list[str], forced: str | None) -> tuple[str, str, bool]:
    """Step 7: the text by MSH-18, or by the codec agreed for the feed, which overrides it (spec 04 §2.2); the codec
    that reads it; whether it is not the one declared (`charset-lie`).

    Bytes above ASCII that are valid UTF-8 are nothing else by chance; 80-9F are text in Windows-1252 alone (00 §8.2).
    """
    codec = forced
    if not codec:
        declared = header[17].partition(separators.repetition)[0].strip() if len(header) > 17 else ""
        codec = _CHARSETS.get("" if declared == NULL else declared)
        if codec is None:
            problem, remedy = "character set not supported", "send UNICODE UTF-8 or 8859/1"
            raise MessageRefused("AR", "103", problem, remedy, field=18)
    if body.isascii():
        return body.decode(_ASCII), codec or _UTF_8, False
    try:
        return body.decode(_UTF_8), _UTF_8, codec not in ("", _UTF_8)
    except UnicodeDecodeError:
        if codec == _UTF_8:
            charset = f"the character set {'agreed for this feed' if forced else 'declared'}"
            problem = f"the bytes are not text of {charset}"
            raise MessageRefused("AE", "102", problem, f"send {charset}", field=18) from None
    latin = _LATIN_9 if codec == _LATIN_9 else _LATIN_1
    if _WINDOWS_ONLY.search(body) is None:
        return body.decode(latin), latin, codec == _ASCII
    try:
        return body.decode(_WINDOWS), _WINDOWS, True
    except UnicodeDecodeError:  # one of the five bytes that it does not have
        return body.decode(latin), latin, True


def _lines(text: str, separators: Separators) -> list[str]:
    """Steps 4 and 8: CR, CRLF and LF all end a segment, also mixed; blank lines are dropped; each line has a name."""
    if "\n" in text:
        text = text.replace("\r\n", "\r").replace("\n", "\r")
    sent = text.split("\r")
    if not sent[-1]:
        sent.pop()
    for line in sent:
        if line[:4] not in _KNOWN or separators.field != "|":
            break
    else:
        return sent  # nearly always: each line is of a segment that is read
    lines: list[str] = []
    for line in sent:
        if line and not line.isspace():
            if not _NAME.match(line) or line[3:4] not in (separators.field, ""):
                problem = f"line {len(lines) + 1} does not begin with a segment name"
                remedy = "send three capital letters or digits and the field separator"
                raise MessageRefused("AR", "100", problem, remedy)
            lines.append(line)
    return lines


def check_header(document: Document) -> None:
    """Step 9: an ADT message with type, trigger and control id. Raises `MessageRefused`; sets `document.trigger`.

    The trigger is MSH-9.2, else EVN-1; MSH-9.3 never decides, it is often wrong.
    """
    if not (document.kind and document.control_id):
        empty = 10 if document.kind else 9
        raise MessageRefused("AR", "101", "empty", "send message type and control id", field=empty)
    if document.kind != "ADT":
        raise MessageRefused("AR", "200", "message type not supported", "send ADT messages only", field=9)
    event, header = document.first("EVN"), document.header
    trigger = event.text(1) if event is not None else ""
    _, *more = header.components(header.repetitions(9)[0], 9)
    document.trigger = (more[0] if more else "") or trigger
    if not document.trigger:
        raise MessageRefused("AR", "201", "no trigger event", "send it in MSH-9.2", field=9)
    if trigger and trigger != document.trigger:
        document.warn("EVN-1", "trigger-differs", "not the trigger of MSH-9.2, which counts", "send the same in both")
    if document.version not in _VERSIONS and not _VERSION.fullmatch(document.version):
        document.warn("MSH-12", "version", "no HL7 version from 2.1 to 2.9", "send the version the message follows")
