"""ADT files through the pure pipeline, one after the other: what `stafet replay` prints and writes (acceptance.md).

Intake, stay, route and writer are those of the relay, under a clock that the files set themselves: MSH-7, unless the
caller says what time it is; within a lane it never runs backwards. Before each file, held events whose time has come
are taken up, as the timer would. No municipality answers, so no message is sent twice. The same files in the same order
give the same bytes.

A file whose event waits for a START is told when that is decided: `none:no-start` when a later file shows that the
waiting time is over (04 §4.5.2), `none:held` when the START came, or no file after it told the time.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, Protocol

from streams.delivery.route import RouteRegisters
from streams.envelopes import vans
from streams.formats.hl7v2 import Document, MessageRefused, parse
from streams.messages.adt.admit import record_key
from streams.messages.adt.feed import FeedProfile, moment
from streams.person import PersonRow
from streams.records.ledger import LedgerRow
from streams.stay.fold import StayPolicy
from streams.words.errors import Issue
from streams.words.ids import Ids, Lane, PersonKey
from streams.words.model import Fate, LaneRecord, StayEventArrived, Wake

from .intake import FeedRegisters, Intake, take_in
from .lane import Context, Dispatch, LaneRow, Result, SetAside, fold
from .replay_words import LATER, REASONS, why_no_stay, why_untold

__all__ = ["SECRET", "Line", "Replay", "ReplayRegisters"]

#: Replays are for people and tests: the same ids on every machine (00 §1.5 speaks of installations).
SECRET: Final = b"stafet replay: the same ids on every machine"

_BEGINNING: Final = datetime(1900, 1, 1, tzinfo=UTC)
_NOBODY: Final = PersonKey("")


class ReplayRegisters(FeedRegisters, RouteRegisters, Protocol):
    """What intake and route ask, and what hospitals may choose."""

    @property
    def stay(self) -> StayPolicy:
        """Rows of `policy.toml`."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the output: a notification with its bytes, or why there is none (`none`, `none:<reason>`).

    `why` says it in words, `rule` names the rule that a rejected message offends.
    """

    notification: str
    municipality: str | None = None
    message_id: str | None = None
    bundle_id: str | None = None
    payload: bytes = b""
    why: str = ""
    rule: str = ""
    event: str = field(default="", compare=False)  # the stay event that a line without a message is about
    warnings: tuple[Issue, ...] = field(default=(), compare=False)  # what was odd about the file; on its first line


@dataclass
class Replay:
    """The state of a replay: persons and lanes as the tables would hold them. `at`: the time of all files."""

    registers: ReplayRegisters
    at: datetime | None = None
    secret: bytes = SECRET
    _persons: dict[PersonKey, PersonRow] = field(default_factory=dict)
    _lanes: dict[Lane, LaneRow] = field(default_factory=dict)
    _clocks: dict[Lane, datetime] = field(default_factory=dict)  # no lane's time runs backwards
    _reasons: dict[str, Line] = field(default_factory=dict)  # the last word about an event that gave no message
    _records: int = 0
    _warnings: tuple[Issue, ...] = ()  # of the last file
    _now: datetime = _BEGINNING

    def __post_init__(self) -> None:
        self._context = Context(Ids(self.secret), self.registers, self.registers.stay)

    def play_all(self, files: Iterable[bytes]) -> Iterator[list[Line]]:
        """The lines of each file, in order, as soon as none of them waits for a START any more."""
        pending: deque[list[Line]] = deque()
        for data in files:
            pending.append(self.play(data))
            while pending and not any(self._waits(line) for line in pending[0]):
                yield self._decided(pending.popleft())
        yield from map(self._decided, pending)

    def _waits(self, line: Line) -> bool:
        rows = self._lanes.values() if line.event else ()
        held = (held for row in rows for visit in row.visits.values() for held in visit.held)
        return any(each.why == "start" and each.event.id == line.event for each in held)

    def _decided(self, lines: list[Line]) -> list[Line]:
        return [line if line.message_id else self._reasons.get(line.event, line) for line in lines]

    def play(self, data: bytes) -> list[Line]:
        """One file: a line per notification, or one line that says why there is none."""
        key, sent = self._header(data)
        self._now = self.at or sent or self._now
        woken = [line for line in self._wake() if line.message_id]
        told = self._take(data, key, {})
        lines = [*woken, *([line for line in told if line.message_id] or told[:1])]
        return [replace(lines[0], warnings=self._warnings), *lines[1:]]

    def _header(self, data: bytes) -> tuple[PersonKey, datetime | None]:
        """The record key and MSH-7; neither when the message or its sender is unknown."""
        try:
            document = parse(data)
        except MessageRefused:
            return _NOBODY, None
        feed = self.registers.feed(document.application, document.facility)
        if feed is None:
            return _NOBODY, None
        return record_key(document, feed, self._context.ids), _sent(document, feed)

    def _take(self, data: bytes, key: PersonKey, headers: Mapping[str, str]) -> list[Line]:
        self._records += 1
        taken = take_in(
            data,
            self._persons.get(key),
            key=key,
            origin=f"replay/0/{self._records}",
            headers=headers,
            at=self._now,
            ids=self._context.ids,
            registers=self.registers,
        )
        self._warnings = taken.warnings
        if taken.row is not None:
            self._persons[key] = taken.row
        lines: list[Line] = []
        for event in taken.stay_events:
            now = max(self._now, self._clocks.get(event.lane, self._now))
            lines += self._fold(event.lane, StayEventArrived(at=now, event=event))
        for copy in taken.pass_on:
            lines += self._take(data, copy.key, dict(copy.headers))
        return lines or [_without(taken, data)]

    def _fold(self, lane: Lane, record: LaneRecord) -> list[Line]:
        self._clocks[lane] = record.at
        before = self._lanes.get(lane)
        result = fold(before, record, self._context)
        if result.row is None:
            self._lanes.pop(lane, None)
        else:
            self._lanes[lane] = result.row
        reasons = list(_reasons(result, before, record))
        self._reasons |= {line.event: line for line in reasons if line.notification != "none"}
        return [_letter(said.effect) for said in result.said if isinstance(said.effect, Dispatch)] or reasons

    def _wake(self) -> list[Line]:
        """Held events that are due by now, in order of their time."""
        lines: list[Line] = []
        while due := min(self._held(), default=None):
            lines += self._fold(due[1], Wake(at=due[0], due=due[0]))
        return lines

    def _held(self) -> Iterator[tuple[datetime, Lane]]:
        for lane, row in self._lanes.items():
            for visit in row.visits.values():
                yield from ((held.due, lane) for held in visit.held if held.due <= self._now)


def _sent(document: Document, feed: FeedProfile) -> datetime | None:
    """MSH-7; where it says nothing to the minute the time of recording, then that of the event."""
    event = document.first("EVN")
    said = [document.header.text(7), *((event.text(2), event.text(6)) if event is not None else ())]
    found = (moment(text, feed) for text in said)
    return next((at for at in found if isinstance(at, datetime)), None)


def _reasons(result: Result, before: LaneRow | None, record: LaneRecord) -> Iterator[Line]:
    """The fates that the ledger was told, with words."""
    problems = {
        s.effect.rejected.rule: s.effect.rejected.problem for s in result.said if isinstance(s.effect, SetAside)
    }
    for said in result.said:
        row = said.effect
        if isinstance(row, LedgerRow) and row.kind == "stay-event" and row.delta > 0:
            words = problems.get(row.reason) or REASONS.get(row.reason) or _untold(row.subject, before, record)
            yield Line(_named(row.reason), event=row.subject, why=words)


def _untold(event_id: str, before: LaneRow | None, record: LaneRecord) -> str:
    if not isinstance(record, StayEventArrived) or record.event.id != event_id:
        return LATER
    return why_untold(record.event, before.visits.get(record.event.visit) if before else None)


def _letter(letter: Dispatch) -> Line:
    opened = vans.open_envelope(letter.payload)
    bundle_id = opened.meta.identifier if opened.meta is not None else None
    return Line(letter.notice, letter.kommunekode, letter.message_id, bundle_id, opened.payload)


def _without(taken: Intake, data: bytes) -> Line:
    outcome = taken.outcome
    if outcome is None:
        return Line("none", why=LATER)
    if outcome.fate == Fate.REFUSED:
        return Line("none:rejected", why=outcome.problem, rule=taken.rejected.rule if taken.rejected else "")
    words = outcome.problem or REASONS.get(outcome.reason) or why_no_stay(parse(data).trigger)
    return Line(_named(outcome.reason), why=words)


def _named(reason: str) -> str:
    return f"none:{reason}" if reason else "none"
