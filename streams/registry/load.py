"""From a folder to registers: read, check everything, refuse or freeze."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from .check import check
from .files import Finding, Findings
from .registers import Registers, freeze
from .tables import EXAMPLE, Tables, read_tables

__all__ = ["EXAMPLE_NAME", "BadRegisters", "inspect_registers", "load"]

#: The name of the set that ships with the product; it must be named on purpose.
EXAMPLE_NAME: Final = "example"


class BadRegisters(Exception):
    """The registers cannot be used; `findings` lists everything that was found, errors and warnings."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        errors = [finding for finding in findings if finding.severity == "error"]
        super().__init__("\n".join([f"{len(errors)} findings in the registers:", *map(str, errors)]))
        self.findings = tuple(findings)


def _read(source: Path | str, now: datetime | None) -> tuple[Tables, tuple[Finding, ...]]:
    folder = EXAMPLE if source == EXAMPLE_NAME else Path(source)
    findings = Findings()
    tables = read_tables(folder, findings)
    check(tables, now or datetime.now(UTC), findings)
    return tables, tuple(findings.all)


def load(source: Path | str, *, now: datetime | None = None) -> Registers:
    """The register set in a folder, or the shipped one by its name `example`.

    `now` is the instant from which on everything must hold; the wall clock when left out. It decides findings only,
    never an answer. Raises `BadRegisters` with every finding.
    """
    tables, findings = _read(source, now)
    if any(finding.severity == "error" for finding in findings):
        raise BadRegisters(findings)
    return freeze(tables, findings)


def inspect_registers(source: Path | str, *, now: datetime | None = None) -> tuple[Finding, ...]:
    """Every finding about a set, errors and warnings, without refusing it: for `config check` and `doctor`."""
    return _read(source, now)[1]
