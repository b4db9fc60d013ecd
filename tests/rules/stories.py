"""Notifications as a receiver sees them, as stories: `Story().add(STIN).add(STOR)` chains them by itself."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from streams.messages.hospitalnotification import HospitalNotification
from streams.receiver.stays import Subscriber, SubscriberAnswer, receive
from streams.words.codes import EncounterClass, EncounterStatus, Notice
from streams.words.ids import Gln, Sor
from streams.words.model import EpisodeIdentifier, Unit

__all__ = ["BEGIN", "HEART", "MIDT", "Story", "received"]

BEGIN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
HEART = Unit(sor=Sor("265161000016000"), gln=Gln("5790000209354"), name="Hjertemedicin")
MIDT = Unit(sor=Sor("953741000016009"), gln=Gln("5790001348120"), name="Akutafdelingen")
EPISODE = "11111111-1111-4111-8111-111111111111"

_STATUS: dict[Notice, EncounterStatus] = {
    Notice.STOR: "onleave",
    Notice.RE_STOR: "onleave",
    Notice.AN_SLOR: "onleave",
    Notice.SLHJ: "finished",
    Notice.RE_SLHJ: "finished",
    Notice.MORS: "finished",
    Notice.RE_MORS: "finished",
    Notice.AN_STIN: "entered-in-error",
    Notice.AN_STAA: "entered-in-error",
}


@dataclass
class Story:
    """One chain of one stay; every notice received follows the one before, an hour later."""

    cpr: str = "2509479989"
    episode: str = EPISODE
    sender: Unit = HEART
    begin: datetime = BEGIN
    messages: list[HospitalNotification] = field(default_factory=list)

    def add(self, notice: Notice, **changes: Any) -> HospitalNotification:
        """The next notification of the chain; `changes` override what the story would give."""
        number = len(self.messages)
        earlier = [m.message_id for m in self.messages]
        at = self.begin + timedelta(hours=number)
        own = f"{self.sender.sor}-{self.begin:%d%H}-{number}"
        acute = notice.family == "STAA" or (bool(self.messages) and self.messages[-1].class_ == "EMER")
        class_: EncounterClass = "EMER" if acute and notice.family != "STIN" else "IMP"
        values: dict[str, Any] = {
            "message_id": own,
            "envelope_id": f"envelope of {own}",
            "activity": "",
            "chain": (*earlier, own),
            "previous": earlier[-1] if earlier else "",
            "notice": notice,
            "class_": class_,
            "status": _STATUS.get(notice, "in-progress"),
            "occurred": at,
            "cpr": self.cpr,
            "episode": (EpisodeIdentifier(system="https://sor2.sum.dsdn.dk/#id=1", value=self.episode),),
            "start": self.begin,
            "sender": self.sender,
            "provider": self.sender,
        }
        message = HospitalNotification(**(values | changes))
        self.messages.append(message)
        return message


def received(*messages: HospitalNotification) -> tuple[Subscriber, list[SubscriberAnswer]]:
    """A fresh subscriber after these messages, and its answers in order."""
    subscriber, answers = Subscriber(), []
    for message in messages:
        subscriber, answer = receive(subscriber, message)
        answers.append(answer)
    return subscriber, answers
