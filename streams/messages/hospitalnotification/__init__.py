"""The hospital notification (Advis om sygehusophold) between our words and its FHIR document (spec 01)."""

from .check import check
from .read import HospitalNotification, inspect, read
from .stencil import compose
from .write import keep, lacking, redispatch, restore, write

__all__ = [
    "HospitalNotification",
    "check",
    "compose",
    "inspect",
    "keep",
    "lacking",
    "read",
    "redispatch",
    "restore",
    "write",
]
