"""Scripted stays, told by the product's own stay rules: what a hospital would send of them, message by message.

A stay is a row of happenings, each with its hours from the beginning. The notices that follow are those of spec 01 §21;
the rules decide them, and a test holds them against the names here.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from streams.stay.fold import StayPolicy, Visit, fold
from streams.words.ids import Ids, Kommunekode
from streams.words.model import EventClass, EventKind, Notification, Patient, Snapshot, StayEvent, Unit

__all__ = ["LONGEST", "STAYS", "Happening", "told"]

_FEED: Final = "STAFET/SELFTEST"
_LAG: Final = timedelta(minutes=1)  # from an event to the message about it


class Happening(NamedTuple):
    """One event of a stay. `start`: what it says of the beginning of the stay, in hours, when that is new."""

    trigger: str
    kind: EventKind
    hours: float
    class_: EventClass = "IMP"
    start: float | None = None
    dead: bool = False


_K = EventKind
_ARRIVED = Happening("A04", _K.START, 0, "EMER")
_ADMITTED = Happening("A01", _K.START, 0)
_CORRECTED = Happening("A08", _K.UPDATE, 1, start=-0.5)

#: By name; in brackets the notices.
STAYS: Final[Mapping[str, tuple[Happening, ...]]] = {
    "STIN": (_ADMITTED,),
    "STAA STIN STOR SLOR SLHJ": (
        _ARRIVED,
        Happening("A06", _K.CLASS_CHANGE, 1),
        Happening("A21", _K.LEAVE_START, 20),
        Happening("A22", _K.LEAVE_END, 30),
        Happening("A03", _K.END, 40),
    ),
    "STAA STIN SLHJ": (_ARRIVED, Happening("A06", _K.CLASS_CHANGE, 1), Happening("A03", _K.END, 40)),
    "STIN RE_STIN AN_STIN": (_ADMITTED, _CORRECTED, Happening("A11", _K.START_CANCELLED, 2)),
    "STIN AN_STIN": (_ADMITTED, Happening("A11", _K.START_CANCELLED, 2)),
    "STIN MORS": (_ADMITTED, Happening("A03", _K.END, 30, dead=True)),
    "MORS": (_ARRIVED._replace(dead=True),),
}

#: From the beginning of a stay until everything about it has been sent.
LONGEST: Final = timedelta(hours=max(each.hours for stay in STAYS.values() for each in stay)) + 2 * _LAG


def told(
    stay: str, patient: Patient, unit: Unit, to: Kommunekode, *, begin: datetime, visit: str, ids: Ids
) -> tuple[Notification, ...]:
    """The notifications of a stay of `STAYS` that begins at `begin`; `visit` is its number, a UUID of version 4."""
    row: Visit | None = None
    notes: list[Notification] = []
    for happening in STAYS[stay]:
        event = _event(happening, patient, unit, to, begin, visit, ids)
        at = begin + timedelta(hours=happening.hours) + _LAG
        folded = fold(row, event, at=at, ids=ids, policy=StayPolicy(), ordinal=len(notes))
        row, notes = folded.visit, [*notes, *folded.notifications]
    return tuple(notes)


def _event(
    happening: Happening, patient: Patient, unit: Unit, to: Kommunekode, begin: datetime, visit: str, ids: Ids
) -> StayEvent:
    occurred = begin + timedelta(hours=happening.hours)
    start = begin if happening.start is None else begin + timedelta(hours=happening.start)
    control = f"{visit}/{happening.trigger}/{happening.hours}"
    episode = ids.episode(_FEED, visit)
    return StayEvent(
        id=ids.event(_FEED, control),
        kind=happening.kind,
        lane=ids.lane(episode),
        visit=episode,
        feed=_FEED,
        control_id=control,
        trigger=happening.trigger,
        visit_number=visit,
        occurred=None if happening.kind in (_K.UPDATE, _K.START_CANCELLED) else occurred,
        patient=patient,
        residence=to,
        class_=happening.class_,
        unit=unit,
        disposition="home" if happening.kind is _K.END and not happening.dead else None,
        snapshot=Snapshot(
            start_time=start if happening.start is not None or happening.kind is _K.START else None,
            class_=happening.class_,
            department=unit.sor,
            dead=True if happening.dead else None,
            death_time=occurred if happening.dead else None,
            disposition="home" if happening.kind is _K.END and not happening.dead else None,
            cpr=patient.cpr,
            residence=to,
        ),
    )
