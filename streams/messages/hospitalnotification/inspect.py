"""What a hospital notification says and whether it is right, for people and checks outside (acceptance.md, `inspect`).

Never raises on content: what cannot be read is an issue, and every key of the reading is there, `null` where the
document says nothing.
"""

from typing import Any, Final

import msgspec

from streams.formats.fhir.read import document
from streams.words.errors import Issue, Rejected

from .check import check
from .identifiers import gln_of, sor_of
from .moments import leave_periods
from .read import notice_of
from .rules import REPORT_FLAG_URL
from .view import Object, View, activity_of, extensions_of, first, listed, member, reference, text_at

__all__ = ["inspect", "reading"]

KIND: Final = "hospital-notification"


def inspect(data: bytes) -> dict[str, Any]:
    """`kind`, `valid`, `issues`, `reading` of a document in JSON or XML."""
    try:
        read = document(data)
    except Rejected as rejected:
        return _judged([rejected.issue()], {})
    return _judged(read.beside(check(read.resource)), read.resource)


def _judged(issues: list[Issue], bundle: Object) -> dict[str, Any]:
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
    header, provenance = view.header[1], view.current[0][1] if view.current else {}
    return {
        **_notice(view, provenance),
        **_stay(view),
        "provenances": len(view.provenances),
        "entity_role": text_at(first(provenance, "entity"), "role"),
        "previous_message": _previous(provenance),
        "occurred": text_at(provenance, "occurredDateTime"),
        "message_header_id": text_at(header, "id"),
        "bundle_id": text_at(bundle, "id"),
        "primary_destination_gln": _unit(view, reference(first(header, "destination"), "receiver"), gln_of),
        "sender_gln": _unit(view, reference(header, "sender"), gln_of),
        "sender_sor": _unit(view, reference(header, "sender"), sor_of),
        "service_provider_sor": _unit(view, reference(view.encounter[1], "serviceProvider"), sor_of),
        "report_of_admission": _report(header),
    }


def _notice(view: View, provenance: Object) -> dict[str, Any]:
    notice = notice_of(view)
    deceased = view.patient[1].get("deceasedBoolean")
    return {
        "type": None if notice is None else str(notice),
        "activity": activity_of(provenance) or None,
        "encounter_status": text_at(view.encounter[1], "status"),
        "encounter_class": text_at(member(view.encounter[1], "class"), "code"),
        "deceased": deceased if isinstance(deceased, bool) else None,
    }


def _stay(view: View) -> dict[str, Any]:
    encounter = view.encounter[1]
    episode = [
        text_at(member(r, "identifier"), "value") for r in listed(encounter, "episodeOfCare") if r.__class__ is dict
    ]
    return {
        "period": _times(member(encounter, "period")) or None,
        "leave_periods": [times for _, period in leave_periods(view) if (times := _times(period))],
        "episode_of_care": [value for value in episode if value is not None],
    }


def _times(period: Object) -> dict[str, str]:
    return {name: text for name in ("start", "end") if (text := text_at(period, name)) is not None}


def _previous(provenance: Object) -> str | None:
    what = member(first(provenance, "entity"), "what")
    return text_at(what, "reference") or text_at(member(what, "identifier"), "value")


def _report(header: Object) -> bool | None:
    value = extensions_of(header).get(REPORT_FLAG_URL, {}).get("valueBoolean")
    return value if isinstance(value, bool) else None


def _unit(view: View, written: str | None, of: Any) -> str | None:
    found = view.resolve(written)
    value: str | None = None if found is None else of(found[1])
    return value
