"""The person a notification is about: the name that it cannot be without, and the number that status events have."""

from typing import Final

from streams.messages.common import Object
from streams.words.model import Fate, Notification, Outcome

__all__ = ["cpr_of", "lacking"]

#: A message needs the surname, name.family 1..1 (01, 3.4); without one there is none, whatever the source (04 §14.2).
_NAMELESS: Final = Outcome(
    fate=Fate.STOPPED,
    reason="no-name",
    path="PID-5",
    problem="no surname, and none known from before: Patient.name.family is 1..1",
    remedy="send the surname in PID-5.1, with this event or a person update (A31), and this event once more",
)


def lacking(notification: Notification) -> Outcome | None:
    """Why there can be no such message: nobody knows the surname; None when there can."""
    return None if notification.patient.family.strip() else _NAMELESS


def cpr_of(bundle: Object) -> str:
    """The CPR number of its patient, for the trace event of the profile that has one (03 §2.2)."""
    return next(
        str(entry["resource"]["identifier"][0]["value"])
        for entry in bundle["entry"]
        if entry["resource"]["resourceType"] == "Patient"
    )
