"""Another person than was told: merges, moved visits, a CPR number known at last (spec 01 §21.1, 04 §4.4).

A notified stay is unwound under the old CPR number, because that is the record it must be found in (13.14), and told
anew under the new one. A stay not told yet simply gets its person.
"""

from msgspec.structs import replace

from streams.words.codes import Notice
from streams.words.model import Outcome

from .cancel import anew, unwind_all
from .notify import Draft, Refused, tell, tell_start
from .state import Situation, Stay, situation, start_of

__all__ = ["is_other_person", "merge", "person", "settle_person"]


def is_other_person(draft: Draft) -> bool:
    """Whether the event names another CPR number than the stay. None is silence, not another person."""
    old, new = draft.visit.patient, draft.event.patient
    return old is not None and new is not None and old.cpr != new.cpr


def merge(draft: Draft) -> Outcome | None:
    """The CPR of a notified stay changes: unwind under the old one, then one start under the new one (21.1, 13.14).

    A stay that has ended is only unwound: a start without end would be false. A death is told again, it is true of
    the right person. A report is asked for: none was for this citizen.
    """
    if not is_other_person(draft):
        if draft.event.patient is None:
            raise Refused("not-allowed", "a notified stay would lose its CPR number", "decide by hand", "PID-3")
        return None
    was, stay, top = situation(draft.stay), draft.stay, draft.stay.sent[-1]
    start = start_of(stay.sent)
    unwind_all(draft)
    draft.visit = replace(
        draft.visit, stay=replace(draft.stay, hospital=stay.hospital, unit=stay.unit, moves=stay.moves)
    )
    _learn_person(draft)
    if was in (Situation.CLOSED, Situation.GONE):
        return None
    outcome = anew(draft, start.class_, start.time, report=True)
    if outcome is None and was is Situation.DEAD:
        tell(draft, Notice.MORS, time=top.time)
    return outcome


def person(draft: Draft) -> Outcome | None:
    """The person of a stay of which nothing stands: the START is told now if it is still to come (04 §4.4)."""
    settle_person(draft)
    untold = draft.stay.untold
    return tell_start(draft) if untold and not untold.over and not untold.planned else None


def settle_person(draft: Draft) -> None:
    """Another CPR while nothing stands here: what hospitals before this one had told is taken back under the old one."""
    if not is_other_person(draft):
        return
    here = draft.stay
    draft.set_stay(Stay())
    unwind_all(draft)
    draft.set_stay(here)
    _learn_person(draft)


def _learn_person(draft: Draft) -> None:
    """The other person, with the residence that the event gives: the old one is somebody else's."""
    event = draft.event
    draft.visit = replace(
        draft.visit, patient=event.patient, residence=event.residence, residence_problem=event.residence_problem
    )
