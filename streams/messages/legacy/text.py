"""Texts on their way into a legacy letter: cleaned, so that both syntaxes can carry them (00 §§7.11, 7.12).

NFC; each character outside ISO 8859-1 without its marks, else `?`; control characters to blanks; outer blanks off; cut last,
to a `*` as the last character of what is left.
"""

import re
import unicodedata
from typing import Final, NamedTuple

#: What both syntaxes can carry; and what neither can.
CLEAN: Final = re.compile("[!-~\xa1-\xff](?:[ -~\xa0-\xff]*[!-~\xa1-\xff])?")
CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f]")
_OUTSIDE: Final = re.compile("[^\x00-\xff]")


class Cleaned(NamedTuple):
    """A text, and what became of it."""

    text: str
    transliterated: bool = False
    cut: bool = False


def latin1(text: str, limit: int = 0, *, marked: bool = True) -> Cleaned:
    """The text as a letter can carry it, in at most `limit` characters; 0: as long as it is.

    `marked`: what is cut ends in `*`; a telephone number is only cut (00 §7.9).
    """
    if (not limit or len(text) <= limit) and CLEAN.fullmatch(text) is not None:
        return Cleaned(text)
    clean = unicodedata.normalize("NFC", text)
    written = _OUTSIDE.sub(_without_marks, clean)
    short = CONTROL.sub(" ", written).strip()
    if limit and len(short) > limit:
        return Cleaned(f"{short[: limit - 1]}*" if marked else short[:limit].rstrip(), written != clean, cut=True)
    return Cleaned(short, written != clean)


def _without_marks(found: "re.Match[str]") -> str:
    """One character in ISO 8859-1: its base, when the rest are marks."""
    letters = [each for each in unicodedata.normalize("NFD", found[0]) if not unicodedata.combining(each)]
    return "".join(each if each <= "\xff" else "?" for each in letters)
