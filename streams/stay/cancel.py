"""What is taken back: cancels of the hospital, deletions, unwinding (spec 01 §13, 21.1).

Only the latest message that stands is cancelled; what lies deeper is reached by cancelling back to it (13.11). After a
cancelled start nothing stands, and what is right begins a new chain (13.13, 13.16).

Corrections: `stay/correct`. Another person: `stay/merge`.
"""

from datetime import datetime
from typing import Literal

from msgspec.structs import replace

from streams.words.codes import EncounterClass, Family, Notice
from streams.words.model import Outcome

from .notify import Draft, tell, tell_start
from .state import OPEN, Sent, Stay, Untold, start_of, state_of

__all__ = [
    "anew",
    "delete",
    "reopen",
    "returned",
    "revert",
    "unend",
    "unleave",
    "unreturn",
    "unstart",
    "unwind",
    "unwind_all",
    "withdraw",
]


def unwind(draft: Draft) -> None:
    """Cancel back to the start, latest first (13.11)."""
    while draft.stay.sent:
        tell(draft, Notice(f"AN_{draft.stay.sent[-1].family}"))
    draft.set_stay(replace(draft.stay, gone=None, away=""))


def unwind_all(draft: Draft) -> None:
    """Cancel the stays of all hospitals of the visit, latest first."""
    unwind(draft)
    while draft.visit.left:
        visit = draft.visit
        draft.visit = replace(visit, stay=visit.left[-1], left=visit.left[:-1])
        unwind(draft)


def anew(draft: Draft, class_: EncounterClass, time: datetime, *, report: bool) -> Outcome | None:
    """The right start as a new chain (13.13), at the same place."""
    stay = draft.stay
    untold = Untold(class_=class_, start=time, report=report)
    draft.set_stay(Stay(hospital=stay.hospital, unit=stay.unit, moves=stay.moves, untold=untold))
    return tell_start(draft)


def revert(draft: Draft, earlier: Sent) -> Outcome | None:
    """13.16: the contact type before the change again, without a request: it was made for this attendance."""
    return anew(draft, earlier.class_, earlier.time, report=False)


def unstart(draft: Draft) -> Outcome | None:
    """A11: the start was wrong. One that had changed the contact type leaves the type before it (13.16)."""
    sent, here = draft.stay.sent, not draft.visit.left and not draft.stay.gone
    started = sent.index(start_of(sent))
    earlier = sent[:started] if here and state_of(draft.stay.sent) in OPEN else ()
    unwind_all(draft)
    return revert(draft, earlier[-1]) if earlier else None


def delete(draft: Draft) -> Outcome | None:
    """A23, A29: nothing of the visit was right."""
    unwind_all(draft)
    return None


def withdraw(draft: Draft) -> Outcome | None:
    """A start that was never told was wrong: forgotten, and with it what other hospitals of the visit had told."""
    draft.set_stay(Stay(hospital=draft.stay.hospital, unit=draft.stay.unit))
    if draft.visit.left:
        unwind_all(draft)
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
    unwind(draft)
    visit = draft.visit
    if visit.left:
        draft.visit = replace(visit, stay=visit.left[-1], left=visit.left[:-1])
    return None
