"""FHIR primitive values: what a date, an instant, an id may look like, and what instant a text names.

Decided by FHIR R4, section Data Types; a date that the calendar does not have is refused here too. Meaning (which
code, which zone is the Danish one) is not here. Every test is a predicate over the JSON value.
"""

import re
from collections.abc import Callable
from datetime import date, datetime
from functools import lru_cache
from typing import Final

__all__ = ["FORMS", "ILLEGAL_CHARACTER", "PATTERNS", "TESTS", "instant_of", "is_text"]

_DATE: Final = re.compile(r"[0-9]{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?")
_TIME: Final = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]{1,9})?")
_MOMENT: Final = re.compile(
    r"([0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])T(?:[01][0-9]|2[0-3]):[0-5][0-9]):([0-5][0-9]|60)"
    r"(?:\.([0-9]{1,9}))?(Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9]|[+-]14:00)"
)
_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_CODE: Final = re.compile(r"[^\s]+(\s[^\s]+)*")
_URI: Final = re.compile(r"\S+")
_UUID: Final = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_OID: Final = re.compile(r"urn:oid:[0-2](\.(0|[1-9][0-9]*))+")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/\s]+={0,2}\s*")
#: Characters that XML 1.0 cannot carry, and lone surrogates: no FHIR string may hold them.
ILLEGAL_CHARACTER: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_INT_LIMIT: Final = 1 << 31


@lru_cache(maxsize=4096)
def instant_of(text: str) -> datetime | None:
    """The moment of a dateTime with time and zone, or of an instant; None when the text is not one.

    A leap second counts as the second before it.
    """
    found = _MOMENT.fullmatch(text)
    if found is None:
        return None
    minute, second, fraction, zone = found.groups()
    second = "59" if second == "60" else second
    micro = (fraction or "").ljust(6, "0")[:6]
    try:
        return datetime.fromisoformat(f"{minute}:{second}.{micro}{'+00:00' if zone == 'Z' else zone}")
    except ValueError:
        return None  # 31 April


def is_text(value: object) -> bool:
    """A string with something in it besides white space, and nothing that XML cannot carry."""
    if value.__class__ is not str or not value:
        return False
    assert isinstance(value, str)
    return (value.isprintable() and not value.isspace()) or (
        bool(value.strip()) and ILLEGAL_CHARACTER.search(value) is None
    )


def _is_date(value: object) -> bool:
    if not isinstance(value, str) or _DATE.fullmatch(value) is None:
        return False
    if len(value) < 10:
        return True  # a year or a month
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def _is_instant(value: object) -> bool:
    return value.__class__ is str and instant_of(value) is not None


def _is_date_time(value: object) -> bool:
    return _is_instant(value) or _is_date(value)


def _whole(least: int) -> Callable[[object], bool]:
    return lambda value: value.__class__ is int and least <= value < _INT_LIMIT


def _is_decimal(value: object) -> bool:
    return value.__class__ in (int, float)


#: What each primitive must be, for messages to people.
FORMS: Final[dict[str, str]] = {
    "base64Binary": "base64 text",
    "boolean": "true or false",
    "canonical": "a URL without white space",
    "code": "a code without outer or double white space",
    "date": "a date, YYYY-MM-DD",
    "dateTime": "a date, or date and time with zone, YYYY-MM-DDThh:mm:ss+01:00",
    "decimal": "a number",
    "id": "1 to 64 of A-Z, a-z, 0-9, hyphen and dot",
    "instant": "date and time with zone, YYYY-MM-DDThh:mm:ss+01:00",
    "integer": "a whole number",
    "markdown": "non-empty text",
    "oid": "urn:oid: and an OID",
    "positiveInt": "a whole number above 0",
    "string": "non-empty text without control characters",
    "time": "a time, hh:mm:ss",
    "unsignedInt": "a whole number from 0",
    "uri": "a URI without white space",
    "url": "a URL without white space",
    "uuid": "urn:uuid: and a UUID in lower case",
    "xhtml": 'a non-empty <div xmlns="http://www.w3.org/1999/xhtml">',
}

#: Primitives that are a string of one pattern.
PATTERNS: Final[dict[str, re.Pattern[str]]] = {
    "base64Binary": _BASE64,
    "canonical": _URI,
    "code": _CODE,
    "id": _ID,
    "oid": _OID,
    "time": _TIME,
    "uri": _URI,
    "url": _URI,
    "uuid": _UUID,
}


def _matches(pattern: re.Pattern[str]) -> Callable[[object], bool]:
    match = pattern.fullmatch
    return lambda value: value.__class__ is str and match(value) is not None


#: The test of every primitive but xhtml (`xhtml.py`).
TESTS: Final[dict[str, Callable[[object], bool]]] = {
    **{name: _matches(pattern) for name, pattern in PATTERNS.items()},
    "boolean": lambda value: value.__class__ is bool,
    "date": _is_date,
    "dateTime": _is_date_time,
    "decimal": _is_decimal,
    "instant": _is_instant,
    "integer": _whole(-_INT_LIMIT),
    "markdown": is_text,
    "positiveInt": _whole(1),
    "string": is_text,
    "unsignedInt": _whole(0),
}
