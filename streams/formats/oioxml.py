"""OIOXML letters: a tree of elements in a fixed order, read and written by one table of that order (spec 04 §10).

Elements only, no attributes, one namespace. A row of the table gives how often an element may stand there, what it holds,
and under which name its text is a value of the letter. Document types and entities are refused unread; nothing is fetched.
Of those elements, only `Local_Elements` may hold anything: it is taken out before all else (00 §7.20).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from lxml import etree

from streams.words.errors import Issue, Rejected

from . import xml

NAMESPACE: Final = "http://rep.oio.dk/sundcom.dk/medcom.dk/xml/schemas/2005/08/07/"
_LOCAL: Final = f"{{{NAMESPACE}}}Local_Elements"
_XSI: Final = "{http://www.w3.org/2001/XMLSchema-instance}"
_TAGS: Final = 20_000  # begins and ends of elements; a receipt about 99 letters has some 1,500
_LIMIT: Final = 1 << 20  # bytes: a letter is 2 kB (05 §7.2)
_HEAD: Final = f'<?xml version="1.0" encoding="ISO-8859-1"?>\n<Emessage xmlns="{NAMESPACE}">\n'
_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})

#: Name -> text, or the values of each of several elements of that name.
Values = dict[str, Any]


class OioElement(NamedTuple):
    """A row: an element, how often, and its form (a pattern of its text) or its children.

    With a `field`, children are date and time of one moment, and no form means lines of text, each ended by `Break`.
    """

    name: str
    holds: "str | tuple[OioElement, ...] | None"
    least: int = 1
    most: int = 1
    field: str = ""
    inline: bool = False  # written in one line with its children


def parse(data: bytes, *, any_namespace: bool = False) -> etree._Element:
    """The root element, of the schemas of 2005 unless any namespace will do. Raises `Rejected`."""
    if len(data) > _LIMIT:
        raise Rejected("/", "longer than 1 MB", "send one letter", "04 §10")
    if data.count(b"<") > _TAGS:
        raise Rejected("/", f"more than {_TAGS} tags", "send one letter", "04 §10")
    if b"\0" in data:  # UTF-16 and UTF-32, in which a document type could hide
        raise Rejected("/", "a character set that is not read", "send XML in ISO-8859-1", "04 §10")
    root = xml.parse(data, "04 §10", "send well-formed XML in ISO-8859-1", lines=False)
    if etree.QName(root).namespace != NAMESPACE and not any_namespace:
        raise Rejected("/", "another namespace", f'send xmlns="{NAMESPACE}"', "04 §9")
    for child in list(root):
        if child.tag == _LOCAL:
            root.remove(child)
    return root


def local_name(node: etree._Element) -> str:
    """The name of an element without its namespace."""
    return str(node.tag).rpartition("}")[2]


def values_at(node: etree._Element, rows: Sequence[OioElement]) -> Values:
    """What the children of `node` say, by the names of the rows; whatever order they stand in. Empty is left out."""
    found: Values = {}
    below: dict[str, list[etree._Element]] = {}
    for child in node:
        below.setdefault(local_name(child), []).append(child)
    for row in rows:
        children = below.get(row.name)
        if not children:
            continue
        if row.most > 1 and isinstance(row.holds, tuple):
            found[row.name] = [values_at(child, row.holds) for child in children]
        elif not row.field:
            if isinstance(row.holds, tuple):
                found |= values_at(children[0], row.holds)
        elif text := _text(children[0], row):
            found.setdefault(row.field, text)  # a letter names its type twice
    return found


def _text(node: etree._Element, row: OioElement) -> str:
    if isinstance(row.holds, str):
        return (node.text or "").strip()
    if row.holds is None:
        return _lines(node)
    parts = [(child.text or "").strip() for child in node]
    return "T".join(parts) if len(parts) == len(row.holds) and all(parts) else ""


def _lines(node: etree._Element) -> str:
    parts = [node.text or ""]
    for child in node:
        parts += ("\0" if local_name(child) == "Break" else " ", child.tail or "")
    # A line end of the document is a blank, as everywhere in XML.
    text = "".join(parts).replace("\n", " ").replace("\0", "\n")
    return "\n".join(line.strip() for line in text.split("\n")).strip("\n")


def mismatches(node: etree._Element, rows: Sequence[OioElement], path: str) -> Iterator[Issue]:
    """Every place where the children of `node` differ from the table: names in its namespace, without attributes."""
    children, at = list(node), 0
    yield from _attributes(node, path)
    if any(text and text.strip() for text in (node.text, *(child.tail for child in children))):
        yield _issue(path, "text between elements", "send elements only")
    space = f"{{{NAMESPACE}}}"
    for row in rows:
        below, count = f"{path}/{row.name}", 0
        while at < len(children) and children[at].tag == space + row.name and count < row.most:
            child, at, count = children[at], at + 1, count + 1
            if isinstance(row.holds, tuple):
                yield from mismatches(child, row.holds, below)
                continue
            yield from _attributes(child, below)
            if row.holds is None:
                if any(each.tag not in (space + "Break", space + "Space") for each in child):
                    yield _issue(below, "an element other than Break and Space", "send text and Break")
            elif len(child) or not re.fullmatch(row.holds, child.text or ""):
                yield _issue(below, f"{len(child.text or '')} characters of another form", f"send {row.holds}")
        if count < row.least:
            yield _issue(below, "missing or out of order", "send the elements in the order of the letter")
    if at < len(children):
        problem = "an element too many, or one that may not stand here"
        yield _issue(path, problem, "send the elements in the order of the letter")


def _attributes(node: etree._Element, path: str) -> Iterator[Issue]:
    if any(not str(name).startswith(_XSI) for name in node.keys()):  # noqa: SIM118  # not a mapping
        yield _issue(path, "an attribute", "send elements only")


def _issue(path: str, problem: str, remedy: str) -> Issue:
    return Issue(severity="error", path=path, rule="04 §10", problem=problem, remedy=remedy)


def written(rows: Sequence[OioElement], values: Mapping[str, Any]) -> bytes:
    """The Emessage of which these are the children. Raises `Rejected` where a value that must be there is missing."""
    return (_HEAD + "".join(_elements(rows, values, "  ", "\n", "/Emessage")) + "</Emessage>\n").encode("iso-8859-1")


def _elements(
    rows: Iterable[OioElement], values: Mapping[str, Any], before: str, after: str, path: str
) -> Iterator[str]:
    """Each element with what stands before and after it: its indentation and the end of its line."""
    for name, holds, least, most, field, inline in rows:
        if most > 1:
            for each in values.get(name, ()):
                content = "".join(_elements(holds, each, "", "", f"{path}/{name}"))  # type: ignore[arg-type]
                yield f"{before}<{name}>{content}</{name}>{after}"
            continue
        if field:
            text = values.get(field, "")
            if not text:
                if least:
                    raise Rejected(f"{path}/{name}", "missing", "give it a value", "04 §10")
                continue
            text = text.translate(_ESCAPES)
            if holds is None:
                content = "".join(f"{line}<Break/>" for line in text.split("\n"))
            elif isinstance(holds, str):
                content = text
            else:
                parts = zip(holds, text.split("T"), strict=True)
                content = "".join(f"<{one.name}>{part}</{one.name}>" for one, part in parts)
            yield f"{before}<{name}>{content}</{name}>{after}"
            continue
        if not least and not any(values.get(row.field) for row in holds):  # type: ignore[union-attr]
            continue
        inside = (holds, values, "", "") if inline else (holds, values, before + "  ", "\n")
        content = "".join(_elements(*inside, f"{path}/{name}"))  # type: ignore[arg-type]
        begin, end = ("", "") if inline else ("\n", before)
        yield f"{before}<{name}>{begin}{content}{end}</{name}>{after}"
