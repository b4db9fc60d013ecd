"""Which forms exist in the world, and which of them the product writes and reads today (spec 05 §6.3).

A register can promise any form that exists; only a form of `WRITTEN` can be kept, and only those pass the check. A new
writer or envelope is a row here, beside its source; a test seals a letter for every row.
"""

from typing import Final, NamedTuple

from .rows import AcceptanceRow, SenderAcceptanceRow

__all__ = ["EXISTS", "READ", "WRITTEN", "Form", "is_read", "is_written", "rank"]


class Form(NamedTuple):
    """One form of a message, as an acceptance names it; `source` says where it is laid down."""

    message_type: str
    format: str
    version: str
    mime: str
    envelope: str
    source: str


_JSON: Final = "application/fhir+json"
_XML: Final = "application/fhir+xml"

#: What the lane builds and seals, best first within a format. No row for `none`: a bare document needs the network
#: `direct`, and nothing here speaks it. No row for `sbdh`: its schema does not admit this message yet (02 §3).
WRITTEN: Final = (
    Form("hospital-notification", "fhir", "3.0", _JSON, "vans", "01 §2; 02 §2"),
    Form("hospital-notification", "fhir", "3.0", _XML, "vans", "01, 19.1; 02 §2"),
    Form("acknowledgement", "fhir", "2.0", _JSON, "vans", "02 §4"),
    Form("acknowledgement", "fhir", "2.0", _XML, "vans", "02 §4"),
)

#: What comes back and is understood: (message type, format, version), 02 §4.
READ: Final = frozenset({("acknowledgement", "fhir", "2.0")})

#: (format, envelope, network) that leave together (05 §6.3): EDIFACT is its own interchange, without an envelope.
EXISTS: Final = frozenset(
    {
        ("fhir", "vans", "vans"),
        ("fhir", "sbdh", "ehmi"),
        ("fhir", "none", "direct"),
        ("fhir", "beskedkuvert", "beskedfordeler"),
        ("oioxml", "vans", "vans"),
        ("oioxml", "sbdh", "ehmi"),
        ("oioxml", "none", "direct"),
        ("oioxml", "beskedkuvert", "beskedfordeler"),
        ("edifact", "none", "vans"),
        ("edifact", "none", "direct"),
    }
)

_FORMS: Final = frozenset(form[:-1] for form in WRITTEN)
_VERSIONS: Final = tuple(dict.fromkeys((form.message_type, form.format, form.version) for form in WRITTEN))


def is_written(row: AcceptanceRow) -> bool:
    """Whether the product can write what this row promises."""
    return (row.message_type, row.format, row.version, row.mime, row.envelope) in _FORMS


def is_read(row: SenderAcceptanceRow) -> bool:
    """Whether the product understands what this row takes in return."""
    return (row.message_type, row.format, row.version) in READ


def rank(row: AcceptanceRow) -> int:
    """The place of its version among those written, newest first: 0 is best."""
    of = (row.message_type, row.format, row.version)
    return _VERSIONS.index(of) if of in _VERSIONS else len(_VERSIONS)
