"""Where the stories are played: hospitals and wards of the location register. Pure.

A journey needs an acute ward, two wards to be moved between, another hospital of the region and one of another region.
Every hospital that has an acute ward and two others is the home of one journey; what it lacks it finds elsewhere, its
own feed first.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from streams.registry.rows import LocationRow

from .er7 import Place
from .stories import Where

__all__ = ["Places", "journeys"]

Places = Mapping[Where, Place]

#: How an acute ward is known by its code or its department's name.
_ACUTE_CODES = frozenset({"FAM", "AKUT"})


@dataclass(frozen=True, slots=True)
class _Hospital:
    feed: str
    facility: str
    region: str
    acute: tuple[str, ...]
    wards: tuple[str, ...]

    def place(self, ward: str) -> Place:
        application, _, sender = self.feed.partition("/")
        return Place(application, sender, self.facility, ward)


def journeys(locations: Iterable[LocationRow], at: datetime) -> tuple[Places, ...]:
    """One set of places per hospital that can be a home, of the locations valid at `at`, in register order.

    Raises ValueError when there is none.
    """
    hospitals = _hospitals(row for row in locations if row.valid(at))
    found = tuple(
        _places(home, near, far)
        for home in hospitals
        if home.acute and len(home.wards) >= 2
        for near in [_other(home, hospitals, same_region=True)]
        for far in [_other(home, hospitals, same_region=False)]
        if near is not None and far is not None
    )
    if not found:
        raise ValueError("no hospital with an acute ward, two others, and another hospital in and outside its region")
    return found


def _hospitals(rows: Iterable[LocationRow]) -> list[_Hospital]:
    grouped: dict[tuple[str, str], list[LocationRow]] = {}
    for row in rows:
        grouped.setdefault((row.feed, row.facility), []).append(row)
    hospitals = []
    for (feed, facility), group in grouped.items():
        acute = tuple(row.ward for row in group if row.ward in _ACUTE_CODES)
        wards = tuple(row.ward for row in group if row.ward and row.ward not in _ACUTE_CODES)
        hospitals.append(_Hospital(feed, facility, group[0].region_code, acute, wards))
    return hospitals


def _other(home: _Hospital, hospitals: Sequence[_Hospital], *, same_region: bool) -> _Hospital | None:
    """Another hospital with a ward: for the same region its own feed first, for another region another feed first."""
    others = [
        hospital
        for hospital in hospitals
        if hospital.facility != home.facility and hospital.wards and (hospital.region == home.region) is same_region
    ]
    return min(others, key=lambda hospital: (hospital.feed == home.feed) is not same_region, default=None)


def _places(home: _Hospital, near: _Hospital, far: _Hospital) -> Places:
    return {
        "acute": home.place(home.acute[0]),
        "ward": home.place(home.wards[0]),
        "other-ward": home.place(home.wards[1]),
        "same-region": near.place(near.wards[0]),
        "other-region": far.place(far.wards[0]),
    }
