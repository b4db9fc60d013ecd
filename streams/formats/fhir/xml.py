"""FHIR XML read into the dict of its JSON twin, and what of FHIR's XML form it breaks.

Decided by FHIR R4, XML representation: values are attributes and are read without outer white space (00 §8.4), order is
that of the definition, `div` is XHTML, a resource stands inside an element that holds it. XML does not say what repeats and what is a number: `shapes` does.
Document types and entities are refused unread, nothing is fetched, depth and size are libxml2's bounds.

A document that cannot be read, or not in one way only, is `Rejected`. Any other fault of form is a finding beside what
could be read, so that a broken message can be told from another, and answered: decision 0013.
"""

from functools import cache
from typing import Any, Final, NamedTuple

from lxml import etree

from streams.words.errors import Issue, Rejected

from .primitives import TESTS
from .shapes import PRIMITIVES, Element, elements, is_resource

__all__ = ["Document", "from_xml", "read_xml"]

_FHIR: Final = "{http://hl7.org/fhir}"
_XHTML: Final = "{http://www.w3.org/1999/xhtml}"
_LIMIT: Final = 100 * 1024 * 1024  # bytes (spec 01, 20.1)
_TAGS: Final = 200_000  # begins and ends of elements: ten times what the longest chain has (spec 01, 20.3)
_TOLD: Final = 1_000  # findings about one document; what is wrong with each element must not be told for ever
_UTF_8: Final = frozenset({"UTF-8", "US-ASCII", "ASCII"})
_ONE_BYTE: Final = frozenset(
    {"ISO-8859-1", "ISO-8859-15", "WINDOWS-1252"}
)  # read when declared, and wrong all the same
_WHITE: Final = " \t\r\n"
_NUMBERS: Final = frozenset({"integer", "positiveInt", "unsignedInt"})
_BOOLEANS: Final = {"true": True, "false": False}


class Document(NamedTuple):
    """A FHIR document as far as it could be read. `issues`: what is wrong with the form it came in; all are errors."""

    resource: dict[str, Any]
    issues: tuple[Issue, ...] = ()

    def beside(self, found: list[Issue]) -> list[Issue]:
        """The findings about the form and, at other places, those about the content."""
        spoken = {issue.path for issue in self.issues}
        return [*self.issues, *(issue for issue in found if issue.path not in spoken)]


def from_xml(data: bytes, *, any_charset: bool = False) -> dict[str, Any]:
    """The one resource of an XML document as the dict of its JSON form. Raises `Rejected` with the first fault.

    `any_charset`: a set of one byte, declared and true, is no fault; for whoever writes the document anew.
    """
    document = read_xml(data)
    for issue in document.issues:
        if any_charset and issue.rule == _NOT_UTF_8[-1]:
            continue
        raise Rejected(issue.path, issue.problem, issue.remedy, issue.rule)
    return document.resource


def read_xml(data: bytes) -> Document:
    """The one resource of an XML document, and what is wrong with its form. Raises `Rejected` when it is not readable."""
    root = _root(data)
    kind = _fhir_name(root)
    if kind is None:
        raise Rejected("/", *_FOREIGN, "xml")
    if not is_resource(kind):
        remedy = "send the resource types of the profile"
        raise Rejected("/", "a resource type that these messages do not use", remedy, "xml")
    reader = _Reader()
    if (root.getroottree().docinfo.encoding or "UTF-8").upper() not in _UTF_8:
        reader.issues.append(Rejected(*_NOT_UTF_8).issue())
    return Document(reader.resource(root, kind, kind), tuple(reader.issues))


def _root(data: bytes) -> Any:
    if len(data) > _LIMIT:
        raise Rejected("/", "longer than 100 MB", "send one message of at most 100 MB", "20.1")
    if data.count(b"<") > _TAGS:
        raise Rejected("/", f"more than {_TAGS} tags", "send one message", "20.3")
    if b"\0" in data:  # UTF-16 and UTF-32, declared or not
        raise Rejected(*_NOT_UTF_8)
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise Rejected("/", "has a document type", "send XML without document type and entities", "xml")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        place = f" at line {error.lineno}" if isinstance(error, etree.XMLSyntaxError) else ""
        raise Rejected("/", f"not well-formed XML{place}", "send well-formed FHIR XML in UTF-8", "xml") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise Rejected("/", "has a document type", "send XML without document type and entities", "xml")
    if (root.getroottree().docinfo.encoding or "UTF-8").upper() not in _UTF_8 | _ONE_BYTE:
        raise Rejected(*_NOT_UTF_8)
    return root


#: Faults that are told at more than one place; problem and remedy where the place differs.
_NOT_UTF_8: Final = ("/", "not UTF-8", "send UTF-8", "20.4")
_FOREIGN: Final = ("an element outside the FHIR namespace", 'send elements of xmlns="http://hl7.org/fhir"')
_TEXT: Final = ("text between elements", "send values as attributes")
_ATTRIBUTE: Final = ("an attribute that FHIR does not have here", "send values as elements")


def _fhir_name(node: Any) -> str | None:
    """The FHIR name of an element; None for one of another namespace."""
    tag = node.tag
    return str(tag[len(_FHIR) :]) if tag.__class__ is str and tag.startswith(_FHIR) else None


def _shown(name: str) -> str:
    """A name as it may stand in a path: only when it looks like an element of FHIR."""
    return name if name.isascii() and name.isalnum() and len(name) <= 40 else "?"


@cache
def _children(type_name: str) -> dict[str, Element]:
    """The elements that may stand inside one of this type, in FHIR order; what XML has as an attribute is not one."""
    if type_name in PRIMITIVES:
        return {"extension": elements("Extension")["extension"]}
    attributes = () if is_resource(type_name) else ("id", "url") if type_name == "Extension" else ("id",)
    return {name: element for name, element in elements(type_name).items() if name not in attributes}


@cache
def _ranks(type_name: str) -> dict[str, int]:
    """The place of each element in the order; the types of a choice share one."""
    known = _children(type_name).values()
    places = {name: place for place, name in enumerate(dict.fromkeys(e.choice or e.name for e in known))}
    return {e.name: places[e.choice or e.name] for e in known}


class _Reader:
    """Reads one document; `issues` grows as it does."""

    def __init__(self) -> None:
        self.issues: list[Issue] = []

    def _tell(self, path: str, problem: str, remedy: str, rule: str = "xml") -> None:
        if len(self.issues) < _TOLD:
            self.issues.append(Issue(severity="error", path=path, rule=rule, problem=problem, remedy=remedy))

    def resource(self, node: Any, kind: str, path: str) -> dict[str, Any]:
        """A resource of a type that `shapes` knows."""
        if node.attrib:
            self._tell(path, "an attribute on a resource", "send values as elements")
        return {"resourceType": kind, **self._members(node, kind, path)}

    def _members(self, node: Any, type_name: str, path: str) -> dict[str, Any]:
        """The child elements as members; a repeating element becomes a list, a primitive's extension a `_name`."""
        known, ranks = _children(type_name), _ranks(type_name)
        out: dict[str, Any] = {}
        counts: dict[str, int] = {}
        highest, in_order = 0, True
        if node.text and node.text.strip():
            self._tell(path, *_TEXT)
        for child in node:
            if child.tail and child.tail.strip():
                self._tell(path, *_TEXT)
            element = self._element(child, known, type_name, path)
            if element is None:
                continue
            here = _place(element, counts, path)
            rank = ranks[element.name]
            if rank < highest and in_order:
                in_order = False  # one finding for each parent: what follows is seldom another fault
                self._tell(here, *_misplaced(rank, counts, ranks), "element-order")
            highest = max(highest, rank)
            _put(out, element, counts[element.name] - 1, *self._value(child, element, here))
        return out

    def _element(self, child: Any, known: dict[str, Element], type_name: str, path: str) -> Element | None:
        """The element of FHIR that a child is; None, and a finding, for one that FHIR does not have here."""
        name = "div" if child.tag == _XHTML + "div" else _fhir_name(child)
        if name is None:
            self._tell(path, *_FOREIGN)
            return None
        element = known.get(name)
        if element is not None and (child.tag[: len(_XHTML)] == _XHTML) == (element.type == "xhtml"):
            return element
        attribute = type_name not in PRIMITIVES and element is None and name in elements(type_name)
        remedy = "send it as an attribute" if attribute else "leave it out"
        self._tell(f"{path}.{_shown(name)}", "an element that FHIR does not have here", remedy, "unknown-element")
        return None

    def _value(self, node: Any, element: Element, path: str) -> tuple[Any, Any]:
        """The JSON value of an element and, for a primitive with id or extension, its second half."""
        if element.type == "xhtml":
            return self._xhtml(node, path), None
        if element.type in PRIMITIVES:
            return self._primitive(node, element.type, path)
        if element.type == "Resource":
            return self._held(node, path), None
        attributes = {"id", "url"} if element.type == "Extension" else {"id"}
        if not attributes.issuperset(node.attrib):
            self._tell(path, *_ATTRIBUTE)
        inner = self._members(node, element.type, path)
        given = {
            name: node.attrib[name].strip(_WHITE)
            for name in ("id", "url")
            if name in attributes and name in node.attrib
        }
        return given | inner, None

    def _held(self, node: Any, path: str) -> dict[str, Any] | None:
        """The resource inside an element that holds one.

        Of a type that `shapes` does not know: type and id. How its elements repeat nobody here can tell, and whether
        it may be there is the check's matter, as it is in JSON (spec 01, 2.4).
        """
        kind = _fhir_name(node[0]) if len(node) == 1 else None
        if kind is None or node.attrib:
            self._tell(path, "not exactly one resource inside", "send one resource")
        if kind is None:
            return None
        if is_resource(kind):
            return self.resource(node[0], kind, path)
        id_ = next((child.get("value") for child in node[0] if child.tag == _FHIR + "id"), None)
        return {"resourceType": kind} | ({} if id_ is None else {"id": id_.strip(_WHITE)})

    def _primitive(self, node: Any, type_name: str, path: str) -> tuple[Any, Any]:
        if not {"value", "id"}.issuperset(node.attrib):
            self._tell(path, "an attribute that FHIR does not have here", "send id and value only")
        extra = {"id": node.attrib["id"].strip(_WHITE)} if "id" in node.attrib else {}
        if len(node) or node.text:
            extra |= self._members(node, type_name, path)
        text = node.attrib.get("value")
        if text is None and not extra:
            self._tell(path, "neither value nor extension", "send a value or leave the element out")
        return None if text is None else self._literal(text.strip(_WHITE), type_name, path), extra or None

    def _literal(self, text: str, type_name: str, path: str) -> Any:
        """The JSON value of a text; the text itself, with a finding, where it is none."""
        if type_name == "boolean":
            if text not in _BOOLEANS:
                self._tell(path, "neither true nor false", "send true or false")
            return _BOOLEANS.get(text, text)
        if type_name not in _NUMBERS and type_name != "decimal":
            return text
        number = _number(text, type_name)
        if number is None:
            self._tell(path, "not a number", "send a number of at most 18 digits")
        return text if number is None else number

    def _xhtml(self, div: Any, path: str) -> str:
        """The div as it stands in JSON: XHTML as default namespace, no prefixes."""
        if any(not str(child.tag).startswith(_XHTML) for child in div.iter()):
            self._tell(path, "an element that is not XHTML", "send XHTML only")
        elif any(child.prefix for child in div.iter()):
            div = _without_prefixes(div)
        return etree.tostring(div, encoding="unicode", with_tail=False)


def _place(element: Element, counts: dict[str, int], path: str) -> str:
    """The path of the next element of that name. Raises `Rejected` for a second of one that stands once: which?"""
    index = counts.get(element.name, 0)
    counts[element.name] = index + 1
    here = f"{path}.{element.name}"
    if index and not element.many:
        raise Rejected(here, "given more than once", "send it once", "xml")
    return f"{here}[{index}]" if element.many else here


def _misplaced(rank: int, seen: dict[str, int], ranks: dict[str, int]) -> tuple[str, str]:
    """Problem and remedy for an element that comes too late: the first of those seen that it has to stand before."""
    after = min((name for name in seen if ranks[name] > rank), key=ranks.__getitem__)
    return f"stands after {after}", f"send it before {after}: FHIR XML has a fixed order of elements"


def _put(out: dict[str, Any], element: Element, index: int, value: Any, extra: Any) -> None:
    hidden = "_" + element.name
    if not element.many:
        if value is not None:
            out[element.name] = value
        if extra is not None:
            out[hidden] = extra
        return
    out.setdefault(element.name, []).append(value)
    if extra is not None:
        out.setdefault(hidden, [None] * index).append(extra)
    elif hidden in out:
        out[hidden].append(None)


def _number(text: str, type_name: str) -> int | float | None:
    whole = text.removeprefix("-")
    if whole.isascii() and whole.isdigit() and len(whole) <= 18:
        return int(text)
    if type_name == "decimal" and text.isascii() and set(text) <= set("0123456789.eE+-") and len(text) <= 40:
        try:
            number = float(text)
        except ValueError:
            return None
        if TESTS["decimal"](number) and abs(number) < 1e300:
            return number
    return None


def _without_prefixes(node: Any) -> Any:
    namespaces: Any = {None: _XHTML[1:-1]}  # the stubs know no default namespace
    copy = etree.Element(node.tag, dict(node.attrib), nsmap=namespaces)
    copy.text, copy.tail = node.text, node.tail
    copy.extend([_without_prefixes(child) for child in node])
    return copy
