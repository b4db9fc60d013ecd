"""Which characters the bytes of an ER7 message mean: MSH-18, table 0211, as far as we read it (spec 04 §2.2).

Every set we take keeps ASCII where it is, so the delimiters can be found before the set is known. Engines stamp a
constant, so what is declared is often not what is sent: bytes that show another set are read as that one (00 §8.2).
Not here: in-line switching by `\\C..\\` and `\\M..\\`, which is not supported; later repetitions of MSH-18 matter only
for that.
"""

import re
from typing import Final

__all__ = ["CHARSETS", "Undecodable", "Unsupported", "decode", "decode_as"]

ASCII: Final = "ascii"
UTF_8: Final = "utf-8"
LATIN_1: Final = "iso8859-1"
LATIN_9: Final = "iso8859-15"
WINDOWS: Final = "cp1252"  # has no name in table 0211

#: MSH-18, first repetition -> its codec, "" where nothing is said (spec 04 §2.2). The names are those of Python.
CHARSETS: Final[dict[str, str]] = {
    "": "",
    "ASCII": ASCII,
    "ISO IR6": ASCII,
    "8859/1": LATIN_1,
    "ISO IR100": LATIN_1,
    "8859/15": LATIN_9,
    "UNICODE UTF-8": UTF_8,
    "UTF-8": UTF_8,
    "UNICODE": UTF_8,
    "ISO IR192": UTF_8,
}
#: Control characters in every set of ISO 8859, letters and quotation marks in Windows-1252.
_WINDOWS_ONLY: Final = re.compile(rb"[\x80-\x9f]")


class Unsupported(ValueError):
    """MSH-18 names a set outside the table: AR 103."""


class Undecodable(ValueError):
    """The bytes are not text of the declared set, nor of another one that they would show: AE 102."""


def decode(data: bytes, declared: str) -> tuple[str, str, bool]:
    """`decode_as` by MSH-18. Raises `Unsupported` or `Undecodable`."""
    codec = CHARSETS.get(declared)
    if codec is None:
        raise Unsupported
    return decode_as(data, codec)


def decode_as(data: bytes, codec: str) -> tuple[str, str, bool]:
    """The text, the codec that read it, and whether it is not the one declared (`charset-lie`).

    `codec`: the set declared, or agreed for the feed; "" for what the bytes show. Bytes above ASCII that are valid
    UTF-8 are nothing else by chance; 80-9F are text in Windows-1252 alone (00 §8.2). Raises `Undecodable`.
    """
    if data.isascii():
        return data.decode(ASCII), codec or UTF_8, False
    try:
        return data.decode(UTF_8), UTF_8, codec not in ("", UTF_8)
    except UnicodeDecodeError:
        if codec == UTF_8:
            raise Undecodable from None
    latin = LATIN_9 if codec == LATIN_9 else LATIN_1
    if _WINDOWS_ONLY.search(data) is None:
        return data.decode(latin), latin, codec == ASCII
    try:
        return data.decode(WINDOWS), WINDOWS, True
    except UnicodeDecodeError:  # one of the five bytes that it does not have
        return data.decode(latin), latin, True
