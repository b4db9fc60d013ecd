"""The Faust app of a worker with every setting written out, and its life: start, readiness, stop.

Each value has its reason in the measurements (docs/decisions/0002). An app belongs to one event loop and one life:
build it inside the running loop. Topics are never declared by Faust (`stafet topics apply` does that), so an absent
topic is a time limit that passes and a message, never an endless wait.
"""

import asyncio
import contextlib
import gc
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Literal

import faust
from aiokafka.admin import AIOKafkaAdminClient
from faust.types import TopicT

from streams.kafka.clients import NoConnection, state_producer
from streams.kafka.sender import Sender, Unavailable
from streams.kafka.topics import INBOX_PARTITIONS, LARGE, LETTERBOX_PARTITIONS, RELAY
from streams.operations.secrecy import private_folder

from .changelog import ClientOptions, Fence, Restoring
from .consumer import BatchStream, EmbeddedTransport, Transport
from .shell import Leave, leave_now
from .stores import DiskStore, MemoryStore
from .tables import CarefulTables, FencedApp, FencedTable

#: Seconds that a worker which never came up may take to go down.
_GIVING_UP: Final = 5.0


class NotReady(Exception):
    """A worker that did not come up in time, and what to look at."""


@dataclass(frozen=True, kw_only=True)
class Worker:
    """What makes a worker different from the others. `worker_id` is stable over restarts and used by one process at a time."""

    bootstrap: str
    worker_id: str
    state_dir: Path
    app_id: str = RELAY
    partitions: int = 12
    letterbox_partitions: int = LETTERBOX_PARTITIONS
    inbox_partitions: int = INBOX_PARTITIONS
    store: Literal["memory", "rocksdb"] = "memory"
    security: ClientOptions = field(default_factory=dict)
    librdkafka: Mapping[str, str] = field(default_factory=dict)  # the same in librdkafka's words
    session_timeout: timedelta = timedelta(seconds=10)  # how long a killed worker's partitions rest
    commit_interval: timedelta = timedelta(milliseconds=500)  # what a crash repeats
    embedded: bool = False  # over the embedded broker: no static members, short fetches
    more: Mapping[str, Any] = field(default_factory=dict)  # Faust settings, for tests

    @property
    def directory(self) -> Path:
        """Where the worker keeps its tables: one process at a time."""
        return self.state_dir / self.app_id / self.worker_id


def ease_collector() -> None:
    """Has Python's collector leave out what there is, registers and profiles, which took it 0.1 s, and come seldom.

    By default it comes after 700 objects, which one batch makes many times over; next to none of them lie in a circle.
    """
    gc.freeze()
    gc.set_threshold(20_000)


def build_app(worker: Worker, leave: Leave = leave_now) -> FencedApp:
    """A Faust app for this worker, not started; call inside the running loop."""
    security, session = worker.security, worker.session_timeout.total_seconds()
    credentials = None
    if "sasl_mechanism" in security:
        credentials = faust.SASLCredentials(
            username=security["sasl_plain_username"],
            password=security["sasl_plain_password"],
            mechanism=security["sasl_mechanism"],
            ssl_context=security.get("ssl_context"),
        )
    elif security:
        credentials = faust.SSLCredentials(context=security["ssl_context"])
    settings: dict[str, Any] = {
        "broker": [f"kafka://{address}" for address in worker.bootstrap.split(",")],
        "broker_credentials": credentials,
        "web_enabled": False,
        "autodiscover": False,
        # Without these records are lost.
        "TableManager": CarefulTables,
        "Table": FencedTable,
        "Stream": BatchStream,
        "stream_wait_empty": True,  # a body in hand ends before its offset is committed
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "table_standby_replicas": 0,
        "store": "memory://",  # Faust's own is never used
        "datadir": worker.directory,
        # These decide how soon things happen.
        # A static member resumes 2 s after a restart, not 10; the embedded broker does not know such members.
        "consumer_group_instance_id": None if worker.embedded else f"{worker.app_id}-{worker.worker_id}",
        "broker_session_timeout": session,
        "broker_heartbeat_interval": session / 5,
        "broker_commit_interval": worker.commit_interval.total_seconds(),
        "consumer_max_fetch_size": LARGE,
        "topic_partitions": worker.partitions,
        **worker.more,
    }
    app = FencedApp(worker.app_id, **settings)
    app.leave, app.worker_id, app.restoring = leave, worker.worker_id, Restoring()
    app.positions, app.repeats, app.whole, app.queues = {}, {}, set(), set()
    app.store = MemoryStore() if worker.store == "memory" else DiskStore(worker.directory / "tables")
    app.client = {"bootstrap_servers": worker.bootstrap.split(","), **security}
    app.fence = Fence(
        worker.app_id,
        lambda name: state_producer(worker.bootstrap, name, **security),
        app.committed_rows,
        fenced=not worker.embedded,  # the embedded broker has no transactions, and its one user no rival
    )
    app.sender = Sender(worker.bootstrap, worker.librdkafka)
    app.transport = (EmbeddedTransport if worker.embedded else Transport)(app.conf.broker, app)
    return app


def raw_topic(app: FencedApp, *names: str) -> TopicT:
    """Topics of bytes as they are: an undecodable value on a typed topic costs the good records after it."""
    return app.topic(*names, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")


def raw_table(app: FencedApp, name: str, partitions: int) -> FencedTable:
    """A table of bytes with the partitions of its source topic."""
    table: FencedTable = app.Table(name, key_type=bytes, value_type=bytes, partitions=partitions)
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


def readiness(app: FencedApp) -> Readiness:
    """The worker's own view of itself; progress is judged by positions against high waters."""
    assigned = frozenset((tp.topic, tp.partition) for tp in app.consumer.assignment())
    recovered = bool(app.tables.actives_ready) and not app.rebalancing
    return Readiness(assigned, recovered, bool(app.crashed))


@contextlib.asynccontextmanager
async def running(app: FencedApp, limit: float = 60.0, patience: float = 60.0) -> AsyncIterator[FencedApp]:
    """The app started, recovered and, at the end, drained within `limit` seconds.

    A start takes as long as it takes; it is given up when nothing has moved for `patience` seconds. Raises `NotReady`. The
    worker's directory is the caller's alone (`agents/start/run.py`). A body that does not end within the limit
    ends the process by `app.leave`: nothing more is acknowledged, so nothing is lost.
    """
    app.in_worker = True
    private_folder(app.conf.datadir)
    try:
        await _start(app, patience)
    except BaseException:
        with contextlib.suppress(TimeoutError):  # why it did not come up matters more than how it goes down
            await asyncio.wait_for(app.stop(), _GIVING_UP)
        await app.sender.stop()
        raise
    try:
        yield app
    finally:
        try:
            async with asyncio.timeout(limit):
                await app.stop()
                await app.sender.stop()
        except TimeoutError:
            app.leave(f"{app.conf.id} did not stop within {limit:g} s")


async def _start(app: FencedApp, patience: float) -> None:
    async def come_up() -> None:
        problem = await partitions_problem(app)
        if problem:
            raise NotReady(f"{app.conf.id}: {problem}")
        await app.sender.start()
        await app.start()
        if app.crashed:  # Faust starts what has crashed on the way all the same
            raise NotReady(f"{app.conf.id}: the worker has crashed while it started; its log says why")

    start = asyncio.ensure_future(come_up())
    app.restoring.moved()
    try:
        while not start.done():
            await asyncio.wait([start], timeout=0.5)
            still = time.monotonic() - app.restoring.moved_at
            if still > patience and not start.done():
                raise NotReady(
                    f"{app.conf.id}: nothing has moved for {still:.0f} s ({app.restoring}): is the broker there, may this user "
                    "join the group?"
                )
        await start
    except (NoConnection, Unavailable):
        raise NotReady(
            f"{app.conf.id}: no connection to the broker: is the address right, does it run, is the password right?"
        ) from None
    finally:
        start.cancel()


async def partitions_problem(app: FencedApp) -> str:
    """What is wrong with the topics that state hangs on, asked of the broker now; "" when nothing is.

    Faust ignores a topic that is not there, a changelog included, and comes up to do nothing. Partitions that were added
    to a topic move keys away from their rows: the lane of a stay would begin once more, empty.
    """
    sources = {topic for agent in app.agents.values() for topic in agent.channel.topics}
    needed = sorted(sources | _widths(app).keys())
    admin = AIOKafkaAdminClient(**app.client)
    try:
        await admin.start()
        topics = await admin.describe_topics(needed)
    finally:
        await admin.close()
    found = {topic["topic"]: len(topic["partitions"]) for topic in topics}
    absent = sorted(topic for topic, number in found.items() if not number)
    if absent:
        return f"no topic {', '.join(absent)}; create all with `stafet topics apply`"
    return widths_problem(app, found)


def _widths(app: FencedApp) -> dict[str, int]:
    """The partition count that each topic with keys of state has to have."""
    changelogs = {table.changelog_topic_name: table.partitions for table in app.tables.values()}
    return changelogs | {topic: table.partitions for topic, table in app.positions.items()}


def widths_problem(app: FencedApp, found: Mapping[str, int]) -> str:
    """The first topic that has other partitions than the state. `found`: by topic; one that is not there counts for nothing."""
    for topic, partitions in sorted(_widths(app).items()):
        if found.get(topic, partitions) != partitions:
            return (
                f"{topic} has {found[topic]} partitions where the state has {partitions}: keys have moved away from their rows; "
                f"make the topic again with {partitions}"
            )
    return ""
