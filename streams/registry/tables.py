"""The register files, read: every row as a value with the line it stands on. Not yet judged.

A row that has not the right form becomes a finding here and is left out; whether the rows fit each other is `check`.

Rows of `policy.toml` are waits, resends, retries and memory. They hold in this order, the last one wins: the set's own
row, a format's, a municipality's, a municipality's for a format (spec 05 §6.5). A row without a source is refused: a
number that cannot be traced is a number that is never changed.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import msgspec

from streams.delivery.route import BeskedPolicy, ReceiptPolicy
from streams.messages.adt.feed import FeedProfile
from streams.stay.state import StayPolicy

from .rows import (
    FAMILIES,
    VALIDITY,
    AcceptanceRow,
    AddressRow,
    CountRow,
    Environment,
    Findings,
    LocationRow,
    MunicipalityRow,
    ProfileRow,
    Profiles,
    ReceiverRow,
    SenderAcceptanceRow,
    Sheet,
    SystemRow,
    Toml,
    did_you_mean,
    instant,
    read_csv,
    read_toml,
)

_UNITS: Final = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
_DURATION: Final = re.compile(r"([0-9]{1,9})\s*(s|min|h|d)")
_SECTIONS: Final = ("receipts", "stay", "registers", "municipalities", "beskedkuvert")

_LONGEST: Final = timedelta(days=4000)

#: What each row of [receipts] may be, with its source.
RANGES: Final[Mapping[str, tuple[Any, Any, str]]] = {
    "ack_timeout": (timedelta(minutes=1), timedelta(hours=24), "05 §6.5"),
    "answer_within": (timedelta(seconds=1), timedelta(minutes=25), "02 §7.2 B6"),
    "max_resends": (0, 2, "02 R4"),
    "network_warning": (timedelta(minutes=1), timedelta(hours=24), "05 §6.5"),
    "memory": (timedelta(days=30), timedelta(days=400), "02 §5.1"),
    "orphan_recheck": (timedelta(seconds=1), timedelta(hours=1), "02 §5.6"),
    "report_within": (timedelta(), timedelta(days=30), "own: 01, 16.6 names none"),
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
    besked: BeskedPolicy | None = None
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
    read = _PolicyReader(toml, findings)
    for name in toml.content:
        if name not in _SECTIONS:
            findings.add(toml.file, toml.line(name), f"no section {name}", did_you_mean(name, _SECTIONS))
    receipts = read.section("receipts", ReceiptPolicy)
    stay = read.section("stay", StayPolicy)
    check = read.values("registers", ("sor_check",)).get("sor_check", "warn")
    written = toml.content.get("receipts", {})
    missing = [each.name for each in _fields(ReceiptPolicy) if each.required and each.name not in written]
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
        overrides=dict(_overrides(overrides, _PolicyReader(own, findings))),
        override_lines={name: own.line("policy", name) for name in overrides},
        stay=StayPolicy(**stay),
        besked=_besked(read),
        sor_strict=check == "strict",
        counts=tuple(_counts(toml, findings)),
    )


def _besked(read: "_PolicyReader") -> BeskedPolicy | None:
    """[beskedkuvert]; None when a set has none, or one without the row that every envelope states."""
    rows = read.section("beskedkuvert", BeskedPolicy)
    return BeskedPolicy(**rows) if "person" in rows else None


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


def _overrides(
    table: Mapping[str, object], read: "_PolicyReader"
) -> Iterator[tuple[tuple[str, str], Mapping[str, object]]]:
    """`[policy.oioxml]`, `[policy."0461"]`, `[policy."0461".oioxml]`."""
    for name, values in table.items():
        if not isinstance(values, dict):
            read.fault("is no table", f'write [policy."{name}"]', "policy", name)
            continue
        plain = {key: value for key, value in values.items() if key not in FAMILIES or name in FAMILIES}
        key = ("", name) if name in FAMILIES else (name, "")
        yield key, read.checked(plain, ReceiptPolicy, "policy", name)
        for wanted in FAMILIES if name not in FAMILIES else ():
            if wanted in values:
                yield (name, wanted), read.checked(values[wanted], ReceiptPolicy, "policy", name, wanted)


@dataclass(frozen=True, slots=True)
class _PolicyReader:
    toml: Toml
    findings: Findings

    def fault(self, problem: str, remedy: str, *path: str) -> None:
        """A finding at a key."""
        table = ".".join(path[:-1])
        self.findings.add_lost(self.toml.file, self.toml.line(*path), f"[{table}] {path[-1]}: {problem}", remedy)

    def section(self, name: str, form: type[msgspec.Struct]) -> dict[str, Any]:
        return self.checked(self.values(name, form.__struct_fields__), form, name)

    def values(self, section: str, known: tuple[str, ...]) -> dict[str, object]:
        """The values of rows `{ value = …, source = … }`."""
        rows = self.toml.content.get(section, {})
        found = {}
        for name, row in rows.items() if isinstance(rows, dict) else ():
            if name not in known:
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


#: The folder of this package holds the example set.
EXAMPLE: Final = Path(__file__).parent
#: Stands among the incomplete files when the environment of the set is not known.
ENVIRONMENT: Final = "environment"
#: What a set has of its own; all else may be left to the product.
OWN_FILES: Final = ("subscriptions.toml", "locations.csv", "feeds")
#: Every file that is read, and the folder of feeds.
FILES: Final = (*OWN_FILES, "municipalities.csv", "systems.csv", "profiles.csv", "policy.toml")

_SUBSCRIPTION_KEYS: Final = ("environment", "address", "receiver", "acceptance", "sender", "not_connected", "policy")
_fields: Final = cache(msgspec.structs.fields)

R = TypeVar("R", bound=msgspec.Struct)
R_co = TypeVar("R_co", bound=msgspec.Struct, covariant=True)


@dataclass(frozen=True, slots=True)
class Placed(Generic[R_co]):
    """A row and where it stands; `at(key)` is the line of one of its keys."""

    row: R_co
    file: str
    line: int
    keys: Mapping[str, int] = field(default_factory=dict)

    def at(self, key: str) -> int:
        """The line of a key, else of the row."""
        return self.keys.get(key, self.line)


@dataclass(frozen=True, slots=True)
class Tables:
    """All rows of one register set."""

    environment: Environment
    municipalities: tuple[Placed[MunicipalityRow], ...]
    locations: tuple[Placed[LocationRow], ...]
    addresses: tuple[Placed[AddressRow], ...]
    receivers: tuple[Placed[ReceiverRow], ...]
    acceptances: tuple[Placed[AcceptanceRow], ...]
    senders: tuple[Placed[SenderAcceptanceRow], ...]
    systems: tuple[Placed[SystemRow], ...]
    profiles: tuple[Placed[ProfileRow], ...]
    feeds: tuple[Placed[FeedProfile], ...]
    not_connected: Mapping[str, str]
    not_connected_lines: Mapping[str, int]
    policy: Policy

    @property
    def likes(self) -> Profiles:
        """Each version of a message in FHIR, and the one whose shape it has."""
        return {(each.row.message_type, each.row.version): each.row.like for each in self.profiles}


def read_tables(folder: Path, findings: Findings) -> Tables:
    """Every file of the folder; what is national (municipalities, systems, policy) may be left to the product's own."""
    for path in sorted(folder.iterdir()):
        # A file that nothing reads is a slip of the pen, or of an earlier version.
        if path.suffix in (".csv", ".toml") and path.name not in FILES:
            remedy = f"{did_you_mean(path.name, FILES)}; else remove it"
            findings.add(path.name, 0, "nothing reads this file", remedy, "warning")
    own = read_toml(folder / "subscriptions.toml", findings)
    _known_keys(own, findings)
    environment: Environment = "test" if own.content.get("environment") == "test" else "production"
    excused = own.content.get("not_connected", {})
    excused = excused if isinstance(excused, dict) else {}
    reasons: dict[str, str] = {}  # why a municipality is not connected: each in words
    for code, why in excused.items():
        if isinstance(why, str) and why.strip():
            reasons[code] = why
        else:
            place = own.line("not_connected", code)
            findings.add_lost(own.file, place, f"{code}: no reason", f'write "{code}" = "why"')
    return Tables(
        environment=environment,
        municipalities=_csv(_own_or_shipped(folder, "municipalities.csv"), MunicipalityRow, findings),
        locations=_csv(folder / "locations.csv", LocationRow, findings),
        addresses=_rows(own.sheet("address", findings=findings), AddressRow, findings),
        receivers=_rows(own.sheet("receiver", findings=findings), ReceiverRow, findings),
        acceptances=_rows(own.sheet("acceptance", findings=findings), AcceptanceRow, findings),
        senders=_rows(own.sheet("sender", findings=findings), SenderAcceptanceRow, findings),
        systems=_csv(_own_or_shipped(folder, "systems.csv"), SystemRow, findings),
        profiles=_csv(_own_or_shipped(folder, "profiles.csv"), ProfileRow, findings),
        feeds=_feeds(folder / "feeds", findings),
        not_connected=reasons,
        not_connected_lines={code: own.line("not_connected", code) for code in excused},
        policy=read_policy(read_toml(_own_or_shipped(folder, "policy.toml"), findings), own, findings),
    )


def _own_or_shipped(folder: Path, name: str) -> Path:
    own = folder / name
    return own if own.exists() else EXAMPLE / name


def _known_keys(own: Toml, findings: Findings) -> None:
    for key in own.content:
        if key not in _SUBSCRIPTION_KEYS:
            remedy = did_you_mean(key, _SUBSCRIPTION_KEYS)
            findings.add_lost(own.file, own.line(key, 0) or own.line(key), f"unknown table or key {key}", remedy)
    if own.content.get("environment", "production") not in ("production", "test"):
        problem = "environment is neither production nor test"
        findings.add_lost(own.file, own.line("environment"), problem, 'write environment = "production" or "test"')
        findings.incomplete.add(ENVIRONMENT)
    for key in ("not_connected", "policy"):
        if not isinstance(own.content.get(key, {}), dict):
            findings.add_lost(own.file, own.line(key), f"{key} is no table", f"write [{key}]")


def _csv(path: Path, row: type[R], findings: Findings) -> tuple[Placed[R], ...]:
    fields = _fields(row)
    needed = [each.name for each in fields if each.required]
    sheet = read_csv(path, [each.name for each in fields], needed, findings)
    return _rows(sheet, row, findings, text=True)


def _rows(sheet: Sheet, row: type[R], findings: Findings, *, text: bool = False) -> tuple[Placed[R], ...]:
    """The rows that have the form of `row`; what is wrong in the others becomes a finding per mistake."""
    placed = []
    for number, (line, cells) in enumerate(sheet.rows):
        keys = sheet.keys[number] if number < len(sheet.keys) else {}
        value = _shaped(cells, row, Placed(None, sheet.file, line, keys), findings, text=text)
        if value is not None:
            placed.append(Placed(value, sheet.file, line, keys))
    return tuple(placed)


def _shaped(
    cells: Mapping[str, object], form: type[R], place: "Placed[Any]", findings: Findings, *, text: bool = False
) -> R | None:
    """The row, cell by cell; None when a cell is wrong, missing or not known. `text`: validity is written as text."""
    fields = {each.name: each for each in _fields(form)}
    good: dict[str, Any] = {}
    faults = [(key, f"no key {key}", did_you_mean(key, tuple(fields))) for key in cells if key not in fields]
    meant = {remedy.removeprefix("did you mean ").rstrip("?") for _, _, remedy in faults}
    for key, each in fields.items():
        if key not in cells:
            if each.required and key not in meant:
                faults.append((key, f"lacks {key}", f"write {key}"))
            continue
        try:
            good[key] = instant(cells[key], text=text) if key in VALIDITY else msgspec.convert(cells[key], each.type)
        except (msgspec.ValidationError, ValueError, TypeError) as fault:
            remedy = "correct the value; docs/registers.md has the columns"
            if key in VALIDITY:
                remedy = "write a day as 2027-01-01, or an instant as 2027-01-01T00:00:00+01:00"
            faults.append((key, f"{key}: {fault}", remedy))
    if not faults:
        try:
            return form(**good)
        except ValueError as fault:
            culprit = ""  # the key without which the row would hold
            for key in good:
                with contextlib.suppress(TypeError, ValueError):
                    form(**{other: value for other, value in good.items() if other != key})
                    culprit = key
                    break
            faults.append((culprit, str(fault), "correct the value"))
    for key, problem, remedy in faults:
        findings.add_lost(place.file, place.at(key), problem, remedy)
    return None


def _feeds(folder: Path, findings: Findings) -> tuple[Placed[FeedProfile], ...]:
    feeds = []
    paths = sorted(folder.glob("*.toml"))
    for path in paths:
        toml = read_toml(path, findings, f"feeds/{path.name}")
        if not toml.lines and toml.file in findings.incomplete:
            continue
        keys = {".".join(map(str, place)): line for place, line in toml.lines.items()}
        value = _shaped(toml.content, FeedProfile, Placed(None, toml.file, 1, keys), findings)
        if value is not None:
            feeds.append(Placed(value, toml.file, 1, keys))
    if len(feeds) < len(paths):
        findings.incomplete.add("feeds")
    if not paths:
        findings.add_lost("feeds", 0, "no feed", "describe each sending system in feeds/<name>.toml")
    return tuple(feeds)
