"""A relay that starts and ends: `python -m benchmarks.recovery_worker <bootstrap> <store> <directory>`."""

import asyncio
import resource
import sys
import time
from pathlib import Path
from typing import Literal, cast

from agents.relay import build_relay, relay_running
from agents.station import FastClock, Figures, Station
from agents.worker.app import Worker, ease_collector
from streams.operations.metrics import Metrics
from streams.registry import load

from .feed import Mark, notify
from .flows import BEGIN, IDS

_LOOK = 0.002  # seconds between two looks at the clock of the loop's thread


class _Turns:
    """The longest turn of a loop, in CPU seconds of its thread: what others do on the machine is not counted."""

    longest = 0.0

    async def look(self) -> None:
        """Until it is cancelled."""
        before = time.thread_time()
        while True:
            await asyncio.sleep(_LOOK)
            now = time.thread_time()
            self.longest, before = max(self.longest, now - before), now


def _resident() -> float:
    """MB in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


async def main(bootstrap: str, store: str, directory: str) -> None:
    """Says when it is ready."""
    station = Station(IDS, load("example"), FastClock(BEGIN, 1.0), Figures(Metrics()))
    kind = cast("Literal['memory', 'rocksdb']", store)
    worker = Worker(bootstrap=bootstrap, worker_id="bench", state_dir=Path(directory), store=kind)
    ease_collector()  # as `stafet run` does
    turns, begun = _Turns(), time.process_time()
    looking = asyncio.create_task(turns.look())
    async with relay_running(build_relay(worker, station), patience=60.0):
        looking.cancel()
        notify(Mark("ready", time.process_time() - begun, resident=_resident(), turn=turns.longest * 1e3))
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))
