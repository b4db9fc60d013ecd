"""The Faust app of a worker with every setting written out, and its life: start, readiness, stop.

Each value has its reason in the measurements (docs/decisions/0002). An app belongs to one event loop and one life:
build it inside the running loop. Topics are never declared by Faust (`stafet topics apply` does that), so an absent
topic is a time limit that passes and a message, never an endless wait.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Literal

import faust

from agents.shell import Leave, leave_now
from agents.tables import CarefulTables, ConfirmedTable, EmbeddedTransport, IdempotentTransport, own_producer
from streams.kafka.clients import NoConnection, compression
from streams.kafka.topics import LARGE, LETTERBOX_PARTITIONS, RELAY

__all__ = ["NotReady", "Readiness", "Worker", "build_app", "raw_table", "raw_topic", "readiness", "running"]


#: Seconds that a worker which never came up may take to go down.
_GIVING_UP: Final = 5.0


class NotReady(Exception):
    """A worker that did not come up in time, and what to look at."""


@dataclass(frozen=True, kw_only=True)
class Worker:
    """What tells one worker from another. `worker_id` is stable over restarts and used by one process at a time."""

    bootstrap: str
    worker_id: str
    state_dir: Path
    app_id: str = RELAY
    partitions: int = 12
    letterbox_partitions: int = LETTERBOX_PARTITIONS
    store: Literal["memory", "rocksdb"] = "memory"
    credentials: Any = None  # faust.SASLCredentials or faust.SSLCredentials
    session_timeout: timedelta = timedelta(seconds=10)  # how long a killed worker's partitions rest
    commit_interval: timedelta = timedelta(milliseconds=500)  # what a crash repeats
    embedded: bool = False  # over the embedded broker: no static members, short fetches
    more: Mapping[str, Any] = field(default_factory=dict)  # Faust settings, for tests


def _safety(worker: Worker) -> dict[str, Any]:
    """Settings without which records are lost."""
    return {
        "TableManager": CarefulTables,
        "Table": ConfirmedTable,
        "stream_wait_empty": True,  # a body in hand ends before its offset is committed
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "table_standby_replicas": 0,
        "store": f"{worker.store}://",
        "datadir": worker.state_dir / worker.app_id / worker.worker_id,  # a locked directory is tried for 30 s
        "producer_acks": -1,
        "producer_request_timeout": 30.0,  # Faust's own is 1,200 s
    }


def _pace(worker: Worker) -> dict[str, Any]:
    """Settings that decide how soon things happen."""
    session = worker.session_timeout.total_seconds()
    return {
        # A static member resumes 2 s after a restart, not 10; the embedded broker does not know such members.
        "consumer_group_instance_id": None if worker.embedded else f"{worker.app_id}-{worker.worker_id}",
        "broker_session_timeout": session,
        "broker_heartbeat_interval": session / 5,
        "broker_commit_interval": worker.commit_interval.total_seconds(),
        "producer_linger": 0.005,
        "producer_compression_type": compression(),
        "producer_max_request_size": LARGE,
        "consumer_max_fetch_size": LARGE,
        "topic_partitions": worker.partitions,
    }


def build_app(worker: Worker) -> faust.App:
    """A Faust app for this worker, not started; call inside the running loop."""
    settings: dict[str, Any] = {
        "broker": [f"kafka://{address}" for address in worker.bootstrap.split(",")],
        "broker_credentials": worker.credentials,
        "web_enabled": False,
        "autodiscover": False,
        **_safety(worker),
        **_pace(worker),
        **worker.more,
    }
    app = faust.App(worker.app_id, **settings)
    transport = EmbeddedTransport if worker.embedded else IdempotentTransport
    app.transport = transport(app.conf.broker, app)  # Faust asks it for its producer too
    return app


def raw_topic(app: faust.App, *names: str) -> Any:
    """Topics of bytes as they are: an undecodable value on a typed topic costs the good records after it."""
    return app.topic(*names, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")


def raw_table(app: faust.App, name: str, partitions: int) -> ConfirmedTable:
    """A table of bytes with the partitions of its source topic."""
    table: ConfirmedTable = app.Table(name, key_type=bytes, value_type=bytes, partitions=partitions)
    return table


@dataclass(frozen=True)
class Readiness:
    """Whether records can flow: partitions assigned, tables recovered, no crash."""

    assigned: frozenset[tuple[str, int]]
    recovered: bool
    crashed: bool

    @property
    def ready(self) -> bool:
        """All three."""
        return bool(self.assigned) and self.recovered and not self.crashed


def readiness(app: faust.App) -> Readiness:
    """The worker's own view of itself; progress is to be judged by positions against high waters."""
    assigned = frozenset((tp.topic, tp.partition) for tp in app.consumer.assignment())
    recovered = bool(app.tables.actives_ready) and not app.rebalancing
    return Readiness(assigned, recovered, bool(app.crashed))


@contextlib.asynccontextmanager
async def running(app: faust.App, limit: float = 60.0, leave: Leave = leave_now) -> AsyncIterator[faust.App]:
    """The app started, recovered and, at the end, drained; `limit` in seconds for each way.

    Raises `NotReady` when it does not come up. A body that does not end within the limit ends the process by `leave`:
    nothing more is acknowledged, so nothing is lost.
    """
    app.in_worker = True
    app.conf.datadir.mkdir(parents=True, exist_ok=True)
    try:
        await _up(app, limit)
    except BaseException:
        with contextlib.suppress(TimeoutError):  # why it did not come up matters more than how it goes down
            await asyncio.wait_for(app.stop(), _GIVING_UP)
        raise
    try:
        yield app
    finally:
        try:
            async with asyncio.timeout(limit):
                await app.stop()
        except TimeoutError:
            leave(f"{app.conf.id} did not stop within {limit:g} s")


async def _up(app: faust.App, limit: float) -> None:
    try:
        async with asyncio.timeout(limit):
            await app.start()
            await _check_topics(app)
    except NoConnection:
        raise NotReady(
            f"{app.conf.id}: no connection to the broker: is the address right, does it run, is the password right?"
        ) from None
    except TimeoutError:
        raise NotReady(
            f"{app.conf.id} was not ready within {limit:g} s: is the broker there, may this user join the group?"
        ) from None


async def _check_topics(app: faust.App) -> None:
    """Faust ignores a topic that is not there, a changelog included, and comes up to do nothing: say it instead."""
    client = own_producer(app).client
    cluster = await client.fetch_all_metadata()
    sources = {topic for agent in app.agents.values() for topic in agent.channel.topics}
    changelogs = {table.changelog_topic_name: table.partitions for table in app.tables.values()}
    absent = sorted(name for name in {*sources, *changelogs} if cluster.partitions_for_topic(name) is None)
    if absent:
        raise NotReady(f"{app.conf.id}: no topic {', '.join(absent)}; create all with `stafet topics apply`")
    # aiokafka has heard of every topic at its start but keeps to those it was told: at the first one that is made later
    # it would forget the others, and letters on their way to them would find no leader until their time is over.
    await client.set_topics(cluster.topics())
    for name, partitions in changelogs.items():
        found = len(cluster.partitions_for_topic(name))
        if found != partitions:
            raise NotReady(f"{app.conf.id}: {name} has {found} partitions, the topics it is folded from {partitions}")
