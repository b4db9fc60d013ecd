"""What a worker makes of Kafka's answers: gaps, refusals, silence, another owner. Kafka itself is stood in for."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import IllegalOperation, InvalidTxnState, KafkaError, ProducerFenced, UnknownError
from faust.types import TP

from agents.worker import gaps as module
from agents.worker import shell
from agents.worker.changelog import Behind, Fence, Fenced, StatePartition
from agents.worker.gaps import Gaps, RetentionLoss, Skipped, Skips, _View, log_loss
from agents.worker.shell import Limits, Stage
from agents.worker.tables import position_key
from agents.worker.timer import caught_up, publish_due
from streams.kafka.records import ProducerRecord
from streams.kafka.sender import Refusal, Unavailable
from streams.relay.standing import Deadlines

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PLACE = StatePartition("stafet-relay-lanes-changelog", 3)


def gaps_with(monkeypatch: pytest.MonkeyPatch, oldest: int, **seen: _View) -> tuple[Gaps, list[str]]:
    """Gaps whose broker keeps records from `oldest` on and has what each kind of reader sees."""
    found, looks = Gaps("x", standing=0.0), []

    async def look(_tp: Any, _first: int, _end: int, isolation: str) -> tuple[int, _View]:
        looks.append(isolation)
        return oldest, seen[isolation]

    monkeypatch.setattr(found, "_look", look)
    return found, looks


@pytest.mark.parametrize(
    ("oldest", "uncommitted", "committed", "answer"),
    [
        (0, (3, 9, []), (3, 9, []), None),
        (0, (3, 9, [8]), (3, 9, []), None),
        (0, (3, 9, [5]), (3, 9, [5]), "skipped"),
        (0, (3, 9, [5]), (3, 6, []), "skipped"),
        (6, (6, 9, []), (6, 9, []), RetentionLoss("t", 0, 3, 6)),
        (20, (20, 20, []), (20, 20, []), RetentionLoss("t", 0, 3, 8)),
    ],
)
async def test_gap_is_explained_by_what_readers_see(
    monkeypatch: pytest.MonkeyPatch,
    oldest: int,
    uncommitted: tuple[int, int, list[int]],
    committed: tuple[int, int, list[int]],
    answer: object,
) -> None:
    views = {"read_uncommitted": _View(*uncommitted), "read_committed": _View(*committed)}
    found, _ = gaps_with(monkeypatch, oldest, **views)
    if answer != "skipped":
        assert await found.explained("t", 0, 3, 8) == answer
        return
    with pytest.raises(
        Skipped, match="t/0: expected offset 3, got 8, and the broker has records in between"
    ) as skipped:
        await found.explained("t", 0, 3, 8)
    assert (skipped.value.topic, skipped.value.partition) == ("t", 0)
    assert (skipped.value.expected, skipped.value.got) == (3, 8)


async def test_no_stretch_is_empty_and_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    found, looks = gaps_with(monkeypatch, 0)
    assert await found.is_empty("t", 0, 5, 5)
    assert looks == []


def test_lost_records_are_logged_with_their_number(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(module, "_log", SimpleNamespace(error=lambda name, **facts: logged.append((name, facts))))
    log_loss(RetentionLoss("adt.raw", 2, 100, 107))
    assert logged == [("records.lost", {"topic": "adt.raw", "partition": 2, "offset": 100, "count": 7})]


async def test_silent_broker_leaves_skips_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(module, "_log", SimpleNamespace(warning=lambda name, **facts: logged.append((name, facts))))

    def failing(*_: Any, **__: Any) -> Any:
        raise KafkaError

    monkeypatch.setattr(module, "read_all", failing)
    skips = Skips("x")
    await skips.refresh()
    assert logged == [("skips.not-read", {"why": "KafkaError"})]


# ---- changelogs ------------------------------------------------------------------------------------------------------


class Producer:
    """Of one partition; `fault` is raised by every call from `begin_transaction` on."""

    def __init__(self, name: str | None, fault: Exception | None = None) -> None:
        self.name, self.fault, self.stopped = name, fault, False

    async def start(self) -> None:
        """At once."""

    async def stop(self) -> None:
        self.stopped = True

    async def send_batch(self) -> None:
        """Never reached."""

    async def begin_transaction(self) -> None:
        if self.fault is not None:
            raise self.fault


def caused(cause: Exception) -> KafkaError:
    error = KafkaError("the end of a transaction")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("fault", "raised"),
    [
        (ProducerFenced(), Fenced),
        (IllegalOperation(), Fenced),
        (caused(UnknownError()), Fenced),
        (caused(InvalidTxnState()), Fenced),
        (caused(ValueError()), Unavailable),
        (KafkaError(), Unavailable),
    ],
)
async def test_refused_row_shows_another_owner_or_no_broker(fault: Exception, raised: type[Exception]) -> None:
    made: list[Producer] = []

    def new_producer(name: str | None) -> Any:
        made.append(Producer(name, fault))
        return made[-1]

    fence = Fence("stafet-relay", new_producer, lambda *_: None, fenced=True)
    with pytest.raises(raised):
        await fence.own([PLACE], lambda _: (b"k", b"v"))
    assert [one.name for one in made] == ["stafet-relay-lanes-3"]
    with pytest.raises(Fenced, match="stafet-relay-lanes-changelog/3 has another owner: this worker was away"):
        await fence.write(PLACE, [(b"k", b"v")])
    with pytest.raises(Fenced):
        await fence.write(StatePartition("other", 0), [(b"k", b"v")])


def test_changelog_that_ends_early_is_named() -> None:
    assert str(Behind(PLACE, 4, 9)) == (
        "stafet-relay-lanes-changelog/3 ends at 4 and the state directory has read 9 records of it: the topic was emptied or "
        "made again; delete the state directory"
    )
    assert str(Fenced(PLACE)).endswith("runs with its worker id (give each its own STAFET_WORKER_ID)")


# ---- timer -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("highwater", "position", "earliest", "empty", "reached"),
    [
        (None, b"5", 0, True, False),
        (5, b"5", 0, False, True),
        (5, b"6", 0, False, True),
        (6, b"5", 0, False, False),
        (6, b"5", 0, True, True),
        (6, None, 6, False, True),
        (6, None, 5, False, False),
        (6, b"junk", 6, False, True),
    ],
)
async def test_partition_is_taken_up_to_its_end(
    highwater: int | None, position: bytes | None, earliest: int, empty: bool, reached: bool
) -> None:
    async def offsets(tp: Any) -> dict[Any, int]:
        return {tp: earliest}

    async def is_empty(*_: Any) -> bool:
        return empty

    app: Any = SimpleNamespace(consumer=SimpleNamespace(highwater=lambda _: highwater, earliest_offsets=offsets))
    table: Any = SimpleNamespace(get=lambda _, key: position if key == position_key("lanes", 1) else None)
    gaps: Any = SimpleNamespace(is_empty=is_empty)
    assert await caught_up(app, table, "lanes", 1, gaps) is reached


class App:
    """A worker that owns one partition; `answer` is what sending gives."""

    def __init__(self, answer: Any) -> None:
        self.rebalancing, self.tables = False, SimpleNamespace(actives_ready=True)
        self.consumer = SimpleNamespace(assignment=lambda: {TP("lanes", 0)})
        self.sender = SimpleNamespace(send=self._send)
        self.answer, self.sent = answer, list[ProducerRecord]()

    async def _send(self, letters: list[ProducerRecord]) -> Any:
        self.sent += letters
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def due_lane() -> Deadlines:
    index = Deadlines()
    index.set(0, b"lane", NOON)
    return index


REFUSED = [Refusal(ProducerRecord("lanes", b"lane", b"x"), "too-large")]


@pytest.mark.parametrize(
    ("answer", "published", "left", "reported"),
    [
        ([], 1, 0, []),
        (REFUSED, 0, 1, [("timer.failed", {"topic": "lanes", "why": "too-large"})]),
        (ValueError("x"), 0, 1, ["timer.failed"]),
    ],
)
async def test_due_lane_stays_until_its_record_is_taken(
    answer: Any, published: int, left: int, reported: list[Any]
) -> None:
    app, index, seen = App(answer), due_lane(), list[Any]()

    async def gate(_: int) -> bool:
        return True

    found = await publish_due(
        app,  # type: ignore[arg-type]  # as far as it is asked
        "lanes",
        index,
        lambda one, _: ProducerRecord("", one.key, b"x"),
        clock=lambda: NOON + timedelta(seconds=1),
        gate=gate,
        report=lambda name, **facts: seen.append((name, facts)),
    )
    assert (found, len(index)) == (published, left)
    assert [letter.topic for letter in app.sent] == ["lanes"]
    assert [one if isinstance(reported[0], tuple) else one[0] for one in seen] == reported
    assert all(facts["topic"] == "lanes" and facts["why"] in ("too-large", "ValueError") for _, facts in seen)


async def test_closed_gate_lets_nothing_out() -> None:
    app, index = App([]), due_lane()

    async def gate(_: int) -> bool:
        return False

    tick = lambda one, _: ProducerRecord("", one.key, b"x")  # noqa: E731
    assert await publish_due(app, "lanes", index, tick, clock=lambda: NOON, gate=gate) == 0  # type: ignore[arg-type]
    assert (app.sent, len(index)) == ([], 1)


# ---- shell -----------------------------------------------------------------------------------------------------------


def test_leaving_says_why_and_ends_with_70(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Any] = []
    monkeypatch.setattr(shell, "_log", SimpleNamespace(critical=lambda name, **facts: said.append((name, facts))))
    monkeypatch.setattr(shell.os, "_exit", said.append)
    monkeypatch.setattr(logging, "shutdown", lambda: said.append("written"))
    shell.leave_now("a reason")
    assert said == [("worker.left", {"why": "a reason"}), "written", 70]


@pytest.mark.parametrize(
    ("key", "usable"),
    [(None, False), (b"", False), (b"k", True), (b"\0k", False), (b"k" * 1024, True), (b"k" * 1025, False)],
)
def test_key_that_may_carry_a_row(key: bytes | None, usable: bool) -> None:
    assert shell._usable_key(key) == (key if usable else None)


def test_record_of_faust_is_the_record_it_was() -> None:
    message: Any = SimpleNamespace(
        topic="t", partition=1, offset=2, key=b"k", value=b"v", headers=[("a\0b", b"1"), ("c", None)], timestamp=1.5
    )
    found = shell._record_of(message)
    assert tuple(found) == ("t", 1, 2, b"k", b"v", (("a\\x00b", b"1"), ("c", b"")), 1500)
    bare = SimpleNamespace(topic="t", partition=1, offset=2, key=None, value=None, headers={"a": b"1"}, timestamp=None)
    assert tuple(shell._record_of(bare))[5:] == ((("a", b"1"),), 0)  # type: ignore[arg-type]


def test_stage_without_a_table_expects_nothing() -> None:
    stage = Stage("stage", ("a", "b"), lambda row, _: (row, ()))
    assert (stage.sources, stage.position_table) == (("a", "b"), None)
    assert Stage("stage", "a", stage.step).sources == ("a",)
    event: Any = SimpleNamespace(message=SimpleNamespace(topic="a", partition=0, offset=5, key=b"k"))
    batch = shell._Batch(stage)
    assert (batch.expected(event), batch.row(event)) == (0, None)
    assert asyncio.iscoroutinefunction(shell._Shell.take)
    assert Limits() == Limits(200, 45.0, 10, 3, (1 << 20) - 4096)
