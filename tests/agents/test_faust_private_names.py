"""Faust's inside as `tables.py` and `consumer.py` of agents/worker use it: an upgrade that moves one of these names must fail here first."""

import inspect
import re
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faust
import faust.streams
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.consumer.subscription_state import Assignment, TopicPartitionState
from aiokafka.protocol.fetch import FetchRequest, FetchRequest_v11, FetchResponse_v11
from aiokafka.record.default_records import _DefaultRecordBatchPy
from faust.agents.actor import Actor
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport.conductor import Conductor, ConductorCompiler
from faust.transport.consumer import Consumer, ThreadDelegateConsumer
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.types import Message
from hypothesis import given
from hypothesis import strategies as st
from mode import Service
from mode.threads import ServiceThread

from agents.worker.consumer import Transport
from agents.worker.tables import CarefulRecovery, CarefulTables, FencedTable
from streams.kafka import clients
from streams.kafka.clients import SparingFetch
from tests.agents.conftest import Build


@pytest.mark.parametrize(("package", "pinned"), [("faust-streaming", "0.15.3"), ("mode-streaming", "0.7.1")])
def test_version_whose_inside_was_read_is_one_installed(package: str, pinned: str) -> None:
    assert version(package) == pinned


def test_table_manager_makes_recovery_where_ours_does() -> None:
    assert TableManager._recovery is None
    assert isinstance(inspect.getattr_static(TableManager, "recovery"), property)
    assert CarefulTables.recovery is not TableManager.recovery


def test_recovery_ends_in_method_that_ours_wraps() -> None:
    assert list(inspect.signature(Recovery.on_recovery_completed).parameters) == ["self", "generation_id"]
    assert "self.on_recovery_completed" in inspect.getsource(Recovery)
    body = inspect.getsource(Recovery.on_recovery_completed)
    assert body.index("perform_seek") < body.index("flow_control.resume"), "the seek comes before the flow"
    assert CarefulRecovery.on_recovery_completed is not Recovery.on_recovery_completed


def test_recovery_has_parts_that_ours_replaces_and_asks() -> None:
    source = inspect.getsource(Recovery)
    for name in ("_restart_recovery", "_slurp_changelogs"):
        assert f"@Service.task\n    async def {name}(self)" in source
        assert getattr(CarefulRecovery, name) is not getattr(Recovery, name)
    assert "self.active_tps.add(tp)" in inspect.getsource(Recovery.add_active)
    rebalance = inspect.getsource(Recovery.on_rebalance)
    assert rebalance.index("self.active_tps.clear()") < rebalance.index("self._generation_id = generation_id")
    assert list(inspect.signature(Recovery._wait).parameters) == ["self", "coro", "timeout"]
    assert "raise RebalanceAgain()" in inspect.getsource(Recovery._wait)
    assert not inspect.iscoroutinefunction(Recovery._set_recovery_started)


def test_what_is_waited_for_ends_when_another_rebalance_begins() -> None:
    assert "fut.cancel()" in inspect.getsource(Service.wait_first)


def test_every_write_of_table_passes_where_ours_keeps_promise() -> None:
    for method in ("on_key_set", "on_key_del"):
        assert "self.send_changelog(" in inspect.getsource(getattr(faust.Table, method))
    assert issubclass(FencedTable, faust.Table)


def test_driver_makes_its_consumer_where_ours_shortens_wait() -> None:
    assert "self._new_consumer_thread()" in inspect.getsource(ThreadDelegateConsumer)
    assert "self._consumer = self._create_consumer(" in inspect.getsource(AIOKafkaConsumerThread.on_start)
    assert "fetch_max_wait_ms=self._fetch_max_wait_ms" in inspect.getsource(AIOKafkaConsumer.start)


def test_record_comes_to_its_agent_where_ours_shortens_way() -> None:
    way = inspect.getsource(Consumer._drain_messages)
    assert re.search(r"await self\.wait_first\(\s*callback\(message\), self\.suspend_flow\.wait\(\)\s*\)", way)
    hand_over = inspect.getsource(ConductorCompiler)
    assert "queue.full()" in hand_over, "a full queue is what holds a record up"
    for step in ("await acquire_flow_control()", "message.incref(channels_n)", "queue.put_nowait_enhanced("):
        assert step in hand_over
    assert "async with self._tp_to_callback_lock" in inspect.getsource(Conductor)
    assert list(inspect.signature(Consumer.__init__).parameters)[:3] == ["self", "transport", "callback"]
    assert "_throw(StopAsyncIteration())" in inspect.getsource(Actor.cancel)
    assert isinstance(Consumer.unacked, property)
    assert "generation_id" in Message.__slots__


def test_thread_of_consumer_ends_where_ours_listens() -> None:
    """`CancelledError` is no `Exception`: raised there by aiokafka it would end the thread unheard."""
    assert "await self.on_thread_stop()" in inspect.getsource(ServiceThread._shutdown_thread)
    assert "except Exception:" in inspect.getsource(ServiceThread._start_thread)
    assert "await self._consumer.stop()" in inspect.getsource(AIOKafkaConsumerThread.on_thread_stop)


def test_quiet_partitions_are_looked_for_where_ours_does_not() -> None:
    assert "await self.verify_all_partitions_active()" in inspect.getsource(Consumer)
    assert Transport.Consumer.verify_all_partitions_active is not Consumer.verify_all_partitions_active


def test_commit_asks_for_assignment_where_ours_keeps_it() -> None:
    assert "if tp in self.assignment()" in inspect.getsource(AIOKafkaConsumerThread._commit)
    assert "ensure_TPset(self._ensure_consumer().assignment())" in inspect.getsource(AIOKafkaConsumerThread.assignment)


async def test_running_worker_uses_all_of_them(bench: Build) -> None:
    async with bench(lambda row, record: (row, [])) as b:
        assert isinstance(b.app.transport, Transport)
        assert isinstance(b.app.tables, CarefulTables)
        assert type(b.app.tables.recovery) is CarefulRecovery
        assert isinstance(b.table, FencedTable)
        assert isinstance(b.app.consumer._thread._consumer._fetcher.sparing, SparingFetch)


async def test_full_queue_holds_a_record_up(bench: Build) -> None:
    async with bench(lambda row, record: (row, [])) as b:
        [agent] = b.app.agents.values()
        [actor] = agent._actors
        queue = actor.stream.channel.queue
        message = Message(b.source, 0, 0, 0.0, 0, (), b"key", b"value", None)
        assert b.app.consumer._hand_over(message) is None
        assert (queue.get_nowait().message, message.refcount) == (message, 1)
        for _ in range(queue.maxsize):  # no turn of the loop: nothing is taken
            queue.force_put_nowait(None)
        waiting = b.app.consumer._hand_over(message)
        assert (inspect.iscoroutine(waiting), queue.qsize()) == (True, queue.maxsize)
        waiting.close()
        queue.clear()
        assert b.app.consumer._hand_over(message) is None
        queue.clear()


def test_fetcher_makes_batches_where_ours_reads_any_header_name() -> None:
    assert "MemoryRecords(part_data[-1])" in inspect.getsource(fetcher.Fetcher)
    assert isinstance(fetcher.MemoryRecords(b"0"), clients._Records)
    nothing = fetcher.MemoryRecords(b"")
    assert (nothing.has_next(), nothing.size_in_bytes()) == (False, 0)
    source = inspect.getsource(_DefaultRecordBatchPy)
    assert 'decode("utf-8")' in source, "strict: the reason for ours"
    for name in ("self._buffer", "self._pos", "self._next_record_index", "def _maybe_uncompress"):
        assert name in source


def test_fetch_is_asked_in_bytes_of_its_schema() -> None:
    request = FetchRequest(500, 1, 1 << 20, 1, [("lanes", [(0, 5, 9), (11, 1 << 40, 9)]), ("ø", [])], rack_id="r1")
    struct = request.build(FetchRequest_v11)
    assert struct.encode() == struct.SCHEMA.encode([getattr(struct, name) for name in struct.SCHEMA.names])


_SIZES = st.integers(0, 2**31 - 1)
_PARTITIONS = st.lists(
    st.tuples(
        _SIZES, st.integers(0, 99), _SIZES, _SIZES, _SIZES,
        st.none() | st.lists(st.tuples(_SIZES, _SIZES), max_size=2), st.just(-1), st.none() | st.binary(max_size=9),
    ),
    max_size=3,
)  # fmt: skip


@given(st.lists(st.tuples(st.text(max_size=3), _PARTITIONS), max_size=3))
def test_answer_to_fetch_is_read_by_its_schema(topics: list[Any]) -> None:
    encoded = FetchResponse_v11(1, 0, 7, topics).encode()
    found = FetchResponse_v11.decode(BytesIO(encoded))
    assert FetchResponse_v11.decode(encoded) == found
    assert found == FetchResponse_v11(
        *[field.decode(data) for data in [BytesIO(encoded)] for field in found.SCHEMA.fields]
    )


_STATES = st.tuples(
    st.integers(0, 3), st.none() | st.integers(0, 9), st.booleans(), st.sampled_from([None, None, 0.0, 0.1])
)


@given(st.dictionaries(st.tuples(st.sampled_from("ab"), st.integers(0, 3)), _STATES), st.sets(st.just(1)))
def test_fetch_is_decided_on_as_by_aiokafka(partitions: dict[Any, Any], in_flight: set[int]) -> None:
    known = {TopicPartition(*place): state for place, state in partitions.items()}
    of = SimpleNamespace(
        _in_flight=in_flight, _preferred_read_replica={}, _records={}, _client=SimpleNamespace(cluster=SimpleNamespace()),
        _max_partition_fetch_bytes=9, _fetch_max_wait_ms=8, _fetch_min_bytes=7, _fetch_max_bytes=6, _isolation_level=0,
        _client_rack=None, _fetcher_timeout=5.0, sparing=None,
    )  # fmt: skip
    of._client.cluster.leader_for_partition = lambda tp: known[tp][0] - 1 or None  # absent, unknown, or node 1 or 2
    of._select_read_replica = of._client.cluster.leader_for_partition
    states = {
        tp: SimpleNamespace(
            _position=position, position=position, has_valid_position=position is not None,
            _paused=paused, paused=paused, resume_fut=str(tp),
        )
        for tp, (_, position, paused, _) in known.items()
    }  # fmt: skip
    assignment = SimpleNamespace(tps=list(known), _tp_state=states, state_value=states.get)
    for tp, (*_, unread) in known.items():
        if unread is not None:
            of._records[tp] = SimpleNamespace(calculate_backoff=lambda seconds=unread: seconds)

    def shown(actions: Any) -> Any:
        requests, resets, wait, is_unknown, paused = actions
        asked = {
            (node, topic, place) for node, request in requests for topic, places in request.topics for place in places
        }
        return asked, dict(resets), wait, is_unknown, sorted(paused)

    assert shown(clients._fetch_actions(of, assignment)) == shown(clients._AIOKAFKA_ACTIONS(of, assignment))


def test_fetcher_decides_where_ours_does() -> None:
    assert "self._get_actions_per_node(assignment)" in inspect.getsource(fetcher.Fetcher)
    assert fetcher.Fetcher._get_actions_per_node is clients._fetch_actions
    assert "self._fetcher = Fetcher(" in inspect.getsource(AIOKafkaConsumer.start)
    assert fetcher.Fetcher.sparing is None, "of a consumer that sets none"
    assert fetcher.TopicPartition("lanes", 1) == TopicPartition("lanes", 1)
    state = inspect.getsource(TopicPartitionState)
    assert all(f"return self.{name}\n" in state for name in ("_position", "_paused", "_resume_fut"))
    assert "self._tp_state.get(tp)" in inspect.getsource(Assignment.state_value)


def test_every_consumer_reads_any_header_name() -> None:
    sources = [path for package in ("streams", "agents") for path in Path(package).rglob("*.py")]
    wanted = [path for path in sources if "AIOKafkaConsumer(" in path.read_text(encoding="utf-8")]
    assert len(wanted) > 4
    ours = re.compile(r"clients import .*AIOKafkaConsumer")
    elsewhere = [path for path in wanted if not ours.search(path.read_text(encoding="utf-8"))]
    assert [path.name for path in elsewhere] == ["clients.py"]
    assert "aiokafka.AIOKafkaConsumer(" in inspect.getsource(AIOKafkaConsumerThread)
