"""The shell over a running worker: a fold of bytes, its letters, its rows, and what it refuses."""

import asyncio
from collections.abc import Sequence

import pytest
from faust.types import TP

from agents.worker.app import readiness
from agents.worker.shell import Limits
from agents.worker.tables import is_own_row, position_key
from streams.kafka.clients import partition_of
from streams.kafka.records import ProducerRecord, Record, header
from streams.kafka.sender import Refusal
from streams.kafka.topics import DEAD_LETTERS, LANES
from streams.words.errors import Rejected
from tests.agents.conftest import Bench, Build
from tests.agents.one_lane import ShellLane
from tests.brokers import at_least, fresh, put, records, until

CPR = b"2512489996"


def concatenate(row: bytes | None, record: Record) -> tuple[bytes | None, Sequence[ProducerRecord]]:
    """The stage under test: a row is the values seen so far; every value gives one letter with the row."""
    out = record.topic.replace(".in", ".out")
    match record.value:
        case b"reject":
            raise Rejected("value", "unwanted", "send another", "unwanted")
        case b"bug":
            raise KeyError(CPR.decode())
        case b"huge":
            return b"x" * (2 << 20), ()
        case b"forget":
            return None, [ProducerRecord(out, record.key, b"forgotten")]
        case value:
            new = (row or b"") + (value or b"-")
            return (new if record.key else None), [ProducerRecord(out, record.key, new)]


async def dead_letters_of(bench: Bench, number: int) -> list[Record]:
    async def enough() -> list[Record] | None:
        found = [
            record
            for record in await records(bench.bootstrap, DEAD_LETTERS)
            if header(record.headers, "dlq.original-topic") == bench.source.encode()
        ]
        return found if len(found) >= number else None

    return await until(enough)


async def settled(bench: Bench, number: int) -> None:
    """Until the positions of the table add up to `number` records taken."""

    async def taken() -> bool:
        marks = [bench.table.get(partition, position_key(bench.source, partition)) for partition in range(4)]
        return sum(int(mark or 0) for mark in marks) >= number

    await until(taken)


async def test_stage_folds_in_order_and_sends_each_letter(bench: Build) -> None:
    async with bench(concatenate) as b:
        assert readiness(b.app).ready
        await put(b.bootstrap, b.source, [(b"k%d" % (n % 5), b"%d" % n) for n in range(20)])
        letters = await at_least(b.bootstrap, b.out, 20)
        await settled(b, 20)
        rows = b.rows()
    by_key = {key: [r.value for r in letters if r.key == key] for key in {r.key for r in letters}}
    assert by_key[b"k0"] == [b"0", b"05", b"0510", b"051015"]
    assert rows == {key: values[-1] for key, values in by_key.items()}


async def test_poison_reaches_stage_and_costs_no_neighbour(bench: Build) -> None:
    poison = [(None, b"a"), (b"", b"b"), (b"k", None), (b"k", b""), (b"k", b"\xff\x00"), (b"\0position/x/0", b"c")]
    async with bench(concatenate) as b:
        await put(b.bootstrap, b.source, [*poison, (b"good", b"1")])
        letters = await at_least(b.bootstrap, b.out, 6)
        [dead_lettered] = await dead_letters_of(b, 1)
    assert sorted((r.key, r.value) for r in letters if r.key) == [
        (b"good", b"1"),
        (b"k", b"-"),
        (b"k", b"--"),
        (b"k", b"--\xff\x00"),
    ]
    assert sorted(r.value or b"" for r in letters if not r.key) == [b"a", b"b"]
    assert dead_lettered.key == b"\0position/x/0", "a key in the form of the table's own rows can carry no row"


async def test_header_name_is_copied_whole(bench: Build) -> None:
    async with bench(concatenate) as b:
        await put(b.bootstrap, b.source, [(b"k", b"reject")], headers=[("moved-from\0x", b"1")])
        [letter] = await dead_letters_of(b, 1)
    assert header(letter.headers, "moved-from\\x00x") == b"1"
    assert header(letter.headers, "moved-from") is None


async def test_bug_costs_one_record_and_shows_no_content(bench: Build) -> None:
    async with bench(concatenate) as b:
        values = [b"1", b"bug", b"2", b"reject", b"3"]
        await put(b.bootstrap, b.source, [(b"k", v) for v in values], headers=[("feed", b"EPJ")])
        letters = await at_least(b.bootstrap, b.out, 3)
        bug, rejected = sorted(await dead_letters_of(b, 2), key=lambda r: r.value or b"", reverse=False)
    assert [r.value for r in letters] == [b"1", b"12", b"123"]
    assert (bug.key, bug.value, header(bug.headers, "feed")) == (b"k", b"bug", b"EPJ")
    assert header(bug.headers, "dlq.error-code") == b"internal-error"
    assert header(rejected.headers, "dlq.error-message") == b"value: unwanted; send another"
    assert header(rejected.headers, "kafka_dlt-original-topic") == b.source.encode()
    assert not [value for _, value in bug.headers if CPR in value], "an exception's text may hold content"
    assert CPR.decode() not in str(b.reported)


async def test_on_fault_letters_leave_beside_dead_letter(bench: Build) -> None:
    def on_fault(row: bytes | None, record: Record, fault: Exception) -> tuple[bytes | None, Sequence[ProducerRecord]]:
        if record.value == b"bug":
            return row, [ProducerRecord(record.topic.replace(".in", ".out"), record.key, type(fault).__name__.encode())]
        raise RuntimeError("the second fault must not hide the first")

    async with bench(concatenate, on_fault=on_fault) as b:
        await put(b.bootstrap, b.source, [(b"k", b"bug"), (b"k", b"reject"), (b"k", b"1")])
        letters = await at_least(b.bootstrap, b.out, 2)
        await dead_letters_of(b, 2)
    assert [r.value for r in letters] == [b"KeyError", b"1"]


async def test_row_too_large_for_changelog_is_dead_lettered(bench: Build) -> None:
    async with bench(concatenate) as b:
        await put(b.bootstrap, b.source, [(b"k", b"1"), (b"k", b"huge"), (b"k", b"2")])
        letters = await at_least(b.bootstrap, b.out, 2)
        [dead_lettered] = await dead_letters_of(b, 1)
    assert [r.value for r in letters] == [b"1", b"12"]
    assert header(dead_lettered.headers, "dlq.error-code") == b"too-large"


async def test_many_too_large_records_do_not_end_worker(bench: Build) -> None:
    """A sender may repeat the same message all night: that is no fault in every record."""
    async with bench(concatenate, limits=Limits(faults_in_a_row=3)) as b:
        await put(b.bootstrap, b.source, [(b"k", b"huge")] * 8 + [(b"k", b"1")])
        await dead_letters_of(b, 8)
        [letter] = await at_least(b.bootstrap, b.out, 1)
    assert letter.value == b"1"


async def test_record_whose_letter_is_too_large_is_dead_lettered(bench: Build) -> None:
    """Nobody can take it, so a worker that left would meet it again for ever."""

    def quoting(row: bytes | None, record: Record) -> tuple[bytes | None, Sequence[ProducerRecord]]:
        output = b"x" * (1 << 20) if record.value == b"huge" else b"small"
        return record.value, [ProducerRecord(OUT[0], record.key, b"before"), ProducerRecord(OUT[0], record.key, output)]

    async with bench(quoting) as b:
        OUT[0] = b.out
        await put(b.bootstrap, b.source, [(b"k", b"huge"), (b"k", b"1")])
        [dead_lettered] = await dead_letters_of(b, 1)
        letters = await at_least(b.bootstrap, b.out, 2)
        await settled(b, 2)
        rows = b.rows()
    assert (dead_lettered.value, header(dead_lettered.headers, "dlq.error-code")) == (b"huge", b"too-large")
    assert [letter.value for letter in letters] == [b"before", b"small"]
    assert rows == {b"k": b"1"}


async def test_faults_in_every_record_end_worker_unacknowledged(bench: Build) -> None:
    async with bench(concatenate, limits=Limits(faults_in_a_row=3)) as b:
        await put(b.bootstrap, b.source, [(b"k", b"bug")] * 4)
        assert "4 faults of ours in a row" in await b.departure()
        assert not await committed(b), "the worker left, so these records come again"


async def committed(bench: Bench) -> dict[object, int]:
    """Offsets the group has committed, by partition; only those above 0."""
    from aiokafka import AIOKafkaConsumer, TopicPartition

    reader = AIOKafkaConsumer(bootstrap_servers=bench.bootstrap, group_id=bench.app.conf.id, enable_auto_commit=False)
    await reader.start()
    try:
        tps = [TopicPartition(bench.source, p) for p in range(4)]
        offsets = {tp: await reader.committed(tp) for tp in tps}
        return {tp: offset for tp, offset in offsets.items() if offset}
    finally:
        await reader.stop()


def to_nowhere(row: bytes | None, record: Record) -> tuple[bytes | None, Sequence[ProducerRecord]]:
    """A stage whose first letter goes to a topic that nobody created."""
    return b"SENT", [
        ProducerRecord(fresh("nowhere"), record.key, b"letter", (("n", b"1"),), refusable=record.value != b"firm")
    ]


def back_to_created(
    row: bytes | None, record: Record, refusal: Refusal
) -> tuple[bytes | None, Sequence[ProducerRecord]]:
    assert row == b"SENT"
    return b"CREATED", [ProducerRecord(OUT[0], refusal.letter.key, refusal.reason.encode())]


OUT = [""]


async def test_refused_letter_comes_back_to_stage_at_once(bench: Build) -> None:
    async with bench(to_nowhere, on_refused=back_to_created) as b:
        OUT[0] = b.out
        await put(b.bootstrap, b.source, [(b"k", b"1")])
        [letter] = await at_least(b.bootstrap, b.out, 1, limit=5.0)
        await settled(b, 1)
        rows = b.rows()
    assert (letter.key, letter.value, rows) == (b"k", b"topic-missing", {b"k": b"CREATED"})


async def test_letter_too_large_is_refused_before_broker_sees_it(bench: Build) -> None:
    def large(row: bytes | None, record: Record) -> tuple[bytes | None, Sequence[ProducerRecord]]:
        return b"SENT", [ProducerRecord(OUT[0], record.key, b"x" * (1 << 20), refusable=True)]

    async with bench(large, on_refused=back_to_created) as b:
        OUT[0] = b.out
        await put(b.bootstrap, b.source, [(b"k", b"1")])
        [letter] = await at_least(b.bootstrap, b.out, 1)
    assert letter.value == b"too-large"


async def test_letter_that_may_not_be_refused_makes_worker_leave(bench: Build) -> None:
    async with bench(to_nowhere, on_refused=back_to_created) as b:
        await put(b.bootstrap, b.source, [(b"k", b"firm")])
        assert "topic-missing" in await b.departure()
        assert not b.rows()


async def test_records_dropped_before_commit_return_after_rebalance(bench: Build) -> None:
    async with bench(concatenate) as b:
        consumer, place = b.app.consumer, TP(b.source, partition_of(b"k", 4))
        consumer.stop_flow()
        b.app.flow_control.suspend()
        await put(b.bootstrap, b.source, [(b"k", b"1"), (b"k", b"2"), (b"k", b"3")])
        await consumer.seek_wait({place: 2})  # two were fetched, and thrown away when the rebalance began
        await consumer.perform_seek()
        b.app.flow_control.resume()
        consumer.resume_flow()
        assert [letter.value for letter in await at_least(b.bootstrap, b.out, 3)] == [b"1", b"12", b"123"]


async def test_hole_in_offsets_makes_worker_leave(bench: Build) -> None:
    name, partition = fresh("worker"), partition_of(b"k", 4)
    async with bench(concatenate, name=name) as b:
        await put(b.bootstrap, b.source, [(b"k", b"1"), (b"k", b"2"), (b"k", b"3")])
        await settled(b, 3)
    # A skip: the fourth record is delivered where the second is expected.
    async with bench(concatenate, name=name, create=False) as b:
        await b.table.write(partition, {position_key(b.source, partition): b"1"})
        await put(b.bootstrap, b.source, [(b"k", b"4")])
        assert "expected offset 1, got 3" in await b.departure()
        assert b.rows() == {b"k": b"123"}


async def test_position_behind_committed_offset_is_named(bench: Build) -> None:
    """So it looks when a changelog was emptied, or when a worker that was paused has written over its successor."""
    name, partition = fresh("worker"), partition_of(b"k", 4)
    async with bench(concatenate, name=name) as b:
        await put(b.bootstrap, b.source, [(b"k", b"1"), (b"k", b"2"), (b"k", b"3")])
        await settled(b, 3)
    await put(b.bootstrap, b.changelog, [(position_key(b.source, partition), b"1")], partition=partition)
    begun: list[Bench] = []
    start = asyncio.create_task(bench(concatenate, name=name, create=False, before=begun.append).__aenter__())
    try:
        notified = f"{b.source}/{partition} ({b.changelog}): 3 records are committed and the state knows of 1"
        assert notified in await departure(begun)
    finally:
        start.cancel()
        await asyncio.wait([start])


async def departure(begun: list[Bench]) -> str:
    """Why the worker that is starting left."""

    async def gone() -> str:
        return begun[0].left[0] if begun and begun[0].left else ""

    return str(await until(gone))


@pytest.mark.parametrize("store", ["memory", "rocksdb"])
async def test_rows_and_positions_return_after_restart(bench: Build, store: str) -> None:
    name = fresh("worker")
    async with bench(concatenate, name=name, store=store) as b:
        await put(b.bootstrap, b.source, [(b"k", b"1"), (b"gone", b"1"), (b"gone", b"forget")])
        await settled(b, 3)
    async with bench(concatenate, name=name, store=store, create=False) as b:
        await put(b.bootstrap, b.source, [(b"k", b"2"), (b"gone", b"2")])
        letters = await at_least(b.bootstrap, b.out, 5)
        await settled(b, 5)
        rows = b.rows()
    assert rows == {b"k": b"12", b"gone": b"2"}
    assert [r.value for r in letters if r.key == b"gone"] == [b"1", b"forgotten", b"2"]


async def test_row_in_changelog_follows_record_even_repeat(bench: Build) -> None:
    def seen(row: bytes | None, record: Record) -> tuple[bytes | None, Sequence[ProducerRecord]]:
        return b"seen", [ProducerRecord(record.topic.replace(".in", ".out"), record.key, b"letter")]

    async with bench(seen) as b:
        for number in (1, 2):
            await put(b.bootstrap, b.source, [(b"k", b"1")])

            async def written(number: int = number) -> bool:
                rows = [
                    (r.key, r.value) for r in await records(b.bootstrap, b.changelog) if not is_own_row(r.key or b"")
                ]
                return rows == [(b"k", b"seen")] * number

            await until(written)


async def test_rows_of_one_commit_leave_as_their_newest(bench: Build) -> None:
    async with bench(concatenate, limits=Limits(batch=1)) as b:
        await put(b.bootstrap, b.source, [(b"k", b"%d" % n) for n in range(9)])
        await settled(b, 9)

        async def written() -> list[Record] | None:
            log = [r for r in await records(b.bootstrap, b.changelog) if r.key == b"k"]
            return log if log and log[-1].value == b"012345678" else None

        assert len(await until(written)) < 9


def test_record_behind_committed_position_is_not_taken_again() -> None:
    """Its row and its position are one transaction, and its letter left before that: it is wholly done."""
    before, lane = ShellLane(), ShellLane()
    before.play("A01 08:00").answer()
    events = before.events
    lane.app.repeats[LANES, 0] = range(len(events))
    lane.batch(events)
    assert lane.written_to_kafka == []
    lane.batch(events)
    assert lane.written_to_kafka, "offsets from 0, in a topic that was made again, are taken"


async def test_record_in_wrong_partition_is_sent_to_its_row(bench: Build) -> None:
    right = partition_of(b"k", 4)
    async with bench(concatenate) as b:
        await put(b.bootstrap, b.source, [(b"k", b"1")])
        await put(b.bootstrap, b.source, [(b"k", b"2")], partition=(right + 1) % 4)
        letters = await at_least(b.bootstrap, b.out, 2)
        await settled(b, 3)

        async def written() -> list[Record] | None:
            log = [r for r in await records(b.bootstrap, b.changelog) if r.key == b"k"]
            return log if log and log[-1].value == b"12" else None

        log = await until(written)
    assert [r.value for r in letters] == [b"1", b"12"]
    assert {r.partition for r in log} == {right}
