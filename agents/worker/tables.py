"""What makes Faust's tables safe: with `consumer.py` the files that know Faust's inside.

Measured in docs/decisions/0002 and 0031 and shown by tests/end_to_end: stock Faust skips records after table recovery,
commits offsets before the changelog has the rows, and lets a worker that was paused write over its successor's rows.
Two remedies and two belts, and more in `consumer.py`:

- `CarefulTables` (setting `TableManager`): after every rebalance the partitions are fenced and read back by a consumer
  of our own (`changelog.py`). Nothing reaches a stream between the end of recovery and the seek to the
  committed offsets, so nothing can be thrown away and look like a hole in the log.
- `FencedTable` (setting `Table`): rows go through the fence, in a transaction that is committed before any offset, and
  lie in a store of our own (`stores.py`); Faust's own stays empty.
- A *position row* per source partition, in the table itself: the next offset expected. A record beyond it was
  skipped, by whatever fault; the worker leaves before anything is acknowledged. Offsets without a record are asked
  of the broker (`gaps.py`).
- Offsets are committed after the state, so no committed offset lies beyond its position row. Where one does, the
  changelog was emptied or written by two workers at once: the worker leaves before it takes a record.

Private names used (each pinned by tests/agents/test_faust_private_names.py): `TableManager._recovery`,
`Recovery._restart_recovery`, `_slurp_changelogs`, `_wait`, `_set_recovery_started` and `_generation_id`. faust-streaming
is pinned exactly.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import faust
from aiokafka import ConsumerRecord
from aiokafka.errors import IllegalStateError
from faust.tables.manager import TableManager
from faust.tables.recovery import RebalanceAgain, Recovery, ServiceStopped
from faust.types import EventT
from mode import Service
from mode.utils.queues import FlowControlQueue

from streams.kafka.records import place_of
from streams.kafka.sender import Sender, Unavailable

from .any_record import rows_among
from .changelog import Behind, ClientOptions, Fence, Fenced, Restoring, Rows, StatePartition, restore
from .stores import Store

#: Rows of the table's own book-keeping begin with a zero byte; no key of a record is allowed to.
_OWN: Final = b"\0"


class StateLost(Exception):
    """The group has committed an offset that the state knows nothing of."""

    def __init__(self, topic: str, partition: int, changelog: str, committed: int, position: int) -> None:
        super().__init__(
            f"{topic}/{partition} ({changelog}): {committed} records are committed and the state knows of {position}: its "
            "changelog was emptied or written by two workers at once; start once with --accept-loss, and see `stafet reconcile`"
        )


class FencedApp(faust.App):  # type: ignore[misc]  # Faust is untyped to us
    """The app with what its tables, consumer and stages share. `build_app` sets it before anything starts."""

    fence: Fence
    leave: Callable[[str], None]
    worker_id: str
    client: ClientOptions  # for clients of our own
    restoring: Restoring
    store: Store
    whole: set[StatePartition]  # the partitions whose rows are all in the store
    sender: Sender  # of every letter; Faust's own producer sends nothing
    queues: set[FlowControlQueue[EventT]]  # in which records wait for their agents
    positions: dict[str, "FencedTable"]  # source topic -> the table that keeps its positions
    repeats: dict[tuple[str, int], range]  # source partition -> offsets that come again and are wholly done

    def committed_rows(self, place: StatePartition, rows: Rows, last: int) -> None:
        """Puts rows that count now into the local store."""
        if place in self.whole:  # else it is being read back, these rows at the end
            self.store.apply(place, rows.items(), last + 1)


class CarefulRecovery(Recovery):  # type: ignore[misc]  # Faust is untyped to us
    """Fence first, read back next; nothing reaches a stream before the seek to the committed offsets."""

    @Service.task  # type: ignore[untyped-decorator]  # Faust is untyped to us
    async def _restart_recovery(self) -> None:
        """In place of Faust's, whose count of offsets waits for ever behind the mark of a transaction."""
        while not self.should_stop:
            if await self.wait_for_stopped(self.signal_recovery_start):
                break
            self.signal_recovery_start.clear()
            generation = self._generation_id
            try:
                self._set_recovery_started()
                await self._wait(self._restore())
                await self._wait(self.on_recovery_completed(generation))
            except (RebalanceAgain, IllegalStateError):
                continue
            except ServiceStopped:
                break
            except (Fenced, Behind, StateLost, Unavailable) as why:
                self.app.leave(str(why))
                break
            except Exception as fault:  # noqa: BLE001  # a crashed service would leave the app alive and deaf
                self.app.leave(f"tables cannot be read back: {type(fault).__name__} at {place_of(fault)}")
                break

    @Service.task  # type: ignore[untyped-decorator]  # Faust is untyped to us
    async def _slurp_changelogs(self) -> None:
        """In place of Faust's: `changelog.py` reads the changelogs."""

    async def _restore(self) -> None:
        app, store = self.app, self.app.store
        places = {StatePartition(*tp) for tp in self.active_tps}
        app.restoring.moved()
        app.consumer.hold(places)
        claim = f"{app.worker_id} {self._generation_id}".encode()
        # Before anything can cut in: what is lost is not whole any more, else the next turn would take it for kept.
        kept = {place for place in places if app.fence.owns(place)}
        app.whole &= kept
        store.keep_only(kept)
        await app.fence.own(places, lambda place: (owner_key(place.partition), claim))
        app.restoring.moved()

        def take(place: StatePartition, records: Sequence[ConsumerRecord]) -> None:
            store.apply(place, [(record.key, record.value) for record in rows_among(records)], records[-1].offset + 1)

        if places:
            starts = dict[StatePartition, int | None]()
            for place in places:
                starts[place] = store.known(place)
                await asyncio.sleep(0)  # a store on disk takes a while to open
            for place, end in (await restore(app.client, starts, take, app.restoring)).items():
                store.apply(place, (), end)
                app.whole.add(place)
        for table in app.tables.values():
            await table.when_whole()

    async def on_recovery_completed(self, generation_id: int = 0) -> None:
        """Switches the flow off before the inherited method resumes, seeks and switches it on again.

        When another rebalance has begun, the inherited method returns with the flow off; the next recovery turns it on.
        """
        self.app.consumer.stop_flow()
        self.app.flow_control.suspend()
        await super().on_recovery_completed(generation_id)


class CarefulTables(TableManager):  # type: ignore[misc]  # Faust is untyped to us
    """Faust's table manager with the careful recovery."""

    @property
    def recovery(self) -> Recovery:
        """The recovery service, made once."""
        if self._recovery is None:  # type: ignore[has-type]  # declared by Faust
            self._recovery = CarefulRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery

    async def on_stop(self) -> None:
        """Gives up the partitions, so that the next owner waits for nothing."""
        await super().on_stop()
        await self.app.fence.close()
        self.app.store.close()


class FencedTable(faust.Table):  # type: ignore[misc]  # Faust is untyped to us
    """A table whose rows go through the fence; what is pending there is read before what the store holds.

    Read by `get` and `rows`, written by `write`: Faust's own ways would pass fence and store.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.when_whole: Callable[[], Awaitable[None]] = _nothing  # awaited when the rows have been read back

    def send_changelog(self, *_args: Any, **_kwargs: Any) -> Any:
        """Refuses Faust's own way of writing."""
        raise TypeError("rows are written by `write`")

    def get(self, partition: int, key: bytes) -> bytes | None:
        """The newest row, committed or not."""
        place = StatePartition(self.changelog_topic_name, partition)
        pending: Rows = self.app.fence.pending(place)
        row: bytes | None = pending[key] if key in pending else self.app.store.get(place, key)
        return row

    def rows(self) -> Iterator[tuple[int, bytes, bytes]]:
        """The stage's newest rows of the partitions that this worker owns, each with its partition; for indexes and pages."""
        for place in [place for place in self.app.whole if place.topic == self.changelog_topic_name]:
            pending: Rows = self.app.fence.pending(place)
            for key, row in self.app.store.rows(place):
                if key not in pending and not is_own_row(key):
                    yield place.partition, key, row
            for key, newest in list(pending.items()):
                if newest is not None and not is_own_row(key):
                    yield place.partition, key, newest

    async def write(self, partition: int, rows: Mapping[bytes, bytes | None]) -> None:
        """Notes the rows; they count when the fence is next committed. Raises as the fence does."""
        await self.app.fence.write(StatePartition(self.changelog_topic_name, partition), rows.items())


async def _nothing() -> None:
    pass


def position_key(topic: str, partition: int) -> bytes:
    """The key of the row that holds the next offset expected of a source partition, in decimal digits."""
    return _OWN + f"position/{topic}/{partition}".encode()


def owner_key(partition: int) -> bytes:
    """The key of the row by which a worker claims a partition of a changelog: who, and in which generation."""
    return _OWN + f"owner/{partition}".encode()


def is_own_row(key: bytes) -> bool:
    """Whether a row is the table's own book-keeping and no row of a stage."""
    return key.startswith(_OWN)
