"""Where: PV1-3 and PV1-6 looked up in the location register (spec 04 §8.2).

The facility is PV1-3.4, else EVN-7, else MSH-4. A facility that the register does not know stops the event; a ward
that it does not know is shown as the facility. The look-up from ward to department to facility is the register's.
"""

from collections.abc import Callable
from datetime import datetime

import msgspec

from streams.formats.hl7v2 import Segment
from streams.words.errors import Rejected
from streams.words.model import Unit

from .feed import FeedProfile
from .groups import Group

__all__ = ["Locate", "Location", "location"]

#: (feed key, facility key, ward key, at) -> the most exact unit known; None when the facility is unknown.
Locate = Callable[[str, str, str, datetime | None], Unit | None]


class Location(msgspec.Struct, frozen=True, gc=False):
    """Present and prior unit, and what was odd."""

    unit: Unit | None = None
    prior: Unit | None = None
    warnings: tuple[str, ...] = ()


def _place(pv1: Segment, field: int) -> tuple[str, str]:
    """Ward and facility of a person location: its first and fourth component."""
    text = pv1.raw(field)
    if not text:
        return "", ""
    parts = pv1.components(text.partition(pv1.writing.separators.repetition)[0], field)
    return parts[0], parts[3] if len(parts) > 3 else ""


def _unknown_ward(group: Group) -> tuple[str, ...]:
    group.document.warn("PV1-3", "unknown-ward", "ward not in the location register", "add it to the register")
    return ("unknown-ward",)


def location(
    group: Group, feed: FeedProfile, locate: Locate, at: datetime | None, *, needed: bool, strict: bool = True
) -> Location:
    """The units of one event. Without PV1-3 the last known one stands, unless the event needs one (`needed`).

    Raises `Rejected` with rule `unknown-facility`; not when `strict` is off: then an unknown place is no place.
    """
    ward, facility = _place(group.pv1, 3)
    if not (ward or facility or needed):
        return Location()
    facility = facility or group.evn.text(7) or group.document.facility
    unit = locate(feed.key, facility, ward, at)
    if unit is None and not strict:
        return Location()
    if unit is None:
        problem = "the facility is not in the location register of this feed"
        raise Rejected("PV1-3.4", problem, "add it to the register, or send another facility", "unknown-facility")
    prior = None
    prior_ward, prior_facility = _place(group.pv1, 6)
    if prior_ward or prior_facility:
        prior = locate(feed.key, prior_facility or facility, prior_ward, at)
    odd = _unknown_ward(group) if ward and not (unit.department or unit.unit) else ()
    return Location(unit, prior, odd)
