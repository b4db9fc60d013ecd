"""CPU time of short pieces of work, side by side: all cases in turn, several rounds, the median of each.

Process CPU time, the garbage collector off inside a slice. What else the machine does then disturbs a round and not
the comparison.
"""

import gc
import statistics
import time
from collections.abc import Callable, Mapping

__all__ = ["Work", "measured"]

Work = Callable[[], object]


def measured(cases: Mapping[str, Work], *, rounds: int, slice_ms: float) -> dict[str, float]:
    """Microseconds of CPU of one call of each case: median of `rounds` slices of at least `slice_ms`."""
    repeats = {name: _repeats(work, slice_ms / 1000) for name, work in cases.items()}
    found: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, work in cases.items():
            found[name].append(_slice(work, repeats[name]) / repeats[name] * 1e6)
    return {name: statistics.median(values) for name, values in found.items()}


def _repeats(work: Work, wanted: float) -> int:
    repeats = 1
    while (spent := _slice(work, repeats)) < wanted / 4:
        repeats *= 2
    return max(1, round(repeats * wanted / spent))


def _slice(work: Work, repeats: int) -> float:
    """Seconds of CPU for so many calls."""
    gc.collect()
    gc.disable()
    try:
        begun = time.process_time()
        for _ in range(repeats):
            work()
        return time.process_time() - begun
    finally:
        gc.enable()
