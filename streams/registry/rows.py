"""The rows of the registers, and the files that hold them, each row with the line it stands on.

A row is who is where, who receives what, from when until when (spec 05 §§1, 4, 6; 04 §8.2). Every validity is
half-open, `valid_from` included and `valid_to` excluded, so the cut-over of a municipality is one dated row. Field names
are the names in the files; an unknown one is refused when a file is read. SOR codes and location numbers (GLN) are
decided by spec 05 §3: in a register both must be right; a wrong digit of a SOR code is a warning unless the register is
`strict`.

A register can promise any form of a message that exists (spec 05 §6.3); only a form of `WRITTEN` can be kept, and only
those pass the check. Both follow from the tables of types, formats and envelopes; a test seals a letter for each.

Files are CSV with a header, or TOML. The standard library's TOML reader forgets lines; they are found by a scan for the
lines on which a table or a key begins, outside strings and brackets, so that every finding names its place.

Not here: reading a set (`tables`), judging (`check`), asking (`registers`).
"""

import csv
import io
import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple, TypeAlias

import msgspec

from streams.delivery.distribution import CopyForm
from streams.envelopes.envelope import ENVELOPES
from streams.messages.message_type import FORMATS, MESSAGE_TYPES
from streams.words.codes import ACKNOWLEDGEMENT
from streams.words.errors import Severity
from streams.words.ids import Gln, Kommunekode, Sor, gln_digit, sor_digit
from streams.words.model import Unit
from streams.words.times import COPENHAGEN

KeyPath = tuple[str | int, ...]

_HEADER: Final = re.compile(r"\s*(\[\[?)\s*([^\]]+?)\s*\]")
_KEY: Final = re.compile(r"""\s*((?:"[^"]*"|'[^']*'|[\w-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[\w-]+))*)\s*=""")
_PART: Final = re.compile(r""""([^"]*)"|'([^']*)'|([\w-]+)""")
_TOKEN: Final = re.compile(r'"""|\'\'\'|"(?:\\.|[^"\\])*"|\'[^\']*\'|#.*|[\[{\]}]')


class RegisterFinding(msgspec.Struct, frozen=True):
    """Something wrong in a register file: where (line 0: in the whole of it), what, and what to do about it."""

    file: str
    line: int
    problem: str
    remedy: str
    severity: Severity = "error"

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return " ".join(f"{place}: {self.problem}; {self.remedy}".split())  # a cell may hold line breaks


@dataclass(slots=True)
class Findings:
    """Collects findings: all of them, not the first only.

    `incomplete`: files of which something could not be used. What they lack is no finding about another file.
    """

    all: list[RegisterFinding] = field(default_factory=list)
    incomplete: set[str] = field(default_factory=set)

    def add(self, file: str, line: int, problem: str, remedy: str, severity: Severity = "error") -> None:
        """One more."""
        self.all.append(RegisterFinding(file, line, problem, remedy, severity))

    def add_lost(self, file: str, line: int, problem: str, remedy: str) -> None:
        """One about something that is left out: nothing is concluded from its absence."""
        self.incomplete.add(file)
        self.add(file, line, problem, remedy)


@dataclass(frozen=True, slots=True)
class Sheet:
    """Rows of one table of one file, each with its line (and the lines of its keys where the form has them)."""

    file: str
    rows: tuple[tuple[int, dict[str, object]], ...] = ()
    keys: tuple[dict[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Toml:
    """A TOML file, and the line of every table and key in it by its path: `("policy", "0461", "mode")`."""

    file: str
    content: Mapping[str, Any] = field(default_factory=dict)
    lines: Mapping[KeyPath, int] = field(default_factory=dict)

    def line(self, *path: str | int) -> int:
        """The line of a table or key, else of what it lies in; 0 when there is none."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 0)

    def sheet(self, *path: str, findings: Findings) -> Sheet:
        """The array of tables at `path`, or one table there as its only row; a finding when it is neither."""
        rows: Any = self.content
        for part in path:
            rows = rows.get(part, []) if isinstance(rows, dict) else []
        rows = [rows] if isinstance(rows, dict) else rows
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            name = ".".join(path)
            findings.add_lost(self.file, self.line(*path), f"{name} is no list of tables", f"write [[{name}]]")
            return Sheet(self.file)
        places: list[KeyPath] = [
            (*path, number) if (*path, number) in self.lines else path for number in range(len(rows))
        ]
        keys: dict[KeyPath, dict[str, int]] = {place: {} for place in places}
        for key, at in self.lines.items():
            if key[:-1] in keys:
                keys[key[:-1]][str(key[-1])] = at
        return Sheet(
            self.file,
            tuple((self.line(*place), row) for place, row in zip(places, rows, strict=True)),
            tuple(keys[place] for place in places),
        )


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """The remedy for a word that is not known."""
    near = get_close_matches(word, known, n=1)
    return f"did you mean {near[0]}?" if near else f"use one of {', '.join(known)}"


def _text(path: Path, file: str, form: str, findings: Findings) -> str | None:
    """The text of a file in UTF-8, with or without the mark that spreadsheets put before it."""
    try:
        data = path.read_bytes()
    except OSError as fault:
        findings.add_lost(file, 0, f"cannot be read ({type(fault).__name__})", f"put a {form} file in UTF-8 there")
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = data.count(b"\n", 0, fault.start) + 1
        findings.add_lost(file, line, f"byte {data[fault.start]:02X} is not UTF-8", "save the file as UTF-8")
        return None


def read_csv(path: Path, columns: Sequence[str], needed: Sequence[str], findings: Findings) -> Sheet:
    """A CSV file with these columns; empty cells are left out, so that defaults hold."""
    file = path.name
    text = _text(path, file, "CSV", findings)
    if text is None:
        return Sheet(file)
    rows: list[tuple[int, dict[str, object]]] = []
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        header = reader.fieldnames or ()
        if fault := _header_fault(header, columns, needed):
            findings.add_lost(file, 1, *fault)
            return Sheet(file)
        for row in reader:
            extra: Any = row.pop(None, None)  # csv keeps cells without a column there
            if extra is not None:
                problem = f"{len(header) + len(extra)} cells where the header has {len(header)}"
                findings.add_lost(file, reader.line_num, problem, "put a value with a comma in quotes")
            else:
                rows.append((reader.line_num, {key: value for key, value in row.items() if value}))
    except csv.Error as fault_of_form:
        findings.add_lost(file, reader.line_num, f"not CSV: {fault_of_form}", "mend the quotes of this line")
        return Sheet(file)
    return Sheet(file, tuple(rows))


def _header_fault(header: Sequence[str], columns: Sequence[str], needed: Sequence[str]) -> tuple[str, str] | None:
    """Problem and remedy of a first line that does not name the columns; one, even where there are several."""
    unknown = [name for name in header if name not in columns]
    missing = [name for name in needed if name not in header]
    twice = [name for name, count in Counter(header).items() if count > 1]
    if not (unknown or missing or twice):
        return None
    if len(header) < 2 and any(other in "".join(header) for other in ";\t"):
        return "columns are not separated by commas", "save the file with commas between columns"
    if twice:
        return f"column {twice[0]} stands there twice", "keep one of them"
    if unknown:
        return f"no column {unknown[0]!r}", did_you_mean(unknown[0], columns)
    return f"lacks the column {missing[0]}", f"the columns are {','.join(columns)}"


def read_toml(path: Path, findings: Findings, file: str = "") -> Toml:
    """A TOML file with the lines of its tables and keys; `file` is its name in findings."""
    file = file or path.name
    text = _text(path, file, "TOML", findings)
    if text is None:
        return Toml(file)
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        problem, _, place = str(fault).rpartition(" (at ")
        found = re.match(r"line (\d+)", place)
        line = int(found[1]) if found else text.count("\n") + 1
        findings.add_lost(file, line, f"not TOML: {problem or fault}", "see the form at https://toml.io")
        return Toml(file)
    return Toml(file, content, _lines(text))


def _lines(text: str) -> dict[KeyPath, int]:
    """The line of each table and key by its path; the rows of an array of tables by their number."""
    found: dict[KeyPath, int] = {}
    counts: Counter[KeyPath] = Counter()
    table: KeyPath = ()
    depth, quote = 0, ""
    for number, line in enumerate(text.split("\n"), start=1):
        if not depth and not quote:
            if header := _HEADER.match(line):
                table = _parts(header[2])
                if header[1] == "[[":
                    counts[table] += 1
                    table = (*table, counts[table] - 1)
                found.setdefault(table, number)
            elif key := _KEY.match(line):
                found.setdefault((*table, *_parts(key[1])), number)
        depth, quote = _after(line, depth, quote)
    return found


def _parts(name: str) -> KeyPath:
    """`policy."0461".oioxml` as its three parts."""
    return tuple(found[1] or found[2] or found[3] or "" for found in _PART.finditer(name))


def _after(line: str, depth: int, quote: str) -> tuple[int, str]:
    """Brackets open at the end of the line, and the quotes of a string that goes on."""
    place = 0
    while True:
        if quote:
            end = line.find(quote, place)
            if end < 0:
                return depth, quote
            place, quote = end + len(quote), ""
        found = _TOKEN.search(line, place)
        if found is None:
            return depth, ""
        place = found.end()
        if found[0] in ('"""', "'''"):
            quote = found[0]
        else:
            depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found[0], 0)


#: Formats as registers name them, the preferred first.
FAMILIES: Final = tuple(dict.fromkeys(row.family for row in FORMATS.values()))

if TYPE_CHECKING:  # each word is a row of its table, and no other is taken
    MessageTypeName: TypeAlias = str
    FormatName: TypeAlias = str
    EnvelopeName: TypeAlias = str
    MediaType: TypeAlias = str
    Network: TypeAlias = str
else:
    MessageTypeName = Literal[tuple(MESSAGE_TYPES)]
    FormatName = Literal[FAMILIES]
    EnvelopeName = Literal[tuple(ENVELOPES)]
    MediaType = Literal[tuple(dict.fromkeys(row.media_type for row in FORMATS.values()))]
    Network = Literal[tuple(row.network for row in ENVELOPES.values())]
Environment = Literal["production", "test"]
Text = Annotated[str, msgspec.Meta(min_length=1)]
#: A part of a topic's name: `municipality.<kommunekode>.<system>`; two of these names are topics already.
System = Annotated[str, msgspec.Meta(pattern="^(?!(inbox|receipts)$)[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]

#: The keys that hold a border of validity.
VALIDITY: Final = ("valid_from", "valid_to")
#: Nothing here is older, or planned for longer; times far outside cannot be compared in every zone.
_YEARS: Final = range(1900, 2200)


def instant(value: object, *, text: bool = False) -> datetime:
    """A border of validity: an instant with offset; a bare day is midnight in Copenhagen (spec 05 §1.4).

    `text`: the value is written as text (CSV), else it is a date or a time of TOML. Raises ValueError or TypeError.
    """
    if text and isinstance(value, str):
        value = date.fromisoformat(value) if len(value) == len("2027-01-01") else datetime.fromisoformat(value)
    if not isinstance(value, date):
        raise TypeError(f"{type(value).__name__} where a day or an instant is due")
    if value.year not in _YEARS:
        raise ValueError(f"the year {value.year} lies outside {_YEARS.start} to {_YEARS.stop - 1}")
    if not isinstance(value, datetime):
        return datetime.combine(value, time(), COPENHAGEN)
    if value.tzinfo is None:
        raise ValueError("a time of day without offset")
    return value


class RegisterRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row: valid from `valid_from` until before `valid_to`; None is unbounded."""

    valid_from: datetime | None = None
    valid_to: datetime | None = None

    def valid(self, at: datetime | None) -> bool:
        """Whether the row holds at `at`; without a time every row does."""
        if at is None:
            return True
        return (self.valid_from is None or self.valid_from <= at) and (self.valid_to is None or at < self.valid_to)

    def valid_to_after(self, now: datetime) -> bool:
        """Whether it still holds at some instant after `now`."""
        return self.valid_to is None or self.valid_to > now

    @property
    def begins(self) -> float:
        """When it begins, in seconds since 1970; without a border before everything."""
        return self.valid_from.timestamp() if self.valid_from is not None else float("-inf")

    def overlaps(self, other: "RegisterRow") -> bool:
        """Whether some instant lies in both."""
        pairs = ((self.valid_to, other.valid_from), (other.valid_to, self.valid_from))
        return not any(end is not None and begin is not None and end <= begin for end, begin in pairs)


class MunicipalityRow(RegisterRow, frozen=True, kw_only=True):
    """A municipality and the region it lies in (spec 05 §1.1, §1.4)."""

    kommunekode: Annotated[Kommunekode, msgspec.Meta(pattern="^0[1-8][0-9]{2}$")]  # 05 §1.1
    name: Text
    region_code: Text
    region: Text


class CountRow(RegisterRow, frozen=True, kw_only=True):
    """How many municipalities there are, in all or by region code: what `municipalities.csv` is held against."""

    value: int | dict[str, int]
    source: Text


class LocationRow(RegisterRow, frozen=True, kw_only=True):
    """A hospital (ward empty), department or ward of one feed (spec 04 §8.2)."""

    feed: Text
    facility: Text
    ward: str = ""
    shak: str = ""
    sor: Sor
    gln: Gln
    hospital: Text
    department: str = ""
    unit: str = ""
    region_code: str = ""  # empty: a private hospital, outside the regions
    phone: str = ""  # shown in legacy letters


class AddressRow(RegisterRow, frozen=True, kw_only=True):
    """Where a municipality receives a type of message (spec 05 §6.1)."""

    kommunekode: Kommunekode
    message_type: MessageTypeName
    sor: Sor
    gln: Gln
    unit_name: Text
    network: Network
    environment: Environment | None = None  # None: that of the register set
    shared_endpoint: bool = False  # the GLN serves other municipalities too (4.1.5)
    aliases: tuple[Gln, ...] = ()  # other senders whose receipts count (00 §3.2)
    cvr: Annotated[str, msgspec.Meta(pattern="^([0-9]{8})?$")] = ""  # of the municipality, for Beskedfordeler (02 §7.3)
    content_namespace: Literal["peppol", "sbdh"] = (
        "peppol"  # of what an SBDH holds: the schema and the samples differ (02 §3.3)
    )

    @property
    def receiver(self) -> Unit:
        """The address as the unit that a message names as its receiver."""
        return Unit(sor=self.sor, gln=self.gln, name=self.unit_name)


class ReceiverRow(RegisterRow, frozen=True, kw_only=True):
    """A system behind the municipality's address (spec 05 §6.2)."""

    kommunekode: Kommunekode
    message_type: MessageTypeName
    system: System
    kind: Text  # EOJ, SAPA, other
    type: Literal["A", "B", "C"]
    name: str = ""
    product: str = ""  # as in systems.csv; empty: not known, so is its approval (00 §10.3)
    notices: frozenset[Literal["STAA", "STIN", "STOR", "SLOR", "SLHJ", "MORS"]] = frozenset()  # B, C; empty: all

    copies: CopyForm = "as-sent"  # in which form it gets its copies from the distributor

    def wants(self, label: str) -> bool:
        """Whether messages with this label reach it; RE_ and AN_ follow their type, A gets all."""
        return self.type == "A" or not self.notices or label.rpartition("_")[2] in self.notices


#: Columns of an acceptance that are about letters alone (04 §§12, 13.2).
LETTERS_ONLY: Final = ("send_acute_as_admission", "cancel_on_class_change", "expects_positive_receipt")


class AcceptanceRow(RegisterRow, frozen=True, kw_only=True):
    """A form in which a municipality can receive (spec 05 §6.3)."""

    kommunekode: Kommunekode
    message_type: MessageTypeName
    format: FormatName
    version: Text
    mime: MediaType = ""
    envelope: EnvelopeName
    environment: Environment
    after_gap: bool = False  # on purpose, nothing was accepted before this row
    send_acute_as_admission: bool = False  # `LETTERS_ONLY`
    cancel_on_class_change: bool = False
    expects_positive_receipt: bool | None = None  # None: as the policy has it (00 §7.25)

    @property
    def form(self) -> str:
        """Its row of `FORMATS`."""
        return _FORM_NAMES.get((self.format, self.mime), "fhir-json")

    @property
    def preference(self) -> int:
        """Its place among the formats, 0 is best (§6.4.3)."""
        return FAMILIES.index(self.format)

    @property
    def leaves(self) -> bool:
        """Whether the product puts documents into this envelope, or needs none."""
        return ENVELOPES[self.envelope].sealed or ENVELOPES[self.envelope].bare

    @property
    def network_answers(self) -> bool:
        """Whether a receipt of the envelope is due."""
        return ENVELOPES[self.envelope].answered

    def represents(self, label: str, class_: str) -> bool:
        """Whether the format may have a form for a message with this label, about a stay of this class."""
        return FORMATS[self.form].represents(label, class_, self)

    def positive_receipt(self, default: bool) -> bool:
        """Whether a positive receipt is due: of FHIR always (02, MR1.S)."""
        own = self.expects_positive_receipt
        return self.format == "fhir" or (default if own is None else own)


class SenderAcceptanceRow(RegisterRow, frozen=True, kw_only=True):
    """What the sending side can receive in return: acknowledgements (spec 05 §6.4.5)."""

    message_type: Literal["acknowledgement"]
    format: FormatName
    version: Text
    environment: Environment
    product: str = ""  # the sending system, as in systems.csv


class SystemRow(RegisterRow, frozen=True, kw_only=True):
    """What a product is approved for, and what it is not (00 §10.3); `valid_from` is the day on which that was so."""

    product: Text
    role: Literal["sender", "receiver"]
    message_type: MessageTypeName
    format: FormatName
    version: Text
    approved: Literal["yes", "no"]
    source: Text


class ProfileRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A version of a message in FHIR, and the version whose writer and reader it has: a newer one of the same shape."""

    message_type: MessageTypeName
    version: Text
    like: Text
    source: Text


# ---- numbers -----------------------------------------------------------------------------------------------------

_SOR_LENGTHS: Final = range(11, 19)  # spec 05 §3: at least 11 by profile, 18 possible


def sor_problem(sor: str) -> tuple[str, bool]:
    """What is wrong with a SOR code ("" for nothing), and whether it is only the check digit (spec 05 §3)."""
    if not (sor.isascii() and sor.isdigit() and len(sor) in _SOR_LENGTHS):
        return f"no SOR code: {len(sor)} characters where 11 to 18 digits are due", False
    expected = sor_digit(sor[:-1])
    return ("", False) if sor[-1] == expected else (f"the check digit must be {expected}", True)


def gln_problem(gln: str) -> str:
    """What is wrong with a GLN; "" for nothing."""
    if not (gln.isascii() and gln.isdigit() and len(gln) == 13):
        return f"no GLN: {len(gln)} characters where 13 digits are due"
    expected = gln_digit(gln[:-1])
    return "" if gln[-1] == expected else f"the check digit must be {expected}"


def fictional_sor(number: str) -> str:
    """The SOR code that tests use for a municipality or a hospital unit of four digits (spec 05 §3)."""
    body = f"9990{number}100001600"
    return body + sor_digit(body)


def fictional_gln(number: str) -> str:
    """The GLN that tests use for the same: prefix 29 is for restricted circulation (spec 05 §3)."""
    body = f"29900000{number}"
    return body + gln_digit(body)


# ---- forms -------------------------------------------------------------------------------------------------------


class WrittenForm(NamedTuple):
    """One form of a message, as an acceptance names it."""

    message_type: str
    format: str
    version: str
    mime: str
    envelope: str


_FORM_NAMES: Final = {(row.family, row.media_type): row.name for row in FORMATS.values()}

#: (format, envelope, network) that leave together (05 §6.3): EDIFACT is its own interchange, without an envelope.
EXISTS: Final = frozenset(
    (row.family, envelope.name, network)
    for row in FORMATS.values()
    for envelope in ENVELOPES.values()
    if envelope.bare or not row.interchange
    for network in {envelope.network, *(("vans",) if row.interchange else ())}
)

#: Networks to which messages leave: those of the envelopes that are sealed.
_SPOKEN: Final = frozenset(row.network for row in ENVELOPES.values() if row.sealed)
#: What the lane builds and seals. Of bare documents an interchange alone, over VANS: the product has no network `direct`.
WRITTEN: Final = tuple(
    WrittenForm(message_type.name, row.family, row.version_of(message_type), row.media_type, envelope.name)
    for message_type in MESSAGE_TYPES.values()
    for row in FORMATS.values()
    if row.document and row.version_of(message_type)
    for envelope in ENVELOPES.values()
    if not envelope.families or row.family in envelope.families
    if any((row.family, envelope.name, network) in EXISTS for network in _SPOKEN)
)

#: What comes back and is understood: (message type, format, version), 02 §4.
READ: Final = frozenset({(ACKNOWLEDGEMENT, "fhir", MESSAGE_TYPES[ACKNOWLEDGEMENT].version)})

_WRITTEN: Final = frozenset(WRITTEN)


#: (message type, version) -> the version that it is like.
Profiles = Mapping[tuple[str, str], str]


def is_written(row: AcceptanceRow, profiles: Profiles) -> bool:
    """Whether the product can write what this row promises."""
    like = profiles.get((row.message_type, row.version), row.version) if row.format == "fhir" else row.version
    return (row.message_type, row.format, like, row.mime, row.envelope) in _WRITTEN


def is_read(row: SenderAcceptanceRow, profiles: Profiles) -> bool:
    """Whether the product understands what this row takes in return."""
    like = profiles.get((row.message_type, row.version), row.version) if row.format == "fhir" else row.version
    return (row.message_type, row.format, like) in READ


def newest_first(row: AcceptanceRow) -> tuple[int, ...]:
    """The place of its version among those of its format: the newest is the least."""
    return tuple([-int(number) for number in re.findall(r"[0-9]{1,9}", row.version)])
