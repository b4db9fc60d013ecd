"""Bundles with one thing wrong: `damaged(bundle, "Encounter.status", "bogus")`, and random damage for properties."""

import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

__all__ = ["ABSENT", "any_damage", "changed", "damaged", "entry_of"]

ABSENT = object()


def entry_of(bundle: dict[str, Any], kind: str, number: int = 0) -> int:
    """The index of the entry that holds the resource `number` of a kind; -1 counts from the end."""
    return [i for i, e in enumerate(bundle["entry"]) if e["resource"]["resourceType"] == kind][number]


def changed(bundle: dict[str, Any], change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """A deep copy after `change`."""
    copy: dict[str, Any] = json.loads(json.dumps(bundle))
    change(copy)
    return copy


def damaged(bundle: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy in which the place holds `value` (`ABSENT`: nothing). `Provenance[-1].agent.0.who`, `Bundle.type`."""

    def change(copy: dict[str, Any]) -> None:
        head, *steps = path.split(".")
        kind, _, number = head.rstrip("]").partition("[")
        here: Any = copy if kind == "Bundle" else copy["entry"][entry_of(copy, kind, int(number or 0))]["resource"]
        for step in steps[:-1]:
            here = here[int(step) if step.isdigit() else step]
        last: Any = int(steps[-1]) if steps[-1].isdigit() else steps[-1]
        if value is ABSENT:
            del here[last]
        elif isinstance(here, list) and last == len(here):
            here.append(value)
        else:
            here[last] = value

    return changed(bundle, change)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def _places(value: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in pairs:
        found.append((value, key))
        _places(child, found)
    return found


@st.composite
def any_damage(draw: st.DrawFn, bundle: dict[str, Any]) -> dict[str, Any]:
    """The bundle with one to three places replaced by any JSON, emptied, or taken away."""
    copy: dict[str, Any] = json.loads(json.dumps(bundle))
    for _ in range(draw(st.integers(1, 3))):
        places = _places(copy, [])
        if not places:
            break
        holder, key = places[draw(st.integers(0, len(places) - 1))]
        if draw(st.booleans()):
            holder[key] = draw(_JSON)
        else:
            del holder[key]
    return copy
