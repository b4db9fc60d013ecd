"""Ctrl-C: every command ends at once, with 130 and without a traceback (spec 06 §4.2).

The first one is a KeyboardInterrupt, so that files and connections are closed on the way; whatever does not come to an
end within a second is left. The second one ends the process where it stands. A role that drains (`stafet run`) and a
simulator that reports what it has done have handlers of their own, and this for the second Ctrl-C.

Imports nothing heavy: it is in force before anything else is loaded.
"""

import contextlib
import logging
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Final, NoReturn

#: Seconds from Ctrl-C to the end.
_PATIENCE: Final = 1.0
_INTERRUPTED: Final = 130

_begun = threading.Event()
_cleanups: list[Callable[[], Any]] = []


def install() -> None:
    """From now on Ctrl-C ends this process as it should. To be called in the main thread.

    A library may hold that thread for seconds (librdkafka asks for metadata so), and no handler of ours runs meanwhile. So
    Python also writes each signal into a pipe, at once, and a thread of its own reads there. A loop that handles signals
    itself takes the pipe's place, and with it the decision.
    """
    reading, writing = os.pipe()

    def interrupted(_number: int, _frame: object) -> None:
        begin()
        raise KeyboardInterrupt

    def watch() -> None:
        while signal.SIGINT not in os.read(reading, 64):
            pass
        time.sleep(_PATIENCE)
        leave()

    signal.signal(signal.SIGINT, interrupted)
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=watch, daemon=True).start()


def begin() -> None:
    """The end is asked for: nothing more is complained about, and in a second the process is gone."""
    if _begun.is_set():
        leave()
    _begun.set()
    logging.disable(logging.CRITICAL)  # tasks that are cut off have no news
    warnings.simplefilter("ignore")
    # Nor have threads and finalisers that are cut off.
    sys.unraisablehook = lambda _fault: None
    threading.excepthook = lambda _fault: None
    watchdog = threading.Timer(_PATIENCE, leave)
    watchdog.daemon = True
    watchdog.start()


def end() -> None:
    """The command is done: with 130 if Ctrl-C was pressed. From here on there is nothing left to interrupt."""
    if _begun.is_set():
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()  # what was printed arrives
        leave()
    signal.signal(signal.SIGINT, signal.SIG_IGN)


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
