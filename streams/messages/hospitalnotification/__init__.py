"""The hospital notification (Advis om sygehusophold) between our words and its FHIR document (spec 01)."""

from .check import check
from .person import cpr_of, lacking
from .read import HospitalNotification, inspect, read, reread
from .stencil import compose
from .write import redispatch, write

__all__ = [
    "HospitalNotification",
    "check",
    "compose",
    "cpr_of",
    "inspect",
    "lacking",
    "read",
    "redispatch",
    "reread",
    "write",
]
