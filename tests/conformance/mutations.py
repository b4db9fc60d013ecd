"""Small, named damage to a Bundle: a path and what happens there. A test table is a list of these.

A path begins with `Bundle` or the type of an entry, `Organization[1]` being the second of its kind, and goes on as in
FHIRPath: `MessageHeader.destination[0].endpoint`. Every function returns the damage, which changes a Bundle in place.
"""

import copy
import re
from collections.abc import Callable
from typing import Any

__all__ = ["Damage", "Resource", "damaged", "drop", "each", "no_entry", "put", "resource_of", "twice"]

Resource = dict[str, Any]
Damage = Callable[[Resource], object]

_STEP = re.compile(r"(\w+)|\[(\d+)\]")


def damaged(bundle: Resource, *damage: Damage) -> Resource:
    """A copy of the Bundle with the damage done."""
    mine = copy.deepcopy(bundle)
    for change in damage:
        change(mine)
    return mine


def resource_of(bundle: Resource, root: str, number: int = 0) -> Resource:
    """The entry number `number` of its type, or the Bundle itself."""
    if root == "Bundle":
        return bundle
    found: list[Resource] = [
        e["resource"] for e in bundle["entry"] if e.get("resource", {}).get("resourceType") == root
    ]
    return found[number]


def _place(bundle: Resource, path: str) -> tuple[Any, str | int]:
    """The container of the last step, and that step."""
    root, *steps = [int(index) if index else name for name, index in _STEP.findall(path)]
    number = steps.pop(0) if steps and isinstance(steps[0], int) else 0
    here: Any = resource_of(bundle, str(root), int(number))
    for step in steps[:-1]:
        here = here[step]
    return here, steps[-1]


def put(path: str, value: Any) -> Damage:
    """Writes a value at the path; an index equal to the length of a list appends."""

    def change(bundle: Resource) -> None:
        here, last = _place(bundle, path)
        if isinstance(here, list) and last == len(here):
            here.append(copy.deepcopy(value))
        else:
            here[last] = copy.deepcopy(value)

    return change


def drop(path: str) -> Damage:
    """Takes the element away; a list that becomes empty goes with it."""

    def change(bundle: Resource) -> None:
        here, last = _place(bundle, path)
        del here[last]
        if isinstance(here, list) and not here:
            drop(path[: path.rindex("[")])(bundle)

    return change


def twice(path: str) -> Damage:
    """Appends a copy of the last element of the list at the path."""

    def change(bundle: Resource) -> None:
        here, last = _place(bundle, path)
        here[last].append(copy.deepcopy(here[last][-1]))

    return change


def no_entry(resource_type: str) -> Damage:
    """Takes every entry of the type away."""

    def change(bundle: Resource) -> None:
        bundle["entry"] = [e for e in bundle["entry"] if e["resource"]["resourceType"] != resource_type]

    return change


def each(*damage: Damage) -> Damage:
    """Several changes as one."""

    def change(bundle: Resource) -> None:
        for one in damage:
            one(bundle)

    return change
