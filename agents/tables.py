"""What makes Faust's tables safe: the one file that knows Faust's inside.

Measured in docs/decisions/0002 and shown by tests/end_to_end: stock Faust skips records after table recovery and
commits offsets before the changelog has the rows. Three remedies and a belt:

- `CarefulTables` (setting `TableManager`): nothing reaches a stream between the end of recovery and the seek to the
  committed offsets, so nothing can be thrown away and look like a hole in the log.
- `ConfirmedTable` (setting `Table`): the promise of every changelog record is kept until the broker has it.
- A partition of which nothing is committed is read from its beginning after every rebalance (`_Consumer`).
- A *position row* per source partition, in the table itself: the next offset expected. A record beyond it was
  skipped, by whatever fault; the worker leaves before anything is acknowledged. Offsets without a record are asked
  of the broker (`gaps.py`).

Private names used (each pinned by tests/agents/test_faust_private_names.py): `streams._current_event`,
`TableManager._recovery`, `Producer._producer`, `Producer._settings_extra`, `Consumer._new_consumer_thread`; for the
embedded broker alone `AIOKafkaConsumerThread._create_consumer` and aiokafka's `_fetch_max_wait_ms`. faust-streaming is
pinned exactly.
"""

import asyncio
import contextlib
import weakref
from collections.abc import Iterator, Mapping
from typing import Any, Final

import faust
import faust.streams
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport.drivers import aiokafka as driver

from agents.junk import rows_among

__all__ = [
    "CarefulRecovery",
    "CarefulTables",
    "ConfirmedTable",
    "EmbeddedTransport",
    "IdempotentTransport",
    "Skipped",
    "at",
    "is_own_row",
    "own_producer",
    "position_key",
    "rows_of",
]

#: Rows of the table's own book-keeping begin with a zero byte; no key of a record is allowed to.
_OWN: Final = b"\0"


class Skipped(Exception):
    """A record of the source never arrived: expected one offset, got a later one."""

    def __init__(self, topic: str, partition: int, expected: int, got: int) -> None:
        super().__init__(
            f"{topic}/{partition}: expected offset {expected}, got {got}, and the broker has records in between; start again"
        )
        self.topic, self.partition, self.expected, self.got = topic, partition, expected, got


class CarefulRecovery(Recovery):  # type: ignore[misc]  # Faust is untyped to us
    """Nothing reaches a stream between the end of recovery and the seek to the committed offsets."""

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


class ConfirmedTable(faust.Table):  # type: ignore[misc]  # Faust is untyped to us
    """Keeps the promise of every changelog record until somebody takes it to wait for the broker."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._promises: list[Any] = []

    def send_changelog(self, *args: Any, **kwargs: Any) -> Any:
        """Sends as Faust does, and remembers the promise."""
        promise = super().send_changelog(*args, **kwargs)
        self._promises.append(promise)
        return promise

    def apply_changelog_batch(self, batch: Any) -> None:
        """As Faust does, but for records without a key, which are no rows and would end the recovery."""
        super().apply_changelog_batch(rows_among(batch))

    def promises(self) -> list[Any]:
        """The promises since the last call, now the caller's to await.

        Taken in the same breath as the writes (no `await` in between), so two stages over one table never wait for
        each other's rows in place of their own.
        """
        taken, self._promises = self._promises, []
        return taken

    async def confirmed(self) -> None:
        """Returns when the broker has every row written since the last call; raises when it refused one."""
        await asyncio.gather(*self.promises())


@contextlib.contextmanager
def at(event: Any) -> Iterator[None]:
    """Rows read and written inside belong to this record's partition (a batch has no current record of its own)."""
    token = faust.streams._current_event.set(weakref.ref(event))
    try:
        yield
    finally:
        faust.streams._current_event.reset(token)


def position_key(topic: str, partition: int) -> bytes:
    """The key of the row that holds the next offset expected of a source partition, in decimal digits."""
    return _OWN + f"position/{topic}/{partition}".encode()


def is_own_row(key: bytes) -> bool:
    """Whether a row is the table's own book-keeping and no row of a stage."""
    return key.startswith(_OWN)


def rows_of(table: ConfirmedTable) -> list[tuple[bytes, bytes]]:
    """The stage's rows this process holds, lost partitions included (memory store); for indexes and pages."""
    return [(key, row) for key, row in table.items() if not is_own_row(key)]


class _IdempotentProducer(driver.Producer):  # type: ignore[misc]  # Faust is untyped to us
    """The driver's producer with idempotence on: a retry inside the client never doubles or reorders a record."""

    def _settings_extra(self) -> dict[str, Any]:
        return {**super()._settings_extra(), "acks": "all", "enable_idempotence": True}


class _Thread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]  # Faust is untyped to us
    """Faust's consumer, whose end is always heard of.

    With its broker gone, aiokafka's fetcher is cancelled by its own `close` and says so to whoever called; Faust's thread
    dies of that without a word, and the worker that stops waits a minute for it.
    """

    async def on_thread_stop(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await super().on_thread_stop()


class _Consumer(driver.Consumer):  # type: ignore[misc]  # Faust is untyped to us
    """Faust's consumer; a partition of which nothing is committed is read from its beginning."""

    def _new_consumer_thread(self) -> Any:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    async def seek_to_committed(self) -> Mapping[Any, int]:
        """To what is committed, and to the beginning where nothing is.

        aiokafka leaves a partition without commit where it stands: in a rebalance that may be behind records that Faust
        has fetched and thrown away. No position row speaks of them yet, so nothing else would miss them.
        """
        committed: Mapping[Any, int] = await super().seek_to_committed()
        changelogs = self.app.tables.changelog_topics  # where they are read from is the recovery's affair
        fresh = [tp for tp, offset in committed.items() if not offset and tp.topic not in changelogs]
        if fresh:
            await self.seek_wait(await self.earliest_offsets(*fresh))
        return committed


class IdempotentTransport(driver.Transport):  # type: ignore[misc]  # Faust is untyped to us
    """The transport to give an app as its `transport`, from which Faust takes consumer and producer."""

    Producer = _IdempotentProducer
    Consumer = _Consumer


#: Milliseconds a fetch may wait at the embedded broker, which does not answer early when a record arrives.
_PROMPT: Final = 100


class _PromptThread(_Thread):
    """Faust's consumer with a short wait in place of its fixed 1.5 s."""

    def _create_consumer(self, loop: asyncio.AbstractEventLoop) -> Any:
        consumer = super()._create_consumer(loop)
        consumer._fetch_max_wait_ms = _PROMPT
        return consumer


class _PromptConsumer(_Consumer):
    def _new_consumer_thread(self) -> Any:
        return _PromptThread(self, loop=self.loop, beacon=self.beacon)


class EmbeddedTransport(IdempotentTransport):
    """The transport of an app over the embedded broker."""

    Consumer = _PromptConsumer


def own_producer(app: Any) -> Any:
    """The aiokafka producer under the app: a third of the CPU of `topic.send`, and its future is the broker's answer."""
    producer = app.producer._producer
    if producer is None:
        raise RuntimeError("the producer has not started")
    return producer
