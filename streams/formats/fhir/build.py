"""A FHIR resource as bytes: JSON by orjson, XML by a small recursive writer over the same dict.

Decided by FHIR R4, JSON and XML representations. The dict must stand in FHIR element order, because order matters in
XML; `arranged` puts a dict of any member order right. Nothing is checked here.
"""

from typing import Any, Final

import orjson

from streams.words.errors import Rejected

from .shapes import PRIMITIVES, elements, is_resource

__all__ = ["arranged", "to_json", "to_xml"]

_NAMESPACE: Final = "http://hl7.org/fhir"
#: In XML these stand as attributes of their element: the id of anything but a resource, the url of an extension.
_EXTENSIONS: Final = frozenset({"extension", "modifierExtension"})


def to_json(resource: dict[str, Any]) -> bytes:
    """Compact UTF-8 JSON, members in the order of the dict (spec 01, 20.4)."""
    return orjson.dumps(resource)


def to_xml(resource: dict[str, Any]) -> bytes:
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


def _literal(value: Any) -> str:
    if value.__class__ is str:
        return _attribute(value)
    if value.__class__ is bool:
        return "true" if value else "false"
    return str(value)


def _resource(resource: dict[str, Any], out: list[str], namespace: str = "") -> None:
    name = resource["resourceType"]
    out.append(f"<{name}{namespace}>")
    _children(resource, out, {"resourceType"})
    out.append(f"</{name}>")


def _children(parent: dict[str, Any], out: list[str], skip: frozenset[str] | set[str]) -> None:
    for name, value in parent.items():
        if name in skip:
            continue
        if name[0] == "_":
            if name[1:] not in parent:  # no value of its own: the extension stands alone
                _member(name[1:], None if value.__class__ is dict else [None] * len(value), value, out)
        else:
            _member(name, value, parent.get(f"_{name}"), out)


def _member(name: str, value: Any, extra: Any, out: list[str]) -> None:
    if value.__class__ is list:
        for index, item in enumerate(value):
            _element(name, item, extra[index] if extra else None, out)
    else:
        _element(name, value, extra, out)


_ID_ONLY: Final = frozenset({"id"})
_ID_AND_URL: Final = frozenset({"id", "url"})


def _element(name: str, value: Any, extra: Any, out: list[str]) -> None:
    if value.__class__ is not dict:
        if name == "div":
            out.append(value)
        elif extra is None:
            out.append(f'<{name} value="{_literal(value)}"/>')
        else:
            _extended_primitive(name, value, extra, out)
        return
    if "resourceType" in value:
        out.append(f"<{name}>")
        _resource(value, out)
        out.append(f"</{name}>")
        return
    attributes = f' id="{_attribute(value["id"])}"' if "id" in value else ""
    skip = _ID_ONLY
    if name in _EXTENSIONS:
        attributes += f' url="{_attribute(value["url"])}"'
        skip = _ID_AND_URL
    out.append(f"<{name}{attributes}>")
    _children(value, out, skip)
    out.append(f"</{name}>")


def _extended_primitive(name: str, value: Any, extra: dict[str, Any], out: list[str]) -> None:
    attributes = f' id="{_attribute(extra["id"])}"' if "id" in extra else ""
    if value is not None:
        attributes += f' value="{_literal(value)}"'
    out.append(f"<{name}{attributes}>")
    _children(extra, out, _ID_ONLY)
    out.append(f"</{name}>")


def arranged(resource: dict[str, Any]) -> dict[str, Any]:
    """The same resource with its members in FHIR element order, at every level; unknown members come last."""
    kind = resource.get("resourceType")
    if not is_resource(kind):
        return resource
    assert isinstance(kind, str)
    return {"resourceType": kind, **_arranged(resource, kind)}


def _arranged(value: dict[str, Any], type_name: str) -> dict[str, Any]:
    order = elements(type_name)
    known = {name: _arranged_member(value[name], e.type) for name, e in order.items() if name in value}
    hidden = {name: child for name, child in value.items() if name[:1] == "_"}
    rest = {n: v for n, v in value.items() if n not in known and n not in hidden and n != "resourceType"}
    return {**known, **hidden, **rest} if not hidden else {**_beside(order, known, hidden), **rest}


def _beside(order: dict[str, Any], known: dict[str, Any], hidden: dict[str, Any]) -> dict[str, Any]:
    """Known members with each `_name` right after its `name`, also where `name` itself is absent."""
    out: dict[str, Any] = {}
    for name in order:
        out |= {n: source[n] for n, source in ((name, known), (f"_{name}", hidden)) if n in source}
    return {**out, **hidden}


def _arranged_member(value: Any, type_name: str) -> Any:
    if type_name in PRIMITIVES:
        return value
    if value.__class__ is list:
        return [_arranged_member(item, type_name) for item in value]
    if value.__class__ is not dict:
        return value
    return arranged(value) if type_name == "Resource" else _arranged(value, type_name)
