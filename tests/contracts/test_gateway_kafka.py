"""The gateway before a real broker that goes away and comes back: no acknowledgement without the record (spec 04 §5.2)."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from streams.gateway.mllp import NoAnswer
from streams.gateway.run import KafkaPublisher
from streams.gateway.server import GatewayLimits
from streams.kafka.clients import new_producer
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.local import LocalBroker
from streams.kafka.records import header
from tests.brokers import records
from tests.contracts.gateways import Running, adt, client, gateway

LIMITS = GatewayLimits(confirm=timedelta(seconds=2))


@asynccontextmanager
async def before(bootstrap: str, limits: GatewayLimits = LIMITS) -> AsyncIterator[Running]:
    async with (
        new_producer(bootstrap) as producer,
        gateway(lambda running: KafkaPublisher(producer), limits=limits) as running,
    ):
        yield running


async def test_acknowledged_message_is_on_topic_under_its_key() -> None:
    with EmbeddedBroker() as broker:
        broker.create_topic("adt.raw", 12)
        async with before(broker.bootstrap) as running, client(running) as sender:
            assert (await sender.send(adt("A1", charset="8859/1"))).taken
        (record,) = await records(broker.bootstrap, "adt.raw")
    assert record.value == adt("A1", charset="8859/1")
    assert record.key == b"EPJ-SYD/OUH#key"
    assert header(record.headers, "hl7-control-id") == b"A1"
    assert header(record.headers, "feed") == b"EPJ-SYD/OUH"


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[LocalBroker]:
    """A real broker of this test's own: it is killed and started again."""
    with LocalBroker(tmp_path / "broker", settings={"auto.create.topics.enable": "true"}) as broker:
        yield broker


@pytest.mark.real
async def test_without_kafka_no_acknowledgement_then_resend_is_taken(
    own_broker: LocalBroker,
) -> None:
    async with before(own_broker.bootstrap) as running, client(running) as sender:
        assert (await sender.send(adt("A1"))).taken
        await asyncio.to_thread(own_broker.kill)
        with pytest.raises(NoAnswer):
            await sender.send(adt("A2"))
        await asyncio.to_thread(own_broker.start)
        async with asyncio.timeout(60):  # the engine sends the same bytes until it gets its answer
            while True:
                try:
                    answer = await sender.send(adt("A2"))
                    break
                except NoAnswer:
                    continue
        assert answer.taken
        assert (await sender.send(adt("A3"))).taken
    written = [header(record.headers, "hl7-control-id") for record in await records(own_broker.bootstrap, "adt.raw")]
    assert written[0] == b"A1"
    assert written[-1] == b"A3"
    assert set(written) == {b"A1", b"A2", b"A3"}
