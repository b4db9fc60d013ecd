"""State lies in changelogs: one writer per partition, and how it is read back (00 §9.3; decision 0031).

A worker that was paused for longer than its session goes on writing when it wakes. Its rows would be newer in the
changelog than those of its successor, and compaction would keep them. So every partition of a changelog has a
transactional id of its own, `<app>-<table>-<partition>`, and the owner of the partition writes there through a producer
with that id and no other way:

- `own` starts a producer for each partition that is new to this worker. The broker then refuses every write of the
  owner before, and ends its open transaction. A claim is written to every partition, kept ones too: a worker that has
  lost one without noticing learns it here, before anything is read.
- `write` notes rows. They are pending: read from memory, known to nobody else.
- `commit` sends what is pending, of several rows of one key the newest, and ends the transaction. Offsets are committed
  after it, never before; many batches share a transaction, because a transaction costs the same whatever it holds
  (docs/decisions/0069). Rows reach the local store when they are committed, so a store never holds what the broker may
  still throw away.

A worker that has not committed for a second asks the broker before it goes on: one that was paused learns at its first
batch that it has lost the partition.

The embedded broker has no transactions and one process alone uses it: there the same rows go through one idempotent
producer.

`restore` reads the partitions back that this worker owns now. A consumer of its own reads what is committed, partition
by partition, up to where the log ended after the partition was fenced: no other worker writes there any more, so that is
all. Positions are compared, not offsets of records: the end of a log may be the mark of a transaction, which no consumer
ever sees. The end is the high water, not the last stable offset: the mark of a commit comes a moment after it, and the
open transaction of a stranger would hide what is behind it. Such a transaction is waited for, and named.

How far it is can be asked at any time (`Restoring`), and whether it still moves: a start has no fixed time, it is given
up when nothing moves.

Not here: which rows (`shell.py`), and when Faust has them read (`tables.py`).
"""

import asyncio
import contextlib
import time
from collections import ChainMap
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalOperation, InvalidTxnState, KafkaError, ProducerFenced, UnknownError

from streams.kafka.clients import AIOKafkaConsumer
from streams.kafka.sender import Unavailable

#: aiokafka's options of a client: where the broker is, or how the client proves itself there.
ClientOptions = Mapping[str, Any]


class StatePartition(NamedTuple):
    """A partition of a changelog. Equal to Faust's `TP` of it."""

    topic: str
    partition: int


#: Key to row; None for a row that is deleted.
Rows = Mapping[bytes, bytes | None]
#: Called when rows are committed: (partition, rows in order of writing, offset of the last one or less).
Apply = Callable[[StatePartition, Rows, int], None]
#: (partition, records in order): puts them into the local store.
Take = Callable[[StatePartition, Sequence[ConsumerRecord]], None]

#: What the broker answers to the end of a transaction that it is just aborting for the next owner, in aiokafka's words:
#: seen with Kafka 4.3, which has no code of its own for it.
_TAKING_OVER: Final = (UnknownError, InvalidTxnState)

#: Seconds a producer may take to close; one that was fenced never ends by itself.
_CLOSING: Final = 3.0

#: Rows of a partition that are noted before they must be committed: what is pending is memory.
_MOST_NOTED: Final = 5_000

#: Seconds after a commit in which nobody else can have been given the partition: far less than a session.
_UNASKED: Final = 1.0

#: Records taken in one go: the loop has other work.
_AT_ONCE: Final = 200

#: Seconds without a row after which the reader looks for what holds it.
_HELD: Final = 5.0


class Fenced(Exception):
    """The broker refuses the state of this worker: another one owns the partition."""

    def __init__(self, place: StatePartition) -> None:
        super().__init__(
            f"{place.topic}/{place.partition} has another owner: this worker was away for longer than its session, "
            "Kafka did not answer it for a minute, or another process runs with its worker id (give each its own "
            "STAFET_WORKER_ID)"
        )
        self.place = place


class Behind(Exception):
    """A changelog ends before what the local store has read of it."""

    def __init__(self, place: StatePartition, end: int, known: int) -> None:
        super().__init__(
            f"{place.topic}/{place.partition} ends at {end} and the state directory has read {known} records of it: the topic "
            "was emptied or made again; delete the state directory"
        )


class _Log:
    """One partition of a changelog, written by this worker alone."""

    def __init__(self, place: StatePartition, producer: AIOKafkaProducer, apply: Apply, transactional: bool) -> None:
        self.place, self.producer, self._apply, self._transactional = place, producer, apply, transactional
        self.noted: dict[bytes, bytes | None] = {}  # since the last commit began
        self._leaving: dict[bytes, bytes | None] = {}  # in the commit that goes on
        self.lost = False  # once refused, a producer is of no use
        self._committing = asyncio.Lock()

    @property
    def pending(self) -> Rows:
        """The newest row of each key that is not committed."""
        return ChainMap(self.noted, self._leaving) if self._leaving else self.noted

    async def commit(self) -> None:
        """Sends what is pending in a transaction of its own; it is state now."""
        async with self._committing:
            if self._leaving:  # whoever was here before has failed
                raise Fenced(self.place)
            if not self.noted:
                return
            self._leaving, self.noted = self.noted, {}
            if self._transactional:
                await self.producer.begin_transaction()
            last = await self._sent(self._leaving)
            if self._transactional:
                await self.producer.commit_transaction()
            self._apply(self.place, self._leaving, last)
            self._leaving = {}

    async def _sent(self, rows: Rows) -> int:
        """The offset of the last row, or less, once the broker has them all."""
        send, (topic, partition) = self.producer.send_batch, self.place
        sends = []
        batch = self.producer.create_batch()
        for key, row in rows.items():
            if batch.append(key=key, value=row, timestamp=None) is None:  # full
                sends.append(await send(batch, topic, partition=partition))
                batch = self.producer.create_batch()
                batch.append(key=key, value=row, timestamp=None)
        sends.append(await send(batch, topic, partition=partition))
        last: int = max(taken.offset for taken in await asyncio.gather(*sends))
        return last


class Fence:
    """The partitions of state that this worker owns.

    `new_producer`: transactional id, or None for one that is not fenced -> a producer, not started. `apply`: see there.
    Every call raises `Fenced` when another worker owns a partition, and `Unavailable` when Kafka does not answer.
    """

    def __init__(
        self, app_id: str, new_producer: Callable[[str | None], AIOKafkaProducer], apply: Apply, *, fenced: bool
    ) -> None:
        self._app_id, self._new_producer, self._apply, self._fenced = app_id, new_producer, apply, fenced
        self._logs: dict[StatePartition, _Log] = {}
        self._uncommitted = ""  # why rows were given up that had not been committed
        self._shared: AIOKafkaProducer | None = None  # the producer of all partitions where nothing is fenced
        self._starting = asyncio.Lock()
        self._committed = 0.0  # when the last commit began that has succeeded, on the monotonic clock

    async def own(
        self, places: Collection[StatePartition], claim: Callable[[StatePartition], tuple[bytes, bytes]]
    ) -> None:
        """Owns these partitions and no others. `claim`: the row by which each of them is claimed."""
        await self.commit()
        lost = [self._logs.pop(place) for place in list(self._logs) if place not in places]
        await asyncio.shield(asyncio.gather(*(self._close(log) for log in lost)))  # another rebalance may cut in
        # Those kept first: a worker that has lost one must not take others from their owners.
        for log in self._logs.values():
            log.noted.update([claim(log.place)])
        await self.commit()
        new = [place for place in places if place not in self._logs]
        await asyncio.gather(*(self._open(place) for place in new))
        for place in new:
            self._logs[place].noted.update([claim(place)])
        await self.commit()

    def owns(self, place: StatePartition) -> bool:
        """Whether this worker may write there."""
        return place in self._logs

    def pending(self, place: StatePartition) -> Rows:
        """The rows that are not committed, by key."""
        log = self._logs.get(place)
        return {} if log is None else log.pending

    async def write(self, place: StatePartition, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Notes rows, which count once they are committed: now, where many are noted or nothing was committed for a while."""
        log = self._logs.get(place)
        if log is None or log.lost:
            raise Fenced(place)
        log.noted.update(rows)
        if len(log.noted) > _MOST_NOTED or time.monotonic() - self._committed > _UNASKED:
            await self.commit()

    async def commit(self) -> None:
        """Makes state of every row that is noted. Goes on when the caller is cancelled: a transaction is never left
        half-ended."""
        if self._uncommitted:
            raise Unavailable(self._uncommitted)
        begun = time.monotonic()
        work = [_answered(log, log.commit()) for log in self._logs.values() if log.pending]
        if work:
            await asyncio.shield(asyncio.gather(*work))
            self._committed = begun

    async def close(self) -> None:
        """Gives the partitions up. Pending rows are committed when the broker still takes them; if not, no commit succeeds
        any more: the offsets of what led to them must not be committed either.
        """
        try:
            await asyncio.wait_for(self.commit(), _CLOSING)
        except (Fenced, Unavailable, TimeoutError) as why:
            self._uncommitted = f"state was not committed at the end ({type(why).__name__})"
        logs, self._logs = self._logs, {}
        await asyncio.gather(*(self._close(log) for log in logs.values()))
        if self._shared is not None:
            shared, self._shared = self._shared, None
            await _stop(shared)

    async def _open(self, place: StatePartition) -> None:
        if not self._fenced:
            async with self._starting:
                if self._shared is None:
                    self._shared = self._new_producer(None)
                    await self._shared.start()
            self._logs[place] = _Log(place, self._shared, self._apply, transactional=False)
            return
        table = place.topic.removeprefix(f"{self._app_id}-").removesuffix("-changelog")
        producer = self._new_producer(f"{self._app_id}-{table}-{place.partition}")
        log = _Log(place, producer, self._apply, transactional=True)
        await _answered(log, producer.start())  # closed by itself when it is cut off
        self._logs[place] = log

    async def _close(self, log: _Log) -> None:
        if self._fenced:
            await _stop(log.producer)


async def _answered(log: _Log, call: Coroutine[object, object, object]) -> None:
    """The call, its refusals in our words."""
    if log.lost:
        call.close()
        raise Fenced(log.place)
    try:
        await call
    except (ProducerFenced, IllegalOperation):  # the second: the sender was refused before, and has no transaction left
        log.lost = True
        raise Fenced(log.place) from None
    except KafkaError as error:
        log.lost = True
        if isinstance(error.__cause__, _TAKING_OVER):
            raise Fenced(log.place) from None
        raise Unavailable(f"{log.place.topic}/{log.place.partition} takes no rows ({type(error).__name__})") from error


async def _stop(producer: AIOKafkaProducer) -> None:
    with contextlib.suppress(KafkaError, TimeoutError):
        await asyncio.wait_for(producer.stop(), _CLOSING)


class Restoring:
    """How far the restoring of tables is. Times are of `time.monotonic`."""

    def __init__(self) -> None:
        self.done = self.total = 0
        self.held = ""  # what the reading waits for
        self.moved_at = time.monotonic()

    def begins(self, total: int) -> None:
        """`total` rows are to be read."""
        self.done, self.total, self.held = 0, total, ""
        self.moved()

    def read(self, number: int) -> None:
        """That many rows more."""
        self.done += number
        self.held = ""
        self.moved()

    def moved(self) -> None:
        """Something has happened that brings the start forward."""
        self.moved_at = time.monotonic()

    def __str__(self) -> str:
        rows = f"{self.done:,} of {self.total:,} rows are read" if self.total else "waits for its partitions"
        return f"{rows}; {self.held}" if self.held else rows


async def restore(
    client: ClientOptions, starts: Mapping[StatePartition, int | None], take: Take, restoring: Restoring
) -> dict[StatePartition, int]:
    """Returns when everything committed has been taken: where each changelog ended.

    `client`: aiokafka's options, `bootstrap_servers` among them. `starts`: where to begin, None for the beginning. Raises
    `Behind`, and aiokafka's `KafkaError`.
    """
    places = {TopicPartition(*place): place for place in starts}
    ends = await _ends(client, list(places))
    consumer = AIOKafkaConsumer(
        **client, isolation_level="read_committed", enable_auto_commit=False, auto_offset_reset="earliest"
    )
    try:
        await consumer.start()
        consumer.assign(list(places))
        oldest = await consumer.beginning_offsets(list(places))
        for tp, place in places.items():
            known = starts[place] or 0
            if known > ends[tp]:
                raise Behind(place, ends[tp], known)
            consumer.seek(tp, max(known, oldest[tp]))
        restoring.begins(sum(ends[tp] - max(starts[place] or 0, oldest[tp]) for tp, place in places.items()))
        waiting = [tp for tp in places if await consumer.position(tp) < ends[tp]]
        while waiting:
            for tp, batch in (await consumer.getmany(*waiting, timeout_ms=500, max_records=_AT_ONCE)).items():
                take(places[tp], batch)
                restoring.read(len(batch))
                await asyncio.sleep(0)  # a turn for everything else
            waiting = [tp for tp in waiting if await consumer.position(tp) < ends[tp]]
            if waiting and time.monotonic() - restoring.moved_at > _HELD:
                restoring.held = (
                    f"{waiting[0].topic}/{waiting[0].partition} has an open transaction at offset "
                    f"{await consumer.position(waiting[0])} that is none of ours: it ends by its time limit, or by "
                    "kafka-transactions.sh abort"
                )
        return {place: ends[tp] for tp, place in places.items()}
    finally:
        await consumer.stop()


async def _ends(client: ClientOptions, places: list[TopicPartition]) -> dict[TopicPartition, int]:
    """Where the logs end, open transactions included: a reader of what is committed alone does not know."""
    consumer = AIOKafkaConsumer(**client, enable_auto_commit=False)
    try:
        await consumer.start()
        consumer.assign(places)
        consumer.pause(*places)
        ends: dict[TopicPartition, int] = await consumer.end_offsets(places)
        return ends
    finally:
        await consumer.stop()
