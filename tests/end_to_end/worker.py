"""A worker as a process of its own, for tests that kill it: counts the records of each key and passes each on.

`python -m tests.end_to_end.worker '<json of Orders>'`. `tables` chooses Faust's tables or ours; `shell` whether
the stage runs inside our shell or as a plain Faust agent; `hold` keeps the moment between the seek to the committed
offsets and the app's note of it open, the moment in which stock Faust throws records away (a race that a busy machine
opens now and then; here it opens every time).
"""

import asyncio
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Literal

import faust
import msgspec
from faust.tables.manager import TableManager

from agents.worker.app import Worker, build_app, raw_table, raw_topic, running
from agents.worker.shell import Limits, Stage, guarded
from streams.kafka.records import ProducerRecord, Record
from streams.kafka.topics import changelog

PARTITIONS = 4
SMALL_BATCHES = Limits(batch=10)  # so that records wait in the queue while the moment is held open


class Orders(msgspec.Struct):
    bootstrap: str
    app_id: str
    directory: str
    worker_id: str = "w1"
    tables: Literal["stock", "careful"] = "careful"
    shell: bool = True
    hold: float = 0.0  # seconds
    row_padding: int = 0  # bytes
    session: float = 2.0  # seconds

    @property
    def source(self) -> str:
        return f"{self.app_id}.in"

    @property
    def out(self) -> str:
        return f"{self.app_id}.out"

    @property
    def changelog(self) -> str:
        return changelog(self.app_id, "rows")


def count(orders: Orders, row: bytes | None, record: Record) -> tuple[bytes, Sequence[ProducerRecord]]:
    """The row is the last number of the key, numbers are sent in order from 1; a number left out is shown."""
    last, number = int((row or b"0").split()[0]), int(record.value or b"0")
    reported = record.value if number <= last + 1 else b"after %d came %d" % (last, number)
    new = b"%d" % max(last, number)
    if orders.row_padding:
        new += b" " + Random(7).randbytes(orders.row_padding)  # which no compression makes smaller
    return new, [ProducerRecord(orders.out, record.key, reported)]


def hold_open(app: Any, orders: Orders) -> None:
    """Lets the seek at the end of recovery be done a little earlier than the app hears of it.

    With stock tables the moment also lasts until the consumer has taken a record: on a busy machine half a second may
    pass before the first fetch, and then there is nothing to lose.
    """
    seek = app.consumer.seek_to_committed

    def something_is_taken(committed: Any) -> bool:
        at = app.consumer._read_offset
        return any(tp.topic == orders.source and (at[tp] or 0) > (offset or 0) for tp, offset in committed.items())

    async def slowly() -> Any:
        offsets = await seek()
        await asyncio.sleep(orders.hold)
        async with asyncio.timeout(20):
            while orders.tables == "stock" and not something_is_taken(offsets):
                await asyncio.sleep(0.01)
        return offsets

    app.consumer.seek_to_committed = slowly


def plain(app: Any, orders: Orders, table: Any) -> Any:
    """The stage as Faust's own manual would write it, each letter confirmed."""

    async def body(stream: Any) -> None:
        async for event in stream.events():
            message = event.message
            record = Record(message.topic, message.partition, message.offset, event.key, event.value)
            table[event.key], [letter] = count(orders, table.get(event.key), record)
            assert await app.sender.send([letter]) == []

    return body


async def main(orders: Orders) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    worker = Worker(
        bootstrap=orders.bootstrap,
        worker_id=orders.worker_id,
        state_dir=Path(orders.directory),
        app_id=orders.app_id,
        partitions=PARTITIONS,
        session_timeout=timedelta(seconds=orders.session),
        commit_interval=timedelta(milliseconds=200),
        more={"TableManager": TableManager, "Table": faust.Table} if orders.tables == "stock" else {},
    )
    app = build_app(worker)
    table = raw_table(app, "rows", PARTITIONS)
    stage = Stage("count", orders.source, lambda row, record: count(orders, row, record), table=table)
    body = (
        guarded(app, stage, clock=lambda: datetime.now(UTC), limits=SMALL_BATCHES)
        if orders.shell
        else plain(app, orders, table)
    )
    app.agent(raw_topic(app, orders.source), name="count")(body)
    if orders.hold:
        hold_open(app, orders)
    async with running(app):
        print("ready", flush=True)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main(msgspec.json.decode(sys.argv[1], type=Orders)))
