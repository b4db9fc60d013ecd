"""What became of the report of admission that a START asked for (spec 01 §16): asked, arrived, or missing.

A municipality sends the report by itself to the hospital, and the relay sees it when the network gives it a copy
(`letters.raw`). The sources name no deadline (16.6); where one is agreed, a report that has not come by then while the
patient is still there is a case for people.

That a report was asked for is known by the stay. The row keeps one of these only where there is more to know.
"""

from datetime import datetime
from typing import Literal

from streams.stay.state import Visit
from streams.words.ids import EpisodeId, Kommunekode
from streams.words.model import Value

ReportState = Literal["asked", "arrived", "missing"]


class AskedReport(Value, frozen=True, kw_only=True):
    """One report that was asked for. `due`: by the agreement, while it is still waited for."""

    to: Kommunekode
    due: datetime | None = None
    arrived: datetime | None = None
    case: str = ""  # the id of the case about it: it is missing


Reports = dict[EpisodeId, AskedReport]


def report_state(visit: Visit, reports: Reports) -> ReportState | None:
    """Of a stay that asked for one: arrived, however late, before missing. None: none was asked for."""
    known = reports.get(visit.id)
    if known is not None and known.arrived is not None:
        return "arrived"
    if not visit.stay.report:
        return None
    return "missing" if known is not None and known.case else "asked"
