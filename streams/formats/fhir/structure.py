"""Structure checks: the shape of FHIR and a profile's rows, compiled once into a tree of small functions.

Theory of operation. `Compiler` takes the element tables of `shapes` and a `Profile` (rows of cardinalities, fixed
values, closed code sets, extension slices, whole-element tests) and gives one function per type or, where a row names
a path below it, per path. Each takes a JSON value and returns None when it is right, else its findings; paths are put
together while they return, so a right message pays for no path. What the rows demand is decided by the profile that
gives them; no rule of any message is here.

`border_check` is a second opinion of others: the shape as the public R4B models of fhir.resources see it (spec 01, 1.11: for
the resource types in use every R4 element exists in R4B). They are a shape parser, no profile validator (23.21), and cost
half a millisecond: for the border and for a sample of what we send, never for every message. Imported only when called.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import orjson

from streams.words.errors import Issue, Severity

from .shapes import (
    FORMS,
    PATTERNS,
    PRIMITIVES,
    RESOURCES,
    TESTS,
    Element,
    JsonObject,
    JsonValue,
    elements,
    is_narrative,
    narrative_fault,
)


class Finding(NamedTuple):
    """An issue whose path is still relative to the value looked at: `.period.start`, `[2]`."""

    path: str
    rule: str
    problem: str
    remedy: str
    severity: Severity = "error"


Check = Callable[[JsonValue], list[Finding] | None]


def issues(root: str, found: Iterable[Finding]) -> list[Issue]:
    """Findings as issues, their paths below `root`."""
    return [
        Issue(severity=f.severity, path=root + f.path, rule=f.rule, problem=f.problem, remedy=f.remedy) for f in found
    ]


class Constraint(NamedTuple):
    """One element of a profile, narrowed. `path` is spelled in JSON names below a resource or a type."""

    path: str
    min: int | None = None
    max: int | None = None  # 0 forbids the element; None keeps the shape's
    fixed: tuple[JsonValue, ...] = ()  # the only values allowed, of any JSON type
    codes: frozenset[str] = frozenset()
    pattern: str = ""  # regular expression that the text must match as a whole
    rule: str = ""  # the path when empty
    remedy: str = ""


class Extension(NamedTuple):
    """One slice of an extension list: its URL, the one value it holds, how often. Nested extensions are forbidden."""

    path: str  # path of the list, `MessageHeader.extension`
    name: str  # slice name, `reportOfAdmissionFlag`: paths of rows below it are `MessageHeader.extension:reportOf….valueBoolean`
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


# ---- from rows to functions -----------------------------------------------------------------------------------------


class Compiler:
    """Compiles one profile. `check(type_name)` is the test of a resource or datatype, ready to call."""

    def __init__(self, profile: Profile | None = None) -> None:
        self._profile = profile = profile or Profile()
        self._rows = {row.path: row for row in profile.constraints}
        #: Paths whose object is not just any of its type: a row is about something below, or about it as a whole.
        self._named: set[str] = set()
        for path in [*self._rows, *(extension.path for extension in profile.extensions)]:
            self._named.update(".".join(path.split(".")[:n]) for n in range(1, path.count(".") + 1))
        for path in [*profile.wholes, *(profile.emitted or ())]:
            self._named.update(".".join(path.split(".")[:n]) for n in range(1, path.count(".") + 2))
        self._made: dict[str, Check] = {}

    def check(self, type_name: str) -> Check:
        """The test of a type by itself; of a resource type with every row of the profile below it."""
        return self._type(type_name, type_name)

    def resource(self, value: JsonValue) -> list[Finding] | None:
        """What is wrong with a resource of whatever type; None when nothing is."""
        kind = value.get("resourceType") if value.__class__ is dict else None
        if kind.__class__ is not str:
            return _one("json", "not a resource", "send a JSON object with resourceType")
        if kind not in RESOURCES:
            return [Finding("", "2.4", "a resource type that the message does not have", "leave it out", "warning")]
        return (self._made.get(kind) or self._type(kind, kind))(value)

    def _type(self, type_name: str, path: str) -> Check:
        """One function per type, or per path where a row of the profile is about something below that path."""
        if type_name == "Resource":
            return self.resource
        key = path if path in self._named else type_name
        if key not in self._made:
            table: dict[str, Check] = {}
            required: dict[str, str] = {}
            wholes: list[Check] = []
            self._made[key] = _object_check(table, required, wholes)  # before filling: types are recursive
            self._fill(type_name, key, table, required, wholes)
        return self._made[key]

    def _fill(
        self, type_name: str, key: str, table: dict[str, Check], required: dict[str, str], wholes: list[Check]
    ) -> None:
        """The tests of the elements of a type at a path, those it must have, and the tests of it as a whole."""
        profile, emitted = self._profile, self._profile.emitted
        choices: dict[str, list[Element]] = {}
        allowed = None if emitted is None else emitted.get(key, emitted.get(type_name, frozenset()))
        if type_name in RESOURCES:
            table["resourceType"] = lambda _: None
        for element in elements(type_name).values():
            path = f"{key}.{element.name}"
            if allowed is not None and element.name not in allowed:
                table[element.name] = _never(
                    "not-emitted", "an element that this product does not send", "leave it out"
                )
                continue
            if element.choice:
                choices.setdefault(element.choice, []).append(element)
            row = self._rows.get(path) or self._rows.get(f"{type_name}.{element.name}") or Constraint(path)
            if row.min or (element.min and row.min is None and not element.choice):
                required[element.name] = row.rule or path
            table[element.name] = self._member(element, path, row, BINDINGS.get(f"{type_name}.{element.name}"))
            if element.type in PRIMITIVES and allowed is None:
                table["_" + element.name] = self._beside_primitive(element.many)
        wholes += [_choice_check(f"{key}.{name}", group) for name, group in choices.items() if len(group) > 1]
        wholes += profile.wholes.get(key, profile.wholes.get(type_name, ()))
        if type_name == "Extension":
            wholes.append(_value_or_extension)

    def _member(self, element: Element, path: str, row: Constraint, bound: frozenset[str] | None = None) -> Check:
        """The test of an element, whole list or single value, as its row narrows it. `bound`: the codes of base R4."""
        rule = row.rule or path
        if row.max == 0:
            return _never(rule, "an element that the profile forbids", row.remedy or "leave it out")
        if fixed := row.fixed:
            shown = " or ".join(value if isinstance(value, str) else orjson.dumps(value).decode() for value in fixed)
            wrong = _one(rule, "another value than the profile fixes", row.remedy or f"send {shown}")
            return lambda value: None if value in fixed else wrong
        item = self._value(element, path, row, bound)
        if not element.many:
            return item
        if element.type == "Extension":
            return self._extensions(path, item)
        return _list_check(rule, item, row.max, self._profile.wholes.get(path + "[]", ()))

    def _value(self, element: Element, path: str, row: Constraint, bound: frozenset[str] | None) -> Check:
        """The test of a single value: a text of one form, a code of a closed value set, else any of the type."""
        if row.pattern:
            match, wrong = (
                re.compile(row.pattern).fullmatch,
                _one(row.rule or path, "a text of another form", row.remedy),
            )
            return lambda value: None if value.__class__ is str and match(value) is not None else wrong
        if codes := row.codes or bound:
            shown = ", ".join(sorted(codes)) if len(codes) < 12 else f"one of the {len(codes)} codes of the value set"
            wrong = _one(row.rule or path, "a code outside the value set", f"send {shown}")
            return lambda value: None if value.__class__ is str and value in codes else wrong
        if element.type == "xhtml":
            if not self._profile.well_formed_narrative:
                return _primitive_check("xhtml", is_narrative)
            return lambda value: None if (fault := narrative_fault(value)) is None else _one("xhtml", *fault)
        if element.type in PRIMITIVES:
            return _primitive_check(element.type, TESTS[element.type])
        return self._type(element.type, path)

    def _extensions(self, path: str, generic: Check) -> Check:
        """The test of a list of extensions: the slices of the profile by their URL; any other by its shape (`generic`),
        and then a warning, or an error where it changes the meaning and may not be passed over (00 §8.3).
        """
        known: dict[str, Check] = {}
        needed: dict[str, str] = {}  # URL -> rule
        for slice_ in self._profile.extensions:
            if slice_.path != path:
                continue
            below = f"{path}:{slice_.name}.{slice_.value}"
            value = elements("Extension")[slice_.value]
            test = self._member(value, below, self._rows.get(below, Constraint(below)))
            table: dict[str, Check] = {"url": lambda _: None, slice_.value: test}
            if self._profile.emitted is None:
                table["id"] = _primitive_check("string", TESTS["string"])
            known[slice_.url] = _object_check(table, {slice_.value: below}, ())
            if slice_.min:
                needed[slice_.url] = f"{path}:{slice_.name}"
        severity: Severity = "error" if path.endswith("modifierExtension") else "warning"
        problem = "an extension that the profile does not have"
        stranger = Finding("", "unknown-extension", problem, "leave it out", severity)

        def check(value: JsonValue) -> list[Finding] | None:
            if value.__class__ is not list or not value:
                return _NO_LIST
            if len(value) > _MOST:
                return _TOO_MANY
            found: list[Finding] = []
            seen: set[str] = set()
            for index, child in enumerate(value):
                url = child.get("url") if child.__class__ is dict else None
                test = known.get(url) if url.__class__ is str else None
                wrong = (generic(child) or [stranger]) if test is None else test(child)
                if wrong is not None:
                    found += _under(f"[{index}]", wrong)
                if test is not None and url in seen:
                    found.append(Finding(f"[{index}]", path, "this extension is given twice", "send it once"))
                if url.__class__ is str:
                    seen.add(url)
            found += [
                Finding("", needed[url], "missing", "send it: it is mandatory") for url in needed if url not in seen
            ]
            return found or None

        return check

    def _beside_primitive(self, many: bool) -> Check:
        """The test of a `_name`: the id and extensions of a primitive value."""
        table: dict[str, Check] = {"id": _primitive_check("string", TESTS["string"])}
        table["extension"] = self._extensions("Element.extension", self._type("Extension", "Extension"))
        inner = _object_check(table, {}, ())
        return _list_check("json", lambda value: None if value is None else inner(value), None) if many else inner


_BASE: Final = Compiler()


def base_check(resource: JsonValue) -> list[Finding]:
    """What base FHIR R4 finds wrong with the shape of a resource, whatever its profile."""
    return _BASE.resource(resource) or []


# ---- the functions that a check is put together from: each factory takes what a row demands -------------------------


def _under(prefix: str, wrong: list[Finding]) -> list[Finding]:
    """The same findings, seen from the element above."""
    return [f._replace(path=prefix + f.path) for f in wrong]


def _one(rule: str, problem: str, remedy: str) -> list[Finding]:
    """One error about the value itself."""
    return [Finding("", rule, problem, remedy)]


#: Members of an object or items of a list. No message has more, and a fault in each must not become a million findings.
_MOST: Final = 20_000
_TOO_MANY: Final = _one("json", f"more than {_MOST} members or items", "send what one message needs")
_NO_LIST: Final = _one("json", "not a list with content", "send a JSON array, or leave the element out")
_UNKNOWN_ELEMENT: Final = ("unknown-element", "an element that FHIR does not have here", "leave it out")


def _never(rule: str, problem: str, remedy: str) -> Check:
    """Refuses whatever stands there."""
    wrong = _one(rule, problem, remedy)
    return lambda _: wrong


def _only_warnings(found: list[Finding]) -> bool:
    return all(finding.severity == "warning" for finding in found)


def _object_check(table: dict[str, Check], required: dict[str, str], wholes: Sequence[Check]) -> Check:
    """The test of an object: every member by the table, the mandatory ones there, then the object as a whole."""
    find = table.get

    def check(value: JsonValue) -> list[Finding] | None:
        if value.__class__ is not dict or not value:
            return _one("json", "not an object with content", "send a JSON object, or leave the element out")
        if len(value) > _MOST:
            return _TOO_MANY
        found: list[Finding] | None = None
        for name, child in value.items():
            if (test := find(name)) is None:
                shown = name if name.isascii() and name.isalnum() and len(name) <= 40 else "?"
                found = found or []
                found.append(Finding(f".{shown}", *_UNKNOWN_ELEMENT))
            elif (wrong := test(child)) is not None:
                found = found or []
                found += _under(f".{name}", wrong)
        for name in required:
            if name not in value:
                found = (found or []) + [Finding(f".{name}", required[name], "missing", "send it: it is mandatory")]
        if wholes and (found is None or _only_warnings(found)):
            for whole in wholes:
                if (wrong := whole(value)) is not None:
                    found = (found or []) + wrong
        return found

    return check


def _list_check(rule: str, item: Check, most: int | None, tests: tuple[Check, ...] = ()) -> Check:
    """The test of a repeating element: not empty, not too long, every item, then the list as a whole."""

    def check(value: JsonValue) -> list[Finding] | None:
        if value.__class__ is not list or not value:
            return _NO_LIST
        if len(value) > _MOST:
            return _TOO_MANY
        found: list[Finding] | None = None
        if most is not None and len(value) > most:
            found = _one(rule, f"given {len(value)} times", f"send it at most {most} time(s)")
        wrongs = [item(child) for child in value]  # each once: nested lists must not multiply the work
        if wrongs.count(None) != len(wrongs):
            found = (found or []) + [f for i, wrong in enumerate(wrongs) for f in _under(f"[{i}]", wrong or [])]
        if tests and (found is None or _only_warnings(found)):
            for test in tests:
                if (wrong := test(value)) is not None:
                    found = (found or []) + wrong
        return found

    return check


def _choice_check(rule: str, group: list[Element]) -> Check:
    """One element of a choice of types, exactly one where it is mandatory."""
    names, needed = frozenset(e.name for e in group), group[0].min

    def check(value: JsonValue) -> list[Finding] | None:
        given = len(names & value.keys())
        if given > 1:
            return _one(rule, "given in more than one type", "send one of them")
        if needed and not given:
            return _one(rule, "missing", "send it: it is mandatory")
        return None

    return check


def _value_or_extension(value: JsonValue) -> list[Finding] | None:
    """Invariant ext-1 of base FHIR: a value or nested extensions, not both and not neither."""
    has_value = any(name.lstrip("_").startswith("value") for name in value)
    if has_value != ("extension" in value):
        return None
    return _one("ext-1", "neither or both of value and nested extensions", "send a value")


def _primitive_check(type_name: str, test: Callable[[object], bool]) -> Check:
    """The test of a primitive value."""
    wrong = _one(type_name, f"not {FORMS[type_name]}", f"send {FORMS[type_name]}")
    if type_name in PATTERNS:  # the same test without a second call
        match = PATTERNS[type_name].fullmatch
        return lambda value: None if value.__class__ is str and match(value) is not None else wrong
    if type_name == "string":  # nearly every text: printable and not blank
        return lambda value: (
            None if (value.__class__ is str and value.isprintable() and value.strip()) or test(value) else wrong
        )
    return lambda value: None if test(value) else wrong


# ---- a second opinion --------------------------------------------------------------------------------------------------


def border_check(bundle: JsonObject) -> list[Issue]:
    """What the R4B models refuse in a Bundle; empty when they take it. No content in the texts."""
    from fhir.resources.R4B.bundle import Bundle  # 250 ms and 30 MB: only where it is asked for
    from pydantic import ValidationError

    try:
        Bundle.model_validate(bundle)
    except ValidationError as error:
        faults = [(each["loc"], each["type"]) for each in error.errors(include_input=False, include_url=False)]
    except (TypeError, ValueError, AttributeError, KeyError, RecursionError) as error:
        faults = [((), type(error).__name__)]
    else:
        return []
    found = []
    for place, kind in faults:
        path = "Bundle"
        for step in place:
            if isinstance(step, int):
                path += f"[{step}]"
            else:
                shown = step if step.isascii() and step.replace("_", "").isalnum() and len(step) <= 40 else "?"
                path += f".{shown}"
        problem = f"refused by the FHIR models: {kind}"
        found.append(Issue(severity="error", path=path, rule="fhir-r4", problem=problem, remedy="send FHIR R4"))
    return found
