"""Which row of spec 01 §21.1 an event is: its kind read together with class, disposition, death and hospital.

The field rules are those of spec 04: an empty class is the class last known for the stay (§3.1), a death is PID-30 or
the disposition (§4.1), another hospital is told from the location register, else from the last known place (§4.1).

What is done about a cause: `stay/rules.DECISIONS`.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from streams.words.model import EventClass, EventKind, StayEvent

from .rules import ENDINGS, Cause
from .state import Situation, Visit, hospital_of, situation

__all__ = ["cause_of", "class_of", "death_time", "event_time", "is_death"]

#: A patient is somewhere, told or not: a place at another hospital is then a transfer within the visit.
_PRESENT: Final = frozenset({Situation.UNTOLD, Situation.ACUTE, Situation.ADMITTED, Situation.LEAVE, Situation.GONE})
_NOWHERE: Final = frozenset({Situation.NONE, Situation.PLANNED})

#: The class that a trigger means when PV1-2 is empty and none is known for the stay.
_CLASS_OF_TRIGGER: Final[dict[str, EventClass]] = {"A01": "IMP", "A02": "IMP"}


def is_death(event: StayEvent) -> bool:
    """PID-30 = Y, or a disposition that says dead (04 §4.1)."""
    return event.snapshot.dead is True or event.disposition == "death"


def event_time(event: StayEvent) -> datetime | None:
    """Time of a start or end: EVN-6, else PV1-44 or PV1-45; of a change, move or leave: EVN-6 (04 §4.2)."""
    if event.occurred is not None:
        return event.occurred
    if event.kind is EventKind.START:
        return event.snapshot.start_time
    return event.snapshot.end_time if event.kind is EventKind.END else None


def death_time(event: StayEvent) -> datetime | None:
    """Time of death: PID-29 with minutes, else PV1-45, else EVN-6 (04 §4.2)."""
    return event.snapshot.death_time or event.snapshot.end_time or event.occurred


def class_of(visit: Visit, event: StayEvent) -> EventClass:
    """Class of an event, "" when neither the message nor the stay nor the trigger tells one. A06 is to inpatient."""
    if event.trigger == "A06":
        return "IMP"
    if event.class_:
        return event.class_
    stay = visit.stay
    if stay.sent:
        return stay.sent[-1].class_
    known = stay.untold.class_ if stay.untold else ""
    return known or _CLASS_OF_TRIGGER.get(event.trigger, "")


def _elsewhere(visit: Visit, event: StayEvent) -> bool:
    """Whether the event takes the patient to another hospital than the one of the stay."""
    return bool(event.unit and visit.stay.hospital and hospital_of(event.unit) != visit.stay.hospital)


def _from_elsewhere(event: StayEvent) -> bool:
    """Whether a first event names another hospital as the one before."""
    unit, prior = event.unit, event.prior_unit
    return event.transfer is not None or bool(unit and prior and hospital_of(unit) != hospital_of(prior))


def _start(visit: Visit, event: StayEvent) -> Cause:
    class_ = class_of(visit, event)
    if event.planned or class_ in ("OUTPATIENT", ""):
        return Cause.PLAN
    if is_death(event):
        return Cause.DEAD_ON_ARRIVAL
    if situation(visit.stay) in _PRESENT and _elsewhere(visit, event):
        return Cause.ELSEWHERE
    return Cause.ATTEND if class_ == "EMER" else Cause.ADMIT


def _class_change(visit: Visit, event: StayEvent) -> Cause:
    class_ = class_of(visit, event)
    if class_ == "IMP" and situation(visit.stay) in _PRESENT and _elsewhere(visit, event):
        return Cause.ELSEWHERE
    return {"IMP": Cause.TO_INPATIENT, "EMER": Cause.TO_ACUTE}.get(class_, Cause.TO_OUTPATIENT)


def _move(visit: Visit, event: StayEvent) -> Cause:
    if situation(visit.stay) in _NOWHERE:
        planned = event.planned or event.class_ == "OUTPATIENT"
        return Cause.ELSEWHERE if _from_elsewhere(event) and not planned else Cause.WARD
    return Cause.ELSEWHERE if _elsewhere(visit, event) else Cause.WARD


def _move_cancelled(visit: Visit, event: StayEvent) -> Cause:
    """A12 takes back the last A02: when no ward was changed since, that is the one that brought the patient here."""
    arrival = bool(visit.left) and not visit.stay.moves
    return Cause.ELSEWHERE_BACK if arrival or _elsewhere(visit, event) else Cause.WARD_BACK


def _end(visit: Visit, event: StayEvent) -> Cause:
    return Cause.DIED if is_death(event) else ENDINGS[event.disposition]


def _leave(visit: Visit, event: StayEvent) -> Cause:
    return Cause.LEAVE if event.leave_home else Cause.LEAVE_SILENT


_READ: Final[dict[EventKind, Callable[[Visit, StayEvent], Cause]]] = {
    EventKind.START: _start,
    EventKind.CLASS_CHANGE: _class_change,
    EventKind.MOVE: _move,
    EventKind.MOVE_CANCELLED: _move_cancelled,
    EventKind.END: _end,
    EventKind.LEAVE_START: _leave,
}

_FIXED: Final[dict[EventKind, Cause]] = {
    EventKind.UPDATE: Cause.UPDATE,
    EventKind.START_CANCELLED: Cause.UNSTART,
    EventKind.END_CANCELLED: Cause.UNEND,
    EventKind.LEAVE_END: Cause.RETURN,
    EventKind.LEAVE_START_CANCELLED: Cause.UNLEAVE,
    EventKind.LEAVE_END_CANCELLED: Cause.UNRETURN,
    EventKind.DELETED: Cause.DELETE,
    EventKind.PERSON_MERGED: Cause.MERGE,
    EventKind.STAY_MOVED: Cause.MERGE,
    EventKind.PERSON_CHANGED: Cause.PERSON,
    EventKind.PLANNED: Cause.NOTHING,
    EventKind.PLANNED_CANCELLED: Cause.NOTHING,
    EventKind.IRRELEVANT: Cause.NOTHING,
}


def cause_of(visit: Visit, event: StayEvent) -> Cause:
    """The row of 01 §21.1. An event about an attendance that is never notified is nothing while no stay is known."""
    unknown = situation(visit.stay) is Situation.NONE and event.kind is not EventKind.START
    if unknown and event.trigger == "A17":
        return Cause.NOTHING  # a swap of beds is never told (21.1) and announces no START
    if unknown and (event.planned or event.class_ == "OUTPATIENT") and event.kind is not EventKind.CLASS_CHANGE:
        return Cause.NOTHING
    read = _READ.get(event.kind)
    return read(visit, event) if read else _FIXED[event.kind]
