"""The distributor as a process of its own, to be killed: `python -m tests.end_to_end.distributor_worker '<json of RelayOrders>'`.

The product's own under the real clock; the waits for answers are shortened, from minutes to seconds. Municipality 0461 has
receivers A, B and C. Says `ready` on standard output; ends on SIGTERM with exit 0 after draining.
"""

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import msgspec

from agents.distributor import build_distributor, distributor_running
from agents.station import Station
from agents.worker.app import Worker
from streams.kafka.topics import DISTRIBUTOR
from streams.registry import Registers, load
from streams.words.ids import Ids
from tests.end_to_end.relay_worker import RelayOrders
from tests.end_to_end.scene import LETTERBOXES
from tests.rules.distributions import SYSTEMS, receiver

__all__ = ["distributor_process", "registers_of"]

_ROOT = Path(__file__).resolve().parents[2]


def registers_of(orders: RelayOrders) -> Registers:
    """The example set with three receivers behind one inbox, and shorter waits."""
    registers = load("example").with_receivers(*(receiver(name, type_) for name, type_ in SYSTEMS.items()))
    return registers.with_ack_timeout(timedelta(seconds=orders.ack_timeout))


async def main(orders: RelayOrders) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    worker = Worker(
        bootstrap=orders.bootstrap,
        app_id=DISTRIBUTOR,
        worker_id=orders.worker_id,
        state_dir=Path(orders.directory),
        partitions=orders.partitions,
        inbox_partitions=1,
        letterbox_partitions=LETTERBOXES,
        session_timeout=timedelta(seconds=6),
    )
    distributor = build_distributor(worker, Station(Ids(orders.secret.encode()), registers_of(orders)))
    async with distributor_running(distributor):
        print("ready", flush=True)
        await stop.wait()


@contextlib.asynccontextmanager
async def distributor_process(orders: RelayOrders, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """The worker as a child; killed at the end if it still runs. Its output goes to `log`."""
    with log.open("ab") as reported:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.end_to_end.distributor_worker", msgspec.json.encode(orders).decode(),
            cwd=_ROOT, stdout=asyncio.subprocess.PIPE, stderr=reported,
        )  # fmt: skip
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(main(msgspec.json.decode(sys.argv[1], type=RelayOrders)))
