"""The same message in the other of FHIR's two forms."""

from ...errors import Rejected
from .build import arranged, to_json, to_xml
from .read import from_json, from_xml
from .structure import base_check

__all__ = ["json_to_xml", "xml_to_json"]


def json_to_xml(data: bytes) -> bytes:
    """FHIR JSON as FHIR XML, elements in FHIR order. Raises `Rejected` for what cannot be read or written.

    XML has no place for what FHIR does not know, so a document of another shape than FHIR's is refused.
    """
    resource = from_json(data)
    try:
        wrong = [finding for finding in base_check(resource) if finding.severity == "error"]
    except RecursionError:
        raise Rejected("$", "nested too deep", "send the elements of the profile", "json") from None
    if wrong:
        path = f"{resource.get('resourceType', '$')}{wrong[0].path}" if len(wrong[0].path) > 1 else "$"
        raise Rejected(path, wrong[0].problem, wrong[0].remedy, wrong[0].rule)
    return to_xml(arranged(resource))


def xml_to_json(data: bytes) -> bytes:
    """FHIR XML as FHIR JSON. Raises `Rejected` for what cannot be read."""
    return to_json(from_xml(data))
