"""The one warning a message of ours may get, and only where it must: an earlier unit that the header does not lead to.

When a stay began at another unit, its message carries that unit's Provenance and, so that `agent.who` leads somewhere,
its Organization (spec 01, 15.6 and 15.7). The Provenance speaks of an earlier MessageHeader, which by nature is not in
the Bundle, so nothing links the two entries with the header, and HL7's code says so. Every other finding counts.
"""

import re
from typing import Any

from streams.formats.fhir.read import from_bytes
from tests.conformance.referee import Finding, Verdict

__all__ = ["ORPHAN", "of_earlier_units", "unexplained"]

ORPHAN = "Bundle_BUNDLE_Entry_Orphan_MESSAGE"
_NAMED = re.compile(r"Entry '([^']+)'")


def unexplained(verdict: Verdict, payload: bytes) -> list[Finding]:
    """Errors and warnings, but those about the entries of earlier units."""
    entries = of_earlier_units(from_bytes(payload))
    return [f for f in (*verdict.errors, *verdict.warnings) if not (f.id == ORPHAN and _place(f) in entries)]


def _place(finding: Finding) -> str:
    named = _NAMED.search(finding.text)
    return named[1] if named else ""


def of_earlier_units(bundle: dict[str, Any]) -> set[str]:
    """fullUrls of carried Provenances, and of Organizations that only these name."""
    resources = {e["fullUrl"]: e["resource"] for e in bundle["entry"]}
    header = bundle["entry"][0]["resource"]
    own = f"MessageHeader/{header['id']}"
    carried = {
        url: r
        for url, r in resources.items()
        if r["resourceType"] == "Provenance" and r["target"][0]["reference"] != own
    }
    others = " ".join(map(str, (r for url, r in resources.items() if url not in carried)))
    who = {p["agent"][0]["who"]["reference"] for p in carried.values()}
    units = {url for url in resources for unit in who if url.endswith(f"/{unit}") and f"'{unit}'" not in others}
    return carried.keys() | units
