"""The register files, read: every row as a value with the line it stands on. Not yet judged.

A row that has not the right form becomes a finding here and is left out; whether the rows fit each other is `check`.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import msgspec

from streams.messages.adt.feed import FeedProfile

from .files import Findings, Sheet, Toml, did_you_mean, read_csv, read_toml
from .policy import Policy, read_policy
from .rows import (
    RETIRED,
    VALIDITY,
    AcceptanceRow,
    AddressRow,
    Environment,
    LocationRow,
    MunicipalityRow,
    ReceiverRow,
    SenderAcceptanceRow,
    SystemRow,
    instant,
)

__all__ = ["ENVIRONMENT", "EXAMPLE", "FILES", "OWN_FILES", "Placed", "Tables", "read_tables"]

#: The folder of this package holds the example set.
EXAMPLE: Final = Path(__file__).parent
#: Stands among the incomplete files when the environment of the set is not known.
ENVIRONMENT: Final = "environment"
#: What a set has of its own; all else may be left to the product.
OWN_FILES: Final = ("subscriptions.toml", "locations.csv", "feeds")
#: Every file that is read, and the folder of feeds.
FILES: Final = (*OWN_FILES, "municipalities.csv", "systems.csv", "policy.toml")

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
    feeds: tuple[Placed[FeedProfile], ...]
    not_connected: Mapping[str, str]
    not_connected_lines: Mapping[str, int]
    policy: Policy


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
    for key in cells.keys() & RETIRED.keys() - fields.keys():
        findings.add(place.file, place.at(key), f"{key} has no effect: {RETIRED[key]}", "remove it", "warning")
    cells = {key: value for key, value in cells.items() if key in fields or key not in RETIRED}
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
            faults.append((_culprit(good, form), str(fault), "correct the value"))
    for key, problem, remedy in faults:
        findings.add_lost(place.file, place.at(key), problem, remedy)
    return None


def _culprit(cells: Mapping[str, object], form: type[msgspec.Struct]) -> str:
    """The key without which the row would hold; "" when there is none."""
    for key in cells:
        with contextlib.suppress(TypeError, ValueError):
            form(**{other: value for other, value in cells.items() if other != key})
            return key
    return ""


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
