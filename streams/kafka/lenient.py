"""Reading records whose header names are not UTF-8, which a broker takes and aiokafka's consumer dies of.

Kafka calls a header name a string and checks none; aiokafka decodes it strictly, so one such record ends every consumer
of its partition at each start. Importing this module puts a reader into aiokafka's fetcher, for every consumer of the
process, Faust's too: a batch that cannot be read as it stands is read once more with `\\xNN` in place of foreign bytes.
Consumers of the product are imported from here, so that none is without it.

Private names used, each pinned by tests/agents/test_faust_private_names.py: `fetcher.MemoryRecords`,
`_DefaultRecordBatchPy` and its `_buffer`, `_pos`, `_next_record_index`, `_maybe_uncompress`.
"""

import struct
from collections.abc import Iterator
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import decode_varint

__all__ = ["AIOKafkaConsumer"]

#: Bytes before a batch's own length, and that length (Kafka protocol, record batch).
_LENGTH: Final = struct.Struct(">8xi")


class _Buffer(bytearray):
    """Bytes of which every slice can be decoded."""

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return _Buffer(found) if isinstance(at, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "") -> str:
        return super().decode(encoding, errors or "backslashreplace")


class _Batch:
    """A batch as aiokafka's, whose records can all be read."""

    def __init__(self, batch: Any, data: memoryview) -> None:
        self._batch, self._data = batch, data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        read = 0
        try:
            for record in self._batch:
                yield record
                read += 1
        except (UnicodeDecodeError, CorruptRecordException):
            # Nothing else is wrong with it: the broker has read every length in it when it was produced.
            yield from _leniently(self._data, read)


def _leniently(data: memoryview, read: int) -> Iterator[Any]:
    """The records after the first `read`; those are passed over by their lengths alone."""
    batch = _DefaultRecordBatchPy(data)
    batch._maybe_uncompress()
    batch._buffer = _Buffer(batch._buffer)
    for _ in range(read):
        length, start = decode_varint(batch._buffer, batch._pos)
        batch._pos = start + length
    batch._next_record_index = read
    yield from batch


class _Records:
    """The batches of one answer to a fetch, beside their bytes."""

    def __init__(self, data: bytes) -> None:
        self._records, self._data, self._at = MemoryRecords(data), memoryview(data), 0
        self.size_in_bytes, self.has_next = self._records.size_in_bytes, self._records.has_next

    def next_batch(self) -> _Batch:
        start, batch = self._at, self._records.next_batch()
        self._at += _LENGTH.size + _LENGTH.unpack_from(self._data, start)[0]
        return _Batch(batch, self._data[start : self._at])


fetcher.MemoryRecords = _Records
