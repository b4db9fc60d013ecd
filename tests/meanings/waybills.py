"""A waybill for any document: `waybill(transport_id="…")`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from streams.envelopes.envelope import Waybill
from streams.records.trace import About
from streams.words.model import EnvelopeTerms
from tests.meanings.notifications import HEART, IDS, LANE, MUNICIPALITY, PATIENT, TRACED

__all__ = ["BESKED", "BUNDLE", "HEADER", "SEALED", "SENT", "TRANSPORT", "waybill"]

SEALED = Path(__file__).with_name("sealed")  # envelopes as they were read in review

HEADER, BUNDLE, TRANSPORT = (IDS.mint(LANE, kind) for kind in ("header", "bundle", "transport"))
SENT = datetime(2026, 7, 2, 9, 0, 5, tzinfo=UTC)
BESKED = EnvelopeTerms(
    besked_type="00000000-0000-4000-8000-706c61636568",
    person_type="ce7fcf97-a8a2-447a-8690-d38aa0f6e23c",
    classification="44f4108b-26d4-46de-a90f-35e35b55b8d8",
    cvr="12345678",
)
_BASIC = Waybill(
    about=About(HEADER, TRACED, "AdmissionInpatient", HEART, MUNICIPALITY, PATIENT.cpr),
    bundle_id=BUNDLE,
    transport_id=TRANSPORT,
    sent=SENT,
    name="MCM:FDIS20#AdmissionInpatient",
    version="3.0.0",
    media_type="application/fhir+json",
)


def waybill(**changes: Any) -> Waybill:
    """The waybill of an admission with these fields; those of `about` and `terms` by their own names."""
    about = {key: changes.pop(key) for key in About._fields if key in changes}
    terms = {key: changes.pop(key) for key in EnvelopeTerms.__struct_fields__ if key in changes}
    return replace(_BASIC, **{"about": _BASIC.about._replace(**about), "terms": replace(BESKED, **terms)} | changes)
