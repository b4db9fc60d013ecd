"""The one clock of a process: real, or faster than real (demo), always aware and never running backwards.

Deadlines of thirty minutes pass before your eyes when the clock runs six hundred times faster; nothing else in the
product knows the difference, because *now* is an argument everywhere below this floor.
"""

import math
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
    """A clock that starts at `start` and runs `speed` times faster than the wall.

    With a `stride` it never leaps: between two looks at most that many seconds of the wall count. A process that got no
    turn for a while has not lived that time, else a busy machine would let every deadline pass at once.
    """

    start: datetime
    speed: float
    stride: float = math.inf
    wall: Callable[[], float] = time.monotonic
    _lived: list[float] = field(default_factory=list)  # [wall seconds that count, wall at the last look]

    def __post_init__(self) -> None:
        self._lived[:] = 0.0, self.wall()

    def __call__(self) -> datetime:
        """Now, on this clock."""
        now = self.wall()
        lived, last = self._lived
        lived += min(now - last, self.stride)
        self._lived[:] = lived, now
        return self.start + timedelta(seconds=lived * self.speed)

    def wall_seconds(self, duration: timedelta) -> float:
        """How long the wall clock takes for `duration` of this clock, in seconds."""
        return duration.total_seconds() / self.speed
