"""The shell over records that no sender of ours writes: each is dead-lettered, and the next good one is taken."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agents.worker.gaps import Gaps, Skipped, Skips
from agents.worker.shell import Limits
from agents.worker.tables import position_key
from streams.kafka.clients import partition_of
from streams.kafka.decisions import Skip, skip_letters
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.records import ProducerRecord, Record, header
from streams.kafka.topics import CONTROL, LEDGER
from streams.words.errors import Rejected
from tests.agents.conftest import Build
from tests.agents.test_shell import dead_letters_of
from tests.brokers import at_least, fresh, put
from tests.foreign import RawName, foreign_producer, send

Fold = tuple[bytes | None, Sequence[ProducerRecord]]


def choosy(row: bytes | None, record: Record) -> Fold:
    """The stage under test: takes `good`, and nothing else."""
    match record.value:
        case b"good":
            return b"row", [ProducerRecord(record.topic.replace(".in", ".out"), record.key, b"taken")]
        case b"late":
            return None, [ProducerRecord("", None, str(datetime.max.replace(tzinfo=UTC) + timedelta(days=1)).encode())]
        case b"bug":
            raise KeyError
    raise Rejected("$", "unwanted", "send another", "unwanted")


def forgetful(row: bytes | None, record: Record) -> Fold:
    return None, [ProducerRecord(record.topic.replace(".in", ".out"), b"k", b"taken")]


def failing() -> None:
    raise ValueError


LARGE = b"x" * (17 << 20)

RECORDS = {
    "no key and no value": (None, None, []),
    "empty key and value": (b"", b"", []),
    "a key of our own form": (b"\0position/x/0", b"x", []),
    "a large key": (LARGE, b"x", []),
    "a large value without a key": (None, LARGE, []),
    "a large header": (b"k", b"x", [("h", LARGE)]),
    "a header name that is not UTF-8": (b"k", b"x", [(RawName(b"\xff\xfe"), b"v")]),
    "an empty header name": (b"k", b"x", [("", b"")]),
    "a count of 5,000 digits": (b"k", b"x", [("dlq.attempts", b"9" * 5000)]),
    "many headers": (b"k", b"x", [(f"h{n}", b"v" * 100) for n in range(5000)]),
}


@pytest.mark.parametrize(("key", "value", "headers"), RECORDS.values(), ids=RECORDS)
async def test_strange_record_is_dead_lettered_and_next_taken(
    bench: Build, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]
) -> None:
    async with bench(choosy, partitions=1) as b:
        async with foreign_producer(b.bootstrap, compression="gzip") as producer:
            await send(producer, b.source, key, value, headers)
        await put(b.bootstrap, b.source, [(b"k", b"good")])
        [letter] = await at_least(b.bootstrap, b.out, 1)
        [dead_lettered] = await dead_letters_of(b, 1)
    assert letter.value == b"taken"
    assert not b.left
    assert header(dead_lettered.headers, "dlq.error-code") == b"unwanted"


@pytest.mark.parametrize("store", ["memory", "rocksdb"])
async def test_key_that_no_changelog_takes_carries_no_row(bench: Build, store: str) -> None:
    async with bench(forgetful, partitions=1, store=store) as b:
        await put(b.bootstrap, b.source, [(b"k" * 2_000_000, b"x"), (b"k", b"good")])
        letters = await at_least(b.bootstrap, b.out, 2)
    assert [letter.value for letter in letters] == [b"taken", b"taken"]
    assert not b.left


async def test_record_with_a_false_move_mark_is_not_folded(bench: Build) -> None:
    right = partition_of(b"k", 4)
    async with bench(choosy) as b:
        more = {"partition": (right + 1) % 4, "headers": [("moved-from", b"x/0/0")]}
        await put(b.bootstrap, b.source, [(b"k", b"good")], **more)
        [dead_lettered] = await dead_letters_of(b, 1)
        await put(b.bootstrap, b.source, [(b"k", b"good")])
        letters = await at_least(b.bootstrap, b.out, 1)
    assert header(dead_lettered.headers, "dlq.error-code") == b"misplaced"
    assert len(letters) == 1


async def test_faults_never_end_worker_that_takes_good_records(bench: Build) -> None:
    async with bench(choosy, limits=Limits(faults_in_a_row=3), probe=lambda: None) as b:
        await put(b.bootstrap, b.source, [(b"k", b"bug")] * 20 + [(b"k", b"good")])
        [letter] = await at_least(b.bootstrap, b.out, 1)
        await dead_letters_of(b, 20)
    assert letter.value == b"taken"
    assert ("faults.of-records", {"stage": "stage", "count": 4}) in b.reported
    assert not b.left


async def test_faults_end_worker_that_can_take_no_record(bench: Build) -> None:
    async with bench(choosy, limits=Limits(faults_in_a_row=3), probe=failing) as b:
        await put(b.bootstrap, b.source, [(b"k", b"bug")] * 4)
        assert "4 faults of ours in a row" in await b.departure()


async def test_value_beyond_computing_is_fault_of_record(bench: Build) -> None:
    async with bench(choosy, limits=Limits(faults_in_a_row=3), probe=failing) as b:
        await put(b.bootstrap, b.source, [(b"k", b"late")] * 8 + [(b"k", b"good")])
        await at_least(b.bootstrap, b.out, 1)
        dead_lettered = await dead_letters_of(b, 8)
    assert {header(letter.headers, "dlq.error-code") for letter in dead_lettered} == {b"out-of-range"}


@pytest.mark.parametrize("store", ["memory", "rocksdb"])
async def test_junk_on_changelog_does_not_end_start(bench: Build, embedded: EmbeddedBroker, store: str) -> None:
    name = fresh("worker")
    async with bench(choosy, name=name, store=store):
        pass
    place = partition_of(b"k", 4)

    mark = position_key(f"{name}.in", place)
    junk = [
        (None, b"junk"),
        (b"", b"junk"),
        (mark, b"9" * 5000),
        (mark, b"junk"),
        (b"\0position", b""),
        (b"k", b"\xff"),
    ]
    await put(embedded.bootstrap, f"{name}-rows-changelog", junk, partition=place)
    async with bench(choosy, name=name, store=store, create=False) as b:
        await put(b.bootstrap, b.source, [(b"k", b"good")])
        [letter] = await at_least(b.bootstrap, b.out, 1)
        rows = b.rows()
    assert letter.value == b"taken"
    assert rows[b"k"] == b"row"


async def test_skipped_record_is_dead_lettered_unread(bench: Build, embedded: EmbeddedBroker) -> None:
    embedded.create_topic(CONTROL, 1)
    embedded.create_topic(LEDGER, 4)
    skips, name = Skips(embedded.bootstrap), fresh("worker")
    skip = Skip(
        origin=f"{name}.in/0/1", reason="ends the worker", actor="operator", at=datetime(2026, 3, 1, tzinfo=UTC)
    )
    junk = [(b"skip/x/0/0", b"junk"), (b"skip/", b""), (b"skip/\xff", b"[" * 9000), (None, b"x"), (b"skip/a/0/0", None)]
    await put(embedded.bootstrap, CONTROL, junk)
    for letter in skip_letters(skip):
        await put(embedded.bootstrap, letter.topic, [(letter.key, letter.value)])
    await skips.refresh()
    async with bench(choosy, name=name, partitions=1, skips=skips) as b:
        await put(b.bootstrap, b.source, [(b"k", b"good")] * 3)
        letters = await at_least(b.bootstrap, b.out, 2)
        [dead_lettered] = await dead_letters_of(b, 1)
    assert [letter.value for letter in letters] == [b"taken", b"taken"]
    assert (dead_lettered.value, header(dead_lettered.headers, "dlq.original-offset")) == (b"good", b"1")
    assert header(dead_lettered.headers, "dlq.error-code") == b"skipped-by-operator"


async def test_broker_that_does_not_answer_explains_no_gap() -> None:
    gaps = Gaps("127.0.0.1:1", standing=0)
    assert not await gaps.is_empty("x", 0, 1, 2)
    with pytest.raises(Skipped):
        await gaps.explained("x", 0, 1, 2)


async def test_one_look_answers_for_gaps_ahead(embedded: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    topic, looks = fresh("gaps"), []
    embedded.create_topic(topic, 1)
    await put(embedded.bootstrap, topic, [(b"k", b"%d" % n) for n in range(10)])
    gaps, look = Gaps(embedded.bootstrap, standing=0), Gaps._look

    async def counted(*words: Any) -> Any:
        looks.append(words)
        return await look(*words)

    monkeypatch.setattr(Gaps, "_look", counted)
    for first in range(9):
        assert not await gaps.is_empty(topic, 0, first, 10)
    assert len(looks) == 2, "one for each kind of reader"
