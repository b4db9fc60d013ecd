"""How long an event takes from `adt.raw` to the municipality's inbox, over a real Kafka of one node.

From the broker's word that it has the event to the moment a reader beside it has the letter: two stages, two records,
three confirmed sends. The relay runs in a process of its own, as it is run. Start-up is apart: what is sent first opens
connections, and Kafka's machine code is made of what has run often; neither is counted.
"""

import asyncio
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from aiokafka import TopicPartition

from streams.kafka.admin import apply
from streams.kafka.clients import AIOKafkaConsumer, new_producer
from streams.kafka.local import LocalBroker
from streams.kafka.topics import LANES, inbox, plan

from .feed import Child
from .flows import Bench

__all__ = ["Delay", "latency"]

_RATES = (4.0, 40.0)  # events a second
_WARM = 20  # seconds at the highest rate before anything is counted
_FIRST = 1  # seconds of each rate that are not counted
_LAST = 10.0  # seconds that the last letter may take


class Delay(NamedTuple):
    """At one rate, in milliseconds."""

    rate: float
    number: int
    median: float
    p99: float
    longest: float


async def latency(*, seconds: float) -> list[Delay]:
    """Every rate for so many seconds. Raises `NoKafka`."""
    bench = Bench()
    with tempfile.TemporaryDirectory() as folder, LocalBroker(Path(folder) / "kafka") as broker:
        apply(broker.bootstrap, plan(bench.registers.kommuner))
        worker = await Child.start("relay_worker", broker.bootstrap, "0", "real")
        await worker.notified("ready")
        sent = int(min(_WARM, seconds) * max(_RATES))
        await _measured(bench, broker.bootstrap, max(_RATES), sent, skip=0)
        found = []
        for rate in _RATES:
            number = int((seconds + _FIRST) * rate)
            found.append(await _measured(bench, broker.bootstrap, rate, number, skip=sent))
            sent += number
        await worker.stop()
    return found


async def _measured(bench: Bench, bootstrap: str, rate: float, number: int, skip: int) -> Delay:
    letters = [bench.letter(event) for event in bench.events(number, skip=skip)]
    lanes = [next(one.key for one in bench.take(letter).letters if one.topic == LANES) for letter in letters]
    reader = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    producer = new_producer(bootstrap, linger_ms=0)
    await reader.start()
    await producer.start()
    inboxes = [inbox(code) for code in bench.registers.kommuner]
    reader.assign([TopicPartition(topic, partition) for topic in inboxes for partition in range(3)])
    await reader.seek_to_end()
    sent, arrived = dict[bytes | None, float](), dict[bytes, float]()

    async def read() -> None:
        while len(arrived) < number:
            for records in (await reader.getmany(timeout_ms=200)).values():
                now = time.perf_counter()
                arrived.update((record.key, now) for record in records)

    async def send(at: int) -> None:
        letter = letters[at]
        await producer.send_and_wait(letter.topic, letter.value, key=letter.key)
        sent[lanes[at]] = time.perf_counter()

    reading = asyncio.create_task(read())
    begin, sends = time.perf_counter(), []
    for at in range(number):
        await asyncio.sleep(begin + at / rate - time.perf_counter())
        sends.append(asyncio.create_task(send(at)))
    await asyncio.gather(*sends)
    await asyncio.wait_for(reading, _LAST)
    await reader.stop()
    await producer.stop()
    counted = lanes[int(_FIRST * rate) :]
    delays = sorted((arrived[lane] - sent[lane]) * 1e3 for lane in counted if lane is not None)
    return Delay(rate, len(delays), *(delays[min(int(len(delays) * q), len(delays) - 1)] for q in (0.5, 0.99, 1.0)))
