"""ADT files through the pure pipeline, one after the other: what `stafet replay` prints and writes (acceptance.md).

Intake, stay, route and writer are those of the relay, under a clock that the files set themselves: MSH-7, unless the
caller gives the time; within a lane it never runs backwards. Before each file, held events whose time has come are
taken up, as the timer would. No municipality answers, so no message is sent twice. The same files in the same order
give the same bytes.

A file whose event waits for a START has its line when that is decided: `none:no-start` when a later file shows that
the waiting time is over (04 §4.5.2), `none:held` when the START came, or no file after it showed the time.

Why no municipality is notified of an event is decided by `stay/rules.DECISIONS` (spec 01 §21.1) and the rules of a
person; here are words for their rows.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, Protocol

from streams.delivery.route import RouteRegisters
from streams.envelopes.wrapping import open_any
from streams.formats.hl7v2 import MessageRefused, parse
from streams.messages.adt.feed import moment
from streams.messages.adt.patient import record_key
from streams.messages.adt.triggers import trigger_of
from streams.person.row import PersonRow
from streams.records.ledger import LedgerRow
from streams.stay.rules import Cause, cause_of
from streams.stay.state import Held, Situation, StayPolicy, Visit, situation
from streams.words.errors import Issue
from streams.words.ids import Ids, Lane, MessageId, PersonKey
from streams.words.model import EventKind, Fate, LaneRecord, StayEventArrived, Wake

from .intake import FeedRegisters, Intake, take_in
from .lane import Context, DeadLetter, Dispatch, LaneRow, fold

#: Replays are for people and tests: the same ids on every machine (00 §1.5 is about installations).
SECRET: Final = b"stafet replay: the same ids on every machine"

_BEGINNING: Final = datetime(1900, 1, 1, tzinfo=UTC)
_NO_PERSON: Final = PersonKey("")

#: Reason code -> words, of what has no words of its own (01 §§11, 12, 21.1; 04 §§4.3-4.5; 05 §4).
_REASONS: Final[Mapping[str, str]] = {
    "duplicate": "this very message has been taken before",
    "repeat": "the municipality has been notified of the event already, with the same time",
    "transfer": "the stay goes on at another hospital, which notifies",
    "held": "the event waits: for its time, or for the START of its stay",
    "no-official-cpr": "the person has no official CPR number, so no municipality is notified",
    "not-representable": "the format of the municipality has no form for this notice",
    "internal-error": "a fault of ours",
}

#: Of an event that was held, taken up later, and led to nothing.
_LATER: Final = "it has waited, and when it was taken up there was nothing to notify"

_KINDS: Final[Mapping[EventKind, str]] = {
    EventKind.IRRELEVANT: "this trigger says nothing about a stay (04 §4.1)",
    EventKind.PLANNED: "planned: it has not happened (04 §4.1)",
    EventKind.PLANNED_CANCELLED: "a plan was cancelled, and a plan is never notified (04 §4.1)",
    EventKind.PERSON_CHANGED: "what is new about the person goes with the next notice (01 §13.10)",
    EventKind.PERSON_MERGED: "no stay is known of the person that was merged",
    EventKind.STAY_MOVED: "the visit has another number or person now, of which nothing stands notified",
    EventKind.DELETED: "there is no open stay to delete",
}
_OUTPATIENT: Final = "the class in PV1-2 is neither inpatient nor emergency, so it is no stay to notify (04 §3.1)"

_CAUSES: Final[Mapping[Cause, str]] = {
    Cause.PLAN: "a planned or outpatient attendance is never notified (01 §11.10)",
    Cause.TO_OUTPATIENT: "the attendance goes on as outpatient",
    Cause.WARD: "a move within the hospital is not notified (01 §21.1)",
    Cause.WARD_BACK: "a move within the hospital was taken back, and a move is not notified (01 §21.1)",
    Cause.ELSEWHERE: "a move to another hospital of the same stay is not notified (01 §12)",
    Cause.ELSEWHERE_BACK: "a move to another hospital was taken back",
    Cause.NO_END: "a discharge of this disposition ends no stay (04 §3.2)",
    Cause.UPDATE: "nothing has changed that a municipality is notified of (01 §13)",
    Cause.PERSON: "what is new about the person goes with the next notice (01 §13.10)",
    Cause.LEAVE_SILENT: "a leave that is not to the home is not notified (01 §11.6)",
    Cause.DELETE: "nothing stands notified that would be deleted",
    Cause.MERGE: "the person has another number, and nothing that stands notified changes",
    Cause.NOTHING: "the event says nothing about a stay that is notified",
}

_SITUATIONS: Final[Mapping[Situation, str]] = {
    Situation.NONE: "no start of it is known",
    Situation.PLANNED: "it is planned or outpatient",
    Situation.PENDING: "its start is not notified yet: number or municipality of the person is missing",
    Situation.ACUTE: "acute ambulant",
    Situation.ADMITTED: "admitted",
    Situation.LEAVE: "on leave",
    Situation.GONE: "gone to another hospital",
    Situation.CLOSED: "ended",
    Situation.DEAD: "ended by death",
    Situation.VOID: "entered in error",
}


class ReplayRegisters(FeedRegisters, RouteRegisters, Protocol):
    """What intake and route ask, and what hospitals may choose."""

    @property
    def stay(self) -> StayPolicy:
        """Rows of `policy.toml`."""


@dataclass(frozen=True, slots=True)
class ReplayLine:
    """One line of the output: a notification with its bytes, or why there is none (`none`, `none:<reason>`).

    `why` is the reason in words, `rule` the rule that a rejected message offends.
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
    _reasons: dict[str, ReplayLine] = field(default_factory=dict)  # the last word about an event that gave no message
    _records: int = 0
    _warnings: tuple[Issue, ...] = ()  # of the last file
    _now: datetime = _BEGINNING

    def __post_init__(self) -> None:
        self._context = Context(Ids(self.secret), self.registers, self.registers.stay)

    def play_all(self, files: Iterable[bytes]) -> Iterator[list[ReplayLine]]:
        """The lines of each file, in order, as soon as none of them waits for a START any more."""
        pending: deque[list[ReplayLine]] = deque()
        for data in files:
            pending.append(self.play(data))
            waiting = {held.event.id for _, held in self._held() if held.why == "start"}
            while pending and not any(line.event in waiting for line in pending[0]):
                yield self._decided(pending.popleft())
        yield from map(self._decided, pending)

    def _held(self) -> Iterator[tuple[Lane, Held]]:
        return ((lane, held) for lane, row in self._lanes.items() for v in row.visits.values() for held in v.held)

    def _decided(self, lines: list[ReplayLine]) -> list[ReplayLine]:
        return [line if line.message_id else self._reasons.get(line.event, line) for line in lines]

    def play(self, data: bytes) -> list[ReplayLine]:
        """One file: a line per notification, or one line with the reason why there is none."""
        key, sent = self._header(data)
        self._now = self.at or sent or self._now
        woken: list[ReplayLine] = []
        while due := min(((held.due, lane) for lane, held in self._held() if held.due <= self._now), default=None):
            woken += self._fold(due[1], Wake(at=due[0], due=due[0]))
        taken = self._take(data, key, {})
        lines = [line for line in (*woken, *taken) if line.message_id]
        if not any(line.message_id for line in taken):
            lines += taken[:1]
        return [replace(lines[0], warnings=self._warnings), *lines[1:]]

    def _header(self, data: bytes) -> tuple[PersonKey, datetime | None]:
        """The record key, and MSH-7; where it does not give the minute, the time of recording, then that of the event.

        Neither when the message or its sender is unknown.
        """
        try:
            document = parse(data)
        except MessageRefused:
            return _NO_PERSON, None
        feed = self.registers.feed(document.application, document.facility)
        if feed is None:
            return _NO_PERSON, None
        event = document.first("EVN")
        texts = [document.header.text(7), *((event.text(2), event.text(6)) if event is not None else ())]
        times = (moment(text, feed) for text in texts)
        sent = next((at for at in times if isinstance(at, datetime)), None)
        return record_key(document, feed, self._context.ids), sent

    def _take(self, data: bytes, key: PersonKey, headers: Mapping[str, str]) -> list[ReplayLine]:
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
        lines: list[ReplayLine] = []
        for event in taken.stay_events:
            now = max(self._now, self._clocks.get(event.lane, self._now))
            lines += self._fold(event.lane, StayEventArrived(at=now, event=event))
        for copy in taken.pass_on:
            lines += self._take(data, copy.key, dict(copy.headers))
        return lines or [_without(taken, data)]

    def _fold(self, lane: Lane, record: LaneRecord) -> list[ReplayLine]:
        """A line for each letter; else one for each stay event, by the fate that the ledger has of it."""
        self._clocks[lane] = record.at
        before = self._lanes.get(lane)
        turn = fold(before, record, self._context)
        if turn.row is None:
            self._lanes.pop(lane, None)
        else:
            self._lanes[lane] = turn.row
        actions = [effect.action for effect in turn.effects]
        problems = {each.rejected.rule: each.rejected.problem for each in actions if isinstance(each, DeadLetter)}
        letters, reasons = [], []
        for action in actions:
            if isinstance(action, Dispatch):
                opened = open_any(action.payload)
                payload = action.payload if opened is None else opened.payload
                letters.append(self._line(action.label, action.kommunekode, lane, action.message_id, payload))
            elif isinstance(action, LedgerRow) and action.kind == "stay-event" and action.delta > 0:
                words = problems.get(action.reason) or _REASONS.get(action.reason)
                words = words or _why_silent(action.subject, before, record)
                reasons.append(ReplayLine(_named(action.reason), event=action.subject, why=words))
        self._reasons |= {line.event: line for line in reasons if line.notification != "none"}
        return self._with_silent(letters, reasons, lane, before, turn.row) or reasons

    def _line(
        self, label: str, to: str, lane: Lane, message_id: str, payload: bytes = b"", why: str = ""
    ) -> ReplayLine:
        """Of one message, also of one that does not leave: Bundle.id is that of its first dispatch in FHIR (00 §7.2)."""
        bundle_id = self._context.ids.mint(lane, "envelope", message_id, "1")
        return ReplayLine(label, to, message_id, bundle_id, payload, why)

    def _with_silent(
        self,
        letters: list[ReplayLine],
        reasons: list[ReplayLine],
        lane: Lane,
        before: LaneRow | None,
        now: LaneRow | None,
    ) -> list[ReplayLine]:
        """The letters, and between them the messages that the format of the municipality has no form for."""
        known = before.sent_as if before is not None else {}
        new = {key: one for key, one in (now.sent_as if now is not None else {}).items() if key not in known}
        order = {key: place for place, key in enumerate(new)}
        why = next((line for line in reasons if line.notification != "none"), ReplayLine("none"))
        silent = [
            self._line(why.notification, one.to, lane, key, why=why.why) for key, one in new.items() if not one.form
        ]
        return sorted([*silent, *letters], key=lambda line: order.get(MessageId(line.message_id or ""), len(order)))


def _why_silent(event_id: str, before: LaneRow | None, record: LaneRecord) -> str:
    """Of an event that has changed its stay, at most, and gave no notice; `before`: the row that it met."""
    if not isinstance(record, StayEventArrived) or record.event.id != event_id:
        return _LATER
    event = record.event
    known = before.visits.get(event.visit) if before else None
    visit = known or Visit(id=event.visit, lane=event.lane, feed=event.feed, number=event.visit_number)
    words = _CAUSES.get(
        cause_of(visit, event), "nothing of it stands notified, so nothing changes for the municipality"
    )
    return f"{words}; the stay: {_SITUATIONS[situation(visit.stay)]}"


def _without(taken: Intake, data: bytes) -> ReplayLine:
    """The line of a message that reaches no stay."""
    outcome = taken.outcome
    if outcome is None:
        return ReplayLine("none", why=_LATER)
    if outcome.fate == Fate.REFUSED:
        return ReplayLine("none:rejected", why=outcome.problem, rule=taken.rejected.rule if taken.rejected else "")
    words = outcome.problem or _REASONS.get(outcome.reason)
    return ReplayLine(
        _named(outcome.reason), why=words or _KINDS.get(trigger_of(parse(data).trigger).kind, _OUTPATIENT)
    )


def _named(reason: str) -> str:
    return f"none:{reason}" if reason else "none"
