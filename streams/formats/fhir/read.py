"""FHIR documents read strictly: bytes in, one dict out, the same for the JSON and the XML form.

Decided by FHIR R4 (JSON representation) and RFC 8259. What JSON readers let pass silently is refused here: a member
given twice, NaN, a byte order mark, numbers that no one can hold. Whether elements are known is the check's matter.
The XML form is read in `xml.py`; what of it is wrong need not keep a message from being read (`document`). Nothing but
`Rejected` leaves this module.
"""

import json
from collections import Counter
from typing import Any, Final, NoReturn

from streams.words.errors import Rejected

from .primitives import ILLEGAL_CHARACTER
from .xml import Document, from_xml, read_xml

__all__ = ["LIMIT", "Document", "document", "excess", "from_bytes", "from_json", "from_xml"]

LIMIT: Final = 100 * 1024 * 1024  # bytes: MedCom's limit of a message in its envelope (spec 01, 20.1)
_DEPTH: Final = 100  # levels; a hospital notification has 9
#: More of these is no message; it is not parsed. A chain of 200, the longest that is sent (spec 01, 20.3), has some
#: 3,000 objects and 15,000 members. Counted in the bytes, so texts count too.
_MOST: Final = ((b"{", 20_000, "objects"), (b":", 200_000, "members"), (b",", 500_000, "values"))
_DIGITS: Final = 18  # what a 64-bit number holds for sure; FHIR integers have 10


class _Refused(Exception):
    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.problem, self.remedy = problem, remedy


class _Doubled(dict[str, Any]):
    """An object in which a member stands twice; `member` says which."""

    member = ""


def document(data: bytes) -> Document:
    """A document in either form, and what is wrong with the form: XML when it begins with `<`, else JSON.

    Raises `Rejected` when it cannot be read.
    """
    return read_xml(data) if _is_xml(data) else Document(from_json(data))


def from_bytes(data: bytes) -> dict[str, Any]:
    """The resource of a document in either form, which must be right. Raises `Rejected` with the first fault."""
    return from_xml(data) if _is_xml(data) else from_json(data)


def _is_xml(data: bytes) -> bool:
    return data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<"


def from_json(data: bytes) -> dict[str, Any]:
    """The one resource of a JSON document, members as written. Raises `Rejected` with the path of the fault."""
    text = _text(data)
    doubled: list[_Doubled] = []

    def pairs(members: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(members)
        if len(found) == len(members):
            return found
        twice = _Doubled(found)
        twice.member = Counter(name for name, _ in members).most_common(1)[0][0]
        doubled.append(twice)
        return twice

    document = _parsed(text, pairs)
    if not isinstance(document, dict):
        raise Rejected("$", "not a JSON object", "send one FHIR resource as a JSON object", "json")
    if doubled:
        _refuse_doubled(document)
    _refuse_shape(document, text)
    return document


def excess(data: bytes) -> str:
    """What a JSON document has more of than any message; empty when it is of a size to be read."""
    return next((f"more than {most} {what}" for mark, most, what in _MOST if data.count(mark) > most), "")


def _text(data: bytes) -> str:
    if len(data) > LIMIT:
        raise Rejected("$", "longer than 100 MB", "send one message of at most 100 MB", "20.1")
    if too_much := excess(data):
        raise Rejected("$", too_much, "send one message", "20.3")
    if data[:3] == b"\xef\xbb\xbf":
        raise Rejected("$", "a byte order mark stands before the document", "send UTF-8 without it", "20.4")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Rejected("$", f"not UTF-8 from byte {error.start}", "send UTF-8", "20.4") from None


def _parsed(text: str, pairs: Any) -> Any:
    try:
        return json.loads(text, object_pairs_hook=pairs, parse_int=_int, parse_float=_float, parse_constant=_constant)
    except _Refused as refused:
        raise Rejected("$", refused.problem, refused.remedy, "json") from None
    except json.JSONDecodeError as error:
        raise Rejected(
            "$", f"not JSON at line {error.lineno}, column {error.colno}", "send well-formed JSON", "json"
        ) from None
    except RecursionError:
        raise Rejected("$", "nested too deep", f"send at most {_DEPTH} levels", "json") from None


def _int(digits: str) -> int:
    if len(digits) > _DIGITS:
        raise _Refused(f"a number of {len(digits)} digits", "send numbers of at most 18 digits")
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise _Refused("a number too large to hold", "send numbers of at most 18 digits")
    return number


def _constant(name: str) -> NoReturn:
    raise _Refused(f"{name} is not a JSON value", "leave the element out")


def _refuse_doubled(document: dict[str, Any]) -> NoReturn:
    for path, value in _walk(document):
        if isinstance(value, _Doubled):
            raise Rejected(f"{path}.{_safe(value.member)}", "given twice", "send each member once", "json")
    raise Rejected("$", "a member is given twice", "send each member once", "json")


def _safe(member: str) -> str:
    """A member name as it may stand in an error: only when it looks like an element of FHIR."""
    return member if member.isascii() and member.replace("_", "").isalpha() and len(member) <= 40 else "?"


def _refuse_shape(document: dict[str, Any], text: str) -> None:
    """Refuses what nests beyond reason and, where the text can hold any, characters that no FHIR string may have."""
    suspicious = "\\u" in text or ILLEGAL_CHARACTER.search(text) is not None
    deep = text.count("[") + text.count("{") > _DEPTH
    if not (suspicious or deep):
        return
    for path, value in _walk(document):
        if path.count(".") > _DEPTH:
            raise Rejected("$", "nested too deep", f"send at most {_DEPTH} levels", "json")
        if suspicious and isinstance(value, str) and ILLEGAL_CHARACTER.search(value):
            raise Rejected(path, "holds a character that XML cannot carry", "leave the character out", "20.4")
        if suspicious and isinstance(value, dict) and any(ILLEGAL_CHARACTER.search(name) for name in value):
            raise Rejected(path, "a member name holds a control character", "send FHIR element names", "20.4")


def _walk(document: dict[str, Any]) -> Any:
    """Every object and string with its path, outermost first; without recursion."""
    stack: list[tuple[str, Any]] = [(_safe(str(document.get("resourceType", "$"))), document)]
    while stack:
        path, value = stack.pop()
        yield path, value
        if isinstance(value, dict):
            stack += [(f"{path}.{_safe(name)}", child) for name, child in reversed(value.items())]
        elif isinstance(value, list):
            stack += [(f"{path}[{index}]", child) for index, child in reversed(list(enumerate(value)))]
