"""Rows of a changelog that are none of ours: kept as they are, named, and their bytes laid down once (decision 0025).

Nothing of the key is folded while its row cannot be read: a stay that began again would notify with ids that are taken.
"""

from collections.abc import Sequence

from agents.station import Station
from streams.kafka.records import Letter, Record, dead_letter
from streams.kafka.topics import RELAY, changelog
from streams.operations import logs
from streams.relay.lane import ROW_UNREADABLE, unreadable_row
from streams.words.errors import Rejected

__all__ = ["UnreadableRows"]

_log = logs.get("shell")

#: The table of each stage, by the name of the stage.
_TABLE = {"intake": "persons", "lanes": "lanes"}


class UnreadableRows:
    """Those met in this life of the worker."""

    def __init__(self, stage: str, station: Station) -> None:
        self._stage, self._station = stage, station
        self._met: set[bytes] = set()

    def letters(self, row: bytes | None, record: Record, fault: Exception) -> Sequence[Letter]:
        """The dead letter of the row that `record` met, the first time; its place in the changelog is not known."""
        if row is None or record.key is None or not isinstance(fault, Rejected) or fault.rule != ROW_UNREADABLE:
            return ()
        if record.key in self._met:
            return ()
        self._met.add(record.key)
        topic = changelog(RELAY, _TABLE[self._stage])
        _log.error("row.unreadable", topic=topic, partition=record.partition, bytes=len(row))
        lying = Record(topic, record.partition, -1, record.key, row)
        at, version = self._station.clock(), self._station.version
        return [dead_letter(lying, unreadable_row(len(row)), stage=self._stage, at=at, version=version)]
