"""Documents damaged in every place, one place at a time, by a name that shows where and how."""

import copy
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import orjson
from lxml import etree

__all__ = ["csv_cells", "edifact", "er7", "json_places", "toml_lines", "xml", "xml_texts"]

_LONG: Final = 40  # longer than any field of a letter


def xml(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Every element: dropped, twice, after its neighbour, with an attribute, of another name; and its text otherwise."""
    root = etree.fromstring(data)
    tree = root.getroottree()
    for number, element in enumerate(root.iter("*")):
        name = f"{number} {etree.QName(element).localname}"
        for how, damaged in _around(tree, element):
            yield f"{name} {how}", damaged
        if not len(element):
            for how, text in _otherwise(element.text or "").items():
                yield f"{name} {how}", _written(tree, element, lambda one, text=text: setattr(one, "text", text))
        for attribute in element.attrib:
            for how, text in _otherwise(element.attrib[attribute]).items():
                change = lambda one, at=attribute, text=text: one.set(at, text)  # noqa: E731
                yield f"{name} @{etree.QName(attribute).localname} {how}", _written(tree, element, change)
            yield (
                f"{name} @{etree.QName(attribute).localname} dropped",
                _written(tree, element, lambda one, at=attribute: one.attrib.pop(at)),
            )


def xml_texts(data: bytes, texts: Iterable[str]) -> Iterator[tuple[str, list[bytes]]]:
    """Every leaf and every attribute by its name, with the documents in which each of the texts stands there."""
    root, texts = etree.fromstring(data), tuple(texts)
    tree = root.getroottree()
    for number, element in enumerate(root.iter("*")):
        name = f"{number} {etree.QName(element).localname}"
        if not len(element):
            yield name, [_written(tree, element, lambda one, text=text: setattr(one, "text", text)) for text in texts]
        for at in element.attrib:
            yield (
                f"{name} @{at}",
                [_written(tree, element, lambda one, at=at, text=text: one.set(at, text)) for text in texts],
            )


def _around(tree: Any, element: Any) -> Iterator[tuple[str, bytes]]:
    def moved(one: Any) -> None:
        one.getnext().addnext(one)

    yield "with an attribute", _written(tree, element, lambda one: one.set("a", "b"))
    yield "of another name", _written(tree, element, lambda one: setattr(one, "tag", one.tag + "x"))
    yield "with a child", _written(tree, element, lambda one: etree.SubElement(one, one.tag))
    yield (
        "of another namespace",
        _written(tree, element, lambda one: setattr(one, "tag", f"{{urn:x}}{etree.QName(one).localname}")),
    )
    if element.getparent() is not None:
        yield "dropped", _written(tree, element, lambda one: one.getparent().remove(one))
        yield "twice", _written(tree, element, lambda one: one.addnext(copy.deepcopy(one)))
    if element.getnext() is not None:
        yield "after its neighbour", _written(tree, element, moved)


def _otherwise(text: str) -> dict[str, str]:
    """Other texts in its place: none, of another form, a character more and one less, much longer."""
    others = {"empty": "", "another": "x", "longer": text + "9", "shorter": text[:-1], "long": text + "1" * _LONG}
    return {how: other for how, other in others.items() if other != text and (other or how == "empty")}


def _written(tree: Any, element: Any, change: Any) -> bytes:
    mine = copy.deepcopy(tree)
    change(mine.xpath(tree.getpath(element))[0])
    return etree.tostring(mine, xml_declaration=True, encoding=tree.docinfo.encoding or "UTF-8")


def edifact(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Every segment dropped, twice, after its neighbour; every component otherwise. The count in UNT stays right."""
    text = data.decode("iso-8859-1")
    head, text = ("", text) if not text.startswith("UNA") else (text[:9], text[9:])
    lines = [line.strip() for line in text.strip().strip("'").split("'")]
    for at, line in enumerate(lines):
        name = f"{at} {line[:3]}"
        yield f"{name} dropped", _joined(head, lines[:at] + lines[at + 1 :])
        yield f"{name} twice", _joined(head, [*lines[:at], line, *lines[at:]])
        if at + 1 < len(lines):
            yield f"{name} after its neighbour", _joined(head, [*lines[:at], lines[at + 1], line, *lines[at + 2 :]])
        parts = [element.split(":") for element in line.split("+")]
        for e, element in enumerate(parts):
            for c, component in enumerate(element):
                for how, other in _otherwise(component).items():
                    mine = copy.deepcopy(parts)
                    mine[e][c] = other
                    changed = "+".join(":".join(one) for one in mine)
                    counted = e == 1 and line.startswith("UNT")
                    yield f"{name}-{e}.{c + 1} {how}", _joined(head, [*lines[:at], changed, *lines[at + 1 :]], counted)


def _joined(head: str, lines: list[str], counted: bool = False) -> bytes:
    for at, line in enumerate(lines):
        tag, *elements = line.split("+")
        if tag == "UNT" and elements and not counted:
            lines = [*lines[:at], "+".join((tag, str(len(lines) - 2), *elements[1:])), *lines[at + 1 :]]
    return (head + "".join(f"{line}'\n" for line in lines)).encode("iso-8859-1")


def json_places(value: Any, more: Callable[[str], dict[str, str]] = lambda _: {}) -> Iterator[tuple[str, Any]]:
    """Every member and item: dropped, null, of another type, of no content, another text; `more`: others for a text."""
    whole = orjson.dumps(value)
    for path, steps, was in _places(value, "", ()):
        others: dict[str, Any] = {
            "null": None,
            "a number": 7,
            "an empty list": [],
            "an empty object": {},
            "dropped": ...,
        }
        if isinstance(was, str):
            others |= _otherwise(was) | more(was)
            if "/" in was or was.startswith("urn:"):
                links = {"a web address": "http://x.org/Y/1", "relative": "Y/1", "of a version": f"{was}/_history/1"}
                others |= links | {"in capitals": was.upper(), "local": "#1", "an OID": "urn:oid:1.2.3"}
        elif isinstance(was, list):
            others |= {"once more": [*was, *was[-1:]], "the other way round": was[::-1]}
        elif isinstance(was, dict):
            others |= {"an id alone": {"id": "x"}, "with an id": {**was, "id": "x"}}
        for how, other in others.items():
            mine = orjson.loads(whole)
            holder = mine
            for step in steps[:-1]:
                holder = holder[step]
            if other is ...:
                del holder[steps[-1]]
            else:
                holder[steps[-1]] = other
            yield f"{path} {how}", mine


def _places(value: Any, path: str, steps: tuple[Any, ...]) -> Iterator[tuple[str, tuple[Any, ...], Any]]:
    """Path, the steps that lead there, and what stands there."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, here in below:
        name = f"{path}[{step}]" if isinstance(step, int) else f"{path}.{step}".lstrip(".")
        yield name, (*steps, step), here
        yield from _places(here, name, (*steps, step))


def er7(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Every segment dropped and twice; every field and component otherwise, absent and deleted."""
    lines = data.decode().strip("\r").split("\r")
    for at, line in enumerate(lines):
        name = f"{at} {line[:3]}"
        if at:
            yield f"{name} dropped", _er7([*lines[:at], *lines[at + 1 :]])
            yield f"{name} twice", _er7([*lines[:at], line, *lines[at:]])
        fields = line.split("|")
        for place, field in enumerate(fields[1:], 1):
            number = place + (line[:3] == "MSH")
            others = {"deleted": '""', "repeated": f"{field}~{field}"} if field else {}
            for component, part in enumerate(field.split("^") if place > 1 or at else []):
                for how, other in _otherwise(part).items():
                    parts = field.split("^")
                    parts[component] = other
                    others[f".{component + 1} {how}"] = "^".join(parts)
            for how, other in others.items():
                mine = [*fields[:place], other, *fields[place + 1 :]]
                yield f"{name}-{number} {how}", _er7([*lines[:at], "|".join(mine), *lines[at + 1 :]])


def _er7(lines: list[str]) -> bytes:
    return ("\r".join(lines) + "\r").encode()


def csv_cells(text: str, rows: int) -> Iterator[tuple[str, str]]:
    """The cells of the head and the first rows, each otherwise; rows of another length, twice and dropped."""
    lines = text.splitlines()
    for at, line in enumerate(lines[: rows + 1]):
        cells = line.split(",")
        others = {"dropped": [], "twice": [line, line], "longer": [f"{line},9"], "shorter": [",".join(cells[:-1])]}
        for place, cell in enumerate(cells):
            for how, other in {"empty": "", "another": "x", "longer": f"{cell}9"}.items():
                others[f"column {place + 1} {how}"] = [",".join([*cells[:place], other, *cells[place + 1 :]])]
        for how, mine in others.items():
            yield f"{at + 1} {how}", "\n".join([*lines[:at], *mine, *lines[at + 1 :], ""])


def toml_lines(text: str, most: int) -> Iterator[tuple[str, str]]:
    """The first lines that show something, each dropped, twice, of another key; values otherwise and of other types."""
    lines = text.splitlines()
    for at, line in [(at, line) for at, line in enumerate(lines) if line and line[0] != "#"][:most]:
        key, equals, value = line.partition(" = ")
        others = {"dropped": [], "twice": [line, line]}
        if equals:
            others |= {"of another key": [f"{key}x = {value}"]}
            whole = {"a text": '"x"', "a number": "7", "a list": "[]", "a table": "{ a = 1 }", "true": "true"}
            others |= {f"of {how}": [f"{key} = {other}"] for how, other in whole.items()}
            if value.startswith("{ value"):
                _, _, source = value.partition(", source")
                rows = {f"value {how}": f"{{ value = {other}, source{source}" for how, other in whole.items()}
                others |= {how: [f"{key} = {row}"] for how, row in rows.items()}
        for how, mine in others.items():
            yield f"{at + 1} {how}", "\n".join([*lines[:at], *mine, *lines[at + 1 :], ""])
