"""A simulated hospital's engine at work: messages out, one after the other, over MLLP or onto the topic itself.

Like a real engine it sends a message until it is answered; the resends are counted. Writing the topic directly is what
spec 04 §6 allows an external producer, keyed by person.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aiokafka import AIOKafkaProducer

from streams.formats.hl7v2 import Document
from streams.gateway.admission import LOCAL, Unconfirmed, admit
from streams.gateway.client import MllpClient, NoAnswer
from streams.gateway.run import KafkaPublisher
from streams.messages.adt.admit import record_key
from streams.messages.adt.feed import FeedProfile
from streams.registry import Registers
from streams.words.ids import Ids

from .hospital import Sending

__all__ = ["Deliver", "Played", "onto_topic", "play", "through_gateway"]

#: Delivers one message; True when it was taken, False when it was refused. Raises NoAnswer, Unconfirmed; ConnectionError when nothing was sent.
Deliver = Callable[[bytes], Awaitable[bool]]

_PAUSE = timedelta(seconds=1)  # before the same message is sent again


@dataclass(slots=True)
class Played:
    """What became of the messages."""

    taken: int = 0
    refused: int = 0
    again: int = 0  # sent once more because no answer came; without a connection nothing is sent


async def play(
    sendings: Iterable[Sending],
    deliver: Deliver,
    stop: asyncio.Event,
    *,
    rate: float | None = None,
    pause: timedelta = _PAUSE,
    unreachable: Callable[[], None] = lambda: None,
) -> Played:
    """Send in order, `rate` messages a second or as fast as they are answered, until done or `stop`.

    `unreachable` is called once for each message that finds no gateway: what comes after it waits too.
    """
    played, loop = Played(), asyncio.get_running_loop()
    begun = loop.time()
    for number, sending in enumerate(sendings):
        if rate is not None:
            await _until(begun + number / rate, stop)
        if stop.is_set():
            break
        await _send_until_answered(sending.data, deliver, stop, played, pause, unreachable)
    return played


async def _send_until_answered(
    data: bytes,
    deliver: Deliver,
    stop: asyncio.Event,
    played: Played,
    pause: timedelta,
    unreachable: Callable[[], None],
) -> None:
    sent, missed = 0, 0
    while not stop.is_set():
        taken = None
        try:
            taken = await deliver(data)
            sent += 1
        except (NoAnswer, Unconfirmed):
            sent += 1
        except ConnectionError:  # nothing was sent
            missed += 1
            if missed == 1:
                unreachable()
        if taken is not None:
            played.taken += taken
            played.refused += not taken
            break
        await _until(asyncio.get_running_loop().time() + pause.total_seconds(), stop)
    played.again += max(sent - 1, 0)


async def _until(at: float, stop: asyncio.Event) -> None:
    """Waits for the loop's time `at`, or for `stop`."""
    try:
        async with asyncio.timeout_at(at):
            await stop.wait()
    except TimeoutError:
        return


def through_gateway(client: MllpClient) -> Deliver:
    """Over MLLP: the gateway's answer decides."""

    async def deliver(data: bytes) -> bool:
        return (await client.send(data)).taken

    return deliver


def onto_topic(producer: AIOKafkaProducer, registers: Registers, ids: Ids) -> Deliver:
    """Onto `adt.raw` with a started producer: key and headers as the gateway writes them. Raises Unconfirmed."""
    publish = KafkaPublisher(producer)

    def key_of(document: Document, feed: FeedProfile) -> str:
        return record_key(document, feed, ids)

    async def deliver(data: bytes) -> bool:
        await publish(admit(data, LOCAL, registers.feed, key_of, ids.masked, datetime.now(UTC)))
        return True

    return deliver
