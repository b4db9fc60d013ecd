"""Reading register files, each row with the line it stands on, so that every finding can say where.

Two forms: CSV with a header, and TOML with arrays of tables. The standard library's TOML reader forgets lines; they
are found again by the order of the `[[table]]` headers, which TOML keeps.
"""

import csv
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from ..errors import Severity

__all__ = ["Finding", "Findings", "Sheet", "read_csv", "read_toml"]

_HEADER = re.compile(r"^\s*\[\[?\s*([^\]]+?)\s*\]\]?")
_KEY = re.compile(r"""^\s*["']?([\w-]+)["']?\s*=""")


class Finding(msgspec.Struct, frozen=True):
    """Something wrong in a register file: where (line 0: in the whole of it), what, and what to do about it."""

    file: str
    line: int
    problem: str
    remedy: str
    severity: Severity = "error"

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.problem}; {self.remedy}"


@dataclass(slots=True)
class Findings:
    """Collects findings: all of them, not the first only. `unread`: a file among them could not be read at all."""

    all: list[Finding] = field(default_factory=list)
    unread: bool = False

    def add(self, file: str, line: int, problem: str, remedy: str, severity: Severity = "error") -> None:
        """One more."""
        self.all.append(Finding(file, line, problem, remedy, severity))

    def add_unread(self, file: str, line: int, problem: str, remedy: str) -> None:
        """One about a file that could not be read: what the others say of it cannot be judged."""
        self.unread = True
        self.add(file, line, problem, remedy)


@dataclass(frozen=True, slots=True)
class Sheet:
    """Rows of one table of one file, each with its line (and the lines of its keys where the form has them)."""

    file: str
    rows: tuple[tuple[int, dict[str, Any]], ...] = ()
    keys: tuple[dict[str, int], ...] = ()

    def line(self, number: int, key: str = "") -> int:
        """The line of a key of row `number`, else of the row itself."""
        own = self.keys[number] if number < len(self.keys) else {}
        return own.get(key, self.rows[number][0])


def read_csv(path: Path, findings: Findings) -> Sheet:
    """A CSV file; empty cells are left out, so that defaults hold."""
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            reader = csv.DictReader(lines)
            rows = tuple(_csv_rows(reader))
    except (OSError, UnicodeDecodeError, csv.Error) as fault:
        findings.add_unread(path.name, 0, f"cannot be read ({type(fault).__name__})", "put a CSV file in UTF-8 there")
        return Sheet(path.name)
    return Sheet(path.name, rows)


def _csv_rows(reader: "csv.DictReader[str]") -> Iterator[tuple[int, dict[str, Any]]]:
    for row in reader:
        # A cell too many stands under None; its column name makes it an unknown field, with a line.
        yield reader.line_num, {str(key): value for key, value in row.items() if value}


def read_toml(path: Path, findings: Findings) -> tuple[dict[str, Any], dict[str, Sheet]]:
    """A TOML file: its content, and its arrays of tables as sheets."""
    try:
        text = path.read_text(encoding="utf-8")
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        line = int(found[1]) if (found := re.search(r"line (\d+)", str(fault))) else 0
        findings.add_unread(path.name, line, "not TOML", "see the form at https://toml.io")
        return {}, {}
    except (OSError, UnicodeDecodeError) as fault:
        findings.add_unread(path.name, 0, f"cannot be read ({type(fault).__name__})", "put a TOML file in UTF-8 there")
        return {}, {}
    lines = _headers(text)
    return content, {
        name: _sheet(path.name, rows, lines.get(name, []))
        for name, rows in content.items()
        if isinstance(rows, list) and all(isinstance(row, dict) for row in rows)
    }


def _sheet(file: str, rows: list[dict[str, Any]], lines: list[tuple[int, dict[str, int]]]) -> Sheet:
    lines = lines + [(0, {})] * (len(rows) - len(lines))  # an inline array of tables has no headers
    return Sheet(file, tuple((lines[n][0], row) for n, row in enumerate(rows)), tuple(keys for _, keys in lines))


def _headers(text: str) -> dict[str, list[tuple[int, dict[str, int]]]]:
    """By table name: line of each header, and the lines of the keys below it."""
    found: dict[str, list[tuple[int, dict[str, int]]]] = {}
    keys: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            keys = {}
            found.setdefault(header[1], []).append((number, keys))
        elif key := _KEY.match(line):
            keys.setdefault(key[1], number)
    return found
