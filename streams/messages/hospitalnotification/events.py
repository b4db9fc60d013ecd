"""From a notification that a hospital has written itself to the event of a stay that it reports (decision 0063).

A hospital that sends FHIR tells what its municipality is to know; the relay takes it as one more dialect of a feed, so that
one stay is one lane whoever tells of it, and each municipality gets what its subscription says. A correction is the event
of its notice once more, with its right time. A cancelled start takes back what stands and starts nothing instead: the
hospital itself sends what is right, in a chain of its own (01, 13.16).
"""

from collections.abc import Sequence
from typing import Final

from streams.messages.adt.patient import is_official_cpr
from streams.messages.legacy.events import Author
from streams.person.row import Identity, KnownVisit, Reported
from streams.words.codes import LPR3_SYSTEM, Family, Notice
from streams.words.errors import Rejected
from streams.words.ids import EpisodeId, EventId, Kommunekode, Lane
from streams.words.model import Disposition, EventClass, EventKind, Snapshot, StayEvent

from .read import HospitalNotification

__all__ = ["events", "identity"]

K = EventKind

#: Family -> what a plain notice or its correction reports, and what its cancellation does.
_KINDS: Final = {
    Family.STAA: (K.START, K.DELETED),
    Family.STIN: (K.START, K.DELETED),
    Family.STOR: (K.LEAVE_START, K.LEAVE_START_CANCELLED),
    Family.SLOR: (K.LEAVE_END, K.LEAVE_END_CANCELLED),
    Family.SLHJ: (K.END, K.END_CANCELLED),
    Family.MORS: (K.END, K.END_CANCELLED),
}
_DISPOSITIONS: Final[dict[Family, Disposition]] = {Family.SLHJ: "home", Family.MORS: "death"}


def identity(message: HospitalNotification) -> Identity:
    """The person of a notification; it has an official number or is none (01, 3.4)."""
    return Identity((message.cpr,), False, ())


def events(
    message: HospitalNotification, author: Author, kommunekode: Kommunekode, visits: Sequence[KnownVisit]
) -> tuple[Reported, ...]:
    """The event that a notification reports; it passes our check. Raises `Rejected` without a person or an episode."""
    if not is_official_cpr(message.cpr):
        raise Rejected("Patient.identifier", "no official CPR number", "send the official number", "no-official-cpr")
    local = next((each.value for each in message.episode if each.system != LPR3_SYSTEM), "")
    if not local:
        raise Rejected("Encounter.episodeOfCare", "no local id of the stay", "send it first", "no-visit-id")
    family, cancels = message.notice.family, message.notice.is_cancellation
    kind = _KINDS[family][cancels]
    class_: EventClass = "EMER" if message.class_ == "EMER" else "IMP"
    known = next((visit for visit in visits if visit.local == local), None)
    if message.notice is Notice.STAA and known is not None and (known.state, known.class_) == ("open", "IMP"):
        kind = K.CLASS_CHANGE  # admitted before (01, 11.2)
    at, dead = message.shown_at, True if family is Family.MORS and not cancels else None
    event = StayEvent(
        id=EventId(""),
        kind=kind,
        lane=Lane(""),
        visit=EpisodeId(""),
        feed=author.feed.key,
        control_id=message.message_id,
        trigger=message.notice.value,
        visit_number=local,
        occurred=None if cancels else at,
        recorded=message.occurred,
        residence=kommunekode,
        lpr3=next((each.value for each in message.episode if each.system == LPR3_SYSTEM), ""),
        class_=class_,
        unit=author.unit,
        disposition=None if cancels else _DISPOSITIONS.get(family),
        snapshot=Snapshot(
            start_time=message.start,
            end_time=None if cancels else message.end,
            class_=class_,
            department=author.unit.sor,
            disposition=None if cancels else _DISPOSITIONS.get(family),
            dead=dead,
            death_time=at if dead else None,
            cpr=message.cpr,
            residence=kommunekode,
        ),
        correction=message.notice.is_correction,
        **author.feed.dialect,
    )
    return (Reported(event=event, who=identity(message), family=message.family, given=message.given),)
