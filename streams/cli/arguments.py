"""Arguments as they are typed: FILE…, each a file, `-` for standard input or a folder (acceptance.md, General); times."""

import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from errno import ENOENT
from pathlib import Path

from streams.words.times import local_time

from .frame import Code, Failed

_NOT_DATA = frozenset({"README.md", "expected.json"})  # what a folder of examples holds besides its data


def documents(
    files: Iterable[str], hint: str = "name files that exist, a folder, or - for standard input"
) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each document; a folder gives its files in name order as `folder/name`.

    Raises `Failed`, with the name of the file that cannot be read, or of the folder that has none.
    """
    try:
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
    except OSError as problem:
        raise Failed(Code.USAGE, "not-readable", f"{problem.filename}: {problem.strerror}", hint) from None


def document(file: str, hint: str = "name a file that exists, or - for standard input") -> tuple[str, bytes]:
    """Name and bytes of the one document that is meant; a folder may stand for the only file in it. Raises `Failed`."""
    first, *more = documents([file], hint)
    if more:
        raise Failed(
            Code.USAGE, "not-readable", f"{file}: {1 + len(more)} files, and one is needed", "name one of them"
        )
    return first


def time_of(option: str, text: str) -> datetime:
    """The time that is given in ISO form; one without offset is Danish. Raises `Failed` with the name of the option."""
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        hint = "write 2026-03-01T12:00:00+01:00"
        raise Failed(Code.USAGE, "usage", f"{option}: not a time in ISO form", hint) from None
    if not 1 < given.year < 9999:  # a wait for it may end beyond the calendar
        problem = f"{option}: a year at the end of the calendar"
        raise Failed(Code.USAGE, "usage", problem, "write a year from 2 to 9998")
    return local_time(given) if given.tzinfo is None else given
