"""What an event takes back or corrects (spec 01 §13): repeats that differ, A08, cancels, deletions, merges.

Three rules carry the rest. Only the latest message that stands is corrected or cancelled (13.3, 13.12); a change to
an earlier one is stored and travels on with the next message (13.10). What lies deeper is cancelled by unwinding
(13.11). After a cancelled start nothing stands, and what is right begins a new chain (13.13, 13.16).

A08 is compared with the last message of the stay, field by field, never with what was notified (04 §4.3).
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final, Literal

from msgspec.structs import replace

from .codes import EncounterClass, Family, Notice
from .model import Fate, Outcome
from .stay_cause import death_time, is_death
from .stay_notify import Draft, Refused, in_order, needed, tell, tell_start
from .stay_rules import ENDINGS, Cause
from .stay_state import Sent, Situation, State, Stay, Untold, situation, start_of, state_of

__all__ = [
    "REPEAT",
    "again",
    "correct",
    "delete",
    "merge",
    "person",
    "reopen",
    "returned",
    "unend",
    "unleave",
    "unreturn",
    "unstart",
    "update",
    "withdraw",
]

REPEAT: Final = Outcome(fate=Fate.NOT_SUBJECT, reason="repeat")
_STARTS: Final = (Family.STAA, Family.STIN)
_OPEN: Final = (State.ACUTE, State.ADMITTED, State.LEAVE)

#: 21.1, A08 row "department changed as a correction": latest valid is a start, leave or end message.
_CORRECTS_WARD: Final = frozenset({Family.STAA, Family.STIN, Family.STOR, Family.SLOR, Family.SLHJ})


# ---- corrections ---------------------------------------------------------------------------------------------------


def again(draft: Draft, family: Family, time: datetime | None) -> Outcome | None:
    """A repeated event: a correction of the latest message when its time differs by a minute, else nothing (00 §2.6)."""
    top = draft.stay.sent[-1]
    if top.family is not family or time is None:
        return REPEAT
    new = needed(time)
    if abs(new - top.time) >= draft.policy.same_time:
        return correct(draft, new)
    return correct(draft, None) if draft.event.correction else REPEAT


def correct(draft: Draft, time: datetime | None) -> Outcome | None:
    """RE_ of the latest message that stands, with a new time or only with the unit it now has (13.1, 13.17)."""
    top = draft.stay.sent[-1] if draft.stay.sent else None
    if top is None or (time is None and top.family not in _CORRECTS_WARD):
        return None
    if not _corrections_are_sent(draft, top.family):
        if time is not None:
            _adjust(draft, len(draft.stay.sent) - 1, time)
        return None
    tell(draft, Notice(f"RE_{top.family}"), time=time or top.time)
    return None


def _corrections_are_sent(draft: Draft, family: Family) -> bool:
    """RE_SLOR and RE_MORS may be omitted (13.5)."""
    policy = draft.policy
    return {Family.SLOR: policy.send_re_slor, Family.MORS: policy.send_re_mors}.get(family, True)


def _adjust(draft: Draft, index: int, time: datetime) -> None:
    """Change a stored time without a message: it travels on (13.10)."""
    sent = draft.stay.sent
    changed = (*sent[:index], replace(sent[index], time=time), *sent[index + 1 :])
    if sent[-1].on_arrival and index == len(sent) - 1:
        changed = (*changed[:-2], replace(changed[-2], time=time), changed[-1])
    if not in_order(changed):
        raise Refused("not-allowed", "times of the stay would be out of order (P-8)", "send the right time")
    draft.set_stay(replace(draft.stay, sent=changed))


# ---- A08 -------------------------------------------------------------------------------------------------------------


def update(draft: Draft) -> Outcome | None:
    """What an A08 (or A31) changed, the weightiest first (21.1, 04 §4.3); times and wards last."""
    for differs, act in _A08:
        if differs(draft):
            return act(draft)
    return _times(draft)


def _other_person(draft: Draft) -> bool:
    old, new = draft.visit.patient, draft.event.patient
    return old is not None and new is not None and old.cpr != new.cpr


def _death_retracted(draft: Draft) -> bool:
    old, new = draft.visit.snapshot, draft.event.snapshot
    indicator = old.dead is True and (new.dead is False or "dead" in new.deleted)
    return _state(draft) is State.DEAD and (indicator or bool(old.death_time and "death_time" in new.deleted))


def _death_told(draft: Draft) -> bool:
    """Death registered late on an open stay. One that has left without notice is another hospital's."""
    return _state(draft) in _OPEN and not draft.stay.gone and is_death(draft.event)


def _class_changed(draft: Draft) -> bool:
    old, new = draft.visit.snapshot.class_, draft.event.snapshot.class_
    present = _state(draft) in _OPEN and not draft.stay.gone
    differs = {old, new} == {"EMER", "IMP"} and draft.stay.sent[-1].class_ != new
    return present and differs


def _ending_changed(draft: Draft) -> bool:
    """The disposition of an ended stay means another row of §12 than before. A death said twice is no change."""
    old, new = draft.visit.snapshot.disposition, draft.event.disposition
    ended = draft.stay.gone or _state(draft) in (State.CLOSED, State.DEAD)
    if not ended or old is None or new is None or new == "ignore":
        return False
    return ENDINGS[old] is not ENDINGS[new] and not (_state(draft) is State.DEAD and is_death(draft.event))


def _end_deleted(draft: Draft) -> bool:
    """PV1-45 set to HL7 null: the discharge is taken back as by A13."""
    old, new = draft.visit.snapshot, draft.event.snapshot
    ended = draft.stay.gone or _state(draft) is State.CLOSED
    return ended and old.end_time is not None and "end_time" in new.deleted


def _mors(draft: Draft) -> Outcome | None:
    tell(draft, Notice.MORS, time=needed(death_time(draft.event), "PID-29 with minutes"))
    return None


def _class_change(draft: Draft) -> Outcome | None:
    """A real change by default, as A06/A07; a registration error where the feed says so (04 §4.3)."""
    event, old = draft.event, draft.visit.snapshot
    new: EncounterClass = "EMER" if event.snapshot.class_ == "EMER" else "IMP"
    if event.a08_class_is_correction or event.correction:
        return _other_contact(draft, new)
    changed = event.snapshot.start_time if event.snapshot.start_time != old.start_time else None
    tell(draft, Notice.STAA if new == "EMER" else Notice.STIN, time=needed(event.occurred or changed))
    return None


def _other_contact(draft: Draft, class_: EncounterClass) -> Outcome | None:
    """Contact type wrong from the beginning: AN_ of the wrong start, the right one in a new chain (21.1, 13.16)."""
    sent = draft.stay.sent
    wrong = start_of(sent)
    earlier = sent[: sent.index(wrong)]
    _unwind(draft)
    if earlier:
        return _revert(draft, earlier[-1])
    return _anew(draft, class_, wrong.time, report=True)


def _end_again(draft: Draft) -> Outcome | None:
    """Another ending: what was told of the old one is taken back, then the new one is told, if it is told at all."""
    event, stay = draft.event, draft.stay
    ended = stay.sent[-1].time if _state(draft) in (State.CLOSED, State.DEAD) else None
    time = event.snapshot.end_time or ended or stay.gone or event.occurred
    if stay.gone:
        draft.set_stay(replace(stay, gone=None))
    else:
        tell(draft, Notice(f"AN_{stay.sent[-1].family}"))
    cause = ENDINGS[event.disposition]
    if cause is Cause.TRANSFER:
        draft.set_stay(replace(draft.stay, gone=needed(time, "PV1-45")))
        return None
    if cause is Cause.DIED:
        tell(draft, Notice.MORS, time=needed(event.snapshot.death_time or time, "PID-29 with minutes"))
    else:
        tell(draft, Notice.SLHJ, time=needed(time, "PV1-45"))
    return None


def _times(draft: Draft) -> Outcome | None:
    """Changed times and ward: RE_ of the latest message, or stored silently (13.3, 13.10)."""
    changes = [c for c in (_start_change(draft), _end_change(draft)) if c is not None]
    ward = _ward_corrected(draft)
    top, new_top = len(draft.stay.sent) - 1, None
    for index, time in changes:
        if index == top:
            new_top = time
        else:
            _adjust(draft, index, time)
    return correct(draft, new_top) if ward or new_top else None


def _ward_corrected(draft: Draft) -> bool:
    """By default a changed ward is a silent move (04 §4.3)."""
    event, old, new = draft.event, draft.visit.snapshot.department, draft.event.snapshot.department
    return (event.a08_ward_is_correction or event.correction) and bool(old and new and old != new)


def _start_change(draft: Draft) -> tuple[int, datetime] | None:
    """PV1-44: the start that had the old time, else the one that counts, gets the new one."""
    old, new = draft.visit.snapshot.start_time, draft.event.snapshot.start_time
    if old is None or new is None or abs(new - old) < draft.policy.same_time:
        return None
    sent, same = draft.stay.sent, draft.policy.same_time
    if sent[-1].on_arrival:
        return None
    indexes = [i for i, s in enumerate(sent) if s.family in _STARTS]
    return next((i for i in indexes if abs(sent[i].time - old) < same), indexes[-1]), needed(new)


def _end_change(draft: Draft) -> tuple[int, datetime] | None:
    """PV1-45 of a discharge; PID-29, else PV1-45, of a death. A first value is compared with what was told."""
    old, new, top = draft.visit.snapshot, draft.event.snapshot, draft.stay.sent[-1]
    if top.family is Family.SLHJ:
        was, now = old.end_time, new.end_time
    elif top.family is Family.MORS:
        was, now = (
            (old.death_time, new.death_time) if new.death_time or old.death_time else (old.end_time, new.end_time)
        )
    else:
        return None
    if now is None or abs(now - (was or top.time)) < draft.policy.same_time:
        return None
    return len(draft.stay.sent) - 1, needed(now)


def _state(draft: Draft) -> State:
    return state_of(draft.stay.sent)


# ---- cancellations ---------------------------------------------------------------------------------------------------


def _unwind(draft: Draft) -> None:
    """Cancel back to the start, latest first (13.11)."""
    while draft.stay.sent:
        tell(draft, Notice(f"AN_{draft.stay.sent[-1].family}"))
    draft.set_stay(replace(draft.stay, gone=None, away=""))


def _unwind_all(draft: Draft) -> None:
    """Cancel the stays of all hospitals of the visit, latest first."""
    _unwind(draft)
    while draft.visit.left:
        visit = draft.visit
        draft.visit = replace(visit, stay=visit.left[-1], left=visit.left[:-1])
        _unwind(draft)


def _anew(draft: Draft, class_: EncounterClass, time: datetime, *, report: bool) -> Outcome | None:
    """The right start as a new chain (13.13), at the same place."""
    stay = draft.stay
    untold = Untold(class_=class_, start=time, report=report)
    draft.set_stay(Stay(hospital=stay.hospital, unit=stay.unit, moves=stay.moves, untold=untold))
    return tell_start(draft)


def _revert(draft: Draft, earlier: Sent) -> Outcome | None:
    """13.16: the contact type before the change again, without a request: it was made for this attendance."""
    return _anew(draft, earlier.class_, earlier.time, report=False)


def unstart(draft: Draft) -> Outcome | None:
    """A11: the start was wrong. One that had changed the contact type leaves the type before it (13.16)."""
    sent, here = draft.stay.sent, not draft.visit.left and not draft.stay.gone
    started = sent.index(start_of(sent))
    earlier = sent[:started] if here and _state(draft) in _OPEN else ()
    _unwind_all(draft)
    return _revert(draft, earlier[-1]) if earlier else None


def delete(draft: Draft) -> Outcome | None:
    """A23, A29: nothing of the visit was right."""
    _unwind_all(draft)
    return None


def withdraw(draft: Draft) -> Outcome | None:
    """A start that was never told was wrong: forgotten, and with it what other hospitals of the visit had told."""
    draft.set_stay(Stay(hospital=draft.stay.hospital, unit=draft.stay.unit))
    if draft.visit.left:
        _unwind_all(draft)
    return None


def unend(draft: Draft) -> Outcome | None:
    """A13: AN_SLHJ or AN_MORS; a leave that the discharge had ended is told again (10.5)."""
    sent = draft.stay.sent
    tell(draft, Notice(f"AN_{sent[-1].family}"))
    if sent[-1].family is Family.SLHJ and sent[-2].family is Family.STOR:
        tell(draft, Notice.STOR, time=sent[-2].time)
    return None


def reopen(draft: Draft) -> Outcome | None:
    """A13 after an end that was not told: the stay goes on (§12)."""
    untold = draft.stay.untold
    if untold is None:
        draft.set_stay(replace(draft.stay, gone=None))
        return None
    draft.set_stay(replace(draft.stay, untold=replace(untold, over=False)))
    return tell_start(draft)


def unleave(draft: Draft) -> Outcome | None:
    """A52: AN_STOR, only while the STOR is the latest that stands; a silent leave is taken back silently."""
    return _take_back(draft, Notice.AN_STOR, was="out", now="")


def unreturn(draft: Draft) -> Outcome | None:
    """A53: AN_SLOR likewise."""
    return _take_back(draft, Notice.AN_SLOR, was="back", now="out")


def _take_back(draft: Draft, notice: Notice, *, was: str, now: Literal["", "out"]) -> Outcome | None:
    if draft.stay.away == was:
        draft.set_stay(replace(draft.stay, away=now))
    else:
        tell(draft, notice)
    return None


def returned(draft: Draft) -> Outcome | None:
    """A12 of a transfer: the receiving side's START was wrong, the referring stay goes on (21.1)."""
    draft.set_stay(replace(draft.stay, untold=None))
    _unwind(draft)
    visit = draft.visit
    if visit.left:
        draft.visit = replace(visit, stay=visit.left[-1], left=visit.left[:-1])
    return None


# ---- another person --------------------------------------------------------------------------------------------------


def merge(draft: Draft) -> Outcome | None:
    """The CPR of a notified stay changes: unwind under the old one, then one start under the new one (21.1, 13.14).

    A stay that has ended is only unwound: a start without end would be false. A death is told again, it is true of
    the right person. A report is asked for: none was for this citizen.
    """
    if not _other_person(draft):
        if draft.event.patient is None:
            raise Refused("not-allowed", "a notified stay would lose its CPR number", "decide by hand", "PID-3")
        return None
    was, stay, top = situation(draft.stay), draft.stay, draft.stay.sent[-1]
    start = start_of(stay.sent)
    _unwind_all(draft)
    draft.visit = replace(
        draft.visit, stay=replace(draft.stay, hospital=stay.hospital, unit=stay.unit, moves=stay.moves)
    )
    _learn_person(draft)
    if was in (Situation.CLOSED, Situation.GONE):
        return None
    outcome = _anew(draft, start.class_, start.time, report=True)
    if outcome is None and was is Situation.DEAD:
        tell(draft, Notice.MORS, time=top.time)
    return outcome


def person(draft: Draft) -> Outcome | None:
    """The person of a stay of which nothing stands: the START is told now if it is still to come (04 §4.4)."""
    untold = draft.stay.untold
    return tell_start(draft) if untold and not untold.over and not untold.planned else None


def _learn_person(draft: Draft) -> None:
    """The other person, with the residence that the event gives: the old one is somebody else's."""
    event = draft.event
    draft.visit = replace(
        draft.visit, patient=event.patient, residence=event.residence, residence_problem=event.residence_problem
    )


_A08: Final[tuple[tuple[Callable[[Draft], bool], Callable[[Draft], Outcome | None]], ...]] = (
    (_other_person, merge),
    (_death_retracted, unend),
    (_death_told, _mors),
    (_class_changed, _class_change),
    (_ending_changed, _end_again),
    (_end_deleted, lambda draft: reopen(draft) if draft.stay.gone else unend(draft)),
)
