"""The relay as it is run, with all its stages and its log: `python -m benchmarks.relay_worker <bootstrap> <flows> [real]`.

`real`: over Apache Kafka, with the fence, not over the embedded broker.
"""

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from agents.relay import build_relay, relay_running
from agents.station import FastClock, Figures, Station
from agents.worker.app import Worker, ease_collector
from streams.operations import logs
from streams.operations.metrics import MetricName, Metrics
from streams.registry import load

from .feed import rounds
from .flows import BEGIN, IDS

_LOOK = 0.02  # seconds between two looks at the figures


class _Counting(Metrics):
    """The product's figures, and two sums over them that are cheap to look at."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = self.settled = 0

    def count(self, name: MetricName, by: float = 1, **labels: str) -> None:
        """As the product counts."""
        super().count(name, by, **labels)
        self.sent += name == "hn_attempts_total"
        self.settled += name == "hn_messages_total"


async def main(bootstrap: str, flows: int, *, embedded: bool) -> None:
    """Rounds until the input ends."""
    figures = _Counting()
    station = Station(IDS, load("example"), FastClock(BEGIN, 1.0), Figures(figures))

    async def sent(wanted: int) -> None:
        while figures.sent < wanted:  # noqa: ASYNC110  # looking costs less than showing
            await asyncio.sleep(_LOOK)

    async def answered(wanted: int) -> None:
        while figures.settled < wanted:  # noqa: ASYNC110  # looking costs less than showing
            await asyncio.sleep(_LOOK)

    with tempfile.TemporaryDirectory() as state:
        ease_collector()  # as `stafet run` does
        worker = Worker(bootstrap=bootstrap, worker_id="bench", state_dir=Path(state), embedded=embedded)
        async with relay_running(build_relay(worker, station)):
            await rounds(flows, sent, answered)


if __name__ == "__main__":
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        logs.configure(stream=nowhere)
        asyncio.run(main(sys.argv[1], int(sys.argv[2]), embedded=len(sys.argv) < 4))
