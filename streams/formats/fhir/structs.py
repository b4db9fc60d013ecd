"""The rows of a profile as msgspec structs: the shape of a right value, tested in C.

Theory of operation. `struct_of` reads the element tables of `shapes` and the same `Profile` rows as `structure` does,
and gives one struct type for each path: emitted elements and no others, mandatory ones, codes, fixed values, patterns,
lengths of lists, extensions by their URL. `msgspec.convert` then parts right values from doubtful ones. Nothing is
explained here: a doubtful value goes to `structure`, which alone words findings. What a struct does not test: emptiness of
an object whose elements are all optional, the whole-value tests of the profile, dates, `string` and narrative; those
are left to the caller. Values are JSON as a parser or our writers make it (dict, list, str, bool).
"""

from collections.abc import Sequence
from functools import reduce
from itertools import chain
from operator import or_
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

from .narrative import OPENING
from .shapes import PATTERNS, PRIMITIVES, RESOURCES, Element, JsonValue, elements
from .structure import BINDINGS, Constraint, Profile

__all__ = ["struct_of"]

#: A type as msgspec takes it, made here at run time.
TypeForm: TypeAlias = Any

#: Primitives that a caller tests where it uses them: a pattern would be a second, dearer look.
_PLAIN: Final = frozenset({"string", "xhtml", "date", "dateTime", "instant"})
_PYTHON_NAME: Final = {"class": "class_"}


def struct_of(profile: Profile, plain: frozenset[str], kinds: Sequence[str], type_name: str = "Bundle") -> TypeForm:
    """The struct type of a resource under `profile`; `Resource` in it is one of `kinds`.

    `plain`: paths (by type, `Reference.reference`) whose text the caller tests itself.
    """
    return _Structs(profile, plain, kinds).struct(type_name, type_name)


def _literal(values: Sequence[str]) -> TypeForm:
    return Literal[tuple(sorted(set(values)))]


def _list(item: TypeForm, least: int, most: int | None) -> TypeForm:
    return Annotated[list[item], msgspec.Meta(min_length=least, max_length=most)]


def _define(name: str, fields: list[tuple[str, TypeForm, bool]], tag: tuple[str, str] | None = None) -> TypeForm:
    """A struct of (JSON name, type, mandatory); optional ones are None when absent, and null is refused."""
    made = [
        (_PYTHON_NAME.get(f, f), kind, msgspec.field(name=f) if needed else msgspec.field(name=f, default=None))
        for f, kind, needed in fields
    ]
    tag_field, tag_value = tag or (None, None)
    return msgspec.defstruct(
        name, made, kw_only=True, forbid_unknown_fields=True, gc=False, tag_field=tag_field, tag=tag_value
    )


def _fixed(name: str, values: Sequence[JsonValue]) -> TypeForm:
    """The type of one of several JSON values of the same form; several may differ in one text only."""
    if isinstance(values[0], str):
        return _literal(values)
    if isinstance(values[0], list):
        item = _fixed(name, [*chain.from_iterable(values)])
        return _list(item, len(values[0]), len(values[0]))
    return _define(name, [(key, _fixed(name, [value[key] for value in values]), True) for key in values[0]])


class _Structs:
    """Makes the types of one profile, each path once."""

    def __init__(self, profile: Profile, plain: frozenset[str], kinds: Sequence[str]) -> None:
        self._profile, self._plain, self._kinds = profile, plain, kinds
        self._rows = {row.path: row for row in profile.constraints}
        self._made: dict[str, TypeForm] = {}

    def struct(self, type_name: str, path: str) -> TypeForm:
        """The type at a path; `Resource` is a union told apart by resourceType."""
        if type_name == "Resource":
            return reduce(
                or_, [_define(kind, self._fields(kind, kind), ("resourceType", kind)) for kind in self._kinds]
            )
        if path not in self._made:
            alone = [("resourceType", Literal[type_name], True)] if type_name in RESOURCES else []
            self._made[path] = _define(type_name, [*alone, *self._fields(type_name, path)])
        return self._made[path]

    def _fields(self, type_name: str, path: str) -> list[tuple[str, TypeForm, bool]]:
        emitted = self._profile.emitted or {}
        allowed = emitted.get(path, emitted.get(type_name, frozenset()))
        found = []
        for element in elements(type_name).values():
            if element.name not in allowed:
                continue
            below = f"{path}.{element.name}"
            row = self._rows.get(below) or self._rows.get(f"{type_name}.{element.name}") or Constraint(below)
            if row.max == 0:
                continue
            needed = bool(row.min or (element.min and row.min is None and not element.choice))
            found.append((element.name, self._member(element, type_name, below, row), needed))
        return found

    def _member(self, element: Element, type_name: str, path: str, row: Constraint) -> TypeForm:
        """The type of an element, whole list or single value, as its row narrows it."""
        if row.fixed:
            return _fixed(path.replace(".", ""), row.fixed)
        if element.type == "Extension":
            slices = [extension for extension in self._profile.extensions if extension.path == path]
            alone, made = len(slices) == 1, []
            for one in slices:
                below = f"{path.removesuffix('.extension')}.extension:{one.name}.{one.value}"
                row_below = self._rows.get(below, Constraint(below))
                value = self._member(elements("Extension")[one.value], "Extension", below, row_below)
                url = [("url", Literal[one.url], True)] if alone else []
                made.append(_define(one.value, [*url, (one.value, value, True)], None if alone else ("url", one.url)))
            item = reduce(or_, made)
        elif codes := row.codes or BINDINGS.get(f"{type_name}.{element.name}"):
            item = _literal([*codes])
        elif element.type == "boolean":
            item = bool
        elif element.type == "xhtml":
            item = Annotated[str, msgspec.Meta(min_length=len(f"{OPENING}</div>") + 1)]  # something in it
        elif f"{type_name}.{element.name}" in self._plain or (element.type in _PLAIN and not row.pattern):
            item = str  # tested by the caller
        elif element.type in PRIMITIVES:
            pattern = row.pattern or PATTERNS[element.type].pattern
            item = Annotated[str, msgspec.Meta(pattern=rf"\A(?:{pattern})\Z")]
        else:
            item = self.struct(element.type, path)
        return _list(item, 1, row.max) if element.many else item
