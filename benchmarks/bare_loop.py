"""The floor of any Python relay over aiokafka, or sending by librdkafka: a loop that receives and sends the same records and thinks nothing.

`python -m benchmarks.bare_loop <bootstrap> <flows of a round> <all flows> [librdkafka]`. Topics, keys, values, headers and their number are those
of the relay's own steps (`flows`); order and safety too: letters of a batch are confirmed, then rows and positions, and
offsets are committed as often as the relay's. Nothing is decided here, everything is looked up.
"""

import asyncio
import sys
import time
from collections import deque
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from aiokafka import AIOKafkaConsumer

from agents.worker.app import Worker
from agents.worker.tables import position_key
from streams.kafka.clients import new_producer
from streams.kafka.records import ProducerRecord
from streams.kafka.sender import Sender
from streams.kafka.topics import ADT_RAW, LANES, LARGE, RECEIPTS_RAW, RELAY, changelog

from .feed import rounds
from .flows import Bench, Taken

_POSITIONS = {ADT_RAW: "persons", LANES: "lanes", RECEIPTS_RAW: "receipts"}
_COMMIT: timedelta = Worker.commit_interval
_BATCH = 200  # records, as the relay takes them


class _Loop:
    def __init__(self, bootstrap: str, flows: Iterable[tuple[Taken, ...]], *, librdkafka: bool) -> None:
        self._consumer = AIOKafkaConsumer(
            *_POSITIONS,
            bootstrap_servers=bootstrap,
            group_id="bare-loop",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            max_partition_fetch_bytes=LARGE,
            fetch_max_wait_ms=100,  # as the relay over the embedded broker
        )
        self._producer = None if librdkafka else new_producer(bootstrap)
        self._sender = Sender(bootstrap)
        self._answers: dict[tuple[str, bytes | None], deque[Taken]] = {}
        for taken in (one for flow in flows for one in flow):
            self._answers.setdefault((taken.record.topic, taken.record.key), deque()).append(taken)
        self._committed = time.monotonic()
        self.letters = self.receipts = 0

    async def start(self) -> None:
        """Assigned and ready."""
        if self._producer is None:
            await self._sender.start()
        else:
            await self._producer.start()
        await self._consumer.start()
        while not self._consumer.assignment():  # noqa: ASYNC110  # aiokafka has no event for it
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        await self._consumer.stop()
        await self._sender.stop()
        if self._producer is not None:
            await self._producer.stop()

    async def turn(self) -> None:
        """One batch of records, answered."""
        batch = await self._consumer.getmany(timeout_ms=50, max_records=_BATCH)
        taken = [self._answers[record.topic, record.key].popleft() for records in batch.values() for record in records]
        await self._send(letter for one in taken for letter in one.letters)
        rows = [one.row for one in taken if one.row is not None]
        await self._send([*rows, *(_position(records[-1]) for records in batch.values())])
        if time.monotonic() - self._committed > _COMMIT.total_seconds():
            await self._consumer.commit()
            self._committed = time.monotonic()
        self.letters += sum(one.stage == "lanes" and len(one.letters) > 3 for one in taken)
        self.receipts += sum(one.stage == "lanes" and len(one.letters) <= 3 for one in taken)

    async def _send(self, letters: Iterable[ProducerRecord]) -> None:
        if self._producer is None:
            assert not await self._sender.send(list(letters))
            return
        sends = [
            await self._producer.send(one.topic, one.value, key=one.key, headers=list(one.headers)) for one in letters
        ]
        await asyncio.gather(*sends)


def _position(record: Any) -> ProducerRecord:
    """The row that holds the next offset expected."""
    table = changelog(RELAY, _POSITIONS[record.topic])
    return ProducerRecord(table, position_key(record.topic, record.partition), b"%d" % (record.offset + 1))


async def main(bootstrap: str, flows: int, made: int, *, librdkafka: bool) -> None:
    """Rounds of so many flows until the input ends, `made` flows at most."""
    loop = _Loop(bootstrap, (flow.taken for flow in Bench().flows(made)), librdkafka=librdkafka)
    await loop.start()

    async def sent(wanted: int) -> None:
        while loop.letters < wanted:
            await loop.turn()

    async def answered(wanted: int) -> None:
        while loop.receipts < wanted:
            await loop.turn()

    await rounds(flows, sent, answered)
    await loop.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), librdkafka=len(sys.argv) > 4))
