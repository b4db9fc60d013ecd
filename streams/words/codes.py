"""The codes of the standard, each row with its source. Checked against the published value sets by tests.

A municipality gets one of eighteen notices: six types, each plain, corrected (RE_) or cancelled (AN_). Their use-case
codes are names in documents and on screens and never occur inside the FHIR message (spec 01).

Who publishes the standards, and under which addresses, stands here and nowhere else (00 §10.2). These addresses are
identifiers, not places to look at: they stay as the packages print them for as long as the versions that we write are
in force, whatever authority keeps the standard. When a version with other addresses is taken into use, the address changes here.
"""

from enum import StrEnum
from typing import Final, Literal, NamedTuple

#: Who keeps the standards; from 1 January 2027 Digital Sundhed Danmark (00 §10.2). Shown to people, never sent.
AUTHORITY: Final = "MedCom"

#: Profiles and code systems of messages: medcom.fhir.dk.hospitalnotification 3.0, .acknowledgement 2.0, .terminology.
FHIR_GUIDES: Final = "http://medcomfhir.dk/"

#: How `fullUrl` begins (01, 6.6; 00 §3.1).
FULL_URLS: Final = "https://medcomfhir.dk/"

#: Code systems of messages (01 §3; 02 §4).
TERMINOLOGY: Final = f"{FHIR_GUIDES}ig/terminology/CodeSystem/"

#: Profiles and code systems of status events (03 §2).
EHMI: Final = "http://medcomehmi.dk/"

# Systems (spec 01 §3, §6; spec 02 §4)
CPR_SYSTEM: Final = "urn:oid:1.2.208.176.1.2"
SOR_SYSTEM: Final = "urn:oid:1.2.208.176.1.1"
GLN_SYSTEM: Final = "https://www.gs1.org/gln"
GLN_SYSTEMS_ACCEPTED: Final = frozenset({GLN_SYSTEM, "http://www.gs1.org/gln", "urn:oid:1.3.88"})  # 01, 6.5
LPR3_SYSTEM: Final = "https://www.esundhed.dk/Registre/Landspatientregisteret"  # 01, 14.2
ACT_SYSTEM: Final = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
EVENT_SYSTEM: Final = TERMINOLOGY + "medcom-messaging-eventCodes"
ACTIVITY_SYSTEM: Final = TERMINOLOGY + "medcom-messaging-activityCodes"
DESTINATION_USE_SYSTEM: Final = TERMINOLOGY + "medcom-messaging-destinationUse"
ACK_ERROR_SYSTEM: Final = TERMINOLOGY + "medcom-acknowledgement-error-codes"
SOR_ENDPOINT: Final = "https://sor2.sum.dsdn.dk/#id="  # followed by the SOR code (01, 3.2)

# Types of message as registers and commands name them, and their events (01 §2; 02 §4).
HOSPITAL_NOTIFICATION: Final = "hospital-notification"
ACKNOWLEDGEMENT: Final = "acknowledgement"
HOSPITAL_NOTIFICATION_EVENT: Final = "hospital-notification-message"
ACKNOWLEDGEMENT_EVENT: Final = "acknowledgement-message"

EncounterClass = Literal["EMER", "IMP"]
EncounterStatus = Literal["in-progress", "onleave", "finished", "entered-in-error"]
Role = Literal["", "revision", "removal"]
Verdict = Literal["ok", "transient-error", "fatal-error"]

ENCOUNTER_CLASSES: Final = frozenset({"EMER", "IMP"})
ENCOUNTER_STATUSES: Final = frozenset({"in-progress", "onleave", "finished", "entered-in-error"})
ACK_CODES: Final = frozenset({"ok", "transient-error", "fatal-error"})


class Family(StrEnum):
    """The six types of notice, before correction and cancellation."""

    STAA = "STAA"
    STIN = "STIN"
    STOR = "STOR"
    SLOR = "SLOR"
    SLHJ = "SLHJ"
    MORS = "MORS"


class Notice(StrEnum):
    """The eighteen notices (spec 01 §9)."""

    STAA = "STAA"
    RE_STAA = "RE_STAA"
    AN_STAA = "AN_STAA"
    STIN = "STIN"
    RE_STIN = "RE_STIN"
    AN_STIN = "AN_STIN"
    STOR = "STOR"
    RE_STOR = "RE_STOR"
    AN_STOR = "AN_STOR"
    SLOR = "SLOR"
    RE_SLOR = "RE_SLOR"
    AN_SLOR = "AN_SLOR"
    SLHJ = "SLHJ"
    RE_SLHJ = "RE_SLHJ"
    AN_SLHJ = "AN_SLHJ"
    MORS = "MORS"
    RE_MORS = "RE_MORS"
    AN_MORS = "AN_MORS"

    family: Family  # the type that this notice announces, corrects or cancels
    is_correction: bool  # RE_: wrong department or time only (spec 01, 13.1)
    is_cancellation: bool  # AN_: wrong person or wrong type only (spec 01, 13.1)

    def __init__(self, name: str) -> None:
        # Kept and not computed: every message asks for them a dozen times.
        self.family = Family(name[-4:])
        self.is_correction, self.is_cancellation = name.startswith("RE_"), name.startswith("AN_")


class NoticeRow(NamedTuple):
    """What spec 01 §9 and §10 fix for a notice. `None` in status or deceased: depends on the state before."""

    activity: dict[str, str]  # Encounter.class -> activity code; empty for the death family (9.1: current activity)
    status: EncounterStatus | None
    deceased: bool | None
    danish: str
    english: str


def _start(code: str, status: EncounterStatus, danish: str, english: str) -> NoticeRow:
    return NoticeRow({"EMER": code, "IMP": code}, status, None, danish, english)


def _end(prefix: str, status: EncounterStatus, danish: str, english: str) -> NoticeRow:
    codes = {"EMER": f"{prefix}discharge-emergency-home", "IMP": f"{prefix}discharge-inpatient-home"}
    return NoticeRow(codes, status, None, danish, english)


# The Danish texts are the published designations (spec 01 §9); statuses are those of spec 01 §10.
_ACUTE, _ADMITTED = "Start sygehusophold - akut ambulant", "Start sygehusophold - indlagt"
_HOME = "Slut sygehusophold - afsluttet til hjemmet/primær sektor"
_E_ACUTE, _E_ADMITTED = "Start hospital stay - acute ambulant", "Start hospital stay - admitted"
_E_HOME = "End hospital stay - completed to home/primary sector"

NOTICES: Final[dict[Notice, NoticeRow]] = {
    Notice.STAA: _start("admit-emergency", "in-progress", _ACUTE, _E_ACUTE),
    Notice.RE_STAA: _start("revise-admit-emergency", "in-progress", f"Rettelse {_ACUTE}", f"Revised {_E_ACUTE}"),
    Notice.AN_STAA: _start(
        "cancel-admit-emergency", "entered-in-error", f"Annullering {_ACUTE}", f"Cancelled {_E_ACUTE}"
    ),
    Notice.STIN: _start("admit-inpatient", "in-progress", _ADMITTED, _E_ADMITTED),
    Notice.RE_STIN: _start("revise-admit-inpatient", "in-progress", f"Rettelse {_ADMITTED}", f"Revised {_E_ADMITTED}"),
    Notice.AN_STIN: _start(
        "cancel-admit-inpatient", "entered-in-error", f"Annullering {_ADMITTED}", f"Cancelled {_E_ADMITTED}"
    ),
    Notice.STOR: _start("start-leave-inpatient", "onleave", "Start orlov", "Start of leave"),
    Notice.RE_STOR: _start("revise-start-leave-inpatient", "onleave", "Rettelse Start orlov", "Revised Start of leave"),
    Notice.AN_STOR: _start(
        "cancel-start-leave-inpatient", "in-progress", "Annullering Start orlov", "Cancelled Start of leave"
    ),
    Notice.SLOR: _start("end-leave-inpatient", "in-progress", "Slut orlov", "End of leave"),
    Notice.RE_SLOR: _start("revise-end-leave-inpatient", "in-progress", "Rettelse Slut orlov", "Revised End of leave"),
    Notice.AN_SLOR: _start("cancel-end-leave-inpatient", "onleave", "Annullering Slut orlov", "Cancelled End of leave"),
    Notice.SLHJ: _end("", "finished", _HOME, _E_HOME),
    Notice.RE_SLHJ: _end("revise-", "finished", f"Rettelse {_HOME}", f"Revised {_E_HOME}"),
    Notice.AN_SLHJ: _end("cancel-", "in-progress", f"Annullering {_HOME}", f"Cancelled {_E_HOME}"),
    Notice.MORS: NoticeRow({}, "finished", True, "Død", "Deceased"),
    Notice.RE_MORS: NoticeRow({}, "finished", True, "Rettelse Død", "Revised Deceased"),
    Notice.AN_MORS: NoticeRow({}, None, False, "Annullering Død", "Cancelled Deceased"),
}

#: Activity code -> text (spec 01 §9), Danish first, English second.
ACTIVITY_TEXTS: Final[dict[str, str]] = {
    code: f"{row.danish} / {row.english} ({code})" for row in NOTICES.values() for code in row.activity.values()
}

#: The 18 activity codes of ValueSet medcom-hospitalNotification-messageActivities (spec 01 §9).
ACTIVITIES: Final = frozenset(code for row in NOTICES.values() for code in row.activity.values())

#: Family of the plain activity code; prefixes revise- and cancel- are taken off first (spec 01 §9).
FAMILY_OF_ACTIVITY: Final[dict[str, Family]] = {
    "admit-emergency": Family.STAA,
    "admit-inpatient": Family.STIN,
    "start-leave-inpatient": Family.STOR,
    "end-leave-inpatient": Family.SLOR,
    "discharge-emergency-home": Family.SLHJ,
    "discharge-inpatient-home": Family.SLHJ,
}

#: Postfix of the VANS document name `MCM:FDIS20#…` (spec 01, 20.6; spec 02 §2.3): family of the activity.
VANS_POSTFIX: Final[dict[Family, str]] = {
    Family.STAA: "AcuteAmbulant",
    Family.STIN: "AdmissionInpatient",
    Family.STOR: "OnLeave",
    Family.SLOR: "EndOfLeave",
    Family.SLHJ: "EndHospitalStay",
}


def plain_activity(activity: str) -> str:
    """The activity code without revise- or cancel-, lower case (the system is not case-sensitive: spec 01 §9)."""
    return activity.lower().removeprefix("revise-").removeprefix("cancel-")


def postfix_of_activity(activity: str) -> str:
    """VANS postfix of an activity code of any kind (spec 02 §2.3)."""
    return VANS_POSTFIX[FAMILY_OF_ACTIVITY[plain_activity(activity)]]
