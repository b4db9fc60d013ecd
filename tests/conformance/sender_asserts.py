"""What MedCom's send scripts assert of a message, one function per row of the table of spec 01 §18.

Each takes a `Sent`: a message, what the flow shows of it, and the message it follows. It fails by AssertionError.
The rows of `ROWS` are those of spec 01 §10, written from the specification; nothing here asks the product's tables.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

__all__ = ["ALWAYS", "INITIAL", "LATER", "ROWS", "Row", "Sent"]

Resource = dict[str, Any]

_EXTENSION = "http://medcomfhir.dk/ig/hospitalnotification/StructureDefinition/medcom-messaging-reportOfAdmission"
_LPR3 = "https://www.esundhed.dk/Registre/Landspatientregisteret"
_V4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class Row(NamedTuple):
    """What a message must show (spec 01 §10); `flag`: it asks for a report of admission (§16), notified on the first only."""

    activity: str
    class_: str
    status: str
    deceased: bool | None = None
    flag: bool = False


#: A notice, and after the hyphen which of its kind: contact type, or what lies before a death.
ROWS: dict[str, Row] = {
    "STAA": Row("admit-emergency", "EMER", "in-progress", flag=True),
    "STIN": Row("admit-inpatient", "IMP", "in-progress", flag=True),
    "STIN-unasked": Row("admit-inpatient", "IMP", "in-progress"),
    "STOR": Row("start-leave-inpatient", "IMP", "onleave"),
    "SLOR": Row("end-leave-inpatient", "IMP", "in-progress"),
    "SLHJ-imp": Row("discharge-inpatient-home", "IMP", "finished"),
    "SLHJ-emer": Row("discharge-emergency-home", "EMER", "finished"),
    "MORS-arrival": Row("admit-inpatient", "IMP", "in-progress", True),  # 10.3, as the scripts ask
    "MORS-arrival-finished": Row("admit-inpatient", "IMP", "finished", True),  # 10.3, by the code table
    "MORS-imp": Row("admit-inpatient", "IMP", "finished", True),
    "MORS-emer": Row("admit-emergency", "EMER", "finished", True),
    "MORS-leave": Row("start-leave-inpatient", "IMP", "finished", True),
    "MORS-returned": Row("end-leave-inpatient", "IMP", "finished", True),
    "RE_STAA": Row("revise-admit-emergency", "EMER", "in-progress"),
    "RE_STIN": Row("revise-admit-inpatient", "IMP", "in-progress"),
    "RE_STOR": Row("revise-start-leave-inpatient", "IMP", "onleave"),
    "RE_SLOR": Row("revise-end-leave-inpatient", "IMP", "in-progress"),
    "RE_SLHJ-imp": Row("revise-discharge-inpatient-home", "IMP", "finished"),
    "RE_SLHJ-emer": Row("revise-discharge-emergency-home", "EMER", "finished"),
    "RE_MORS-arrival": Row("admit-inpatient", "IMP", "in-progress", True),
    "RE_MORS-arrival-finished": Row("admit-inpatient", "IMP", "finished", True),
    "RE_MORS-imp": Row("admit-inpatient", "IMP", "finished", True),
    "RE_MORS-emer": Row("admit-emergency", "EMER", "finished", True),
    "RE_MORS-leave": Row("start-leave-inpatient", "IMP", "finished", True),
    "AN_STAA": Row("cancel-admit-emergency", "EMER", "entered-in-error"),
    "AN_STIN": Row("cancel-admit-inpatient", "IMP", "entered-in-error"),
    "AN_STOR": Row("cancel-start-leave-inpatient", "IMP", "in-progress"),
    "AN_SLOR": Row("cancel-end-leave-inpatient", "IMP", "onleave"),
    "AN_SLHJ-imp": Row("cancel-discharge-inpatient-home", "IMP", "in-progress"),
    "AN_SLHJ-emer": Row("cancel-discharge-emergency-home", "EMER", "in-progress"),
    "AN_MORS-arrival": Row("admit-inpatient", "IMP", "in-progress", False),
    "AN_MORS-imp": Row("admit-inpatient", "IMP", "in-progress", False),
    "AN_MORS-emer": Row("admit-emergency", "EMER", "in-progress", False),
    "AN_MORS-leave": Row("start-leave-inpatient", "IMP", "onleave", False),
}


@dataclass(frozen=True)
class Sent:
    """One message of a flow. `names`: the message it follows, or corrects or cancels (13.9); None: it is the first."""

    expected: str  # key of ROWS
    bundle: Resource
    position: int  # in its chain, from 1
    names: "Sent | None"
    municipality: str
    payload: bytes

    @property
    def row(self) -> Row:
        """What it must show."""
        return ROWS[self.expected]

    def all(self, kind: str) -> list[Resource]:
        """The entries of a type."""
        return [e["resource"] for e in self.bundle["entry"] if e["resource"]["resourceType"] == kind]

    @property
    def header(self) -> Resource:
        """The MessageHeader: the first entry."""
        found: Resource = self.bundle["entry"][0]["resource"]
        return found

    @property
    def encounter(self) -> Resource:
        """The Encounter."""
        return self.all("Encounter")[0]

    @property
    def current(self) -> Resource:
        """The Provenance of this message."""
        return next(p for p in self.all("Provenance") if self.header["id"] in p["target"][0]["reference"])

    @property
    def episodes(self) -> list[Resource]:
        """Identifiers of the episode of care."""
        return [episode["identifier"] for episode in self.encounter["episodeOfCare"]]

    @property
    def sender_sor(self) -> str:
        """SOR number of the sending unit."""
        sender = self.header["sender"]["reference"]
        unit = next(o for o in self.all("Organization") if f"Organization/{o['id']}" == sender)
        return next(str(i["value"]) for i in unit["identifier"] if i["system"] == "urn:oid:1.2.208.176.1.1")

    def extension(self, name: str) -> Resource | None:
        """An extension of the header on the report of admission: `` (the flag) or `Recipient`."""
        url = f"{_EXTENSION}{name}Extension"
        return next((e for e in self.header.get("extension", []) if e["url"] == url), None)


# ---- of every message ----------------------------------------------------------------------------------------------


def event_is_a_hospital_notification(sent: Sent) -> None:
    assert sent.header["eventCoding"]["code"] == "hospital-notification-message"


def class_is_that_of_the_row(sent: Sent) -> None:
    assert sent.encounter["class"]["code"] == sent.row.class_


def status_is_that_of_the_row(sent: Sent) -> None:
    assert sent.encounter["status"] == sent.row.status


def activity_is_that_of_the_row(sent: Sent) -> None:
    assert [c["code"] for c in sent.current["activity"]["coding"]] == [sent.row.activity]


def a_provenance_targets_this_message(sent: Sent) -> None:
    targets = [t["reference"] for p in sent.all("Provenance") for t in p["target"]]
    assert sum(sent.header["id"] in target for target in targets) == 1


def deceased_is_that_of_the_row(sent: Sent) -> None:
    assert sent.all("Patient")[0].get("deceasedBoolean") is sent.row.deceased


def times_of_the_stay_show_the_danish_offset(sent: Sent) -> None:
    """`substring(19,3)` of the scripts: no fraction, no Z (7.2)."""
    leave = [e["valuePeriod"] for e in sent.encounter.get("extension", [])]
    times = [t for period in (sent.encounter["period"], *leave) for t in period.values()]
    assert times
    assert all(len(t) == 25 and t[19:22] in ("+01", "+02") for t in times), times


# ---- of the first message ------------------------------------------------------------------------------------------


def report_flag_is_that_of_the_row(sent: Sent) -> None:
    """The flag is there also when it is false (16.3)."""
    flag = sent.extension("")
    assert flag is not None
    assert flag["valueBoolean"] is sent.row.flag


def report_recipient_is_named_exactly_when_asked(sent: Sent) -> None:
    assert (sent.extension("Recipient") is not None) is sent.row.flag


def episode_is_a_uuid_of_version_4_or_an_lpr3_id(sent: Sent) -> None:
    assert sent.episodes
    assert all(i["system"] == _LPR3 or _V4.fullmatch(i["value"]) for i in sent.episodes)


def the_first_provenance_stands_alone(sent: Sent) -> None:
    (only,) = sent.all("Provenance")
    assert "entity" not in only


# ---- of every later message ----------------------------------------------------------------------------------------


def episode_is_that_of_the_message_before(sent: Sent) -> None:
    assert sent.names is not None
    assert sent.episodes == sent.names.episodes


def the_message_before_is_named(sent: Sent) -> None:
    assert sent.names is not None
    named = [e["what"]["reference"] for e in sent.current.get("entity", [])]
    assert named == [f"MessageHeader/{sent.names.header['id']}"]


def role_is_revision_or_for_a_cancellation_removal(sent: Sent) -> None:
    role = "removal" if sent.expected.startswith("AN_") else "revision"
    assert [e["role"] for e in sent.current.get("entity", [])] == [role]


def provenances_are_as_many_as_messages(sent: Sent) -> None:
    assert len(sent.all("Provenance")) == sent.position


Assert = Callable[[Sent], None]

ALWAYS: tuple[Assert, ...] = (
    event_is_a_hospital_notification,
    class_is_that_of_the_row,
    status_is_that_of_the_row,
    activity_is_that_of_the_row,
    a_provenance_targets_this_message,
    deceased_is_that_of_the_row,
    times_of_the_stay_show_the_danish_offset,
)
INITIAL: tuple[Assert, ...] = (
    report_flag_is_that_of_the_row,
    report_recipient_is_named_exactly_when_asked,
    episode_is_a_uuid_of_version_4_or_an_lpr3_id,
    the_first_provenance_stands_alone,
)
LATER: tuple[Assert, ...] = (
    episode_is_that_of_the_message_before,
    the_message_before_is_named,
    role_is_revision_or_for_a_cancellation_removal,
    provenances_are_as_many_as_messages,
)
