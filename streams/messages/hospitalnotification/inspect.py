"""What a hospital notification says and whether it is right, for people and checks outside (acceptance.md, `inspect`).

Never raises on content: what cannot be read is an issue, and every key of the reading is there, `null` where the
document says nothing.
"""

from typing import Any, Final

import msgspec

from streams.formats.fhir.read import document
from streams.messages.common import (
    Object,
    View,
    activity_of,
    extensions_of,
    first,
    gln_of,
    listed,
    member,
    reference,
    sor_of,
    text_at,
)
from streams.words.errors import Rejected

from .check import check, leave_periods
from .notice import notice_of
from .rules import REPORT_FLAG_URL

__all__ = ["inspect", "reading"]

KIND: Final = "hospital-notification"


def inspect(data: bytes) -> dict[str, Any]:
    """`kind`, `valid`, `issues`, `reading` of a document in JSON or XML."""
    try:
        read = document(data)
    except Rejected as rejected:
        bundle: Object = {}
        issues = [rejected.issue()]
    else:
        bundle, issues = read.resource, read.beside(check(read.resource))
    valid = all(issue.severity != "error" for issue in issues)
    return {
        "kind": KIND,
        "valid": valid,
        "issues": [msgspec.structs.asdict(issue) for issue in issues],
        "reading": {**reading(bundle), "acknowledgement": "ok" if valid else "fatal-error"},
    }


def reading(bundle: Object) -> dict[str, Any]:
    """What the message says, as written; None for what it does not say. For any dict."""
    view = View(bundle)
    header, encounter, provenance = view.header[1], view.encounter[1], view.current[0][1] if view.current else {}
    notice, deceased = notice_of(view), view.patient[1].get("deceasedBoolean")
    flag = extensions_of(header).get(REPORT_FLAG_URL, {}).get("valueBoolean")
    episode = [member(r, "identifier") for r in listed(encounter, "episodeOfCare") if r.__class__ is dict]
    what = member(first(provenance, "entity"), "what")
    sender, provider = _organization(view, header, "sender"), _organization(view, encounter, "serviceProvider")
    return {
        "type": None if notice is None else str(notice),
        "activity": activity_of(provenance) or None,
        "encounter_status": text_at(encounter, "status"),
        "encounter_class": text_at(member(encounter, "class"), "code"),
        "deceased": deceased if isinstance(deceased, bool) else None,
        "period": _times(member(encounter, "period")) or None,
        "leave_periods": [times for _, period in leave_periods(view) if (times := _times(period))],
        "episode_of_care": [value for each in episode if (value := text_at(each, "value")) is not None],
        "provenances": len(view.provenances),
        "entity_role": text_at(first(provenance, "entity"), "role"),
        "previous_message": text_at(what, "reference") or text_at(member(what, "identifier"), "value"),
        "occurred": text_at(provenance, "occurredDateTime"),
        "message_header_id": text_at(header, "id"),
        "bundle_id": text_at(bundle, "id"),
        "primary_destination_gln": gln_of(_organization(view, first(header, "destination"), "receiver")),
        "sender_gln": gln_of(sender),
        "sender_sor": sor_of(sender),
        "service_provider_sor": sor_of(provider),
        "report_of_admission": flag if isinstance(flag, bool) else None,
    }


def _times(period: Object) -> dict[str, str]:
    return {name: text for name in ("start", "end") if (text := text_at(period, name)) is not None}


def _organization(view: View, value: Object, name: str) -> Object:
    """The resource that the reference under a name means; empty when there is none."""
    found = view.resolve(reference(value, name))
    return {} if found is None else found[1]
