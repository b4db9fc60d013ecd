"""From the topics into the read model, for as long as the process lives.

A plain consumer without a group: the offsets are those of `positions`, written in the transaction of the rows, so a
process that is killed goes on where its rows end. What cannot be read is counted and passed over; what
cannot be folded or the database refuses is found by halving its batch, so that no record of others ends the process. A broker or a database that is
away is waited for, with growing pauses; nothing is lost meanwhile as long as the topics keep it (7 to 90 days).
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from sqlalchemy.exc import DataError, DBAPIError, DisconnectionError

from streams.kafka.clients import AIOKafkaConsumer, partitions_of
from streams.kafka.records import Record
from streams.operations import logs
from streams.operations.metrics import Metrics
from streams.registry import Registers
from streams.words.ids import Ids

from .steps import READ, Unreadable, read
from .store import ReadModel

_FETCH_BYTES: Final = 16 << 20  # 00 §4.2
_BATCH: Final = 2000
_POLL_MS: Final = 250
#: Seconds between two tries, the last for ever.
_PAUSES: Final = (0.5, 1.0, 2.0, 5.0, 10.0)

_log: Final = logs.get("observer")

T = TypeVar("T")

Position = tuple[str, int]


@dataclass
class Following:
    """How far the read model is. `problem`: what it waits for; "starting" until it has once caught up."""

    problem: str = "starting"
    lag: int = 0  # records that are not read yet
    read_at: datetime | None = None  # time of the newest record read
    unreadable: int = 0
    metrics: Metrics = field(default_factory=Metrics)

    def show(self) -> None:
        """The figures, before they are read."""
        self.metrics.set("stafet_observer_lag_records", self.lag)


async def follow(
    model: ReadModel,
    bootstrap: str,
    ids: Ids,
    state: Following,
    stop: asyncio.Event,
    caught_up: Callable[[], None],
    **security: Any,
) -> None:
    """Follow the topics until `stop`. `caught_up` is called once: all that lay there at the start has been folded."""
    reader = _Reader(model, ids, state, stop)
    tries = 0
    while not stop.is_set():
        try:
            await reader.run(bootstrap, security, caught_up)
        except _Ended:
            return
        except (KafkaError, OSError, TimeoutError, LookupError) as problem:
            state.problem = f"Kafka cannot be reached ({type(problem).__name__})"
            _log.warning("observer.broker-away", why=type(problem).__name__)
            await _pause(tries, stop)
            tries += 1
        else:
            tries = 0


async def _pause(tries: int, stop: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), _PAUSES[min(tries, len(_PAUSES) - 1)])


class _Ended(Exception):
    """Asked to stop while the database is away: what was in hand is read again."""


class _Reader:
    """One consumer at a time, and the batch that it has in hand."""

    def __init__(self, model: ReadModel, ids: Ids, state: Following, stop: asyncio.Event) -> None:
        self._model, self._ids, self._state, self._stop = model, ids, state, stop
        self._started = False

    async def run(self, bootstrap: str, security: dict[str, Any], caught_up: Callable[[], None]) -> None:
        """Read until `stop`. Raises aiokafka's KafkaError, and LookupError while the topics are not there."""
        partitions = await partitions_of(bootstrap, READ.__contains__, **security)
        if not partitions:
            raise LookupError(READ[0])
        consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=_FETCH_BYTES,
            **security,
        )
        try:
            await consumer.start()
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            await self._go_on(consumer, partitions, ends)
            while not self._stop.is_set():
                batches = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_BATCH)
                await self._take([_record(one) for batch in batches.values() for one in batch])
                lag = 0
                for tp in partitions:
                    lag += max((consumer.highwater(tp) or ends[tp]) - await consumer.position(tp), 0)
                self._state.lag = lag
                if not self._started and not any([await consumer.position(tp) < ends[tp] for tp in partitions]):
                    self._started = True
                    caught_up()
                if self._started:
                    self._state.problem = ""
        finally:
            await consumer.stop()

    async def _go_on(
        self, consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition], ends: Mapping[TopicPartition, int]
    ) -> None:
        """To where the rows end; what a topic has forgotten meanwhile is named."""
        known = await self._patiently(self._model.positions)
        starts = await consumer.beginning_offsets(list(partitions))
        for tp in partitions:
            position = known.get((tp.topic, tp.partition), starts[tp])
            if position > ends[tp]:  # a topic that was made again
                _log.warning("observer.topic-renewed", topic=tp.topic, partition=tp.partition)
                position = starts[tp]
            if position < starts[tp]:
                _log.warning(
                    "observer.records-gone", topic=tp.topic, partition=tp.partition, count=starts[tp] - position
                )
            consumer.seek(tp, max(position, starts[tp]))

    async def _take(self, records: Sequence[Record]) -> None:
        if not records:
            return
        try:
            await self._patiently(lambda: self._fold(records))
        except _Ended:
            raise
        except Exception as fault:  # noqa: BLE001  # of the record, whatever it is; a database is waited for
            if len(records) == 1:
                self._passed_over(records[0], type(fault).__name__)
                await self._patiently(lambda: self._model.take((), positions_after(records)))
            else:
                middle = len(records) // 2
                await self._take(records[:middle])
                await self._take(records[middle:])

    def _fold(self, records: Sequence[Record]) -> None:
        found, strange = [], []
        for record in records:
            try:
                one = read(record, self._ids)
            except Unreadable as fault:
                strange.append((record, str(fault)))
            else:
                if one is not None:
                    found.append(one)
        self._model.take(found, positions_after(records))
        for record, why in strange:
            self._passed_over(record, why)
        newest = max(record.timestamp_ms for record in records)
        self._state.read_at = datetime.fromtimestamp(max(newest, 0) / 1000, UTC)

    def _passed_over(self, record: Record, why: str) -> None:
        self._state.unreadable += 1
        self._state.metrics.count("stafet_observer_unreadable_total", topic=record.topic)
        _log.warning("observer.unreadable", origin=record.origin, why=why)

    async def _patiently(self, work: Callable[[], T]) -> T:
        """The result of work on the database, in a thread; a database that is away is waited for."""
        tries = 0
        while True:
            try:
                return await asyncio.to_thread(work)
            except (DBAPIError, DisconnectionError) as problem:
                if isinstance(problem, DataError):
                    raise
                if self._stop.is_set():
                    raise _Ended from None
                self._state.problem = "the database cannot be reached"
                _log.warning("observer.database-away", why=type(problem).__name__)
                await _pause(tries, self._stop)
                tries += 1


def positions_after(records: Iterable[Record]) -> dict[Position, tuple[int, datetime]]:
    """Per partition the offset after these records, and the time of the newest."""
    found: dict[Position, tuple[int, datetime]] = {}
    for record in records:
        at = datetime.fromtimestamp(max(record.timestamp_ms, 0) / 1000, UTC)
        offset, newest = found.get((record.topic, record.partition), (0, at))
        found[record.topic, record.partition] = max(offset, record.offset + 1), max(newest, at)
    return found


def _record(message: Any) -> Record:
    headers = tuple((name, value or b"") for name, value in message.headers)
    where = (message.topic, message.partition, message.offset)
    return Record(*where, message.key, message.value, headers, message.timestamp)


def waits_of(registers: Registers) -> Callable[[str, str], timedelta]:
    """How long a municipality has to answer in a format, by the registers."""
    return lambda kommunekode, format: registers.policy(kommunekode, format or "fhir").ack_timeout


def places_of(registers: Registers) -> Callable[[str], tuple[str, str, str] | None]:
    """Hospital and department of a unit's SOR code, by the location register."""
    hospitals = {(row.feed, row.facility): row for row in registers.locations if not row.ward}
    known: dict[str, tuple[str, str, str]] = {}
    for row in registers.locations:
        of = hospitals.get((row.feed, row.facility), row)
        known.setdefault(str(row.sor), (str(of.sor), of.hospital, row.department))
    return known.get
