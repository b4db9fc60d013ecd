"""The FILE arguments of a command, read: a file, `-` for standard input, or a folder (acceptance.md, General)."""

import sys
from collections.abc import Iterable, Iterator
from errno import ENOENT
from pathlib import Path

__all__ = ["documents"]

_NOT_DATA = frozenset({"README.md", "expected.json"})  # what a folder of examples holds besides its data


def documents(files: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each document; a folder gives its files in name order as `folder/name`.

    Raises OSError with the name of the file, or of the folder that has none.
    """
    for name in files:
        path = Path(name)
        if name == "-":
            yield name, sys.stdin.buffer.read()
        elif path.is_dir():
            inside = [file for file in sorted(path.iterdir()) if file.is_file() and file.name not in _NOT_DATA]
            if not inside:
                raise FileNotFoundError(ENOENT, "no files in it", name)
            for file in inside:
                yield f"{name.rstrip('/')}/{file.name}", file.read_bytes()
        else:
            yield name, path.read_bytes()
