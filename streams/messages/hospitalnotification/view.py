"""A notification Bundle seen as one message: header, encounter, patient, units and chain, found and resolved.

Tolerant by design: it takes whatever was sent, finds what it can and never raises, so that the checks can speak of a
broken message and a reader can say what is in it. What is right or wrong is not decided here.
"""

import re
from typing import Any, Final

__all__ = [
    "Object",
    "Placed",
    "View",
    "activity_of",
    "extensions_of",
    "first",
    "is_after_death",
    "listed",
    "member",
    "predecessor_of",
    "reference",
    "same_resource",
    "target_of",
    "text_at",
]

Object = dict[str, Any]
_NOTHING: Final[Object] = {}
_TYPE_AND_ID: Final = re.compile(r"([A-Za-z]+/[A-Za-z0-9\-.]{1,64})(?:/_history/.*)?$")


def member(value: Object, name: str) -> Object:
    """The object under a name; empty when there is none."""
    found = value.get(name)
    return found if found.__class__ is dict else _NOTHING


def listed(value: Object, name: str) -> list[Any]:
    """The list under a name; empty when there is none."""
    found = value.get(name)
    return found if found.__class__ is list else []


def first(value: Object, name: str) -> Object:
    """The first object of the list under a name; empty when there is none."""
    found = value.get(name)
    if found.__class__ is list and found and found[0].__class__ is dict:
        return found[0]
    return _NOTHING


def text_at(value: Object, name: str) -> str | None:
    """The string under a name; None when there is none."""
    found = value.get(name)
    return found if found.__class__ is str else None


def reference(value: Object, name: str) -> str | None:
    """`reference` of the Reference under a name, as written."""
    return text_at(member(value, name), "reference")


def extensions_of(value: Object) -> dict[str, Object]:
    """The extensions of an element by URL, the first of each."""
    found: dict[str, Object] = {}
    for extension in listed(value, "extension"):
        url = text_at(extension, "url") if extension.__class__ is dict else None
        if url is not None:
            found.setdefault(url, extension)
    return found


def same_resource(written: str) -> str:
    """A reference without base and version: `MessageHeader/<id>`; `urn:uuid:` and others as written."""
    if written.count("/") == 1:
        return written
    found = _TYPE_AND_ID.search(written)
    return written if found is None else found.group(1)


def _message(written: str) -> str:
    """The same where a message is meant: `urn:uuid:<id>` is a form of it, also of one that is no entry (00 §3.1)."""
    bare = written.removeprefix("urn:uuid:")
    return same_resource(written) if bare == written else f"MessageHeader/{bare}"


Placed = tuple[int, Object]  # a resource with the index of its entry


class View:
    """The parts of one Bundle. Every attribute is filled; what is missing is empty or None."""

    __slots__ = (
        "bundle",
        "by_kind",
        "current",
        "encounter",
        "entries",
        "header",
        "patient",
        "provenances",
        "resources",
        "targets",
    )

    def __init__(self, bundle: Object) -> None:
        self.bundle = bundle
        self.entries = listed(bundle, "entry")
        self.by_kind: dict[str, list[Placed]] = {}
        self.targets: dict[str, Placed] = {}
        self.resources: list[Placed] = [(-1, bundle)]  # the Bundle, then every entry that holds a resource
        self._collect()
        self.header = self._first("MessageHeader")
        self.provenances = self.by_kind.get("Provenance", [])
        focus = self.resolve(text_at(first(self.header[1], "focus"), "reference"))
        self.encounter = self._first("Encounter") if focus is None else focus
        subject = self.resolve(reference(self.encounter[1], "subject"))
        self.patient = self._first("Patient") if subject is None else subject
        mine = f"MessageHeader/{text_at(self.header[1], 'id')}"
        self.current = [p for p in self.provenances if target_of(p[1]) == mine]

    def _collect(self) -> None:
        by_kind, targets = self.by_kind, self.targets
        for index, entry in enumerate(self.entries):
            resource = member(entry, "resource") if entry.__class__ is dict else _NOTHING
            kind = text_at(resource, "resourceType")
            if kind is None:
                continue
            placed: Placed = (index, resource)
            self.resources.append(placed)
            by_kind.setdefault(kind, []).append(placed)
            if (full_url := text_at(entry, "fullUrl")) is not None:
                targets.setdefault(full_url, placed)
            targets.setdefault(f"{kind}/{text_at(resource, 'id')}", placed)

    def _first(self, kind: str) -> Placed:
        found = self.by_kind.get(kind)
        return found[0] if found else (0, _NOTHING)

    def resolve(self, written: str | None) -> Placed | None:
        """The entry that a reference means: relative, absolute or `urn:uuid:` (00 §3.1); None when it is not here."""
        if written is None:
            return None
        found = self.targets.get(written)
        return self.targets.get(same_resource(written)) if found is None else found


def target_of(provenance: Object) -> str | None:
    """`MessageHeader/<id>` of the message that a Provenance is about."""
    written = text_at(first(provenance, "target"), "reference")
    return None if written is None else _message(written)


def activity_of(provenance: Object) -> str:
    """The activity code of a Provenance; empty when there is none."""
    return text_at(first(member(provenance, "activity"), "coding"), "code") or ""


def predecessor_of(provenance: Object) -> str | None:
    """`MessageHeader/<id>` of the message before, as entity.what names it; None for the first or a legacy one."""
    written = reference(first(provenance, "entity"), "what")
    return None if written is None else _message(written)


def is_after_death(view: View, provenance: Object) -> bool:
    """Whether the chain itself shows that the message before this one was a MORS (spec 01, 9.2).

    A MORS repeats the plain activity of its own predecessor with role revision; no other progress message does.
    """
    by_target = {target_of(p[1]): p[1] for p in view.provenances}
    before = by_target.get(predecessor_of(provenance))
    if before is None or before is provenance:
        return False
    earlier = by_target.get(predecessor_of(before))
    activity = activity_of(before)
    return (
        earlier is not None
        and text_at(first(before, "entity"), "role") == "revision"
        and not activity.startswith(("revise-", "cancel-"))
        and activity_of(earlier) == activity
    )
