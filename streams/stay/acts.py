"""What is done about an event that goes forward: start, change of contact type, leave, end, moves between places.

Each action is one word of the table `stay/rules.DECISIONS`. It returns the outcome when that is not plain from the
messages, `ANEW` when it has changed the situation and the table is to be asked again, or raises `Refused`.

What is corrected: `stay/correct`. What is taken back: `stay/cancel`.
"""

from datetime import datetime
from typing import Final

from msgspec.structs import replace

from streams.words.codes import SOR_ENDPOINT, EncounterClass, Family, Notice
from streams.words.model import EpisodeIdentifier, EventClass, Fate, Outcome, Transfer

from .cause import class_of, death_time, event_time, is_death
from .correct import again, correct
from .merge import settle_person
from .notify import Draft, Refused, needed, numbered, tell, tell_start, unit_index
from .rules import Cause
from .state import MOVES_LIMIT, Sent, Stay, StayState, Untold, hospital_of, state

__all__ = [
    "ANEW",
    "arrival",
    "back",
    "died",
    "elsewhere",
    "end",
    "facts",
    "late",
    "leave",
    "move",
    "over",
    "plan",
    "readmit",
    "restore",
    "silent",
    "start",
    "to_acute",
    "to_inpatient",
    "transfer",
]

ANEW: Final = Outcome(fate=Fate.WAITING, reason="decide-anew")  # a mark between action and table, never an outcome
_TRANSFER: Final = Outcome(fate=Fate.NOT_SUBJECT, reason="transfer")


# ---- starts ------------------------------------------------------------------------------------------------------


def _contact(class_: EventClass) -> EncounterClass:
    """A stay is acute or admitted; what says neither is an admission (10.4)."""
    return "EMER" if class_ == "EMER" else "IMP"


def _same_region(draft: Draft, transfer: Transfer | None) -> bool:
    """§12, by the register: what intake says, else the regions of the two hospitals of one patient system."""
    if transfer is not None:
        return transfer.same_region
    visit, unit = draft.visit, draft.event.unit
    from_region = visit.units[visit.stay.unit].region_code if visit.stay.unit >= 0 else ""
    return bool(unit and unit.region_code and unit.region_code == from_region)


def _reused(draft: Draft, transfer: Transfer) -> tuple[EpisodeIdentifier, ...]:
    """The referring hospital's identifiers: those of its current chain, same system and value (§12)."""
    if draft.origin is not None and draft.origin.stay.episode:
        return draft.origin.stay.episode
    return (EpisodeIdentifier(system=SOR_ENDPOINT + transfer.hospital, value=transfer.episode),)


def _begin(draft: Draft, class_: EventClass, time: datetime) -> None:
    """Put a new chain in place of what was: nothing of it is told yet. Flag by §16, identifiers by §12 and 13.13."""
    event, transfer = draft.event, draft.event.transfer
    same = transfer is not None and transfer.same_region
    wrong_before = state(draft.stay) is StayState.VOID  # 13.13: receivers know the old id as entered in error
    episode = _reused(draft, transfer) if transfer is not None and same and not wrong_before else ()
    hospital = hospital_of(event.unit) if event.unit else draft.stay.hospital
    unit, units = numbered(draft.visit, event.unit) if event.unit else (draft.stay.unit, draft.visit.units)
    untold = Untold(class_=class_, start=time, report=not same, episode=episode)
    draft.visit = replace(draft.visit, units=units, stay=Stay(hospital=hospital, unit=unit, untold=untold))


def _start_time(draft: Draft) -> datetime:
    return needed(event_time(draft.event))


def start(draft: Draft) -> Outcome | None:
    """A new chain: STIN or STAA."""
    _begin(draft, _contact(class_of(draft.visit, draft.event)), _start_time(draft))
    return tell_start(draft)


def arrival(draft: Draft) -> Outcome | None:
    """A new chain that begins with MORS: dead on arrival (10.3, 10.4)."""
    time = needed(death_time(draft.event), "PID-29 with minutes")
    class_ = _contact(class_of(draft.visit, draft.event))
    _begin(draft, class_, time)
    begun = draft.stay.untold
    if _lacks(draft):
        outcome = tell_start(draft)  # says why not
        assert begun is not None  # just begun
        draft.set_stay(replace(draft.stay, untold=replace(begun, over=True)))
        return outcome
    tell(draft, Notice.MORS, time=time, class_=class_, on_arrival=True)
    return None


def plan(draft: Draft) -> Outcome | None:
    """An attendance that is never notified (11.10), remembered so that its later events are nothing either."""
    event = draft.event
    unit = unit_index(draft, event.unit) if event.unit else -1
    hospital = hospital_of(event.unit) if event.unit else ""
    draft.set_stay(Stay(hospital=hospital, unit=unit, untold=Untold(class_=event.class_, planned=True)))
    return None


def late(draft: Draft) -> Outcome | None:
    """Tell the START now if it can be told and decide anew; else keep what the event says of the untold stay."""
    missing = tell_start(draft)
    if missing is None:
        return ANEW
    stay, cause = draft.stay, draft.cause
    untold = stay.untold
    assert untold is not None  # tell_start left it
    if cause in (Cause.TO_INPATIENT, Cause.TO_ACUTE):
        untold = replace(untold, class_=class_of(draft.visit, draft.event), start=needed(draft.event.occurred))
    if cause in (Cause.DIED, Cause.DEAD_ON_ARRIVAL):
        untold = replace(untold, over=True)
    draft.set_stay(replace(stay, untold=untold, away=_AWAY.get(cause, stay.away)))
    return missing


def facts(draft: Draft) -> Outcome | None:
    """An update of a stay not told: take its facts, then tell the START if it can be told now."""
    settle_person(draft)
    stay, event, old = draft.stay, draft.event, draft.visit.snapshot
    untold, new = stay.untold, event.snapshot
    assert untold is not None  # the situation says so
    if untold.planned:
        return _planned_update(draft)
    class_ = new.class_ if new.class_ in ("EMER", "IMP") else untold.class_
    moved = old.start_time and new.start_time and abs(new.start_time - old.start_time) >= draft.policy.same_time
    time = needed(new.start_time) if moved else untold.start
    draft.set_stay(replace(stay, untold=replace(untold, class_=class_, start=time)))
    if untold.over or (draft.visit.patient is not None and _lacks(draft)):
        return None  # without a municipality the START was reported as unroutable, its updates are not
    missing = tell_start(draft)
    if missing is None:
        return ANEW if is_death(event) else None
    if is_death(event):
        draft.set_stay(replace(draft.stay, untold=replace(untold, over=True)))
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
    return tell_start(draft)


def over(draft: Draft) -> Outcome | None:
    """A stay that was never told has ended. If its end brings what was missing, both are told: it was open until now.

    Without that, or when it goes on at another hospital, the municipality has nothing to learn of it.
    """
    untold = draft.stay.untold
    assert untold is not None  # the situation says so
    if draft.cause is Cause.HOME and not untold.over and not _lacks(draft) and tell_start(draft) is None:
        return ANEW
    draft.set_stay(replace(draft.stay, untold=replace(untold, over=True)))
    return None


# ---- changes of contact type, leave, end ---------------------------------------------------------------------------


def to_inpatient(draft: Draft) -> Outcome | None:
    """Acute ambulant becomes admitted: STIN, no SLHJ between (11.1)."""
    tell(draft, Notice.STIN, time=_start_time(draft))
    return None


def to_acute(draft: Draft) -> Outcome | None:
    """Admitted becomes acute ambulant: STAA (11.2)."""
    tell(draft, Notice.STAA, time=_start_time(draft))
    return None


def leave(draft: Draft) -> Outcome | None:
    """Leave to the home: STOR, unless the hospital tells leaves only where a report was asked for (11.7)."""
    if draft.policy.leave_requires_report and not draft.stay.report:
        return silent(draft)
    tell(draft, Notice.STOR, time=needed(draft.event.occurred))
    draft.set_stay(replace(draft.stay, away=""))
    return None


def silent(draft: Draft) -> Outcome | None:
    """A leave that is not told (11.6): remembered, so that its return is not told either."""
    draft.set_stay(replace(draft.stay, away="out"))
    return None


def back(draft: Draft) -> Outcome | None:
    """Return from leave: SLOR; silent like its leave; or a repeat of the SLOR that stands."""
    stay = draft.stay
    if stay.away == "out":
        draft.set_stay(replace(stay, away="back"))
        return None
    if stay.sent[-1].family is Family.SLOR:
        return again(draft, Family.SLOR, draft.event.occurred)
    tell(draft, Notice.SLOR, time=needed(draft.event.occurred))
    return None


def readmit(draft: Draft) -> Outcome | None:
    """A01 while on leave is a return (21.1), unless it is the very admission once more."""
    time = _start_time(draft)
    if any(abs(time - s.time) < draft.policy.same_time for s in draft.stay.sent if s.family is Family.STIN):
        return Outcome(fate=Fate.NOT_SUBJECT, reason="repeat")
    tell(draft, Notice.SLOR, time=time)
    return None


def end(draft: Draft) -> Outcome | None:
    """Discharge to home or primary sector: SLHJ (11.3); directly from a leave (11.4)."""
    tell(draft, Notice.SLHJ, time=needed(event_time(draft.event)))
    draft.set_stay(replace(draft.stay, gone=None))
    return None


def died(draft: Draft) -> Outcome | None:
    """Death during stay or leave: MORS, directly from a leave (11.5)."""
    tell(draft, Notice.MORS, time=needed(death_time(draft.event), "PID-29 with minutes"))
    draft.set_stay(replace(draft.stay, gone=None))
    return None


def transfer(draft: Draft) -> Outcome | None:
    """The patient goes to another hospital or a hospice: the receiving side tells (§12)."""
    time = needed(event_time(draft.event))
    draft.set_stay(replace(draft.stay, gone=time))
    return _TRANSFER


#: What a leave event makes of the silent leave of a stay not told.
_AWAY: Final = {
    Cause.LEAVE: "out",
    Cause.LEAVE_SILENT: "out",
    Cause.RETURN: "back",
    Cause.UNLEAVE: "",
    Cause.UNRETURN: "out",
}


# ---- places ----------------------------------------------------------------------------------------------------------


def move(draft: Draft) -> Outcome | None:
    """Another ward of the hospital: later messages show it (§12). Only an explicit correction is told (13.17)."""
    stay, event = draft.stay, draft.event
    if event.unit is None:
        return None
    unit = unit_index(draft, event.unit)
    if event.correction:
        draft.set_stay(replace(stay, unit=unit))
        return correct(draft, None)
    if unit != stay.unit:
        moves = (*stay.moves, stay.unit)[-MOVES_LIMIT:] if stay.unit >= 0 else ()
        draft.set_stay(replace(stay, hospital=hospital_of(event.unit), unit=unit, moves=moves))
    untold = draft.stay.untold
    return tell_start(draft) if untold and not (untold.planned or untold.over or _lacks(draft)) else None


def restore(draft: Draft) -> Outcome | None:
    """The move within the hospital did not happen: the ward before it (21.1, A12)."""
    stay, event = draft.stay, draft.event
    before = stay.moves[-1] if stay.moves else stay.unit
    told = unit_index(draft, event.unit) if event.unit else before
    unit = before if told == stay.unit else told  # some systems repeat the cancelled place in PV1-3
    draft.set_stay(replace(stay, unit=unit, moves=stay.moves[:-1]))
    return None


def elsewhere(draft: Draft) -> Outcome | None:
    """The patient arrives at another hospital of the same patient system: its START; the referring side is silent."""
    event, old = draft.event, draft.stay
    if event.unit is None:
        raise Refused("unknown-facility", "no unit of the location register is known", "send PV1-3", "PV1-3")
    same = _same_region(draft, event.transfer)
    class_ = event.class_ if event.class_ in ("EMER", "IMP") else _class_left(old)
    untold = Untold(class_=class_, start=_start_time(draft), report=not same, episode=old.episode if same else ())
    unit = unit_index(draft, event.unit)
    new = Stay(hospital=hospital_of(event.unit), unit=unit, untold=untold)
    draft.visit = replace(draft.visit, stay=new, left=(*draft.visit.left, old))
    return tell_start(draft)


def _class_left(old: Stay) -> EncounterClass:
    """The class that a patient brings along (§12, last row)."""
    top: Sent | Untold | None = old.sent[-1] if old.sent else old.untold
    return _contact(top.class_) if top else "IMP"
