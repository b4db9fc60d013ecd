"""What a worker passes over, and the only reasons for which it may: no record, no longer a record, an operator's word.

*Offsets without a record.* An offset that is skipped is a record lost, so the worker leaves before it acknowledges
anything beyond (`tables.py`). But some offsets hold no record for any reader: the marker that ends a transaction, and
what an aborted one has written, where only committed records are read. And some hold one no longer: retention has
deleted it, which the log, the dead letters and the ledger name. So the broker is asked before the worker leaves
(decision 0025): an independent reader that starts at the offset expected sees what there is. Where it finds a record in
between, the gap is ours, and the worker leaves as before. What the reader has seen beyond the gap is remembered: in a
backlog of one record for each transaction it is asked once in some hundred gaps.

*Records that operators have decided to pass over*: read at the start and every five seconds (decision 0026), with what
they have decided about municipalities (00 §3.6).
"""

import asyncio
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from streams.kafka.clients import AIOKafkaConsumer, read_all
from streams.kafka.decisions import Skip, controls_among, skips_among
from streams.kafka.records import ProducerRecord, Record, dead_letter
from streams.kafka.topics import CONTROL, LARGE
from streams.operations import logs
from streams.records.ledger import lost_row
from streams.words.errors import Rejected
from streams.words.ids import Kommunekode
from streams.words.model import RecipientControl

from .changelog import ClientOptions
from .letters import ledger_letter

#: Seconds for the broker's answer about a gap, and about what is left of a partition, which is asked again.
_LIMIT: Final = 30.0
_SOON: Final = 3.0
#: Seconds for which a partition has stood still before it is asked about.
_STANDING: Final = 1.0
#: Questions about a partition that may stand beside each other: barrier, timers and progress each have an end of theirs.
_ASKERS: Final = 8
_POLL_MS: Final = 200
_AHEAD: Final = 2000

Isolation = str  # aiokafka: "read_uncommitted" or "read_committed"

#: What holds a record for a reader of everything is asked first; then, whether one of committed records would see it.
#: A reader of committed records alone stands still before a transaction that is still open.
_READERS: Final[tuple[Isolation, ...]] = ("read_uncommitted", "read_committed")

_log: Final = logs.get("shell")


class Skipped(Exception):
    """A record of the source never arrived: expected one offset, got a later one."""

    def __init__(self, topic: str, partition: int, expected: int, got: int) -> None:
        super().__init__(
            f"{topic}/{partition}: expected offset {expected}, got {got}, and the broker has records in between; start again"
        )
        self.topic, self.partition, self.expected, self.got = topic, partition, expected, got


class RetentionLoss(NamedTuple):
    """Offsets that the broker no longer keeps: from the next one expected to the oldest one kept."""

    topic: str
    partition: int
    expected: int
    oldest: int


class _View(NamedTuple):
    """What a reader has seen of a partition: every record between two offsets, the second one not included."""

    start: int
    end: int
    offsets: list[int]

    def covers(self, first: int, end: int) -> bool:
        return self.start <= first and end <= self.end

    def holds(self, first: int, end: int) -> bool:
        """Whether a record lies from `first` to before `end`."""
        at = bisect_left(self.offsets, first)
        return at < len(self.offsets) and self.offsets[at] < end


class Gaps:
    """Answers for the source topics of one worker. `security`: aiokafka's client options; `standing` in seconds."""

    def __init__(self, bootstrap: str, security: ClientOptions | None = None, standing: float = _STANDING) -> None:
        self._standing = standing
        self._bootstrap, self._security = bootstrap, dict(security or {})
        self._views: dict[tuple[TopicPartition, Isolation], _View] = {}
        self._questions: dict[TopicPartition, dict[tuple[int, int], float]] = {}  # (first, end) -> since when
        self._asking = asyncio.Lock()

    async def explained(self, topic: str, partition: int, expected: int, got: int) -> RetentionLoss | None:
        """Returns when the broker has no record from `expected` to before `got`; with what retention has deleted.

        Raises `Skipped` when it has one, or does not answer.
        """
        try:
            oldest, is_empty = await self._ask(TopicPartition(topic, partition), expected, got, _LIMIT)
        except (KafkaError, TimeoutError) as why:
            raise Skipped(topic, partition, expected, got) from why
        if not is_empty:
            raise Skipped(topic, partition, expected, got)
        return RetentionLoss(topic, partition, expected, min(oldest, got)) if oldest > expected else None

    async def is_empty(self, topic: str, partition: int, first: int, end: int) -> bool:
        """Whether nothing more is to come before `end`: a partition may end in the marker of a transaction.

        To be asked again and again: the broker is asked once the same question has stood for `standing`. Where records come
        and are taken, it never does.
        """
        tp, now = TopicPartition(topic, partition), asyncio.get_running_loop().time()
        questions = self._questions.setdefault(tp, {})
        if (first, end) not in questions and len(questions) >= _ASKERS:
            questions.clear()
        if now - questions.setdefault((first, end), now) < self._standing:
            return False
        try:
            _, is_empty = await self._ask(tp, first, end, _SOON)
        except (KafkaError, TimeoutError):
            return False
        return is_empty

    async def _ask(self, tp: TopicPartition, first: int, end: int, limit: float) -> tuple[int, bool]:
        """The oldest offset kept, as far as it matters here, and whether no record lies in between."""
        if first >= end:
            return first, True
        oldest = first
        async with self._asking:
            for isolation in _READERS:
                view = self._views.get((tp, isolation))
                if view is None or not (view.covers(first, end) or (view.start <= first and view.holds(first, end))):
                    async with asyncio.timeout(limit):
                        oldest, view = await self._look(tp, first, end, isolation)
                    self._views[tp, isolation] = view
                if view.covers(max(first, oldest), end) and not view.holds(first, end):
                    return oldest, True
        return oldest, False

    async def _look(self, tp: TopicPartition, first: int, end: int, isolation: Isolation) -> tuple[int, _View]:
        """The oldest offset kept, and what a reader of its own sees from `first` up to a record or to `end`."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            enable_auto_commit=False,
            isolation_level=isolation,
            max_partition_fetch_bytes=LARGE,
            **self._security,
        )
        try:
            await consumer.start()
            consumer.assign([tp])
            oldest = (await consumer.beginning_offsets([tp]))[tp]
            consumer.seek(tp, max(first, oldest))
            offsets: list[int] = []
            while await consumer.position(tp) < end and not offsets:
                batch = await consumer.getmany(tp, timeout_ms=_POLL_MS, max_records=_AHEAD)
                offsets += [message.offset for message in batch.get(tp, ())]
            reached = await consumer.position(tp)
        finally:
            await consumer.stop()
        return oldest, _View(max(first, oldest), reached, offsets)


def log_loss(loss: RetentionLoss) -> None:
    """One line for each gap."""
    count = loss.oldest - loss.expected
    _log.error("records.lost", topic=loss.topic, partition=loss.partition, offset=loss.expected, count=count)


def loss_letters(loss: RetentionLoss, *, stage: str, at: datetime, version: str) -> Sequence[ProducerRecord]:
    """A dead letter without content, for who has to ask the sender, and the row that the balance reads."""
    count = loss.oldest - loss.expected
    first = Record(loss.topic, loss.partition, loss.expected, None, None)
    fault = Rejected(
        f"{loss.topic}/{loss.partition}",
        f"{count} offsets from {loss.expected} on were deleted by retention before they were read",
        "have the sender send again what it sent at that time",
        "retention",
    )
    return (
        dead_letter(first, fault, stage=stage, at=at, version=version),
        ledger_letter(lost_row(at, first.origin, count)),
    )


class Skips:
    """The decisions of operators that hold. `security`: aiokafka's client options."""

    EVERY: Final = timedelta(seconds=5)

    def __init__(self, bootstrap: str, security: ClientOptions | None = None) -> None:
        self._bootstrap, self._security = bootstrap, dict(security or {})
        self._known: Mapping[str, Skip] = {}
        self._controls: Mapping[Kommunekode, RecipientControl] = {}

    async def refresh(self) -> None:
        """Reads `recipients.control`. Never raises: without an answer the decisions read before hold."""
        try:
            async with asyncio.timeout(_LIMIT):
                found = [record async for record in read_all(self._bootstrap, (CONTROL,), **self._security)]
        except (KafkaError, TimeoutError) as why:
            _log.warning("skips.not-read", why=type(why).__name__)
        else:
            self._known, self._controls = skips_among(found), controls_among(found)

    def control(self, kommunekode: Kommunekode) -> RecipientControl | None:
        """What stands for a municipality."""
        return self._controls.get(kommunekode)

    def refusal(self, record: Record) -> Rejected | None:
        """Why a record is dead-lettered without being looked at; None for one that is to be taken."""
        if not self._known or record.origin not in self._known:
            return None
        return Rejected("$", "passed over by an operator", "see the ledger for who and why", "skipped-by-operator")
