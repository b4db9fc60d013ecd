"""FHIR documents otherwise: with one element more, with other entries; and texts that may stand as a value."""

import copy
from collections.abc import Iterator
from typing import Any, Final

import orjson

from streams.formats.fhir.shapes import RESOURCES, Element, elements

__all__ = ["EHMI_WORDS", "TEXTS", "WORDS", "other_entries", "with_one_more"]

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


#: Texts that are a value of one primitive type or another, or nearly.
TEXTS: Final = (
    *(
        "",
        " ",
        "x",
        "x y",
        "x  y",
        " x",
        "x\n",
        "é",
        "\x07",
        "true",
        "false",
        "TRUE",
        "0",
        "-0",
        "-1",
        "1",
        "01",
        "+1",
        "1.5",
    ),
    *(
        "1.50",
        ".5",
        "1.",
        "1e3",
        "1E+300",
        "1e299",
        "1e300",
        "1e400",
        "9" * 18,
        "9" * 19,
        "1." + "5" * 38,
        "1." + "5" * 39,
    ),
    *(
        str(1 << 31),
        str((1 << 31) - 1),
        str(-(1 << 31)),
        str(-(1 << 31) - 1),
        "2026",
        "2026-03",
        "2026-03-01",
        "2026-02-29",
    ),
    *("2026-13-01", "2026-03-32", "0000-01-01", "2026-03-01T12:00", "2026-03-01T12:00:00", "2026-03-01T12:00:00Z"),
    *("2026-03-01T12:00:00+01:00", "2026-03-01T12:00:60Z", "2026-03-01T12:00:61Z", "2026-03-01T24:00:00Z"),
    *("2026-03-01T12:00:00.1Z", f"2026-03-01T12:00:00.{'1' * 9}Z", f"2026-03-01T12:00:00.{'1' * 10}Z"),
    *(
        "2026-03-01T12:00:00+14:00",
        "2026-03-01T12:00:00+14:01",
        "2026-03-01T12:00:00-13:59",
        "9999-12-31T23:59:59-14:00",
    ),
    *(
        "0001-01-01T00:00:00+14:00",
        "12:00:00",
        "24:00:00",
        "12:00:60",
        "12:00",
        "12:00:00.5",
        "aGVq",
        "aGV",
        "aGVqaA==",
        "a=b",
    ),
    *(
        "urn:oid:1.2.3",
        "urn:oid:3.1",
        "urn:oid:1.02",
        "urn:uuid:00000000-0000-4000-8000-000000000000",
        "http://x y",
        "x" * 64,
    ),
    *("x" * 65, "urn:uuid:00000000-0000-4000-8000-00000000000A", "a.b-c", "a_b"),
)


#: Words and lengths that the elements of envelopes and letters are checked for.
WORDS: Final = (
    *(
        "XML",
        "EDIFACT",
        "HL7",
        "Binary",
        "Other",
        "xml",
        "EAN",
        "CVR",
        "VANS",
        "reliable",
        "unreliable",
        "UTF-8",
        "base64",
    ),
    *(
        "application/fhir+json",
        "application/fhir+xml",
        "text/fhir+json",
        "text/fhir+xml",
        "0",
        "1",
        "+1",
        "007",
        "-1",
        "1.5",
    ),
    *(
        "2026-03-01T12:00:00",
        "2026-03-01T12:00:00Z",
        "2026-03-01",
        "24:00",
        "12:00",
        "true",
        "false",
        "300000",
        "600000",
    ),
    *("x" * size for length in (1, 3, 4, 5, 9, 14, 17, 18, 35, 70, 80, 255, 256, 512) for size in (length, length + 1)),
    *("7" * size for size in (4, 10, 11, 13, 14)),
)

#: The words of an EHMI envelope: those of the schema, those it lacks, and others.
EHMI_WORDS: Final = {
    "standard": (
        *(
            "homecareobservation-message",
            "acknowledgement-message",
            "ehmisbdh-acknowledgement",
            "Acknowledgement-Message",
        ),
        *("hospital-notification-message", "hospitalnotification-message", "care-communication-message"),
    ),
    "kind": ("Bundle", "ReceiptAcknowledgement", "ReceiptException", "bundle"),
    "role": ("Request", "Response", "request"),
    "mime": ("application/xml", "application/fhir+json", "application/fhir+xml", "application/json"),
}


def with_one_more(document: Any) -> Iterator[tuple[str, Any]]:
    """Each element that a type has and the document has not: its name, and the document with a plausible value of it."""
    for path, steps, type_name in _objects(document, "", (), document["resourceType"]):
        here = document
        for step in steps:
            here = here[step]
        for name, element in elements(type_name).items():
            if name in here:
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


def other_entries(whole: dict[str, Any], others: list[Any]) -> Iterator[tuple[str, Any]]:
    """A Bundle of which each entry is dropped, first, twice, once more under another id; and with one of others."""
    mine = whole["entry"]
    for at, entry in enumerate(mine):
        name, rest = f"{at} {entry['resource']['resourceType']}", [*mine[:at], *mine[at + 1 :]]
        id_ = entry["resource"]["id"]
        anew = orjson.loads(orjson.dumps(entry).replace(id_.encode(), b"0c0ffee0-0000-4000-8000-000000000000"))
        bare = {"resource": {key: value for key, value in anew["resource"].items() if key != "text"}}
        for how, places in {
            "dropped": rest,
            "first": [entry, *rest],
            "twice": [*mine, entry],
            "once more": [*mine, anew],
            "once more without name": [*mine, bare],
        }.items():
            yield f"{name} {how}", {**whole, "entry": places}
    for at, entry in enumerate(others):
        yield f"and {at} {entry['resource']['resourceType']}", {**whole, "entry": [*mine, entry]}
