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
from .tables import EXAMPLE, FILES, OWN_FILES, Tables, read_tables

__all__ = ["EXAMPLE_NAME", "BadRegisters", "copy_example", "inspect_registers", "load"]

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


def copy_example(folder: Path) -> tuple[Path, ...]:
    """The example set as files of one's own, in a folder that is empty or made here; what was written.

    Raises `BadRegisters` when something lies there, and OSError when it cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise BadRegisters([Finding(str(folder), 0, "not a folder", "name an empty folder, or one that is not there")])
    if folder.is_dir() and any(folder.iterdir()):
        raise BadRegisters(
            [Finding(str(folder), 0, "the folder is not empty", "name an empty one; nothing was written")]
        )
    copied = []
    for name in FILES:
        for path in sorted((EXAMPLE / name).glob("*.toml")) if name == "feeds" else [EXAMPLE / name]:
            target = folder / path.relative_to(EXAMPLE)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
            copied.append(target)
    return tuple(copied)
