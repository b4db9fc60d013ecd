"""The timer over a running worker: into the lane, once, in the right partition, again after a restart."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from agents.worker import timer
from agents.worker.changelog import Restoring
from agents.worker.timer import caught_up, keep_index, publish_due
from streams.kafka.clients import partition_of
from streams.kafka.records import ProducerRecord, Record
from streams.relay.standing import Deadlines, Due
from tests.agents.conftest import NOON, Bench, Build
from tests.brokers import at_least, fresh, put, records, until


def deadline_of(row: bytes) -> datetime | None:
    return NOON + timedelta(minutes=int(row)) if row.isdigit() else None


def remember(row: bytes | None, record: Record) -> tuple[bytes | None, Sequence[ProducerRecord]]:
    """The row is what arrived: minutes after noon, or `tick` once the timer has spoken."""
    return record.value, [ProducerRecord(record.topic.replace(".in", ".out"), record.key, record.value)]


def tick(due: Due, now: datetime) -> ProducerRecord:
    return ProducerRecord("", due.key, b"tick")


class Kept(Deadlines):
    """Deadlines as the index of a table, which counts how often it was made."""

    made = 0

    def begin(self) -> None:
        self.made += 1


async def always(_partition: int) -> bool:
    return True


async def ring(b: Bench, index: Deadlines, minutes: int, gate: Any = always) -> int:
    return await publish_due(b.app, b.source, index, tick, clock=lambda: NOON + timedelta(minutes=minutes), gate=gate)


async def test_due_lane_is_published_once_into_its_partition(bench: Build) -> None:
    index = Deadlines()
    on_row = lambda key, row, partition: index.set(partition, key, deadline_of(row))  # noqa: E731
    async with bench(remember, on_row=on_row) as b:
        await put(b.bootstrap, b.source, [(b"a", b"10"), (b"b", b"20"), (b"c", b"never")])
        await until(lambda: asyncio.sleep(0, len(index) == 2))
        assert await ring(b, index, 9) == 0
        assert await ring(b, index, 10) == 1
        assert await ring(b, index, 10) == 0
        [a] = [r for r in await at_least(b.bootstrap, b.source, 4) if r.value == b"tick"]
    assert (a.key, a.partition) == (b"a", partition_of(b"a", 4))


async def test_closed_gate_keeps_tick_for_later(bench: Build) -> None:
    index = Deadlines()
    index.set(partition_of(b"a", 4), b"a", NOON)

    async def closed(_partition: int) -> bool:
        return False

    async with bench(remember) as b:
        assert await ring(b, index, 1, closed) == 0
        assert await ring(b, index, 1) == 1


async def test_failing_timer_is_logged_and_does_not_raise(bench: Build) -> None:
    index, notified = Deadlines(), list[str]()
    index.set(0, b"a", NOON)

    def broken(due: Due, now: datetime) -> ProducerRecord:
        raise KeyError("2512489996")

    async with bench(remember) as b:
        rung = await publish_due(
            b.app, b.source, index, broken, clock=lambda: NOON, gate=always,
            report=lambda event, **facts: notified.append(f"{event} {facts}"),
        )  # fmt: skip
    assert rung == 0
    assert notified
    assert notified[0].startswith("timer.failed")
    assert "2512489996" not in notified[0]


async def test_lane_without_tick_holds_no_other_up(bench: Build) -> None:
    """Its row cannot be read, or its key is none of ours: every later lane would wait behind it for ever."""
    index, notified = Deadlines(), list[str]()
    index.set(0, b"bad", NOON - timedelta(minutes=1))
    for partition, key in ((0, b"a"), (3, b"c")):
        index.set(partition, key, NOON)

    def picky(due: Due, now: datetime) -> ProducerRecord:
        return ProducerRecord("", due.key, {b"a": b"tick", b"c": b"tick"}[due.key])

    async def rung(b: Bench) -> int:
        return await publish_due(
            b.app,
            b.source,
            index,
            picky,
            clock=lambda: NOON,
            gate=always,
            report=lambda event, **_: notified.append(event),
        )

    async with bench(remember) as b:
        assert [await rung(b), await rung(b)] == [2, 0]
        await at_least(b.bootstrap, b.source, 2)
    assert notified == ["timer.failed"]


async def test_unreadable_row_is_left_out_of_index(bench: Build) -> None:
    name, index, notified = fresh("worker"), Kept(), list[str]()
    async with bench(remember, name=name) as b:
        await put(b.bootstrap, b.source, [(b"%d" % n, b"10" if n % 2 else b"torn") for n in range(10)])
        await at_least(b.bootstrap, b.out, 10)

    def strict(row: bytes) -> datetime | None:
        return NOON + timedelta(minutes=int(row))

    def keep(b: Bench) -> None:
        keep_index(b.app, b.table, b.source, index, strict, lambda event, **_: notified.append(event))

    async with bench(remember, name=name, create=False, before=keep):
        assert len(index) == 5
    assert notified == ["row.unreadable"] * 5


async def test_loop_goes_on_while_index_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timer, "_TURN", -1.0)  # each row a turn of its own
    app: Any = SimpleNamespace(restoring=Restoring())
    table: Any = SimpleNamespace(rows=lambda: ((0, b"%d" % n, b"10") for n in range(50)))
    index = Kept()
    keep_index(app, table, "in", index, deadline_of)
    for is_cut_off in (True, False):
        making, turns = asyncio.create_task(table.when_whole()), 0
        while not making.done():
            await asyncio.sleep(0)
            turns += 1
            if is_cut_off and turns == 10:
                making.cancel()  # another rebalance
    assert turns > 50
    assert (len(index), index.made) == (50, 1)


async def test_index_returns_from_rows_after_restart(bench: Build) -> None:
    name, index = fresh("worker"), Kept()
    async with bench(remember, name=name) as b:
        await put(b.bootstrap, b.source, [(b"a", b"10"), (b"b", b"never")])
        await at_least(b.bootstrap, b.out, 2)
    async with bench(
        remember, name=name, create=False, before=lambda b: keep_index(b.app, b.table, b.source, index, deadline_of)
    ) as b:
        assert (len(index), index.made) == (1, 1)
        assert await ring(b, index, 10) == 1
        await at_least(b.bootstrap, b.source, 3)
    assert [r.value for r in await records(b.bootstrap, b.source) if r.key == b"a"] == [b"10", b"tick"]


async def test_partition_is_caught_up_at_high_water(bench: Build) -> None:
    async with bench(remember) as b:
        await put(b.bootstrap, b.source, [(b"a", b"1")] * 3)
        await until(lambda: caught_up(b.app, b.table, b.source, partition_of(b"a", 4)))
        empty = (partition_of(b"a", 4) + 1) % 4
        await until(lambda: caught_up(b.app, b.table, b.source, empty))
