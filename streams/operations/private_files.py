"""Files that may hold personal data: written for their owner only, and through no link.

Everything that the product writes to a disk of people goes through here: what `replay --out` writes, the folder of a
worker's state, the folder of a local broker. A link at the place of the file or of its folder is refused: the one who put it
there would choose where the letters go.
"""

import os
import stat
from pathlib import Path

__all__ = ["others_may_read", "private_folder", "write_private"]

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def private_folder(path: Path) -> Path:
    """The folder, made for its owner only where it is missing, parents too; one that is there keeps its rights.

    Raises OSError: `NotADirectoryError` when a link or a file is in its place.
    """
    for folder in reversed([path, *path.parents]):
        if not folder.exists() and not folder.is_symlink():
            folder.mkdir(mode=0o700, exist_ok=True)
    os.close(_opened_folder(path))
    return path


def write_private(path: Path, data: bytes) -> None:
    """Writes `data` to `path`, whose folder has to be there; what was in the file is gone.

    Raises OSError: `ELOOP` or `NotADirectoryError` when a link is in the way, `PermissionError` when something other
    than a file is.
    """
    folder = _opened_folder(path.parent)
    try:
        # O_NONBLOCK: a pipe in place of the file must not hold us; for a file it has no effect.
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        file = os.open(path.name, flags, 0o600, dir_fd=folder)
    finally:
        os.close(folder)
    with os.fdopen(file, "wb") as out:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            raise PermissionError(1, "not a file of its own", str(path))
        os.fchmod(file, 0o600)
        out.truncate(0)
        out.write(data)


def others_may_read(path: Path) -> bool:
    """Whether anybody but the owner has a right to the file or folder; False when it is not there."""
    try:
        return bool(path.stat().st_mode & _OTHERS)
    except OSError:
        return False


def _opened_folder(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
