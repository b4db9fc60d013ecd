"""One thing that `stafet doctor` has looked at."""

from typing import NamedTuple

__all__ = ["Look"]


class Look(NamedTuple):
    """What was looked at, whether it will do, what was found, and the way out.

    `warning`: it will do, and should be otherwise; the exit code does not change for it.
    """

    what: str
    ok: bool
    found: str
    remedy: str = ""
    warning: bool = False
