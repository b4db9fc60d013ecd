"""How a visit's entry in the person's row follows its events: open, ended, void, planned.

This is bookkeeping for the next message (transfers, merges, retention), not the state of the stay: that is decided in
the lane (spec 01 §11), which may refuse an event that is taken note of here.
"""

from datetime import datetime
from typing import Any, Final

import msgspec

from streams.words.model import EventKind, HospitalEvent

from .origin import hospital_of
from .row import KnownVisit, VisitState

__all__ = ["after", "is_never_notified"]

K = EventKind

#: The state an event leaves; kinds without a row leave it as it is.
_STATES: Final[dict[EventKind, VisitState]] = {
    K.START: "open",
    K.CLASS_CHANGE: "open",
    K.END: "ended",
    K.END_CANCELLED: "open",
    K.START_CANCELLED: "void",
    K.DELETED: "void",
}

#: Events that may make a stay of a planned attendance (01, 21.1: A01, A04, A06).
_BEGINNINGS: Final = frozenset({K.START, K.CLASS_CHANGE})


def is_never_notified(event: HospitalEvent, visit: KnownVisit | None) -> bool:
    """Whether the event belongs to a planned outpatient attendance, of which no lane needs to know (01, 11.10)."""
    if visit is not None and visit.state != "planned":
        return False
    if event.class_ in ("IMP", "EMER") or event.kind in _BEGINNINGS:
        return False
    return visit is not None or event.class_ == "OUTPATIENT"


def _end(event: HospitalEvent, state: VisitState, at: datetime) -> dict[str, Any]:
    """End, disposition and arrival of the end; all taken back when the visit is open again."""
    if state != "ended":
        return {"disposition": None, "ended_at": None, "closed_at": None}
    disposition = "death" if event.dead else event.disposition or "home"
    return {"disposition": disposition, "ended_at": event.occurred or event.recorded or at, "closed_at": at}


def _state(event: HospitalEvent, visit: KnownVisit) -> VisitState:
    if event.kind is K.CLASS_CHANGE and event.class_ == "OUTPATIENT":
        return "ended"  # A07: the patient leaves
    if event.dead and event.kind not in (K.START_CANCELLED, K.DELETED, K.END_CANCELLED):
        return "ended"
    if event.kind is K.UPDATE and event.dead is False and visit.disposition == "death":
        return "open"  # death retracted
    state = _STATES.get(event.kind, visit.state)
    return "open" if state == "planned" else state


def after(visit: KnownVisit, event: HospitalEvent, at: datetime) -> KnownVisit:
    """The visit after an event that arrived at `at`."""
    state, unit = _state(event, visit), event.unit
    if state == visit.state and state != "ended" and unit is not None:  # most events
        return msgspec.structs.replace(
            visit,
            last_at=at,
            class_=event.class_ or visit.class_,
            hospital=unit.hospital or unit.sor,
            region_code=unit.region_code,
        )
    changed: dict[str, Any] = {"state": state, "last_at": at, "class_": event.class_ or visit.class_}
    if state != visit.state:
        changed |= _end(event, state, at)
    elif state == "ended" and event.kind in (K.END, K.UPDATE) and event.disposition is not None:
        changed["disposition"] = "death" if event.dead else event.disposition
    if event.unit is not None:
        changed |= {
            "hospital": hospital_of(event),
            "region_code": event.unit.region_code,
        }
    return msgspec.structs.replace(visit, **changed)
