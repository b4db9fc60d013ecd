"""Words of a sender that stand in headers, keys and rows: of their allowed form, or as a keyed hash. Pure.

What decides it: design §4 (no CPR number, name or address in any key, header, log or metric), spec 04 §6 (the headers).
MSH is the sender's to fill: a control id may be a CPR number or a letter of a megabyte. The hash is keyed, because the
ten digits of a CPR number would be found from a plain one in a second.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final, Literal

__all__ = ["Masked", "Word", "shown"]

#: A keyed hash of a text, as 16 hex digits: `Ids.masked`.
Masked = Callable[[str], str]
Word = Literal["control-id", "trigger", "version"]

_FORMS: Final[Mapping[Word, re.Pattern[str]]] = {
    "control-id": re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+=/-]{0,63}"),  # MSH-10: 20 characters, 199 from 2.7
    "trigger": re.compile(r"[A-Z][A-Z0-9]{2}"),  # MSH-9.2, table 0003
    "version": re.compile(r"2(\.[0-9]){1,2}"),  # MSH-12, table 0104
}
#: Six digits that begin like a date, then four, wherever they stand (spec 05 §2.1).
_CPR_SHAPED: Final = re.compile(r"(?<![0-9])[0-3][0-9][01][0-9]{3}-?[0-9]{4}(?![0-9])")


def shown(word: Word, text: str, masked: Masked) -> str:
    """`text` when it has the form of its kind and nothing of a person in it, else `hash:` and its keyed hash; "" as is."""
    if not text or (_FORMS[word].fullmatch(text) and not _CPR_SHAPED.search(text)):
        return text
    return f"hash:{masked(text)}"
