"""What a relay shows of itself: a log line per record and stage, ids and codes only (style.md §9), and gauges.

A line names what has been decided; the letters leave after it. A step repeated after a crash gives it again. Alarms are
warnings, all else is the day's work.

The gauges are open messages and what must be zero (spec 03 §10, decision 0028), looked up when they are read. While
partitions are moving or tables recover they are not known, so nothing is exported: an absent figure, never a wrong one.
Not here: what is counted (`Figures` of `agents/station.py`).
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Final

from streams.kafka.records import Record
from streams.kafka.topics import LANES
from streams.operations import logs
from streams.operations.metrics import Metrics
from streams.records.ledger import LedgerRow
from streams.relay.lane import Alarm, Effect
from streams.relay.standing import OpenMessages
from streams.words.errors import Rejected

from .clock import Clock
from .shell import Fold, Stage, Step
from .tables import FencedApp
from .timer import owned

__all__ = ["log_alarms", "log_decision", "log_lane", "log_receipt", "log_taken", "show_open", "timed"]

#: Law L8: how long after its deadline a message may stand before its timer counts as lost (spec 03 §6.3).
_LATE: Final = timedelta(minutes=15)

_log: Final = logs.get("relay")


def log_taken(row: LedgerRow, rejected: Rejected | None) -> None:
    """A record of `adt.raw`, by its fate."""
    if rejected is None:
        _log.info("event.taken", origin=row.subject, outcome=row.what, reason=row.reason, count=row.parts)
    else:
        _log.warning("event.rejected", origin=row.subject, path=rejected.path, rule=rejected.rule, reason=row.reason)


def log_receipt(row: LedgerRow) -> None:
    """A receipt, by its class."""
    facts = {"outcome": row.what, "verdict": row.verdict, "reason": row.reason, "message_id": row.message}
    _log.info("receipt.read", origin=row.subject, **facts)


def log_decision(row: LedgerRow) -> None:
    """An operator's decision, by whether the lane has taken it."""
    write = _log.info if row.what == "taken" else _log.warning
    write(f"decision.{row.what}", message_id=row.subject, state=row.was, reason=row.reason)


def log_lane(said: Sequence[Effect]) -> None:
    """What a lane has decided on one record: a line for each message, or for the event that gave none."""
    for one in said:
        row = one.action
        if not isinstance(row, LedgerRow):
            continue
        message = {"message_id": row.subject, "kommunekode": row.kommunekode}
        if row.kind == "message" and row.what == "SENT":
            _log.info("notification.sent", **message, attempt=row.attempt, notice=row.notice)
        elif row.kind == "message" and row.what == "GIVEN_UP":
            _log.info("delivery.given-up", **message, attempt=row.attempt)
        elif row.kind == "receipt":
            log_receipt(row)
        elif row.kind == "decision":
            log_decision(row)
        elif row.kind == "stay-event" and row.delta > 0 and not row.k:
            _log.info("event.closed", event_id=row.subject, lane=row.lane, outcome=row.what, reason=row.reason)


def log_alarms(alarms: Iterable[Alarm]) -> None:
    """What an operator should look at."""
    for alarm in alarms:
        _log.warning(
            alarm.word,
            message_id=alarm.message_id,
            kommunekode=alarm.kommunekode,
            state=alarm.state,
            reason=alarm.reason,
            path=alarm.path,
        )


def show_open(app: FencedApp, messages: OpenMessages, metrics: Metrics, clock: Clock) -> None:
    """Puts the open messages of the partitions that this worker owns into every reading of the metrics."""

    def look() -> None:
        partitions, now = owned(app, LANES), clock()
        metrics.set_all("hn_open_messages", _by_municipality(messages.counts(partitions)))
        oldest = messages.oldest(partitions).items()
        ages = {code: max((now - since).total_seconds(), 0.0) for code, since in oldest}
        metrics.set_all("hn_oldest_open_seconds", _by_municipality(ages))
        laws = {"L2": messages.residual, "L8": messages.late(partitions, now - _LATE)} if partitions else {}
        metrics.set_all("hn_law_residual", [({"law": law}, value) for law, value in laws.items()])

    metrics.before_reading(look)


def _by_municipality(values: Mapping[str, float]) -> list[tuple[dict[str, str], float]]:
    return [({"municipality": code}, float(value)) for code, value in sorted(values.items())]


def timed(stage: Stage, metrics: Metrics) -> Step:
    """The step of a stage, with the time that each record takes in it."""

    def step(row: bytes | None, record: Record) -> Fold:
        begun = time.perf_counter()
        try:
            return stage.step(row, record)
        finally:
            metrics.observe("stafet_step_seconds", time.perf_counter() - begun, stage=stage.name)

    return step
