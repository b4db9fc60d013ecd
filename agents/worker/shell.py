"""The one error policy, and the one order: effects first, state second, offset last.

Every stage is a pure step: the row of a key and a record in, the new row and letters out. This shell feeds it
batches and sees to the rest (design §8, measured in docs/decisions/0002):

1. the step is folded over the batch; a `Rejected` or a fault of ours becomes a dead letter and the next record is
   taken (Faust would acknowledge what raised, and with it the whole batch);
2. the letters are sent and confirmed; what the broker refuses is handed back to the stage (`on_refused`). A record
   behind one of the same key whose letter may be refused waits for its answer and is folded in the next round, so
   that it never builds on a step that did not happen: a batch is as its records one by one;
3. the rows are written, repeats too, the next expected offsets beside them in the same transaction;
4. only then does the loop come round, which lets Faust commit: the transaction first, the offsets after it.

Whatever else goes wrong, a skipped record and a cancelled body included, ends the process at once: the only way to
refuse a record. Offsets at which the broker has no record are no skip (`gaps.py`). Records that fail, however many in a
row, end nothing while a good one of our own can be folded. Null or empty keys and values reach the step as they are; a step that wants a row for a record whose
key cannot carry one is answered with a dead letter. A record that a foreign partitioner has put beside the row of its
key is sent on to the right partition first.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, Protocol

from streams.kafka.clients import partition_of
from streams.kafka.dispatch import Refusal, Unavailable, dispatch
from streams.kafka.records import Letter, Record, dead_letter, header, last_dead_letter, place_of, size_of
from streams.kafka.topics import SMALL, size_limit
from streams.operations import logs
from streams.words.errors import Rejected

from .batch import Batch, record_of, usable_key
from .clock import Clock
from .gaps import Gaps
from .lost import lost_letters, say_lost
from .skips import Skips
from .tables import FencedTable, Skipped, own_producer

__all__ = ["Leave", "Limits", "OnFault", "OnRefused", "Report", "Stage", "Step", "guarded", "leave_now", "say"]

Fold = tuple[bytes | None, Sequence[Letter]]

#: (row or None, record) -> (new row or None to delete, letters). Pure; raises `Rejected` for a useless record.
Step = Callable[[bytes | None, Record], Fold]
#: (row, record, refusal) -> (row, letters): what the stage does about a letter of that record marked `refusable`.
OnRefused = Callable[[bytes | None, Record, Refusal], Fold]
#: (row, record, fault) -> (row, letters): what the stage says beside the dead letter, a ledger row for one.
OnFault = Callable[[bytes | None, Record, Exception], Fold]
#: Told by its name of each letter marked `refusable` that the broker has taken.
OnTaken = Callable[[str], None]
#: Told when the rows of a batch are safe: (key, row or None, partition).
OnRow = Callable[[bytes, bytes | None, int], None]
Leave = Callable[[str], None]

_NONE: Final = range(0)

#: Header of a record that was sent on to the partition of its key: where it first lay.
_MOVED: Final = "moved-from"

_log: Final = logs.get("shell")


class Report(Protocol):
    """Where the shell says what happened: an event name and facts without personal data."""

    def __call__(self, event: str, /, **facts: str | int) -> None:
        """`event` in past tense, as `record.set-aside`."""


def say(event: str, /, **facts: str | int) -> None:
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
    within: float = 0.02  # how long a lone record waits for company
    send: float = 45.0  # longest stall of a three-node cluster that loses one was 13 s
    changelog: float = 45.0
    faults_in_a_row: int = 10  # a fault of ours in every record is no matter of records
    refusal_rounds: int = 3
    row_bytes: int = SMALL - 4096


def _no_rows(_key: bytes, _row: bytes | None, _partition: int) -> None:
    """A stage without an index over its rows."""


def _not_told(_name: str) -> None:
    """A stage that does not wait to hear what was taken."""


@dataclass(frozen=True)
class Stage:
    """One stage of the story: what it reads, what it knows, what it does."""

    name: str
    source: str | tuple[str, ...]  # several topics of one partition count: partition n of each goes to one worker
    step: Step
    table: FencedTable | None = None
    positions: FencedTable | None = None  # where the next offsets are kept; the stage's own table by default
    on_refused: OnRefused | None = None
    on_taken: OnTaken = _not_told
    on_fault: OnFault | None = None
    on_row: OnRow = _no_rows
    probe: Callable[[], object] | None = None  # folds a good record of our own, purely; raises when that fails


@dataclass
class _Shell:
    app: Any
    stage: Stage
    clock: Clock
    report: Report
    limits: Limits
    version: str
    gaps: Gaps | None
    skips: Skips | None
    faults: int = field(default=0, init=False)  # in a row
    partitions: int | None = field(default=None, init=False)  # of the source topic

    async def take(self, events: Sequence[Any]) -> None:
        """One batch through all four acts; raises when the process has to leave."""
        positions = self.stage.positions  # an empty table is false, so it is asked by name
        batch = Batch(self.stage.table, self.stage.table if positions is None else positions)
        events = [event for event in events if not self._is_done(event)]
        for event in events:
            await self._without_gap(batch, event)
            batch.advance(event)
        waiting: Sequence[Any] = events
        followers: list[Letter] = []
        while waiting or followers:
            waiting = self._round(batch, waiting)
            letters = batch.taken()
            refused = await self._send([*followers, *(letter for letter in letters if not letter.after)], batch)
            followers = [letter for letter in letters if letter.after and letter.after not in refused]
        async with asyncio.timeout(self.limits.changelog):
            await asyncio.gather(*batch.write())
        for key, (event, row) in batch.rows.items():
            self.stage.on_row(key, row, event.message.partition)

    def _is_done(self, event: Any) -> bool:
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

    async def _without_gap(self, batch: Batch, event: Any) -> None:
        """Raises `Skipped` when a record lies before this one that was not taken; one that is kept no longer is named."""
        message, expected = event.message, batch.expected(event)
        if not expected or message.offset <= expected:
            return
        if self.gaps is None:
            raise Skipped(message.topic, message.partition, expected, message.offset)
        loss = await self.gaps.explained(message.topic, message.partition, expected, message.offset)
        if loss is not None:
            say_lost(loss)
            batch.send(event, lost_letters(loss, stage=self.stage.name, at=self.clock(), version=self.version))

    def _round(self, batch: Batch, events: Sequence[Any]) -> Sequence[Any]:
        """Folds the records of which nothing earlier under their key is undecided; gives back the others, in order."""
        later: list[Any] = []
        undecided: set[bytes] = set()
        for event in events:
            key = event.message.key
            if key in undecided:
                later.append(event)
            elif any(letter.refusable for letter in self._fold(batch, event)):
                undecided.add(key)
        return later

    async def _send(self, letters: Sequence[Letter], batch: Batch) -> frozenset[str]:
        """Sends until nothing is left to send, and names the letters that the broker would not have."""
        refused: set[str] = set()
        for _ in range(self.limits.refusal_rounds):
            refusals = await dispatch(own_producer(self.app), letters, limit=self.limits.send) if letters else []
            refused |= {refusal.letter.name for refusal in refusals}
            for letter in letters:
                if letter.refusable and letter.name not in refused:
                    self.stage.on_taken(letter.name)
            if not refusals:
                return frozenset(refused)
            letters = [letter for refusal in refusals for letter in self._refused(batch, refusal)]
        raise Unavailable("a letter is refused again and again")

    def _fold(self, batch: Batch, event: Any) -> Sequence[Letter]:
        record = record_of(event.message)
        if self.skips is not None and (refusal := self.skips.refusal(record)) is not None:
            return self._set_aside(batch, event, record, batch.row(event), refusal)
        if self._misplaced(record):
            return batch.send(event, self._sent_on(record))
        old = batch.row(event)
        try:
            row, letters = self.stage.step(old, record)
            self._check_row(record, old, row)
            _check_letters(letters)
        except Exception as fault:  # noqa: BLE001  # the error policy: no exception leaves a stage
            return self._set_aside(batch, event, record, old, _of_values(fault))
        self.faults = 0
        return batch.put(event, row, letters)

    def _misplaced(self, record: Record) -> bool:
        """Whether another partitioner has put the record where its row cannot be: it is sent on, once (00 §4.3)."""
        key = usable_key(record.key)
        if self.stage.table is None or key is None:
            return False
        if self.partitions is None:
            self.partitions = self.app.consumer.topic_partitions(record.topic)
        return self.partitions is not None and partition_of(key, self.partitions) != record.partition

    def _sent_on(self, record: Record) -> Sequence[Letter]:
        letter = Letter(record.topic, record.key, record.value, (*record.headers, _moved(record)))
        try:
            _check_moves(record)
            _check_letters([letter])
        except Rejected as fault:  # or with one more header it is too large
            _, beside = self._beside(None, record, fault)
            return [*beside, self._dead_letter(record, fault)]
        return [letter]

    def _dead_letter(self, record: Record, fault: Exception) -> Letter:
        """Cannot fail: at the worst it says origin and class."""
        try:
            return dead_letter(record, fault, stage=self.stage.name, at=self.clock(), version=self.version)
        except Exception as second:  # noqa: BLE001  # the record has to be found again, whatever it holds
            self.report("fault.unspoken", stage=self.stage.name, where=place_of(second))
            return last_dead_letter(record, fault, stage=self.stage.name)

    def _check_row(self, record: Record, old: bytes | None, row: bytes | None) -> None:
        if row is None:
            return
        if self.stage.table is None or usable_key(record.key) is None:
            raise Rejected("key", "missing or of a reserved form", "send the record with its key", "no-key")
        if len(row) > self.limits.row_bytes and (old is None or len(row) > len(old)):
            raise _too_large(f"a row of {len(row)} bytes, which the changelog does not take")

    def _set_aside(
        self, batch: Batch, event: Any, record: Record, old: bytes | None, fault: Exception
    ) -> Sequence[Letter]:
        """The dead letter, and what the stage has to say beside it."""
        stage = self.stage
        row, letters = self._beside(old, record, fault)
        put = batch.put(event, row, [*letters, self._dead_letter(record, fault)])
        code = fault.rule or "rejected" if isinstance(fault, Rejected) else "internal-error"
        self.faults = 0 if isinstance(fault, Rejected) else self.faults + 1
        self.report("record.set-aside", stage=stage.name, code=code, origin=record.origin, where=place_of(fault))
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

    def _beside(self, old: bytes | None, record: Record, fault: Exception) -> Fold:
        if self.stage.on_fault is None:
            return old, ()
        try:
            return self.stage.on_fault(old, record, fault)
        except Exception as second:  # noqa: BLE001  # the dead letter alone must still leave
            self.report("fault.unspoken", stage=self.stage.name, where=place_of(second))
            return old, ()

    def _refused(self, batch: Batch, refusal: Refusal) -> Sequence[Letter]:
        """The stage's answer to a refusal; a letter that must not be refused ends the process."""
        letter, reason = refusal
        self.report("letter.refused", stage=self.stage.name, topic=letter.topic, why=reason)
        if self.stage.on_refused is None or not letter.refusable:
            raise Unavailable(f"{letter.topic}: {reason}")
        event, row = batch.behind(letter)
        row, letters = self.stage.on_refused(row, record_of(event.message), refusal)
        return batch.put_again(event, row, letters)


def _moved(record: Record) -> tuple[str, bytes]:
    return _MOVED, record.origin.encode()


def _check_moves(record: Record) -> None:
    """Raises `Rejected` for a record that says it was sent on already: sent on once more it would go in circles."""
    if header(record.headers, _MOVED) is not None:
        problem = "says that the record was sent on, and it lies where its key does not"
        raise Rejected(_MOVED, problem, "send the record without it", "misplaced")


def _check_letters(letters: Iterable[Letter]) -> None:
    """A letter that may not be refused and would be, for its size, is a matter of the record that leads to it."""
    for letter in letters:
        if not letter.refusable and size_of(letter) > size_limit(letter.topic):
            raise _too_large(f"{size_of(letter)} bytes on {letter.topic}, which takes {size_limit(letter.topic)}")


#: What Python raises because of a value that is out of every range: a fault of the record, however our code met it.
_OF_VALUES: Final = (OverflowError, RecursionError, UnicodeError)


def _of_values(fault: Exception) -> Exception:
    if isinstance(fault, _OF_VALUES):
        problem = f"a value beyond what can be computed with ({type(fault).__name__} at {place_of(fault)})"
        return Rejected("$", problem, "send times, numbers and texts of this world", "out-of-range")
    return fault


def _too_large(what: str) -> Rejected:
    return Rejected("$", f"leads to {what}", "send shorter values", "too-large")


def guarded(
    app: Any,
    stage: Stage,
    *,
    clock: Clock,
    leave: Leave = leave_now,
    report: Report = say,
    limits: Limits = Limits(),
    version: str = "",
    gaps: Gaps | None = None,
    skips: Skips | None = None,
) -> Callable[[Any], Awaitable[None]]:
    """The body of an agent for `stage`: `app.agent(topic, name=stage.name)(guarded(app, stage, clock=clock))`.

    `gaps` asks the broker about offsets that are skipped; without it any gap is a loss. `skips`
    knows the records that operators pass over. `leave` must not return in production; where a test lets it return, the batch in hand is never let go.
    """
    shell = _Shell(app, stage, clock, report, limits, version, gaps, skips)
    positions = stage.table if stage.positions is None else stage.positions
    if positions is not None:
        for topic in (stage.source,) if isinstance(stage.source, str) else stage.source:
            app.positions[topic] = positions

    async def body(stream: Any) -> None:
        async for events in stream.take_events(limits.batch, within=limits.within):
            try:
                await shell.take(events)
            except BaseException as why:  # noqa: BLE001  # CancelledError too: Faust would commit the batch
                leave(_reason(why))
                await _for_ever()

    return body


def _reason(why: BaseException) -> str:
    """Why the worker left: our own exceptions say it without content, others only where they rose."""
    ours = isinstance(why, Unavailable) or type(why).__module__.startswith("agents.")
    return str(why) if ours else f"{type(why).__name__} at {place_of(why)}"


async def _for_ever() -> NoReturn:
    while True:
        await asyncio.Event().wait()
