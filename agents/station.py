"""What the stages of one worker share: its ids, registers and clock, and what it shows of what it has done.

The clock is real, or faster than real (demo), always aware and never running backwards. Deadlines of thirty minutes pass
before your eyes when it runs six hundred times faster; nothing else in the product knows the difference, because *now*
is an argument everywhere below this floor.

Shown are figures (spec 03 §10) and a log line per record and stage (style.md §9); one look at each effect gives both.
Lines hold ids and codes only and name what has been decided; the letters leave after it. Alarms are warnings, all else is
the day's work. A step repeated after a crash is shown again: the balance is not. Not here: what is looked up when the
metrics are read (`agents/relay.py`).
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.metadata import version as installed
from typing import Final

from streams.delivery.rules import FINAL
from streams.operations import logs
from streams.operations.metrics import Metrics
from streams.records.ledger import WAITING_FOR_RECHECK, LedgerRow
from streams.registry import Registers
from streams.relay.intake import Intake
from streams.relay.lane import Action, Alarm, Answered, DeadLetter, Traced
from streams.words.errors import Rejected
from streams.words.ids import Ids, audit_event_id

Clock = Callable[[], datetime]


def real_clock() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class FastClock:
    """A clock that starts at `start` and runs `speed` times faster than the wall.

    With a `stride` it never leaps: between two looks at most that many seconds of the wall count. A process that got no
    turn for a while has not lived that time, else a busy machine would let every deadline pass at once.
    """

    start: datetime
    speed: float
    stride: float = math.inf
    wall: Callable[[], float] = time.monotonic
    _lived: list[float] = field(default_factory=list)  # [wall seconds that count, wall at the last look]

    def __post_init__(self) -> None:
        self._lived[:] = 0.0, self.wall()

    def __call__(self) -> datetime:
        """Now, on this clock."""
        now = self.wall()
        lived, last = self._lived
        lived += min(now - last, self.stride)
        self._lived[:] = lived, now
        return self.start + timedelta(seconds=lived * self.speed)

    def wall_seconds(self, duration: timedelta) -> float:
        """How long the wall clock takes for `duration` of this clock, in seconds."""
        return duration.total_seconds() / self.speed


_log: Final = logs.get("relay")


def code_of(fault: Exception) -> str:
    """The reason code of a dead-lettered record, or that of a fault of ours."""
    return fault.rule or "rejected" if isinstance(fault, Rejected) else "internal-error"


@dataclass(frozen=True)
class Figures:
    """The observer of all stages."""

    metrics: Metrics = field(default_factory=Metrics)

    def taken(self, row: LedgerRow, taken: Intake) -> None:
        """A record of `adt.raw`, by its fate; stay events are counted in their lanes. What was odd concerns its sender."""
        if row.parts == 0:
            self.metrics.count("stafet_events_total", fate=row.what, reason=row.reason)
        for warning in taken.warnings:
            self.metrics.count("stafet_message_warnings_total", feed=taken.feed, rule=warning.rule)
        if (rejected := taken.rejected) is None:
            _log.info("event.taken", origin=row.subject, outcome=row.what, reason=row.reason, count=row.parts)
        else:
            _log.warning(
                "event.rejected", origin=row.subject, path=rejected.path, rule=rejected.rule, reason=row.reason
            )

    def dead_letter(self, stage: str, fault: Exception) -> None:
        """A dead-lettered record: by its reason code, or as a fault of ours."""
        self.metrics.count("stafet_dead_letters_total", stage=stage, reason=code_of(fault))

    def effect(self, action: Action, stage: str) -> None:
        """One effect of a lane."""
        match action:
            case LedgerRow():
                self.row(action)
            case Traced(step=step):
                self.metrics.count("eds_events_total", subtype=step.subtype, profile=step.profile, outcome=step.outcome)
            case DeadLetter(rejected=rejected):
                self.dead_letter(stage, rejected)
            case Answered(kommunekode=code, waited=waited):
                seconds = max(waited.total_seconds(), 0.0)
                self.metrics.observe("hn_time_to_verdict_seconds", seconds, municipality=code)
            case Alarm():
                if action.word == "alert:network":
                    self.metrics.count("hn_network_warnings_total", municipality=action.kommunekode)
                if action.word == "alert:produce":
                    self.metrics.count("hn_attempts_total", n=str(action.attempt), result="refused")
                _log.warning(
                    action.word,
                    message_id=action.message_id,
                    kommunekode=action.kommunekode,
                    state=action.state,
                    reason=action.reason,
                    path=action.path,
                )

    def row(self, row: LedgerRow) -> None:
        """A row of the ledger: a change of a message, a receipt or a decision; an event without a message."""
        about = {"message_id": row.subject, "kommunekode": row.kommunekode}
        if row.kind == "message" and row.what == "SENT":
            self.metrics.count("hn_attempts_total", n=str(row.attempt), result="sent")
            _log.info("notification.sent", **about, attempt=row.attempt, notice=row.notice)
        elif row.kind == "message" and row.what in FINAL and row.delta > 0:
            code = row.kommunekode
            self.metrics.count("hn_messages_total", state=row.what, municipality=code, activity=row.notice)
            if row.what == "GIVEN_UP":
                _log.info("delivery.given-up", **about, attempt=row.attempt)
        elif row.kind == "arrival":
            _log.info("copy.arrived", origin=row.subject, message_id=row.message, kommunekode=row.kommunekode,
                      outcome=row.what, reason=row.reason, count=row.k)  # fmt: skip
        elif row.kind == "copy":
            self.metrics.count("stafet_copies_total", what=row.what, municipality=row.kommunekode)
        elif row.kind == "copy-receipt":
            self.metrics.count("stafet_copy_receipts_total", class_=row.what, verdict=row.verdict)
            _log.info("copy.answered", origin=row.subject, message_id=row.message, kommunekode=row.kommunekode,
                      outcome=row.what, verdict=row.verdict, reason=row.reason)  # fmt: skip
        elif row.kind == "returned":
            self.metrics.count("stafet_returned_total", verdict=row.what, reason=row.reason)
            _log.info("verdict.returned", message_id=row.message, kommunekode=row.kommunekode, verdict=row.what,
                      reason=row.reason)  # fmt: skip
        elif row.kind == "receipt":
            if row.what != WAITING_FOR_RECHECK:
                self.metrics.count("hn_receipts_total", class_=row.what, verdict=row.verdict)
            facts = {"outcome": row.what, "verdict": row.verdict, "reason": row.reason, "message_id": row.message}
            _log.info("receipt.read", origin=row.subject, **facts)
        elif row.kind == "decision":
            write = _log.info if row.what == "taken" else _log.warning
            write(f"decision.{row.what}", message_id=row.subject, state=row.was, reason=row.reason)
        elif row.kind == "stay-event" and row.delta > 0:
            self.metrics.count("stafet_events_total", fate=row.what, reason=row.reason)
            if not row.k:
                _log.info("event.closed", event_id=row.subject, lane=row.lane, outcome=row.what, reason=row.reason)


@dataclass(frozen=True)
class Station:
    """One worker's share of the installation."""

    ids: Ids
    registers: Registers
    clock: Clock = real_clock
    figures: Figures = field(default_factory=Figures)
    archive: bool = False  # STAFET_EHMI_ARCHIVE
    version: str = field(default_factory=lambda: installed("stafet"))

    @property
    def device_id(self) -> str:
        """Our station in trace events, one per installation (03 §4): computed from the secret's name, never from it."""
        return audit_event_id("stafet-station", self.ids.key_id)
