"""Faust's consumer as the worker uses it: records without detours, offsets after state.

Faust keeps the group, the assignment and the offsets. Ours are the way of a record from a fetch to its stage, which
costs Faust four tasks and up to 20 ms (decision 0043), and the order of a commit: what lets an offset go is committed
before it (`changelog.py`). A partition of which nothing is committed is read from its beginning after every rebalance.

Private names used (each pinned by tests/agents/test_faust_private_names.py): `Consumer._new_consumer_thread`,
`_commit_offsets` and `_thread`, `AIOKafkaConsumerThread._consumer` and `_ensure_consumer`, aiokafka's `_fetcher`,
`Conductor._tp_to_callback` and `_tp_to_callback_lock`; for the embedded broker alone
`AIOKafkaConsumerThread._create_consumer` and aiokafka's `_fetch_max_wait_ms`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import faust
from aiokafka import TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, EventT, Message

from streams.kafka.clients import SparingFetch
from streams.kafka.sender import Unavailable

from .any_record import position_at
from .changelog import Fenced, StatePartition
from .tables import StateLost, position_key

#: Milliseconds a fetch may wait at the embedded broker, which does not answer early when a record arrives.
_PROMPT: Final = 100


class _Thread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]  # Faust is untyped to us
    """Faust's consumer, whose end is always noticed.

    With its broker gone, aiokafka's fetcher is cancelled by its own `close` and hands that to the caller; Faust's thread
    dies of it without a word, and the worker that stops waits a minute for it.
    """

    async def on_start(self) -> None:
        """A fetch leaves quiet letterboxes out while others are busy."""
        await super().on_start()
        self._consumer._fetcher.sparing = SparingFetch()

    async def on_thread_stop(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await super().on_thread_stop()

    def assignment(self) -> frozenset[TP]:
        """Made when it changes: a commit asks once for each of its partitions, and a relay has some 330."""
        return _in_words_of_faust(frozenset(self._ensure_consumer().assignment()))


@lru_cache(maxsize=1)
def _in_words_of_faust(assigned: frozenset[TopicPartition]) -> frozenset[TP]:
    return frozenset(TP(*tp) for tp in assigned)


class _Consumer(driver.Consumer):  # type: ignore[misc]  # Faust is untyped to us
    """Faust's consumer: offsets after state, from the beginning where nothing is committed, changelogs not fetched."""

    def _new_consumer_thread(self) -> _Thread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    def __init__(self, transport: Any, callback: Any, *args: Any, **kwargs: Any) -> None:
        self._conduct = callback
        super().__init__(transport, self._hand_over, *args, **kwargs)

    def _hand_over(self, message: Message) -> Any:
        """None when the record lies in the queue of its agent, where nothing can hold it up; else Faust's way there.

        Faust would decode its bytes to the same bytes, and ask at three places whether to wait.
        """
        topics = self.app.topics
        conductor = topics._tp_to_callback.get(message.tp)
        channels: Sequence[Any] = tuple(getattr(conductor, "channels", ()))  # Faust that is not compiled shows none
        if len(channels) != 1 or topics._tp_to_callback_lock.locked() or not self._flows():
            return self._conduct(message)
        [channel] = channels
        message.incref()
        channel.queue.put_nowait_enhanced(
            faust.Event(self.app, message.key, message.value, None, message),
            on_pressure_high=conductor.on_pressure_high,
            on_pressure_drop=conductor.on_pressure_drop,
        )
        return None

    async def wait_first(self, *coros: Any, timeout: Any = None) -> Any:
        """Nothing to wait for behind a record that was handed over; Faust would make four tasks to see that."""
        if coros[0] is None:
            coros[1].close()
            return None
        return await super().wait_first(*coros, timeout=timeout)

    def _flows(self) -> bool:
        return (
            not self.suspend_flow.is_set()
            and self.app.flow_control.is_active()
            and not self.should_stop
            and not any(queue.full() for queue in self.app.queues)
        )

    def hold(self, places: Iterable[StatePartition]) -> None:
        """Fetches nothing from these partitions: a consumer of our own reads them."""
        self._thread._consumer.pause(*(TopicPartition(*place) for place in places))

    async def _commit_offsets(self, offsets: Mapping[TP, int], start_new_transaction: bool = True) -> bool:
        """State first, offset last: what lets these offsets go is committed before them."""
        try:
            await self.app.fence.commit()
        except (Fenced, Unavailable) as why:
            self.app.leave(str(why))
            return False
        done: bool = await super()._commit_offsets(offsets, start_new_transaction)
        return done

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """To what is committed, and to the beginning where nothing is. Raises `StateLost`.

        aiokafka leaves a partition without commit where it stands: in a rebalance that may be behind records that Faust
        has fetched and thrown away. No position row speaks of them yet, so nothing else would miss them.
        """
        committed: Mapping[TP, int] = await super().seek_to_committed()
        for tp, offset in committed.items():
            positions = self.app.positions.get(tp.topic)
            row = None if positions is None else positions.get(tp.partition, position_key(*tp))
            position = 0 if row is None else position_at(row, *tp)
            if positions is not None and position is not None and (offset or 0) > position:
                raise StateLost(tp.topic, tp.partition, positions.changelog_topic_name, offset, position)
            self.app.repeats[tp.topic, tp.partition] = range(offset or 0, position or 0)
        changelogs = self.app.tables.changelog_topics  # where they are read from is the recovery's affair
        fresh = [tp for tp, offset in committed.items() if not offset and tp.topic not in changelogs]
        if fresh:
            await self.seek_wait(await self.earliest_offsets(*fresh))
        return committed

    async def verify_all_partitions_active(self) -> None:
        """Nothing: Faust takes a quiet partition for a fault and logs it, and gives the look at each a turn of the loop.

        `start/watch.py` looks itself.
        """


class _PromptThread(_Thread):
    """Faust's consumer with a short wait in place of its fixed 1.5 s."""

    def _create_consumer(self, loop: asyncio.AbstractEventLoop) -> Any:
        consumer = super()._create_consumer(loop)
        consumer._fetch_max_wait_ms = _PROMPT
        return consumer


class _PromptConsumer(_Consumer):
    def _new_consumer_thread(self) -> _Thread:
        return _PromptThread(self, loop=self.loop, beacon=self.beacon)


class Transport(driver.Transport):  # type: ignore[misc]  # Faust is untyped to us
    """The transport to give an app as its `transport`, from which Faust takes its consumer."""

    Consumer = _Consumer


class EmbeddedTransport(Transport):
    """The transport of an app over the embedded broker."""

    Consumer = _PromptConsumer


class BatchStream(faust.Stream):  # type: ignore[misc]  # Faust is untyped to us
    """The stream of an agent (setting `Stream`), which gives what has come while the agent was busy."""

    async def batches(self, most: int) -> AsyncIterator[Sequence[EventT]]:
        """At most so many records at a time, one at least.

        In place of Faust's `take_events`, which looks every 20 ms and walks each record through its stream. Kept of it: a
        record in hand is waited for when the worker stops, is acknowledged when the loop comes round, and counts only
        while the flow is on and in the generation in which it was fetched: after a rebalance it is read again.
        """
        await self.maybe_start()
        app, queue = self.app, self.channel.queue
        app.queues.add(queue)
        while not self.should_stop:
            try:
                found = [await queue.get() if queue.empty() else queue.get_nowait()]
                while len(found) < most and not queue.empty():
                    found.append(queue.get_nowait())
            except StopAsyncIteration:  # thrown into the queue of an agent that ends
                return
            generation = app.consumer_generation_id
            events = [event for event in found if event.message.generation_id == generation]
            if not events or not app.flow_control.is_active():
                continue
            for event in events:
                event.message.tracked = True
                app.consumer.unacked.add(event.message)
            yield events
            for event in events:
                event.ack()
