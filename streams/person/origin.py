"""Where a start comes from: the stay at another hospital that it continues (00 §2.2; spec 01 §12).

A person has one body: a START at another hospital while a stay is open, or within 24 hours after a discharge to a
hospital or hospice, is an arrival by transfer. Within the region the receiving hospital uses the referring hospital's
episode of care, so the stay stays in its lane; between regions it is a new stay that only knows where it came from.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from streams.words.model import Disposition, HospitalEvent, Transfer

from .row import KnownVisit, PersonRow

__all__ = ["RegionAt", "hospital_of", "origin_of", "transfer_from"]

#: How long after a discharge the arrival may be registered (00 §2.2).
ARRIVES_WITHIN: Final = timedelta(hours=24)

#: Discharges after which another hospital announces the arrival (spec 01 §12: hospital, hospice).
_MOVED: Final[frozenset[Disposition | None]] = frozenset({"transfer-hospital", "hospice"})

#: (SOR of a hospital, at) -> its region code on that day (spec 05 §1.4); None when it belongs to none.
RegionAt = Callable[[str, datetime], str | None]


def hospital_of(event: HospitalEvent) -> str:
    """SOR of the hospital an event speaks of; "" when the message does not say where."""
    return "" if event.unit is None else event.unit.hospital or event.unit.sor


def _may_be_origin(visit: KnownVisit, event: HospitalEvent) -> bool:
    if not visit.hospital or visit.hospital == hospital_of(event):
        return False
    if visit.state == "open":
        return True
    if visit.state != "ended" or visit.disposition not in _MOVED or visit.ended_at is None:
        return False
    return event.occurred is not None and event.occurred - visit.ended_at <= ARRIVES_WITHIN


def origin_of(row: PersonRow, event: HospitalEvent) -> KnownVisit | None:
    """The stay that this start continues; of several the one last heard of."""
    if not row.visits:
        return None  # most starts
    own = row.visit(event.feed, event.visit)
    candidates = [visit for visit in row.visits if visit != own and _may_be_origin(visit, event)]
    return max(candidates, key=lambda visit: visit.last_at, default=None)


def transfer_from(origin: KnownVisit, event: HospitalEvent, region_at: RegionAt | None) -> Transfer:
    """The transfer, with both hospitals' regions as of the arrival (spec 05 §1.4)."""
    theirs = origin.region_code
    if region_at is not None and event.occurred is not None:
        theirs = region_at(origin.hospital, event.occurred) or theirs
    ours = event.unit.region_code if event.unit is not None else ""
    return Transfer(
        visit=origin.local,
        episode=origin.episode,
        hospital=origin.hospital,
        same_region=bool(ours) and ours == theirs,  # a hospital outside the regions: never
    )
