"""The observer killed under load, its database restarted under it: the read model is the one rebuilt from the topics."""

import asyncio
import os
import secrets
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import Engine, select

from streams.cli.installation import topics_of
from streams.kafka.admin import apply
from streams.kafka.clients import new_producer, read_all
from streams.kafka.local import LocalBroker
from streams.observer.model import schema
from streams.observer.model.follow import places_of, waits_of
from streams.observer.model.steps import READ
from streams.observer.model.store import ReadModel, connect, migrate
from streams.operations.settings import read_settings
from streams.words.ids import Ids
from tests.brokers import until
from tests.databases import NoPostgres, PostgresServer
from tests.observer.test_follow import lay
from tests.observer.test_read_model import rows
from tests.observer.world import REGISTERS, World, folded, world
from tests.published import ROOT

pytestmark = [pytest.mark.real, pytest.mark.postgres, pytest.mark.timeout(600)]


@pytest.fixture
def durable() -> Iterator[PostgresServer]:
    """A server that keeps what it has confirmed."""
    try:
        server = PostgresServer(settings=()).start()
    except NoPostgres as problem:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"not run: needs PostgreSQL; {problem}")
    yield server
    server.remove()


@asynccontextmanager
async def observer(environment: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """`stafet run observer` as a process, killed at the end."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from agents.cli import main; main()", "run", "observer"),
        env=environment,
        cwd=ROOT,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=(Path(environment["STAFET_STATE_DIR"]) / "log").open("ab"),
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


async def read_until(engine: Engine, wanted: int) -> None:
    """Until so many records have been read, in all partitions together."""

    async def enough() -> bool:
        try:
            with engine.connect() as c:
                return sum(c.execute(select(schema.positions.c.next_offset)).scalars()) >= wanted
        except Exception:  # the database is away, or has no tables yet
            return False

    await until(enough, 45)


async def survives(
    broker: LocalBroker, server: PostgresServer, folder: Path, *, kills: int, restarts: int, stays: int
) -> None:
    apply(broker.bootstrap, topics_of(read_settings({"bootstrap": broker.bootstrap, "partitions": 3}), REGISTERS))
    of, rng, secret = world(stays), Random(13), secrets.token_bytes(32)
    (folder / "secret").write_bytes(secret.hex().encode())
    url = server.new_database()
    environment = os.environ | {
        "STAFET_BOOTSTRAP": broker.bootstrap,
        "STAFET_REGISTERS": "example",
        "STAFET_ENVIRONMENT": "test",
        "STAFET_SECRET_FILE": str(folder / "secret"),
        "STAFET_STATE_DIR": str(folder),
        "STAFET_HTTP_LISTEN": "127.0.0.1:0",
        "STAFET_WEB_LISTEN": "127.0.0.1:0",
        "STAFET_DATABASE": url,
        "STAFET_RECONCILE_MINUTES": "0",
    }
    engine = connect(url)
    fresh = int(datetime.now(UTC).timestamp() * 1000)  # the day of this world is long past, and topics would forget it
    of = World(tuple(record._replace(timestamp_ms=fresh) for record in of.records))
    total, parts = len(of.records), kills + 1
    crashed = set(rng.sample(range(kills), restarts))
    async with new_producer(broker.bootstrap) as producer:
        laid = 0
        for number in range(parts):
            part = of.records[total * number // parts : total * (number + 1) // parts]
            laid += sum(record.topic in READ for record in part)
            async with observer(environment) as child:
                load = asyncio.create_task(lay(producer, World(part)))
                if number == kills:
                    await load
                    await read_until(engine, laid)
                    break
                # Somewhere in the middle of what it reads, not at the end of it.
                await read_until(engine, max(laid - rng.randint(1, max(len(part) // 2, 1)), 1))
                if number in crashed:
                    await asyncio.to_thread(server.stop, "immediate")
                    await asyncio.to_thread(server.start)
                    await read_until(engine, laid)
                assert child.returncode is None
                await load
    ids, now = Ids(secret.hex().encode()), datetime.now(UTC)
    rebuilt = connect("sqlite://")
    migrate(rebuilt)
    records = [record async for record in read_all(broker.bootstrap, READ)]
    policy = {"wait_of": waits_of(REGISTERS), "place_of": places_of(REGISTERS)}
    assert folded(rebuilt, records, ids=ids, **policy) == 0
    for one in (engine, rebuilt):
        ReadModel(one, **policy).forget(now)
    found, wanted = rows(engine), rows(rebuilt)
    assert {name: len(table) for name, table in found.items()} == {name: len(table) for name, table in wanted.items()}
    assert found == wanted
    engine.dispose()


async def test_read_model_survives_kills_and_a_crash_of_its_database(
    durable: PostgresServer, kafka: LocalBroker, tmp_path: Path
) -> None:
    await survives(kafka, durable, tmp_path, kills=2, restarts=1, stays=40)


@pytest.mark.faults
async def test_read_model_survives_twenty_kills(durable: PostgresServer, kafka: LocalBroker, tmp_path: Path) -> None:
    await survives(kafka, durable, tmp_path, kills=20, restarts=6, stays=320)
