"""A point in time, as typed in an option."""

from datetime import datetime

from streams.words.times import local_time

from .frame import Code, Failed

__all__ = ["time_of"]


def time_of(option: str, text: str) -> datetime:
    """The time that is given in ISO form; one without offset is Danish. Raises `Failed` with the name of the option."""
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        hint = "write 2026-03-01T12:00:00+01:00"
        raise Failed(Code.USAGE, "usage", f"{option}: not a time in ISO form", hint) from None
    if not 1 < given.year < 9999:  # what waits for a time would wait beyond the calendar
        problem = f"{option}: a year at the end of the calendar"
        raise Failed(Code.USAGE, "usage", problem, "write a year from 2 to 9998")
    return local_time(given) if given.tzinfo is None else given
