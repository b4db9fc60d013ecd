"""Offsets at which there is no record: markers of transactions, aborted records, retention; on a real broker."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from agents.start.watch import positions_of
from agents.station import FastClock
from agents.worker.gaps import Gaps, RetentionLoss, Skipped
from agents.worker.timer import caught_up
from streams.kafka.local import LocalBroker
from streams.kafka.topics import ADT_RAW, LANES, LEDGER
from tests.brokers import at_least, fresh, prepared, put, until
from tests.end_to_end.scene import Scene, prepare, relay_here
from tests.foreign import foreign_producer, transaction

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


async def laid_out(broker: LocalBroker) -> str:
    """A topic: 0 a record, 1 a committed one, 2 its marker, 3 an aborted one, 4 its marker, 5 a record."""
    topic = fresh("gaps")
    prepared(broker, topic, partitions=1)
    await put(broker.bootstrap, topic, [(b"k", b"0")])
    async with foreign_producer(broker.bootstrap, transactional=True) as producer:
        await transaction(producer, topic, [(b"k", b"1")], commit=True)
        await transaction(producer, topic, [(b"k", b"3")], commit=False)
    await put(broker.bootstrap, topic, [(b"k", b"5")])
    return topic


async def test_markers_are_no_loss_but_records_are(real: LocalBroker) -> None:
    topic = await laid_out(real)
    gaps = Gaps(real.bootstrap, standing=0)
    assert await gaps.explained(topic, 0, 2, 3) is None, "the marker of a commit"
    assert await gaps.explained(topic, 0, 4, 5) is None, "the marker of an abort"
    assert await gaps.explained(topic, 0, 2, 5) is None, "an aborted record, for a reader of committed ones"
    for expected in (0, 1):
        with pytest.raises(Skipped):
            await gaps.explained(topic, 0, expected, 5)
    assert await gaps.is_empty(topic, 0, 6, 6)
    assert not await gaps.is_empty(topic, 0, 5, 6)


async def test_partition_ending_in_marker_is_empty(real: LocalBroker) -> None:
    topic = fresh("gaps")
    prepared(real, topic, partitions=1)
    async with foreign_producer(real.bootstrap, transactional=True) as producer:
        await transaction(producer, topic, [(b"k", b"0")], commit=True)
    assert await Gaps(real.bootstrap, standing=0).is_empty(topic, 0, 1, 2)
    gaps = Gaps(real.bootstrap)
    assert not await gaps.is_empty(topic, 0, 1, 2), "a moment ago something may have come"
    assert await until(lambda: gaps.is_empty(topic, 0, 1, 2), 10)


async def test_what_retention_has_deleted_is_counted(real: LocalBroker) -> None:
    topic = await laid_out(real)
    admin = AdminClient({"bootstrap.servers": real.bootstrap, "log_level": 0})
    [gone] = admin.delete_records([TopicPartition(topic, 0, 2)]).values()
    gone.result(10)
    assert await Gaps(real.bootstrap).explained(topic, 0, 1, 3) == RetentionLoss(topic, 0, 1, 2)
    with pytest.raises(Skipped):
        await Gaps(real.bootstrap).explained(topic, 0, 1, 6)


async def test_relay_takes_what_transactional_sender_writes(own_real: LocalBroker, tmp_path: Path) -> None:
    scene = Scene(own_real, tmp_path, ("0101",), clock=FastClock(NOON, 100), partitions=1)
    prepare(scene)
    async with (
        relay_here(scene) as relay,
        foreign_producer(own_real.bootstrap, transactional=True) as producer,
    ):
        for topic in (ADT_RAW, LANES):
            for commit in (True, False, True):
                await transaction(producer, topic, [(b"k", b"junk"), (None, b"junk")], commit=commit)
        await put(own_real.bootstrap, ADT_RAW, [(b"k", b"the last one")])
        rows = await until(lambda: at_least(own_real.bootstrap, LEDGER, 5))
        assert len(rows) >= 5
        await until(lambda: caught_up(relay.app, relay.lanes, LANES, 0, relay.gaps))

        async def nothing_left() -> bool:
            return all(at >= end for at, end in (await positions_of(relay)).values())

        await until(nothing_left)
