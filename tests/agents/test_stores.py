"""Where rows lie: both stores agree, a spoilt or old one on disk is begun again, and what others own is dropped."""

import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from agents.worker.changelog import StatePartition
from agents.worker.stores import DiskStore, MemoryStore, Store

pytest.importorskip("rocksdict")

PLACE, OTHER = (StatePartition("app-persons-changelog", number) for number in range(2))


@pytest.fixture(params=["memory", "disk"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MemoryStore() if request.param == "memory" else DiskStore(tmp_path)


def test_store_keeps_newest_rows_and_how_far_it_knows(store: Store) -> None:
    assert store.known(PLACE) is None
    store.apply(PLACE, [(b"a", b"1"), (b"b", b"1"), (b"a", b"2"), (b"b", None), (b"c", b"")], 5)
    store.apply(PLACE, [], 7)
    assert (store.get(PLACE, b"a"), store.get(PLACE, b"b"), store.get(PLACE, b"c"), store.known(PLACE)) == (
        b"2", None, b"", 7,
    )  # fmt: skip
    assert {key: row for key, row in store.rows(PLACE) if not key.startswith(b"\0")} == {b"a": b"2", b"c": b""}
    assert store.get(OTHER, b"a") is None


def test_partition_of_others_is_dropped(store: Store) -> None:
    for place in (PLACE, OTHER):
        assert store.known(place) is None
        store.apply(place, [(b"k", b"row")], 1)
    store.keep_only([OTHER])
    assert (store.known(PLACE), store.get(PLACE, b"k"), list(store.rows(PLACE))) == (None, None, [])
    assert (store.known(OTHER), store.get(OTHER, b"k")) == (1, b"row")


def test_reading_goes_on_while_rows_change(store: Store) -> None:
    assert store.known(PLACE) is None
    store.apply(PLACE, [(b"%d" % number, b"old") for number in range(9)], 9)
    reading = store.rows(PLACE)
    first = next(reading)
    store.apply(PLACE, [(b"new", b"row"), (b"8", None)], 11)
    assert {key for key, _ in [first, *reading]} >= {b"%d" % number for number in range(8)}


def halved(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def overwritten(path: Path) -> None:
    path.write_bytes(Random(1).randbytes(max(path.stat().st_size, 64)))


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """The directory of a partition that holds a row."""
    store = DiskStore(tmp_path)
    assert store.known(PLACE) is None
    store.apply(PLACE, [(b"k", b"row")], 4)
    store.close()
    [directory] = tmp_path.iterdir()
    return directory


def reopened(folder: Path, **more: Callable[[], float]) -> tuple[int | None, bytes | None]:
    store = DiskStore(folder, **more)
    found = store.known(PLACE), store.get(PLACE, b"k")
    store.close()
    return found


def test_store_on_disk_outlives_worker(tmp_path: Path, closed: Path) -> None:
    assert reopened(tmp_path) == (4, b"row")


@pytest.mark.parametrize("spoil", [halved, overwritten])
def test_spoilt_store_is_opened_empty(tmp_path: Path, closed: Path, spoil: Callable[[Path], None]) -> None:
    for path in [path for path in closed.rglob("*") if path.is_file()]:
        spoil(path)
    assert reopened(tmp_path) == (None, None)


def test_file_in_place_of_store_is_replaced(tmp_path: Path, closed: Path) -> None:
    closed.rename(closed.with_name("elsewhere"))
    closed.write_bytes(b"of another version")
    assert reopened(tmp_path) == (None, None)


def test_store_keeps_its_rows_beside_foreign_file(tmp_path: Path, closed: Path) -> None:
    (closed / "of-another-version.db").write_bytes(b"x")
    assert reopened(tmp_path) == (4, b"row")


@pytest.mark.parametrize(("hours", "found"), [(11, (4, b"row")), (13, (None, None))])
def test_store_older_than_tombstones_may_be_is_dropped(
    tmp_path: Path, closed: Path, hours: int, found: tuple[int | None, bytes | None]
) -> None:
    now = closed.stat().st_mtime
    for file in closed.iterdir():
        os.utime(file, (now - hours * 3600, now - hours * 3600))
    assert reopened(tmp_path, now=lambda: now) == found


def test_store_that_another_process_has_is_left_alone(tmp_path: Path, closed: Path) -> None:
    holder, late = DiskStore(tmp_path), DiskStore(tmp_path)
    assert holder.known(PLACE) == 4
    with pytest.raises(Exception, match="lock"):
        late.known(PLACE)
    assert holder.get(PLACE, b"k") == b"row"
    holder.close()


@pytest.fixture
def table_file(tmp_path: Path) -> Path:
    """A file of rows of a closed partition."""
    store, random = DiskStore(tmp_path), Random(2)
    assert store.known(PLACE) is None
    for number in range(20):
        store.apply(PLACE, [(b"%d/%d" % (number, one), random.randbytes(1000)) for one in range(100)], number)
    store.close()
    return min(tmp_path.rglob("*.sst"))


def damage(file: Path, at: int) -> None:
    content = bytearray(file.read_bytes())
    content[at : at + 40] = bytes(byte ^ 0xFF for byte in content[at : at + 40])
    file.write_bytes(content)


def test_a_store_that_cannot_find_its_rows_is_opened_empty(tmp_path: Path, table_file: Path) -> None:
    damage(table_file, table_file.stat().st_size - 400)  # where its index lies; RocksDB says "block checksum mismatch"
    store = DiskStore(tmp_path)
    assert store.known(PLACE) is None
    store.close()


def test_a_damaged_row_ends_a_reading_and_costs_the_store(tmp_path: Path, table_file: Path) -> None:
    damage(table_file, 1000)  # where its first rows lie
    store = DiskStore(tmp_path)
    assert store.known(PLACE) is not None
    with pytest.raises(Exception, match="Corruption"):
        list(store.rows(PLACE))
    store.close()
    store = DiskStore(tmp_path)
    assert store.known(PLACE) is None
    store.close()


def test_a_damaged_row_is_never_an_absent_one(tmp_path: Path, table_file: Path) -> None:
    damage(table_file, 1000)
    store = DiskStore(tmp_path)
    assert store.known(PLACE) is not None
    for _ in range(2):
        with pytest.raises(Exception, match="Corruption"):
            store.get(PLACE, b"0/0")
    store.close()
    store = DiskStore(tmp_path)
    assert store.known(PLACE) is None
    store.close()
