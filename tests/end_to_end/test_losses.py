"""Records that retention deleted while the relay was down: it goes no further until an operator accepts the loss."""

import signal
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from agents.tables import position_key
from streams.kafka.local import LocalBroker
from streams.kafka.topics import ADT_RAW, LEDGER, RELAY, changelog
from tests.brokers import at_least, put, records
from tests.end_to_end.outside import Outside

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]


async def test_a_hole_that_nothing_can_fill_is_passed_over_when_it_is_accepted(
    own_real: LocalBroker, tmp_path: Path
) -> None:
    site = Outside.at(own_real.bootstrap, tmp_path, STAFET_PARTITIONS="1")
    assert (await site.stafet("topics", "apply", "--yes")).code == 0
    await put(own_real.bootstrap, ADT_RAW, [(b"k", b"record")] * 5)
    mark = position_key(ADT_RAW, 0)
    await put(own_real.bootstrap, changelog(RELAY, "persons"), [(mark, b"2")])  # two were taken, then came a long rest
    admin = AdminClient({"bootstrap.servers": own_real.bootstrap, "log_level": 0})
    [gone] = admin.delete_records([TopicPartition(ADT_RAW, 0, 4)]).values()
    gone.result(10)

    async with site.running("run", "relay") as process:
        assert await process.child.wait() == 70
    assert any("adt.raw/0: expected offset 2, got 4" in line and "--accept-loss" in line for line in process.err)

    async with site.running("run", "relay", "--accept-loss") as process:
        [row] = await at_least(own_real.bootstrap, LEDGER, 1)
        assert await process.end(signal.SIGTERM) == 0
    assert b'"adt.raw/0/4"' in (row.value or b"")
    assert [line for line in process.err if "records.lost" in line and '"count": 2' in line]
    assert (await records(own_real.bootstrap, changelog(RELAY, "persons")))[-1].value == b"5"


async def test_a_record_that_is_still_there_is_never_passed_over(own_real: LocalBroker, tmp_path: Path) -> None:
    site = Outside.at(own_real.bootstrap, tmp_path, STAFET_PARTITIONS="1")
    assert (await site.stafet("topics", "apply", "--yes")).code == 0
    await put(own_real.bootstrap, ADT_RAW, [(b"k", b"record")] * 3)
    await put(own_real.bootstrap, changelog(RELAY, "persons"), [(position_key(ADT_RAW, 0), b"2")])
    async with site.running("run", "relay", "--accept-loss") as process:
        await at_least(own_real.bootstrap, LEDGER, 3)
        assert await process.end(signal.SIGTERM) == 0
    assert not [line for line in process.err if "records.lost" in line]
