"""The bridge to KOMBIT's Beskedfordeler: copies of some receiving systems over a line, receipts back (02 §7.3, 0073).

    municipality.<kommunekode>.<system> ── copies ──> Beskedfordeler ── mailbox ──> municipality.<kommunekode>.<system>.receipts

A copy is handed over as it lies in its topic, a `Haendelsesbesked` with its `BeskedId`; its offset is committed once
Beskedfordeler has taken it. What is not taken yet stops its partition: a discharge never comes before its admission. A
bridge that is killed hands over again what it had not committed, under the same `BeskedId`.

Each system has a mailbox of its own, so a receipt is bound to its sender by the queue it came on (00 §9.1). It is
acknowledged once Kafka has it, and read by the distributor as any other.

No state, no Faust. Which line it is (`amqp.py`, or a stand-in) is the caller's choice.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, MessageSizeTooLargeError

from streams.distributor.beskedfordeler import NO_ANSWER, Reaction, pause, reaction, refusal, status_of
from streams.envelopes.beskedkuvert import open_envelope
from streams.kafka.clients import AIOKafkaConsumer
from streams.kafka.records import ProducerRecord, Record, dead_letter, headers
from streams.kafka.topics import BRIDGE, LARGE, receiver, receiver_receipts
from streams.operations import logs
from streams.operations.metrics import Metrics
from streams.operations.settings import BeskedRoute
from streams.words.errors import Rejected

_STAGE = "beskedfordeler"
#: Copies in a round: with 10 s for each answer a round ends before Kafka takes the bridge for dead.
_ROUND = 20
_POLL_MS = 500


class Unreachable(Exception):
    """No answer of Beskedfordeler: whether it has the besked is not known. The text holds nothing of a besked."""


class BeskedLine(Protocol):
    """A line to Beskedfordeler. It connects when it is used, with the token of that moment."""

    async def send(self, besked_id: str, besked: bytes) -> bytes:
        """Hands a besked over; its answer. Raises `Unreachable`."""

    async def renew(self) -> None:
        """Reads the token again; the next besked goes with it."""

    async def close(self) -> None:
        """Ends the connection that sends."""

    async def listen(self, mailbox: str, take: Callable[[bytes], Awaitable[None]]) -> None:
        """Hands what lies in a mailbox to `take`, one by one, and acknowledges each that it returns from.

        Raises `Unreachable` when the line is lost, and what `take` raises.
        """


@dataclass(frozen=True)
class Bridge:
    """What is done with one copy and with one besked of a mailbox. `write` returns once Kafka has a record."""

    line: BeskedLine
    write: Callable[[ProducerRecord], Awaitable[None]]
    clock: Callable[[], datetime]
    metrics: Metrics
    version: str = ""

    async def carry(self, copy: Record) -> bool:
        """Hands one copy over. True once its offset may be committed."""
        log, value = logs.get("bridge"), copy.value or b""
        kommunekode = copy.topic.split(".")[1]

        def count(result: str) -> None:
            self.metrics.count("stafet_beskeder_total", result=result, municipality=kommunekode)

        async def bury(fault: Rejected) -> None:
            await self.write(dead_letter(copy, fault, stage=_STAGE, at=self.clock(), version=self.version))
            self.metrics.count("stafet_dead_letters_total", stage=_STAGE, reason=fault.rule)
            log.warning("besked.refused", origin=copy.origin, rule=fault.rule)
            count("refused")

        try:
            besked = open_envelope(value)
        except Rejected as fault:
            await bury(fault)
            return True
        renewed = False
        while True:
            why = ""
            try:
                code = status_of(await self.line.send(besked.envelope_id, value))
            except Unreachable as lost:
                code, why = NO_ANSWER, str(lost)
            facts = {"origin": copy.origin, "message_id": besked.message_id, "envelope_id": besked.envelope_id}
            match reaction(code, renewed=renewed):
                case Reaction.TAKEN:
                    log.info("besked.taken", **facts)
                    count("taken")
                    return True
                case Reaction.RENEW:
                    await self.line.renew()
                    renewed = True
                case Reaction.REFUSED:
                    await bury(refusal(code))
                    return True
                case Reaction.LATER:
                    log.warning("besked.not-taken", code=code, why=why or "no-verdict", **facts)
                    count("later")
                    return False

    async def bring(self, route: BeskedRoute, besked: bytes) -> None:
        """Puts the document of one besked on the topic of the system's receipts.

        What is no besked goes as it is, and so does what else lies there: the distributor refuses it with a reason.
        """
        topic, key = receiver_receipts(route.kommunekode, route.system), ""
        try:
            opened = open_envelope(besked)
            key, besked = opened.envelope_id, opened.payload
        except Rejected:
            pass
        named = headers(
            message_id=key or "-", event_type="receipt", schema="as-sent", content_type="application/octet-stream"
        )
        try:
            await self.write(ProducerRecord(topic, key.encode() or None, besked, named))
        except MessageSizeTooLargeError:  # kept, it would come first for ever; no receipt has a hundredth of that
            fault = Rejected("$", f"{len(besked)} bytes", f"send receipts of at most {LARGE} bytes", "too-large")
            record = Record(topic, -1, -1, key.encode(), besked, named)
            await self.write(dead_letter(record, fault, stage=_STAGE, at=self.clock(), version=self.version))
            self.metrics.count("stafet_dead_letters_total", stage=_STAGE, reason=fault.rule)
        logs.get("bridge").info("besked.fetched", topic=topic, envelope_id=key)
        self.metrics.count("stafet_beskeder_total", result="fetched", municipality=route.kommunekode)


def writer(producer: AIOKafkaProducer) -> Callable[[ProducerRecord], Awaitable[None]]:
    """`Bridge.write` over a started producer."""

    async def write(letter: ProducerRecord) -> None:
        await producer.send_and_wait(letter.topic, letter.value, key=letter.key, headers=list(letter.headers))

    return write


#: Waits that many seconds, less when the bridge is to stop.
Wait = Callable[[float], Awaitable[None]]


async def run_bridge(
    bridge: Bridge,
    routes: Sequence[BeskedRoute],
    bootstrap: str,
    stop: asyncio.Event,
    ready: Callable[[], None],
    wait: Wait | None = None,
    **security: Any,
) -> None:
    """Carries copies, and brings what lies in the mailboxes, until `stop`; what is under way is finished."""

    async def until_stopped(seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), seconds)

    rest = wait or until_stopped
    consumer = AIOKafkaConsumer(
        *(receiver(route.kommunekode, route.system) for route in routes),
        bootstrap_servers=bootstrap,
        group_id=BRIDGE,
        enable_auto_commit=False,
        auto_offset_reset="earliest",  # what was copied before the first bridge is owed too
        max_poll_records=_ROUND,
        **security,
    )
    await consumer.start()
    try:
        async with asyncio.TaskGroup() as group:
            listening = [group.create_task(_listen(bridge, route, rest)) for route in routes if route.mailbox]
            ready()
            failures = 0
            while not stop.is_set():
                batches = await consumer.getmany(timeout_ms=_POLL_MS)
                records = {
                    tp: [
                        Record(
                            tp.topic, tp.partition, one.offset, one.key, one.value, tuple(one.headers), one.timestamp
                        )
                        for one in batch
                    ]
                    for tp, batch in batches.items()
                }
                held = await carry_round(bridge, consumer, records, stop)
                failures = failures + 1 if held else 0
                if held:
                    await rest(pause(failures))
            for task in listening:
                task.cancel()
    finally:
        await bridge.line.close()
        await consumer.stop()


async def carry_round(
    bridge: Bridge,
    consumer: AIOKafkaConsumer,
    batches: Mapping[TopicPartition, Sequence[Record]],
    stop: asyncio.Event,
) -> bool:
    """Carries the copies of a round, partitions side by side, and commits what was taken; whether one was not.

    A partition is read again from the first copy that was not taken. One that Kafka has given to another bridge
    meanwhile is carried by that one, from what is committed.
    """

    async def through(tp: TopicPartition, batch: Sequence[Record]) -> bool:
        following, held = batch[0].offset, False
        for copy in batch:
            if stop.is_set():
                break
            if not await bridge.carry(copy):
                held = True
                break
            following = copy.offset + 1
        with contextlib.suppress(CommitFailedError, IllegalStateError):
            if following > batch[0].offset:
                await consumer.commit({tp: following})
            if following <= batch[-1].offset:
                consumer.seek(tp, following)
        return held

    return any(await asyncio.gather(*(through(tp, batch) for tp, batch in batches.items() if batch)))


async def _listen(bridge: Bridge, route: BeskedRoute, rest: Wait) -> None:
    """Brings what lies in one mailbox, for as long as the bridge runs."""
    failures = 0

    async def take(besked: bytes) -> None:
        nonlocal failures
        await bridge.bring(route, besked)
        failures = 0

    while True:
        try:
            await bridge.line.listen(route.mailbox, take)
        except Unreachable as lost:
            failures += 1
            logs.get("bridge").warning(
                "mailbox.not-reached", system=route.system, kommunekode=route.kommunekode, why=str(lost)
            )
        await rest(pause(max(failures, 1)))
