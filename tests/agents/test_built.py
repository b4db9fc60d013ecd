"""What a worker is built with, what it waits for, and how it shows why it does not come up: each value of its settings."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from faust.types import TP

from agents.worker import app as apps
from agents.worker import changelog, consumer, gaps, shell, stores, timer
from agents.worker.app import Readiness, Worker, build_app, raw_table, raw_topic, readiness, widths_problem
from agents.worker.changelog import Restoring, StatePartition
from agents.worker.consumer import BatchStream, EmbeddedTransport, Transport
from agents.worker.gaps import Gaps, RetentionLoss, Skips, loss_letters
from agents.worker.stores import DiskStore, MemoryStore
from agents.worker.tables import CarefulTables, FencedTable, StateLost, is_own_row, owner_key, position_key
from streams.kafka.records import header
from streams.kafka.topics import LARGE
from tests.agents.conftest import NOON

SASL = {
    "sasl_mechanism": "SCRAM-SHA-512",
    "sasl_plain_username": "relay",
    "sasl_plain_password": "a password",
    "ssl_context": None,
}


def worker(directory: Path, **more: Any) -> Worker:
    return Worker(bootstrap="a:1,b:2", worker_id="w1", state_dir=directory, **more)


async def test_every_setting_of_faust_is_written_out(tmp_path: Path) -> None:
    app = build_app(worker(tmp_path))
    conf = app.conf
    assert [str(url) for url in conf.broker] == ["kafka://a:1", "kafka://b:2"]
    assert conf.broker_credentials is None
    assert (conf.web_enabled, conf.autodiscover, conf.stream_wait_empty) == (False, False, True)
    assert (conf.topic_allow_declare, conf.topic_disable_leader, conf.table_standby_replicas) == (False, True, 0)
    assert (str(conf.store), conf.datadir) == ("memory:", tmp_path / "stafet-relay" / "w1")
    assert (conf.TableManager, conf.Table, conf.Stream) == (CarefulTables, FencedTable, BatchStream)
    assert conf.consumer_group_instance_id == "stafet-relay-w1"
    assert (conf.broker_session_timeout, conf.broker_heartbeat_interval) == (10.0, 2.0)
    assert (conf.broker_commit_interval, conf.consumer_max_fetch_size, conf.topic_partitions) == (0.5, LARGE, 12)
    assert app.client == {"bootstrap_servers": ["a:1", "b:2"]}
    assert app.fence._fenced
    assert isinstance(app.store, MemoryStore)
    assert type(app.transport) is Transport
    assert (app.worker_id, app.positions, app.repeats, app.whole, app.queues) == ("w1", {}, {}, set(), set())


async def test_embedded_worker_is_no_static_member(tmp_path: Path) -> None:
    app = build_app(worker(tmp_path, embedded=True, store="rocksdb", session_timeout=timedelta(seconds=5)))
    assert app.conf.consumer_group_instance_id is None
    assert app.conf.broker_heartbeat_interval == 1.0
    assert not app.fence._fenced
    assert type(app.transport) is EmbeddedTransport
    assert isinstance(app.store, DiskStore)
    assert app.store._directory == tmp_path / "stafet-relay" / "w1" / "tables"


async def test_worker_proves_itself_as_it_is_configured(tmp_path: Path) -> None:
    by_password = build_app(worker(tmp_path, security=SASL))
    found = by_password.conf.broker_credentials
    assert (found.username, found.password, found.mechanism.value) == ("relay", "a password", "SCRAM-SHA-512")
    assert by_password.client == {"bootstrap_servers": ["a:1", "b:2"], **SASL}
    by_certificate = build_app(worker(tmp_path, security={"ssl_context": "a context"}))
    assert by_certificate.conf.broker_credentials.context == "a context"


async def test_topics_and_tables_hold_bytes_as_they_are(tmp_path: Path) -> None:
    app = build_app(worker(tmp_path))
    topic = raw_topic(app, "one", "two")
    assert ([*topic.topics], topic.key_type, topic.value_type) == (["one", "two"], bytes, bytes)
    assert (topic.key_serializer, topic.value_serializer) == ("raw", "raw")
    table = raw_table(app, "rows", 7)
    assert (table.name, table.partitions, table.key_type, table.value_type) == ("rows", 7, bytes, bytes)


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        ({"source": 4, "stafet-relay-rows-changelog": 4, "other": 9}, ""),
        ({}, ""),
        (
            {"source": 5},
            "source has 5 partitions where the state has 4: keys have moved away from their rows; "
            "make the topic again with 4",
        ),
        (
            {"stafet-relay-rows-changelog": 3, "source": 4},
            "stafet-relay-rows-changelog has 3 partitions where the state has 4: keys have moved away from their rows; "
            "make the topic again with 4",
        ),
    ],
)
async def test_other_width_than_the_state_has_is_named(tmp_path: Path, found: dict[str, int], problem: str) -> None:
    app = build_app(worker(tmp_path))
    app.positions["source"] = raw_table(app, "rows", 4)
    assert widths_problem(app, found) == problem


ONE = frozenset({("lanes", 0)})


@pytest.mark.parametrize(
    ("assigned", "recovered", "crashed", "ready"),
    [
        (ONE, True, False, True),
        (frozenset(), True, False, False),
        (ONE, False, False, False),
        (ONE, True, True, False),
    ],
)
def test_ready_is_who_owns_has_recovered_and_runs(
    assigned: frozenset[tuple[str, int]], recovered: bool, crashed: bool, ready: bool
) -> None:
    assert Readiness(assigned, recovered, crashed).ready is ready


@pytest.mark.parametrize(
    ("rebalancing", "actives", "recovered"), [(False, True, True), (True, True, False), (False, False, False)]
)
def test_rebalance_or_recovery_is_no_readiness(rebalancing: bool, actives: bool, recovered: bool) -> None:
    app: Any = SimpleNamespace(
        consumer=SimpleNamespace(assignment=lambda: {TP("lanes", 0)}),
        tables=SimpleNamespace(actives_ready=actives),
        rebalancing=rebalancing,
        crashed=None,
    )
    assert readiness(app) == Readiness(ONE, recovered, False)
    assert timer.owned(app, "lanes") == (frozenset({0}) if recovered else frozenset())
    assert timer.owned_of(app, ("other",)) == frozenset()


def test_progress_of_a_start_is_shown_in_rows() -> None:
    restoring = Restoring()
    assert str(restoring) == "waits for its partitions"
    restoring.begins(12_000)
    assert str(restoring) == "0 of 12,000 rows are read"
    restoring.held = "a transaction is open"
    restoring.read(2500)
    assert str(restoring) == "2,500 of 12,000 rows are read"
    restoring.held = "a transaction is open"
    assert str(restoring) == "2,500 of 12,000 rows are read; a transaction is open"
    restoring.begins(0)
    assert str(restoring) == "waits for its partitions"


def test_keys_of_own_rows_begin_with_zero() -> None:
    assert (position_key("lanes", 3), owner_key(3)) == (b"\0position/lanes/3", b"\0owner/3")
    assert [is_own_row(key) for key in (position_key("lanes", 3), owner_key(3), stores._KNOWN, b"k", b"")] == [
        *(True, True, True),
        *(False, False),
    ]


def test_lost_records_are_dead_lettered_without_content() -> None:
    dead, row = loss_letters(RetentionLoss("adt.raw", 2, 100, 107), stage="intake", at=NOON, version="1")
    assert (dead.value, row.key) == (b"", b"adt.raw/2/100")
    assert header(dead.headers, "dlq.original-offset") == b"100"
    assert [header(dead.headers, f"dlq.{name}") for name in ("error-code", "path")] == [
        b"retention",
        b"adt.raw/2",
    ]
    assert header(dead.headers, "dlq.problem") == (
        b"7 offsets from 100 on were deleted by retention before they were read"
    )
    assert b'"parts":7' in (row.value or b"")


def test_state_that_is_lost_names_its_changelog() -> None:
    assert str(StateLost("lanes", 1, "stafet-relay-lanes-changelog", 9, 4)).startswith(
        "lanes/1 (stafet-relay-lanes-changelog): 9 records are committed and the state knows of 4: "
    )


@pytest.mark.parametrize(("view", "first", "end", "covers", "holds"), [
    ((5, 10, [7]), 5, 10, True, True),
    ((5, 10, [7]), 5, 7, True, False),
    ((5, 10, [7]), 7, 8, True, True),
    ((5, 10, [7]), 8, 10, True, False),
    ((5, 10, [7]), 4, 8, False, True),
    ((5, 10, [7]), 5, 11, False, True),
])  # fmt: skip
def test_what_a_reader_has_seen_answers_for_a_stretch(
    view: tuple[int, int, list[int]], first: int, end: int, covers: bool, holds: bool
) -> None:
    seen = gaps._View(*view)
    assert (seen.covers(first, end), seen.holds(first, end)) == (covers, holds)


async def test_partition_is_asked_about_once_it_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[TopicPartition] = []

    async def empty(_self: Gaps, tp: TopicPartition, *_: Any) -> tuple[int, bool]:
        asked.append(tp)
        return 0, True

    monkeypatch.setattr(Gaps, "_ask", empty)
    assert not await Gaps("x", standing=60.0).is_empty("t", 0, 1, 2)
    assert asked == []
    assert await Gaps("x", standing=0.0).is_empty("t", 0, 1, 2)
    assert asked == [TopicPartition("t", 0)]


#: What a worker waits for and bounds itself to: the figures of decisions 0002, 0025, 0026, 0031 and 0043.
LIMITS: dict[str, tuple[Callable[[], object], object]] = {
    "records of a batch": (lambda: shell.Limits().batch, 200),
    "seconds for the changelog": (lambda: shell.Limits().changelog, 45.0),
    "faults in a row": (lambda: shell.Limits().faults_in_a_row, 10),
    "rounds of refusals": (lambda: shell.Limits().refusal_rounds, 3),
    "bytes of a row": (lambda: shell.Limits().row_bytes, 1_048_576 - 4096),
    "bytes of a key": (lambda: shell._LONGEST_KEY, 1024),
    "rows taken in one go": (lambda: changelog._AT_ONCE, 200),
    "seconds for a producer to close": (lambda: changelog._CLOSING, 3.0),
    "seconds without a row": (lambda: changelog._HELD, 5.0),
    "seconds for an answer about a gap": (lambda: gaps._LIMIT, 30.0),
    "seconds for one that is asked again": (lambda: gaps._SOON, 3.0),
    "seconds of standing still": (lambda: gaps._STANDING, 1.0),
    "questions beside each other": (lambda: gaps._ASKERS, 8),
    "records seen ahead of a gap": (lambda: gaps._AHEAD, 2000),
    "between two looks for skips": (lambda: Skips.EVERY, timedelta(seconds=5)),
    "readers of a gap": (lambda: gaps._READERS, ("read_uncommitted", "read_committed")),
    "milliseconds of an embedded fetch": (lambda: consumer._PROMPT, 100),
    "seconds of one turn": (lambda: timer._TURN, 0.005),
    "seconds between questions": (lambda: timer._PAUSE, 1.0),
    "seconds for giving up": (lambda: apps._GIVING_UP, 5.0),
    "bytes not yet in a file": (lambda: stores._UNWRITTEN, 1 << 20),
    "bytes of files in memory": (lambda: stores._READ_LATELY, 16 << 20),
}


@pytest.mark.parametrize(("limit", "value"), LIMITS.values(), ids=LIMITS)
def test_limit_of_worker_is_as_decided(limit: Callable[[], object], value: object) -> None:
    assert limit() == value


@pytest.mark.parametrize("make", [lambda _: MemoryStore(), DiskStore], ids=["memory", "disk"])
def test_store_keeps_rows_of_its_partitions_alone(tmp_path: Path, make: Callable[[Path], Any]) -> None:
    store, mine, other = make(tmp_path), StatePartition("log", 1), StatePartition("log", 2)
    assert (store.known(mine), store.known(other)) == (None, None)
    store.apply(mine, [(b"a", b"1"), (b"b", b"2"), (b"a", None), (b"b", b"3"), (b"none", None)], 5)
    store.apply(other, [(b"a", b"9")], 1)
    assert (store.known(mine), store.get(mine, b"a"), store.get(mine, b"b")) == (5, None, b"3")
    assert [key for key, _ in store.rows(mine) if not is_own_row(key)] == [b"b"]
    store.keep_only([mine])
    assert (store.get(other, b"a"), store.get(mine, b"b")) == (None, b"3")
    store.close()
    assert (tmp_path / "log-1.db").exists() is isinstance(store, DiskStore)
    assert not (tmp_path / "log-2.db").exists()
