"""The functions that a structure check is put together from: objects, lists, choices, extensions, single values.

Each factory takes what a table row says and returns a function from a JSON value to its findings, or None when the
value is right; paths are put together while they return. Which rows there are is in `structure.py`.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

import orjson

from streams.words.errors import Issue, Severity

from .primitives import FORMS, PATTERNS
from .shapes import Element

__all__ = [
    "Check",
    "Finding",
    "choice_check",
    "code_check",
    "extension_list_check",
    "fixed_check",
    "issues",
    "list_check",
    "never",
    "object_check",
    "one",
    "pattern_check",
    "primitive_check",
    "shortened",
    "value_or_extension",
]


class Finding(NamedTuple):
    """An issue whose path is still relative to the value looked at: `.period.start`, `[2]`."""

    path: str
    rule: str
    problem: str
    remedy: str
    severity: Severity = "error"


Check = Callable[[Any], list[Finding] | None]


def issues(root: str, found: Iterable[Finding]) -> list[Issue]:
    """Findings as issues, their paths below `root`."""
    return [
        Issue(severity=f.severity, path=root + f.path, rule=f.rule, problem=f.problem, remedy=f.remedy) for f in found
    ]


def under(prefix: str, wrong: list[Finding]) -> list[Finding]:
    """The same findings, seen from the element above."""
    return [f._replace(path=prefix + f.path) for f in wrong]


def one(rule: str, problem: str, remedy: str) -> list[Finding]:
    """One error about the value itself."""
    return [Finding("", rule, problem, remedy)]


#: Members of an object or items of a list. No message has more, and what is wrong with each must not be told a
#: million times.
_MOST: Final = 20_000
_TOO_MANY: Final = one("json", f"more than {_MOST} members or items", "send what one message needs")
NO_LIST: Final = one("json", "not a list with content", "send a JSON array, or leave the element out")


def _is_list(value: Any) -> bool:
    return value.__class__ is list and len(value) > 0


def _unknown(name: str) -> list[Finding]:
    shown = name if name.isascii() and name.isalnum() and len(name) <= 40 else "?"
    return [Finding(f".{shown}", "unknown-element", "an element that FHIR does not have here", "leave it out")]


def never(rule: str, problem: str, remedy: str) -> Check:
    """Refuses whatever stands there."""
    wrong = one(rule, problem, remedy)
    return lambda _: wrong


def _only_warnings(found: list[Finding]) -> bool:
    return all(finding.severity == "warning" for finding in found)


def object_check(table: dict[str, Check], required: dict[str, str], wholes: tuple[Check, ...]) -> Check:
    """The test of an object: every member by the table, the mandatory ones there, then the object as a whole."""
    find = table.get

    def check(value: Any) -> list[Finding] | None:
        if value.__class__ is not dict or not value:
            return one("json", "not an object with content", "send a JSON object, or leave the element out")
        if len(value) > _MOST:
            return _TOO_MANY
        found: list[Finding] | None = None
        for name, child in value.items():
            test = find(name)
            wrong = _unknown(name) if test is None else test(child)
            if wrong is not None:
                found = found or []
                found.extend(wrong if test is None else under(f".{name}", wrong))
        for name in required:
            if name not in value:
                found = (found or []) + [Finding(f".{name}", required[name], "missing", "send it: it is mandatory")]
        if wholes and (found is None or _only_warnings(found)):
            for whole in wholes:
                if (wrong := whole(value)) is not None:
                    found = (found or []) + wrong
        return found

    return check


def list_check(rule: str, item: Check, most: int | None, tests: tuple[Check, ...] = ()) -> Check:
    """The test of a repeating element: not empty, not too long, every item, then the list as a whole."""

    def check(value: Any) -> list[Finding] | None:
        if value.__class__ is not list or not value:
            return NO_LIST
        if len(value) > _MOST:
            return _TOO_MANY
        found: list[Finding] | None = None
        if most is not None and len(value) > most:
            found = one(rule, f"given {len(value)} times", f"send it at most {most} time(s)")
        wrongs = [item(child) for child in value]  # each once: nested lists must not multiply the work
        if wrongs.count(None) != len(wrongs):
            found = (found or []) + [f for i, wrong in enumerate(wrongs) for f in under(f"[{i}]", wrong or [])]
        if tests and (found is None or _only_warnings(found)):
            for test in tests:
                if (wrong := test(value)) is not None:
                    found = (found or []) + wrong
        return found

    return check


def extension_list_check(
    path: str, known: dict[str, Check], least: dict[str, str], generic: Check, unknown: Severity
) -> Check:
    """The test of a list of extensions: known ones by their URL, others by shape, then a finding of severity `unknown`."""
    problem = "an extension that the profile does not have"
    stranger = Finding("", "unknown-extension", problem, "leave it out", unknown)

    def check(value: Any) -> list[Finding] | None:
        if not _is_list(value):
            return NO_LIST
        if len(value) > _MOST:
            return _TOO_MANY
        found: list[Finding] = []
        seen: set[str] = set()
        for index, child in enumerate(value):
            url = child.get("url") if child.__class__ is dict else None
            test = known.get(url) if url.__class__ is str else None
            wrong = (generic(child) or [stranger]) if test is None else test(child)
            if wrong is not None:
                found += under(f"[{index}]", wrong)
            if test is not None and url in seen:
                found.append(Finding(f"[{index}]", path, "this extension is given twice", "send it once"))
            if url.__class__ is str:
                seen.add(url)
        found += [
            Finding("", rule, "missing", "send it: it is mandatory") for url, rule in least.items() if url not in seen
        ]
        return found or None

    return check


def choice_check(rule: str, group: list[Element]) -> Check:
    """One element of a choice of types, exactly one where it is mandatory."""
    names, needed = frozenset(e.name for e in group), group[0].min

    def check(value: Any) -> list[Finding] | None:
        given = len(names & value.keys())
        if given > 1:
            return one(rule, "given in more than one type", "send one of them")
        if needed and not given:
            return one(rule, "missing", "send it: it is mandatory")
        return None

    return check


def value_or_extension(value: Any) -> list[Finding] | None:
    """Invariant ext-1 of base FHIR: a value or nested extensions, not both and not neither."""
    has_value = any(name.lstrip("_").startswith("value") for name in value)
    if has_value != ("extension" in value):
        return None
    return one("ext-1", "neither or both of value and nested extensions", "send a value")


def primitive_check(type_name: str, test: Callable[[object], bool]) -> Check:
    """The test of a primitive value."""
    wrong = one(type_name, f"not {FORMS[type_name]}", f"send {FORMS[type_name]}")
    if type_name in PATTERNS:  # the same test without a second call
        match = PATTERNS[type_name].fullmatch
        return lambda value: None if value.__class__ is str and match(value) is not None else wrong
    if type_name == "string":  # nearly every text: printable and not blank
        return lambda value: (
            None if (value.__class__ is str and value.isprintable() and value.strip()) or test(value) else wrong
        )
    return lambda value: None if test(value) else wrong


def fixed_check(rule: str, fixed: tuple[Any, ...], remedy: str) -> Check:
    """One of the values that a profile fixes."""
    shown = " or ".join(value if isinstance(value, str) else orjson.dumps(value).decode() for value in fixed)
    wrong = one(rule, "another value than the profile fixes", remedy or f"send {shown}")
    return lambda value: None if value in fixed else wrong


def shortened(shortcut: Callable[[Any], bool], full: Check) -> Check:
    """The full test, asked only where a cheap one does not already say that all is well."""
    return lambda value: None if shortcut(value) else full(value)


def pattern_check(rule: str, pattern: str, remedy: str) -> Check:
    """A text of one form."""
    match = re.compile(pattern).fullmatch
    wrong = one(rule, "a text of another form", remedy)
    return lambda value: None if value.__class__ is str and match(value) is not None else wrong


def code_check(rule: str, codes: frozenset[str]) -> Check:
    """A code of a closed value set."""
    shown = ", ".join(sorted(codes)) if len(codes) < 12 else f"one of the {len(codes)} codes of the value set"
    wrong = one(rule, "a code outside the value set", f"send {shown}")

    return lambda value: None if value.__class__ is str and value in codes else wrong
