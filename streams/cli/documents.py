"""The FILE arguments of a command, read: a file, `-` for standard input, or a folder (acceptance.md, General)."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

__all__ = ["documents"]

_NOT_DATA = frozenset({"README.md", "expected.json"})  # what a folder of examples holds besides its data


def documents(files: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each document; a folder gives its files in name order as `folder/name`. Raises OSError."""
    for name in files:
        path = Path(name)
        if name == "-":
            yield name, sys.stdin.buffer.read()
        elif path.is_dir():
            for inside in sorted(path.iterdir()):
                if inside.is_file() and inside.name not in _NOT_DATA:
                    yield f"{name.rstrip('/')}/{inside.name}", inside.read_bytes()
        else:
            yield name, path.read_bytes()
