"""Rows of a changelog that are none of ours: each is named, and none ends a worker (decision 0025).

A record without a key is no row and is passed over when a table is read back. A position row that is no number counts
as absent. The row of a stage that cannot be read is kept as it is, and its bytes are dead-lettered once. Nothing of its
key is folded meanwhile: a stay that begins once more would notify with ids that are taken.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from aiokafka import ConsumerRecord

from agents.station import Station
from streams.kafka.records import Letter, Record, dead_letter
from streams.kafka.topics import RELAY, changelog
from streams.operations import logs
from streams.relay.lane import ROW_UNREADABLE, unreadable_row
from streams.words.errors import Rejected

__all__ = ["UnreadableRows", "position_at", "rows_among"]

#: Offsets are 64 bits: 19 digits.
_DIGITS: Final = 19

#: The table of each stage, by the name of the stage.
_TABLE: Final = {"intake": "persons", "lanes": "lanes"}

_log: Final = logs.get("shell")


def rows_among(batch: Iterable[ConsumerRecord]) -> list[ConsumerRecord]:
    """The records of a changelog that have a key."""
    rows = []
    for record in batch:
        if record.key is None:
            _log.error("changelog.junk", topic=record.topic, partition=record.partition, offset=record.offset)
        else:
            rows.append(record)
    return rows


def position_at(row: bytes | None, topic: str, partition: int) -> int | None:
    """The next offset expected of a source partition; None for a row that is none of ours."""
    if row is None:
        return None
    if not row.isdigit() or len(row) > _DIGITS:
        _log.error("position.unreadable", topic=topic, partition=partition, bytes=len(row))
        return None
    return int(row)


class UnreadableRows:
    """Those that a stage has met in this life of the worker."""

    def __init__(self, stage: str, station: Station) -> None:
        self._stage, self._station = stage, station
        self._met: set[bytes] = set()

    def letters(self, row: bytes | None, record: Record, fault: Exception) -> Sequence[Letter]:
        """The dead letter of the row that `record` met, the first time; its offset in the changelog is not known."""
        if row is None or record.key is None or not isinstance(fault, Rejected) or fault.rule != ROW_UNREADABLE:
            return ()
        if record.key in self._met:
            return ()
        self._met.add(record.key)
        topic = changelog(RELAY, _TABLE[self._stage])
        _log.error("row.unreadable", topic=topic, partition=record.partition, bytes=len(row))
        found = Record(topic, record.partition, -1, record.key, row)
        at, version = self._station.clock(), self._station.version
        return [dead_letter(found, unreadable_row(len(row)), stage=self._stage, at=at, version=version)]
