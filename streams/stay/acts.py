"""What is done about an event that goes forward: start, change of contact type, leave, end, moves between places.

Each action is one word of the table `rules.DECISIONS`. It returns the outcome when that is not plain from the messages,
`DECIDE_AGAIN` when it has changed the situation and the table decides again, or raises `NotificationRefused`.

What is corrected or taken back: `correct`.
"""

from datetime import datetime
from typing import Final

from msgspec.structs import replace

from streams.words.codes import SOR_ENDPOINT, EncounterClass, Family, Notice
from streams.words.model import EpisodeIdentifier, EventClass, Fate, Outcome

from .correct import REPEAT, again, correct, settle_person
from .notify import Draft, NotificationRefused, needed, notify, notify_start, numbered, unit_index
from .rules import Cause, class_of, death_time, event_time, is_death
from .state import MOVES_LIMIT, Pending, Stay, StayState, hospital_of, situation, state

DECIDE_AGAIN: Final = Outcome(fate=Fate.WAITING, reason="decide-again")  # a mark for the table, never an outcome
_TRANSFER: Final = Outcome(fate=Fate.NOT_SUBJECT, reason="transfer")

#: What a leave event makes of the silent leave of a pending stay.
_AWAY: Final = {
    Cause.LEAVE: "out",
    Cause.LEAVE_SILENT: "out",
    Cause.RETURN: "back",
    Cause.UNLEAVE: "",
    Cause.UNRETURN: "out",
}


# ---- starts ------------------------------------------------------------------------------------------------------


def _contact(class_: EventClass) -> EncounterClass:
    """A stay is acute or admitted; what is neither is an admission (10.4)."""
    return "EMER" if class_ == "EMER" else "IMP"


def _begin(draft: Draft, class_: EventClass, time: datetime) -> None:
    """Put a new chain in place of what was, its start pending. Flag by §16, identifiers by §12 and 13.13."""
    event, transfer, origin = draft.event, draft.event.transfer, draft.origin
    same = transfer is not None and transfer.same_region
    episode: tuple[EpisodeIdentifier, ...] = ()
    # 13.13: after a void chain receivers know the old id as entered in error.
    if transfer is not None and same and state(draft.stay) is not StayState.VOID:
        # The referring hospital's identifiers: those of its current chain, same system and value (§12).
        episode = (EpisodeIdentifier(system=SOR_ENDPOINT + transfer.hospital, value=transfer.episode),)
        if origin is not None and origin.stay.episode:
            episode = origin.stay.episode
    hospital = hospital_of(event.unit) if event.unit else draft.stay.hospital
    unit, units = numbered(draft.visit, event.unit) if event.unit else (draft.stay.unit, draft.visit.units)
    pending = Pending(class_=class_, start=time, report=not same, episode=episode)
    draft.visit = replace(draft.visit, units=units, stay=Stay(hospital=hospital, unit=unit, pending=pending))


def _time(draft: Draft) -> datetime:
    return needed(event_time(draft.event))


def refuse(draft: Draft) -> Outcome | None:
    """§11 does not allow it."""
    problem = f"{draft.cause} is not allowed in state {situation(draft.stay)}"
    raise NotificationRefused("not-allowed", problem, "decide by hand: spec 01 §11", "EVN-1")


def start(draft: Draft) -> Outcome | None:
    """A new chain: STIN or STAA."""
    _begin(draft, _contact(class_of(draft.visit, draft.event)), _time(draft))
    return notify_start(draft)


def arrival(draft: Draft) -> Outcome | None:
    """A new chain that begins with MORS: dead on arrival (10.3, 10.4)."""
    time = needed(death_time(draft.event), "PID-29 with minutes")
    class_ = _contact(class_of(draft.visit, draft.event))
    _begin(draft, class_, time)
    if _lacks(draft):
        outcome = notify_start(draft)  # why it cannot be sent
        _end_pending(draft)
        return outcome
    notify(draft, Notice.MORS, time=time, class_=class_, on_arrival=True)
    return None


def plan(draft: Draft) -> Outcome | None:
    """An attendance that is never notified (11.10), remembered so that its later events are nothing either."""
    event = draft.event
    unit = unit_index(draft, event.unit) if event.unit else -1
    hospital = hospital_of(event.unit) if event.unit else ""
    draft.set_stay(Stay(hospital=hospital, unit=unit, pending=Pending(class_=event.class_, planned=True)))
    return None


def _end_pending(draft: Draft) -> None:
    """The stay has ended while its START was pending."""
    pending = draft.stay.pending
    assert pending is not None  # the situation is PENDING or PLANNED
    draft.change(pending=replace(pending, over=True))


def late(draft: Draft) -> Outcome | None:
    """Send the START now if that is possible and decide again; else keep what the event means for the pending stay."""
    missing = notify_start(draft)
    if missing is None:
        return DECIDE_AGAIN
    stay, cause = draft.stay, draft.cause
    pending = stay.pending
    assert pending is not None  # notify_start has left it
    if cause in (Cause.TO_INPATIENT, Cause.TO_ACUTE):
        pending = replace(pending, class_=class_of(draft.visit, draft.event), start=needed(draft.event.occurred))
    if cause in (Cause.DIED, Cause.DEAD_ON_ARRIVAL):
        pending = replace(pending, over=True)
    draft.change(pending=pending, away=_AWAY.get(cause, stay.away))
    return missing


def facts(draft: Draft) -> Outcome | None:
    """An update of a pending stay: take its facts, then send the START if that is possible now."""
    settle_person(draft)
    stay, event, old = draft.stay, draft.event, draft.visit.snapshot
    pending, new = stay.pending, event.snapshot
    assert pending is not None  # the situation is PENDING or PLANNED
    if pending.planned:
        return _planned_update(draft)
    class_ = new.class_ if new.class_ in ("EMER", "IMP") else pending.class_
    moved = old.start_time and new.start_time and abs(new.start_time - old.start_time) >= draft.policy.same_time
    time = needed(new.start_time) if moved else pending.start
    draft.change(pending=replace(pending, class_=class_, start=time))
    if pending.over or (draft.visit.patient is not None and _lacks(draft)):
        return None  # without a municipality the START was reported as unroutable, its updates are not
    missing = notify_start(draft)
    if missing is None:
        return DECIDE_AGAIN if is_death(event) else None
    if is_death(event):
        _end_pending(draft)
    return missing


def _lacks(draft: Draft) -> bool:
    """CPR or municipality of a START is still missing."""
    return draft.visit.patient is None or draft.visit.residence is None


def _planned_update(draft: Draft) -> Outcome | None:
    """A planned attendance stays one, unless an A08 makes it a stay: then as A06 (21.1)."""
    event, old = draft.event, draft.visit.snapshot
    class_ = event.snapshot.class_
    if event.planned or class_ not in ("EMER", "IMP") or class_ == old.class_:
        return None
    changed = event.snapshot.start_time if event.snapshot.start_time != old.start_time else None
    _begin(draft, class_, needed(event.occurred or changed))
    return notify_start(draft)


def over(draft: Draft) -> Outcome | None:
    """A pending stay has ended. If its end brings what was missing, both are notified: it was open until now.

    Without that, or when it goes on at another hospital, the municipality has nothing to learn of it.
    """
    pending = draft.stay.pending
    ended = pending is not None and pending.over
    if draft.cause is Cause.HOME and not ended and not _lacks(draft) and notify_start(draft) is None:
        return DECIDE_AGAIN
    _end_pending(draft)
    return None


# ---- changes of contact type, leave, end ---------------------------------------------------------------------------


def to_inpatient(draft: Draft) -> Outcome | None:
    """Acute ambulant becomes admitted: STIN, no SLHJ between (11.1)."""
    notify(draft, Notice.STIN, time=_time(draft))
    return None


def to_acute(draft: Draft) -> Outcome | None:
    """Admitted becomes acute ambulant: STAA (11.2)."""
    notify(draft, Notice.STAA, time=_time(draft))
    return None


def leave(draft: Draft) -> Outcome | None:
    """Leave to the home: STOR, unless the hospital notifies leaves only where a report was asked for (11.7)."""
    if draft.policy.leave_requires_report and not draft.stay.report:
        return silent(draft)
    notify(draft, Notice.STOR, time=needed(draft.event.occurred))
    draft.change(away="")
    return None


def silent(draft: Draft) -> Outcome | None:
    """A leave without notice (11.6): remembered, so that its return gives none either."""
    draft.change(away="out")
    return None


def back(draft: Draft) -> Outcome | None:
    """Return from leave: SLOR; silent like its leave; or a repeat of the SLOR that stands."""
    stay = draft.stay
    if stay.away == "out":
        draft.change(away="back")
        return None
    if stay.sent[-1].family is Family.SLOR:
        return again(draft)
    notify(draft, Notice.SLOR, time=needed(draft.event.occurred))
    return None


def readmit(draft: Draft) -> Outcome | None:
    """A01 while on leave is a return (21.1), unless it is the very admission once more."""
    time = _time(draft)
    if any(abs(time - s.time) < draft.policy.same_time for s in draft.stay.sent if s.family is Family.STIN):
        return REPEAT
    notify(draft, Notice.SLOR, time=time)
    return None


def end(draft: Draft) -> Outcome | None:
    """Discharge to home or primary sector: SLHJ (11.3); directly from a leave (11.4)."""
    notify(draft, Notice.SLHJ, time=needed(event_time(draft.event)))
    draft.change(gone=None)
    return None


def died(draft: Draft) -> Outcome | None:
    """Death during stay or leave: MORS, directly from a leave (11.5)."""
    notify(draft, Notice.MORS, time=needed(death_time(draft.event), "PID-29 with minutes"))
    draft.change(gone=None)
    return None


def transfer(draft: Draft) -> Outcome | None:
    """The patient goes to another hospital or a hospice: the receiving side notifies (§12)."""
    draft.change(gone=_time(draft))
    return _TRANSFER


# ---- places ----------------------------------------------------------------------------------------------------------


def move(draft: Draft) -> Outcome | None:
    """Another ward of the hospital: later messages show it (§12). Only an explicit correction gives a notice (13.17)."""
    stay, event = draft.stay, draft.event
    if event.unit is None:
        return None
    unit = unit_index(draft, event.unit)
    if event.correction:
        draft.change(unit=unit)
        return correct(draft, None)
    if unit != stay.unit:
        moves = (*stay.moves, stay.unit)[-MOVES_LIMIT:] if stay.unit >= 0 else ()
        draft.change(hospital=hospital_of(event.unit), unit=unit, moves=moves)
    pending = draft.stay.pending
    return notify_start(draft) if pending and not (pending.planned or pending.over or _lacks(draft)) else None


def restore(draft: Draft) -> Outcome | None:
    """The move within the hospital did not happen: the ward before it (21.1, A12)."""
    stay, event = draft.stay, draft.event
    before = stay.moves[-1] if stay.moves else stay.unit
    named = unit_index(draft, event.unit) if event.unit else before
    unit = before if named == stay.unit else named  # some systems repeat the cancelled place in PV1-3
    draft.change(unit=unit, moves=stay.moves[:-1])
    return None


def elsewhere(draft: Draft) -> Outcome | None:
    """The patient arrives at another hospital of the same patient system: its START; the referring side is silent."""
    event, old = draft.event, draft.stay
    if event.unit is None:
        raise NotificationRefused(
            "unknown-facility", "no unit of the location register is known", "send PV1-3", "PV1-3"
        )
    transfer, visit = event.transfer, draft.visit
    # §12, by the register: what intake knows, else the regions of the two hospitals of one patient system.
    region = visit.units[old.unit].region_code if old.unit >= 0 else ""
    same = transfer.same_region if transfer is not None else bool(region) and event.unit.region_code == region
    class_: EventClass = event.class_
    if class_ not in ("EMER", "IMP"):  # the class that a patient brings along (§12, last row)
        class_ = _contact(old.sent[-1].class_ if old.sent else old.pending.class_ if old.pending else "")
    pending = Pending(class_=class_, start=_time(draft), report=not same, episode=old.episode if same else ())
    new = Stay(hospital=hospital_of(event.unit), unit=unit_index(draft, event.unit), pending=pending)
    draft.visit = replace(draft.visit, stay=new, left=(*draft.visit.left, old))
    return notify_start(draft)
