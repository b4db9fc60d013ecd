"""Why no municipality is notified of an event, in words: for people at `stafet replay` (acceptance.md). Pure, and decides nothing.

What is decided: `stay/rules.DECISIONS` (spec 01 §21.1) and the rules of a person; here are words for their rows.
"""

from collections.abc import Mapping
from typing import Final

from streams.messages.adt.triggers import row_of
from streams.stay.rules import Cause, cause_of
from streams.stay.state import Situation, Visit, situation
from streams.words.model import EventKind, StayEvent

__all__ = ["LATER", "REASONS", "why_no_stay", "why_untold"]

#: Reason code -> words, of what has no words of its own (01 §§11, 12, 21.1; 04 §§4.3-4.5; 05 §4).
REASONS: Final[Mapping[str, str]] = {
    "duplicate": "this very message has been taken before",
    "repeat": "the municipality has been notified of the event already, with the same time",
    "transfer": "the stay goes on at another hospital, which notifies",
    "held": "the event waits: for its time, or for the START of its stay",
    "no-official-cpr": "the person has no official CPR number, so no municipality is notified",
    "not-representable": "the format of the municipality has no form for this notice",
    "internal-error": "a fault of ours",
}

#: Of an event that was held, taken up later, and led to nothing.
LATER: Final = "it has waited, and when it was taken up there was nothing to notify"

_KINDS: Final[Mapping[EventKind, str]] = {
    EventKind.IRRELEVANT: "this trigger says nothing about a stay (04 §4.1)",
    EventKind.PLANNED: "planned: it has not happened (04 §4.1)",
    EventKind.PLANNED_CANCELLED: "a plan was cancelled, and a plan is never notified (04 §4.1)",
    EventKind.PERSON_CHANGED: "what is new about the person goes with the next notice (01 §13.10)",
    EventKind.PERSON_MERGED: "no stay is known of the person that was merged",
    EventKind.STAY_MOVED: "the visit has another number or person now, of which nothing stands notified",
    EventKind.DELETED: "there is no open stay to delete",
}
_OUTPATIENT: Final = "the class in PV1-2 is neither inpatient nor emergency, so it is no stay to notify (04 §3.1)"

_CAUSES: Final[Mapping[Cause, str]] = {
    Cause.PLAN: "a planned or outpatient attendance is never notified (01 §11.10)",
    Cause.TO_OUTPATIENT: "the attendance goes on as outpatient",
    Cause.WARD: "a move within the hospital is not notified (01 §21.1)",
    Cause.WARD_BACK: "a move within the hospital was taken back, and a move is not notified (01 §21.1)",
    Cause.ELSEWHERE: "a move to another hospital of the same stay is not notified (01 §12)",
    Cause.ELSEWHERE_BACK: "a move to another hospital was taken back",
    Cause.NO_END: "a discharge of this disposition ends no stay (04 §3.2)",
    Cause.UPDATE: "nothing has changed that a municipality is notified of (01 §13)",
    Cause.PERSON: "what is new about the person goes with the next notice (01 §13.10)",
    Cause.LEAVE_SILENT: "a leave that is not to the home is not notified (01 §11.6)",
    Cause.DELETE: "nothing stands notified that would be deleted",
    Cause.MERGE: "the person has another number, and nothing that stands notified changes",
    Cause.NOTHING: "the event says nothing about a stay that is notified",
}

_SITUATIONS: Final[Mapping[Situation, str]] = {
    Situation.NONE: "no start of it is known",
    Situation.PLANNED: "it is planned or outpatient",
    Situation.PENDING: "its start is not notified yet: number or municipality of the person is missing",
    Situation.ACUTE: "acute ambulant",
    Situation.ADMITTED: "admitted",
    Situation.LEAVE: "on leave",
    Situation.GONE: "gone to another hospital",
    Situation.CLOSED: "ended",
    Situation.DEAD: "ended by death",
    Situation.VOID: "entered in error",
}


def why_no_stay(trigger: str) -> str:
    """Of a message that reaches no stay, by its trigger."""
    row = row_of(trigger)
    return _KINDS.get(row.kind, _OUTPATIENT)


def why_untold(event: StayEvent, before: Visit | None) -> str:
    """Of an event that has changed its stay, at most, and gave no notice; `before`: the visit that it met."""
    visit = before or Visit(id=event.visit, lane=event.lane, feed=event.feed, number=event.visit_number)
    words = _CAUSES.get(
        cause_of(visit, event), "nothing of it stands notified, so nothing changes for the municipality"
    )
    return f"{words}; the stay: {_SITUATIONS[situation(visit.stay)]}"
