"""Which of the eighteen notices a message is (spec 01 §9.2), and which combinations of codes a notice has (§10).

MORS has no activity of its own: it repeats the current one and is known by `deceasedBoolean`. So RE_MORS differs
from MORS only by its predecessor: a death that the reader knows of, or one that the chain itself shows.
"""

from collections.abc import Container, Iterator
from typing import Final

from streams.messages.common import Object, View, activity_of, bare_id, first, predecessor_of, target_of, text_at
from streams.words.codes import FAMILY_OF_ACTIVITY, NOTICES, Notice, plain_activity

__all__ = ["COMBINATIONS", "classify", "notice_of"]

_PREFIX: Final = {"cancel-": "AN_", "revise-": "RE_"}

Combination = tuple[Notice, str, str | None, bool | None, str]


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


def notice_of(view: View, deaths: Container[str] = ()) -> Notice | None:
    """The notice of a message, None when its current Provenance does not say one.

    `deaths`: MessageHeader ids that the reader knows to be a MORS of this stay (9.2, 2).
    """
    if not view.current:
        return None
    provenance = view.current[0][1]
    deceased = view.patient[1].get("deceasedBoolean")
    return classify(
        activity_of(provenance),
        text_at(first(provenance, "entity"), "role") or "",
        deceased if isinstance(deceased, bool) else None,
        after_death=bare_id(predecessor_of(provenance)) in deaths or _is_after_death(view, provenance),
    )


def _is_after_death(view: View, provenance: Object) -> bool:
    """Whether the chain itself shows that the message before this one was a MORS (spec 01, 9.2).

    A MORS repeats the plain activity of its own predecessor with role revision; no other progress message does.
    """
    by_target = {target_of(p[1]): p[1] for p in view.provenances}
    before = by_target.get(predecessor_of(provenance))
    if before is None or before is provenance:
        return False
    earlier = by_target.get(predecessor_of(before))
    activity = activity_of(before)
    return (
        earlier is not None
        and text_at(first(before, "entity"), "role") == "revision"
        and not activity.startswith(("revise-", "cancel-"))
        and activity_of(earlier) == activity
    )


def _combinations() -> Iterator[Combination]:
    for notice, row in NOTICES.items():
        classes: tuple[str, ...] = ("EMER", "IMP")
        if len(set(row.activity.values())) == 1:  # the activity names the contact type: emergency, else inpatient
            classes = ("EMER",) if row.activity["EMER"].endswith("emergency") else ("IMP",)
        # Deaths on arrival are `in-progress` in the test scripts (10.3); AN_MORS restores what was before.
        statuses = [row.status, "in-progress"] if row.deceased else [row.status]
        if notice is Notice.AN_MORS:
            statuses = ["in-progress", "onleave"]
        roles = ["removal"] if notice.is_cancellation else ["revision"]
        if notice in (Notice.STAA, Notice.STIN, Notice.MORS):
            roles.append("")
        yield from (
            (notice, class_, status, row.deceased, role) for class_ in classes for status in statuses for role in roles
        )


#: (notice, class, status, deceased, role) as spec 01 §10 has them: rule P-2.
COMBINATIONS: Final = frozenset(_combinations())
