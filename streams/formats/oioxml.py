"""OIOXML letters: a tree of elements in a fixed order, checked against a table of that order (spec 04 §10).

Elements only, no attributes, one namespace. A row of the table gives how often an element may stand there and what it
holds: text of a form, or more rows. Document types and entities are refused unread; nothing is fetched.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from lxml import etree

from streams.words.errors import Issue, Rejected

from . import xml

#: The namespace that is sent, and the older one of the same letters (04 §9).
NAMESPACES: Final = (
    "http://rep.oio.dk/sundcom.dk/medcom.dk/xml/schemas/2005/08/07/",
    "http://rep.oio.dk/medcom.dk/xml/schemas/2004/06/01/",
)
_XSI: Final = "{http://www.w3.org/2001/XMLSchema-instance}"
_TAGS: Final = 20_000  # begins and ends of elements; a receipt about 99 letters has some 1,500
_LIMIT: Final = 1 << 20  # bytes: a letter is 2 kB (05 §7.2)


class OioElement(NamedTuple):
    """A row: an element, how often, and its form (a pattern of its text) or its children; None takes anything."""

    name: str
    holds: str | Sequence["OioElement"] | None
    least: int = 1
    most: int = 1


def parse(data: bytes) -> etree._Element:
    """The root element. Raises `Rejected`."""
    if len(data) > _LIMIT:
        raise Rejected("/", "longer than 1 MB", "send one letter", "04 §10")
    if data.count(b"<") > _TAGS:
        raise Rejected("/", f"more than {_TAGS} tags", "send one letter", "04 §10")
    if b"\0" in data:  # UTF-16 and UTF-32, in which a document type could hide
        raise Rejected("/", "a character set that is not read", "send XML in ISO-8859-1", "04 §10")
    root = xml.parse(data, "04 §10", "send well-formed XML in ISO-8859-1", lines=False)
    if etree.QName(root).namespace not in NAMESPACES:
        raise Rejected("/", "another namespace", f'send xmlns="{NAMESPACES[0]}"', "04 §9")
    return root


def text_at(node: etree._Element, *path: str) -> str | None:
    """The text below `node`, by local names; None when an element is missing or empty."""
    for name in path:
        below = next((child for child in node if etree.QName(child).localname == name), None)
        if below is None:
            return None
        node = below
    return (node.text or "").strip() or None


def mismatches(node: etree._Element, rows: Sequence[OioElement], path: str) -> Iterator[Issue]:
    """Every place where the children of `node` differ from the table: names in its namespace, without attributes."""
    children, at = list(node), 0
    if any(text and text.strip() for text in (node.text, *(child.tail for child in children))):
        yield _issue(path, "text between elements", "send elements only")
    space = f"{{{etree.QName(node).namespace}}}"
    for row in rows:
        below, count = f"{path}/{row.name}", 0
        while at < len(children) and children[at].tag == space + row.name and count < row.most:
            child, at, count = children[at], at + 1, count + 1
            if row.holds is None:
                continue
            if any(not str(name).startswith(_XSI) for name in child.keys()):  # noqa: SIM118  # not a mapping
                yield _issue(below, "an attribute", "send elements only")
            if not isinstance(row.holds, str):
                yield from mismatches(child, row.holds, below)
            elif len(child) or not re.fullmatch(row.holds, child.text or ""):
                yield _issue(below, f"{len(child.text or '')} characters of another form", f"send {row.holds}")
        if count < row.least:
            yield _issue(below, "missing or out of order", "send the elements in the order of the letter")
    if at < len(children):
        problem = "an element too many, or one that may not stand here"
        yield _issue(path, problem, "send the elements in the order of the letter")


def _issue(path: str, problem: str, remedy: str) -> Issue:
    return Issue(severity="error", path=path, rule="04 §10", problem=problem, remedy=remedy)
