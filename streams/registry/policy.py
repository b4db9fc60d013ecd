"""The rows of `policy.toml`: waits, resends, retries, memory, each with its source; and what overrides them.

Order, the last word wins: the set's own row, a format's, a municipality's, a municipality's for a format (spec 05 §6.5).
A row without a source is refused: a number nobody can trace is a number nobody dares to change.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import msgspec

from ..stay_state import StayPolicy
from .files import Findings, read_toml
from .rows import ReceiptPolicy

__all__ = ["Policy", "duration", "read_policy"]

_UNITS: Final = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
_DURATION: Final = re.compile(r"(\d+)\s*(s|min|h|d)")
_FORMATS: Final = ("fhir", "oioxml", "edifact")

TIMEOUT_RANGE: Final = (timedelta(minutes=1), timedelta(hours=24))  # spec 05 §6.5
RESEND_RANGE: Final = (0, 2)  # 02 R4


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything of `policy.toml`, and the overrides of `subscriptions.toml`."""

    receipts: Mapping[str, Any] = field(default_factory=dict)  # field of ReceiptPolicy -> value
    overrides: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)  # (kommunekode, format)
    stay: StayPolicy = field(default_factory=StayPolicy)
    sor_strict: bool = False
    municipality_count: int = 0
    region_counts: Mapping[str, int] = field(default_factory=dict)

    def receipt_policy(self, kommunekode: str, format: str) -> ReceiptPolicy:
        """The row for one municipality and format."""
        merged = dict(self.receipts)
        for key in (("", format), (kommunekode, ""), (kommunekode, format)):
            merged |= self.overrides.get(key, {})
        return msgspec.convert(merged, ReceiptPolicy)


def duration(text: str) -> timedelta:
    """`30 s`, `10 min`, `24 h`, `30 d`. Raises ValueError."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise ValueError("not a duration; write 30 s, 10 min, 24 h or 30 d")
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]])


def read_policy(path: Path, overrides: Mapping[str, Any], findings: Findings) -> Policy:
    """The file and the overrides; what is wrong becomes a finding and the value is left out."""
    content, _ = read_toml(path, findings)
    read = _Reader(path.name, findings)
    receipts = read.section(content, "receipts", ReceiptPolicy)
    stay = read.section(content, "stay", StayPolicy)
    counts = read.values(content.get("municipalities", {}), "municipalities")
    check = read.values(content.get("registers", {}), "registers").get("sor_check", "warn")
    missing = [name for name in ReceiptPolicy.__struct_fields__ if name not in receipts]
    if missing and content:
        findings.add(path.name, 0, f"[receipts] lacks {', '.join(missing)}", "add the rows, each with value and source")
    if check not in ("warn", "strict"):
        findings.add(path.name, 0, "sor_check is neither warn nor strict", "write one of them")
    return Policy(
        receipts=receipts,
        overrides=dict(_overrides(overrides, _Reader("subscriptions.toml", findings))),
        stay=_stay(stay, path.name, findings),
        sor_strict=check == "strict",
        municipality_count=counts.get("count", 0),
        region_counts=counts.get("regions", {}),
    )


def _stay(values: Mapping[str, Any], file: str, findings: Findings) -> StayPolicy:
    try:
        return msgspec.convert(values, StayPolicy)
    except msgspec.ValidationError as fault:
        findings.add(file, 0, f"[stay]: {fault}", "see streams/stay_state.py for the values")
        return StayPolicy()


def _overrides(table: Mapping[str, Any], read: "_Reader") -> Iterator[tuple[tuple[str, str], Mapping[str, Any]]]:
    """`[policy.oioxml]`, `[policy."0461"]`, `[policy."0461".oioxml]`."""
    for name, values in table.items():
        plain = {key: value for key, value in values.items() if key not in _FORMATS}
        key = ("", name) if name in _FORMATS else (name, "")
        yield key, read.checked(plain, f'[policy."{name}"]', ReceiptPolicy)
        for wanted in _FORMATS:
            if wanted in values:
                yield (name, wanted), read.checked(values[wanted], f'[policy."{name}".{wanted}]', ReceiptPolicy)


@dataclass(frozen=True, slots=True)
class _Reader:
    file: str
    findings: Findings

    def section(self, content: Mapping[str, Any], name: str, form: type[msgspec.Struct]) -> dict[str, Any]:
        return self.checked(self.values(content.get(name, {}), name), f"[{name}]", form)

    def values(self, rows: Mapping[str, Any], section: str) -> dict[str, Any]:
        """The values of rows `{ value = …, source = … }`."""
        found = {}
        for name, row in rows.items():
            if not (isinstance(row, dict) and row.get("source") and "value" in row):
                remedy = f'write {name} = {{ value = …, source = "…" }}'
                self.findings.add(self.file, 0, f"[{section}] {name} has no value with a source", remedy)
            else:
                found[name] = row["value"]
        return found

    def checked(self, values: Mapping[str, Any], where: str, form: type[msgspec.Struct]) -> dict[str, Any]:
        """Known names only, durations read, ranges of 05 §6.5 kept."""
        types = {each.name: each.type for each in msgspec.structs.fields(form)}
        found: dict[str, Any] = {}
        for name, value in values.items():
            try:
                found[name] = _typed(value, types[name])
                _in_range(name, found[name])
            except KeyError:
                self.findings.add(self.file, 0, f"{where} {name}: no such row", f"known: {', '.join(types)}")
            except (ValueError, TypeError) as fault:
                self.findings.add(self.file, 0, f"{where} {name}: {fault}", "correct the value")
        return found


def _typed(value: Any, kind: Any) -> Any:
    if kind is timedelta:
        return duration(value)
    if kind == tuple[timedelta, ...]:
        return tuple(duration(each) for each in value)
    return msgspec.convert(value, kind)


def _in_range(name: str, value: Any) -> None:
    low_high = {"ack_timeout": TIMEOUT_RANGE, "max_resends": RESEND_RANGE}.get(name)
    if low_high is not None and not low_high[0] <= value <= low_high[1]:
        raise ValueError(f"must lie between {low_high[0]} and {low_high[1]} (05 §6.5)")
