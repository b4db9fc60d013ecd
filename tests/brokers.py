"""Brokers for the suite: the embedded one always, the real one where Java is (in CI: everywhere)."""

import asyncio
import hashlib
import os
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import pytest
from aiokafka.errors import KafkaError

from streams.kafka.admin import apply
from streams.kafka.clients import new_producer, read_all
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.local import LocalBroker, NoKafka, find_jars, find_java, new_cluster_id
from streams.kafka.records import Record
from streams.kafka.sender import Sender
from streams.kafka.topics import TopicPlan, plan

AnyBroker = EmbeddedBroker | LocalBroker

NUMBERS = count(1)


def fresh(name: str) -> str:
    """A name no other test has: topics and groups are never shared."""
    return f"{name}-{os.getpid()}-{next(NUMBERS)}"


#: A broker of a test lives for seconds: what a virtual machine does to be fast later is time lost.
_SHORT_LIVED = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")


def class_archive() -> Path:
    """Kafka's classes as Java has them in memory, beside the jars they are of: half of a start. For this Java alone."""
    jars, java = find_jars(), Path(find_java()).resolve()
    version = hashlib.sha256(f"{java} {java.stat().st_mtime_ns}".encode()).hexdigest()[:8]
    return jars.with_name(f"{jars.name}-{version}.jsa")


def archive_classes() -> None:
    """Writes the archive, once on a machine: a broker that starts and ends leaves it. Without it all goes on, slower."""
    archive = class_archive()
    if archive.exists():
        return
    with TemporaryDirectory(dir=archive.parent) as work:
        written = Path(work) / archive.name
        LocalBroker(Path(work) / "broker", java=(*_SHORT_LIVED, f"-XX:ArchiveClassesAtExit={written}")).start().stop()
        if written.exists():
            written.rename(archive)


#: What formatting leaves in the folder of a broker; kept from the first one, for formatting takes as long as a start.
_formatted: dict[str, bytes] = {}


def _format(data: Path) -> None:
    """As Kafka's tool does it, under a cluster id of its own; the first broker of this process formats itself."""
    if not _formatted or data.is_dir():
        return
    data.mkdir(parents=True, exist_ok=True)
    for name, content in _formatted.items():
        (data / name).write_bytes(re.sub(rb"(?m)^cluster\.id=.*", f"cluster.id={new_cluster_id()}".encode(), content))


def real_broker(
    directory: Path, port: int | None = None, more: Mapping[str, str] = MappingProxyType({})
) -> LocalBroker:
    """A started real broker. In CI it is never skipped: promises are made about the real broker."""
    settings = {"group.min.session.timeout.ms": "1000"}  # so that a killed worker is missed in two seconds, not six
    data = directory / "data"
    _format(data)
    try:
        archive = class_archive()
        java = (*_SHORT_LIVED, f"-XX:SharedArchiveFile={archive}") if archive.exists() else _SHORT_LIVED
        broker = LocalBroker(directory, port, settings=settings | dict(more), java=java)
        broker.start()
        _formatted.update({name: (data / name).read_bytes() for name in ("meta.properties", "bootstrap.checkpoint")})
        return broker
    except NoKafka as problem:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"not run: needs the real broker; {problem}")


def prepared(broker: AnyBroker, *names: str, partitions: int = 4, **config: str) -> None:
    """Topics of these names on either broker; settings count on the real one only."""
    row = plan(())[0].row
    wanted = [TopicPlan(name, partitions, 1, config, row) for name in names]
    if isinstance(broker, EmbeddedBroker):
        broker.create(wanted)
    else:
        apply(broker.bootstrap, wanted)


async def until(condition: Callable[[], Awaitable[Any]], limit: float = 30.0) -> Any:
    """Waits for a condition and returns what it returned; fails after `limit` seconds."""
    end = time.monotonic() + limit
    while True:
        result = await condition()
        if result:
            return result
        assert time.monotonic() < end, f"not within {limit} s"
        await asyncio.sleep(0.05)


async def records(bootstrap: str, *topics: str) -> list[Record]:
    return [record async for record in read_all(bootstrap, topics)]


async def at_least(bootstrap: str, topic: str, number: int, limit: float = 30.0) -> list[Record]:
    """The records of a topic once there are `number` of them."""

    async def enough() -> list[Record] | None:
        try:
            found = await records(bootstrap, topic)
        except KafkaError:  # a broker that has come back knows of no broker for a moment
            return None
        return found if len(found) >= number else None

    return await until(enough, limit) if number else []


@asynccontextmanager
async def producing(bootstrap: str) -> AsyncIterator[Any]:
    producer = new_producer(bootstrap)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


@asynccontextmanager
async def sending(bootstrap: str, limit: float = 45.0) -> AsyncIterator[Sender]:
    sender = Sender(bootstrap, limit=limit)
    await sender.start()
    try:
        yield sender
    finally:
        await sender.stop()


async def put(bootstrap: str, topic: str, pairs: Iterable[tuple[bytes | None, bytes | None]], **more: Any) -> None:
    """Sends key-value pairs in order and waits for the broker."""
    async with producing(bootstrap) as producer:
        await asyncio.gather(*[await producer.send(topic, value, key=key, **more) for key, value in pairs])
