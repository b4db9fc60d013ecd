"""Where a worker keeps the rows of its tables: in memory, or on disk in one RocksDB for each partition of a changelog.

In place of Faust's own stores, which find a row by the record in hand, write the offset beside the rows and keep what
others own by now. A store holds what is committed and nothing else, and knows how far: rows and `known`, the first offset
of the changelog that is not in it, are written together. A partition that others own is dropped at once, and one that has
lain on disk for half as long as tombstones are kept is not taken up: rows that others have deleted would rise again.
"""

import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from streams.kafka.topics import TOMBSTONES
from streams.operations import logs

from .changelog import StatePartition

#: Key and row; None for a row that is deleted.
Row = tuple[bytes, bytes | None]

#: Bytes of rows that a partition on disk keeps in memory until they fill a file, and of files that all have read lately.
_UNWRITTEN: Final = 1 << 20
_READ_LATELY: Final = 16 << 20
#: The row that holds `known`, in decimal digits; it begins as every row of our own book-keeping.
_KNOWN: Final = b"\0known"
#: The file that marks a database in which damage was met.
_DAMAGED: Final = "damaged"


class MemoryStore:
    """The committed rows of the partitions that this worker owns or has begun to read, in dictionaries."""

    def __init__(self) -> None:
        self._rows: dict[StatePartition, dict[bytes, bytes]] = defaultdict(dict)
        self._known: dict[StatePartition, int] = {}

    def known(self, place: StatePartition) -> int | None:
        """The first offset that is not in the store; None when nothing of the partition is."""
        return self._known.get(place)

    def get(self, place: StatePartition, key: bytes) -> bytes | None:
        """The row of a key."""
        return self._rows[place].get(key)

    def rows(self, place: StatePartition) -> Iterator[tuple[bytes, bytes]]:
        """Every row of a partition, as it is now."""
        yield from list(self._rows[place].items())

    def apply(self, place: StatePartition, rows: Iterable[Row], known: int) -> None:
        """Puts rows in, in order."""
        mine = self._rows[place]
        for key, row in rows:
            if row is None:
                mine.pop(key, None)
            else:
                mine[key] = row
        self._known[place] = known

    def keep_only(self, places: Collection[StatePartition]) -> None:
        """Drops every other partition."""
        for place in [place for place in self._rows if place not in places]:
            self._known.pop(place, None)
            del self._rows[place]

    def close(self) -> None:
        """Lets go of everything."""
        self.keep_only(())


class DiskStore:
    """The same, in a RocksDB for each partition under `directory`. `now`: seconds since the epoch."""

    def __init__(self, directory: Path, now: Callable[[], float] = time.time) -> None:
        import rocksdict  # an extra: whoever keeps rows in memory need not have it

        self._rocksdict: Any = rocksdict
        self._directory, self._now = directory, now
        self._dbs: dict[StatePartition, Any] = {}
        files = rocksdict.BlockBasedOptions()
        files.set_block_cache(rocksdict.Cache(_READ_LATELY))
        files.set_bloom_filter(10, block_based=False)
        self._options = rocksdict.Options(raw_mode=True)
        self._options.create_if_missing(True)
        self._options.set_write_buffer_size(_UNWRITTEN)
        self._options.set_block_based_table_factory(files)

    def known(self, place: StatePartition) -> int | None:
        """As in memory; opens the partition."""
        if place not in self._dbs:
            self._dbs[place] = self._opened(self._path(place))
        row = self.get(place, _KNOWN)
        return None if row is None else int(row)

    def get(self, place: StatePartition, key: bytes) -> bytes | None:
        """As in memory. Raises at damage, which the next start does not meet again."""
        db = self._dbs.get(place)
        try:
            row: bytes | None = None if db is None else db.get(key)
        except Exception:  # rocksdict raises no class of its own
            (self._path(place) / _DAMAGED).touch()
            raise
        return row

    def rows(self, place: StatePartition) -> Iterator[tuple[bytes, bytes]]:
        """As in memory. Raises at damage, as `get`."""
        if place in self._dbs:
            once = self._rocksdict.ReadOptions()
            once.fill_cache(False)
            at = self._dbs[place].iter(once)
            at.seek_to_first()
            while at.valid():
                yield at.key(), at.value()
                at.next()
            try:
                at.status()  # damage looks like the end
            except Exception:
                (self._path(place) / _DAMAGED).touch()
                raise

    def apply(self, place: StatePartition, rows: Iterable[Row], known: int) -> None:
        """As in memory, in one write."""
        batch = self._rocksdict.WriteBatch(raw_mode=True)
        for key, row in rows:
            if row is None:
                batch.delete(key)
            else:
                batch.put(key, row)
        batch.put(_KNOWN, b"%d" % known)
        self._dbs[place].write(batch)

    def keep_only(self, places: Collection[StatePartition]) -> None:
        """As in memory."""
        for place in [place for place in self._dbs if place not in places]:
            self._dbs.pop(place).close()
            shutil.rmtree(self._path(place))

    def close(self) -> None:
        """Lets go of everything; what is on disk stays."""
        dbs, self._dbs = self._dbs, {}
        for db in dbs.values():
            db.close()

    def _path(self, place: StatePartition) -> Path:
        return self._directory / f"{place.topic}-{place.partition}.db"

    def _opened(self, path: Path) -> Any:
        """A directory that is too old or damaged, or that RocksDB cannot open, is dropped: the changelog has every row.

        It may have been cut by a full disk, left by another version, or overwritten; a start must not need a hand. RocksDB
        finds a damaged row within a file that opens by its checksums when it is read: the worker leaves and starts again.
        """
        if (path / _DAMAGED).exists():
            _drop(path, "damaged")
        if path.is_dir():
            touched = max((file.stat().st_mtime for file in path.iterdir()), default=0.0)
            if self._now() - touched > TOMBSTONES.total_seconds() / 2:
                _drop(path, "older than tombstones may be")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return self._rocksdict.Rdict(str(path), options=self._options)
        except Exception as fault:  # rocksdict raises no class of its own
            if "LOCK: " in str(fault):  # another process has it
                raise
            _drop(path, str(fault)[:200])
            return self._rocksdict.Rdict(str(path), options=self._options)


def _drop(path: Path, why: str) -> None:
    logs.get("run").warning("store.dropped", path=path.name, why=why)
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


Store = MemoryStore | DiskStore
