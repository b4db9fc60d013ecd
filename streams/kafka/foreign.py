"""Bounded copies of what a foreign record carries: a dead letter must fit its topic whatever the record was.

What is compressed may be far larger than any limit when it is read, and key and headers have no limit of their own.
What is too large to be copied is left where it lies, and named by its size and its SHA-256, so that it can be found and
recognised. Nothing here can fail, whatever the bytes are.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

__all__ = ["Copy", "bounded", "left_behind", "number", "one_line", "time_text"]

#: A key is a hash or an id. Bytes.
_KEY: Final = 64 << 10
#: Of foreign headers: how many, and bytes of a name, of a value and of all together.
_HEADERS: Final = 64
_NAME: Final = 1 << 10
_VALUE: Final = 64 << 10
_ALL: Final = 256 << 10
#: Digits of a count: more is none of ours, and `int` refuses more than 4,300.
_DIGITS: Final = 9
#: Bytes of a text about a fault.
_TEXT: Final = 2 << 10

Headers = tuple[tuple[str, bytes], ...]


class Copy(NamedTuple):
    """What fits of key and headers; `more` are headers that name what was left behind."""

    key: bytes | None
    headers: Headers
    more: Headers


def bounded(key: bytes | None, headers: Sequence[tuple[str, bytes]]) -> Copy:
    """The copy of a key and of headers, each whole or not at all."""
    more: Headers = ()
    if key is not None and len(key) > _KEY:
        more = left_behind("key", key)
        key = None
    kept: list[tuple[str, bytes]] = []
    left: list[tuple[str, bytes]] = []
    size = 0
    for name, value in headers:
        weight = len(name.encode("utf-8", "surrogatepass")) + len(value)
        fits = len(kept) < _HEADERS and len(name) <= _NAME and len(value) <= _VALUE and size + weight <= _ALL
        (kept if fits else left).append((name, value))
        size += weight if fits else 0
    if left:
        whole = b"".join(name.encode("utf-8", "surrogatepass") + b"\0" + value + b"\0" for name, value in left)
        more = (*more, ("dlq.headers-left-out", b"%d" % len(left)), *left_behind("headers", whole))
    return Copy(key, tuple(kept), more)


def left_behind(what: str, data: bytes) -> Headers:
    """Size and hash of what lies in the source topic only."""
    return (
        (f"dlq.{what}-left-behind", b"%d" % len(data)),
        (f"dlq.{what}-sha256", hashlib.sha256(data).hexdigest().encode()),
    )


def number(text: bytes | None) -> int:
    """A count in a header of ours; 0 for anything else."""
    return int(text) if text is not None and len(text) <= _DIGITS and text.isdigit() else 0


def time_text(text: bytes | None, otherwise: str) -> str:
    """An instant in a header of ours as it stands; `otherwise` for anything else."""
    try:
        found = (text or b"")[:64].decode("ascii")
        datetime.fromisoformat(found)
    except ValueError:
        return otherwise
    return found


def one_line(text: str) -> bytes:
    """A text about a fault as a header: of sane length, whatever it quotes."""
    return text.encode("utf-8", "backslashreplace")[:_TEXT].decode("utf-8", "ignore").encode()
