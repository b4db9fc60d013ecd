"""Reading register files, each row with the line it stands on, so that every finding names its place.

Two forms: CSV with a header, and TOML. The standard library's TOML reader forgets lines; they are found again by a
scan for the lines on which a table or a key begins, outside strings and brackets.
"""

import csv
import io
import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import msgspec

from streams.words.errors import Severity

__all__ = ["Findings", "RegisterFinding", "Sheet", "Toml", "did_you_mean", "read_csv", "read_toml"]

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
