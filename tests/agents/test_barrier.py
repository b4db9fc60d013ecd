"""The barrier over a broker: closed after every rebalance until the receipts of that time are in their lanes."""

from collections.abc import Callable, Iterator

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from agents.worker.timer import Barrier
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.topics import LANES, RECEIPTS_RAW, letterbox
from tests.brokers import fresh, put, until


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    """One of its own: the topics have but one name."""
    with EmbeddedBroker() as broker:
        broker.create_topic(RECEIPTS_RAW, 2)
        broker.create_topic(LANES, 2)
        broker.create_topic(letterbox("0101"), 2)
        yield broker


async def commit(broker: EmbeddedBroker, group: str, offset: int, topic: str = RECEIPTS_RAW) -> None:
    """The group has read that far in partition 1."""
    reader = AIOKafkaConsumer(bootstrap_servers=broker.bootstrap, group_id=group, enable_auto_commit=False)
    await reader.start()
    try:
        place = TopicPartition(topic, 1)
        reader.assign([place])
        await reader.commit({place: offset})
    finally:
        await reader.stop()


def at(offset: int) -> Callable[[int], int]:
    """Every partition of `lanes` has been taken that far."""
    return lambda _partition: offset


async def test_it_is_open_where_no_receipt_lies(broker: EmbeddedBroker) -> None:
    assert await Barrier(broker.bootstrap, fresh("group"), {}).is_open(0, at(0))


async def test_it_opens_when_receipts_of_rebalance_are_read(broker: EmbeddedBroker) -> None:
    group = fresh("group")
    await put(broker.bootstrap, RECEIPTS_RAW, [(b"k", b"receipt")] * 3, partition=1)
    barrier = Barrier(broker.bootstrap, group, {})
    assert not await barrier.is_open(0, at(0))
    await put(broker.bootstrap, RECEIPTS_RAW, [(b"k", b"later")], partition=1)
    await commit(broker, group, 3)
    assert not await barrier.is_open(0, at(0)), "asked a moment ago"
    assert await until(lambda: barrier.is_open(0, at(0)), 10)


async def test_lane_waits_until_its_receipts_have_arrived_there(broker: EmbeddedBroker) -> None:
    await put(broker.bootstrap, LANES, [(b"k", b"receipt")] * 2, partition=1)
    barrier = Barrier(broker.bootstrap, fresh("group"), {})
    assert await barrier.is_open(0, at(0))
    assert not await barrier.is_open(1, at(1))
    assert await barrier.is_open(1, at(2))


async def test_it_closes_again_at_every_rebalance(broker: EmbeddedBroker) -> None:
    group = fresh("group")
    barrier = Barrier(broker.bootstrap, group, {})
    assert await barrier.is_open(0, at(0))
    await put(broker.bootstrap, RECEIPTS_RAW, [(b"k", b"receipt")], partition=1)
    barrier.close()
    assert not await barrier.is_open(0, at(0))
    await commit(broker, group, 1)
    assert await until(lambda: barrier.is_open(0, at(0)), 10)


async def test_receipts_in_letterbox_hold_it_closed(broker: EmbeddedBroker) -> None:
    group, box = fresh("group"), letterbox("0101")
    await put(broker.bootstrap, box, [(None, b"receipt")] * 2, partition=1)
    barrier = Barrier(broker.bootstrap, group, {}, [box])
    assert not await barrier.is_open(0, at(0))
    await commit(broker, group, 2, box)
    assert await until(lambda: barrier.is_open(0, at(0)), 10)
