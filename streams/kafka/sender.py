"""Letters to the broker: all of a round at once, each confirmed or known to be refused.

librdkafka sends them (decision 0043): idempotent, `acks=all`, murmur2 like every client here, so a key finds the same
partition (00 §4.3). It works in threads of its own; one more polls for its answers and wakes the loop once a round.

Two outcomes are kept apart (design §8). *Refused*: the broker is there and does not take this record (topic missing,
not permitted, too large); the stage learns it and goes on. *Unavailable*: no broker answers in time; the worker leaves,
nothing is acknowledged. An absent topic is found by asking for the cluster's topics before anything is sent: librdkafka
would create it where a broker allows that.
"""

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from threading import Thread
from typing import Any, Final, Literal, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Producer

from .records import ProducerRecord, size_of
from .topics import LARGE, size_limit

Reason = Literal["topic-missing", "not-permitted", "too-large"]

#: librdkafka's code of an error -> what it means; its own codes are those of topics it no longer finds.
_REFUSALS: Final[Mapping[int, Reason]] = {
    KafkaError.UNKNOWN_TOPIC_OR_PART: "topic-missing",
    KafkaError.TOPIC_EXCEPTION: "topic-missing",
    KafkaError._UNKNOWN_TOPIC: "topic-missing",
    KafkaError._UNKNOWN_PARTITION: "topic-missing",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "not-permitted",
    KafkaError.POLICY_VIOLATION: "not-permitted",
    KafkaError.MSG_SIZE_TOO_LARGE: "too-large",
}

#: Seconds that a letter may take: the longest stall of a three-node cluster that loses one was 13 s.
_LIMIT: Final = 45.0

#: Seconds for the question "which topics are there", for letters on their way at the end, and between two looks for
#: answers, which come by themselves, or for room.
_ASKING: Final = 5.0
_CLOSING: Final = 5.0
_LOOK: Final = 0.1

_SETTINGS: Final[Mapping[str, str | int | bool]] = {
    "client.id": "stafet",
    "acks": "all",
    "enable.idempotence": True,
    "partitioner": "murmur2_random",
    "compression.type": "zstd",
    "compression.level": 1,
    "linger.ms": 1,  # a round is complete when it is handed over; this much for the other stages
    "message.max.bytes": LARGE,
    "batch.size": 1 << 17,  # letters that share a batch, and its fate where a topic takes less; one alone may be larger
    "queue.buffering.max.kbytes": 1 << 17,  # what waits in memory; more waits for room
    "reconnect.backoff.max.ms": 1_000,
    "socket.nagle.disable": True,
    "topic.metadata.propagation.max.ms": 0,  # the broker's word that a topic is not there is believed at once
    "log_level": 0,  # the consumer beside it reports the same broker
}


class Refusal(NamedTuple):
    """A letter that the broker does not take, and why."""

    letter: ProducerRecord
    reason: Reason


class Unavailable(Exception):
    """Kafka takes nothing: the letters' fate is unknown, so nothing may be acknowledged."""


class Sender:
    """The letters of one process. `security`: librdkafka's settings; `limit` in seconds, for each letter."""

    def __init__(self, bootstrap: str, security: Mapping[str, str] | None = None, limit: float = _LIMIT) -> None:
        # A broker that vanishes says nothing: there is time to ask by another connection, twice.
        limits = {"message.timeout.ms": int(limit * 1000), "socket.timeout.ms": int(limit * 1000 / 3)}
        self._settings = {**_SETTINGS, "bootstrap.servers": bootstrap, **limits, **(security or {})}
        self._topics: set[str] = set()  # those that were there when last asked
        self._producer: Any = None
        self._thread: Thread | None = None

    async def start(self) -> None:
        """Connected, all topics known. Raises `Unavailable`."""
        self._producer = Producer(self._settings)
        self._thread = Thread(target=self._poll, args=(self._producer,), name="sender", daemon=True)
        self._thread.start()
        await self._ask()

    async def stop(self) -> None:
        """Letters on their way are given a moment; nothing is sent any more."""
        producer, self._producer = self._producer, None
        if producer is not None and self._thread is not None:
            await asyncio.to_thread(producer.flush, _CLOSING)
            await asyncio.to_thread(self._thread.join)

    async def send(self, letters: Sequence[ProducerRecord]) -> list[Refusal]:
        """Sends every letter in order and returns when each is confirmed or refused. Raises `Unavailable`."""
        if not self._topics.issuperset(letter.topic for letter in letters):
            await self._ask()
        refusals = []
        for at, error in sorted((await self._answers(letters)).items()):
            letter, reason = letters[at], _REFUSALS.get(error)
            if reason is None:  # a topic deleted under our feet may look like a broker that never answers
                name = KafkaError(error).name()
                await self._ask(name)
                if letter.topic in self._topics:
                    raise Unavailable(f"Kafka answers but takes no record ({name})")
                reason = "topic-missing"
            if reason == "topic-missing":
                self._topics.discard(letter.topic)
            refusals.append(Refusal(letter, reason))
        return refusals

    async def _answers(self, letters: Sequence[ProducerRecord]) -> dict[int, int]:
        """By its number, the code of the error of each letter that is not taken."""
        loop = asyncio.get_running_loop()
        done, errors = loop.create_future(), dict[int, int]()
        number, last = itertools.count(1), len(letters)

        def finish() -> None:
            if not done.done():  # whoever waited may have been cancelled
                done.set_result(None)

        def answered(at: int, error: KafkaError | None, _: object = None) -> None:  # by the other thread, mostly
            if error is not None:
                errors[at] = error.code()
            if next(number) == last:
                loop.call_soon_threadsafe(finish)

        for at, letter in enumerate(letters):
            if letter.topic not in self._topics:
                errors[at] = KafkaError._UNKNOWN_TOPIC
            elif size_of(letter) > size_limit(letter.topic):
                errors[at] = KafkaError.MSG_SIZE_TOO_LARGE
            else:
                try:
                    await self._produce(letter, partial(answered, at))
                    continue
                except KafkaException as refusal:
                    errors[at] = refusal.args[0].code()
            answered(at, None)
        if letters:
            await done
        return errors

    async def _produce(self, letter: ProducerRecord, on_delivery: Callable[[KafkaError | None, object], None]) -> None:
        topic, key, value, headers = letter[:4]
        while True:
            try:
                self._producer.produce(topic, value, key, headers=list(headers), on_delivery=on_delivery)
                return
            except BufferError:  # it goes on when letters before it are answered
                await asyncio.sleep(_LOOK)

    async def _ask(self, why: str = "") -> None:
        """Learns which topics the cluster has, and shows to us. `why`: the error that makes us ask."""
        try:
            found = await asyncio.to_thread(self._producer.list_topics, timeout=_ASKING)
        except KafkaException as silence:
            raise Unavailable(f"no answer from Kafka ({why or silence.args[0].name()})") from silence
        self._topics = {name for name, topic in found.topics.items() if topic.error is None}

    def _poll(self, producer: Any) -> None:
        while self._producer is producer:
            producer.poll(_LOOK)
