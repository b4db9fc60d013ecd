"""What an event corrects (spec 01 §13): repeats that differ, and A08.

Only the latest message that stands is corrected (13.3, 13.12); a change to an earlier one is stored and travels on
with the next message (13.10). An A08 is compared with the last message of the stay, field by field, never with what
was notified (04 §4.3).

What is taken back: `stay/cancel`. Another person: `stay/merge`.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from streams.words.codes import EncounterClass, Family, Notice
from streams.words.model import Fate, Outcome

from .cancel import anew, reopen, revert, unend, unwind
from .cause import death_time, is_death
from .merge import is_other_person, merge
from .notify import Draft, Refused, in_order, needed, tell
from .rules import ENDINGS, Cause
from .state import OPEN, STARTS, StayState, start_of, state_of

__all__ = ["REPEAT", "again", "correct", "update"]

REPEAT: Final = Outcome(fate=Fate.NOT_SUBJECT, reason="repeat")

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


def _death_retracted(draft: Draft) -> bool:
    old, new = draft.visit.snapshot, draft.event.snapshot
    indicator = old.dead is True and (new.dead is False or "dead" in new.deleted)
    return _state(draft) is StayState.DEAD and (indicator or bool(old.death_time and "death_time" in new.deleted))


def _death_told(draft: Draft) -> bool:
    """Death registered late on an open stay. One that has left without notice is another hospital's."""
    return _state(draft) in OPEN and not draft.stay.gone and is_death(draft.event)


def _class_changed(draft: Draft) -> bool:
    old, new = draft.visit.snapshot.class_, draft.event.snapshot.class_
    present = _state(draft) in OPEN and not draft.stay.gone
    differs = {old, new} == {"EMER", "IMP"} and draft.stay.sent[-1].class_ != new
    return present and differs


def _ending_changed(draft: Draft) -> bool:
    """The disposition of an ended stay means another row of §12 than before. A death said twice is no change."""
    old, new = draft.visit.snapshot.disposition, draft.event.disposition
    ended = draft.stay.gone or _state(draft) in (StayState.CLOSED, StayState.DEAD)
    if not ended or old is None or new is None or new == "ignore":
        return False
    return ENDINGS[old] is not ENDINGS[new] and not (_state(draft) is StayState.DEAD and is_death(draft.event))


def _end_deleted(draft: Draft) -> bool:
    """PV1-45 set to HL7 null: the discharge is taken back as by A13."""
    old, new = draft.visit.snapshot, draft.event.snapshot
    ended = draft.stay.gone or _state(draft) is StayState.CLOSED
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
    sent, changed = draft.stay.sent, dict(filter(None, [_start_change(draft)]))
    wrong = sent.index(start_of(sent))
    unwind(draft)  # repeats what was told (10.2); a time corrected in the same A08 is told with the new start
    if wrong:
        earlier = sent[wrong - 1]
        return revert(draft, replace(earlier, time=changed.get(wrong - 1, earlier.time)))
    return anew(draft, class_, changed.get(wrong, sent[wrong].time), report=True)


def _end_again(draft: Draft) -> Outcome | None:
    """Another ending: what was told of the old one is taken back, then the new one is told, if it is told at all."""
    event, stay = draft.event, draft.stay
    ended = stay.sent[-1].time if _state(draft) in (StayState.CLOSED, StayState.DEAD) else None
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
    indexes = [i for i, s in enumerate(sent) if s.family in STARTS]
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


def _state(draft: Draft) -> StayState:
    return state_of(draft.stay.sent)


def _with_start(act: Callable[[Draft], Outcome | None]) -> Callable[[Draft], Outcome | None]:
    """The act, with an admission time that the same A08 corrects: stored, and told with what follows (13.10)."""

    def acted(draft: Draft) -> Outcome | None:
        if (change := _start_change(draft)) is not None:
            _adjust(draft, *change)
        return act(draft)

    return acted


_A08: Final[tuple[tuple[Callable[[Draft], bool], Callable[[Draft], Outcome | None]], ...]] = (
    (is_other_person, merge),
    (_death_retracted, _with_start(unend)),
    (_death_told, _with_start(_mors)),
    (_class_changed, _class_change),
    (_ending_changed, _with_start(_end_again)),
    (_end_deleted, _with_start(lambda draft: reopen(draft) if draft.stay.gone else unend(draft))),
)
