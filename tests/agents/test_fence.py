"""The fence on a real broker: whoever has lost a partition writes nothing there any more, and learns it."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from aiokafka.errors import IllegalOperation, InvalidTxnState, KafkaConnectionError, KafkaError, UnknownError

from agents.worker.changelog import Behind, Fence, Fenced, Restoring, Rows, StatePartition, restore
from streams.kafka.clients import read_all, state_producer
from streams.kafka.local import LocalBroker
from streams.kafka.sender import Unavailable
from tests.brokers import fresh, prepared, until

pytestmark = [pytest.mark.real, pytest.mark.timeout(90)]


class Worker:
    """A fence and what reached its store."""

    def __init__(self, broker: LocalBroker, app: str, name: str) -> None:
        self.name, self.stored = name, dict[StatePartition, dict[bytes, bytes | None]]()
        self.read = dict[StatePartition, int]()
        self.fence = Fence(app, lambda ident: state_producer(broker.bootstrap, ident), self.apply, fenced=True)

    def apply(self, place: StatePartition, rows: Rows, last: int) -> None:
        self.stored.setdefault(place, {}).update(rows)
        self.read[place] = last + 1

    async def own(self, *places: StatePartition) -> None:
        await self.fence.own(places, lambda place: (b"\0owner", self.name.encode()))


class Scene:
    """A changelog of four partitions and the workers of one application."""

    def __init__(self, broker: LocalBroker) -> None:
        self.broker, self.app = broker, fresh("app")
        self.log = f"{self.app}-rows-changelog"
        self.workers: list[Worker] = []
        prepared(broker, self.log)

    def place(self, partition: int) -> StatePartition:
        return StatePartition(self.log, partition)

    def worker(self, name: str) -> Worker:
        self.workers.append(Worker(self.broker, self.app, name))
        return self.workers[-1]

    def read_to(self, worker: Worker, partition: int) -> int | None:
        """How far the worker knows the changelog by its own writes."""
        return worker.read.get(self.place(partition))

    async def rows(self, partition: int) -> list[tuple[bytes | None, bytes | None]]:
        found = read_all(self.broker.bootstrap, [self.log], committed=True)
        return [(one.key, one.value) async for one in found if one.partition == partition and one.key != b"\0owner"]

    async def restored(self, partition: int, start: int | None = None) -> list[tuple[bytes, bytes]]:
        taken: list[tuple[bytes, bytes]] = []

        def take(_place: StatePartition, records: Iterable[Any]) -> None:
            taken.extend((one.key, one.value) for one in records if one.key != b"\0owner")

        client = {"bootstrap_servers": self.broker.bootstrap}
        await restore(client, {self.place(partition): start}, take, Restoring())
        return taken


@asynccontextmanager
async def scene(broker: LocalBroker) -> AsyncIterator[Scene]:
    made = Scene(broker)
    try:
        yield made
    finally:
        for worker in made.workers:
            await worker.fence.close()


async def test_paused_worker_changes_nothing_after_its_successor(real: LocalBroker) -> None:
    async with scene(real) as s:
        paused, successor, place = s.worker("w1"), s.worker("w2"), s.place(0)
        await paused.own(place)
        await paused.fence.write(place, [(b"k", b"committed")])
        await paused.fence.commit()
        await paused.fence.write(place, [(b"k", b"open when it was paused")])
        await successor.own(place)
        await successor.fence.write(place, [(b"k", b"newer")])
        await successor.fence.commit()
        with pytest.raises(Fenced, match=rf"{s.log}/0 has another owner"):
            await paused.fence.commit()
        with pytest.raises(Fenced):
            await paused.fence.write(place, [(b"k", b"after the pause")])
        with pytest.raises(Fenced):
            await paused.fence.commit()
        assert await s.rows(0) == [(b"k", b"committed"), (b"k", b"newer")]
        assert paused.stored[place][b"k"] == b"committed", "a store holds only what counts"


async def test_quiet_worker_learns_its_loss_at_next_rebalance(real: LocalBroker) -> None:
    async with scene(real) as s:
        paused, successor = s.worker("w1"), s.worker("w2")
        await paused.own(s.place(0), s.place(1))
        await successor.own(s.place(0))
        with pytest.raises(Fenced):
            await paused.own(s.place(0), s.place(1))


async def test_worker_that_has_lost_one_takes_no_other(real: LocalBroker) -> None:
    async with scene(real) as s:
        paused, successor = s.worker("w1"), s.worker("w2")
        await paused.own(s.place(0))
        await successor.own(s.place(0), s.place(1))
        with pytest.raises(Fenced):
            await paused.own(s.place(0), s.place(1))
        await successor.fence.write(s.place(1), [(b"k", b"mine")])
        await successor.fence.commit()
        assert await s.rows(1) == [(b"k", b"mine")]


async def test_rows_count_when_they_are_committed_and_not_before(real: LocalBroker) -> None:
    async with scene(real) as s:
        worker, place = s.worker("w1"), s.place(2)
        await worker.own(place)
        for value in (b"1", b"2"):
            await worker.fence.write(place, [(b"k", value), (b"gone", None)])
        assert worker.fence.pending(place) == {b"k": b"2", b"gone": None}
        assert await s.rows(2) == []
        assert b"k" not in worker.stored[place]
        await worker.fence.commit()
        assert worker.fence.pending(place) == {}
        assert worker.stored[place][b"k"] == b"2"
        assert await s.rows(2) == [(b"k", b"2"), (b"gone", None)], "of several rows of one key the newest"


async def test_rows_noted_during_commit_are_pending_beside_it(real: LocalBroker) -> None:
    async with scene(real) as s:
        worker, place = s.worker("w1"), s.place(2)
        await worker.own(place)
        await worker.fence.write(place, [(b"a", b"1"), (b"b", b"1")])
        committing = asyncio.create_task(worker.fence.commit())
        await turns(2)
        await worker.fence.write(place, [(b"b", b"2"), (b"c", b"2")])
        assert dict(worker.fence.pending(place)) == {b"a": b"1", b"b": b"2", b"c": b"2"}
        await committing
        assert worker.fence.pending(place) == {b"b": b"2", b"c": b"2"}
        await worker.fence.commit()
        assert await s.rows(2) == [(b"a", b"1"), (b"b", b"1"), (b"b", b"2"), (b"c", b"2")]


async def test_worker_long_without_commit_asks_before_it_goes_on(real: LocalBroker, monkeypatch: Any) -> None:
    async with scene(real) as s:
        paused, successor, place = s.worker("w1"), s.worker("w2"), s.place(1)
        await paused.own(place)
        await successor.own(place)
        monkeypatch.setattr("agents.worker.changelog._UNASKED", 0.0)
        with pytest.raises(Fenced, match="has another owner"):
            await paused.fence.write(place, [(b"k", b"after the pause")])


async def test_commit_behind_one_that_failed_fails(real: LocalBroker) -> None:
    async with scene(real) as s:
        paused, successor, place = s.worker("w1"), s.worker("w2"), s.place(1)
        await paused.own(place)
        await paused.fence.write(place, [(b"k", b"v")])
        await successor.own(place)
        ends = await asyncio.gather(paused.fence.commit(), paused.fence.commit(), return_exceptions=True)
        assert [type(end) for end in ends] == [Fenced, Fenced]


async def test_many_rows_keep_their_order_over_several_batches(real: LocalBroker) -> None:
    rows = [(b"%06d" % n, bytes(2_000)) for n in range(1_500)]  # six times what a batch holds
    async with scene(real) as s:
        worker, place = s.worker("w1"), s.place(0)
        await worker.own(place)
        await worker.fence.write(place, rows)
        await worker.fence.commit()
        assert await s.restored(0) == rows


async def test_changelog_ending_in_marks_is_read_whole(real: LocalBroker) -> None:
    """Faust's own recovery would wait for ever: no consumer sees the mark of a transaction."""
    async with scene(real) as s:
        worker, place = s.worker("w1"), s.place(3)
        assert await s.restored(3) == []
        await worker.own(place)
        for value in (b"1", b"2", b"3"):
            await worker.fence.write(place, [(b"k", value)])
            await worker.fence.commit()
        assert await s.restored(3) == [(b"k", b"1"), (b"k", b"2"), (b"k", b"3")]
        assert await s.restored(3, start=2) == [(b"k", b"1"), (b"k", b"2"), (b"k", b"3")]


async def test_what_killed_worker_left_open_is_not_restored(real: LocalBroker) -> None:
    async with scene(real) as s:
        killed, successor, place = s.worker("w1"), s.worker("w2"), s.place(0)
        await killed.own(place)
        await killed.fence.write(place, [(b"k", b"committed")])
        await killed.fence.commit()
        await killed.fence.write(place, [(b"k", b"open")])
        await successor.own(place)
        assert await s.restored(0) == [(b"k", b"committed")]


async def test_changelog_that_was_made_again_is_named(real: LocalBroker) -> None:
    async with scene(real) as s:
        with pytest.raises(Behind, match=r"ends at 0 and the state directory has read 7 records"):
            await s.restored(1, start=7)


async def test_kept_partition_is_never_behind_its_own_claim(real: LocalBroker) -> None:
    """The mark of a commit comes a moment after it; until then the last stable offset is that of before."""
    async with scene(real) as s:
        worker = s.worker("w1")
        for _ in range(15):
            await worker.own(*(s.place(partition) for partition in range(4)))
            for partition in range(4):
                assert await s.restored(partition, start=s.read_to(worker, partition)) == []


async def test_open_transaction_of_stranger_is_waited_for_and_named(real: LocalBroker) -> None:
    async with scene(real) as s:
        worker, place, restoring = s.worker("w1"), s.place(1), Restoring()
        stranger = state_producer(real.bootstrap, fresh("stranger"))
        await stranger.start()
        await stranger.begin_transaction()
        await stranger.send_and_wait(s.log, b"junk", key=b"k", partition=1)
        await worker.own(place)
        await worker.fence.write(place, [(b"k", b"ours")])
        await worker.fence.commit()
        taken: list[bytes] = []

        def take(_place: StatePartition, records: Iterable[Any]) -> None:
            taken.extend(one.value for one in records if one.key != b"\0owner")

        reading = asyncio.create_task(restore({"bootstrap_servers": real.bootstrap}, {place: None}, take, restoring))
        try:

            async def named() -> bool:
                return f"{s.log}/1 has an open transaction at offset 0" in str(restoring)

            await until(named)
            assert taken == []
            await stranger.abort_transaction()
            await asyncio.wait_for(reading, 20)
        finally:
            reading.cancel()
            await stranger.stop()
        assert taken == [b"ours"]


# ---- a rebalance that cuts in, and an end without an answer -----------------------------------------------------------


async def turns(number: int) -> None:
    """Lets everything else go on for that many turns of the loop."""
    for _ in range(number):
        await asyncio.sleep(0)


class Producer:
    """A producer that takes a while to start and everything else at once; `made` counts those that nobody has stopped."""

    made: ClassVar[set["Producer"]] = set()

    def __init__(self) -> None:
        self.commits: Exception | None = None

    async def start(self) -> None:
        await turns(5)
        Producer.made.add(self)

    async def stop(self) -> None:
        Producer.made.discard(self)

    async def begin_transaction(self) -> None:
        """Nothing."""

    async def commit_transaction(self) -> None:
        if self.commits is not None:
            raise self.commits

    def create_batch(self) -> Any:
        return SimpleNamespace(append=lambda **_row: ())

    async def send_batch(self, _batch: Any, _topic: str, partition: int) -> Any:
        sent = asyncio.get_running_loop().create_future()
        sent.set_result(SimpleNamespace(offset=0))
        return sent


def fence_of(*producers: Producer) -> Fence:
    ready = iter(producers)
    return Fence("app", lambda _name: next(ready, None) or Producer(), lambda *_words: None, fenced=True)


async def test_no_producer_is_left_behind_when_rebalance_cuts_in() -> None:
    Producer.made.clear()
    fence, places = fence_of(), [StatePartition("app-rows-changelog", number) for number in range(12)]
    for turn in range(10):
        owning = asyncio.create_task(fence.own(places[turn % 3 :], lambda _place: (b"\0owner", b"w1")))
        await turns(turn)
        owning.cancel()
        await asyncio.wait([owning])
    await fence.own(places, lambda _place: (b"\0owner", b"w1"))
    await fence.close()
    assert Producer.made == set()


async def test_after_end_without_commit_no_offset_may_follow() -> None:
    producer = Producer()
    fence, place = fence_of(producer), StatePartition("app-rows-changelog", 0)
    await fence.own([place], lambda _place: (b"\0owner", b"w1"))
    await fence.write(place, [(b"k", b"v")])
    producer.commits = KafkaConnectionError()
    await fence.close()
    with pytest.raises(Unavailable, match="state was not committed at the end"):
        await fence.commit()


@pytest.mark.parametrize("cause", [UnknownError, InvalidTxnState])
async def test_transaction_cut_off_by_next_owner_names_it(cause: type[KafkaError]) -> None:
    producer = Producer()
    fence, place = fence_of(producer), StatePartition("app-rows-changelog", 0)
    await fence.own([place], lambda _place: (b"\0owner", b"w1"))
    await fence.write(place, [(b"k", b"v")])
    producer.commits = KafkaError("Unexpected error during batch delivery")
    producer.commits.__cause__ = cause()
    with pytest.raises(Fenced, match="has another owner"):
        await fence.commit()


async def test_row_after_refusal_of_sender_names_owner() -> None:
    class Refused(Producer):
        refused = False

        async def send_batch(self, batch: Any, topic: str, partition: int) -> Any:
            if self.refused:
                raise IllegalOperation("Can't send messages while not in transaction")
            return await super().send_batch(batch, topic, partition)

    producer = Refused()
    fence, place = fence_of(producer), StatePartition("app-rows-changelog", 0)
    await fence.own([place], lambda _place: (b"\0owner", b"w1"))
    producer.refused = True
    await fence.write(place, [(b"k", b"v")])
    with pytest.raises(Fenced, match="has another owner"):
        await fence.commit()
