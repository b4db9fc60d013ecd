"""What is taken back: cancels of the hospital, deletions, unwinding under another person (spec 01 §13, 21.1; 04 §4.4).

Only the latest message that stands is cancelled; what lies deeper is reached by cancelling back to it (13.11). After a
cancelled start nothing stands, and what is right begins a new chain (13.13, 13.16).

Merges, moved visits, a CPR number known at last: a stay that is notified is unwound under the old CPR number, because
that is the record it must be found in (13.14), and notified under the new one. A pending stay simply gets its person.

Corrections: `correct`.
"""

from datetime import datetime
from typing import Literal

from msgspec.structs import replace

from streams.words.codes import EncounterClass, Family, Notice
from streams.words.model import Outcome

from .notify import Draft, NotificationRefused, notify, notify_start
from .state import OPEN, Pending, Sent, Situation, Stay, situation, start_of, state_of

__all__ = [
    "delete",
    "is_other_person",
    "merge",
    "person",
    "reopen",
    "restart",
    "returned",
    "revert",
    "settle_person",
    "unend",
    "unleave",
    "unreturn",
    "unstart",
    "unwind",
    "withdraw",
]


def unwind(draft: Draft) -> None:
    """Cancel back to the start, latest first (13.11)."""
    while draft.stay.sent:
        notify(draft, Notice(f"AN_{draft.stay.sent[-1].family}"))
    draft.set_stay(replace(draft.stay, gone=None, away=""))


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
        draft.set_stay(replace(draft.stay, gone=None))
        return None
    draft.set_stay(replace(draft.stay, pending=replace(pending, over=False)))
    return notify_start(draft)


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
        notify(draft, notice)
    return None


def returned(draft: Draft) -> Outcome | None:
    """A12 of a transfer: the receiving side's START was wrong, the referring stay goes on (21.1)."""
    draft.set_stay(replace(draft.stay, pending=None))
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
    draft.set_stay(replace(draft.stay, hospital=stay.hospital, unit=stay.unit, moves=stay.moves))
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
