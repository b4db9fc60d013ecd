"""A FHIR document with one element more: each that its types have and it does not, one at a time, with a plausible value."""

import copy
from collections.abc import Iterator
from typing import Any, Final

from streams.formats.fhir.shapes import RESOURCES, Element, elements

__all__ = ["with_one_more"]

#: A value of each primitive type.
_PRIMITIVES: Final[dict[str, Any]] = {
    "base64Binary": "aGVq",
    "boolean": True,
    "canonical": "http://example.org/x",
    "code": "x",
    "date": "2026-03-01",
    "dateTime": "2026-03-01T12:00:00+01:00",
    "decimal": 1.5,
    "id": "x",
    "instant": "2026-03-01T12:00:00+01:00",
    "integer": 1,
    "markdown": "x",
    "oid": "urn:oid:1.2.3",
    "positiveInt": 1,
    "string": "x",
    "time": "12:00:00",
    "unsignedInt": 1,
    "uri": "http://example.org/x",
    "url": "http://example.org/x",
    "uuid": "urn:uuid:00000000-0000-4000-8000-000000000000",
    "xhtml": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>',
}


def with_one_more(document: Any) -> Iterator[tuple[str, Any]]:
    """Name of the element, and the document that has it."""
    for path, steps, type_name in _objects(document, "", (), document["resourceType"]):
        here = document
        for step in steps:
            here = here[step]
        chosen = {one.choice for one in elements(type_name).values() if one.choice and one.name in here}
        for name, element in elements(type_name).items():
            if name in here or element.choice in chosen - {""}:
                continue
            mine = copy.deepcopy(document)
            place = mine
            for step in steps:
                place = place[step]
            place[name] = _value(element)
            yield f"{path}.{name}".lstrip("."), mine


def _objects(
    value: Any, path: str, steps: tuple[Any, ...], type_name: str
) -> Iterator[tuple[str, tuple[Any, ...], str]]:
    """Every object: its path, the steps that lead there, its type."""
    type_name = value.get("resourceType", type_name)
    yield path, steps, type_name
    for name, element in elements(type_name).items():
        if name not in value or element.type in _PRIMITIVES:
            continue
        inner = value[name] if element.many else [value[name]]
        for number, one in enumerate(inner):
            below = (*steps, name, number) if element.many else (*steps, name)
            where = f"{path}.{name}[{number}]" if element.many else f"{path}.{name}"
            yield from _objects(one, where.lstrip("."), below, element.type)


def _value(element: Element) -> Any:
    found = _PRIMITIVES[element.type] if element.type in _PRIMITIVES else _object(element.type)
    return [found] if element.many else found


def _object(type_name: str) -> dict[str, Any]:
    """The least that there is of a type."""
    if type_name == "Resource":
        return {"resourceType": "Patient"}
    least = {name: _value(one) for name, one in elements(type_name).items() if one.min and not one.choice}
    if type_name == "Extension":
        least |= {"valueString": "x"}
    return ({"resourceType": type_name} if type_name in RESOURCES else {}) | (least or {"id": "x"})
