"""The register files, read: every row as a value with the line it stands on. Not yet judged.

A row that has not the right form becomes a finding here and is left out; whether the rows fit each other is `check`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import msgspec

from ..messages.adt.feed import FeedProfile
from ..times import COPENHAGEN
from .files import Findings, Sheet, read_csv, read_toml
from .policy import Policy, read_policy
from .rows import (
    AcceptanceRow,
    AddressRow,
    Environment,
    LocationRow,
    MunicipalityRow,
    ProfileRow,
    ReceiverRow,
    SenderAcceptanceRow,
)

__all__ = ["EXAMPLE", "OWN_FILES", "Placed", "Tables", "read_tables"]

#: The folder of this package holds the example set.
EXAMPLE: Final = Path(__file__).parent
#: What a set has of its own; all else may be left to the product.
OWN_FILES: Final = ("subscriptions.toml", "locations.csv", "feeds")

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
    profiles: tuple[Placed[ProfileRow], ...]
    feeds: tuple[Placed[FeedProfile], ...]
    not_connected: Mapping[str, str]
    policy: Policy


def read_tables(folder: Path, findings: Findings) -> Tables:
    """Every file of the folder; what is national (municipalities, profiles, policy) may be left to the product's own."""
    subscriptions, sheets = read_toml(folder / "subscriptions.toml", findings)
    _known_keys("subscriptions.toml", subscriptions, findings)
    _, profiles = read_toml(_own_or_shipped(folder, "profiles.toml"), findings)
    environment: Environment = "test" if subscriptions.get("environment") == "test" else "production"
    return Tables(
        environment=environment,
        municipalities=_csv(_own_or_shipped(folder, "municipalities.csv"), MunicipalityRow, findings),
        locations=_csv(folder / "locations.csv", LocationRow, findings),
        addresses=_rows(sheets.get("address"), AddressRow, findings),
        receivers=_rows(sheets.get("receiver"), ReceiverRow, findings),
        acceptances=_rows(sheets.get("acceptance"), AcceptanceRow, findings),
        senders=_rows(sheets.get("sender"), SenderAcceptanceRow, findings),
        profiles=_rows(profiles.get("profile"), ProfileRow, findings),
        feeds=_feeds(folder / "feeds", findings),
        not_connected={str(k): str(v) for k, v in subscriptions.get("not_connected", {}).items()},
        policy=read_policy(_own_or_shipped(folder, "policy.toml"), subscriptions.get("policy", {}), findings),
    )


def _own_or_shipped(folder: Path, name: str) -> Path:
    own = folder / name
    return own if own.exists() else EXAMPLE / name


_SUBSCRIPTION_KEYS: Final = ("environment", "address", "receiver", "acceptance", "sender", "not_connected", "policy")


def _known_keys(file: str, content: Mapping[str, Any], findings: Findings) -> None:
    for key in content:
        if key not in _SUBSCRIPTION_KEYS:
            near = get_close_matches(key, _SUBSCRIPTION_KEYS, n=1)
            remedy = f"did you mean {near[0]}?" if near else f"use one of {', '.join(_SUBSCRIPTION_KEYS)}"
            findings.add(file, 0, f"unknown table or key {key}", remedy)
    if content.get("environment", "production") not in ("production", "test"):
        findings.add(
            file, 0, "environment is neither production nor test", 'write environment = "production" or "test"'
        )


def _csv(path: Path, row: type[R], findings: Findings) -> tuple[Placed[R], ...]:
    return _rows(read_csv(path, findings), row, findings, _from_text)


def _rows(
    sheet: Sheet | None, row: type[R], findings: Findings, prepare: Callable[[dict[str, Any]], Any] | None = None
) -> tuple[Placed[R], ...]:
    """The rows that have the form of `row`; the others become findings."""
    placed = []
    for number, (line, cells) in enumerate(sheet.rows if sheet is not None else ()):
        assert sheet is not None
        try:
            value = msgspec.convert(prepare(cells) if prepare else cells, row)
        except (msgspec.ValidationError, ValueError) as fault:
            findings.add(sheet.file, line, f"row not of its form: {fault}", f"keys: {', '.join(row.__struct_fields__)}")
            continue
        placed.append(Placed(value, sheet.file, line, sheet.keys[number] if number < len(sheet.keys) else {}))
    return tuple(placed)


def _from_text(cells: dict[str, Any]) -> dict[str, Any]:
    """Validity as instants; a bare date is midnight in Copenhagen (spec 05 §1.4)."""
    for border in ("valid_from", "valid_to"):
        if border in cells:
            cells = cells | {border: _instant(cells[border])}
    return cells


def _instant(text: str) -> datetime:
    if len(text) == len("2027-01-01"):
        return datetime.combine(date.fromisoformat(text), time(), COPENHAGEN)
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("a time of day without offset")
    return at


def _feeds(folder: Path, findings: Findings) -> tuple[Placed[FeedProfile], ...]:
    feeds = []
    for path in sorted(folder.glob("*.toml")):
        content, _ = read_toml(path, findings)
        if not content:
            continue
        try:
            feeds.append(Placed(msgspec.convert(content, FeedProfile), f"feeds/{path.name}", 1))
        except (msgspec.ValidationError, ValueError, KeyError) as fault:
            findings.add(
                f"feeds/{path.name}", 1, f"not a feed: {fault}", "see streams/messages/adt/feed.py for the keys"
            )
    if not feeds:
        findings.add_unread("feeds", 0, "no feed", "describe each sending system in feeds/<name>.toml")
    return tuple(feeds)
