"""What an event corrects (spec 01 §13): repeats that differ, and A08.

Only the latest message that stands is corrected (13.3, 13.12); a change to an earlier one is stored and travels on
with the next message (13.10). An A08 is compared with the last message of the stay, field by field, never with what
was notified (04 §4.3).

What is taken back, and another person: `cancel`.
"""

from datetime import datetime
from typing import Final

from msgspec.structs import replace

from streams.words.codes import EncounterClass, Family, Notice
from streams.words.model import Fate, Outcome

from .cancel import is_other_person, merge, reopen, restart, revert, unend, unwind
from .notify import Draft, NotificationRefused, in_order, needed, notify
from .rules import AGAIN, ENDINGS, Cause, death_time, event_time, is_death
from .state import OPEN, STARTS, StayState, start_of, state_of

__all__ = ["REPEAT", "again", "correct", "update"]

REPEAT: Final = Outcome(fate=Fate.NOT_SUBJECT, reason="repeat")

#: 21.1, A08 row "department changed as a correction": latest valid is a start, leave or end message.
_CORRECTS_WARD: Final = frozenset({Family.STAA, Family.STIN, Family.STOR, Family.SLOR, Family.SLHJ})


# ---- corrections ---------------------------------------------------------------------------------------------------


def again(draft: Draft) -> Outcome | None:
    """A repeated event: a correction of the latest message when its time differs by a minute, else nothing (00 §2.6)."""
    event, family, top = draft.event, AGAIN[draft.cause], draft.stay.sent[-1]
    time = event_time(event)
    if family is Family.MORS:
        # A known PID-29 is not overruled by the discharge time of a later message that lacks it.
        time = event.snapshot.death_time or draft.visit.snapshot.death_time or death_time(event)
    if top.family is not family or time is None:
        return REPEAT
    new = needed(time)
    if abs(new - top.time) >= draft.policy.same_time:
        return correct(draft, new)
    return correct(draft, None) if event.correction else REPEAT


def correct(draft: Draft, time: datetime | None) -> Outcome | None:
    """RE_ of the latest message that stands, with a new time or only with the unit it now has (13.1, 13.17)."""
    sent, policy = draft.stay.sent, draft.policy
    if not sent or (time is None and sent[-1].family not in _CORRECTS_WARD):
        return None
    top = sent[-1]
    # RE_SLOR and RE_MORS may be omitted (13.5).
    if {Family.SLOR: policy.send_re_slor, Family.MORS: policy.send_re_mors}.get(top.family, True):
        notify(draft, Notice(f"RE_{top.family}"), time=time or top.time)
    elif time is not None:
        _adjust(draft, len(sent) - 1, time)
    return None


def _adjust(draft: Draft, index: int, time: datetime) -> None:
    """Change a stored time without a message: it travels on (13.10)."""
    sent = draft.stay.sent
    changed = (*sent[:index], replace(sent[index], time=time), *sent[index + 1 :])
    if sent[-1].on_arrival and index == len(sent) - 1:
        changed = (*changed[:-2], replace(changed[-2], time=time), changed[-1])
    if not in_order(changed):
        raise NotificationRefused("not-allowed", "times of the stay would be out of order (P-8)", "send the right time")
    draft.set_stay(replace(draft.stay, sent=changed))


# ---- A08 -------------------------------------------------------------------------------------------------------------


def update(draft: Draft) -> Outcome | None:
    """What an A08 (or A31) changes, the weightiest first (21.1, 04 §4.3); times and wards last.

    An admission time that the same A08 corrects is stored first, and travels on with what follows (13.10).
    """
    event, stay, old, new = draft.event, draft.stay, draft.visit.snapshot, draft.event.snapshot
    here, gone = state_of(stay.sent), stay.gone is not None
    present = here in OPEN and not gone  # a stay that has left is another hospital's
    ended = gone or here in (StayState.CLOSED, StayState.DEAD)
    if is_other_person(draft):
        return merge(draft)
    # The death is retracted.
    retracted = old.dead is True and (new.dead is False or "dead" in new.deleted)
    if here is StayState.DEAD and (retracted or (old.death_time and "death_time" in new.deleted)):
        _adjust_start(draft)
        return unend(draft)
    if present and is_death(event):  # a death registered late
        _adjust_start(draft)
        notify(draft, Notice.MORS, time=needed(death_time(event), "PID-29 with minutes"))
        return None
    if present and {old.class_, new.class_} == {"EMER", "IMP"} and stay.sent[-1].class_ != new.class_:
        return _change_class(draft)
    # A disposition that means another row of §12 than before. A death that comes twice is no change.
    known = old.disposition is not None and event.disposition not in (None, "ignore")
    another = known and ENDINGS[old.disposition] is not ENDINGS[event.disposition]
    if ended and another and not (here is StayState.DEAD and is_death(event)):
        _adjust_start(draft)
        return _end_otherwise(draft)
    # PV1-45 set to HL7 null: the discharge is taken back as by A13.
    if (gone or here is StayState.CLOSED) and old.end_time is not None and "end_time" in new.deleted:
        _adjust_start(draft)
        return reopen(draft) if gone else unend(draft)
    return _change_times(draft)


def _change_class(draft: Draft) -> Outcome | None:
    """A real change by default, as A06/A07; a registration error where the feed makes it one (04 §4.3).

    A contact type that was wrong from the beginning: AN_ of the wrong start, the right one in a new chain (21.1, 13.16).
    """
    event, old, sent = draft.event, draft.visit.snapshot, draft.stay.sent
    class_: EncounterClass = "EMER" if event.snapshot.class_ == "EMER" else "IMP"
    if not (event.a08_class_is_correction or event.correction):
        changed = event.snapshot.start_time if event.snapshot.start_time != old.start_time else None
        notify(draft, Notice.STAA if class_ == "EMER" else Notice.STIN, time=needed(event.occurred or changed))
        return None
    index, time = _start_change(draft) or (-1, None)
    wrong = sent.index(start_of(sent))
    unwind(draft)  # repeats what was sent (10.2); a time corrected in the same A08 goes with the new start
    if wrong:
        earlier = sent[wrong - 1]
        return revert(draft, replace(earlier, time=time) if time and index == wrong - 1 else earlier)
    return restart(draft, class_, time if time and index == wrong else sent[wrong].time, report=True)


def _end_otherwise(draft: Draft) -> Outcome | None:
    """Another ending: the notice of the old one is taken back, then the new one is notified, if it ever is."""
    event, stay = draft.event, draft.stay
    ended = stay.sent[-1].time if state_of(stay.sent) in (StayState.CLOSED, StayState.DEAD) else None
    time = event.snapshot.end_time or ended or stay.gone or event.occurred
    if stay.gone:
        draft.set_stay(replace(stay, gone=None))
    else:
        notify(draft, Notice(f"AN_{stay.sent[-1].family}"))
    match ENDINGS[event.disposition]:
        case Cause.TRANSFER:
            draft.set_stay(replace(draft.stay, gone=needed(time, "PV1-45")))
        case Cause.DIED:
            notify(draft, Notice.MORS, time=needed(event.snapshot.death_time or time, "PID-29 with minutes"))
        case _:
            notify(draft, Notice.SLHJ, time=needed(time, "PV1-45"))
    return None


def _change_times(draft: Draft) -> Outcome | None:
    """Changed times and ward: RE_ of the latest message, or stored silently (13.3, 13.10)."""
    event, old, new = draft.event, draft.visit.snapshot, draft.event.snapshot
    top, new_top = draft.stay.sent[-1], None
    start = _start_change(draft)
    # PV1-45 of a discharge; PID-29, else PV1-45, of a death. A first value is compared with what was sent.
    was = now = None
    if top.family is Family.MORS and (new.death_time or old.death_time):
        was, now = old.death_time, new.death_time
    elif top.family in (Family.SLHJ, Family.MORS):
        was, now = old.end_time, new.end_time
    if now is not None and abs(now - (was or top.time)) >= draft.policy.same_time:
        new_top = needed(now)
    if start is not None:
        index, time = start
        if index == len(draft.stay.sent) - 1:
            new_top = time
        else:
            _adjust(draft, index, time)
    # By default a changed ward is a silent move (04 §4.3).
    differs = bool(old.department and new.department and old.department != new.department)
    ward = differs and (event.a08_ward_is_correction or event.correction)
    return correct(draft, new_top) if ward or new_top else None


def _start_change(draft: Draft) -> tuple[int, datetime] | None:
    """PV1-44: the start that had the old time, else the one that counts, gets the new one."""
    old, new, same = draft.visit.snapshot.start_time, draft.event.snapshot.start_time, draft.policy.same_time
    sent = draft.stay.sent
    if old is None or new is None or abs(new - old) < same or sent[-1].on_arrival:
        return None
    starts = [index for index, one in enumerate(sent) if one.family in STARTS]
    return next((index for index in starts if abs(sent[index].time - old) < same), starts[-1]), needed(new)


def _adjust_start(draft: Draft) -> None:
    if (change := _start_change(draft)) is not None:
        _adjust(draft, *change)
