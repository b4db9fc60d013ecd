"""Narrative: the XHTML that shows a person what a resource holds, and what such a `div` must be.

Decided by FHIR R4 (Narrative: XHTML subset, txt-1, txt-2) and MedCom's narrative governance (spec 01 §5): a non-empty,
well-formed `div` in the XHTML namespace, basic elements only, nothing active in it, all data escaped. Which elements
are shown is decided by each message. XML does not know the entities of HTML, so a narrative that has one is refused:
it could not stand in FHIR XML (00 §8.4).
"""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from lxml import etree

from .shapes import FORMS, JsonObject

__all__ = ["OPENING", "NarrativeFault", "escaped", "is_narrative", "narrative", "narrative_fault"]

OPENING: Final = '<div xmlns="http://www.w3.org/1999/xhtml">'

_XHTML: Final = "{http://www.w3.org/1999/xhtml}"
_ENTITY: Final = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);)[A-Za-z][A-Za-z0-9]*;")
#: No head, body, script, forms, frames, objects, links (spec 01, 5.5; FHIR R4 Narrative).
_ACTIVE: Final = frozenset(
    {"head", "body", "script", "form", "base", "link", "xlink", "iframe", "frame", "frameset", "object", "embed"}
    | {"applet", "input", "button", "select", "textarea"}
)


def escaped(text: str) -> str:
    """The text as XHTML content: `&`, `<`, `>` and quotes as entities that XML itself knows."""
    if "&" in text:
        text = text.replace("&", "&amp;")
    if "<" in text:
        text = text.replace("<", "&lt;")
    if ">" in text:
        text = text.replace(">", "&gt;")
    if '"' in text:
        text = text.replace('"', "&quot;")
    return text


def narrative(rows: Iterable[tuple[str, str]], *, extensions: bool = False) -> JsonObject:
    """A `text` element of label and value rows. `extensions`: it shows extension content too (5.2).

    Labels are ours and taken as they are; values are data and escaped.
    """
    body = "<br/>".join([f"<b>{label}</b>: {escaped(value)}" for label, value in rows])
    return {"status": "extensions" if extensions else "generated", "div": f"{OPENING}<p>{body}</p></div>"}


def is_narrative(value: object) -> bool:
    """The cheap test, for text that a writer of ours has escaped: it begins and ends as a div with something in it."""
    return isinstance(value, str) and value.startswith("<div xmlns=") and value.endswith("</div>") and len(value) > 50


class NarrativeFault(NamedTuple):
    """Why a `div` cannot be used, and what to send instead."""

    problem: str
    remedy: str


_WRONG: Final = NarrativeFault(f"not {FORMS['xhtml']}", f"send {FORMS['xhtml']}")
_FOREIGN: Final = NarrativeFault("an entity that XML does not have", "send the character itself, or its number: &#160;")
_MARKUP: Final = NarrativeFault("a comment, declaration or instruction", "send elements and text only")


def narrative_fault(value: object) -> NarrativeFault | None:
    """The full test, for text that comes from others."""
    if not isinstance(value, str):
        return _WRONG
    if "<!" in value or "<?" in value:
        return _MARKUP
    try:
        root = etree.fromstring(value.encode(), etree.XMLParser(resolve_entities=False))
    except (etree.XMLSyntaxError, ValueError):
        return _FOREIGN if _ENTITY.search(value) else _WRONG
    filled = any(text.strip() for text in root.itertext()) or next(root.iter(_XHTML + "img"), None) is not None
    if root.tag != _XHTML + "div" or not filled:
        return _WRONG
    for node in root.iter():
        if str(node.tag).removeprefix(_XHTML) in _ACTIVE or any(str(a).lower().startswith("on") for a in node.attrib):
            return _WRONG
    return None
