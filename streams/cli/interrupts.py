"""Ctrl-C: every command ends at once, with 130 and without a traceback (spec 06 §4.2).

The first one is a KeyboardInterrupt, so that files and connections are closed on the way; whatever does not come to an
end within a second is left. The second one ends the process where it stands. A role that drains (`stafet run`) and a
simulator that says what it has done have handlers of their own, and this for the second Ctrl-C.

Imports nothing heavy: it is in force before anything else is loaded.
"""

import contextlib
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Final, NoReturn

__all__ = ["begin", "begun", "install", "leave", "leaving"]

#: Seconds from Ctrl-C to the end.
_PATIENCE: Final = 1.0
_INTERRUPTED: Final = 130

_begun = threading.Event()
_cleanups: list[Callable[[], Any]] = []


def install() -> None:
    """From now on Ctrl-C ends this process as it should. To be called in the main thread."""
    signal.signal(signal.SIGINT, _interrupted)


def _interrupted(_number: int, _frame: object) -> None:
    begin()
    raise KeyboardInterrupt


def begin() -> None:
    """The end has been asked for: nothing more is complained about, and in a second the process is gone."""
    if _begun.is_set():
        leave()
    _begun.set()
    logging.disable(logging.CRITICAL)  # tasks that are cut off have no news
    warnings.simplefilter("ignore")
    sys.unraisablehook = threading.excepthook = lambda *_: None
    watchdog = threading.Timer(_PATIENCE, leave)
    watchdog.daemon = True
    watchdog.start()


def begun() -> bool:
    """Whether Ctrl-C was pressed."""
    return _begun.is_set()


def leave() -> NoReturn:
    """Ends the process where it stands."""
    for cleanup in _cleanups:
        with contextlib.suppress(Exception):
            cleanup()
    if sys.stderr is not None and sys.stderr.isatty():
        os.write(sys.stderr.fileno(), b"\x1b[?25h\r\n")  # a progress bar hides the cursor
    os._exit(_INTERRUPTED)


@contextlib.contextmanager
def leaving(cleanup: Callable[[], Any]) -> Iterator[None]:
    """Inside, `leave` calls this first: for what would stay on the disk."""
    _cleanups.append(cleanup)
    try:
        yield
    finally:
        _cleanups.remove(cleanup)
