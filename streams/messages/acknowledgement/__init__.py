"""The acknowledgement (kvittering) between our words and its FHIR document (spec 02 §4)."""

from .check import check, inspect, judge, reaction, sender_matches
from .read import read, read_bytes
from .write import issues_of_findings, write

__all__ = [
    "check",
    "inspect",
    "issues_of_findings",
    "judge",
    "reaction",
    "read",
    "read_bytes",
    "sender_matches",
    "write",
]
