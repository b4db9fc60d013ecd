"""The observer on a broker: it reads everything once, goes on where its rows end, and no record ends it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from sqlalchemy import select

from agents.start.observe import observe
from streams.delivery.rules import DeliveryState
from streams.kafka.clients import new_producer
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.topics import plan
from streams.observer.model import schema
from streams.observer.model.follow import Following
from streams.observer.model.store import ReadModel, connect, migrate
from streams.operations.metrics import Metrics
from streams.records.ledger import message_row, to_json
from tests.brokers import until
from tests.observer.test_read_model import rows
from tests.observer.world import END, IDS, World, filled, place_of, wait_of, world

#: A row that can be read, and whose deadline no calendar has.
AT_THE_END_OF_TIME = to_json(
    message_row(datetime(9999, 12, 31, 23, 59, tzinfo=UTC), "m-1", DeliveryState.SENT, 1, attempt=1, kommunekode="0101")
)


async def lay(producer: AIOKafkaProducer, of: World) -> None:
    """The records as they lay, in partitions of a narrower cluster."""
    for record in of.records:
        await producer.send(
            record.topic,
            record.value,
            key=record.key,
            partition=record.partition,
            headers=list(record.headers),
            timestamp_ms=record.timestamp_ms,
        )
    await producer.flush()


@contextlib.asynccontextmanager
async def observing(url: str, bootstrap: str, metrics: Metrics) -> AsyncIterator[Callable[[], str]]:
    """The role without its process; yields why it is not ready."""
    engine = connect(url)
    migrate(engine)
    model, stop, ready, why = (
        ReadModel(engine, wait_of=wait_of, place_of=place_of),
        asyncio.Event(),
        asyncio.Event(),
        [""],
    )
    role = asyncio.create_task(
        observe(
            *(model, bootstrap, IDS, {}, Following(metrics=metrics), stop),
            ready=ready.set,
            waiting=lambda reason: why.__setitem__(0, reason),
            now=lambda: END,
            reconcile_minutes=1,
        )
    )
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait((role, waiting), timeout=60, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    try:
        assert ready.is_set()
        yield lambda: why[0]
    finally:
        stop.set()
        await role


async def test_read_model_of_broker_is_that_of_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.start.observe._AGAIN", 0.0)  # records lie elsewhere here than their rows say
    of, url, metrics = world(40), f"sqlite:///{tmp_path / 'observer.db'}", Metrics()
    half = World(of.records[: len(of.records) // 2])
    with EmbeddedBroker() as broker:
        broker.create(
            plan(sorted({r.topic.split(".")[1] for r in of.records if r.topic.endswith(".inbox")}), partitions=3)
        )
        async with new_producer(broker.bootstrap) as producer:
            await lay(producer, half)
            await producer.send_and_wait("ledger", b"no row", key=b"k", partition=2)
            await producer.send_and_wait("track-and-trace", b'{"id": 1}', key=b"k", partition=0)
            await producer.send_and_wait("lanes", b"\xff\x00", key=None, partition=1)
            await producer.send_and_wait("ledger", AT_THE_END_OF_TIME, key=b"k", partition=1)
            async with observing(url, broker.bootstrap, metrics):
                pass
            await lay(producer, World(of.records[len(of.records) // 2 :]))
            async with observing(url, broker.bootstrap, metrics) as why:

                async def recomputed() -> bool:
                    with connect(url).connect() as c:
                        return c.execute(select(schema.balances.c.difference)).first() is not None

                await until(recomputed, 60)
                assert why() == ""
    shown = metrics.text().decode()
    for topic, number in (("ledger", 2), ("track-and-trace", 1), ("lanes", 1)):
        assert f'stafet_observer_unreadable_total{{topic="{topic}"}} {number}.0' in shown
    assert "stafet_observer_lag_records 0.0" in shown
    assert "stafet_balance_difference" in shown
    apart = ("steps", "dead_letters")  # where a record lies is another place here
    found, wanted = rows(connect(url)), rows(filled(of))
    assert {k: v for k, v in found.items() if k not in apart} == {k: v for k, v in wanted.items() if k not in apart}
    assert {row[0] for row in found["steps"]} == {row[0] for row in wanted["steps"]}
