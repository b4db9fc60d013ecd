"""CPU time of short pieces of work, side by side: all cases in turn, several rounds, the median of each.

Process CPU time, the garbage collector off inside a slice. Whatever else the machine and its other guests do only adds
to a slice; the best one beside the median shows how much that was.
"""

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

__all__ = ["Spent", "Work", "measured"]

Work = Callable[[], object]


class Spent(NamedTuple):
    """Microseconds of CPU of one call."""

    median: float
    best: float


def measured(cases: Mapping[str, Work], *, rounds: int, slice_ms: float) -> dict[str, Spent]:
    """What one call of each case costs, by `rounds` slices of about `slice_ms` of CPU each."""
    gc.collect()
    gc.freeze()  # what there is already is not gone through again before every slice
    try:
        repeats = {name: _repeats(work, slice_ms / 1000) for name, work in cases.items()}
        found: dict[str, list[float]] = {name: [] for name in cases}
        for _ in range(rounds):
            for name, work in cases.items():
                found[name].append(_slice(work, repeats[name]) / repeats[name] * 1e6)
    finally:
        gc.unfreeze()
    return {name: Spent(statistics.median(values), min(values)) for name, values in found.items()}


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
