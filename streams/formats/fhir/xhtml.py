"""What a narrative `div` must be: non-empty, well-formed, in the XHTML namespace, nothing active in it.

Decided by FHIR R4, Narrative (txt-1, txt-2) and spec 01, 5.5. XML does not know the entities of HTML, so a narrative
that has one is refused: it could not stand in FHIR XML (00 §8.4).
"""

import re
from typing import Any, Final

from lxml import etree

from .pieces import Finding, one
from .primitives import FORMS

__all__ = ["is_narrative", "narrative_check"]

_XHTML: Final = "{http://www.w3.org/1999/xhtml}"
_ENTITY: Final = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);)[A-Za-z][A-Za-z0-9]*;")
#: No head, body, script, forms, frames, objects, links (spec 01, 5.5; FHIR R4 Narrative).
_ACTIVE: Final = frozenset(
    {"head", "body", "script", "form", "base", "link", "xlink", "iframe", "frame", "frameset", "object", "embed"}
    | {"applet", "input", "button", "select", "textarea"}
)


def is_narrative(value: object) -> bool:
    """The cheap test, for text that a writer of ours has escaped: it begins and ends as a div with something in it."""
    return isinstance(value, str) and value.startswith("<div xmlns=") and value.endswith("</div>") and len(value) > 50


_WRONG: Final = one("xhtml", f"not {FORMS['xhtml']}", f"send {FORMS['xhtml']}")
_FOREIGN: Final = one("xhtml", "an entity that XML does not have", "send the character itself, or its number: &#160;")
_MARKUP: Final = one("xhtml", "a comment, declaration or instruction", "send elements and text only")


def narrative_check(value: object) -> list[Finding] | None:
    """The full test, for text that comes from others."""
    if not isinstance(value, str):
        return _WRONG
    if "<!" in value or "<?" in value:
        return _MARKUP
    try:
        root = etree.fromstring(value.encode(), etree.XMLParser(resolve_entities=False))
    except (etree.XMLSyntaxError, ValueError):
        return _FOREIGN if _ENTITY.search(value) else _WRONG
    right = root.tag == _XHTML + "div" and _has_content(root) and not any(_is_active(node) for node in root.iter())
    return None if right else _WRONG


def _has_content(root: Any) -> bool:
    return any(text.strip() for text in root.itertext()) or next(root.iter(_XHTML + "img"), None) is not None


def _is_active(node: Any) -> bool:
    tag = str(node.tag)
    return tag.removeprefix(_XHTML) in _ACTIVE or any(str(name).lower().startswith("on") for name in node.attrib)
