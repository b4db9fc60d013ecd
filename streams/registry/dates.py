"""The instants at which a check has to look: now, and every date to come on which a row begins or ends."""

from collections.abc import Iterable
from datetime import datetime

from streams.words.times import COPENHAGEN

from .rows import Row
from .tables import Tables

__all__ = ["moments", "since"]


def moments(tables: Tables, now: datetime) -> list[datetime]:
    """`now` and each border of validity after it, in order: between two of them nothing changes."""
    rows: tuple[Iterable[Row], ...] = (
        *([each.row for each in placed] for placed in (tables.municipalities, tables.locations, tables.addresses)),
        *([each.row for each in placed] for placed in (tables.receivers, tables.acceptances, tables.senders)),
        [each.row for each in tables.systems],
        [row for _, row in tables.policy.counts],
    )
    borders = (at for some in rows for row in some for at in (row.valid_from, row.valid_to))
    later = {at.timestamp(): at for at in borders if at is not None and at > now}
    return [now, *(later[key] for key in sorted(later))]


def since(at: datetime, now: datetime) -> str:
    """From which day on a finding is true; nothing when it is true now."""
    return "" if at == now else f" from {at.astimezone(COPENHAGEN):%Y-%m-%d}"
