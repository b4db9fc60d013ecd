"""The rows of `policy.toml`: waits, resends, retries, memory, each with its source; and what overrides them.

Order, the last one wins: the set's own row, a format's, a municipality's, a municipality's for a format (spec 05 §6.5).
A row without a source is refused: a number that cannot be traced is a number that is never changed.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import msgspec

from streams.stay.state import StayPolicy

from .files import Findings, Toml, did_you_mean
from .rows import RETIRED, VALIDITY, CountRow, ReceiptPolicy, instant

__all__ = ["Policy", "duration", "read_policy"]

_UNITS: Final = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
_DURATION: Final = re.compile(r"([0-9]{1,9})\s*(s|min|h|d)")
_FORMATS: Final = ("fhir", "oioxml", "edifact")
_SECTIONS: Final = ("receipts", "stay", "registers", "municipalities")

_LONGEST: Final = timedelta(days=4000)

#: What each row of [receipts] may be, with its source.
RANGES: Final[Mapping[str, tuple[Any, Any, str]]] = {
    "ack_timeout": (timedelta(minutes=1), timedelta(hours=24), "05 §6.5"),
    "max_resends": (0, 2, "02 R4"),
    "memory": (timedelta(days=30), timedelta(days=400), "02 §5.1"),
    "orphan_recheck": (timedelta(seconds=1), timedelta(hours=1), "02 §5.6"),
    "retry_pauses": (timedelta(seconds=1), timedelta(hours=24), "00 §3.3"),
}
#: Rows that hold for all: a receipt whose message is not known has no municipality and no format.
_FOR_ALL: Final = frozenset({"orphan_recheck"})


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything of `policy.toml`, and the overrides of `subscriptions.toml`."""

    file: str = "policy.toml"
    receipts: Mapping[str, object] = field(default_factory=dict)  # field of ReceiptPolicy -> value
    overrides: Mapping[tuple[str, str], Mapping[str, object]] = field(default_factory=dict)  # (kommunekode, format)
    override_lines: Mapping[str, int] = field(default_factory=dict)  # kommunekode or format -> line
    stay: StayPolicy = field(default_factory=StayPolicy)
    sor_strict: bool = False
    counts: tuple[tuple[int, CountRow], ...] = ()  # (line, row), by date

    def receipt_policy(self, kommunekode: str, format: str) -> ReceiptPolicy:
        """The row for one municipality and format."""
        merged = dict(self.receipts)
        for key in (("", format), (kommunekode, ""), (kommunekode, format)):
            merged |= self.overrides.get(key, {})
        return msgspec.convert(merged, ReceiptPolicy)


def duration(text: str) -> timedelta:
    """`30 s`, `10 min`, `24 h`, `30 d`, of 4000 days at most. Raises ValueError."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise ValueError("not a duration; write 30 s, 10 min, 24 h or 30 d")
    return min(timedelta(seconds=int(found[1]) * _UNITS[found[2]]), _LONGEST)


def read_policy(toml: Toml, own: Toml, findings: Findings) -> Policy:
    """The file and the overrides of `own`; what is wrong becomes a finding and the value is left out."""
    read = _Reader(toml, findings)
    for name in toml.content:
        if name not in _SECTIONS:
            findings.add(toml.file, toml.line(name), f"no section {name}", did_you_mean(name, _SECTIONS))
    receipts = read.section("receipts", ReceiptPolicy)
    stay = read.section("stay", StayPolicy)
    check = read.values("registers", ("sor_check",)).get("sor_check", "warn")
    written = toml.content.get("receipts", {})
    missing = [name for name in ReceiptPolicy.__struct_fields__ if name not in written]
    if missing and toml.content:
        problem = f"[receipts] lacks {', '.join(missing)}"
        findings.add(toml.file, toml.line("receipts"), problem, "add the rows, each with value and source")
    if check not in ("warn", "strict"):
        place = toml.line("registers", "sor_check")
        findings.add(toml.file, place, "sor_check is neither warn nor strict", "write one of them")
    overrides = own.content.get("policy", {})
    overrides = overrides if isinstance(overrides, dict) else {}
    return Policy(
        file=toml.file,
        receipts=receipts,
        overrides=dict(_overrides(overrides, _Reader(own, findings))),
        override_lines={name: own.line("policy", name) for name in overrides},
        stay=StayPolicy(**stay),
        sor_strict=check == "strict",
        counts=tuple(_counts(toml, findings)),
    )


def _counts(toml: Toml, findings: Findings) -> Iterator[tuple[int, CountRow]]:
    """`count` and `regions` of [municipalities]: a row with value and source, or several with validity (00 §10.1)."""
    known = ("count", "regions")
    section = toml.content.get("municipalities", {})
    for name in section if isinstance(section, dict) else ():
        if name not in known:
            place = toml.line("municipalities", name)
            findings.add(toml.file, place, f"[municipalities] no row {name}", did_you_mean(name, known))
            continue
        for line, cells in toml.sheet("municipalities", name, findings=findings).rows:
            try:
                dated = {key: instant(value) if key in VALIDITY else value for key, value in cells.items()}
                row = msgspec.convert(dated, CountRow)
                msgspec.convert(row.value, int if name == "count" else dict[str, int])
            except (msgspec.ValidationError, ValueError, TypeError) as fault:
                remedy = f"write value, source and, where it changes, valid_from and valid_to of {name}"
                findings.add_lost(toml.file, line, f"[municipalities] {name}: {fault}", remedy)
            else:
                yield line, row


def _overrides(table: Mapping[str, object], read: "_Reader") -> Iterator[tuple[tuple[str, str], Mapping[str, object]]]:
    """`[policy.oioxml]`, `[policy."0461"]`, `[policy."0461".oioxml]`."""
    for name, values in table.items():
        if not isinstance(values, dict):
            read.fault("is no table", f'write [policy."{name}"]', "policy", name)
            continue
        plain = {key: value for key, value in values.items() if key not in _FORMATS or name in _FORMATS}
        key = ("", name) if name in _FORMATS else (name, "")
        yield key, read.checked(plain, ReceiptPolicy, "policy", name)
        for wanted in _FORMATS if name not in _FORMATS else ():
            if wanted in values:
                yield (name, wanted), read.checked(values[wanted], ReceiptPolicy, "policy", name, wanted)


@dataclass(frozen=True, slots=True)
class _Reader:
    toml: Toml
    findings: Findings

    def fault(self, problem: str, remedy: str, *path: str) -> None:
        """A finding at a key."""
        table = ".".join(path[:-1])
        self.findings.add_lost(self.toml.file, self.toml.line(*path), f"[{table}] {path[-1]}: {problem}", remedy)

    def retired(self, *path: str) -> None:
        """A warning about a row that steers nothing."""
        problem = f"{path[-1]} has no effect: {RETIRED[path[-1]]}"
        self.findings.add(self.toml.file, self.toml.line(*path), problem, "remove it", "warning")

    def section(self, name: str, form: type[msgspec.Struct]) -> dict[str, Any]:
        return self.checked(self.values(name, form.__struct_fields__), form, name)

    def values(self, section: str, known: tuple[str, ...]) -> dict[str, object]:
        """The values of rows `{ value = …, source = … }`."""
        rows = self.toml.content.get(section, {})
        found = {}
        for name, row in rows.items() if isinstance(rows, dict) else ():
            if name in RETIRED:
                self.retired(section, name)
            elif name not in known:
                self.fault("no such row", did_you_mean(name, known), section, name)
            elif not (isinstance(row, dict) and row.get("source") and "value" in row):
                self.fault("no value with a source", f'write {name} = {{ value = …, source = "…" }}', section, name)
            elif extra := set(row) - {"value", "source"}:
                self.fault(f"no key {min(extra)}", "write value and source only", section, name)
            else:
                found[name] = row["value"]
        return found

    def checked(self, values: object, form: type[msgspec.Struct], *path: str) -> dict[str, Any]:
        """Known names only, durations read, ranges of 05 §6.5 kept."""
        types = {each.name: each.type for each in msgspec.structs.fields(form)}
        found: dict[str, Any] = {}
        for name, value in values.items() if isinstance(values, dict) else ():
            if name in RETIRED:
                self.retired(*path, name)
                continue
            if name not in types:
                self.fault("no such row", did_you_mean(name, tuple(types)), *path, name)
                continue
            if path[0] == "policy" and name in _FOR_ALL:
                self.fault("is the same for all", "set it in policy.toml, [receipts]", *path, name)
                continue
            try:
                found[name] = _typed(name, value, types[name])
            except (msgspec.ValidationError, ValueError) as fault:
                self.fault(str(fault), "correct the value", *path, name)
        return found


def _typed(name: str, value: object, kind: Any) -> object:
    """The value as the field `name` has it, durations read. Raises ValueError beyond its range."""
    typed: Any
    if kind is timedelta:
        typed = duration(msgspec.convert(value, str))
    elif kind == tuple[timedelta, ...]:
        typed = tuple(duration(each) for each in msgspec.convert(value, list[str]))
    else:
        typed = msgspec.convert(value, kind)
    if name in RANGES:
        low, high, source = RANGES[name]
        every = typed if isinstance(typed, tuple) else (typed,)
        if not every or not all(low <= each <= high for each in every):
            raise ValueError(f"must lie between {low} and {high} ({source})")
        if list(every) != sorted(every):
            raise ValueError(f"must not shrink ({source})")
    return typed
