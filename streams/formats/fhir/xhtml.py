"""What a narrative `div` must be: non-empty, well-formed, in the XHTML namespace, nothing active in it.

Decided by FHIR R4, Narrative (txt-1, txt-2) and spec 01, 5.5. Entities of HTML 4 are allowed by FHIR, so they are
turned into characters before an XML parser sees the text.
"""

import re
from html.entities import name2codepoint
from typing import Any, Final

from lxml import etree

__all__ = ["is_narrative", "is_well_formed"]

_XHTML: Final = "{http://www.w3.org/1999/xhtml}"
_XML_ENTITIES: Final = frozenset({"amp", "lt", "gt", "quot", "apos"})
_ENTITY: Final = re.compile(r"&([A-Za-z0-9]+);")
#: No head, body, script, forms, frames, objects, links (spec 01, 5.5; FHIR R4 Narrative).
_ACTIVE: Final = frozenset(
    {"head", "body", "script", "form", "base", "link", "xlink", "iframe", "frame", "frameset", "object", "embed"}
    | {"applet", "input", "button", "select", "textarea"}
)


def is_narrative(value: object) -> bool:
    """The cheap test, for text that a writer of ours has escaped: it begins and ends as a div with something in it."""
    return isinstance(value, str) and value.startswith("<div xmlns=") and value.endswith("</div>") and len(value) > 50


def _character(entity: re.Match[str]) -> str:
    name = entity.group(1)
    code = None if name in _XML_ENTITIES else name2codepoint.get(name)
    return entity.group(0) if code is None else f"&#{code};"


def is_well_formed(value: object) -> bool:
    """The full test, for text that comes from others."""
    if not isinstance(value, str) or "<!" in value:
        return False
    try:
        root = etree.fromstring(_ENTITY.sub(_character, value).encode(), etree.XMLParser(resolve_entities=False))
    except (etree.XMLSyntaxError, ValueError):
        return False
    return root.tag == _XHTML + "div" and _has_content(root) and not any(_is_active(node) for node in root.iter())


def _has_content(root: Any) -> bool:
    return any(text.strip() for text in root.itertext()) or next(root.iter(_XHTML + "img"), None) is not None


def _is_active(node: Any) -> bool:
    tag = str(node.tag)
    return tag.removeprefix(_XHTML) in _ACTIVE or any(str(name).lower().startswith("on") for name in node.attrib)
