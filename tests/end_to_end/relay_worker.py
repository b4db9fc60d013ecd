"""The relay as a process of its own, to be killed: `python -m tests.end_to_end.relay_worker '<json of RelayOrders>'`.

The product's own relay under the real clock; only the wait for receipts is shortened, from minutes to seconds. Says
`ready` on standard output; ends on SIGTERM with exit 0 after draining.
"""

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from agents.relay import build_relay, relay_running
from agents.station import Station
from agents.worker.app import Worker
from streams.registry import load
from streams.words.ids import Ids
from tests.end_to_end.changing import changing
from tests.end_to_end.scene import LETTERBOXES

__all__ = ["RelayOrders", "relay_process"]

_ROOT = Path(__file__).resolve().parents[2]


class RelayOrders(msgspec.Struct):
    bootstrap: str
    directory: str
    secret: str
    partitions: int
    worker_id: str = "w1"
    ack_timeout: float = 5.0  # seconds
    changing: tuple[str, ...] = ()  # kommunekoder that change from letters to FHIR
    change: datetime | None = None  # when


async def main(orders: RelayOrders) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    worker = Worker(
        bootstrap=orders.bootstrap,
        worker_id=orders.worker_id,
        state_dir=Path(orders.directory),
        partitions=orders.partitions,
        letterbox_partitions=LETTERBOXES,
        session_timeout=timedelta(seconds=6),
    )
    registers = load("example").with_ack_timeout(timedelta(seconds=orders.ack_timeout))
    if orders.change is not None:
        registers = changing(registers, orders.changing, orders.change)
    relay = build_relay(worker, Station(Ids(orders.secret.encode()), registers))
    async with relay_running(relay):
        print("ready", flush=True)
        await stop.wait()


@contextlib.asynccontextmanager
async def relay_process(orders: RelayOrders, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """The worker as a child; killed at the end if it still runs. Its output goes to `log`."""
    with log.open("ab") as reported:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.end_to_end.relay_worker", msgspec.json.encode(orders).decode(), cwd=_ROOT,
            stdout=asyncio.subprocess.PIPE, stderr=reported,
        )  # fmt: skip
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


async def ready(child: asyncio.subprocess.Process, limit: float = 60.0) -> None:
    """Until the worker shows that records can flow."""
    assert child.stdout is not None
    assert await asyncio.wait_for(child.stdout.readline(), limit) == b"ready\n"


async def terminated(child: asyncio.subprocess.Process, limit: float = 60.0) -> int:
    """Its exit code after SIGTERM."""
    child.send_signal(signal.SIGTERM)
    return await asyncio.wait_for(child.wait(), limit)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(main(msgspec.json.decode(sys.argv[1], type=RelayOrders)))
