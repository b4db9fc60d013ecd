"""Position rows as numbers: a row under such a key that is none of ours counts as absent, and is named."""

from typing import Final

from streams.operations import logs

__all__ = ["position_at"]

#: Offsets are 64 bits: 19 digits.
_DIGITS: Final = 19

_log: Final = logs.get("shell")


def position_at(row: bytes | None, topic: str, partition: int) -> int | None:
    """The next offset expected of a source partition; None when the row does not say."""
    if row is None:
        return None
    if not row.isdigit() or len(row) > _DIGITS:
        _log.error("position.unreadable", topic=topic, partition=partition, bytes=len(row))
        return None
    return int(row)
