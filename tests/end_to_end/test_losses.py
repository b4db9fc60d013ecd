"""Records that retention deleted while the relay was down: it goes on and names them; a record that is there is never lost."""

import json
import signal
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from agents.worker.tables import position_key
from streams.kafka.local import LocalBroker
from streams.kafka.records import header
from streams.kafka.topics import ADT_RAW, DEAD_LETTERS, LEDGER, RELAY, changelog
from tests.brokers import at_least, put, records
from tests.end_to_end.outside import Outside

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]


async def test_unfillable_hole_is_passed_over_and_named(own_real: LocalBroker, tmp_path: Path) -> None:
    site = Outside.at(own_real.bootstrap, tmp_path, STAFET_PARTITIONS="1")
    assert (await site.stafet("topics", "apply", "--yes")).code == 0
    await put(own_real.bootstrap, ADT_RAW, [(b"k", b"record")] * 5)
    mark = position_key(ADT_RAW, 0)
    await put(own_real.bootstrap, changelog(RELAY, "persons"), [(mark, b"2")])  # two were taken, then came a long rest
    admin = AdminClient({"bootstrap.servers": own_real.bootstrap, "log_level": 0})
    [gone] = admin.delete_records([TopicPartition(ADT_RAW, 0, 4)]).values()
    gone.result(10)

    async with site.running("run", "relay") as process:
        rows = [json.loads(row.value or b"") for row in await at_least(own_real.bootstrap, LEDGER, 2)]
        assert await process.end(signal.SIGTERM) == 0
    [lost] = [row for row in rows if row["kind"] == "lost"]
    assert (lost["subject"], lost["parts"]) == ("adt.raw/0/2", 2)
    assert [row["origin"] for row in rows if row["kind"] == "event"] == ["adt.raw/0/4"]
    assert [line for line in process.err if "records.lost" in line and '"count":2' in line]
    dead = await records(own_real.bootstrap, DEAD_LETTERS)
    assert b"retention" in [header(letter.headers, "dlq.error-code") for letter in dead]
    assert (await records(own_real.bootstrap, changelog(RELAY, "persons")))[-1].value == b"5"
    balance = await site.stafet("reconcile", "--json")
    assert json.loads(balance.out)["lines"]["lost to retention"]["total"] == 2


async def test_record_that_is_still_there_is_never_passed_over(own_real: LocalBroker, tmp_path: Path) -> None:
    site = Outside.at(own_real.bootstrap, tmp_path, STAFET_PARTITIONS="1")
    assert (await site.stafet("topics", "apply", "--yes")).code == 0
    await put(own_real.bootstrap, ADT_RAW, [(b"k", b"record")] * 3)
    await put(own_real.bootstrap, changelog(RELAY, "persons"), [(position_key(ADT_RAW, 0), b"2")])
    async with site.running("run", "relay", "--accept-loss") as process:
        [row] = await at_least(own_real.bootstrap, LEDGER, 1)
        assert await process.end(signal.SIGTERM) == 0
    assert b'"adt.raw/0/2"' in (row.value or b"")
    assert not [line for line in process.err if "records.lost" in line]
