"""Records on a changelog that are no rows: passed over when a table is recovered, and named."""

from collections.abc import Iterable
from typing import Any, Final

from streams import logs

__all__ = ["rows_among"]

_log: Final = logs.get("shell")


def rows_among(batch: Iterable[Any]) -> list[Any]:
    """The events of a changelog that have a key."""
    events = list(batch)
    rows = [event for event in events if event.message.key is not None]
    if len(rows) < len(events):
        for event in events:
            if event.message.key is None:
                message = event.message
                _log.error("changelog.junk", topic=message.topic, partition=message.partition, offset=message.offset)
    return rows
