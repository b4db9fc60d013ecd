"""The bridge over a stand-in of the line: what is taken is committed, what is not comes again, receipts come back."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import CommitFailedError, MessageSizeTooLargeError

from agents.bridge import Bridge, Unreachable, carry_round, run_bridge, writer
from streams.kafka.clients import committed_offsets, read_all
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.records import ProducerRecord, Record, header
from streams.kafka.topics import BRIDGE, DEAD_LETTERS, plan, receiver, receiver_receipts
from streams.operations.metrics import Metrics
from streams.operations.settings import BeskedRoute
from tests.brokers import producing, until
from tests.rules.distributions import CODE, NOON

SEALED = Path(__file__).parents[1].joinpath("meanings/sealed/beskedkuvert-STIN-IMP.xml").read_bytes()
MAILBOX = "5e4d3c2b-1a09-4f8e-8d7c-6b5a49382716"
ROUTE = BeskedRoute(CODE, "care", MAILBOX)
TOPIC = receiver(CODE, "care")


def besked(number: int) -> bytes:
    """A besked with an id of its own; the first UUID in it is BeskedId."""
    return re.sub(rb"[0-9a-f]{8}-[0-9a-f-]{27}", besked_id(number).encode(), SEALED, count=1)


def besked_id(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


def copy(number: int, value: bytes | None = None, partition: int = 0) -> Record:
    return Record(TOPIC, partition, number, b"0a1b2c3d", besked(number) if value is None else value)


def answer(code: str) -> bytes:
    return f'<StandardRetur xmlns="urn:oio:sagdok:3.0.0"><StatusKode>{code}</StatusKode></StandardRetur>'.encode()


@dataclass
class StandIn:
    """`BeskedLine` without a network. Each hand-over gets the next of `codes`, then 20; `-` cannot be reached."""

    codes: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    renewed: int = 0
    mailboxes: dict[str, list[bytes]] = field(default_factory=dict)

    async def send(self, besked_id: str, besked: bytes) -> bytes:
        assert besked_id.encode() in besked
        self.sent.append(besked_id)
        code = self.codes.pop(0) if self.codes else "20"
        if code == "-":
            raise Unreachable("ConnectionResetError")
        return answer(code)

    async def renew(self) -> None:
        self.renewed += 1

    async def close(self) -> None:
        pass

    async def listen(self, mailbox: str, take: Callable[[bytes], Awaitable[None]]) -> None:
        lying = self.mailboxes.get(mailbox, [])
        while lying:
            await take(lying[0])
            lying.pop(0)
        raise Unreachable("the mailbox was closed")


@dataclass
class Written:
    """What the bridge wrote to Kafka."""

    letters: list[ProducerRecord] = field(default_factory=list)

    async def __call__(self, letter: ProducerRecord) -> None:
        if letter.topic != DEAD_LETTERS and len(letter.value or b"") > 1 << 20:
            raise MessageSizeTooLargeError
        self.letters.append(letter)


@dataclass
class Commits:
    """The consumer as a round uses it. `lost`: Kafka has given the partitions to another bridge."""

    lost: bool = False
    committed: dict[TopicPartition, int] = field(default_factory=dict)
    sought: dict[TopicPartition, int] = field(default_factory=dict)

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        if self.lost:
            raise CommitFailedError
        self.committed |= offsets

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self.sought[tp] = offset


def bridge(line: StandIn, written: Written | None = None) -> Bridge:
    return Bridge(line, written or Written(), lambda: NOON, Metrics())


def counted(made: Bridge) -> dict[str, int]:
    found = re.findall(rb'stafet_beskeder_total\{.*?result="(\w+)".*?\} ([0-9.]+)', made.metrics.text())
    return {name.decode(): int(float(value)) for name, value in found}


@pytest.mark.parametrize(
    ("codes", "may_be_committed", "tries", "renewed", "result"),
    [
        (["20"], True, 1, 0, "taken"),
        (["41", "20"], True, 2, 1, "taken"),
        (["41", "41"], False, 2, 1, "later"),
        (["-"], False, 1, 0, "later"),
        (["41", "-"], False, 2, 1, "later"),
        (["50"], False, 1, 0, "later"),
        (["40"], True, 1, 0, "refused"),
    ],
)
async def test_copy_ends_as_its_answers_say(
    codes: list[str], may_be_committed: bool, tries: int, renewed: int, result: str
) -> None:
    line, written = StandIn(list(codes)), Written()
    made = bridge(line, written)
    assert await made.carry(copy(1)) is may_be_committed
    assert (line.sent, line.renewed) == ([besked_id(1)] * tries, renewed)
    assert counted(made) == {result: 1}
    assert [letter.topic for letter in written.letters] == [DEAD_LETTERS] * (result == "refused")


@pytest.mark.parametrize("value", [b"", b"no besked", b"<VANSEnvelope/>", SEALED[:-40]])
async def test_copy_in_another_form_is_dead_letter_and_never_sent(value: bytes) -> None:
    line, written = StandIn(), Written()
    assert await bridge(line, written).carry(copy(1, value))
    assert line.sent == []
    (letter,) = written.letters
    assert (letter.value, header(letter.headers, "dlq.stage")) == (value, b"beskedfordeler")
    assert header(letter.headers, "dlq.remedy")


async def test_refused_copy_is_kept_whole_with_its_code() -> None:
    written = Written()
    await bridge(StandIn(["40"]), written).carry(copy(7))
    (letter,) = written.letters
    assert (letter.value, letter.key) == (besked(7), b"0a1b2c3d")
    assert header(letter.headers, "dlq.error-code") == b"status-40"
    assert header(letter.headers, "dlq.original-offset") == b"7"


# ---- rounds ------------------------------------------------------------------------------------------------------------


async def carried(codes: Sequence[str], batches: dict[int, list[int]], consumer: Commits) -> tuple[bool, list[str]]:
    line = StandIn(list(codes))
    records = {TopicPartition(TOPIC, p): [copy(n, partition=p) for n in ns] for p, ns in batches.items()}
    any_consumer: Any = consumer
    held = await carry_round(bridge(line), any_consumer, records, asyncio.Event())
    return held, line.sent


async def test_partition_stops_at_first_copy_not_taken() -> None:
    consumer = Commits()
    held, sent = await carried(["20", "-"], {0: [4, 5, 6]}, consumer)
    tp = TopicPartition(TOPIC, 0)
    assert (held, sent) == (True, [besked_id(4), besked_id(5)])
    assert (consumer.committed, consumer.sought) == ({tp: 5}, {tp: 5})


async def test_nothing_is_committed_before_first_is_taken() -> None:
    consumer = Commits()
    held, _ = await carried(["-"], {0: [4, 5]}, consumer)
    assert (held, consumer.committed, consumer.sought) == (True, {}, {TopicPartition(TOPIC, 0): 4})


async def test_other_partitions_go_on() -> None:
    consumer = Commits()
    held, _ = await carried(["-", "20", "20"], {0: [4], 1: [8, 9]}, consumer)
    assert (held, consumer.committed) == (True, {TopicPartition(TOPIC, 1): 10})


async def test_partition_of_another_bridge_ends_nothing() -> None:
    held, sent = await carried(["20", "20"], {0: [4, 5]}, Commits(lost=True))
    assert (held, len(sent)) == (False, 2)


async def test_stop_leaves_what_is_not_handed_over() -> None:
    line, consumer, stop = StandIn(), Commits(), asyncio.Event()
    stop.set()
    any_consumer: Any = consumer
    tp = TopicPartition(TOPIC, 0)
    assert not await carry_round(bridge(line), any_consumer, {tp: [copy(4)]}, stop)
    assert (line.sent, consumer.committed, consumer.sought) == ([], {}, {tp: 4})


# ---- receipts ----------------------------------------------------------------------------------------------------------


async def test_document_of_mailbox_lies_on_receipts_of_its_system() -> None:
    written = Written()
    await bridge(StandIn(), written).bring(ROUTE, besked(3))
    (letter,) = written.letters
    assert (letter.topic, letter.key) == (receiver_receipts(CODE, "care"), besked_id(3).encode())
    assert (letter.value or b"").lstrip()[:1] == b"{"


@pytest.mark.parametrize("lying", [b"", b"garbage", b"<Haendelsesbesked/>"])
async def test_what_is_no_besked_goes_on_as_it_is(lying: bytes) -> None:
    written = Written()
    await bridge(StandIn(), written).bring(ROUTE, lying)
    assert [(letter.topic, letter.value) for letter in written.letters] == [(receiver_receipts(CODE, "care"), lying)]


async def test_receipt_too_large_for_kafka_is_dead_letter() -> None:
    written = Written()
    await bridge(StandIn(), written).bring(ROUTE, b"x" * (2 << 20))
    (letter,) = written.letters
    assert (letter.topic, header(letter.headers, "dlq.error-code")) == (DEAD_LETTERS, b"too-large")


# ---- with Kafka --------------------------------------------------------------------------------------------------------


async def test_copies_go_out_in_order_and_receipts_come_back(embedded: EmbeddedBroker) -> None:
    systems = {CODE: ["bridged"]}
    route = BeskedRoute(CODE, "bridged", MAILBOX)
    embedded.create([one for one in plan([CODE], systems=systems) if ".bridged" in one.name])
    line = StandIn(["20", "-", "41", "20"], mailboxes={MAILBOX: [besked(90)]})
    pauses: list[float] = []

    async def wait(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0.01)

    async with producing(embedded.bootstrap) as producer:
        for number in (1, 2, 3):
            await producer.send_and_wait(receiver(CODE, "bridged"), besked(number), key=b"0a1b2c3d")
        stop = asyncio.Event()
        made = Bridge(line, writer(producer), lambda: NOON, Metrics())
        running = asyncio.create_task(run_bridge(made, [route], embedded.bootstrap, stop, lambda: None, wait))

        async def all_taken() -> bool:
            return counted(made) == {"taken": 3, "later": 1, "fetched": 1}

        await until(all_taken, 30)
        stop.set()
        await running
    assert line.sent == [besked_id(number) for number in (1, 2, 2, 2, 3)]
    assert (line.renewed, 5.0 in pauses) == (1, True)
    receipts = [one async for one in read_all(embedded.bootstrap, [receiver_receipts(CODE, "bridged")])]
    assert [one.key for one in receipts] == [besked_id(90).encode()]
    admin = AIOKafkaAdminClient(bootstrap_servers=embedded.bootstrap)
    await admin.start()
    places = [TopicPartition(receiver(CODE, "bridged"), number) for number in range(3)]
    committed = await committed_offsets(admin, BRIDGE, places)
    await admin.close()
    assert sorted(committed.values()) == [3], "what was taken is not handed over again"
