"""What each resource of a notification says to a person (spec 01 §5).

Rows are the must-support summary elements and MedCom's newer wish list (5.3, 5.4): label and, for codes, Danish
first, English second; references as `Type/id`. Everything shown is taken from the resource itself, so a text can be
made again when the resource changes.

Each is one template, filled in. What others chose (names, the systems and values of identifiers) is escaped; ids,
references, times and codes are ours and hold no markup.
"""

from typing import Any, Final

from streams.formats.fhir.narrative import OPENING, escaped
from streams.words.codes import NOTICES

__all__ = ["ACTIVITY_TEXTS", "encounter_text", "header_text", "organization_text", "patient_text", "provenance_text"]

Object = dict[str, Any]

#: Activity code -> text (spec 01 §9).
ACTIVITY_TEXTS: Final[dict[str, str]] = {
    code: f"{row.danish} / {row.english} ({code})" for row in NOTICES.values() for code in row.activity.values()
}
_STATUSES: Final = {
    "in-progress": "Igangværende / In progress (in-progress)",
    "onleave": "På orlov / On leave (onleave)",
    "finished": "Afsluttet / Finished (finished)",
    "entered-in-error": "Registreret ved en fejl / Entered in error (entered-in-error)",
}
_CLASSES: Final = {"EMER": "Akut ambulant / Acute ambulant (EMER)", "IMP": "Indlagt / Admitted (IMP)"}
_ROLES: Final = {"revision": "Ændring / Revision (revision)", "removal": "Annullering / Removal (removal)"}
_YES_NO: Final = {True: "Ja / Yes", False: "Nej / No"}


def header_text(header: Object) -> Object:
    """The MessageHeader: event, receiver, sender, focus and the request for a report of admission."""
    destination, extensions = header["destination"][0], header["extension"]
    body = (
        f"<b>Id</b>: {header['id']}<br/><b>Meddelelse / Event</b>: Advis om sygehusophold / Hospital notification "
        "(hospital-notification-message)<br/><b>Modtager / Destination</b>: Primær modtager / Primary receiver "
        f"(primary)<br/><b>Modtagers adresse / Destination endpoint</b>: {destination['endpoint']}<br/>"
        f"<b>Modtagende organisation / Receiver</b>: {destination['receiver']['reference']}<br/>"
        f"<b>Afsender / Sender</b>: {header['sender']['reference']}<br/>"
        f"<b>Afsenders adresse / Source endpoint</b>: {header['source']['endpoint']}<br/>"
        f"<b>Indhold / Focus</b>: {header['focus'][0]['reference']}<br/>"
        f"<b>Indlæggelsesrapport ønskes / Report of admission requested</b>: {_YES_NO[extensions[0]['valueBoolean']]}"
    )
    if len(extensions) > 1:
        recipient = extensions[1]["valueReference"]["reference"]
        body += f"<br/><b>Indlæggelsesrapport sendes til / Report of admission recipient</b>: {recipient}"
    return {"status": "extensions", "div": f"{OPENING}<p>{body}</p></div>"}  # it speaks of extension content too (5.2)


def encounter_text(encounter: Object) -> Object:
    """The stay: status, class, person, episode, times, unit, leave."""
    period = encounter["period"]
    body = (
        f"<b>Id</b>: {encounter['id']}<br/><b>Status / Status</b>: {_STATUSES[encounter['status']]}<br/>"
        f"<b>Kontakttype / Class</b>: {_CLASSES[encounter['class']['code']]}<br/>"
        f"<b>Borger / Subject</b>: {encounter['subject']['reference']}<br/>"
    )
    for reference in encounter["episodeOfCare"]:
        identifier = reference["identifier"]
        shown = escaped(f"{identifier['value']} ({identifier['system']})")
        body += f"<b>Forløbs-id / Episode of care</b>: {shown}<br/>"
    body += f"<b>Start / Start</b>: {period['start']}<br/>"
    if "end" in period:
        body += f"<b>Slut / End</b>: {period['end']}<br/>"
    body += f"<b>Ansvarlig enhed / Service provider</b>: {encounter['serviceProvider']['reference']}"
    if "extension" not in encounter:
        return {"status": "generated", "div": f"{OPENING}<p>{body}</p></div>"}
    leave = encounter["extension"][0]["valuePeriod"]
    body += f"<br/><b>Orlov fra / Leave start</b>: {leave['start']}"
    if "end" in leave:
        body += f"<br/><b>Orlov til / Leave end</b>: {leave['end']}"
    return {"status": "extensions", "div": f"{OPENING}<p>{body}</p></div>"}


def patient_text(patient: Object) -> Object:
    """The person: CPR number, official name, whether dead."""
    name = patient["name"][0]
    body = (
        f"<b>Id</b>: {patient['id']}<br/><b>CPR-nummer / CPR number</b>: {patient['identifier'][0]['value']}<br/>"
        f"<b>Navn / Name</b>: {escaped(' '.join([*name.get('given', ()), name['family']]))}"
    )
    if "deceasedBoolean" in patient:
        body += f"<br/><b>Død / Deceased</b>: {_YES_NO[patient['deceasedBoolean']]}"
    return {"status": "generated", "div": f"{OPENING}<p>{body}</p></div>"}


def organization_text(organization: Object) -> Object:
    """A unit: SOR code, and location number and name where it has them."""
    identifiers = organization["identifier"]
    body = f"<b>Id</b>: {organization['id']}<br/><b>SOR</b>: {identifiers[0]['value']}"
    if len(identifiers) > 1:
        body += f"<br/><b>Lokationsnummer / GLN</b>: {identifiers[1]['value']}"
    if "name" in organization:
        body += f"<br/><b>Navn / Name</b>: {escaped(organization['name'])}"
    return {"status": "generated", "div": f"{OPENING}<p>{body}</p></div>"}


def provenance_text(provenance: Object) -> Object:
    """One link of the chain: message, times, activity, actor, predecessor."""
    activity = provenance["activity"]["coding"][0]["code"]
    body = (
        f"<b>Id</b>: {provenance['id']}<br/><b>Meddelelse / Target</b>: {provenance['target'][0]['reference']}<br/>"
        f"<b>Sendt / Occurred</b>: {provenance['occurredDateTime']}<br/>"
        f"<b>Registreret / Recorded</b>: {provenance['recorded']}<br/>"
        f"<b>Aktivitet / Activity</b>: {ACTIVITY_TEXTS.get(activity, activity)}<br/>"
        f"<b>Aktør / Agent</b>: {provenance['agent'][0]['who']['reference']}"
    )
    if "entity" in provenance:
        entity = provenance["entity"][0]
        what = entity["what"]
        shown = what.get("reference") or escaped(what["identifier"]["value"])
        body += f"<br/><b>Rolle / Role</b>: {_ROLES[entity['role']]}<br/><b>Forrige meddelelse / Previous message</b>: {shown}"
        if "agent" in entity:
            body += f"<br/><b>Forrige aktør / Previous agent</b>: {entity['agent'][0]['who']['reference']}"
    return {"status": "generated", "div": f"{OPENING}<p>{body}</p></div>"}
