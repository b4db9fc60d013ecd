"""A type of message that nobody has, as its folder would offer it: written by others, and only relayed."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from streams.messages.message_type import MessageType
from streams.words.codes import Notice
from streams.words.ids import EpisodeId, EventId, Gln, Ids, Kommunekode, Lane, MessageId, Sor
from streams.words.model import Link, Outgoing, Unit
from tests.meanings.notifications import HEART, bundle, notification

ROW = MessageType(
    name="care-letter",
    folder="care_letter",
    event="care-letter-message",
    profile="toy-care-letter-message",
    version="5.0",
    document="TOY:FCARE",
    document_version="5.0",
    postfixes=frozenset({"note"}),
    postfix_of=lambda activity: "note",
    header="letter",
    activities={"new-note": "Nyt brev / New note (new-note)"},
    relayed=True,
)


UNIT = Unit(sor=Sor("999004611000016004"), gln=Gln("2990000004611"), name="Hjemmeplejen, Odense Kommune (test)")


def written_by_others(message_id: str) -> dict[str, Any]:
    """The Bundle of its author: a notification but for the event, the profile, the activity and the id."""
    letter = bundle(notification(Notice.STIN), UNIT)
    own = letter["entry"][0]["resource"]
    target = f"MessageHeader/{own['id']}"
    own |= {"id": message_id, "eventCoding": own["eventCoding"] | {"code": ROW.event}}
    for entry in letter["entry"]:
        resource = entry["resource"]
        if resource["resourceType"] == "Provenance" and resource["target"] == [{"reference": target}]:
            resource["target"] = [{"reference": f"MessageHeader/{message_id}"}]
            resource["activity"]["coding"][0]["code"] = "new-note"
    return letter | {"meta": {"profile": [f"http://example.org/{ROW.profile}"]}}


@dataclass(frozen=True)
class CareLetter:
    """One letter on its way through."""

    bundle: dict[str, Any]
    lane: Lane
    assembled: datetime

    @property
    def outgoing(self) -> Outgoing:
        kinds = {entry["resource"]["resourceType"]: entry["resource"] for entry in self.bundle["entry"]}
        return Outgoing(
            message_type=ROW.name,
            to=Kommunekode("0461"),
            label="note",
            class_="",
            follows=False,
            message_id=MessageId(kinds["MessageHeader"]["id"]),
            lane=self.lane,
            visit=EpisodeId(""),
            event_id=EventId("letter-1"),
            assembled=self.assembled,
            activity="new-note",
            previous="",
            sender=HEART,
            cpr=kinds["Patient"]["identifier"][0]["value"],
        )


def arrived(message_id: str, at: datetime, ids: Ids) -> CareLetter:
    """A letter as it is taken in: its lane is computed from the id of its author."""
    lane = ROW.lane(message_id, ids)
    assert lane is not None
    return CareLetter(written_by_others(message_id), lane, at)


# ---- what its folder offers ----------------------------------------------------------------------------------------


def write(letter: CareLetter, receiver: Unit, envelope_id: str) -> dict[str, Any]:
    return letter.bundle | {"id": envelope_id}


def compose(letter: CareLetter, receiver: Unit, envelope_id: str, form: Any) -> tuple[bytes, list[Any]]:
    return form.write(write(letter, receiver, envelope_id)), []


def keep(letter: CareLetter) -> tuple[bytes, tuple[Link, ...]]:
    return msgspec.json.encode(letter), ()


def restore(data: bytes, chain: tuple[Link, ...]) -> CareLetter:
    return msgspec.json.decode(data, type=CareLetter)


def redispatch(bundle: dict[str, Any], envelope_id: str, at: datetime) -> dict[str, Any]:
    return bundle | {"id": envelope_id}


def lacking(letter: CareLetter) -> None:
    return None


def inspect(data: bytes) -> dict[str, Any]:
    return {"kind": ROW.name, "valid": True, "issues": [], "reading": {}}
