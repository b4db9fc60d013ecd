"""From a folder to registers: read, check everything, refuse or freeze.

A folder that holds no registers is one finding, and a file that could not be used in full is held against no other: a
missing file is one fault, not one for each municipality that is not in it.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from .check import check
from .files import Finding, Findings
from .registers import Registers, freeze
from .tables import EXAMPLE, OWN_FILES, Tables, read_tables

__all__ = ["EXAMPLE_NAME", "BadRegisters", "inspect_registers", "load"]

#: The name of the set that ships with the product; it must be named on purpose.
EXAMPLE_NAME: Final = "example"


class BadRegisters(Exception):
    """The registers cannot be used; `findings` lists everything that was found, errors and warnings."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        errors = [finding for finding in findings if finding.severity == "error"]
        heading = [f"{len(errors)} findings in the registers:"] if len(errors) > 1 else []
        super().__init__("\n".join([*heading, *map(str, errors)]))
        self.findings = tuple(findings)


def _read(source: Path | str, now: datetime | None) -> tuple[Tables | None, tuple[Finding, ...]]:
    """The tables and the findings; no tables of a folder that is none of registers."""
    folder = EXAMPLE if source == EXAMPLE_NAME else Path(source)
    problem = _no_set(folder)
    if problem:
        remedy = (
            f"name a folder of register files, or {EXAMPLE_NAME} for the shipped set (--registers, STAFET_REGISTERS)"
        )
        return None, (Finding(str(source), 0, problem, remedy),)
    findings = Findings()
    tables = read_tables(folder, findings)
    check(tables, now or datetime.now(UTC), findings)
    return tables, tuple(sorted(findings.all, key=lambda finding: (finding.file, finding.line)))


def _no_set(folder: Path) -> str:
    """Why a folder is no register set at all; empty when it is one."""
    if not folder.exists():
        return "no such folder"
    if not folder.is_dir():
        return "not a folder"
    return "" if any((folder / name).exists() for name in OWN_FILES) else "a folder without register files"


def load(source: Path | str, *, now: datetime | None = None) -> Registers:
    """The register set in a folder, or the shipped one by its name `example`.

    `now` is the instant from which on everything must hold; the wall clock when left out. It decides findings only,
    never an answer. Raises `BadRegisters` with every finding.
    """
    tables, findings = _read(source, now)
    if tables is None or any(finding.severity == "error" for finding in findings):
        raise BadRegisters(findings)
    return freeze(tables, findings)


def inspect_registers(source: Path | str, *, now: datetime | None = None) -> tuple[Finding, ...]:
    """Every finding about a set, errors and warnings, without refusing it: for `config check` and `doctor`."""
    return _read(source, now)[1]
