"""The types of message that the product knows and the formats in which one can leave, a row each.

The rows hold what registers, envelopes, records and commands call them. A new type is a folder of `messages` and a row
here; one that the lane sends is a row of `sending` too. What a folder offers is imported there and where a document is
judged, so that a list of names loads no writer and no profile.

A register may name each format, the preferred first (05 §6.4.3). One without a writer is refused when the registers are
loaded; what stands in no row cannot be named at all. A new format is a folder, a row here and a row each of
`sending.WRITERS` (or `sending.LETTERS`) and `sending.READERS`.

The lane of a message is found by its type (07, 8.2). The id of a message that is composed here begins with its lane (00
§1.3). A message that is only relayed has the id that its author gave it; its lane is computed from that id, for whatever
stands at the front of it means nothing.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, Protocol

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
    Family,
    Notice,
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
    registered: str = (
        ""  # its event code as EHMI has registered it, when that is spelled otherwise (02 §3.1, DOCUMENTID)
    )
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

        MessageHeader.id of a relayed message is its author's; its id in a legacy letter is ours.
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
            registered="hospitalnotification-message",
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


#: What XDIS20/DIS20 and XDIS17/DIS17 can express (spec 04, 13.2); leave and acute ambulatory stays have no form. The end
#: of an acute stay has one where an admission stands as a letter (00 §7.4): that is known when the letter is written.
LEGACY_FORMS: Final = frozenset(
    {(Family.STIN, "IMP"), (Family.SLHJ, "IMP"), (Family.SLHJ, "EMER"), (Family.MORS, "IMP"), (Family.MORS, "EMER")}
)


class Switches(Protocol):
    """What a municipality wants of a form that cannot express everything (05 §6.3)."""

    @property
    def send_acute_as_admission(self) -> bool:
        """An acute ambulant stay is sent as an admission."""

    @property
    def cancel_on_class_change(self) -> bool:
        """An admission that becomes acute ambulant is taken back."""


def has_legacy_form(notice: str, class_: str, switches: Switches) -> bool:
    """Whether XDIS/DIS may have a form for a notice about a stay of this class."""
    family = Notice(notice).family
    acute = switches.send_acute_as_admission or switches.cancel_on_class_change
    return (family, class_) in LEGACY_FORMS or (family is Family.STAA and acute)


class Format(NamedTuple):
    """One format. In registers it is a `family` and, for FHIR, a media type."""

    name: str  # in addresses and commands
    family: str
    media_type: str
    label: str  # Document/Format of a VANSEnvelope (02 §2.2)
    #: Name and version of a document of that type with that activity, of a letter with that number (02 §2.3); None: there
    #: is no writer yet.
    document: Callable[[MessageType, str], tuple[str, str]] | None = None
    #: Version by message type; FHIR has that of the type.
    versions: Mapping[str, str] | None = None
    #: Whether it can express a message, by its label, the class of the stay and what the municipality wants.
    represents: Callable[[str, str, Switches], bool] = lambda label, class_, switches: True
    #: Lane and MessageHeader.id -> the id of the message in this format, as its receipts quote it (00 §1.3).
    letter_id: Callable[[Lane, str], str] = lambda lane, message_id: message_id
    letter: bool = False  # a legacy format: it is composed as a letter, not written from a Bundle
    interchange: bool = False  # it is its own envelope
    #: Type and version of its receipt with that verdict, in status events; None: that of an acknowledgement (03 §4.3).
    receipt: Callable[[str], tuple[str, str]] | None = None
    letters: Mapping[str, str] = {}  # names that are read in a VANSEnvelope -> form of their version

    def version_of(self, message_type: MessageType) -> str:
        """The version that a register states for this type; "" when the type has no such form."""
        return message_type.version if self.versions is None else self.versions.get(message_type.name, "")


def _fhir(message_type: MessageType, activity: str) -> tuple[str, str]:
    return message_type.document_name(activity), message_type.document_version


_XDIS_VERSIONS: Final = {HOSPITAL_NOTIFICATION: "XD2030C+XD1730C"}  # always as a pair (05 §6.3)
_DIS_VERSIONS: Final = {HOSPITAL_NOTIFICATION: "D2030C+D1730C"}


def _receipt(verdict: str) -> str:
    return "03" if verdict == "ok" else "02"  # 04 §12


#: By name.
FORMATS: Final[dict[str, Format]] = {
    row.name: row
    for row in (
        Format("fhir-json", "fhir", "application/fhir+json", "HL7", _fhir),
        Format("fhir-xml", "fhir", "application/fhir+xml", "HL7", _fhir),
        Format(
            "oioxml",
            "oioxml",
            "",
            "XML",
            lambda message_type, number: (f"MCM:XDIS{number}", f"XD{number}30C"),
            versions=_XDIS_VERSIONS,
            represents=has_legacy_form,
            letter=True,
            receipt=lambda verdict: (f"XCTL{_receipt(verdict)}", f"XC{_receipt(verdict)}30Q"),
            letters={
                "MCM:XDIS20": r"XD20\d\d[A-Z]",
                "MCM:XDIS17": r"XD17\d\d[A-Z]",
                **dict.fromkeys(("MCM:XCTL01", "MCM:XCTL02", "MCM:XCTL03"), r"XC0[123]\d\d[A-Z]"),
            },
        ),
        Format(
            "edifact",
            "edifact",
            "",
            "EDIFACT",
            lambda message_type, number: (f"DIS{number}", f"D{number}30C"),
            versions=_DIS_VERSIONS,
            represents=has_legacy_form,
            letter=True,
            interchange=True,
            receipt=lambda verdict: (f"CTL{_receipt(verdict)}", f"C{_receipt(verdict)}30Q"),
        ),
    )
}
