"""FHIR JSON and FHIR XML as the same list of places and values, read by nothing of ours.

FHIR R4, "XML Representation": an element is a member of the same name, a repetition is a list, a primitive is the
attribute `value`, an id of anything but a resource and the url of an extension are attributes. Order counts.
"""

import json
from collections.abc import Iterator
from typing import Any

from lxml import etree

__all__ = ["places_of_json", "places_of_xml"]

Place = tuple[str, str]
_XHTML = "{http://www.w3.org/1999/xhtml}div"


def places_of_json(data: bytes) -> list[Place]:
    """Every primitive with the names that lead to it, in document order."""
    resource = json.loads(data)
    return list(_members(resource, resource["resourceType"]))


def _members(value: dict[str, Any], path: str) -> Iterator[Place]:
    for name, child in value.items():
        assert not name.startswith("_"), "an extension of a primitive: not written by us"
        if name != "resourceType":
            for one in child if isinstance(child, list) else [child]:
                yield from _member(name, one, f"{path}/{name}")


def _member(name: str, value: Any, path: str) -> Iterator[Place]:
    if isinstance(value, dict):
        kind = value.get("resourceType")
        yield path, ""
        yield from _members(value, f"{path}/{kind}" if kind else path)
    elif name == "div":
        yield path, _canonical(etree.fromstring(value))
    else:
        yield path, str(value).lower() if isinstance(value, bool) else str(value)


def _canonical(div: Any) -> str:
    """Narrative as one spelling (copied out of its document first, whose namespace is not its own)."""
    return str(etree.canonicalize(etree.tostring(div, with_tail=False, encoding="unicode")))


def places_of_xml(data: bytes) -> list[Place]:
    """The same of an XML document."""
    root = etree.fromstring(data)
    return list(_elements(root, etree.QName(root).localname))


def _elements(parent: Any, path: str) -> Iterator[Place]:
    for child in parent:
        name = etree.QName(child).localname
        here = f"{path}/{name}"
        if child.tag == _XHTML:
            yield here, _canonical(child)
        elif "value" in child.attrib:
            assert len(child) == 0, here
            yield here, child.attrib["value"]
        elif name[0].isupper():  # a resource inside `resource`
            yield from _elements(child, here)
        else:
            yield here, ""
            yield from ((f"{here}/{key}", value) for key, value in sorted(child.attrib.items()))
            yield from _elements(child, here)
