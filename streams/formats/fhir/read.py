"""FHIR documents read strictly: bytes in, one dict out, the same for the JSON and the XML form.

Decided by FHIR R4 (JSON and XML representations) and RFC 8259. What JSON readers let pass silently is refused here: a
member given twice, NaN, a byte order mark, numbers that no one can hold. Whether elements are known is the check's
matter. In XML values are attributes and are read without outer white space (00 §8.4), order is that of the definition,
`div` is XHTML, a resource stands inside an element that holds it; XML does not show what repeats and what is a number:
`shapes` does. Document types and entities are refused unread, nothing is fetched, depth and size are libxml2's bounds.

A document that cannot be read, or not in one way only, is `Rejected`, and nothing but `Rejected` leaves this module.
Any other fault of the XML form is a finding beside what could be read, so that a broken message can be distinguished from
another, and answered: decision 0014.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any, Final, NamedTuple

from lxml import etree

from streams.words.errors import Issue, Rejected

from .. import xml
from .shapes import ILLEGAL_CHARACTER, PRIMITIVES, Element, JsonObject, JsonValue, elements, is_resource

LIMIT: Final = 100 * 1024 * 1024  # bytes: MedCom's limit of a message in its envelope (spec 01, 20.1)


class FhirDocument(NamedTuple):
    """A document as far as it could be read. `issues`: what is wrong with the form it came in; all are errors."""

    resource: JsonObject
    issues: tuple[Issue, ...] = ()

    def beside(self, found: list[Issue]) -> list[Issue]:
        """The findings about the form and, at other places, those about the content."""
        named = {issue.path for issue in self.issues}
        return [*self.issues, *(issue for issue in found if issue.path not in named)]


def document(data: bytes) -> FhirDocument:
    """A document in either form, and what is wrong with the form: XML when it begins with `<`, else JSON.

    Raises `Rejected` when it cannot be read.
    """
    return read_xml(data) if _is_xml(data) else FhirDocument(from_json(data))


def from_bytes(data: bytes) -> JsonObject:
    """The resource of a document in either form, which must be right. Raises `Rejected` with the first fault."""
    return from_xml(data) if _is_xml(data) else from_json(data)


def _is_xml(data: bytes) -> bool:
    return data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<"


# ---- JSON -----------------------------------------------------------------------------------------------------------

_DEPTH: Final = 100  # levels; a hospital notification has 9
#: More of these is no message; it is not parsed. A chain of 200, the longest that is sent (spec 01, 20.3), has some
#: 3,000 objects and 15,000 members. Counted in the bytes, so texts count too.
_MOST: Final = ((b"{", 20_000, "objects"), (b":", 200_000, "members"), (b",", 500_000, "values"))
_DIGITS: Final = 18  # what a 64-bit number holds for sure; FHIR integers have 10


class _Doubled(JsonObject):
    """An object in which a member stands twice; `member` is its name."""

    member = ""


def from_json(data: bytes) -> JsonObject:
    """The one resource of a JSON document, members as written. Raises `Rejected` with the path of the fault."""
    if len(data) > LIMIT:
        raise Rejected("$", "longer than 100 MB", "send one message of at most 100 MB", "20.1")
    if too_much := excess(data):
        raise Rejected("$", too_much, "send one message", "20.3")
    if data[:3] == b"\xef\xbb\xbf":
        raise Rejected("$", "a byte order mark stands before the document", "send UTF-8 without it", "20.4")
    doubled: list[_Doubled] = []

    def members(pairs: list[tuple[str, JsonValue]]) -> JsonObject:
        found = dict(pairs)
        if len(found) == len(pairs):
            return found
        doubled.append(_Doubled(found))
        doubled[-1].member = Counter(name for name, _ in pairs).most_common(1)[0][0]
        return doubled[-1]

    try:
        text = data.decode()
        resource = json.loads(
            text, object_pairs_hook=members, parse_int=_number, parse_float=_number, parse_constant=_number
        )
    except UnicodeDecodeError as error:
        raise Rejected("$", f"not UTF-8 from byte {error.start}", "send UTF-8", "20.4") from None
    except json.JSONDecodeError as error:
        problem = f"not JSON at line {error.lineno}, column {error.colno}"
        raise Rejected("$", problem, "send well-formed JSON", "json") from None
    except RecursionError:
        raise Rejected("$", "nested too deep", f"send at most {_DEPTH} levels", "json") from None
    if not isinstance(resource, dict):
        raise Rejected("$", "not a JSON object", "send one FHIR resource as a JSON object", "json")
    _refuse_shape(resource, text, doubled=bool(doubled))
    return resource


def excess(data: bytes) -> str:
    """What a JSON document has more of than any message; empty when it is of a size to be read."""
    return next((f"more than {most} {what}" for mark, most, what in _MOST if data.count(mark) > most), "")


def _number(text: str) -> int | float:
    """A number of JSON that can be held; what Python's reader takes besides is none."""
    if text in ("NaN", "Infinity", "-Infinity"):
        raise Rejected("$", f"{text} is not a JSON value", "leave the element out", "json")
    whole = text.removeprefix("-").isdigit()
    if whole and len(text) > _DIGITS:
        raise Rejected("$", f"a number of {len(text)} digits", "send numbers of at most 18 digits", "json")
    number = int(text) if whole else float(text)
    if number in (float("inf"), float("-inf")):
        raise Rejected("$", "a number too large to hold", "send numbers of at most 18 digits", "json")
    return number


def _safe(member: str) -> str:
    """A member name as it may stand in an error: only when it looks like an element of FHIR."""
    return member if member.isascii() and member.replace("_", "").isalpha() and len(member) <= 40 else "?"


def _refuse_shape(resource: JsonObject, text: str, *, doubled: bool) -> None:
    """Refuses a member that stands twice, what nests beyond reason and, where the text can hold any, characters that no
    FHIR string may have.
    """
    if doubled:
        for path, value in _walk(resource):
            if isinstance(value, _Doubled):
                raise Rejected(f"{path}.{_safe(value.member)}", "given twice", "send each member once", "json")
        raise Rejected("$", "a member is given twice", "send each member once", "json")
    suspicious = "\\u" in text or ILLEGAL_CHARACTER.search(text) is not None
    deep = text.count("[") + text.count("{") > _DEPTH
    if not (suspicious or deep):
        return
    for path, value in _walk(resource):
        if path.count(".") > _DEPTH:
            raise Rejected("$", "nested too deep", f"send at most {_DEPTH} levels", "json")
        if suspicious and isinstance(value, str) and ILLEGAL_CHARACTER.search(value):
            raise Rejected(path, "holds a character that XML cannot carry", "leave the character out", "20.4")
        if suspicious and isinstance(value, dict) and any(ILLEGAL_CHARACTER.search(name) for name in value):
            raise Rejected(path, "a member name holds a control character", "send FHIR element names", "20.4")


def _walk(resource: JsonObject) -> Iterator[tuple[str, object]]:
    """Every object and string with its path, outermost first; without recursion."""
    stack: list[tuple[str, JsonValue]] = [(_safe(str(resource.get("resourceType", "$"))), resource)]
    while stack:
        path, value = stack.pop()
        yield path, value
        if isinstance(value, dict):
            stack += [(f"{path}.{_safe(name)}", child) for name, child in reversed(value.items())]
        elif isinstance(value, list):
            stack += [(f"{path}[{index}]", child) for index, child in reversed(list(enumerate(value)))]


# ---- XML ------------------------------------------------------------------------------------------------------------

_FHIR: Final = "{http://hl7.org/fhir}"
_XHTML: Final = "{http://www.w3.org/1999/xhtml}"
_TAGS: Final = 200_000  # begins and ends of elements: ten times what the longest chain has (spec 01, 20.3)
_MOST_ISSUES: Final = 1_000  # about one document; a fault in each element must not become a finding each
_UTF_8: Final = frozenset({"UTF-8", "US-ASCII", "ASCII"})
#: Read when declared, and wrong all the same.
_ONE_BYTE: Final = frozenset({"ISO-8859-1", "ISO-8859-15", "WINDOWS-1252"})
_WHITE: Final = " \t\r\n"
_NUMBERS: Final = frozenset({"integer", "positiveInt", "unsignedInt", "decimal"})
_WHOLE: Final = re.compile(r"-?[0-9]{1,18}")
_FLOAT: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_BOOLEANS: Final = {"true": True, "false": False}
#: Faults that are found at more than one place; problem and remedy where the place differs.
_NOT_UTF_8: Final = ("/", "not UTF-8", "send UTF-8", "20.4")
_FOREIGN: Final = ("an element outside the FHIR namespace", 'send elements of xmlns="http://hl7.org/fhir"')
_TEXT: Final = ("text between elements", "send values as attributes")
_ATTRIBUTE: Final = ("an attribute that FHIR does not have here", "send values as elements")


def from_xml(data: bytes, *, any_charset: bool = False) -> JsonObject:
    """The one resource of an XML document as the dict of its JSON form. Raises `Rejected` with the first fault.

    `any_charset`: a set of one byte, declared and true, is no fault: for a caller that writes the document in UTF-8.
    """
    resource, issues = read_xml(data)
    for issue in issues:
        if not (any_charset and issue.rule == _NOT_UTF_8[-1]):
            raise Rejected(issue.path, issue.problem, issue.remedy, issue.rule)
    return resource


def read_xml(data: bytes) -> FhirDocument:
    """The one resource of an XML document, and what is wrong with its form. Raises `Rejected` when it is not readable."""
    if len(data) > LIMIT:
        raise Rejected("/", "longer than 100 MB", "send one message of at most 100 MB", "20.1")
    if data.count(b"<") > _TAGS:
        raise Rejected("/", f"more than {_TAGS} tags", "send one message", "20.3")
    if b"\0" in data:  # UTF-16 and UTF-32, declared or not
        raise Rejected(*_NOT_UTF_8)
    root = xml.parse(data, "xml", "send well-formed FHIR XML in UTF-8")
    charset = (root.getroottree().docinfo.encoding or "UTF-8").upper()
    if charset not in _UTF_8 | _ONE_BYTE:
        raise Rejected(*_NOT_UTF_8)
    kind = _fhir_name(root)
    if kind is None:
        raise Rejected("/", *_FOREIGN, "xml")
    if not is_resource(kind):
        remedy = "send the resource types of the profile"
        raise Rejected("/", "a resource type that these messages do not use", remedy, "xml")
    reader = _XmlReader()
    if charset not in _UTF_8:
        reader.issues.append(Rejected(*_NOT_UTF_8).issue())
    return FhirDocument(reader.resource(root, kind, kind), tuple(reader.issues))


def _fhir_name(node: etree._Element) -> str | None:
    """The FHIR name of an element; None for one of another namespace."""
    tag = node.tag
    return str(tag[len(_FHIR) :]) if tag.__class__ is str and tag.startswith(_FHIR) else None


@cache
def _children(type_name: str) -> tuple[dict[str, Element], dict[str, int]]:
    """The elements that may stand inside one of this type, and the place of each in FHIR order: the types of a choice
    share one. What XML has as an attribute is not one.
    """
    if type_name in PRIMITIVES:
        known = {"extension": elements("Extension")["extension"]}
    else:
        attributes = () if is_resource(type_name) else ("id", "url") if type_name == "Extension" else ("id",)
        known = {name: element for name, element in elements(type_name).items() if name not in attributes}
    groups = dict.fromkeys(element.choice or element.name for element in known.values())
    places = {group: place for place, group in enumerate(groups)}
    return known, {name: places[element.choice or name] for name, element in known.items()}


class _XmlReader:
    """Reads one document; `issues` grows as it does."""

    def __init__(self) -> None:
        self.issues: list[Issue] = []

    def _note(self, path: str, problem: str, remedy: str, rule: str = "xml") -> None:
        if len(self.issues) < _MOST_ISSUES:
            self.issues.append(Issue(severity="error", path=path, rule=rule, problem=problem, remedy=remedy))

    def resource(self, node: etree._Element, kind: str, path: str) -> JsonObject:
        """A resource of a type that `shapes` knows."""
        if node.attrib:
            self._note(path, "an attribute on a resource", "send values as elements")
        return {"resourceType": kind, **self._members(node, kind, path)}

    def _members(self, node: etree._Element, type_name: str, path: str) -> JsonObject:
        """The child elements as members. Raises `Rejected` for a second of one that stands once: which is meant?"""
        known, places = _children(type_name)
        out: JsonObject = {}
        counts: dict[str, int] = {}
        highest, in_order = 0, True
        if node.text and node.text.strip():
            self._note(path, *_TEXT)
        for child in node:
            if child.tail and child.tail.strip():
                self._note(path, *_TEXT)
            element = self._element(child, known, type_name, path)
            if element is None:
                continue
            name, index = element.name, counts.get(element.name, 0)
            counts[name] = index + 1
            here = f"{path}.{name}[{index}]" if element.many else f"{path}.{name}"
            if index and not element.many:
                raise Rejected(here, "given more than once", "send it once", "xml")
            place = places[name]
            if place < highest and in_order:
                in_order = False  # one finding for each parent: what follows is seldom another fault
                after = min((seen for seen in counts if places[seen] > place), key=places.__getitem__)
                remedy = f"send it before {after}: FHIR XML has a fixed order of elements"
                self._note(here, f"stands after {after}", remedy, "element-order")
            highest = max(highest, place)
            _put(out, element, index, *self._value(child, element, here))
        return out

    def _element(self, child: etree._Element, known: dict[str, Element], type_name: str, path: str) -> Element | None:
        """The element of FHIR that a child is; None, and a finding, for one that FHIR does not have here."""
        name = "div" if child.tag == _XHTML + "div" else _fhir_name(child)
        if name is None:
            self._note(path, *_FOREIGN)
            return None
        element = known.get(name)
        if element is not None and (child.tag[: len(_XHTML)] == _XHTML) == (element.type == "xhtml"):
            return element
        attribute = type_name not in PRIMITIVES and element is None and name in elements(type_name)
        remedy = "send it as an attribute" if attribute else "leave it out"
        shown = name if name.isascii() and name.isalnum() and len(name) <= 40 else "?"
        self._note(f"{path}.{shown}", "an element that FHIR does not have here", remedy, "unknown-element")
        return None

    def _value(self, node: etree._Element, element: Element, path: str) -> tuple[JsonValue, JsonObject | None]:
        """The JSON value of an element and, for a primitive with id or extension, its second half."""
        if element.type == "xhtml":  # as it stands in JSON: XHTML as default namespace, no prefixes
            if any(not str(child.tag).startswith(_XHTML) for child in node.iter()):
                self._note(path, "an element that is not XHTML", "send XHTML only")
            elif any(child.prefix for child in node.iter()):
                node = _without_prefixes(node)
            return etree.tostring(node, encoding="unicode", with_tail=False), None
        if element.type in PRIMITIVES:
            return self._primitive(node, element.type, path)
        if element.type == "Resource":
            kind = _fhir_name(node[0]) if len(node) == 1 else None
            if kind is None or node.attrib:
                self._note(path, "not exactly one resource inside", "send one resource")
            if kind is None:
                return None, None
            if is_resource(kind):
                return self.resource(node[0], kind, path), None
            # Of a type that `shapes` does not know: type and id. How its elements repeat cannot be known here, and
            # whether it may be there is the check's matter, as it is in JSON (spec 01, 2.4).
            id_ = next((child.get("value") for child in node[0] if child.tag == _FHIR + "id"), None)
            return {"resourceType": kind} | ({} if id_ is None else {"id": id_.strip(_WHITE)}), None
        attributes = ("id", "url") if element.type == "Extension" else ("id",)
        if not set(attributes).issuperset(node.attrib):
            self._note(path, *_ATTRIBUTE)
        inner = self._members(node, element.type, path)
        given = {name: text.strip(_WHITE) for name in attributes if (text := node.get(name)) is not None}
        return given | inner, None

    def _primitive(self, node: etree._Element, type_name: str, path: str) -> tuple[JsonValue, JsonObject | None]:
        """The JSON value of a primitive, its text with a finding where it has none; and its second half."""
        if not {"value", "id"}.issuperset(node.attrib):
            self._note(path, "an attribute that FHIR does not have here", "send id and value only")
        id_, text = node.get("id"), node.get("value")
        extra: JsonObject = {} if id_ is None else {"id": id_.strip(_WHITE)}
        if len(node) or node.text:
            extra |= self._members(node, type_name, path)
        if text is None:
            if not extra:
                self._note(path, "neither value nor extension", "send a value or leave the element out")
            return None, extra or None
        text = text.strip(_WHITE)
        value: str | bool | float = text
        if type_name == "boolean":
            if text not in _BOOLEANS:
                self._note(path, "neither true nor false", "send true or false")
            value = _BOOLEANS.get(text, text)
        elif type_name in _NUMBERS:
            if _WHOLE.fullmatch(text):
                value = int(text)
            elif type_name == "decimal" and len(text) <= 40 and _FLOAT.fullmatch(text) and abs(float(text)) < 1e300:
                value = float(text)
            else:
                self._note(path, "not a number", "send a number of at most 18 digits")
        return value, extra or None


def _put(out: JsonObject, element: Element, index: int, value: JsonValue, extra: JsonObject | None) -> None:
    """Puts a value in its member, and its second half in the member `_name` beside it.

    A repeating element becomes a list; its `_name` is a list as long, with None where a value has no second half.
    """
    beside = "_" + element.name
    if not element.many:
        if value is not None:
            out[element.name] = value
        if extra is not None:
            out[beside] = extra
        return
    out.setdefault(element.name, []).append(value)
    if extra is not None:
        out.setdefault(beside, [None] * index).append(extra)
    elif beside in out:
        out[beside].append(None)


def _without_prefixes(node: etree._Element) -> etree._Element:
    namespaces: dict[Any, str] = {None: _XHTML[1:-1]}  # the stubs know no default namespace
    copy = etree.Element(node.tag, {str(name): str(value) for name, value in node.items()}, nsmap=namespaces)
    copy.text, copy.tail = node.text, node.tail
    copy.extend([_without_prefixes(child) for child in node])
    return copy
