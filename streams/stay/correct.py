"""What a later message changes or takes back (spec 01 §13, 21.1; 04 §4.3, §4.4).

Only the latest message that stands is corrected (13.3, 13.12) or cancelled. What lies deeper is reached by cancelling back
to it (13.11); a change to an earlier one is stored and travels on with the next message (13.10). An A08 is compared with
the last message of the stay, field by field, never with what was notified (04 §4.3). After a cancelled start nothing
stands, and what is right begins a new chain (13.13, 13.16).

Merges, moved visits, a CPR number known at last: a stay that is notified is unwound under the old CPR number, because
that is the record it must be found in (13.14), and notified under the new one. A pending stay simply gets its person.
"""

from datetime import datetime
from typing import Final, Literal

from msgspec.structs import replace

from streams.words.codes import EncounterClass, Family, Notice
from streams.words.model import Fate, Outcome

from .notify import Draft, NotificationRefused, in_order, needed, notify, notify_start
from .rules import AGAIN, ENDINGS, Cause, death_time, event_time, is_death
from .state import OPEN, STARTS, Pending, Sent, Situation, Stay, StayState, situation, start_of, state_of

REPEAT: Final = Outcome(fate=Fate.NOT_SUBJECT, reason="repeat")

#: 21.1, A08 row "department changed as a correction": latest valid is a start, leave or end message.
_CORRECTS_WARD: Final = frozenset({Family.STAA, Family.STIN, Family.STOR, Family.SLOR, Family.SLHJ})


# ---- what is taken back ---------------------------------------------------------------------------------------------


def unwind(draft: Draft) -> None:
    """Cancel back to the start, latest first (13.11)."""
    while draft.stay.sent:
        notify(draft, Notice(f"AN_{draft.stay.sent[-1].family}"))
    draft.change(gone=None, away="")


def delete(draft: Draft) -> Outcome | None:
    """A23, A29: nothing of the visit was right. Cancel the stays of all its hospitals, latest first."""
    unwind(draft)
    while draft.visit.left:
        visit = draft.visit
        draft.visit = replace(visit, stay=visit.left[-1], left=visit.left[:-1])
        unwind(draft)
    return None


def restart(draft: Draft, class_: EncounterClass, time: datetime, *, report: bool) -> Outcome | None:
    """The right start as a new chain (13.13), at the same place."""
    stay = draft.stay
    pending = Pending(class_=class_, start=time, report=report)
    draft.set_stay(Stay(hospital=stay.hospital, unit=stay.unit, moves=stay.moves, pending=pending))
    return notify_start(draft)


def revert(draft: Draft, earlier: Sent) -> Outcome | None:
    """13.16: the contact type before the change again, without a request: it was made for this attendance."""
    return restart(draft, earlier.class_, earlier.time, report=False)


def unstart(draft: Draft) -> Outcome | None:
    """A11: the start was wrong. One that had changed the contact type leaves the type before it (13.16)."""
    sent, here = draft.stay.sent, not draft.visit.left and not draft.stay.gone
    earlier = sent[: sent.index(start_of(sent))] if here and state_of(sent) in OPEN else ()
    delete(draft)
    return revert(draft, earlier[-1]) if earlier else None


def withdraw(draft: Draft) -> Outcome | None:
    """A pending start was wrong: forget it, and take back what other hospitals of the visit have sent."""
    draft.set_stay(Stay(hospital=draft.stay.hospital, unit=draft.stay.unit))
    return delete(draft) if draft.visit.left else None


def unend(draft: Draft) -> Outcome | None:
    """A13: AN_SLHJ or AN_MORS; a leave that the discharge had ended is notified again (10.5)."""
    sent = draft.stay.sent
    notify(draft, Notice(f"AN_{sent[-1].family}"))
    if sent[-1].family is Family.SLHJ and sent[-2].family is Family.STOR:
        notify(draft, Notice.STOR, time=sent[-2].time)
    return None


def reopen(draft: Draft) -> Outcome | None:
    """A13 after an end without notice: the stay goes on (§12)."""
    pending = draft.stay.pending
    if pending is None:
        draft.change(gone=None)
        return None
    draft.change(pending=replace(pending, over=False))
    return notify_start(draft)


def unleave(draft: Draft) -> Outcome | None:
    """A52: AN_STOR, only while the STOR is the latest that stands; a silent leave is taken back silently."""
    return _take_back(draft, Notice.AN_STOR, was="out", now="")


def unreturn(draft: Draft) -> Outcome | None:
    """A53: AN_SLOR likewise."""
    return _take_back(draft, Notice.AN_SLOR, was="back", now="out")


def _take_back(draft: Draft, notice: Notice, *, was: str, now: Literal["", "out"]) -> Outcome | None:
    if draft.stay.away == was:
        draft.change(away=now)
    else:
        notify(draft, notice)
    return None


def returned(draft: Draft) -> Outcome | None:
    """A12 of a transfer: the receiving side's START was wrong, the referring stay goes on (21.1)."""
    draft.change(pending=None)
    unwind(draft)
    visit = draft.visit
    if visit.left:
        draft.visit = replace(visit, stay=visit.left[-1], left=visit.left[:-1])
    return None


# ---- another person ----------------------------------------------------------------------------------------------------


def is_other_person(draft: Draft) -> bool:
    """Whether the event names another CPR number than the stay. None is silence, not another person."""
    old, new = draft.visit.patient, draft.event.patient
    return old is not None and new is not None and old.cpr != new.cpr


def merge(draft: Draft) -> Outcome | None:
    """The CPR of a notified stay changes: unwind under the old one, then one start under the new one (21.1, 13.14).

    A stay that has ended is only unwound: a start without end would be false. A death is notified again, it is true of
    the right person. A report is asked for: none was for this citizen.
    """
    if not is_other_person(draft):
        if draft.event.patient is None:
            raise NotificationRefused(
                "not-allowed", "a notified stay would lose its CPR number", "decide by hand", "PID-3"
            )
        return None
    was, stay, top = situation(draft.stay), draft.stay, draft.stay.sent[-1]
    start = start_of(stay.sent)
    delete(draft)
    draft.change(hospital=stay.hospital, unit=stay.unit, moves=stay.moves)
    _learn_person(draft)
    if was in (Situation.CLOSED, Situation.GONE):
        return None
    outcome = restart(draft, start.class_, start.time, report=True)
    if outcome is None and was is Situation.DEAD:
        notify(draft, Notice.MORS, time=top.time)
    return outcome


def person(draft: Draft) -> Outcome | None:
    """The person of a stay of which nothing stands: a pending START is sent now if that is possible (04 §4.4)."""
    settle_person(draft)
    pending = draft.stay.pending
    return notify_start(draft) if pending and not pending.over and not pending.planned else None


def settle_person(draft: Draft) -> None:
    """Another CPR while nothing stands here: what hospitals before this one have sent is taken back under the old one."""
    if is_other_person(draft):
        here = draft.stay
        draft.set_stay(Stay())
        delete(draft)
        draft.set_stay(here)
        _learn_person(draft)


def _learn_person(draft: Draft) -> None:
    """The other person, with the residence that the event gives: the old one is another citizen's."""
    event = draft.event
    draft.visit = replace(
        draft.visit, patient=event.patient, residence=event.residence, residence_problem=event.residence_problem
    )


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
    draft.change(sent=changed)


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
        draft.change(gone=None)
    else:
        notify(draft, Notice(f"AN_{stay.sent[-1].family}"))
    match ENDINGS[event.disposition]:
        case Cause.TRANSFER:
            draft.change(gone=needed(time, "PV1-45"))
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
