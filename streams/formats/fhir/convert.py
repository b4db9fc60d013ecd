"""The same message in the other of FHIR's two forms."""

from .build import arranged, to_json, to_xml
from .read import from_json, from_xml

__all__ = ["json_to_xml", "xml_to_json"]


def json_to_xml(data: bytes) -> bytes:
    """FHIR JSON as FHIR XML, elements in FHIR order. Raises `Rejected` for what cannot be read or written."""
    return to_xml(arranged(from_json(data)))


def xml_to_json(data: bytes) -> bytes:
    """FHIR XML as FHIR JSON. Raises `Rejected` for what cannot be read."""
    return to_json(from_xml(data))
