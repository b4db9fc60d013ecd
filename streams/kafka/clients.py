"""Kafka clients outside Faust: the producer with our guarantees, readers, and a consumer that no record ends.

One producer per process: `acks=all`, idempotent, murmur2 partitioner (aiokafka's default, that of the Java client:
00 §4.3). The reader joins no group and commits nothing: reconciliation and test checkers read past all our state.

Kafka calls a header name a string and checks none; aiokafka decodes it strictly, so one record with a name that is not
UTF-8, which a broker takes, ends every consumer of its partition at each start. Importing this module puts a reader into
aiokafka's fetcher, for every consumer of the process, Faust's too: a batch that cannot be read as it stands is read once
more with `\\xNN` in place of foreign bytes. Consumers of the product are imported from here, so that none is without it.

A fetch asks for every partition each time, for a relay some 330, most of them letterboxes without a receipt. aiokafka
writes and reads that field by field; `_fetch_request` and `_fetch_response` do the same by the structure of the record.
It looks at each of them before and after every answer; `_fetch_actions` does when there is something to ask for, and
not at those that `SparingFetch` leaves out for a moment: each that is named costs the relay and the broker, with records or
without (docs/decisions/0068).

Private names used, each pinned by tests/agents/test_faust_private_names.py: `fetcher.MemoryRecords`,
`_DefaultRecordBatchPy` and its `_buffer`, `_pos`, `_next_record_index`, `_maybe_uncompress`, `FetchRequest_v11.encode` and
`FetchResponse_v11.decode`, `fetcher.TopicPartition`, `Fetcher._get_actions_per_node` and the fields that `_fetch_actions` reads.
"""

import asyncio
import random
import struct
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from aiokafka import AIOKafkaConsumer as AIOKafkaConsumer  # with our reader of batches
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.codec import has_lz4, has_zstd
from aiokafka.consumer import fetcher
from aiokafka.errors import (
    CorruptRecordException,
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaConnectionError,
    NotCoordinatorForGroupError,
)
from aiokafka.partitioner import murmur2
from aiokafka.protocol.fetch import FetchRequest, FetchRequest_v11, FetchResponse_v11
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import decode_varint

from .records import Record
from .topics import LARGE, SMALL

#: Bytes before a batch's own length, and that length (Kafka protocol, record batch).
_LENGTH: Final = struct.Struct(">8xi")
_SHORT: Final = struct.Struct(">h")


class _Buffer(bytearray):
    """Bytes of which every slice can be decoded."""

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return _Buffer(found) if isinstance(at, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "") -> str:
        return super().decode(encoding, errors or "backslashreplace")


class _FetchedBatch:
    """A batch as aiokafka's, whose records can all be read."""

    def __init__(self, batch: Any, data: memoryview) -> None:
        self._batch, self._data = batch, data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        read = 0
        try:
            for record in self._batch:
                yield record
                read += 1
        except (UnicodeDecodeError, CorruptRecordException):
            # Nothing else is wrong with it: the broker has read every length in it when it was produced.
            yield from _leniently(self._data, read)


def _leniently(data: memoryview, read: int) -> Iterator[Any]:
    """The records after the first `read`; those are passed over by their lengths alone."""
    batch = _DefaultRecordBatchPy(data)
    batch._maybe_uncompress()
    batch._buffer = _Buffer(batch._buffer)
    for _ in range(read):
        length, start = decode_varint(batch._buffer, batch._pos)
        batch._pos = start + length
    batch._next_record_index = read
    yield from batch


class _Records:
    """The batches of one answer to a fetch, beside their bytes."""

    def __init__(self, data: bytes) -> None:
        self._records, self._data, self._at = MemoryRecords(data), memoryview(data), 0
        self.size_in_bytes, self.has_next = self._records.size_in_bytes, self._records.has_next

    def next_batch(self) -> _FetchedBatch:
        start, batch = self._at, self._records.next_batch()
        self._at += _LENGTH.size + _LENGTH.unpack_from(self._data, start)[0]
        return _FetchedBatch(batch, self._data[start : self._at])


class _NoRecords:
    """An answer without records, as most are of a reader of some hundred partitions."""

    @staticmethod
    def has_next() -> bool:
        return False

    @staticmethod
    def size_in_bytes() -> int:
        return 0


fetcher.MemoryRecords = lambda data: _Records(data) if data else _NoRecords


#: Kafka protocol, Fetch version 11: the heads of request and answer, and of a partition in each.
_ASKED: Final = struct.Struct(">iiiibiii")
_ASKED_PARTITION: Final = struct.Struct(">iiqqi")
_ANSWERED: Final = struct.Struct(">ihii")
_ANSWERED_PARTITION: Final = struct.Struct(">ihqqqi")
_ABORTED: Final = struct.Struct(">qq")
_INT: Final = struct.Struct(">i")
_TWO_INTS: Final = struct.Struct(">ii")


def _fetch_request(self: Any) -> bytes:
    """`FetchRequest_v11.encode`, ten times as fast: a relay asks for some 330 partitions each time."""
    if self.forgotten_topics_data:  # which aiokafka never has
        return self.SCHEMA.encode([getattr(self, name) for name in self.SCHEMA.names])  # type: ignore[no-any-return]
    head = (self.replica_id, self.max_wait_time, self.min_bytes, self.max_bytes, self.isolation_level)
    parts = [_ASKED.pack(*head, self.session_id, self.session_epoch, len(self.topics))]
    for topic, partitions in self.topics:
        name = topic.encode()
        parts += (_SHORT.pack(len(name)), name, _INT.pack(len(partitions)))
        parts += [_ASKED_PARTITION.pack(*partition) for partition in partitions]
    rack = self.rack_id.encode()
    return b"".join((*parts, _INT.pack(0), _SHORT.pack(len(rack)), rack))


def _fetch_response(kind: type[Any], data: Any) -> Any:
    """`FetchResponse_v11.decode`, ten times as fast."""
    view = data if isinstance(data, bytes) else data.read()
    throttle, error, session, number = _ANSWERED.unpack_from(view)
    at, topics = _ANSWERED.size, []
    for _ in range(number):
        (length,) = _SHORT.unpack_from(view, at)
        at += _SHORT.size + length
        topic = view[at - length : at].decode()
        (width,) = _INT.unpack_from(view, at)
        at += _INT.size
        partitions = []
        for _ in range(width):
            *known, number_aborted = _ANSWERED_PARTITION.unpack_from(view, at)
            at += _ANSWERED_PARTITION.size
            aborted = None
            if number_aborted >= 0:
                end = at + number_aborted * _ABORTED.size
                aborted, at = list(_ABORTED.iter_unpack(view[at:end])), end
            replica, size = _TWO_INTS.unpack_from(view, at)
            at += _TWO_INTS.size
            end = at + max(size, 0)
            partitions.append((*known, aborted, replica, None if size < 0 else view[at:end]))
            at = end
        topics.append((topic, partitions))
    return kind(throttle, error, session, topics)


#: Seconds after a full fetch in which fetches may leave partitions out.
_FULL: Final = 0.1
#: Seconds for which a topic is busy.
_BUSY: Final = 1.0
#: Leaving out fewer partitions than these is not worth a record that waits.
_WORTH: Final = 64


class SparingFetch:
    """What one consumer reads: all of it by a full fetch, only busy topics by those that follow soon after.

    A topic is busy for a second after a partition of it has moved, by records or a seek; a new assignment moves all.
    """

    def __init__(self) -> None:
        self._begin({})

    def _begin(self, states: Mapping[Any, Any]) -> None:
        self._states, self._positions = states, [None] * len(states)
        self._topics: dict[str, dict[Any, Any]] = {}
        for tp, state in states.items():
            self._topics.setdefault(tp.topic, {})[tp] = state
        self._moved = dict[str, float]()  # by topic
        self._full = dict[int, float]()  # by node, when it was last asked for all that it leads

    def choose(
        self, states: Mapping[Any, Any], in_flight: Collection[int], now: float
    ) -> tuple[Mapping[Any, Any], float]:
        """The partitions to look at, and 0; or the busy ones, and for how many seconds they may be all.

        `states` are those of an assignment: the same mapping as long as it lasts.
        """
        if states is not self._states:
            self._begin(states)
        positions = [state._position for state in states.values()]
        if positions != self._positions:
            for tp, before, position in zip(states, self._positions, positions, strict=True):
                if before != position:
                    self._moved[tp.topic] = now
            self._positions = positions
        full = [at for node, at in self._full.items() if node not in in_flight] or self._full.values()
        left = min(full, default=now - _FULL) + _FULL - now
        if left > 0:
            topics = (self._topics[topic] for topic, at in self._moved.items() if now - at < _BUSY)
            busy = {tp: state for topic in topics for tp, state in topic.items()}
            if busy and len(states) - len(busy) > _WORTH:
                return busy, left
        else:  # a node that leads nothing any more is never asked again
            self._full = {node: at for node, at in self._full.items() if node in in_flight}
        return states, 0.0

    def fetches_all(self, node: int, now: float) -> None:
        """A node is asked for all that can be asked of it."""
        self._full[node] = now


def _fetch_actions(self: Any, assignment: Any) -> Any:
    """`Fetcher._get_actions_per_node` where it is about records alone, three times as fast; aiokafka's own where not.

    A consumer with a `sparing` looks at busy partitions alone while that allows it, and no fetch waits longer than that.

    Its answer: requests by node, positions to find by node, seconds until the next look, whether leaders are unknown, and
    what ends a pause.
    """
    if self._preferred_read_replica:
        return _AIOKAFKA_ACTIONS(self, assignment)
    leader, most = self._client.cluster.leader_for_partition, self._max_partition_fetch_bytes
    states, wait_ms, left, now = assignment._tp_state, self._fetch_max_wait_ms, 0.0, time.monotonic()
    if self.sparing:
        states, left = self.sparing.choose(states, self._in_flight, now)
        wait_ms = min(wait_ms, int(left * 1000) + 1) if left else wait_ms
    unread = defaultdict[int, list[float]](list)  # seconds that records of a node still wait for their reader
    for tp, found in self._records.items():
        if wait := found.calculate_backoff():
            unread[leader(tp)].append(wait)
    asked: dict[int, dict[str, list[tuple[int, int, int]]]] = {}
    paused = []
    for tp, state in states.items():
        node, position = leader(tp), state._position
        if tp in self._records or node in self._in_flight:
            continue
        if node is None or node == -1 or position is None:
            return _AIOKAFKA_ACTIONS(self, assignment)
        if state._paused:
            paused.append(state.resume_fut)
        elif node not in unread:
            asked.setdefault(node, {}).setdefault(tp.topic, []).append((tp.partition, position, most))
    requests = []
    limits = (wait_ms, self._fetch_min_bytes, self._fetch_max_bytes, self._isolation_level)
    for node, topics in asked.items():
        if self.sparing and not left:
            self.sparing.fetches_all(node, now)
        shuffled = list(topics.items())
        random.shuffle(shuffled)  # a broker answers in this order, up to a size
        requests.append((node, FetchRequest(*limits, shuffled, rack_id=self._client_rack or "")))
    until = min(map(max, unread.values()), default=self._fetcher_timeout)
    return requests, {}, min(until, left) if left and not requests else until, False, paused


_AIOKAFKA_ACTIONS: Final = fetcher.Fetcher._get_actions_per_node

FetchRequest_v11.encode = _fetch_request
FetchResponse_v11.decode = classmethod(_fetch_response)
fetcher.Fetcher._get_actions_per_node = _fetch_actions
fetcher.Fetcher.sparing = None  # a `SparingFetch` for the consumer that sets one
fetcher.TopicPartition = lru_cache(maxsize=None)(TopicPartition)


#: No broker answers, or the password is wrong: the two look the same in aiokafka (kafka.md §3).
NoConnection = KafkaConnectionError


def compression() -> str | None:
    """The best codec installed: zstd, then lz4 (both come with `aiokafka[all]`), else none.

    gzip is always there and not used: it costs more time per letter than all else together.
    """
    if has_zstd():
        return "zstd"
    return "lz4" if has_lz4() else None


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key by the Java client's murmur2 partitioner (00 §4.3)."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)


class _Producer(AIOKafkaProducer):  # type: ignore[misc]  # untyped to us
    """A producer whose failed start closes its connections; aiokafka's own leaves them and complains when collected."""

    async def start(self) -> None:
        try:
            await super().start()
        except BaseException:
            await self.stop()
            raise


def new_producer(bootstrap: str, *, client_id: str = "stafet", linger_ms: int = 5, **security: Any) -> AIOKafkaProducer:
    """An idempotent producer, not started. `security`: aiokafka's `security_protocol`, `sasl_…`, `ssl_context`."""
    return _Producer(
        bootstrap_servers=bootstrap,
        client_id=client_id,
        acks="all",
        enable_idempotence=True,
        linger_ms=linger_ms,
        compression_type=compression(),
        max_request_size=LARGE,
        request_timeout_ms=30_000,
        **security,
    )


async def committed_offsets(
    admin: AIOKafkaAdminClient, group: str, places: Iterable[TopicPartition], *, limit: float = 30.0
) -> dict[TopicPartition, int]:
    """What the group has committed of these partitions; one without a commit is left out.

    A broker whose first group this is has no coordinator for a moment: asked again for `limit` seconds.
    """
    wanted, end = list(places), time.monotonic() + limit
    while True:
        try:
            # Named one by one: the embedded broker has no answer to the question for all.
            found = await admin.list_consumer_group_offsets(group, partitions=wanted)
        except (GroupCoordinatorNotAvailableError, NotCoordinatorForGroupError, GroupLoadInProgressError):
            if time.monotonic() > end:
                raise
            await asyncio.sleep(0.2)
        else:
            return {tp: offset.offset for tp, offset in found.items() if offset.offset >= 0}


def state_producer(bootstrap: str, transactional_id: str | None, **security: Any) -> AIOKafkaProducer:
    """The producer of one partition of state, not started: a start with the same id fences the producer before.

    Rows leave as they are: those of `lanes` are compressed already, and aiokafka makes a compressor for each batch (0059).
    """
    return _Producer(
        bootstrap_servers=bootstrap,
        client_id=transactional_id or "stafet-state",
        transactional_id=transactional_id,
        transaction_timeout_ms=60_000,
        acks="all",
        enable_idempotence=True,
        max_batch_size=SMALL // 2,  # rows that share a batch; one larger row is a batch of its own
        max_request_size=LARGE,
        request_timeout_ms=30_000,
        **security,
    )


async def read_all(
    bootstrap: str, topics: Iterable[str], *, committed: bool = False, **security: Any
) -> AsyncIterator[Record]:
    """Every record that the topics hold at the time of asking, per partition in order; a topic not there has none.

    `committed`: without what a transaction has thrown away or not ended, as changelogs are to be read.
    """
    wanted = await _present(bootstrap, topics, security)
    if not wanted:
        return
    consumer = AIOKafkaConsumer(  # without a group it is given every partition of its topics
        *wanted,
        bootstrap_servers=bootstrap,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed" if committed else "read_uncommitted",
        max_partition_fetch_bytes=LARGE,
        **security,
    )
    try:
        await consumer.start()
        ends = await consumer.end_offsets(consumer.assignment())
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            for tp, batch in (await consumer.getmany(timeout_ms=500)).items():
                for read in batch:
                    if read.offset < ends[tp]:
                        headers = tuple((name, value or b"") for name, value in read.headers)
                        where = (read.topic, read.partition, read.offset)
                        yield Record(*where, read.key, read.value, headers, read.timestamp)
    finally:
        await consumer.stop()


async def partitions_of(bootstrap: str, wanted: Callable[[str], bool], **security: Any) -> list[TopicPartition]:
    """The partitions of every wanted topic that is there, asked of the broker: a consumer knows those of its own only."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, **security)
    try:
        await admin.start()
        names = sorted(filter(wanted, await admin.list_topics()))
        topics = await admin.describe_topics(names) if names else []  # no names: all topics
    finally:
        await admin.close()
    return [TopicPartition(topic["topic"], one["partition"]) for topic in topics for one in topic["partitions"]]


async def extent(bootstrap: str, tp: TopicPartition, **security: Any) -> tuple[int, int]:
    """The oldest offset kept of a partition and the next one to be written; twice 0 for one that is not there."""
    if not await _present(bootstrap, [tp.topic], security):
        return 0, 0
    consumer = AIOKafkaConsumer(tp.topic, bootstrap_servers=bootstrap, enable_auto_commit=False, **security)
    try:
        await consumer.start()
        if tp not in consumer.assignment():
            return 0, 0
        return (await consumer.beginning_offsets([tp]))[tp], (await consumer.end_offsets([tp]))[tp]
    finally:
        await consumer.stop()


async def _present(bootstrap: str, topics: Iterable[str], security: Mapping[str, Any]) -> list[str]:
    """Those of the topics that exist: a client that asks for an absent one by name may create it or wait for it."""
    asking = AIOKafkaConsumer(bootstrap_servers=bootstrap, **security)
    try:
        await asking.start()
        there = await asking.topics()
    finally:
        await asking.stop()
    return [topic for topic in topics if topic in there]
