"""The hospital notification as a FHIR Bundle: one notification in, one dict in FHIR element order out.

Decided by spec 01 §§2-10, 14-16: header first, one Encounter, one Patient, the units, one Provenance for each message
of the chain; relative references, absolute fullUrls, no display. The ids of Patient, Encounter and Organizations are
minted from the message id: new with every message, the same on every replay. What is to be said was decided before;
nothing is judged here (`check`).
"""

import unicodedata
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final

import msgspec

from streams.formats.fhir.primitives import instant_of
from streams.words.codes import (
    ACT_SYSTEM,
    ACTIVITY_SYSTEM,
    CPR_SYSTEM,
    DESTINATION_USE_SYSTEM,
    EVENT_SYSTEM,
    FULL_URLS,
    GLN_SYSTEM,
    HOSPITAL_NOTIFICATION_EVENT,
    SOR_ENDPOINT,
    SOR_SYSTEM,
)
from streams.words.ids import Sor, ids_beside
from streams.words.model import Link, Notification, Patient, Unit
from streams.words.times import danish_text

from .narratives import encounter_text, header_text, organization_text, patient_text, provenance_text
from .rules import DESTINATION_USE_URL, LEAVE_PERIOD_URL, PROFILES, REPORT_FLAG_URL, REPORT_RECIPIENT_URL

__all__ = ["FULL_URL_BASE", "redispatch", "write"]

Object = dict[str, Any]

FULL_URL_BASE: Final = f"{FULL_URLS}ig/hospitalnotification"  # spec 01, 6.6
_META: Final = {name: {"profile": [canonical]} for name, canonical in PROFILES.items()}
_EVENT: Final = {"system": EVENT_SYSTEM, "code": HOSPITAL_NOTIFICATION_EVENT}
_PRIMARY: Final = {
    "url": DESTINATION_USE_URL,
    "valueCoding": {"system": DESTINATION_USE_SYSTEM, "code": "primary"},
}


def write(notification: Notification, receiver: Unit, envelope_id: str, *, base: str = FULL_URL_BASE) -> Object:
    """The Bundle of a notification to one receiver. `envelope_id` becomes Bundle.id; `base` begins every fullUrl."""
    n, message_id = notification, notification.message_id
    roles = _roles(n, receiver)
    patient_id, stay_id, *own = ids_beside(message_id, _NUMBERS[: 2 + len(roles)])
    units: _Units = {}
    organizations: list[Object] = []
    for id_, (unit, profile) in zip(own, roles.values(), strict=True):
        units[unit.sor] = entry = _Entry(unit, profile, id_, f"Organization/{id_}")
        organizations.append({"fullUrl": f"{base}/{entry.reference}", "resource": _organization(entry)})
    header = _header(n, receiver, f"Encounter/{stay_id}", units)
    stay, patient = _encounter(n, stay_id, f"Patient/{patient_id}", units), _patient(n, patient_id)
    entries = [
        {"fullUrl": f"{base}/MessageHeader/{message_id}", "resource": header},
        {"fullUrl": f"{base}/Encounter/{stay_id}", "resource": stay},
        {"fullUrl": f"{base}/Patient/{patient_id}", "resource": patient},
        *organizations,
    ]
    acted: dict[str, Unit] = {}
    for link in n.chain:
        provenance = _provenance(link, acted.get(link.previous), units)
        entries.append({"fullUrl": f"{base}/Provenance/{link.provenance_id}", "resource": provenance})
        acted[link.message_id] = link.agent
    return {
        "resourceType": "Bundle",
        "id": envelope_id,
        "meta": _META["Bundle"],
        "type": "message",
        "timestamp": danish_text(n.assembled),
        "entry": entries,
    }


#: What `ids_beside` tells apart within a message; `stay/notify` gives its Provenance the first.
_PATIENT, _ENCOUNTER, _ORGANIZATIONS = 2, 3, range(16, 1 << 12)
_NUMBERS: Final = (_PATIENT, _ENCOUNTER, *_ORGANIZATIONS)


class _Entry(msgspec.Struct, frozen=True, gc=False):
    """A unit as an entry of the Bundle."""

    unit: Unit
    profile: str
    id: str
    reference: str


_Units = dict[Sor, _Entry]


def _clean(text: str) -> str:
    """Text as FHIR wants it: NFC, no outer or double white space (spec 01, 20.4)."""
    text = " ".join(text.split())
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _roles(n: Notification, receiver: Unit) -> dict[Sor, tuple[Unit, str]]:
    """Each unit once, whatever its roles (2.2), with the strictest profile that they ask for.

    Who sends, receives, gets the report and who acted before (15.7) needs the messaging profile; the first to be named
    describes the unit.
    """
    found = {n.sender.sor: (n.sender, _ACTS)}
    found.setdefault(receiver.sor, (receiver, _ACTS))
    found.setdefault(n.provider.sor, (n.provider, "Organization"))
    for unit in (n.report_recipient, *[link.agent for link in n.chain]):
        if unit is not None and (unit.sor not in found or found[unit.sor][1] is not _ACTS):
            found[unit.sor] = (unit, _ACTS)
    return found


_ACTS: Final = "MessagingOrganization"


def _organization(entry: _Entry) -> Object:
    before, after, described = _described(entry.unit)
    return {
        "resourceType": "Organization",
        "id": entry.id,
        "meta": _META[entry.profile],
        "text": {"status": "generated", "div": f"{before}{entry.id}{after}"},
        **described,
    }


@lru_cache(maxsize=4096)  # units come again with every message
def _described(unit: Unit) -> tuple[str, str, Object]:
    """Of an Organization the narrative before and after its id, and what its unit says of it."""
    identifiers = [{"system": SOR_SYSTEM, "value": unit.sor}]
    if unit.gln:
        identifiers.append({"system": GLN_SYSTEM, "value": unit.gln})
    described: Object = {"identifier": identifiers}
    if name := _clean(unit.name):
        described["name"] = name
    before, after = organization_text({"id": _ID, **described})["div"].split(_ID)
    return before, after, described


_ID: Final = "\0"  # in place of an id: no text holds it


def _patient(n: Notification, id_: str) -> Object:
    patient: Object = {
        "resourceType": "Patient",
        "id": id_,
        "meta": _META["Patient"],
        "text": None,
        "identifier": [{"system": CPR_SYSTEM, "value": n.patient.cpr}],
        "name": [_name(n.patient)],
    }
    if n.deceased is not None:
        patient["deceasedBoolean"] = n.deceased
    patient["text"] = patient_text(patient)
    return patient


def _name(patient: Patient) -> Object:
    given = [clean for name in patient.given if (clean := _clean(name))]
    name: Object = {"use": "official", "family": _clean(patient.family)}
    if given:
        name["given"] = given
    return name


def _encounter(n: Notification, id_: str, subject: str, units: _Units) -> Object:
    encounter: Object = {
        "resourceType": "Encounter",
        "id": id_,
        "meta": _META["Encounter"],
        "text": None,
    }
    if n.leave_start is not None:
        encounter["extension"] = [{"url": LEAVE_PERIOD_URL, "valuePeriod": _period(n.leave_start, n.leave_end)}]
    encounter["status"] = n.status
    encounter["class"] = {"system": ACT_SYSTEM, "code": n.class_}
    encounter["subject"] = {"reference": subject}
    encounter["episodeOfCare"] = [{"identifier": {"system": e.system, "value": e.value}} for e in n.episode]
    encounter["period"] = _period(n.start, n.end)
    encounter["serviceProvider"] = {"reference": units[n.provider.sor].reference}
    encounter["text"] = encounter_text(encounter)
    return encounter


def _period(start: datetime, end: datetime | None) -> Object:
    period = {"start": danish_text(start)}
    if end is not None:
        period["end"] = danish_text(end)
    return period


def _header(n: Notification, receiver: Unit, focus: str, units: _Units) -> Object:
    extensions: list[Object] = [{"url": REPORT_FLAG_URL, "valueBoolean": n.report_of_admission}]  # 16.3: always said
    if n.report_of_admission:
        recipient = units[(n.report_recipient or n.sender).sor]
        extensions.append({"url": REPORT_RECIPIENT_URL, "valueReference": {"reference": recipient.reference}})
    destination = {
        "extension": [_PRIMARY],
        "endpoint": SOR_ENDPOINT + receiver.sor,
        "receiver": {"reference": units[receiver.sor].reference},
    }
    header: Object = {
        "resourceType": "MessageHeader",
        "id": n.message_id,
        "meta": _META["MessageHeader"],
        "text": None,
        "extension": extensions,
        "eventCoding": _EVENT,
        "destination": [destination],
        "sender": {"reference": units[n.sender.sor].reference},
        "source": {"endpoint": SOR_ENDPOINT + n.sender.sor},
        "focus": [{"reference": focus}],
    }
    header["text"] = header_text(header)
    return header


def _provenance(link: Link, before: Unit | None, units: _Units) -> Object:
    """One link; `before` is the unit that sent the message it follows, None when that is not known."""
    sent = danish_text(link.occurred)
    provenance: Object = {
        "resourceType": "Provenance",
        "id": link.provenance_id,
        "meta": _META["Provenance"],
        "text": None,
        "target": [{"reference": f"MessageHeader/{link.message_id}"}],
        "occurredDateTime": sent,
        "recorded": sent,  # 7.3: the same text
        "activity": {"coding": [{"system": ACTIVITY_SYSTEM, "code": link.activity}]},
        "agent": [{"who": {"reference": units[link.agent.sor].reference}}],
    }
    if link.role:
        entity: Object = {"role": link.role, "what": _predecessor(link)}
        if before is not None and before.sor != link.agent.sor:
            # Else nothing in the Bundle leads to the unit that acted earlier (docs/decisions/0008).
            entity["agent"] = [{"who": {"reference": units[before.sor].reference}}]
        provenance["entity"] = [entity]
    provenance["text"] = provenance_text(provenance)
    return provenance


def _predecessor(link: Link) -> Object:
    """The message before: a FHIR message by reference, a legacy letter by its number (15.4, 15.9)."""
    if link.previous:
        return {"reference": f"MessageHeader/{link.previous}"}
    return {"identifier": {"value": link.previous_letter}}


def redispatch(bundle: Object, envelope_id: str, at: datetime) -> Object:
    """The same message sent again (spec 01 §8, resend): new Bundle.id and timestamp, new times of its own Provenance.

    All else is as it was, and the argument is left as it is. Times of the chain still increase strictly (7.5).
    """
    entries, mine = bundle["entry"], f"MessageHeader/{bundle['entry'][0]['resource']['id']}"
    provenances = [e["resource"] for e in entries if e["resource"]["resourceType"] == "Provenance"]
    earlier = [instant_of(p["recorded"]) for p in provenances if p["target"][0]["reference"] != mine]
    sent = danish_text(max([at, *(moment + timedelta(seconds=1) for moment in earlier if moment is not None)]))
    return {
        **bundle,
        "id": envelope_id,
        "timestamp": danish_text(at),
        "entry": [_resent(entry, mine, sent) for entry in entries],
    }


def _resent(entry: Object, mine: str, sent: str) -> Object:
    resource = entry["resource"]
    if resource["resourceType"] != "Provenance" or resource["target"][0]["reference"] != mine:
        return entry
    again = {**resource, "occurredDateTime": sent, "recorded": sent}
    again["text"] = provenance_text(again)
    return {**entry, "resource": again}
