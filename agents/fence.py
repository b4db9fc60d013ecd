"""State has one writer per partition, and the broker sees to it (00 §9.3; decision 0031).

A worker that was paused for longer than its session goes on writing when it wakes. Its rows would be newer in the
changelog than those of its successor, and compaction would keep them. So every partition of a changelog has a
transactional id of its own, `<app>-<table>-<partition>`, and whoever owns the partition writes there through a producer
with that id and no other way:

- `own` starts a producer for each partition that is new to this worker. The broker then refuses every write of the
  owner before, and ends its open transaction. A claim is written to every partition, kept ones too: whoever has lost
  one without noticing learns it here, before anything is read.
- `write` puts rows into the open transaction of the partition and returns when the broker has them.
- `commit` ends the open transactions. Offsets are committed after it, never before; several batches share a
  transaction, because a transaction costs the same whatever it holds.

Rows that are written and not committed are pending: they are read from memory and reach the local store when they are
committed, so a store never holds what the broker may still throw away.

The embedded broker has no transactions and one process alone uses it: there the same rows go through one idempotent
producer. Not here: which rows (`batch.py`), how a table is read back (`restore.py`).
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping
from typing import Any, Final, NamedTuple

from aiokafka.errors import IllegalOperation, InvalidTxnState, KafkaError, ProducerFenced, UnknownError

from streams.kafka.dispatch import Unavailable

__all__ = ["Apply", "Fence", "Fenced", "Place", "Rows"]


class Place(NamedTuple):
    """A partition of a changelog. Equal to Faust's `TP` of it."""

    topic: str
    partition: int


#: Key to row; None for a row that is deleted.
Rows = Mapping[bytes, bytes | None]
#: Called when rows are committed: (place, rows in order of writing, offset of the last one or less).
Apply = Callable[[Place, Rows, int], None]

#: What the broker answers to the end of a transaction that it is just aborting for the next owner, in aiokafka's words:
#: seen with Kafka 4.3, which has no code of its own for it.
_TAKING_OVER: Final = (UnknownError, InvalidTxnState)

#: Seconds a producer may take to close; one that was fenced never ends by itself.
_CLOSING: Final = 3.0


class Fenced(Exception):
    """The broker refuses the state of this worker: another one owns the partition."""

    def __init__(self, place: Place) -> None:
        super().__init__(
            f"{place.topic}/{place.partition} has another owner: this worker was away for longer than its session, "
            "Kafka did not answer it for a minute, or another process runs with its worker id (give each its own "
            "STAFET_WORKER_ID)"
        )
        self.place = place


class _Log:
    """One partition of a changelog, written by this worker alone."""

    def __init__(self, place: Place, producer: Any, apply: Apply, transactional: bool) -> None:
        self.place, self.producer, self._apply, self._transactional = place, producer, apply, transactional
        self.pending: dict[bytes, bytes | None] = {}
        self.lost = False  # once refused, a producer is of no use
        self._last = -1
        self._lock = asyncio.Lock()  # a transaction takes no rows while it ends

    async def write(self, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Returns when the broker has the rows, in this order."""
        async with self._lock:
            if self._transactional and not self.pending:
                await self.producer.begin_transaction()
            sends: list[Awaitable[Any]] = []
            batch = self.producer.create_batch()
            for key, row in rows:
                if batch.append(key=key, value=row, timestamp=None) is None:  # full
                    sends.append(await self._send(batch))
                    batch = self.producer.create_batch()
                    batch.append(key=key, value=row, timestamp=None)
                self.pending[key] = row
            sends.append(await self._send(batch))
            for taken in await asyncio.gather(*sends):
                self._last = max(self._last, taken.offset)

    async def _send(self, batch: Any) -> Awaitable[Any]:
        sent: Awaitable[Any] = await self.producer.send_batch(batch, self.place.topic, partition=self.place.partition)
        return sent

    async def commit(self) -> None:
        """Ends the open transaction; its rows are state now."""
        async with self._lock:
            if not self.pending:
                return
            if self._transactional:
                await self.producer.commit_transaction()
            self._apply(self.place, self.pending, self._last)
            self.pending = {}


class Fence:
    """The partitions of state that this worker owns.

    `new_producer`: transactional id, or None for one that is not fenced -> a producer, not started. `apply`: see there.
    Every call raises `Fenced` when another worker owns a partition, and `Unavailable` when Kafka does not answer.
    """

    def __init__(self, app_id: str, new_producer: Callable[[str | None], Any], apply: Apply, *, fenced: bool) -> None:
        self._app_id, self._new_producer, self._apply, self._fenced = app_id, new_producer, apply, fenced
        self._logs: dict[Place, _Log] = {}
        self._uncommitted = ""  # why rows were given up that had not been committed
        self._shared: Any = None  # the producer of all places where nothing is fenced
        self._starting = asyncio.Lock()

    async def own(self, places: Collection[Place], claim: Callable[[Place], tuple[bytes, bytes]]) -> None:
        """Owns these partitions and no others. `claim`: the row that says so, for each of them."""
        await self.commit()
        lost = [self._logs.pop(place) for place in list(self._logs) if place not in places]
        await asyncio.shield(asyncio.gather(*(self._close(log) for log in lost)))  # another rebalance may cut in
        # Those kept first: whoever has lost one must not take others from their owners.
        await asyncio.gather(*(self.write(place, [claim(place)]) for place in self._logs))
        new = [place for place in places if place not in self._logs]
        await asyncio.gather(*(self._open(place) for place in new))
        await asyncio.gather(*(self.write(place, [claim(place)]) for place in new))
        await self.commit()

    def owns(self, place: Place) -> bool:
        """Whether this worker may write there."""
        return place in self._logs

    def pending(self, place: Place) -> Rows:
        """The rows of the open transaction, by key; empty where there is none."""
        log = self._logs.get(place)
        return {} if log is None else log.pending

    async def write(self, place: Place, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Returns when the broker has the rows, which count once they are committed."""
        log = self._logs.get(place)
        if log is None:
            raise Fenced(place)
        await _answered(log, log.write(rows))

    async def commit(self) -> None:
        """Ends every open transaction. Goes on when the caller is cancelled: a transaction is never left half-ended."""
        if self._uncommitted:
            raise Unavailable(self._uncommitted)
        work = [_answered(log, log.commit()) for log in self._logs.values() if log.pending]
        if work:
            await asyncio.shield(asyncio.gather(*work))

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
            await _stopped(shared)

    async def _open(self, place: Place) -> None:
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
            await _stopped(log.producer)


async def _answered(log: _Log, call: Coroutine[Any, Any, Any]) -> None:
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


async def _stopped(producer: Any) -> None:
    with contextlib.suppress(KafkaError, TimeoutError):
        await asyncio.wait_for(producer.stop(), _CLOSING)
