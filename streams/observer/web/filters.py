"""The filter of a list as it stands in an address, both ways: a number that links to a list and the list are one filter."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from streams.observer.model.queries import ShipmentFilter
from streams.words.times import danish, local_time


class BadField(Exception):
    """A field of an address that cannot be read: which, what it held, and what to send instead."""

    def __init__(self, field: str, value: str, remedy: str) -> None:
        super().__init__(f"{field}: {value} cannot be read. {remedy}")
        self.field, self.value, self.remedy = field, value[:40], remedy


#: Field of `ShipmentFilter` -> its name in an address (acceptance).
_NAMES: Final = {
    "q": "q",
    "kommune": "kommune",
    "hospital": "hospital",
    "notice": "notice",
    "format": "format",
    "case": "sag",
}


def asked(query: QueryParams) -> ShipmentFilter:
    """The filter of an address. Raises `BadField`."""
    return ShipmentFilter(
        **{field: query.get(name, "").strip()[:200] for field, name in _NAMES.items()},
        status=tuple(dict.fromkeys(word for word in query.getlist("status") if word)),
        since=moment("fra", query.get("fra", "")),
        until=moment("til", query.get("til", "")),
        attempts=_number("forsoeg", query.get("forsoeg", "")),
        older_than=_minutes(query.get("uden_kvittering", "")),
    )


def address(filter: ShipmentFilter) -> str:
    """The list of a filter; keyed hashes of persons and stays never stand in an address."""
    query: list[tuple[str, str]] = [(name, str(getattr(filter, field))) for field, name in _NAMES.items()]
    query += [("status", word) for word in filter.status]
    query += [(name, _utc(at)) for name, at in (("fra", filter.since), ("til", filter.until)) if at is not None]
    query += [("forsoeg", str(filter.attempts or ""))]
    query += [("uden_kvittering", str(filter.older_than // timedelta(minutes=1)) if filter.older_than else "")]
    return "/forsendelser" + ("?" + urlencode(kept) if (kept := [pair for pair in query if pair[1]]) else "")


def moment(field: str, text: str) -> datetime | None:
    """An instant with its offset, or a Danish local time. Raises `BadField`."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text.replace(" ", "+"))
        return (at if at.tzinfo is not None else local_time(at)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadField(field, text, "2026-03-02T21:00 · 2026-03-02T20:00:00Z") from None


def local(at: datetime | None) -> str:
    """The instant as a field of a form has it: Danish local time to the minute."""
    return "" if at is None else f"{danish(at):%Y-%m-%dT%H:%M}"


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _number(field: str, text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 7):
        raise BadField(field, text, "0, 1, 2 …")
    return int(text)


def _minutes(text: str) -> timedelta | None:
    number = _number("uden_kvittering", text)
    return timedelta(minutes=number) if number else None


def harmless(cell: str) -> str:
    """A cell of a CSV file that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell


def table(names: Sequence[str], rows: Sequence[Mapping[str, object]]) -> list[list[str]]:
    """Rows of cells, each harmless."""
    return [[harmless("" if row[name] is None else str(row[name])) for name in names] for row in rows]
