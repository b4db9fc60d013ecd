"""Records on a changelog that are no rows: passed over when a table is recovered, and named."""

from collections.abc import Iterable
from typing import Any, Final

from streams.operations import logs

__all__ = ["rows_among"]

_log: Final = logs.get("shell")


def rows_among(batch: Iterable[Any]) -> list[Any]:
    """The records of a changelog that have a key."""
    rows = []
    for record in batch:
        if record.key is None:
            _log.error("changelog.junk", topic=record.topic, partition=record.partition, offset=record.offset)
        else:
            rows.append(record)
    return rows
