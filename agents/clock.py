"""The one clock of a process: real, or faster than real (demo), always aware and never running backwards.

Deadlines of thirty minutes pass before your eyes when the clock runs six hundred times faster; nothing else in the
product knows the difference, because *now* is an argument everywhere below this floor.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

__all__ = ["Clock", "FastClock", "real_clock"]

Clock = Callable[[], datetime]


def real_clock() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class FastClock:
    """A clock that starts at `start` and runs `speed` times faster than the wall."""

    start: datetime
    speed: float
    _began: float = field(default_factory=time.monotonic)

    def __call__(self) -> datetime:
        """Now, on this clock."""
        return self.start + timedelta(seconds=(time.monotonic() - self._began) * self.speed)

    def wall_seconds(self, duration: timedelta) -> float:
        """How long the wall clock takes for `duration` of this clock, in seconds."""
        return duration.total_seconds() / self.speed
