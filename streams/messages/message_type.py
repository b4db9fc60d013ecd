"""The types of message that the product knows, a row each: what registers, envelopes, records and commands call them.

A new type is a folder of `messages` and a row here; one that the lane sends is a row of `sending` too. What a folder
offers is imported there and where a document is judged, so that a list of names loads no writer and no profile.

The lane of a message is found by its type (07, 8.2). The id of a message that is composed here begins with its lane (00
§1.3). A message that is only relayed has the id that its author gave it; its lane is computed from that id, for whatever
stands at the front of it means nothing.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from streams.records.trace import TracedDocument
from streams.words.codes import (
    ACK_CODES,
    ACKNOWLEDGEMENT,
    ACKNOWLEDGEMENT_EVENT,
    ACTIVITIES,
    ACTIVITY_TEXTS,
    HOSPITAL_NOTIFICATION,
    HOSPITAL_NOTIFICATION_EVENT,
    VANS_POSTFIX,
    postfix_of_activity,
)
from streams.words.ids import Ids, Lane, minted_lane


class MessageType(NamedTuple):
    """One type. `version` is that of its profile, in registers and status events; `relayed`: others write it."""

    name: str  # in registers and commands
    folder: str  # of `messages`
    event: str  # MessageHeader.eventCoding.code
    profile: str  # how the profile of its Bundle ends
    version: str
    document: str  # MedCom's statistical code, the name in a VANSEnvelope before `#` (02 §2.3)
    document_version: str
    postfixes: frozenset[str]  # what may stand after `#`
    postfix_of: Callable[[str], str]  # of an activity; of an acknowledgement, its verdict
    plain_name: bool = False  # the name without `#` is read too
    tolerated: Mapping[str, str] = {}  # other postfixes that partners use -> the one to send
    header: str = ""  # how the event type of its letters begins (00 §4.4)
    #: Of its Provenances, with their texts for people; an acknowledgement carries the newest Provenance of what it answers.
    activities: Mapping[str, str] = {}
    relayed: bool = False

    def document_name(self, activity: str) -> str:
        """The name in a VANSEnvelope: `MCM:FDIS20#` and the postfix of the activity."""
        return f"{self.document}#{self.postfix_of(activity)}"

    @property
    def traced(self) -> TracedDocument:
        """What status events name it."""
        return TracedDocument(self.event, self.version)

    def lane(self, message_id: str, ids: Ids) -> Lane | None:
        """The lane of the message of this type of which an id is quoted; None when it can have none.

        MessageHeader.id of a relayed message is its author's; its id in a letter of before FHIR is ours.
        """
        return (ids.lane_of_foreign(message_id) if self.relayed else None) or minted_lane(message_id)


#: By name, in the order in which they are shown.
MESSAGE_TYPES: Final[dict[str, MessageType]] = {
    row.name: row
    for row in (
        MessageType(
            name=HOSPITAL_NOTIFICATION,
            folder="hospitalnotification",
            event=HOSPITAL_NOTIFICATION_EVENT,
            profile="medcom-hospitalNotification-message",
            version="3.0",
            document="MCM:FDIS20",
            document_version="3.0.0",
            postfixes=frozenset(VANS_POSTFIX.values()),
            postfix_of=postfix_of_activity,
            # MedCom's governance asks for an activity code as postfix, and for a name that the code system has, which
            # excludes it (02 §2.3): we write the code system's, and partners that follow the other sentence are read.
            tolerated={activity: postfix_of_activity(activity) for activity in ACTIVITIES},
            header="advis",
            activities=ACTIVITY_TEXTS,
        ),
        MessageType(
            name=ACKNOWLEDGEMENT,
            folder="acknowledgement",
            event=ACKNOWLEDGEMENT_EVENT,
            profile="medcom-messaging-acknowledgement",
            version="2.0",
            document="MCM:FCTL",
            document_version="2.0.0",
            postfixes=ACK_CODES,
            postfix_of=str,
            plain_name=True,  # before terminology 2.0.0
            activities={"acknowledgement": "Kvittering / Acknowledgement (acknowledgement)"},
        ),
    )
}


def type_of_activity(activity: str) -> str:
    """The name of the type whose Provenances have this activity code, in lower case; no other code has one."""
    for row in MESSAGE_TYPES.values():
        if activity in row.activities:
            return row.name
    return HOSPITAL_NOTIFICATION
