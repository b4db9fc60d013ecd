"""FHIR XML read into the dict of its JSON twin.

Decided by FHIR R4, XML representation: values are attributes, order is that of the definition, `div` is XHTML, a
resource stands inside an element that holds it. XML does not say what repeats and what is a number: `shapes` does.
Document types and entities are refused unread, nothing is fetched, depth and size are libxml2's bounds.
"""

from typing import Any, Final, NoReturn

from lxml import etree

from ...errors import Rejected
from .primitives import TESTS
from .shapes import PRIMITIVES, Element, elements, is_resource

__all__ = ["from_xml"]

_FHIR: Final = "{http://hl7.org/fhir}"
_XHTML: Final = "{http://www.w3.org/1999/xhtml}"
_LIMIT: Final = 100 * 1024 * 1024  # bytes (spec 01, 20.1)
_TAGS: Final = 200_000  # begins and ends of elements: ten times what the longest chain has (spec 01, 20.3)
_NUMBERS: Final = frozenset({"integer", "positiveInt", "unsignedInt"})
_BOOLEANS: Final = {"true": True, "false": False}


def from_xml(data: bytes) -> dict[str, Any]:
    """The one resource of an XML document as the dict of its JSON form. Raises `Rejected` with the path."""
    if len(data) > _LIMIT:
        raise Rejected("/", "longer than 100 MB", "send one message of at most 100 MB", "20.1")
    if data.count(b"<") > _TAGS:
        raise Rejected("/", f"more than {_TAGS} tags", "send one message", "20.3")
    if b"\0" in data:  # UTF-16 and UTF-32, declared or not
        raise Rejected("/", "not UTF-8", "send UTF-8", "20.4")
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
    if (root.getroottree().docinfo.encoding or "UTF-8").upper() not in ("UTF-8", "US-ASCII", "ASCII"):
        raise Rejected("/", "not UTF-8", "send UTF-8", "20.4")
    return _resource(root, _local(root, "/"))


def _local(node: Any, path: str) -> str:
    """The FHIR name of an element; refuses other namespaces."""
    tag = node.tag
    if tag.__class__ is not str or not tag.startswith(_FHIR):
        _refuse(path, "an element outside the FHIR namespace", 'send elements of xmlns="http://hl7.org/fhir"')
    return str(tag[len(_FHIR) :])


def _refuse(path: str, problem: str, remedy: str) -> NoReturn:
    raise Rejected(path, problem, remedy, "xml")


def _resource(node: Any, path: str) -> dict[str, Any]:
    kind = _local(node, path)
    if not is_resource(kind):
        _refuse(path, "a resource type that these messages do not use", "send the resource types of the profile")
    if node.attrib:
        _refuse(path, "an attribute on a resource", "send values as elements")
    return {"resourceType": kind, **_members(node, kind, path)}


def _foreign(node: Any, path: str) -> dict[str, Any]:
    """A resource of a type that `shapes` does not know: type and id. How its elements repeat nobody here can tell, and
    whether it may be there is the check's matter, as it is in JSON (spec 01, 2.4)."""
    id_ = next((child.get("value") for child in node if child.tag == _FHIR + "id"), None)
    return {"resourceType": _local(node, path)} | ({} if id_ is None else {"id": id_})


def _members(node: Any, type_name: str, path: str) -> dict[str, Any]:
    """The child elements as members; a repeating element becomes a list, a primitive's extension a `_name`."""
    known = elements(type_name)
    out: dict[str, Any] = {}
    if node.text and node.text.strip():
        _refuse(path, "text between elements", "send values as attributes")
    counts: dict[str, int] = {}
    for child in node:
        name = "div" if child.tag == _XHTML + "div" else _local(child, path)
        if child.tail and child.tail.strip():
            _refuse(path, "text between elements", "send values as attributes")
        element = known.get(name)
        if element is None or (name == "div") != (element.type == "xhtml"):
            _refuse(path, "an element that FHIR does not have here", "send the elements of the profile")
        index = counts.get(name, 0)
        counts[name] = index + 1
        if index and not element.many:
            _refuse(f"{path}.{name}", "given more than once", "send it once")
        here = f"{path}.{name}[{index}]" if element.many else f"{path}.{name}"
        _put(out, element, index, *_value(child, element, here))
    return out


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


def _value(node: Any, element: Element, path: str) -> tuple[Any, Any]:
    """The JSON value of an element and, for a primitive with id or extension, its second half."""
    if element.type == "xhtml":
        return _xhtml(node), None
    if element.type in PRIMITIVES:
        return _primitive(node, element.type, path)
    if element.type == "Resource":
        if len(node) != 1 or node.attrib:
            _refuse(path, "not exactly one resource inside", "send one resource")
        inside = node[0]
        return (_resource if is_resource(_local(inside, path)) else _foreign)(inside, path), None
    attributes = {"id", "url"} if element.type == "Extension" else {"id"}
    if not attributes.issuperset(node.attrib):
        _refuse(path, "an attribute that FHIR does not have here", "send values as elements")
    inner = _members(node, element.type, path)
    if element.type == "Extension" and "url" in inner:
        _refuse(path, "url as an element", "send the url of an extension as an attribute")
    return {name: node.attrib[name] for name in ("id", "url") if name in node.attrib} | inner, None


def _primitive(node: Any, type_name: str, path: str) -> tuple[Any, Any]:
    if not {"value", "id"}.issuperset(node.attrib):
        _refuse(path, "an attribute that FHIR does not have here", "send id and value only")
    extra = {"id": node.attrib["id"]} if "id" in node.attrib else {}
    if len(node) or (node.text and node.text.strip()):
        inner = _members(node, "Period", path)  # any datatype: only id and extension are looked at
        if set(inner) - {"extension"}:
            _refuse(path, "an element that FHIR does not have here", "send the value as an attribute")
        extra |= inner
    text = node.attrib.get("value")
    if text is None and not extra:
        _refuse(path, "neither value nor extension", "send a value or leave the element out")
    return None if text is None else _literal(text, type_name, path), extra or None


def _literal(text: str, type_name: str, path: str) -> Any:
    if type_name == "boolean":
        if text not in _BOOLEANS:
            _refuse(path, "neither true nor false", "send true or false")
        return _BOOLEANS[text]
    if type_name in _NUMBERS or type_name == "decimal":
        return _number(text, type_name, path)
    return text


def _number(text: str, type_name: str, path: str) -> int | float:
    whole = text.removeprefix("-")
    if whole.isascii() and whole.isdigit() and len(whole) <= 18:
        return int(text)
    if type_name == "decimal" and text.isascii() and set(text) <= set("0123456789.eE+-") and len(text) <= 40:
        try:
            number = float(text)
        except ValueError:
            number = float("inf")
        if TESTS["decimal"](number) and abs(number) < 1e300:
            return number
    _refuse(path, "not a number", "send a number of at most 18 digits")


def _xhtml(div: Any) -> str:
    """The div as it stands in JSON: XHTML as default namespace, no prefixes."""
    if any(child.prefix or not str(child.tag).startswith(_XHTML) for child in div.iter()):
        div = _without_prefixes(div)
    return etree.tostring(div, encoding="unicode", with_tail=False)


def _without_prefixes(node: Any) -> Any:
    if not str(node.tag).startswith(_XHTML):
        _refuse("text.div", "an element that is not XHTML", "send XHTML only")
    namespaces: Any = {None: _XHTML[1:-1]}  # the stubs know no default namespace
    copy = etree.Element(node.tag, dict(node.attrib), nsmap=namespaces)
    copy.text, copy.tail = node.text, node.tail
    copy.extend([_without_prefixes(child) for child in node])
    return copy
