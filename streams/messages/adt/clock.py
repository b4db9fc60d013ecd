"""Times in an ADT message: how they are written, how exact they must be, which one is the time of the event.

What decides: spec 04 §2.5 (form and precision), §4.2 (which field), spec 01, 7.4 (EVN-2 and MSH-7 are data entry and
sending, never a time of the stay) and 7.7 (local times without offset). A time coarser than minutes counts as absent
and is never padded.
"""

import re
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Final

import msgspec

from streams.words.times import local_time, second_hour

from .feed import FeedProfile
from .groups import Group

__all__ = ["Times", "moment", "times"]

_FORM: Final = re.compile(
    r"(\d{4})(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:\.\d{1,4})?)?)?)?)?)?([+-]\d{4})?", re.ASCII
)


class Times(msgspec.Struct, frozen=True, gc=False):
    """The times of one group, each None when absent, coarse or no time at all."""

    sent: datetime | None  # MSH-7
    recorded: datetime | None  # EVN-2, else MSH-7
    fields: dict[str, datetime]  # "EVN-6", "PV1-44", "PV1-45", "PID-29", where usable
    warnings: tuple[str, ...]
    again: dict[datetime, datetime]  # a time whose local hour comes twice -> its other instant (01, 7.7)

    def first_of(self, places: tuple[str, ...]) -> datetime | None:
        """The first of the named fields that holds a usable time."""
        for place in places:
            if place in self.fields:
                return self.fields[place]
        return None


def moment(
    text: str, feed: FeedProfile, *, not_after: datetime | None = None, not_before: datetime | None = None
) -> datetime | str | None:
    """The instant of an HL7 time, to the second; `coarse-time` or `bad-time`; None when there is no text.

    `not_after` and `not_before` decide an hour that occurs twice (01, 7.7).
    """
    if not text:
        return None
    if (usual := _usual(text)) is not None:
        return usual
    found = _FORM.fullmatch(text.strip())
    if found is None:
        return "bad-time"
    year, month, day, hour, minute, second, offset = found.groups()
    try:
        naive = datetime(int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0))  # noqa: DTZ001  # the zone is found below
        zone = _offset(offset) if offset else None
    except ValueError:
        return "bad-time"
    if minute is None:
        return "coarse-time"
    if not 1 < naive.year < 9999:  # no instant in every zone
        return "bad-time"
    if zone is not None:
        return naive.replace(tzinfo=zone)
    return local_time(naive, not_after=not_after, not_before=not_before, zone=feed.tz)


@lru_cache(maxsize=256)  # MSH-7 often is EVN-2, and EVN-6 is PV1-44
def _usual(text: str) -> datetime | None:
    """The form nearly every time has, whole seconds with offset, read in one step (0.7 µs; the general form takes 2.5).

    None leaves the text to the general form, with every refusal. `fromisoformat` knows more forms than HL7: week dates,
    blanks, colons. So the digits are looked at first.
    """
    if len(text) != 19 or text[14] not in "+-" or not (text.isascii() and text[:14].isdigit() and text[15:].isdigit()):
        return None
    try:
        at = datetime.fromisoformat(f"{text[:8]}T{text[8:]}")
    except ValueError:
        return None
    return at if 1 < at.year < 9999 else None


@lru_cache(maxsize=64)
def _offset(text: str) -> timezone:
    hours, minutes = int(text[1:3]), int(text[3:5])
    if hours > 23 or minutes > 59:
        raise ValueError(text)
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if text[0] == "-" else offset)


class _Clock:
    """Reads times and collects what is odd about them."""

    def __init__(self, group: Group, feed: FeedProfile) -> None:
        self._group, self._feed = group, feed
        self.warnings: list[str] = []

    def read(
        self, name: str, field: int, *, not_after: datetime | None = None, not_before: datetime | None = None
    ) -> datetime | None:
        text = self._group.text(name, field)
        if not text:
            return None
        found = moment(text, self._feed, not_after=not_after, not_before=not_before)
        if isinstance(found, str):
            problem = "no minutes: taken as absent" if found == "coarse-time" else "no time: taken as absent"
            self._group.document.warn(f"{name}-{field}", found, problem, "send YYYYMMDDHHMMSS+ZZZZ")
            self.warnings.append(found)
            return None
        return found


_PLACES: Final = ("MSH-7", "EVN-2", "EVN-6", "PV1-44", "PV1-45", "PID-29")


def times(group: Group, feed: FeedProfile) -> Times:
    """All times of a group."""
    *_, start, end = group.attended
    entered, occurred = group.recorded
    texts = (group.document.sent, entered, occurred, start, end, group.dying[0])
    fields: dict[str, datetime] = {}
    for place, text in zip(_PLACES, texts, strict=True):
        if text:
            at = _usual(text)
            if at is None:
                return _judged(group, feed)
            fields[place] = at
    sent = fields.pop("MSH-7", None)
    recorded = fields.get("EVN-2", sent) if feed.evn2_is_event_time else fields.pop("EVN-2", sent)
    return Times(sent, recorded, fields, (), {})


def _judged(group: Group, feed: FeedProfile) -> Times:
    """The same where some time is not of the usual form; a doubtful local hour is judged by its recording time and by
    PV1-44 (01, 7.7).
    """
    clock = _Clock(group, feed)
    sent = clock.read("MSH", 7)
    entered = clock.read("EVN", 2, not_after=sent)
    recorded = entered or sent
    start = clock.read("PV1", 44, not_after=recorded)
    fields = {
        "EVN-6": clock.read("EVN", 6, not_after=recorded, not_before=start),
        "PV1-44": start,
        "PV1-45": clock.read("PV1", 45, not_after=recorded, not_before=start),
        "PID-29": clock.read("PID", 29, not_after=recorded, not_before=start),
    }
    if feed.evn2_is_event_time:
        fields["EVN-2"] = entered
    found = {place: at for place, at in fields.items() if at is not None}
    again: dict[datetime, datetime] = {}
    for place, at in found.items():
        if type(at.tzinfo) is not timezone:  # it came without offset
            found[place] = _instant(at)
            if (other := second_hour(at)) is not None:
                again[found[place]] = _instant(other)
    warnings = tuple(dict.fromkeys(clock.warnings)) if clock.warnings else ()
    return Times(_fixed(sent), _fixed(recorded), found, warnings, again)


def _instant(at: datetime) -> datetime:
    """With the offset of that moment in place of the zone: in one zone Python compares wall clocks, not instants."""
    if type(at.tzinfo) is timezone:
        return at  # it came with its offset
    return at.replace(tzinfo=timezone(at.utcoffset() or timedelta()), fold=0)


def _fixed(at: datetime | None) -> datetime | None:
    return None if at is None else _instant(at)
