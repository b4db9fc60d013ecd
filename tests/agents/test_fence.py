"""The fence on a real broker: whoever has lost a partition writes nothing there any more, and learns it."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from agents.fence import Fence, Fenced, Place, Rows
from agents.restore import Behind, Restoring, restore
from streams.kafka.clients import read_all, state_producer
from streams.kafka.local import LocalBroker
from tests.brokers import fresh, prepared

pytestmark = [pytest.mark.real, pytest.mark.timeout(90)]


class Worker:
    """A fence and what reached its store."""

    def __init__(self, broker: LocalBroker, app: str, name: str) -> None:
        self.name, self.stored = name, dict[Place, dict[bytes, bytes | None]]()
        self.fence = Fence(app, lambda ident: state_producer(broker.bootstrap, ident), self.apply, fenced=True)

    def apply(self, place: Place, rows: Rows, last: int) -> None:
        self.stored.setdefault(place, {}).update(rows)

    async def own(self, *places: Place) -> None:
        await self.fence.own(places, lambda place: (b"\0owner", self.name.encode()))


class Scene:
    """A changelog of four partitions and the workers of one application."""

    def __init__(self, broker: LocalBroker) -> None:
        self.broker, self.app = broker, fresh("app")
        self.log = f"{self.app}-rows-changelog"
        self.workers: list[Worker] = []
        prepared(broker, self.log)

    def place(self, partition: int) -> Place:
        return Place(self.log, partition)

    def worker(self, name: str) -> Worker:
        self.workers.append(Worker(self.broker, self.app, name))
        return self.workers[-1]

    async def rows(self, partition: int) -> list[tuple[bytes | None, bytes | None]]:
        found = read_all(self.broker.bootstrap, [self.log], committed=True)
        return [(one.key, one.value) async for one in found if one.partition == partition and one.key != b"\0owner"]

    async def restored(self, partition: int, start: int | None = None) -> list[tuple[bytes, bytes]]:
        taken: list[tuple[bytes, bytes]] = []

        def take(_place: Place, records: Iterable[Any]) -> None:
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


async def test_a_paused_worker_changes_nothing_after_its_successor(real: LocalBroker) -> None:
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
            await paused.fence.write(place, [(b"k", b"after the pause")])
        with pytest.raises(Fenced):
            await paused.fence.commit()
        assert await s.rows(0) == [(b"k", b"committed"), (b"k", b"newer")]
        assert paused.stored[place][b"k"] == b"committed", "a store holds only what counts"


async def test_a_quiet_worker_learns_its_loss_at_the_next_rebalance(real: LocalBroker) -> None:
    async with scene(real) as s:
        paused, successor = s.worker("w1"), s.worker("w2")
        await paused.own(s.place(0), s.place(1))
        await successor.own(s.place(0))
        with pytest.raises(Fenced):
            await paused.own(s.place(0), s.place(1))


async def test_a_worker_that_has_lost_one_takes_no_other(real: LocalBroker) -> None:
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
        assert await s.rows(2) == [(b"k", b"1"), (b"gone", None), (b"k", b"2"), (b"gone", None)]


async def test_many_rows_keep_their_order_over_several_batches(real: LocalBroker) -> None:
    rows = [(b"%06d" % n, bytes(2_000)) for n in range(1_500)]  # six times what a batch holds
    async with scene(real) as s:
        worker, place = s.worker("w1"), s.place(0)
        await worker.own(place)
        await worker.fence.write(place, rows)
        await worker.fence.commit()
        assert await s.restored(0) == rows


async def test_a_changelog_that_ends_in_marks_is_read_to_its_end(real: LocalBroker) -> None:
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


async def test_what_a_killed_worker_left_open_is_not_restored(real: LocalBroker) -> None:
    async with scene(real) as s:
        killed, successor, place = s.worker("w1"), s.worker("w2"), s.place(0)
        await killed.own(place)
        await killed.fence.write(place, [(b"k", b"committed")])
        await killed.fence.commit()
        await killed.fence.write(place, [(b"k", b"open")])
        await successor.own(place)
        assert await s.restored(0) == [(b"k", b"committed")]


async def test_a_changelog_that_was_made_again_is_named(real: LocalBroker) -> None:
    async with scene(real) as s:
        with pytest.raises(Behind, match=r"ends at 0 and the state directory has read 7 records"):
            await s.restored(1, start=7)
