"""Structure checks: the shape of FHIR and a profile's rows, compiled once into a tree of small functions.

Theory of operation. `Compiler` takes the element tables of `shapes` and a `Profile` (rows of cardinalities, fixed
values, closed code sets, extension slices, whole-element tests) and gives one function per type or, where a row names
a path below it, per path. Each takes a JSON value and returns None when it is right, else its findings; paths are put
together while they return, so a right message pays for no path. What the rows say is decided by the profile that
gives them; no rule of any message is here.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from .pieces import (
    Check,
    Finding,
    choice_check,
    code_check,
    extension_list_check,
    fixed_check,
    list_check,
    never,
    object_check,
    one,
    pattern_check,
    primitive_check,
    shortened,
    value_or_extension,
)
from .primitives import TESTS
from .shapes import PRIMITIVES, RESOURCES, Element, elements
from .xhtml import is_narrative, narrative_check

__all__ = ["BINDINGS", "Compiler", "Constraint", "Extension", "Profile", "base_check"]


class Constraint(NamedTuple):
    """One element of a profile, narrowed. `path` is spelled in JSON names below a resource or a type."""

    path: str
    min: int | None = None
    max: int | None = None  # 0 forbids the element; None keeps the shape's
    fixed: tuple[Any, ...] = ()  # the only values allowed, of any JSON type
    codes: frozenset[str] = frozenset()
    pattern: str = ""  # regular expression that the text must match as a whole
    rule: str = ""  # the path when empty
    remedy: str = ""


class Extension(NamedTuple):
    """One slice of an extension list: its URL, the one value it holds, how often. Nested extensions are forbidden."""

    path: str  # path of the list, `MessageHeader.extension`
    name: str  # slice name, `reportOfAdmissionFlag`: rows below it say `MessageHeader.extension:reportOf….valueBoolean`
    url: str
    value: str  # JSON name of the value, `valueBoolean`
    min: int = 0


class Profile(NamedTuple):
    """What narrows the shapes. `emitted`: elements allowed by path or type; None allows all that FHIR has."""

    constraints: tuple[Constraint, ...] = ()
    extensions: tuple[Extension, ...] = ()
    wholes: Mapping[
        str, tuple[Check, ...]
    ] = {}  # path or type -> tests of the whole value, run when its shape is right
    emitted: Mapping[str, frozenset[str]] | None = None
    shortcuts: Mapping[str, Callable[[Any], bool]] = {}  # type -> a cheap test, true only of what the full test passes
    well_formed_narrative: bool = True  # parse each div; a writer that escapes everything at one place need not


#: Required bindings of base R4 that the element tables reach; profile rows replace them by path.
BINDINGS: Final[dict[str, frozenset[str]]] = {
    path: frozenset(codes.split())
    for path, codes in {
        "Narrative.status": "generated extensions additional empty",
        "Identifier.use": "usual official temp secondary old",
        "HumanName.use": "usual official temp nickname anonymous old maiden",
        "Address.use": "home work temp old billing",
        "Address.type": "postal physical both",
        "ContactPoint.system": "phone fax email pager url sms other",
        "ContactPoint.use": "home work temp old mobile",
        "Quantity.comparator": "< <= >= >",
        "Bundle.type": "document message transaction transaction-response batch batch-response history searchset collection",
        "MessageHeader.response.code": "ok transient-error fatal-error",
        "Patient.gender": "male female other unknown",
        "Patient.contact.gender": "male female other unknown",
        "Patient.link.type": "replaced-by replaces refer seealso",
        "Provenance.entity.role": "derivation revision quotation source removal",
        "Encounter.status": "planned arrived triaged in-progress onleave finished cancelled entered-in-error unknown",
        "OperationOutcome.issue.severity": "fatal error warning information",
        "AuditEvent.action": "C R U D E",
        "AuditEvent.outcome": "0 4 8 12",
    }.items()
}


class Compiler:
    """Compiles one profile. `check(type_name)` is the test of a resource or datatype, ready to call."""

    def __init__(self, profile: Profile | None = None) -> None:
        self._profile = profile or Profile()
        self._rows = {row.path: row for row in self._profile.constraints}
        self._named = self._paths_with_rows()
        self._made: dict[str, Check] = {}
        self._resource = self._by_resource_type()

    def _paths_with_rows(self) -> frozenset[str]:
        """The paths whose object is not just any of its type: a row speaks of something below, or of it as a whole."""
        profile = self._profile
        lists = [extension.path for extension in profile.extensions]
        below = {".".join(p.split(".")[:n]) for p in [*self._rows, *lists] for n in range(1, p.count(".") + 1)}
        whole = [*profile.wholes, *(profile.emitted or ())]
        return frozenset(below | {".".join(p.split(".")[:n]) for p in whole for n in range(1, p.count(".") + 2)})

    def check(self, type_name: str) -> Check:
        """The test of a type by itself; of a resource type with every row of the profile below it."""
        return self._type(type_name, type_name)

    def _type(self, type_name: str, path: str) -> Check:
        """One function per type, or per path where a row of the profile speaks of something below that path."""
        if type_name == "Resource":
            return self._resource
        key = path if path in self._named else type_name
        if key not in self._made:
            table: dict[str, Check] = {}
            required: dict[str, str] = {}
            self._made[key] = object_check(table, required, self._wholes(type_name, key))  # before filling: recursion
            self._fill(type_name, key, table, required)
            if (shortcut := self._profile.shortcuts.get(key)) is not None:
                self._made[key] = shortened(shortcut, self._made[key])
        return self._made[key]

    def _fill(self, type_name: str, key: str, table: dict[str, Check], required: dict[str, str]) -> None:
        known = elements(type_name)
        allowed = self._allowed(type_name, key)
        if type_name in RESOURCES:
            table["resourceType"] = lambda _: None
        for element in known.values():
            path = f"{key}.{element.name}"
            if allowed is not None and element.name not in allowed:
                table[element.name] = never("not-emitted", "an element that this product does not send", "leave it out")
                continue
            row = self._rows.get(path) or self._rows.get(f"{type_name}.{element.name}") or Constraint(path)
            if row.min or (element.min and row.min is None and not element.choice):
                required[element.name] = row.rule or path
            table[element.name] = self._member(element, path, row, BINDINGS.get(f"{type_name}.{element.name}"))
            if element.type in PRIMITIVES and allowed is None:
                table["_" + element.name] = self._primitive_element(element.many)

    def _allowed(self, type_name: str, key: str) -> frozenset[str] | None:
        emitted = self._profile.emitted
        return None if emitted is None else emitted.get(key, emitted.get(type_name, frozenset()))

    def _wholes(self, type_name: str, key: str) -> tuple[Check, ...]:
        groups: dict[str, list[Element]] = {}
        allowed = self._allowed(type_name, key)
        for element in elements(type_name).values():
            if element.choice and (allowed is None or element.name in allowed):
                groups.setdefault(element.choice, []).append(element)
        own = self._profile.wholes.get(key, self._profile.wholes.get(type_name, ()))
        if type_name == "Extension":
            own = (*own, value_or_extension)
        return (*[choice_check(f"{key}.{name}", group) for name, group in groups.items() if len(group) > 1], *own)

    def _member(self, element: Element, path: str, row: Constraint, bound: frozenset[str] | None = None) -> Check:
        rule = row.rule or path
        if row.max == 0:
            return never(rule, "an element that the profile forbids", row.remedy or "leave it out")
        if row.fixed:
            return fixed_check(row.rule or path, row.fixed, row.remedy)
        item = self._value(element, path, row, bound)
        if not element.many:
            return item
        if element.type == "Extension":
            return self._extensions(path, item)
        return list_check(rule, item, row.max, self._profile.wholes.get(path + "[]", ()))

    def _value(self, element: Element, path: str, row: Constraint, bound: frozenset[str] | None) -> Check:
        if row.pattern:
            return pattern_check(row.rule or path, row.pattern, row.remedy)
        if codes := row.codes or bound:
            return code_check(row.rule or path, codes)
        if element.type == "xhtml":
            return narrative_check if self._profile.well_formed_narrative else primitive_check("xhtml", is_narrative)
        if element.type in PRIMITIVES:
            return primitive_check(element.type, TESTS[element.type])
        return self._type(element.type, path)

    def _extensions(self, path: str, generic: Check) -> Check:
        known: dict[str, Check] = {}
        slices = [extension for extension in self._profile.extensions if extension.path == path]
        for slice_ in slices:
            key = f"{path}:{slice_.name}"
            value = elements("Extension")[slice_.value]
            below = f"{key}.{slice_.value}"
            test = self._member(value, below, self._rows.get(below, Constraint(below)))
            table: dict[str, Check] = {"url": lambda _: None, slice_.value: test}
            if self._profile.emitted is None:
                table["id"] = primitive_check("string", TESTS["string"])
            known[slice_.url] = object_check(table, {slice_.value: below}, ())
        modifier = path.endswith("modifierExtension")  # changes the meaning: never passed over (00 §8.3)
        least = {s.url: f"{path}:{s.name}" for s in slices if s.min}
        return extension_list_check(path, known, least, generic, "error" if modifier else "warning")

    def _primitive_element(self, many: bool) -> Check:
        """The test of a `_name`: the id and extensions of a primitive value."""
        table: dict[str, Check] = {"id": primitive_check("string", TESTS["string"])}
        table["extension"] = self._extensions("Element.extension", self._type("Extension", "Extension"))
        inner = object_check(table, {}, ())
        return list_check("json", lambda value: None if value is None else inner(value), None) if many else inner

    def _by_resource_type(self) -> Check:
        found: dict[str, Check] = {}

        def check(value: Any) -> list[Finding] | None:
            kind = value.get("resourceType") if value.__class__ is dict else None
            if kind.__class__ is not str:
                return one("json", "not a resource", "send a JSON object with resourceType")
            if kind not in RESOURCES:
                return [Finding("", "2.4", "a resource type that the message does not have", "leave it out", "warning")]
            if kind not in found:
                found[kind] = self._type(kind, kind)
            return found[kind](value)

        return check


_BASE: Final = Compiler()


def base_check(resource: Any) -> list[Finding]:
    """What base FHIR R4 finds wrong with the shape of a resource, whatever its profile."""
    return _BASE._resource(resource) or []
