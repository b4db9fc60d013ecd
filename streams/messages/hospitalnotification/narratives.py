"""What each resource of a notification says to a person (spec 01 §5).

Rows are the must-support summary elements and MedCom's newer wish list (5.3, 5.4): label and, for codes, Danish
first, English second; references as `Type/id`. Everything shown is taken from the resource itself, so a text can be
made again when the resource changes.
"""

from typing import Any, Final

from ...codes import NOTICES
from ...formats.fhir.narrative import narrative

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
_EVENT: Final = "Advis om sygehusophold / Hospital notification (hospital-notification-message)"
_PRIMARY: Final = "Primær modtager / Primary receiver (primary)"


def header_text(header: Object) -> Object:
    """The MessageHeader: event, receiver, sender, focus and the request for a report of admission."""
    destination, extensions = header["destination"][0], header["extension"]
    rows = [
        ("Id", header["id"]),
        ("Meddelelse / Event", _EVENT),
        ("Modtager / Destination", _PRIMARY),
        ("Modtagers adresse / Destination endpoint", destination["endpoint"]),
        ("Modtagende organisation / Receiver", destination["receiver"]["reference"]),
        ("Afsender / Sender", header["sender"]["reference"]),
        ("Afsenders adresse / Source endpoint", header["source"]["endpoint"]),
        ("Indhold / Focus", header["focus"][0]["reference"]),
        ("Indlæggelsesrapport ønskes / Report of admission requested", _YES_NO[extensions[0]["valueBoolean"]]),
    ]
    if len(extensions) > 1:
        recipient = extensions[1]["valueReference"]["reference"]
        rows.append(("Indlæggelsesrapport sendes til / Report of admission recipient", recipient))
    return narrative(rows, extensions=True)


def encounter_text(encounter: Object) -> Object:
    """The stay: status, class, person, episode, times, unit, leave."""
    period = encounter["period"]
    rows = [
        ("Id", encounter["id"]),
        ("Status / Status", _STATUSES[encounter["status"]]),
        ("Kontakttype / Class", _CLASSES[encounter["class"]["code"]]),
        ("Borger / Subject", encounter["subject"]["reference"]),
    ]
    for reference in encounter["episodeOfCare"]:
        identifier = reference["identifier"]
        rows.append(("Forløbs-id / Episode of care", f"{identifier['value']} ({identifier['system']})"))
    rows.append(("Start / Start", period["start"]))
    if "end" in period:
        rows.append(("Slut / End", period["end"]))
    rows.append(("Ansvarlig enhed / Service provider", encounter["serviceProvider"]["reference"]))
    leave = encounter["extension"][0]["valuePeriod"] if "extension" in encounter else {}
    if leave:
        rows.append(("Orlov fra / Leave start", leave["start"]))
    if "end" in leave:
        rows.append(("Orlov til / Leave end", leave["end"]))
    return narrative(rows, extensions=bool(leave))


def patient_text(patient: Object) -> Object:
    """The person: CPR number, official name, whether dead."""
    name = patient["name"][0]
    rows = [
        ("Id", patient["id"]),
        ("CPR-nummer / CPR number", patient["identifier"][0]["value"]),
        ("Navn / Name", " ".join([*name.get("given", ()), name["family"]])),
    ]
    if "deceasedBoolean" in patient:
        rows.append(("Død / Deceased", _YES_NO[patient["deceasedBoolean"]]))
    return narrative(rows)


def organization_text(organization: Object) -> Object:
    """A unit: SOR code, and location number and name where it has them."""
    rows = [("Id", organization["id"]), ("SOR", organization["identifier"][0]["value"])]
    if len(organization["identifier"]) > 1:
        rows.append(("Lokationsnummer / GLN", organization["identifier"][1]["value"]))
    if "name" in organization:
        rows.append(("Navn / Name", organization["name"]))
    return narrative(rows)


def provenance_text(provenance: Object) -> Object:
    """One link of the chain: message, times, activity, actor, predecessor."""
    activity = provenance["activity"]["coding"][0]["code"]
    rows = [
        ("Id", provenance["id"]),
        ("Meddelelse / Target", provenance["target"][0]["reference"]),
        ("Sendt / Occurred", provenance["occurredDateTime"]),
        ("Registreret / Recorded", provenance["recorded"]),
        ("Aktivitet / Activity", ACTIVITY_TEXTS.get(activity, activity)),
        ("Aktør / Agent", provenance["agent"][0]["who"]["reference"]),
    ]
    if "entity" in provenance:
        entity = provenance["entity"][0]
        what = entity["what"]
        rows.append(("Rolle / Role", _ROLES[entity["role"]]))
        rows.append(("Forrige meddelelse / Previous message", what.get("reference") or what["identifier"]["value"]))
        if "agent" in entity:
            rows.append(("Forrige aktør / Previous agent", entity["agent"][0]["who"]["reference"]))
    return narrative(rows)
