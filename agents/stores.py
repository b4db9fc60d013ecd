"""A store on disk that cannot be opened is dropped: its changelog has every row, and a start must not need a hand.

A directory may have been cut by a full disk, left by another version, or overwritten. RocksDB says so when it opens one
(a damaged row within a file that opens is found by its checksums when it is read).
"""

import shutil
from pathlib import Path
from typing import Any

from streams import logs

__all__ = ["dropping_spoilt"]


def dropping_spoilt(store: Any) -> Any:
    """The RocksDB store, which drops a directory that it cannot open and begins empty: the changelog is read from its start."""
    opened = store._open_for_partition

    def open_for_partition(partition: int) -> Any:
        try:
            return opened(partition)
        except Exception as fault:  # rocksdict raises no class of its own
            if "lock" in repr(fault).lower():  # another process has it: Faust waits
                raise
            path = Path(store.partition_path(partition))
            logs.get("run").warning("store.dropped", path=path.name, why=str(fault)[:200])
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
            return opened(partition)

    store._open_for_partition = open_for_partition
    return store
