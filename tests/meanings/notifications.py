"""Notifications ready to be written: every notice and contact type with the chain that leads to it (spec 01 §10).

`notification(Notice.SLOR)` is the last of the shortest story that ends in that notice; `story(Notice.STIN, ...)` gives
every message of a story of one's own. One hour lies between two events; each is assembled one second and sent two
seconds after its event (7.5).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from streams.messages.hospitalnotification.write import write
from streams.records.trace import About, TracedDocument
from streams.words.codes import (
    NOTICES,
    SOR_ENDPOINT,
    EncounterClass,
    EncounterStatus,
    Notice,
    Role,
    postfix_of_activity,
)
from streams.words.ids import EnvelopeId, EventId, Gln, Ids, Kommunekode, MessageId, Sor
from streams.words.model import EpisodeIdentifier, Link, Notification, Patient, Unit

__all__ = [
    "BEGIN",
    "CASES",
    "EPISODE",
    "HEART",
    "IDS",
    "LANE",
    "MUNICIPALITY",
    "PATIENT",
    "SURGERY",
    "TRACED",
    "about",
    "bundle",
    "envelope_id",
    "notification",
    "path_to",
    "story",
]

IDS = Ids(secret=b"only for the test suite")
HEART = Unit(
    sor=Sor("265161000016000"), gln=Gln("5790000209354"), name="Hjerteafdelingen på Herlev og Gentofte hospital"
)
SURGERY = Unit(sor=Sor("399841000016000"), gln=Gln(""), name="Kirurgisk sengeafsnit K1 & K2")
MUNICIPALITY = Unit(sor=Sor("953741000016009"), gln=Gln("5790001348120"), name="Plejecenter Herlev")
PATIENT = Patient(cpr="2509479989", family="Elmer", given=("Bruno", "Test"))
EPISODE = IDS.episode("EPJ-TEST", "visit-1")
LANE = IDS.lane(EPISODE)
BEGIN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

_N = Notice
_STARTS: dict[EncounterClass, Notice] = {"EMER": _N.STAA, "IMP": _N.STIN}
#: What comes before a notice, after the start of its contact type.
_BEFORE: dict[Notice, tuple[Notice, ...]] = {
    _N.SLOR: (_N.STOR,),
    _N.RE_STOR: (_N.STOR,),
    _N.AN_STOR: (_N.STOR,),
    _N.RE_SLOR: (_N.STOR, _N.SLOR),
    _N.AN_SLOR: (_N.STOR, _N.SLOR),
    _N.RE_SLHJ: (_N.SLHJ,),
    _N.AN_SLHJ: (_N.SLHJ,),
    _N.RE_MORS: (_N.MORS,),
    _N.AN_MORS: (_N.MORS,),
}
_BOTH = (_N.SLHJ, _N.RE_SLHJ, _N.AN_SLHJ, _N.MORS, _N.RE_MORS, _N.AN_MORS)

#: Every notice with every contact type it has: 24 cases, "STIN-IMP".
CASES: dict[str, tuple[Notice, EncounterClass]] = {
    f"{notice}-{class_}": (notice, class_)
    for notice in Notice
    for class_ in ("EMER", "IMP")
    if notice in _BOTH or class_ == ("EMER" if "STAA" in notice else "IMP")
}


def path_to(notice: Notice, class_: EncounterClass) -> tuple[Notice, ...]:
    """The shortest story that ends in a notice."""
    start = _STARTS[class_]
    return (notice,) if notice is start else (start, *_BEFORE.get(notice, ()), notice)


@dataclass
class _Stay:
    """What the stay looks like while its story goes on."""

    class_: EncounterClass
    status: EncounterStatus = "in-progress"
    start: datetime = BEGIN
    end: datetime | None = None
    leave_start: datetime | None = None
    leave_end: datetime | None = None
    deceased: bool | None = None
    chain: list[Link] = field(default_factory=list)

    def happens(self, notice: Notice, at: datetime) -> None:
        status = NOTICES[notice].status
        self.status = "in-progress" if status is None else status
        self.deceased = NOTICES[notice].deceased
        self.end = at if self.status == "finished" else None
        if notice in (_N.STAA, _N.STIN, _N.RE_STAA, _N.RE_STIN):
            self.class_ = "EMER" if notice.family == "STAA" else "IMP"
            self.start = at - timedelta(minutes=30) if notice.is_correction else at
        elif notice in (_N.STOR, _N.RE_STOR):
            self.leave_start, self.leave_end = at, None
        elif notice in (_N.SLOR, _N.RE_SLOR):
            self.leave_end = at
        elif notice is _N.AN_SLOR:
            self.leave_end = None
        else:
            self.leave_start, self.leave_end = None, None

    def link(self, notice: Notice, at: datetime, agent: Unit) -> None:
        ordinal = len(self.chain)
        own = NOTICES[notice].activity
        role: Role = "" if not self.chain else "removal" if notice.is_cancellation else "revision"
        self.chain.append(
            Link(
                message_id=MessageId(IDS.mint(LANE, "MessageHeader", EPISODE, str(ordinal))),
                provenance_id=IDS.mint(LANE, "Provenance", EPISODE, str(ordinal)),
                notice=notice,
                activity=own[self.class_] if own else self._current_activity(),
                occurred=at + timedelta(seconds=2),
                role=role,
                previous=self.chain[-1].message_id if self.chain else "",
                agent=agent,
            )
        )

    def _current_activity(self) -> str:
        return self.chain[-1].activity if self.chain else NOTICES[_STARTS[self.class_]].activity[self.class_]

    def notified(self, notice: Notice, at: datetime, to: Unit) -> Notification:
        asks = not self.chain[:-1] and notice in (_N.STAA, _N.STIN)
        return Notification(
            notice=notice,
            message_id=self.chain[-1].message_id,
            lane=LANE,
            visit=EPISODE,
            ordinal=len(self.chain) - 1,
            event_id=EventId("0" * 32),
            assembled=at + timedelta(seconds=1),
            class_=self.class_,
            status=self.status,
            start=self.start,
            end=self.end,
            leave_start=self.leave_start,
            leave_end=self.leave_end,
            deceased=self.deceased,
            patient=PATIENT,
            sender=to,
            provider=to,
            report_of_admission=asks,
            report_recipient=to if asks else None,
            episode=(EpisodeIdentifier(system=SOR_ENDPOINT + HEART.sor, value=EPISODE),),
            to=Kommunekode("0163"),
            chain=tuple(self.chain),
        )


def story(
    *notices: Notice, class_: EncounterClass = "IMP", sender: Unit = HEART, begin: datetime = BEGIN
) -> Iterator[Notification]:
    """The message of each notice in turn, one hour apart, all of one chain."""
    stay = _Stay(class_, start=begin)
    for hour, notice in enumerate(notices):
        at = begin + timedelta(hours=hour)
        stay.happens(notice, at)
        stay.link(notice, at, sender)
        yield stay.notified(notice, at, sender)


def notification(notice: Notice, class_: EncounterClass | None = None, **changes: Any) -> Notification:
    """The last message of the shortest story that ends in `notice`, with `changes` to its fields."""
    contact: EncounterClass = class_ or ("EMER" if notice.family == "STAA" else "IMP")
    *_, last = story(*path_to(notice, contact), class_=contact)
    return msgspec.structs.replace(last, **changes)


def envelope_id(notified: Notification, attempt: int = 1) -> EnvelopeId:
    """The Bundle.id of one dispatch of it."""
    return EnvelopeId(IDS.mint(LANE, "Bundle", notified.message_id, str(attempt)))


def bundle(notified: Notification, receiver: Unit = MUNICIPALITY) -> dict[str, Any]:
    """The notification written for a municipality."""
    return write(notified, receiver, envelope_id(notified))


#: What status events name a notification.
TRACED = TracedDocument("hospital-notification-message", "3.0")


def about(notified: Notification, receiver: Unit = MUNICIPALITY, document: TracedDocument = TRACED) -> About:
    """What the status events of a notification are about."""
    postfix = postfix_of_activity(notified.activity)
    return About(notified.message_id, document, postfix, notified.sender, receiver, notified.patient.cpr)
