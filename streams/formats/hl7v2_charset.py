"""Which characters the bytes of an ER7 message mean: MSH-18, table 0211, as far as we read it (spec 04 §2.2).

Every set we take keeps ASCII where it is, so the delimiters can be found before the set is known. Not here: in-line
switching by `\\C..\\` and `\\M..\\`, which is not supported; later repetitions of MSH-18 matter only for that.
"""

from typing import Final

__all__ = ["CHARSETS", "Undecodable", "Unsupported", "decode"]

UTF_8: Final = "utf-8"
LATIN_1: Final = "iso8859-1"

#: MSH-18, first repetition -> the codecs to try in order (spec 04 §2.2). The names are those Python gives its codecs.
CHARSETS: Final[dict[str, tuple[str, ...]]] = {
    "": (UTF_8, LATIN_1),
    "ASCII": ("ascii", UTF_8, LATIN_1),
    "ISO IR6": ("ascii", UTF_8, LATIN_1),
    "8859/1": (LATIN_1,),
    "ISO IR100": (LATIN_1,),
    "8859/15": ("iso8859-15",),
    "UNICODE UTF-8": (UTF_8,),
    "UTF-8": (UTF_8,),
    "UNICODE": (UTF_8,),
    "ISO IR192": (UTF_8,),
}


class Unsupported(ValueError):
    """MSH-18 names a set outside the table: AR 103."""


class Undecodable(ValueError):
    """The bytes are not text of the declared set: AE 102."""


def decode(data: bytes, declared: str) -> tuple[str, str, bool]:
    """The text, the codec that read it, and whether the declaration was untrue (`charset-lie`).

    Raises `Unsupported` or `Undecodable`.
    """
    codecs = CHARSETS.get(declared)
    if codecs is None:
        raise Unsupported
    for codec in codecs:
        try:
            return data.decode(codec), codec, bool(declared) and codec is not codecs[0]
        except UnicodeDecodeError:
            continue
    raise Undecodable
