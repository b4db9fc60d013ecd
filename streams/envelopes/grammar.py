"""Envelopes as trees, and how a schema is written down as a table.

Decided by XML 1.0 and the simple types of XML Schema. A grammar is a tree of `ElementRule` and `Choice`; `faults` walks
it beside the document. Most envelopes are spelled one way: the elements of the schema in their order, plain ASCII, no
comment, no entity, no prefix. That is a regular language, and `plain` makes its expression of the same grammar. What an
envelope means is not here.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Final, NamedTuple

from lxml import etree

from streams.formats import xml
from streams.words.errors import Issue, Rejected

LIMIT: Final = 100 * 1024 * 1024  # bytes: a message in its envelope (spec 02 §1, G030)

_TAGS: Final = 200_000  # begins and ends of elements; an envelope has fewer than 200, its payload is text

_XSI: Final = "{http://www.w3.org/2001/XMLSchema-instance}"
#: Character sets that hold ASCII as it is, so that `<!DOCTYPE` cannot hide in another spelling.
_CHARSETS: Final = frozenset({"utf-8", "us-ascii", "ascii", "iso-8859-1", "iso-8859-15", "windows-1252"})
_DECLARED: Final = re.compile(rb"<\?xml[^>]*?\bencoding\s*=\s*[\"']([A-Za-z0-9._-]+)[\"']")


def root_of(data: bytes, rule: str) -> etree._Element:
    """The root element of an XML document, comments and processing instructions left out.

    Raises `Rejected` under `rule`: too large, another character set, a document type, not well-formed.
    """
    if len(data) > LIMIT:
        raise Rejected("/", "longer than 100 MB", "send one message of at most 100 MB", rule)
    if len(data) > _TAGS and data.count(b"<") > _TAGS:
        raise Rejected("/", f"more than {_TAGS} tags", "send one envelope with one message", rule)
    head = data[:1024].removeprefix(b"\xef\xbb\xbf")
    holds_ascii = head.lstrip(b" \t\r\n")[:1] == b"<" and b"\0" not in head
    if head[:5] == b"<?xml":  # nothing is guessed from odd bytes
        declared = _DECLARED.match(head)
        holds_ascii &= b"?>" in head and (declared is None or declared[1].decode().lower() in _CHARSETS)
    if not holds_ascii:
        raise Rejected("/", "a character set that is not read, or no XML", "send XML in UTF-8", rule)
    huge = len(data) > 1 << 20  # base64 text of more than 10 MB; with no entities nothing can grow
    return xml.parse(data, rule, "send well-formed XML", huge=huge)


# ---- simple types -----------------------------------------------------------------------------------------------


class Text(NamedTuple):
    """A simple type: which texts it takes and its form, in words for a remedy. `collapse`: outer space is not meant.

    `plain`: an expression of plain texts that it takes (of a time: if the calendar has it), without outer space.
    """

    form: str
    accepts: Callable[[str], bool]
    collapse: bool = False
    plain: str = ""


def matching(pattern: str, form: str, *, collapse: bool = False) -> Text:
    """Texts that match a regular expression as a whole."""
    compiled = re.compile(pattern)
    return Text(form, lambda text: compiled.fullmatch(text) is not None, collapse, pattern)


def one_of(*values: str, collapse: bool = False) -> Text:
    """An enumeration."""
    return Text(" or ".join(values), frozenset(values).__contains__, collapse, "|".join(map(re.escape, values)))


_WORD: Final = "[A-Za-z0-9:#._/+;=-]"  # no blank: some types collapse it, others do not


def sized(low: int, high: int, *, collapse: bool = False) -> Text:
    """Texts of `low` to `high` characters."""
    return Text(
        f"{low} to {high} characters", lambda text: low <= len(text) <= high, collapse, f"{_WORD}{{{low},{high}}}"
    )


_DATE_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})?"
)


def _is_date_time(text: str) -> bool:
    if _DATE_TIME.fullmatch(text) is None:
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def decoded(text: str) -> bytes | None:
    """The bytes of a base64 text, line breaks and spaces allowed (spec 02 §2.4); None when it is not base64."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        compact = "".join(text.split())
    try:
        return base64.b64decode(compact, validate=True)
    except (binascii.Error, ValueError):
        return None


_PLAIN_TIME: Final = "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:Z|[+-][0-9]{2}:[0-9]{2})"
DATE_TIME: Final = Text("a time as YYYY-MM-DDThh:mm:ss+01:00", _is_date_time, collapse=True, plain=_PLAIN_TIME)
BOOLEAN: Final = one_of("true", "false", "1", "0", collapse=True)
BASE64: Final = Text("base64", lambda text: decoded(text) is not None)


# ---- writing -----------------------------------------------------------------------------------------------------

#: `&` comes first, or the others would be escaped twice; line breaks, or a parser would make other characters of them.
_WRITTEN: Final = (
    ("&", "&amp;"),
    ("<", "&lt;"),
    (">", "&gt;"),
    ('"', "&quot;"),
    ("\r", "&#13;"),
    ("\n", "&#10;"),
    ("\t", "&#9;"),
)


def escaped(text: str) -> str:
    """A text as it stands in an element or, between double quotes, in an attribute."""
    if "&" in text or "<" in text or ">" in text or '"' in text or not text.isprintable():
        for character, written in _WRITTEN:
            text = text.replace(character, written)
    return text


# ---- grammars ---------------------------------------------------------------------------------------------------


class ElementRule(NamedTuple):
    """One element: names it may have (a second namespace is a second name), how often, and what is inside.

    `text` and `parts` exclude each other. An attribute is (type, mandatory). `loose`: whatever is inside is not looked at.
    """

    names: tuple[str, ...]
    text: Text | None = None
    parts: tuple["ElementRule | Choice", ...] = ()
    low: int = 1
    high: int | None = 1  # None: any number
    attributes: Mapping[str, tuple[Text, bool]] = {}
    loose: bool = False


class Choice(NamedTuple):
    """Exactly one of several elements."""

    of: tuple[ElementRule, ...]


_S: Final = r"[ \t\r\n]*"


def plain(rule: ElementRule, *, named: bool = True) -> str:
    """The expression of an element in the plain spelling; `named`: each value is a group with the name of its element,
    an attribute with that of both. What may stand more than once has no groups.
    """
    assert not any(isinstance(part, Choice) for part in rule.parts)
    name, often = _local(rule.names[0]), "" if rule.low else "?"
    if rule.high != 1:
        named, often = False, f"{{{rule.low},{rule.high or ''}}}"

    def value(text: Text, group: str) -> str:
        return f"(?P<{group}>{text.plain})" if named else f"(?:{text.plain})"

    attributes = "".join(f' {key}="{value(text, name + key)}"' for key, (text, _) in rule.attributes.items())
    inside = _S + "".join(plain(part, named=named) for part in rule.parts if isinstance(part, ElementRule))
    if rule.text is not None:
        inside = value(rule.text, name)
    whole = f"<{name}{attributes}>{inside}</{name}>{_S}"
    return f"(?:{whole}){often}" if often else whole


def faults(root: etree._Element, grammar: ElementRule, rule: str) -> list[Issue]:
    """Everything in which a document leaves its grammar; of what goes wrong among siblings, the first."""
    if root.tag not in grammar.names:
        problem = "another element or namespace than the envelope's"
        return [_issue(_local(grammar.names[0]), rule, problem, f"send {grammar.names[0]}")]
    return list(_walk(root, grammar, _local(grammar.names[0]), rule))


def _issue(path: str, rule: str, problem: str, remedy: str) -> Issue:
    return Issue(severity="error", path=path, rule=rule, problem=problem, remedy=remedy)


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _walk(node: etree._Element, element: ElementRule, path: str, rule: str) -> Iterator[Issue]:
    if element.loose:
        return
    for name, (text, mandatory) in element.attributes.items():
        value = node.get(name)
        if value is None and mandatory:
            yield _issue(f"{path}@{name}", rule, "missing", f"send {text.form}")
        elif value is not None and not _takes(text, value):
            yield _issue(f"{path}@{name}", rule, _described(value), f"send {text.form}")
    if any(name not in element.attributes and not str(name).startswith(_XSI) for name in node.keys()):  # noqa: SIM118
        yield _issue(path, rule, "an attribute that the schema does not have here", "leave it out")
    if element.text is not None:
        if len(node):
            yield _issue(path, rule, "elements where a value stands", f"send {element.text.form}")
        elif not _takes(element.text, node.text or ""):
            yield _issue(path, rule, _described(node.text), f"send {element.text.form}")
        return
    if any(text and text.strip() for text in (node.text, *(child.tail for child in node))):
        yield _issue(path, rule, "text between elements", "send elements only")
    yield from _children(node, element, path, rule)


def _takes(text: Text, value: str) -> bool:
    return text.accepts(value.strip() if text.collapse else value)


def _described(value: str | None) -> str:
    return f"{len(value)} characters of another form" if value else "empty"


def _children(node: etree._Element, element: ElementRule, path: str, rule: str) -> Iterator[Issue]:
    """The children against the parts of the grammar, in their order; stops at the first that is missing."""
    children, at = list(node), 0
    for part in element.parts:
        options = _options(part)
        chosen = next((o for o in options if at < len(children) and children[at].tag in o.names), options[0])
        count = 0
        while at < len(children) and children[at].tag in chosen.names and (chosen.high is None or count < chosen.high):
            many = chosen.high is None or chosen.high > 1
            below = f"{path}.{_local(chosen.names[0])}" + (f"[{count}]" if many else "")
            yield from _walk(children[at], chosen, below, rule)
            at, count = at + 1, count + 1
        if count < chosen.low:
            names = " or ".join(_local(option.names[0]) for option in options)
            late = any(child.tag in option.names for child in children for option in options)
            problem = "not in its place" if late else "missing"
            yield _issue(f"{path}.{names}", rule, problem, "send the elements of the schema in its order")
            return
    if at < len(children):
        named = {name for part in element.parts for option in _options(part) for name in option.names}
        tag = children[at].tag
        where = f"{path}.{_local(tag)}" if tag in named else path  # a peer's name may be data
        problem = "an element too many, or one that may not stand here"
        yield _issue(where, rule, problem, "send the elements of the schema, each as often as it allows")


def _options(part: ElementRule | Choice) -> tuple[ElementRule, ...]:
    return part.of if isinstance(part, Choice) else (part,)
