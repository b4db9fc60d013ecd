"""Delimiters of one message, and the escape sequences that stand for them (spec 04 §2.3).

Delimiters are what this message's MSH declares, never `|^~\\&` by assumption. A value is unescaped after splitting,
and only when it is used; MSH-1 and MSH-2 never are. What cannot be understood stays as written: the reader of the
value sees it, and the caller is told so that it can warn.
"""

import dataclasses
import re
from collections.abc import Callable
from typing import Final

__all__ = ["STANDARD", "Separators", "unescape"]


@dataclasses.dataclass(frozen=True, slots=True)
class Separators:
    """The five delimiters of MSH-1 and MSH-2, and from 2.7 the truncation character ("" when not declared)."""

    field: str
    component: str
    repetition: str
    escape: str
    subcomponent: str
    truncation: str = ""
    #: A blank at the end of some value of a text; all such blanks of one line, found in linear time.
    blank: re.Pattern[str] = dataclasses.field(init=False, repr=False, compare=False)
    blanks: re.Pattern[str] = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        ends = re.escape(self.field + self.component + self.repetition + self.subcomponent)
        object.__setattr__(self, "blank", re.compile(rf" [{ends}\r\n]"))
        object.__setattr__(self, "blanks", re.compile(rf"(?<! ) ++(?=[{ends}]|\Z)"))

    @property
    def text(self) -> str:
        """As declared, field separator first."""
        return self.field + self.component + self.repetition + self.escape + self.subcomponent + self.truncation

    def marks(self, text: str) -> tuple[str, ...]:
        """Of what makes a value more than components side by side, that which occurs in `text`: mostly little."""
        found: tuple[str, ...] = ()
        for mark in (self.repetition, self.subcomponent, self.escape, '""'):
            if mark in text:
                found += (mark,)
        return found

    def without_blanks(self, lines: list[str], text: str) -> list[str]:
        """The lines of `text` without blanks at the end of any value: they mean nothing (data type ST; 00 §8.1)."""
        if self.blank.search(text) is None and text[-1:] != " ":
            return lines  # nearly always, and known in a quarter of a microsecond
        return [self.blanks.sub("", line) for line in lines]


STANDARD: Final = Separators("|", "^", "~", "\\", "&")

#: Letter -> the delimiter it stands for.
_DELIMITERS: Final[dict[str, Callable[[Separators], str]]] = {
    "F": lambda s: s.field,
    "S": lambda s: s.component,
    "T": lambda s: s.subcomponent,
    "R": lambda s: s.repetition,
    "E": lambda s: s.escape,
    "P": lambda s: s.truncation,
}

#: Formatting commands (HL7 v2.5 §2.7) -> what a value keeps of them.
_FORMATS: Final[dict[str, str]] = {
    "H": "",
    "N": "",
    ".nf": "",
    ".fi": "",
    ".br": "\n",
    ".ce": "\n",
    ".sp": "\n",
}

_SPACES: Final = re.compile(r"\.sp\+?([0-9]{1,3})")
_LINES: Final = 99  # a page; eight characters must not become a thousand
_INDENTS: Final = re.compile(r"\.(?:in|ti|sk)[+-]?[0-9]{0,3}")
_HEX: Final = re.compile(r"X((?:[0-9A-Fa-f]{2})+)")


def _meaning(code: str, separators: Separators, charset: str) -> str | None:
    """What the sequence between two escape characters stands for; None when it is left as written."""
    if (delimiter := _DELIMITERS.get(code)) is not None:
        return delimiter(separators) or None
    if (kept := _FORMATS.get(code)) is not None:
        return kept
    if (lines := _SPACES.fullmatch(code)) is not None:
        return "\n" * min(int(lines[1]), _LINES)
    if _INDENTS.fullmatch(code):
        return " "
    if (digits := _HEX.fullmatch(code)) is not None:
        try:
            return bytes.fromhex(digits[1]).decode(charset)
        except UnicodeDecodeError:
            return None
    return None


def unescape(text: str, separators: Separators, charset: str) -> tuple[str, bool]:
    """The value with its escapes resolved, and whether all of them were understood."""
    if separators.escape not in text:
        return text, True
    first, *pieces = text.split(separators.escape)
    out, understood = [first], True
    for code, after in zip(pieces[::2], pieces[1::2], strict=False):
        meaning = _meaning(code, separators, charset)
        if meaning is None:
            meaning, understood = f"{separators.escape}{code}{separators.escape}", False
        out += (meaning, after)
    if len(pieces) % 2:  # never closed
        out.append(separators.escape + pieces[-1])
        understood = False
    return "".join(out), understood
