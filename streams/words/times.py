"""Danish time: how an instant is written, and what a local time without offset means.

Encounter times show the offset valid in Denmark at that moment, whole seconds, never `Z` (spec 01, 7.2). A local
time without offset may be missing (spring) or occur twice (autumn): spec 01, 7.7.
"""

from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from zoneinfo import ZoneInfo

COPENHAGEN = ZoneInfo("Europe/Copenhagen")

_ZERO = timedelta()


def danish(at: datetime) -> datetime:
    """The same instant as Danish local time, cut to whole seconds (spec 01, 7.2)."""
    local = at.astimezone(COPENHAGEN)
    return local.replace(microsecond=0) if local.microsecond else local  # `replace` costs more than the conversion


def minute(at: datetime) -> datetime:
    """The same instant as legacy letters have it: Danish local time without offset, cut to the minute."""
    return danish(at).replace(tzinfo=None, fold=0, second=0)


def danish_text(at: datetime) -> str:
    """`YYYY-MM-DDThh:mm:ss+01:00` or `+02:00`, as valid in Denmark at that moment (spec 01, 7.2)."""
    # One in a message stands in three places, a start in every message of its stay: a text kept costs a tenth. With
    # fold=1 a time equals the one of fold=0 in the same zone although it is an hour later, so it is never looked up.
    return _uncached_text(at) if at.fold else _cached_text(at)


def _uncached_text(at: datetime) -> str:
    return at.astimezone(COPENHAGEN).isoformat(timespec="seconds")  # cuts as `danish` does, at half the cost


_cached_text = lru_cache(maxsize=1024)(_uncached_text)


def utc_text(at: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, for headers and ledger rows."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def local_time(
    naive: datetime,
    *,
    not_after: datetime | None = None,
    not_before: datetime | None = None,
    zone: ZoneInfo = COPENHAGEN,
) -> datetime:
    """The instant of a local time without offset (spec 01, 7.7).

    A time inside the spring gap shifts forward one hour. A time that occurs twice in autumn is the earlier one (+02:00)
    unless that puts it before its predecessor (`not_before`), then the later one; and the later one also when the
    earlier would stand after its own recording (`not_after`), which can only be an error of the source.
    """
    early = naive.replace(tzinfo=zone, fold=0)
    late = naive.replace(tzinfo=zone, fold=1)
    if early.utcoffset() == late.utcoffset():
        return early
    if early.utcoffset() < late.utcoffset():  # type: ignore[operator]  # the gap: zone is never None here
        return (naive + timedelta(hours=1)).replace(tzinfo=zone)
    moment = early.timestamp()  # in one zone Python compares wall clocks, not instants
    predecessor_later = not_before is not None and moment < not_before.timestamp()
    return late if predecessor_later or (not_after is not None and moment > not_after.timestamp()) else early


def with_offset(at: datetime) -> datetime:
    """With the offset of that moment in place of the zone: in one zone Python compares wall clocks, not instants."""
    if type(at.tzinfo) is timezone:
        return at  # it came with its offset
    return at.replace(tzinfo=timezone(at.utcoffset() or _ZERO), fold=0)


def second_hour(at: datetime) -> datetime | None:
    """The later instant of a local time that occurs twice and was taken as the earlier one by `local_time`.

    None for every other time. Who knows the predecessor of the event takes it when `at` would stand before that
    (spec 01, 7.7). A time that came with an offset is never doubtful.
    """
    if not isinstance(at.tzinfo, ZoneInfo) or at.fold:
        return None
    late = at.replace(fold=1)
    # In the spring gap the first offset is the smaller one; two different ones in falling order are the autumn night.
    return late if (late.utcoffset() or _ZERO) < (at.utcoffset() or _ZERO) else None
