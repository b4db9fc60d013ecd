"""The barrier over a broker: closed while receipts that lay there at start are not taken, and asked with measure."""

from collections.abc import Iterator

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from agents.barrier import Barrier
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.topics import RECEIPTS_RAW, letterbox
from tests.brokers import fresh, put, until


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    """One of its own: the topic of receipts has but one name."""
    with EmbeddedBroker() as broker:
        broker.create_topic(RECEIPTS_RAW, 2)
        broker.create_topic(letterbox("0101"), 2)
        yield broker


async def taken(broker: EmbeddedBroker, group: str, number: int, topic: str = RECEIPTS_RAW) -> None:
    """The group has committed that far in partition 1."""
    reader = AIOKafkaConsumer(bootstrap_servers=broker.bootstrap, group_id=group, enable_auto_commit=False)
    await reader.start()
    try:
        place = TopicPartition(topic, 1)
        reader.assign([place])
        await reader.commit({place: number})
    finally:
        await reader.stop()


async def test_without_receipts_it_is_open(broker: EmbeddedBroker) -> None:
    barrier = Barrier(broker.bootstrap, fresh("group"), {})
    assert not await barrier.is_open(), "nobody has looked yet"
    await barrier.note_ends()
    assert await barrier.is_open()


async def test_it_opens_when_the_last_receipt_of_the_start_is_taken_and_does_not_ask_at_every_look(
    broker: EmbeddedBroker,
) -> None:
    group = fresh("group")
    await put(broker.bootstrap, RECEIPTS_RAW, [(b"k", b"receipt")] * 3, partition=1)
    barrier = Barrier(broker.bootstrap, group, {})
    await barrier.note_ends()
    await put(broker.bootstrap, RECEIPTS_RAW, [(b"k", b"later")], partition=1)
    await taken(broker, group, 2)
    assert not await barrier.is_open()
    await taken(broker, group, 3)
    assert not await barrier.is_open(), "asked a moment ago"
    assert await until(barrier.is_open, 10)


async def test_receipts_in_a_letterbox_hold_it_closed(broker: EmbeddedBroker) -> None:
    group, box = fresh("group"), letterbox("0101")
    await put(broker.bootstrap, box, [(None, b"receipt")] * 2, partition=1)
    barrier = Barrier(broker.bootstrap, group, {}, [box])
    await barrier.note_ends()
    await taken(broker, group, 1, box)
    assert not await barrier.is_open()
    await taken(broker, group, 2, box)
    assert await until(barrier.is_open, 10)
