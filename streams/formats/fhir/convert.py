"""The same message in the other of FHIR's two forms."""

from collections.abc import Iterable
from typing import Any

from streams.words.errors import Rejected

from .build import arranged, to_json, to_xml
from .pieces import Finding
from .read import from_json, from_xml
from .structure import base_check

__all__ = ["json_to_xml", "xml_to_json"]


def json_to_xml(data: bytes) -> bytes:
    """FHIR JSON as FHIR XML, elements in FHIR order. Raises `Rejected` for what cannot be read or written.

    XML has no place for what FHIR does not know, so a document of another shape than FHIR's is refused.
    """
    resource = from_json(data)
    _refuse_first(resource, [found for found in _findings(resource) if found.severity == "error" or _is_foreign(found)])
    return to_xml(arranged(resource))


def xml_to_json(data: bytes) -> bytes:
    """FHIR XML as FHIR JSON. Raises `Rejected` for what cannot be read, a resource of an unknown type among it.

    A document in ISO-8859-1, declared, is written anew in UTF-8.
    """
    resource = from_xml(data, any_charset=True)
    _refuse_first(resource, filter(_is_foreign, _findings(resource)))
    return to_json(resource)


def _findings(resource: dict[str, Any]) -> list[Finding]:
    """What base FHIR finds wrong with the shape."""
    try:
        return base_check(resource)
    except RecursionError:
        raise Rejected("$", "nested too deep", "send the elements of the profile", "json") from None


def _is_foreign(finding: Finding) -> bool:
    """A resource of a type whose elements we do not know: a warning to a receiver, a loss to whoever turns it."""
    return finding.rule == "2.4"


def _refuse_first(resource: dict[str, Any], findings: Iterable[Finding]) -> None:
    for first in findings:
        path = f"{resource.get('resourceType', '$')}{first.path}" if len(first.path) > 1 else "$"
        raise Rejected(path, first.problem, first.remedy, first.rule)
