"""A store on disk that was spoilt is dropped and opened empty; a good one keeps its rows beside foreign files."""

import gc
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from agents.worker.app import Worker, build_app, raw_table

pytest.importorskip("rocksdict")


def opened(folder: Path) -> Any:
    """The store of partition 0, as a worker opens it."""
    app = build_app(Worker(bootstrap="127.0.0.1:1", worker_id="w1", state_dir=folder, store="rocksdb"))
    table = raw_table(app, "persons", partitions=1)
    return table.data


def halved(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def overwritten(path: Path) -> None:
    path.write_bytes(Random(1).randbytes(max(path.stat().st_size, 64)))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The directory of a store that holds a row, closed."""
    data = opened(tmp_path)
    db = data._db_for_partition(0)
    db.put(b"k", b"row")
    db.flush()
    db.close()
    return Path(data.partition_path(0))


def row(folder: Path) -> bytes | None:
    gc.collect()  # RocksDB's lock goes with the last object
    found: bytes | None = opened(folder)._db_for_partition(0).get(b"k")
    return found


@pytest.mark.parametrize("spoil", [halved, overwritten])
def test_a_spoilt_store_is_opened_empty(tmp_path: Path, store: Path, spoil: Callable[[Path], None]) -> None:
    for path in [path for path in store.rglob("*") if path.is_file()]:
        spoil(path)
    assert row(tmp_path) is None


def test_a_file_in_the_place_of_a_store_is_replaced(tmp_path: Path, store: Path) -> None:
    store.rename(store.with_name("elsewhere"))
    store.write_bytes(b"of another version")
    assert row(tmp_path) is None


def test_a_store_keeps_its_rows_beside_a_foreign_file(tmp_path: Path, store: Path) -> None:
    (store / "of-another-version.db").write_bytes(b"x")
    assert row(tmp_path) == b"row"
