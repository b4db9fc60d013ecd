"""Whether a worker that has work gets on with it: what `/livez` is told (spec 06 §4.1; decisions/0002).

A worker may live without a living stream, and Faust only logs that. Dead is: records lie there, and no position row has
moved for `limit`. Empty topics, a recovery and a rebalance are no reason: then the time begins anew.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from faust.types import TP

from agents.relay import Relay
from agents.worker.positions import position_at
from agents.worker.tables import position_key
from agents.worker.timer import owned_of

__all__ = ["LIMIT", "Progress", "positions_of"]

#: Far above every wait of the shell (45 s), after which a worker leaves by itself.
LIMIT: Final = timedelta(minutes=5)

#: Partition -> (next offset expected, high water).
Positions = Mapping[Any, tuple[int, int]]


class Progress:
    """Remembers when something last moved. `now` is a monotonic time in seconds."""

    def __init__(self, now: float, limit: timedelta = LIMIT) -> None:
        self._since, self._limit = now, limit.total_seconds()
        self._last: dict[Any, int] = {}

    def look(self, positions: Positions, now: float) -> str:
        """ "" while alive; else why not."""
        lag = sum(max(end - at, 0) for at, end in positions.values())
        current = {partition: at for partition, (at, _) in positions.items()}
        if lag == 0 or current != self._last:
            self._since, self._last = now, current
        idle = now - self._since
        return f"{lag} records wait and none was taken for {idle:.0f} s" if idle >= self._limit else ""


async def positions_of(relay: Relay) -> Positions:
    """The partitions that this worker owns; empty while a rebalance or a recovery is under way.

    What is left of a partition and holds no record counts as taken.
    """
    app, tables = relay.app, dict(relay.sources)
    found = {
        (topic, number): (position_at(tables[topic].get(position_key(topic, number)), topic, number) or 0, int(end))
        for topic, number in owned_of(app, tables)
        if (end := app.consumer.highwater(TP(topic, number))) is not None
    }
    return {
        (topic, number): (end if 0 < at < end and await relay.gaps.is_empty(topic, number, at, end) else at, end)
        for (topic, number), (at, end) in found.items()
    }
