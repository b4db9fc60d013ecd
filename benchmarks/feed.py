"""The hospital and the municipality of a measurement: they feed a worker in another process and wait for its word.

The worker names its CPU time, all threads together, when a round begins and when its last receipt is taken: what it
costs to wait between rounds does not count, nor does what runs in other processes, the broker and who feeds it.
"""

import asyncio
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, Self

import msgspec
from aiokafka import AIOKafkaProducer

from streams.kafka.records import ProducerRecord

from .flows import Flow

__all__ = ["Child", "Fed", "Mark", "notify", "rounds"]

#: Returns when so many flows have come so far.
Until = Callable[[int], Awaitable[None]]

#: Seconds that anything may take before the measurement is given up.
_LIMIT: Final = 120.0
#: Seconds that the last batch of a round is given to be confirmed.
_REST: Final = 0.1


class Mark(msgspec.Struct, frozen=True):
    """What a child shows on a line of its output."""

    at: str  # ready, begun, sent, answered
    cpu: float = 0.0  # seconds of all threads of its process so far
    bootstrap: str = ""
    resident: float = 0.0  # MB
    turn: float = 0.0  # ms of CPU, the longest turn of the loop


def notify(mark: Mark) -> None:
    """One line, at once."""
    sys.stdout.buffer.write(msgspec.json.encode(mark) + b"\n")
    sys.stdout.buffer.flush()


async def rounds(flows: int, sent: Until, answered: Until) -> None:
    """The worker's side of every round: until its letters are sent, until its receipts are taken. Ends with the input.

    `sent` and `answered` return when so many flows have come so far.
    """
    notify(Mark("ready"))
    wanted = 0
    while await asyncio.to_thread(sys.stdin.readline):
        wanted += flows
        notify(Mark("begun", time.process_time()))
        await sent(wanted)
        notify(Mark("sent"))
        await answered(wanted)
        await asyncio.sleep(_REST)
        notify(Mark("answered", time.process_time()))


class Child:
    """A module of this package in a process of its own; it ends when its input does."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, module: str, *arguments: str) -> Self:
        """`python -m benchmarks.<module> <arguments>`, started."""
        command = (sys.executable, "-m", f"benchmarks.{module}", *arguments)
        return cls(await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE))

    async def show(self, word: str) -> None:
        """One line to its input."""
        assert self._process.stdin is not None
        self._process.stdin.write(word.encode() + b"\n")
        await self._process.stdin.drain()

    async def notified(self, at: str) -> Mark:
        """The next line, which must be about `at`."""
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), _LIMIT)
        if not line:
            raise RuntimeError("a process of the measurement has ended; what it said stands above")
        mark = msgspec.json.decode(line, type=Mark)
        if mark.at != at:
            raise RuntimeError(f"a process of the measurement says {mark.at}, {at} was due")
        return mark

    async def stop(self) -> None:
        """Closes its input and waits for its end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), _LIMIT)
        except TimeoutError:
            self._process.kill()


class Fed:
    """A worker, the broker under it, and who feeds it."""

    def __init__(self, broker: Child, worker: Child, producer: AIOKafkaProducer) -> None:
        self._broker, self._worker, self._producer = broker, worker, producer

    @classmethod
    async def start(cls, module: str, *arguments: str) -> Self:
        """A broker of its own, with all topics, and the worker `module` over it."""
        broker = await Child.start("broker")
        bootstrap = (await broker.notified("ready")).bootstrap
        worker = await Child.start(module, bootstrap, *arguments)
        await worker.notified("ready")
        # Large batches: the embedded broker answers one batch per fetch, and a worker under load reads many records.
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=100, max_batch_size=1 << 20)
        await producer.start()
        return cls(broker, worker, producer)

    async def round(self, flows: Sequence[Flow]) -> float:
        """CPU microseconds of the worker per flow, for so many flows as it was notified that a round has."""
        await self._worker.show("round")
        begun = await self._worker.notified("begun")
        await self._send(flow.event for flow in flows)
        await self._worker.notified("sent")
        await self._send(flow.receipt for flow in flows)
        ended = await self._worker.notified("answered")
        return (ended.cpu - begun.cpu) / len(flows) * 1e6

    async def _send(self, letters: Iterable[ProducerRecord]) -> None:
        sends = [await self._producer.send(one.topic, one.value, key=one.key) for one in letters]
        await asyncio.gather(*sends)

    async def stop(self) -> None:
        """Everything down, the broker last."""
        await self._producer.stop()
        await self._worker.stop()
        await self._broker.stop()
