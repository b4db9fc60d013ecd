"""Damage at every place of a message: what the profiles fix is found by breaking everything that stands there.

Two sources. Every node of the Bundle itself is dropped, emptied, repeated, given another type or another value, so each
mandatory element, binding, pattern, slice and cardinality that the message meets is broken once. And the snapshots of
the profiles name what must not be there at all, or only once: that is added.

Narrative is left alone (it is prose), and of entries of the same type one is enough: the first Organization, and of
the Provenances the last one, which is the message's own.
"""

import json
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.conformance.mutations import Damage, Resource, drop, each, put, resource_of, twice

__all__ = ["ROOTS", "everywhere", "forbidden_by"]

_NEVER = "meta", "text", "resourceType"

#: A value of each type, for elements that a profile forbids; types not named here get an object with an extension id.
_SAMPLES: dict[str, Any] = {
    "CodeableConcept": {"text": "x"},
    "Reference": {"display": "x"},
    "Duration": {"value": 1},
    "string": "x",
    "BackboneElement": {"id": "x"},
}

#: Other values for a leaf, by the name of its element: what is wrong with it -> the value.
_WRONG_VALUES: dict[str, dict[str, Any]] = {
    "code": {"of no code system": "bogus"},
    "status": {"of no value set": "bogus", "of another value set": "planned"},
    "role": {"of no value set": "bogus"},
    "use": {"of no value set": "bogus", "of another use": "old"},
    "type": {"of another kind": "collection"},
    "system": {"another": "http://example.org/other"},
    "url": {"another": "http://example.org/other"},
    "reference": {"leads nowhere": "Organization/nowhere", "no reference at all": "nowhere"},
    "fullUrl": {"relative": "Organization/1"},
    "id": {"not an id": "a_b c", "not a UUID": "one"},
    "value": {"of another form": "123"},
    **{
        name: {"without zone": "2026-03-02T09:00:00", "no such date": "2026-02-30T09:00:00+01:00", "a word": "monday"}
        for name in ("start", "end", "timestamp", "recorded", "occurredDateTime")
    },
}


ROOTS = "Bundle", "MessageHeader", "Encounter", "Patient", "Organization", "Provenance"


def everywhere(bundle: Resource, roots: Iterable[str] = ROOTS) -> dict[str, Damage]:
    """Every damage to these resources of the Bundle, by a sentence that names the place and what is wrong there."""
    found: dict[str, Damage] = {}
    for root in roots:
        kind = [e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == root]
        number = len(kind) - 1 if root == "Provenance" else 0
        top = f"{root}[{number}]" if number else root
        resource = resource_of(bundle, root, number)
        for path, value in _nodes(resource, top):
            found |= {f"{path}: {what}": damage for what, damage in _at(path, value)}
    return found


def _nodes(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """All places below a resource, without narrative, metadata and the entries of the Bundle."""
    if isinstance(value, dict):
        for name, below in value.items():
            if name not in (*_NEVER, "entry"):
                yield f"{path}.{name}", below
                yield from _nodes(below, f"{path}.{name}")
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield f"{path}[{index}]", below
            yield from _nodes(below, f"{path}[{index}]")


def _at(path: str, value: Any) -> Iterator[tuple[str, Damage]]:
    yield "dropped", drop(path)
    match value:
        case dict():
            yield "empty", put(path, {})
            yield "with an element of no definition", put(f"{path}.weather", "fine")
        case list():
            yield "empty", put(path, [])
            yield "once more", twice(path)
            yield "not a list", put(path, value[0])
        case str():
            yield "empty", put(path, "")
            yield "a number", put(path, 7)
            yield "a list", put(path, [value])
            name = path.rpartition(".")[2]
            for what, wrong in _WRONG_VALUES.get(name, {}).items():
                yield what, put(path, wrong)
        case bool():
            yield "a text", put(path, str(value).lower())


def forbidden_by(package: Path, profile: str, root: str) -> dict[str, Damage]:
    """What the profile (its id, in a package file) gives cardinality 0..0 at the top of `root`: present all the same."""
    found: dict[str, Damage] = {}
    for element in _snapshot(package, profile):
        name = element["id"].removeprefix(f"{root}.")
        if element["max"] == "0" and name.isidentifier():
            sample = _SAMPLES[element["type"][0]["code"]]
            value = [sample] if element["base"]["max"] == "*" else sample
            found[f"{root}.{name}: present"] = each(put(f"{root}.{name}", value))
    return found


def _snapshot(package: Path, profile: str) -> list[dict[str, Any]]:
    with tarfile.open(package) as files:
        for member in files:
            content = files.extractfile(member) if f"StructureDefinition-{profile}.json" in member.name else None
            if content is not None:
                elements: list[dict[str, Any]] = json.load(content)["snapshot"]["element"]
                return elements
    raise LookupError(f"no profile {profile} in {package.name}")
