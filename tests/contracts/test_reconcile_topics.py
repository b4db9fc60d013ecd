"""Reading the topics for the balance: everything on a broker, and nothing that came later."""

import asyncio
import json
from random import Random

import pytest
from aiokafka import AIOKafkaProducer

from agents.worker.tables import position_key
from streams.cli.app import build
from streams.cli.frame import run
from streams.kafka.clients import new_producer
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.local import LocalBroker
from streams.kafka.topics import RELAY, changelog, plan
from streams.observer import reading
from streams.observer.reading import read_book
from streams.observer.reconcile import balance
from tests.brokers import fresh, prepared, put
from tests.rules.test_reconcile import LOG


async def test_log_on_broker_balances_like_same_log_in_memory() -> None:
    with EmbeddedBroker() as broker:
        broker.create(plan(["0461", "0751"], partitions=1, inbox_partitions=1))
        async with new_producer(broker.bootstrap) as producer:
            for seen in LOG:
                headers = [(name, text.encode()) for name, text in seen.headers.items()]
                await producer.send(seen.topic, seen.value, headers=headers)
            await producer.flush()
        book = await read_book(broker.bootstrap)
    assert balance(book).as_dict() == balance(LOG).as_dict()


async def test_one_row_too_few_on_broker_is_reported() -> None:
    with EmbeddedBroker() as broker:
        broker.create(plan(["0461", "0751"], partitions=1, inbox_partitions=1))
        async with new_producer(broker.bootstrap) as producer:
            for seen in LOG:
                if seen.topic != "ledger" or json.loads(seen.value)["what"] != "ACKED_FATAL":
                    headers = [(name, text.encode()) for name, text in seen.headers.items()]
                    await producer.send(seen.topic, seen.value, headers=headers)
            await producer.flush()
        book = await read_book(broker.bootstrap)
    assert "m-fatal" in str(balance(book).as_dict())


def test_deleted_records_are_remarked_beside_balance(capsys: pytest.CaptureFixture[str]) -> None:
    """The embedded broker keeps 5 MiB of a partition; a difference may be no more than that."""
    with EmbeddedBroker() as broker:
        broker.create(plan(["0461"], partitions=1, inbox_partitions=1))
        large = [(b"k", Random(number).randbytes(1 << 20)) for number in range(8)]
        asyncio.run(put(broker.bootstrap, "dead.letters", large, partition=0))
        status = run(build(), ["reconcile", "--bootstrap", broker.bootstrap, "--json"])
    out, err = capsys.readouterr()
    assert (status, json.loads(out)["difference"]) == (0, 0)
    assert err == "no longer kept, and so not looked at: records 4 of dead.letters\n"


async def test_empty_broker_balances() -> None:
    with EmbeddedBroker() as broker:
        assert balance(await read_book(broker.bootstrap)).difference == 0


async def test_position_that_went_back_in_changelog_is_named() -> None:
    with EmbeddedBroker() as broker:
        broker.create(plan(["0461"], partitions=2, inbox_partitions=1))
        rows = [(b"1a452512", b"row"), (position_key("lanes", 1), b"113"), (b"1a452512", None)]
        await put(broker.bootstrap, changelog(RELAY, "lanes"), rows, partition=1)
        assert balance(await read_book(broker.bootstrap)).difference == 0
        await put(broker.bootstrap, changelog(RELAY, "lanes"), [(position_key("lanes", 1), b"13")], partition=1)
        found = {check.name: check.ids for check in balance(await read_book(broker.bootstrap)).checks}
    assert found["went-back"] == ("lanes/1",)


@pytest.mark.real
async def test_position_that_broker_took_back_is_not_seen(real: LocalBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    topic = fresh("changelog")
    monkeypatch.setattr(reading, "CHANGELOGS", (topic,))
    prepared(real, topic, partitions=1)
    for position, commit in ((7, True), (113, False), (100, True)):
        async with AIOKafkaProducer(bootstrap_servers=real.bootstrap, transactional_id=fresh("worker")) as producer:
            await producer.begin_transaction()
            await producer.send_and_wait(topic, b"%d" % position, key=position_key("lanes", 0))
            await (producer.commit_transaction() if commit else producer.abort_transaction())
    book = await read_book(real.bootstrap)
    assert (dict(book.positions), book.went_back) == ({("lanes", 0): 100}, set())
