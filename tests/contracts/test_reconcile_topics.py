"""Reading the topics for the balance: everything on a broker, and nothing that came later."""

import json

from streams.kafka.clients import new_producer
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.topics import plan
from streams.observer.reading import read_book
from streams.observer.reconcile import balance
from tests.rules.test_reconcile import LOG


async def test_a_log_on_a_broker_balances_like_the_same_log_in_memory() -> None:
    with EmbeddedBroker() as broker:
        broker.create(plan(["0461", "0751"], partitions=1, inbox_partitions=1))
        async with new_producer(broker.bootstrap) as producer:
            for seen in LOG:
                headers = [(name, text.encode()) for name, text in seen.headers.items()]
                await producer.send(seen.topic, seen.value, headers=headers)
            await producer.flush()
        book = await read_book(broker.bootstrap)
    assert balance(book).as_dict() == balance(LOG).as_dict()


async def test_one_row_too_few_on_a_broker_is_reported() -> None:
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


async def test_an_empty_broker_balances() -> None:
    with EmbeddedBroker() as broker:
        assert balance(await read_book(broker.bootstrap)).difference == 0
