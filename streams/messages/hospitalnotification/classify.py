"""Which of the eighteen notices a message is (spec 01 §9.2), and which combinations of codes a notice has (§10).

MORS has no activity of its own: it repeats the current one and is known by `deceasedBoolean`. So RE_MORS differs
from MORS only by its predecessor: a death that the reader knows of, or one that the chain itself shows.
"""

from typing import Final

from streams.words.codes import FAMILY_OF_ACTIVITY, NOTICES, Notice, plain_activity

__all__ = ["COMBINATIONS", "classify"]

_PREFIX: Final = {"cancel-": "AN_", "revise-": "RE_"}


def classify(activity: str, role: str, deceased: bool | None, *, after_death: bool) -> Notice | None:
    """The notice of a message from its current Provenance and Patient.deceasedBoolean; None for a foreign activity.

    `after_death`: the message it follows (entity.what) was itself a MORS.
    """
    code = activity.lower()
    family = FAMILY_OF_ACTIVITY.get(plain_activity(code))
    if family is None:
        return None
    if deceased:
        return Notice.RE_MORS if after_death else Notice.MORS
    if deceased is False and role == "removal" and not code.startswith("cancel-"):
        return Notice.AN_MORS
    return Notice(_PREFIX.get(code[:7], "") + family)


def _roles(notice: Notice) -> tuple[str, ...]:
    if notice.is_cancellation:
        return ("removal",)
    return ("", "revision") if notice in (Notice.STAA, Notice.STIN, Notice.MORS) else ("revision",)


def _statuses(notice: Notice) -> tuple[str, ...]:
    """Deaths on arrival are `in-progress` in the test scripts (10.3); AN_MORS restores what was before."""
    if notice is Notice.AN_MORS:
        return ("in-progress", "onleave")
    status = str(NOTICES[notice].status)
    return (status, "in-progress") if NOTICES[notice].deceased else (status,)


def _classes(notice: Notice) -> tuple[str, ...]:
    row = NOTICES[notice]
    if len(set(row.activity.values())) == 1:  # the activity names the contact type: emergency, else inpatient
        return ("EMER",) if row.activity["EMER"].endswith("emergency") else ("IMP",)
    return ("EMER", "IMP")


#: (notice, class, status, deceased, role) as spec 01 §10 has them: rule P-2.
COMBINATIONS: Final = frozenset(
    (notice, class_, status, NOTICES[notice].deceased, role)
    for notice in Notice
    for class_ in _classes(notice)
    for status in _statuses(notice)
    for role in _roles(notice)
)
