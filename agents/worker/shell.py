"""The one error policy, and the one order: effects first, state second, offset last.

Every stage is a pure step: the row of a key and a record in, the new row and letters out. This shell feeds it
batches and sees to the rest (design §8, measured in docs/decisions/0002):

1. the step is folded over the batch; a `Rejected` or a fault of ours becomes a dead letter and the next record is
   taken (Faust would acknowledge what raised, and with it the whole batch);
2. the letters are sent and confirmed; what the broker refuses is handed back to the stage (`on_refused`). A record
   behind one of the same key whose letter may be refused waits for its answer and is folded in the next round, so
   that it never builds on a step that did not happen: a batch is as its records one by one;
3. the rows are noted, repeats too, the next expected offsets beside them for the same transaction;
4. only then does the loop come round, which lets Faust commit: rows in a transaction first, the offsets after it.

Whatever else goes wrong, a skipped record and a cancelled body included, ends the process at once: the only way to
refuse a record. Offsets at which the broker has no record are no skip (`gaps.py`). Records that fail, however many in a
row, end nothing while a good one of our own can be folded. Null or empty keys and values reach the step as they are; a
step that wants a row for a record whose key cannot carry one is answered with a dead letter. A record that a foreign
partitioner has put beside the row of its key is sent on to the right partition first.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from faust.types import EventT, Message

from agents.station import Clock
from streams.kafka.clients import partition_of
from streams.kafka.records import ProducerRecord, Record, dead_letter, header, last_dead_letter, place_of, size_of
from streams.kafka.sender import Refusal, Unavailable
from streams.kafka.topics import SMALL, size_limit
from streams.operations import logs
from streams.words.errors import Rejected

from .any_record import position_at
from .consumer import BatchStream
from .gaps import Gaps, Skipped, Skips, log_loss, loss_letters
from .tables import FencedApp, FencedTable, is_own_row, position_key

Fold = tuple[bytes | None, Sequence[ProducerRecord]]

#: (row or None, record) -> (new row or None to delete, letters). Pure; raises `Rejected` for a useless record.
Step = Callable[[bytes | None, Record], Fold]
#: (row, record, refusal) -> (row, letters): what the stage does about a letter of that record marked `refusable`.
OnRefused = Callable[[bytes | None, Record, Refusal], Fold]
#: (row, record, fault) -> (row, letters): what the stage sends beside the dead letter, a ledger row for one.
OnFault = Callable[[bytes | None, Record, Exception], Fold]
#: Called with the name of each letter marked `refusable` that the broker has taken.
OnTaken = Callable[[str], None]
#: Called when the rows of a batch are safe: (key, row or None, partition).
OnRow = Callable[[bytes, bytes | None, int], None]
Leave = Callable[[str], None]

_NONE: Final = range(0)

#: Header of a record that was sent on to the partition of its key: where it first lay.
_MOVED: Final = "moved-from"

#: Bytes. Ours have 16; one beyond the limit of the changelog would end the worker that writes its row.
_LONGEST_KEY: Final = 1024

#: What Python raises because of a value that is out of every range: a fault of the record, however our code met it.
_OF_VALUES: Final = (OverflowError, RecursionError, UnicodeError)

_log: Final = logs.get("shell")


class Report(Protocol):
    """Takes what happened in the shell: an event name and facts without personal data."""

    def __call__(self, event: str, /, **facts: str | int) -> None:
        """`event` in past tense, as `record.dead-lettered`."""


def log_warning(event: str, /, **facts: str | int) -> None:
    """The default report: one log line."""
    _log.warning(event, **facts)


def leave_now(reason: str) -> None:
    """Ends the process at once, acknowledging nothing more (engineering measurements: no other way is safe)."""
    _log.critical("worker.left", why=reason)
    logging.shutdown()
    os._exit(70)


class TooManyFaults(Exception):
    """Every record fails: that is no matter of records."""


@dataclass(frozen=True)
class Limits:
    """Bounds of the shell. Times in seconds."""

    batch: int = 200
    changelog: float = 45.0
    faults_in_a_row: int = 10  # a fault of ours in every record is no matter of records
    refusal_rounds: int = 3
    row_bytes: int = SMALL - 4096


@dataclass(frozen=True)
class Stage:
    """One stage of the story: what it reads, what it knows, what it does."""

    name: str
    source: str | tuple[str, ...]  # several topics of one partition count: partition n of each goes to one worker
    step: Step
    table: FencedTable | None = None
    positions: FencedTable | None = None  # where the next offsets are kept; the stage's own table by default
    on_refused: OnRefused | None = None
    on_taken: OnTaken = lambda _name: None
    on_fault: OnFault | None = None
    on_row: OnRow = lambda _key, _row, _partition: None
    probe: Callable[[], object] | None = None  # folds a good record of our own, purely; raises when that fails

    @property
    def sources(self) -> tuple[str, ...]:
        """Every topic that is read."""
        return (self.source,) if isinstance(self.source, str) else self.source

    @property
    def position_table(self) -> FencedTable | None:
        """The table that keeps the next offsets. An empty table is false, so it is asked by name."""
        return self.table if self.positions is None else self.positions


def _record_of(message: Message) -> Record:
    """Faust's message as the record it was."""
    headers = message.headers or ()
    pairs = headers.items() if isinstance(headers, dict) else headers
    return Record(
        message.topic,
        message.partition,
        message.offset,
        message.key,
        message.value,
        tuple((name.replace("\0", "\\x00"), value or b"") for name, value in pairs),  # librdkafka cuts a name there
        int((message.timestamp or 0) * 1000),
    )


def _usable_key(key: bytes | None) -> bytes | None:
    """The key under which a row may lie: not missing, not empty, not of the form of the table's own rows, of sane length."""
    return key if key and len(key) <= _LONGEST_KEY and not is_own_row(key) else None


class _Batch:
    """A batch in the making: rows, letters and positions that several records share before anything is written.

    Several records of a batch may have one key: each is folded over what the one before it left. Rows belong to the
    partition of the record that changed them, never to that of their own key, so each keeps its event.
    """

    def __init__(self, stage: Stage) -> None:
        self._table, self._position_table = stage.table, stage.position_table
        self.rows: dict[bytes, tuple[EventT, bytes | None]] = {}
        self._letters: list[ProducerRecord] = []
        self._positions: dict[bytes, tuple[int, EventT]] = {}
        self._behind: dict[int, tuple[EventT, ProducerRecord]] = {}  # the letter is kept, so its id stays its own

    def row(self, event: EventT) -> bytes | None:
        """The row of the record's key as this batch has left it so far."""
        key = _usable_key(event.message.key)
        if key is None or self._table is None:
            return None
        if key in self.rows:
            return self.rows[key][1]
        return self._table.get(event.message.partition, key)

    def expected(self, event: EventT) -> int:
        """The next offset expected of the record's partition; 0 when nothing is known of it."""
        if self._position_table is None:
            return 0
        message = event.message
        mark = position_key(message.topic, message.partition)
        if mark in self._positions:
            return self._positions[mark][0]
        row = self._position_table.get(message.partition, mark)
        return position_at(row, message.topic, message.partition) or 0

    def advance(self, event: EventT) -> None:
        """Notes the next offset expected after this record."""
        if self._position_table is not None:
            message = event.message
            mark = position_key(message.topic, message.partition)
            self._positions[mark] = max(message.offset + 1, self.expected(event)), event

    def put(self, event: EventT, row: bytes | None, letters: Sequence[ProducerRecord]) -> Sequence[ProducerRecord]:
        """What a record has led to. A row is written again even when unchanged: its changelog record may be lost."""
        self._letters += self.put_again(event, row, letters)
        return letters

    def send(self, event: EventT, letters: Sequence[ProducerRecord]) -> Sequence[ProducerRecord]:
        """Letters of a record that has nothing to do with the row of its key."""
        for letter in letters:
            self._behind[id(letter)] = event, letter
        self._letters += letters
        return letters

    def taken(self) -> list[ProducerRecord]:
        """The letters since the last call, in order: the next round to send."""
        taken, self._letters = self._letters, []
        return taken

    def put_again(
        self, event: EventT, row: bytes | None, letters: Sequence[ProducerRecord]
    ) -> Sequence[ProducerRecord]:
        """As `put`, for the answer to a refusal: its letters are a round of their own."""
        key = _usable_key(event.message.key)
        if key is not None and self._table is not None:
            self.rows[key] = event, row
        for letter in letters:
            self._behind[id(letter)] = event, letter
        return letters

    def behind(self, letter: ProducerRecord) -> tuple[EventT, bytes | None]:
        """The record that a letter came from, and the row of its key by now."""
        event, _ = self._behind[id(letter)]
        key = _usable_key(event.message.key)
        return event, self.rows[key][1] if key in self.rows else None

    def write(self) -> list[Coroutine[Any, Any, None]]:
        """Rows and positions as calls, one for each partition of each table."""
        changes: dict[tuple[int, int], tuple[FencedTable, dict[bytes, bytes | None]]] = {}

        def change(table: FencedTable, event: EventT, key: bytes, row: bytes | None) -> None:
            partition = event.message.partition
            changes.setdefault((id(table), partition), (table, {}))[1][key] = row

        for key, (event, row) in self.rows.items():
            assert self._table is not None
            there = self._table.get(event.message.partition, key) is not None
            if there or row is not None:  # a row that never was needs no tombstone
                change(self._table, event, key, row)
        for mark, (offset, event) in self._positions.items():
            assert self._position_table is not None
            change(self._position_table, event, mark, b"%d" % offset)
        return [table.write(partition, rows) for (_, partition), (table, rows) in changes.items()]


@dataclass
class _Shell:
    app: FencedApp
    stage: Stage
    clock: Clock
    report: Report
    limits: Limits
    version: str
    gaps: Gaps | None
    skips: Skips | None
    faults: int = field(default=0, init=False)  # in a row
    partitions: int | None = field(default=None, init=False)  # of the source topic

    async def take(self, events: Sequence[EventT]) -> None:
        """One batch through all four acts; raises when the process has to leave."""
        batch = _Batch(self.stage)
        events = [event for event in events if not self._is_done(event)]
        for event in events:
            await self._explain_gap(batch, event)
            batch.advance(event)
        waiting: Sequence[EventT] = events
        followers: list[ProducerRecord] = []
        while waiting or followers:
            later: list[EventT] = []  # behind a record of the same key that is undecided
            undecided: set[bytes] = set()
            for event in waiting:
                if event.message.key in undecided:
                    later.append(event)
                elif any(letter.refusable for letter in self._fold(batch, event)):
                    undecided.add(event.message.key)
            waiting = later
            letters = batch.taken()
            refused = await self._send([*followers, *(letter for letter in letters if not letter.after)], batch)
            followers = [letter for letter in letters if letter.after and letter.after not in refused]
        async with asyncio.timeout(self.limits.changelog):
            for write in batch.write():
                await write
        for key, (event, row) in batch.rows.items():
            self.stage.on_row(key, row, event.message.partition)

    def _is_done(self, event: EventT) -> bool:
        """Whether the record comes again behind a position that was committed with its row: its letters left before that.

        It holds from the seek to the committed offsets until the first record beyond; offsets that start from 0, in a topic
        that was made again, are none of these.
        """
        message = event.message
        repeats = self.app.repeats.get((message.topic, message.partition), _NONE)
        if message.offset in repeats:
            self.app.repeats[message.topic, message.partition] = range(message.offset + 1, repeats.stop)
            return True
        if repeats:
            self.app.repeats[message.topic, message.partition] = _NONE
        return False

    async def _explain_gap(self, batch: _Batch, event: EventT) -> None:
        """Raises `Skipped` when a record lies before this one that was not taken; one that is kept no longer is named."""
        message, expected = event.message, batch.expected(event)
        if not expected or message.offset <= expected:
            return
        if self.gaps is None:
            raise Skipped(message.topic, message.partition, expected, message.offset)
        loss = await self.gaps.explained(message.topic, message.partition, expected, message.offset)
        if loss is not None:
            log_loss(loss)
            batch.send(event, loss_letters(loss, stage=self.stage.name, at=self.clock(), version=self.version))

    async def _send(self, letters: Sequence[ProducerRecord], batch: _Batch) -> frozenset[str]:
        """Sends until nothing is left to send, and names the letters that the broker refuses.

        The stage answers a refusal with letters of the next round; a letter that must not be refused ends the process.
        """
        stage = self.stage
        refused: set[str] = set()
        for _ in range(self.limits.refusal_rounds):
            refusals = await self.app.sender.send(letters) if letters else []
            refused |= {refusal.letter.name for refusal in refusals}
            for letter in letters:
                if letter.refusable and letter.name not in refused:
                    stage.on_taken(letter.name)
            if not refusals:
                return frozenset(refused)
            answers: list[ProducerRecord] = []
            for refusal in refusals:
                letter, reason = refusal
                self.report("letter.refused", stage=stage.name, topic=letter.topic, why=reason)
                if stage.on_refused is None or not letter.refusable:
                    raise Unavailable(f"{letter.topic}: {reason}")
                event, row = batch.behind(letter)
                row, more = stage.on_refused(row, _record_of(event.message), refusal)
                answers += batch.put_again(event, row, more)
            letters = answers
        raise Unavailable("a letter is refused again and again")

    def _fold(self, batch: _Batch, event: EventT) -> Sequence[ProducerRecord]:
        record = _record_of(event.message)
        if self.skips is not None and (refusal := self.skips.refusal(record)) is not None:
            return self._put_dead_letter(batch, event, record, batch.row(event), refusal)
        if (elsewhere := self._sent_on(record)) is not None:
            return batch.send(event, elsewhere)
        old = batch.row(event)
        try:
            row, letters = self.stage.step(old, record)
            self._check(record, old, row, letters)
        except _OF_VALUES as fault:
            problem = f"a value beyond what can be computed with ({type(fault).__name__} at {place_of(fault)})"
            rejected = Rejected("$", problem, "send times, numbers and texts of this world", "out-of-range")
            return self._put_dead_letter(batch, event, record, old, rejected)
        except Exception as fault:  # noqa: BLE001  # the error policy: no exception leaves a stage
            return self._put_dead_letter(batch, event, record, old, fault)
        self.faults = 0
        return batch.put(event, row, letters)

    def _check(self, record: Record, old: bytes | None, row: bytes | None, letters: Sequence[ProducerRecord]) -> None:
        """Raises `Rejected` for a row or a letter that cannot be: a matter of the record that leads to it."""
        if row is not None:
            if self.stage.table is None or _usable_key(record.key) is None:
                raise Rejected("key", "missing or of a reserved form", "send the record with its key", "no-key")
            if len(row) > self.limits.row_bytes and (old is None or len(row) > len(old)):
                raise _too_large(f"a row of {len(row)} bytes, which the changelog does not take")
        if (fault := _oversized(letters)) is not None:
            raise fault

    def _sent_on(self, record: Record) -> Sequence[ProducerRecord] | None:
        """None for a record that lies where its row can be (00 §4.3).

        One that another partitioner has put elsewhere is sent on, once, to the partition of its key, or dead-lettered.
        """
        key = _usable_key(record.key)
        if self.stage.table is None or key is None:
            return None
        if self.partitions is None:
            self.partitions = self.app.consumer.topic_partitions(record.topic)
        if self.partitions is None or partition_of(key, self.partitions) == record.partition:
            return None
        moved = (_MOVED, record.origin.encode())
        letter = ProducerRecord(record.topic, record.key, record.value, (*record.headers, moved))
        fault = _oversized([letter])  # with one more header
        if header(record.headers, _MOVED) is not None:  # sent on once more it would go in circles
            problem = "says that the record was sent on, and it lies where its key does not"
            fault = Rejected(_MOVED, problem, "send the record without it", "misplaced")
        if fault is None:
            return [letter]
        _, beside = self._beside(None, record, fault)
        return [*beside, self._dead_letter(record, fault)]

    def _dead_letter(self, record: Record, fault: Exception) -> ProducerRecord:
        """Cannot fail: at the worst it names origin and class."""
        try:
            return dead_letter(record, fault, stage=self.stage.name, at=self.clock(), version=self.version)
        except Exception as second:  # noqa: BLE001  # the record has to be found again, whatever it holds
            self.report("fault.unspoken", stage=self.stage.name, where=place_of(second))
            return last_dead_letter(record, fault, stage=self.stage.name)

    def _beside(self, old: bytes | None, record: Record, fault: Exception) -> Fold:
        """The row, and the letters that the stage sends beside the dead letter."""
        if self.stage.on_fault is None:
            return old, ()
        try:
            return self.stage.on_fault(old, record, fault)
        except Exception as second:  # noqa: BLE001  # the dead letter alone must still leave
            self.report("fault.unspoken", stage=self.stage.name, where=place_of(second))
            return old, ()

    def _put_dead_letter(
        self, batch: _Batch, event: EventT, record: Record, old: bytes | None, fault: Exception
    ) -> Sequence[ProducerRecord]:
        """Dead-letters a record; the letters, those of the stage beside it included."""
        stage = self.stage
        row, letters = self._beside(old, record, fault)
        put = batch.put(event, row, [*letters, self._dead_letter(record, fault)])
        code = fault.rule or "rejected" if isinstance(fault, Rejected) else "internal-error"
        self.faults = 0 if isinstance(fault, Rejected) else self.faults + 1
        self.report("record.dead-lettered", stage=stage.name, code=code, origin=record.origin, where=place_of(fault))
        if self.faults > self.limits.faults_in_a_row:
            self._probe()
        return put

    def _probe(self) -> None:
        """Faults in a row: are they of these records, or would every record meet one? (decision 0025)

        A record of our own, known to be good, is folded by the same rules. Raises `TooManyFaults` when that fails too.
        """
        faults, self.faults = self.faults, 0
        try:
            if self.stage.probe is not None:
                self.stage.probe()
                self.report("faults.of-records", stage=self.stage.name, count=faults)
                return
        except Exception as fault:  # noqa: BLE001  # whatever it is, it is ours
            self.report("probe.failed", stage=self.stage.name, where=place_of(fault))
        raise TooManyFaults(f"{faults} faults of ours in a row in stage {self.stage.name}")


def _oversized(letters: Iterable[ProducerRecord]) -> Rejected | None:
    """What is wrong with the first letter that may not be refused and would be, for its size."""
    for letter in letters:
        if not letter.refusable and size_of(letter) > size_limit(letter.topic):
            return _too_large(f"{size_of(letter)} bytes on {letter.topic}, which takes {size_limit(letter.topic)}")
    return None


def _too_large(what: str) -> Rejected:
    return Rejected("$", f"leads to {what}", "send shorter values", "too-large")


def guarded(
    app: FencedApp,
    stage: Stage,
    *,
    clock: Clock,
    leave: Leave = leave_now,
    report: Report = log_warning,
    limits: Limits = Limits(),
    version: str = "",
    gaps: Gaps | None = None,
    skips: Skips | None = None,
) -> Callable[[BatchStream], Awaitable[None]]:
    """The body of an agent for `stage`: `app.agent(topic, name=stage.name)(guarded(app, stage, clock=clock))`.

    `gaps` asks the broker about offsets that are skipped; without it any gap is a loss. `skips` knows the records that
    operators pass over. `leave` must not return in production; where a test lets it return, the batch in hand is never
    let go.
    """
    shell = _Shell(app, stage, clock, report, limits, version, gaps, skips)
    if stage.position_table is not None:
        app.positions |= dict.fromkeys(stage.sources, stage.position_table)

    async def body(stream: BatchStream) -> None:
        async for events in stream.batches(limits.batch):
            try:
                await shell.take(events)
            except BaseException as why:  # noqa: BLE001  # CancelledError too: Faust would commit the batch
                # Our own exceptions give their reason without content, others only where they rose.
                ours = isinstance(why, Unavailable) or type(why).__module__.startswith("agents.")
                leave(str(why) if ours else f"{type(why).__name__} at {place_of(why)}")
                while True:
                    await asyncio.Event().wait()

    return body
