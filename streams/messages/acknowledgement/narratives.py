"""What each resource of an acknowledgement says to a person (spec 01 §5; 02 §4.1: the header always has a text).

Label and, for codes, Danish first, English second; references as `Type/id`. Everything shown is taken from the
resource itself.
"""

from typing import Final

from streams.formats.fhir.narrative import narrative
from streams.messages.hospitalnotification.narratives import ACTIVITY_TEXTS
from streams.messages.hospitalnotification.view import Object, first, listed, member, reference, text_at

__all__ = ["header_text", "organization_text", "outcome_text", "provenance_text"]

_VERDICTS: Final = {
    "ok": "Modtaget og godkendt / Received and validated (ok)",
    "transient-error": "Midlertidig fejl / Transient error (transient-error)",
    "fatal-error": "Afvist / Fatal error (fatal-error)",
}
_EVENT: Final = "Kvittering / Acknowledgement (acknowledgement-message)"
_PRIMARY: Final = "Primær modtager / Primary receiver (primary)"
_ACTIVITIES: Final = {**ACTIVITY_TEXTS, "acknowledgement": "Kvittering / Acknowledgement (acknowledgement)"}

Row = tuple[str, str]


def header_text(header: Object) -> Object:
    """The MessageHeader: event, receiver, sender, the message that is answered and the verdict."""
    destination, response = header["destination"][0], header["response"]
    rows = [
        ("Id", header["id"]),
        ("Meddelelse / Event", _EVENT),
        ("Modtager / Destination", _PRIMARY),
        ("Modtagers adresse / Destination endpoint", destination["endpoint"]),
        ("Modtagende organisation / Receiver", destination["receiver"]["reference"]),
        ("Afsender / Sender", header["sender"]["reference"]),
        ("Afsenders adresse / Source endpoint", header["source"]["endpoint"]),
        ("Svar på / Response to", response["identifier"]),
        ("Resultat / Response code", _VERDICTS[response["code"]]),
    ]
    if "details" in response:
        rows.append(("Detaljer / Details", response["details"]["reference"]))
    return narrative(rows)


def organization_text(organization: Object) -> Object:
    """A unit: SOR code, location number, name."""
    sor, gln = (identifier["value"] for identifier in organization["identifier"])
    rows = [("Id", organization["id"]), ("SOR", sor), ("Lokationsnummer / GLN", gln)]
    if "name" in organization:
        rows.append(("Navn / Name", organization["name"]))
    return narrative(rows)


def provenance_text(provenance: Object) -> Object:
    """Who did what when. A copy says what the sender of the message wrote, so anything may be missing."""
    activity = text_at(first(member(provenance, "activity"), "coding"), "code") or ""
    what = member(first(provenance, "entity"), "what")
    rows = [
        ("Id", provenance["id"]),
        ("Meddelelse / Target", text_at(first(provenance, "target"), "reference")),
        ("Sendt / Occurred", text_at(provenance, "occurredDateTime")),
        ("Registreret / Recorded", text_at(provenance, "recorded")),
        ("Aktivitet / Activity", _ACTIVITIES.get(activity, activity)),
        ("Aktør / Agent", reference(first(provenance, "agent"), "who")),
        ("Rolle / Role", text_at(first(provenance, "entity"), "role")),
        (
            "Forrige meddelelse / Previous message",
            text_at(what, "reference") or text_at(member(what, "identifier"), "value"),
        ),
    ]
    return narrative([(label, value) for label, value in rows if value])


def outcome_text(outcome: Object) -> Object:
    """Every issue: severity, type, code, text."""
    rows: list[Row] = [("Id", outcome["id"])]
    for issue in outcome["issue"]:
        details = member(issue, "details")
        codes = [coding["code"] for coding in listed(details, "coding")]
        said = [issue["severity"], issue["code"], *codes, *([details["text"]] if "text" in details else [])]
        rows.append(("Forhold / Issue", " – ".join(said)))
    return narrative(rows)
