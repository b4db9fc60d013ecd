"""Municipalities that take legacy letters until an instant and FHIR from then on, and in which form each notice left.

Forms are told apart by the first bytes of what lies in the inbox, by code of the tests' own.
"""

import base64
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from lxml import etree

from streams.registry import AcceptanceRow, Registers
from streams.words.ids import Kommunekode

__all__ = ["changing", "form_of", "forms"]

_FORMS: Final = {
    "oioxml": {"version": "XD2030C+XD1730C", "envelope": "vans"},
    "edifact": {"version": "D2030C+D1730C", "envelope": "none"},
    "fhir": {"version": "3.0", "envelope": "vans", "mime": "application/fhir+json"},
}


def changing(registers: Registers, codes: Sequence[str], at: datetime, *, stays: int = 0) -> Registers:
    """The registers in which these take OIOXML and EDIFACT in turn until `at`; the last `stays` of them for good."""
    rows = []
    for number, code in enumerate(codes):
        before = ("oioxml", "edifact")[number % 2]
        changes = number < len(codes) - stays
        rows.append(_row(code, before, valid_to=at if changes else None))
        if changes:
            rows.append(_row(code, "fhir", valid_from=at))
    return registers.with_acceptances(rows)


def _row(code: str, form: str, **validity: datetime | None) -> AcceptanceRow:
    return AcceptanceRow(
        kommunekode=Kommunekode(code),
        message_type="hospital-notification",
        format=form,
        environment="test",
        **_FORMS[form],  # type: ignore[arg-type]
        **validity,
    )


def form_of(value: bytes) -> str:
    """The format of what lies in an inbox."""
    if value.startswith(b"UNA"):
        return "edifact"
    inside = base64.b64decode(etree.fromstring(value).findtext(".//{*}Data") or "")
    return "fhir" if inside.startswith(b"{") else "oioxml"


def forms(records: Iterable[Any]) -> dict[str, set[str]]:
    """The forms in which each message lies in the inboxes: one, or something is wrong."""
    found: dict[str, set[str]] = defaultdict(set)
    for record in records:
        name = dict(record.headers)["message-id"].decode()
        found[name].add(form_of(record.value))
    return dict(found)
