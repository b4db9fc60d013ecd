"""What each resource of a notification says to a person (spec 01 §5).

Rows are the must-support summary elements and MedCom's newer wish list (5.3, 5.4): label and, for codes, Danish
first, English second; references as `Type/id`. Everything shown is taken from the resource itself, so a text can be
made again when the resource changes.
"""

from typing import Any, Final

from ...codes import NOTICES
from ...formats.fhir.narrative import labelled

__all__ = ["ACTIVITY_TEXTS", "encounter_text", "header_text", "organization_text", "patient_text", "provenance_text"]

Object = dict[str, Any]
Texts = tuple[str, ...]

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


# Labels of the rows that a resource always has; those it may have are added to them.
_HEADER: Final[Texts] = (
    "Id",
    "Meddelelse / Event",
    "Modtager / Destination",
    "Modtagers adresse / Destination endpoint",
    "Modtagende organisation / Receiver",
    "Afsender / Sender",
    "Afsenders adresse / Source endpoint",
    "Indhold / Focus",
    "Indlæggelsesrapport ønskes / Report of admission requested",
)
_RECIPIENT: Final = "Indlæggelsesrapport sendes til / Report of admission recipient"
_STAY: Final[Texts] = ("Id", "Status / Status", "Kontakttype / Class", "Borger / Subject")
_EPISODE: Final = ("Forløbs-id / Episode of care",)
_FROM, _TO = ("Start / Start",), ("Slut / End",)
_PROVIDER: Final = ("Ansvarlig enhed / Service provider",)
_AWAY, _BACK = ("Orlov fra / Leave start",), ("Orlov til / Leave end",)
_PERSON: Final[Texts] = ("Id", "CPR-nummer / CPR number", "Navn / Name")
_LINK: Final[Texts] = (
    "Id",
    "Meddelelse / Target",
    "Sendt / Occurred",
    "Registreret / Recorded",
    "Aktivitet / Activity",
    "Aktør / Agent",
)
_ENTITY: Final = ("Rolle / Role", "Forrige meddelelse / Previous message")


def header_text(header: Object) -> Object:
    """The MessageHeader: event, receiver, sender, focus and the request for a report of admission."""
    destination, extensions, labels = header["destination"][0], header["extension"], _HEADER
    values: Texts = (
        header["id"],
        _EVENT,
        _PRIMARY,
        destination["endpoint"],
        destination["receiver"]["reference"],
        header["sender"]["reference"],
        header["source"]["endpoint"],
        header["focus"][0]["reference"],
        _YES_NO[extensions[0]["valueBoolean"]],
    )
    if len(extensions) > 1:
        labels, values = (*labels, _RECIPIENT), (*values, extensions[1]["valueReference"]["reference"])
    return labelled(labels, values, extensions=True)


def encounter_text(encounter: Object) -> Object:
    """The stay: status, class, person, episode, times, unit, leave."""
    period, labels = encounter["period"], _STAY
    values: Texts = (
        encounter["id"],
        _STATUSES[encounter["status"]],
        _CLASSES[encounter["class"]["code"]],
        encounter["subject"]["reference"],
    )
    for reference in encounter["episodeOfCare"]:
        identifier = reference["identifier"]
        labels, values = labels + _EPISODE, (*values, f"{identifier['value']} ({identifier['system']})")
    labels, values = labels + _FROM, (*values, period["start"])
    if "end" in period:
        labels, values = labels + _TO, (*values, period["end"])
    labels, values = labels + _PROVIDER, (*values, encounter["serviceProvider"]["reference"])
    if "extension" not in encounter:
        return labelled(labels, values)
    leave = encounter["extension"][0]["valuePeriod"]
    labels, values = labels + _AWAY, (*values, leave["start"])
    if "end" in leave:
        labels, values = labels + _BACK, (*values, leave["end"])
    return labelled(labels, values, extensions=True)


def patient_text(patient: Object) -> Object:
    """The person: CPR number, official name, whether dead."""
    name, labels = patient["name"][0], _PERSON
    values: Texts = (
        patient["id"],
        patient["identifier"][0]["value"],
        " ".join([*name.get("given", ()), name["family"]]),
    )
    if "deceasedBoolean" in patient:
        labels, values = (*labels, "Død / Deceased"), (*values, _YES_NO[patient["deceasedBoolean"]])
    return labelled(labels, values)


def organization_text(organization: Object) -> Object:
    """A unit: SOR code, and location number and name where it has them."""
    identifiers = organization["identifier"]
    labels: Texts = ("Id", "SOR")
    values: Texts = (organization["id"], identifiers[0]["value"])
    if len(identifiers) > 1:
        labels, values = (*labels, "Lokationsnummer / GLN"), (*values, identifiers[1]["value"])
    if "name" in organization:
        labels, values = (*labels, "Navn / Name"), (*values, organization["name"])
    return labelled(labels, values)


def provenance_text(provenance: Object) -> Object:
    """One link of the chain: message, times, activity, actor, predecessor."""
    activity, labels = provenance["activity"]["coding"][0]["code"], _LINK
    values: Texts = (
        provenance["id"],
        provenance["target"][0]["reference"],
        provenance["occurredDateTime"],
        provenance["recorded"],
        ACTIVITY_TEXTS.get(activity, activity),
        provenance["agent"][0]["who"]["reference"],
    )
    if "entity" in provenance:
        entity = provenance["entity"][0]
        what = entity["what"]
        labels += _ENTITY
        values += (_ROLES[entity["role"]], what.get("reference") or what["identifier"]["value"])
        if "agent" in entity:
            labels += ("Forrige aktør / Previous agent",)
            values += (entity["agent"][0]["who"]["reference"],)
    return labelled(labels, values)
