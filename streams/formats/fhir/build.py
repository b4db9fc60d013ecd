"""A FHIR resource as bytes: JSON by orjson, XML by a small recursive writer over the same dict; one form as the other.

Decided by FHIR R4, JSON and XML representations. The dict must stand in FHIR element order, because order matters in
XML; `arranged` puts a dict of any member order right. What is written is not checked here, but for what a form cannot
hold when a document of others is turned into the other form.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import orjson

from streams.words.errors import Rejected

from .read import from_json, from_xml
from .shapes import PRIMITIVES, JsonObject, JsonValue, elements, is_resource
from .structure import base_check

_NAMESPACE: Final = "http://hl7.org/fhir"
_EXTENSIONS: Final = frozenset({"extension", "modifierExtension"})
#: In XML these stand as attributes of their element: the id of anything but a resource, the url of an extension.
_ID_ONLY: Final = frozenset({"id"})
_ID_AND_URL: Final = frozenset({"id", "url"})


def to_json(resource: JsonObject) -> bytes:
    """Compact UTF-8 JSON, members in the order of the dict (spec 01, 20.4)."""
    return orjson.dumps(resource)


def to_xml(resource: JsonObject) -> bytes:
    """FHIR XML in UTF-8. The dict must be in element order; `Rejected` when it is nested beyond all reason."""
    out: list[str] = ['<?xml version="1.0" encoding="UTF-8"?>']
    try:
        _resource(resource, out, f' xmlns="{_NAMESPACE}"')
    except RecursionError:
        raise Rejected(
            str(resource.get("resourceType")), "nested too deep to write", "send less nested content", "xml"
        ) from None
    return "".join(out).encode()


def _attribute(value: str) -> str:
    """An attribute value: line breaks and tabs as character references, or a parser would turn them into spaces."""
    if "&" in value:
        value = value.replace("&", "&amp;")
    if "<" in value:
        value = value.replace("<", "&lt;")
    if '"' in value:
        value = value.replace('"', "&quot;")
    if not value.isprintable():
        value = value.replace("\n", "&#10;").replace("\r", "&#13;").replace("\t", "&#9;")
    return value


def _literal(value: JsonValue) -> str:
    if value.__class__ is str:
        return _attribute(value)
    if value.__class__ is bool:
        return "true" if value else "false"
    return str(value)


def _resource(resource: JsonObject, out: list[str], namespace: str = "") -> None:
    name = resource["resourceType"]
    out.append(f"<{name}{namespace}>")
    _children(resource, out, {"resourceType"})
    out.append(f"</{name}>")


def _children(parent: JsonObject, out: list[str], skip: frozenset[str] | set[str]) -> None:
    for name, value in parent.items():
        if name in skip:
            continue
        if name[0] == "_":
            if name[1:] not in parent:  # no value of its own: the extension stands alone
                _member(name[1:], None if value.__class__ is dict else [None] * len(value), value, out)
        else:
            _member(name, value, parent.get(f"_{name}"), out)


def _member(name: str, value: JsonValue, extra: JsonValue, out: list[str]) -> None:
    if value.__class__ is list:
        for index, item in enumerate(value):
            _element(name, item, extra[index] if extra else None, out)
    else:
        _element(name, value, extra, out)


def _element(name: str, value: JsonValue, extra: JsonObject | None, out: list[str]) -> None:
    """One element. `extra`: id and extensions of a primitive value, which may stand without it (None)."""
    skip = _ID_ONLY
    if value.__class__ is not dict:
        if name == "div":
            out.append(value)
            return
        if extra is None:
            out.append(f'<{name} value="{_literal(value)}"/>')
            return
        attributes = f' id="{_attribute(extra["id"])}"' if "id" in extra else ""
        if value is not None:
            attributes += f' value="{_literal(value)}"'
        value = extra
    elif "resourceType" in value:
        out.append(f"<{name}>")
        _resource(value, out)
        out.append(f"</{name}>")
        return
    else:
        attributes = f' id="{_attribute(value["id"])}"' if "id" in value else ""
        if name in _EXTENSIONS:
            attributes += f' url="{_attribute(value["url"])}"'
            skip = _ID_AND_URL
    out.append(f"<{name}{attributes}>")
    _children(value, out, skip)
    out.append(f"</{name}>")


def _string(value: str) -> str:
    """A JSON string without its quotes."""
    if value.isprintable() and '"' not in value and "\\" not in value:
        return value
    return orjson.dumps(value)[1:-1].decode()


class Representation(NamedTuple):
    """A form of FHIR: what writes it, and how a text and the XHTML of a narrative stand in it."""

    write: Callable[[JsonObject], bytes]
    text: Callable[[str], str]
    narrative: Callable[[str], str]


JSON: Final = Representation(to_json, _string, _string)
XML: Final = Representation(to_xml, _attribute, str)
#: By the name that an address has for it.
REPRESENTATIONS: Final = {"fhir-json": JSON, "fhir-xml": XML}


def arranged(resource: JsonObject) -> JsonObject:
    """The same resource with its members in FHIR element order, at every level; unknown members come last."""
    kind = resource.get("resourceType")
    return {"resourceType": kind, **_arranged(resource, kind)} if is_resource(kind) else resource


def _arranged(value: JsonObject, type_name: str) -> JsonObject:
    """Known members, each `_name` right after its `name`; then other `_names`, then all others."""
    out: JsonObject = {}
    for name, element in elements(type_name).items():
        if name in value:
            out[name] = _arranged_member(value[name], element.type)
        if (beside := f"_{name}") in value:
            out[beside] = value[beside]
    unknown = [name for name in value if name not in out and name != "resourceType"]
    return out | {name: value[name] for name in sorted(unknown, key=lambda name: name[:1] != "_")}


def _arranged_member(value: JsonValue, type_name: str) -> JsonValue:
    if type_name in PRIMITIVES:
        return value
    if value.__class__ is list:
        return [_arranged_member(item, type_name) for item in value]
    if value.__class__ is not dict:
        return value
    return arranged(value) if type_name == "Resource" else _arranged(value, type_name)


# ---- one form as the other ------------------------------------------------------------------------------------------


def json_to_xml(data: bytes) -> bytes:
    """FHIR JSON as FHIR XML, elements in FHIR order. Raises `Rejected` for what cannot be read or written.

    XML has no place for what FHIR does not know, so a document of another shape than FHIR's is refused.
    """
    resource = from_json(data)
    _refuse_loss(resource, errors=True)
    return to_xml(arranged(resource))


def xml_to_json(data: bytes) -> bytes:
    """FHIR XML as FHIR JSON. Raises `Rejected` for what cannot be read, a resource of an unknown type among it.

    A document in ISO-8859-1, declared, is written in UTF-8.
    """
    resource = from_xml(data, any_charset=True)
    _refuse_loss(resource, errors=False)
    return to_json(resource)


def _refuse_loss(resource: JsonObject, *, errors: bool) -> None:
    """Raises `Rejected` for a resource of a type whose elements we do not know (2.4): a warning to a receiver, a loss
    in the other form. `errors`: and for every error that base FHIR finds in the shape.
    """
    try:
        findings = base_check(resource)
    except RecursionError:
        raise Rejected("$", "nested too deep", "send the elements of the profile", "json") from None
    for first in findings:
        if first.rule == "2.4" or (errors and first.severity == "error"):
            path = f"{resource.get('resourceType', '$')}{first.path}" if len(first.path) > 1 else "$"
            raise Rejected(path, first.problem, first.remedy, first.rule)
