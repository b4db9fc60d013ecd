"""The hospital notification (Advis om sygehusophold) between our words and its FHIR document (spec 01)."""

from .check import check
from .inspect import inspect
from .read import HospitalNotification, read, reread
from .stencil import compose
from .write import redispatch, write

__all__ = ["HospitalNotification", "check", "compose", "inspect", "read", "redispatch", "reread", "write"]
