"""The hospital notification (Advis om sygehusophold) between our words and its FHIR document (spec 01)."""

from .check import check
from .keep import keep, lacking, restore
from .read import HospitalNotification, inspect, read
from .stencil import compose
from .write import redispatch, write

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
