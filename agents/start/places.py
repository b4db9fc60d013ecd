"""What a process has for itself: the directory of a worker's state, and the addresses it listens on.

Whatever cannot be had is said with the setting that names it.
"""

import contextlib
import errno
import fcntl
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from streams.cli.frame import Code, Failed
from streams.operations.private_files import private_folder

__all__ = ["alone", "listening"]

#: What the usual refusals of an address mean to the person who reads them.
_REFUSALS: Final[Mapping[int, str]] = {
    errno.EADDRINUSE: "is taken; give this process a port of its own",
    errno.EADDRNOTAVAIL: "is no address of this machine",
    errno.EACCES: "is a port that this user may not take",
    socket.EAI_NONAME: "is of a host that nobody knows",
}


@contextlib.contextmanager
def alone(directory: Path, worker_id: str) -> Iterator[None]:
    """Holds the worker's directory; the system lets go of it however the process ends.

    A process with the same worker id and another directory is found by the fence: the elder of the two leaves. Raises
    `Failed` when another process has the directory, or when it cannot be made.
    """
    hint = "Try: stafet config show --sources"
    try:
        lock = (private_folder(directory) / "lock").open("w")
    except OSError as fault:
        text = f"STAFET_STATE_DIR: {fault.filename or directory}: {fault.strerror}"
        raise Failed(Code.FAILED, "state-directory", text, hint) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = f"another process runs as worker {worker_id} in {directory}; give each a STAFET_WORKER_ID of its own"
            raise Failed(Code.USAGE, "worker-id-in-use", text, hint) from None
        yield


@contextlib.contextmanager
def listening(setting: str, address: str) -> Iterator[None]:
    """Names the setting when its address cannot be had. Raises `Failed`."""
    try:
        yield
    except OSError as fault:
        meaning = _REFUSALS.get(fault.errno or 0)
        if meaning is None:
            raise
        text = f"{setting}: {address} {meaning}"
        raise Failed(Code.FAILED, "cannot-listen", text, "Try: stafet config show --sources") from None
