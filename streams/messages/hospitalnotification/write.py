"""The hospital notification as a FHIR Bundle: one notification in, one dict in FHIR element order out.

Decided by spec 01 §§2-10, 14-16: header first, one Encounter, one Patient, the units, one Provenance for each message
of the chain; relative references, absolute fullUrls, no display. The ids of Patient, Encounter and Organizations are
minted from the message id: new with every message, the same on every replay. What to notify was decided before;
nothing is judged here (`check`).

Each resource carries a text for people (§5): the must-support summary elements and MedCom's newer wish list (5.3, 5.4),
label and, for codes, Danish first, English second; references as `Type/id`. Everything shown is taken from the resource
itself, so a text can be made again when the resource changes. Each is one template, filled in. What others chose (names,
the systems and values of identifiers) is escaped; ids, references, times and codes are ours and hold no markup.
"""

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

import msgspec
from msgspec.structs import replace

from streams.formats.fhir.shapes import OPENING, escaped
from streams.messages.common import (
    Object,
    UnitEntry,
    addressing,
    clean,
    describe_unit,
    header_lines,
    instant_at,
    organization,
    provenance_text,
)
from streams.words.codes import (
    ACT_SYSTEM,
    ACTIVITY_SYSTEM,
    CPR_SYSTEM,
    FULL_URLS,
    HOSPITAL_NOTIFICATION_EVENT,
)
from streams.words.ids import MessageId, Sor, ids_beside
from streams.words.model import Fate, Link, Notification, Outcome, Unit
from streams.words.times import danish_text

from .rules import LEAVE_PERIOD_URL, PROFILES, REPORT_FLAG_URL, REPORT_RECIPIENT_URL

FULL_URL_BASE: Final = f"{FULL_URLS}ig/hospitalnotification"  # spec 01, 6.6
_META: Final = {name: {"profile": [canonical]} for name, canonical in PROFILES.items()}

#: What `ids_beside` distinguishes within a message; `stay/notify` gives its Provenance the first.
_PATIENT, _ENCOUNTER, _ORGANIZATIONS = 2, 3, range(16, 1 << 12)
_NUMBERS: Final = (_PATIENT, _ENCOUNTER, *_ORGANIZATIONS)
_ACTS: Final = "MessagingOrganization"

_STATUSES: Final = {
    "in-progress": "Igangværende / In progress (in-progress)",
    "onleave": "På orlov / On leave (onleave)",
    "finished": "Afsluttet / Finished (finished)",
    "entered-in-error": "Registreret ved en fejl / Entered in error (entered-in-error)",
}
_CLASSES: Final = {"EMER": "Akut ambulant / Acute ambulant (EMER)", "IMP": "Indlagt / Admitted (IMP)"}
_ROLES: Final = {"revision": "Ændring / Revision (revision)", "removal": "Annullering / Removal (removal)"}
_YES_NO: Final = {True: "Ja / Yes", False: "Nej / No"}
_EVENT: Final = "Advis om sygehusophold / Hospital notification (hospital-notification-message)"

_described: Final = lru_cache(maxsize=4096)(describe_unit)  # units come again with every message

_Units = dict[Sor, UnitEntry]


def write(notification: Notification, receiver: Unit, envelope_id: str, *, base: str = FULL_URL_BASE) -> Object:
    """The Bundle of a notification to one receiver. `envelope_id` becomes Bundle.id; `base` begins every fullUrl."""
    n, message_id = notification, notification.message_id
    roles = roles_of(n, receiver)
    patient_id, stay_id, *own = resource_ids(message_id, len(roles))
    units: _Units = {}
    organizations: list[Object] = []
    for id_, (unit, profile) in zip(own, roles.values(), strict=True):
        units[unit.sor] = entry = UnitEntry(unit.sor, f"Organization/{id_}")
        written = organization(id_, _META[profile], _described(unit.sor, unit.gln, unit.name))
        organizations.append({"fullUrl": f"{base}/{entry.reference}", "resource": written})
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


def resource_ids(message_id: MessageId, units: int) -> list[str]:
    """The ids of Patient and Encounter, and of so many Organizations."""
    return ids_beside(message_id, _NUMBERS[: 2 + units])


def roles_of(n: Notification, receiver: Unit) -> dict[Sor, tuple[Unit, str]]:
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


def _patient(n: Notification, id_: str) -> Object:
    cpr, family = n.patient.cpr, clean(n.patient.family)
    name: Object = {"use": "official", "family": family}
    if given := [cleaned for each in n.patient.given if (cleaned := clean(each))]:
        name["given"] = given
    body = (
        f"<b>Id</b>: {id_}<br/><b>CPR-nummer / CPR number</b>: {cpr}<br/>"
        f"<b>Navn / Name</b>: {escaped(' '.join([*given, family]))}"
    )
    if n.deceased is not None:
        body += f"<br/><b>Død / Deceased</b>: {_YES_NO[n.deceased]}"
    patient: Object = {
        "resourceType": "Patient",
        "id": id_,
        "meta": _META["Patient"],
        "text": {"status": "generated", "div": f"{OPENING}<p>{body}</p></div>"},
        "identifier": [{"system": CPR_SYSTEM, "value": cpr}],
        "name": [name],
    }
    if n.deceased is not None:
        patient["deceasedBoolean"] = n.deceased
    return patient


def _encounter(n: Notification, id_: str, subject: str, units: _Units) -> Object:
    """The stay: status, class, person, episode, times, unit, leave."""
    encounter: Object = {"resourceType": "Encounter", "id": id_, "meta": _META["Encounter"], "text": None}
    period, provider = _period(n.start, n.end), units[n.provider.sor].reference
    body = (
        f"<b>Id</b>: {id_}<br/><b>Status / Status</b>: {_STATUSES[n.status]}<br/>"
        f"<b>Kontakttype / Class</b>: {_CLASSES[n.class_]}<br/><b>Borger / Subject</b>: {subject}<br/>"
    )
    for each in n.episode:
        body += f"<b>Forløbs-id / Episode of care</b>: {escaped(f'{each.value} ({each.system})')}<br/>"
    body += f"<b>Start / Start</b>: {period['start']}<br/>"
    if "end" in period:
        body += f"<b>Slut / End</b>: {period['end']}<br/>"
    body += f"<b>Ansvarlig enhed / Service provider</b>: {provider}"
    if n.leave_start is not None:
        leave = _period(n.leave_start, n.leave_end)
        encounter["extension"] = [{"url": LEAVE_PERIOD_URL, "valuePeriod": leave}]
        body += f"<br/><b>Orlov fra / Leave start</b>: {leave['start']}"
        if "end" in leave:
            body += f"<br/><b>Orlov til / Leave end</b>: {leave['end']}"
    status = "generated" if n.leave_start is None else "extensions"
    encounter["text"] = {"status": status, "div": f"{OPENING}<p>{body}</p></div>"}
    encounter["status"] = n.status
    encounter["class"] = {"system": ACT_SYSTEM, "code": n.class_}
    encounter["subject"] = {"reference": subject}
    encounter["episodeOfCare"] = [{"identifier": {"system": e.system, "value": e.value}} for e in n.episode]
    encounter["period"] = period
    encounter["serviceProvider"] = {"reference": provider}
    return encounter


def _period(start: datetime, end: datetime | None) -> dict[str, str]:
    period = {"start": danish_text(start)}
    if end is not None:
        period["end"] = danish_text(end)
    return period


def _header(n: Notification, receiver: Unit, focus: str, units: _Units) -> Object:
    """Event, receiver, sender, focus and the request for a report of admission, which is always there (16.3)."""
    header: Object = {
        "resourceType": "MessageHeader",
        "id": n.message_id,
        "meta": _META["MessageHeader"],
        "text": None,
        "extension": [{"url": REPORT_FLAG_URL, "valueBoolean": n.report_of_admission}],
        **addressing(HOSPITAL_NOTIFICATION_EVENT, units[n.sender.sor], units[receiver.sor]),
        "focus": [{"reference": focus}],
    }
    body = (
        f"{header_lines(header, _EVENT)}<br/><b>Indhold / Focus</b>: {focus}<br/>"
        f"<b>Indlæggelsesrapport ønskes / Report of admission requested</b>: {_YES_NO[n.report_of_admission]}"
    )
    if n.report_of_admission:
        recipient = units[(n.report_recipient or n.sender).sor].reference
        header["extension"].append({"url": REPORT_RECIPIENT_URL, "valueReference": {"reference": recipient}})
        body += f"<br/><b>Indlæggelsesrapport sendes til / Report of admission recipient</b>: {recipient}"
    header["text"] = {"status": "extensions", "div": f"{OPENING}<p>{body}</p></div>"}  # of extensions too (5.2)
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
        # The message before: a FHIR message by reference, a legacy letter by its number (15.4, 15.9).
        what: Object = {"identifier": {"value": link.previous_letter}}
        if link.previous:
            what = {"reference": f"MessageHeader/{link.previous}"}
        entity: Object = {"role": link.role, "what": what}
        if before is not None and before.sor != link.agent.sor:
            # Else nothing in the Bundle leads to the unit that acted earlier (docs/decisions/0008).
            entity["agent"] = [{"who": {"reference": units[before.sor].reference}}]
        provenance["entity"] = [entity]
    provenance["text"] = provenance_text(provenance, roles=_ROLES)
    return provenance


def redispatch(bundle: Object, envelope_id: str, at: datetime) -> Object:
    """The same message sent again (spec 01 §8, resend): new Bundle.id and timestamp, new times of its own Provenance.

    All else is as it was, and the argument is left as it is. Times of the chain still increase strictly (7.5).
    """
    entries, mine = list(bundle["entry"]), f"MessageHeader/{bundle['entry'][0]['resource']['id']}"
    chain = [(i, e["resource"]) for i, e in enumerate(entries) if e["resource"]["resourceType"] == "Provenance"]
    earlier = [instant_at(p, "recorded") for _, p in chain if p["target"][0]["reference"] != mine]
    sent = danish_text(max([at, *(moment + timedelta(seconds=1) for moment in earlier if moment is not None)]))
    for index, provenance in chain:
        if provenance["target"][0]["reference"] == mine:
            again = {**provenance, "occurredDateTime": sent, "recorded": sent}
            again["text"] = provenance_text(again, roles=_ROLES)
            entries[index] = {**entries[index], "resource": again}
    return {**bundle, "id": envelope_id, "timestamp": danish_text(at), "entry": entries}


# ---- what is asked of a notification beside its document ---------------------------------------------------------------

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Notification).decode

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


def keep(notification: Notification) -> tuple[bytes, tuple[Link, ...]]:
    """Its own facts in MessagePack, and its chain."""
    return _encode(replace(notification, chain=())), notification.chain


def restore(data: bytes, chain: tuple[Link, ...]) -> Notification:
    """The notification that was kept."""
    return replace(_decode(data), chain=chain)
