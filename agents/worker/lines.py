"""What the stages say in the log: one line per record and stage, ids and codes only (style.md §9).

A line says what has been decided; the letters leave after it. A step repeated after a crash says it again. Alarms are
warnings, all else is the day's work.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from streams.operations import logs
from streams.records.ledger import LedgerRow
from streams.relay.lane import Alarm, Effect
from streams.words.errors import Rejected

__all__ = ["say_alarms", "say_decision", "say_lane", "say_receipt", "say_taken"]

_log: Any = logs.get("relay")


def say_taken(row: LedgerRow, rejected: Rejected | None) -> None:
    """A record of `adt.raw`, by its fate."""
    if rejected is None:
        _log.info("event.taken", origin=row.subject, outcome=row.what, reason=row.reason, count=row.parts)
    else:
        _log.warning("event.rejected", origin=row.subject, path=rejected.path, rule=rejected.rule, reason=row.reason)


def say_receipt(row: LedgerRow) -> None:
    """A receipt, by its class."""
    facts = {"outcome": row.what, "verdict": row.verdict, "reason": row.reason, "message_id": row.message}
    _log.info("receipt.read", origin=row.subject, **facts)


def say_decision(row: LedgerRow) -> None:
    """An operator's decision, by whether the lane has taken it."""
    say = _log.info if row.what == "taken" else _log.warning
    say(f"decision.{row.what}", message_id=row.subject, state=row.was, reason=row.reason)


def say_lane(said: Sequence[Effect]) -> None:
    """What a lane has decided on one record: a line for each message, or for the event that gave none."""
    for one in said:
        row = one.action
        if not isinstance(row, LedgerRow):
            continue
        if row.kind == "message" and row.what == "SENT":
            _log.info("notification.sent", **_message(row), attempt=row.attempt, notice=row.notice)
        elif row.kind == "message" and row.what == "GIVEN_UP":
            _log.info("delivery.given-up", **_message(row), attempt=row.attempt)
        elif row.kind == "receipt":
            say_receipt(row)
        elif row.kind == "decision":
            say_decision(row)
        elif row.kind == "stay-event" and row.delta > 0 and not row.k:
            _log.info("event.closed", event_id=row.subject, lane=row.lane, outcome=row.what, reason=row.reason)


def _message(row: LedgerRow) -> dict[str, str]:
    return {"message_id": row.subject, "kommunekode": row.kommunekode}


def say_alarms(alarms: Iterable[Alarm]) -> None:
    """What someone should look at."""
    for alarm in alarms:
        _log.warning(
            alarm.word,
            message_id=alarm.message_id,
            kommunekode=alarm.kommunekode,
            state=alarm.state,
            reason=alarm.reason,
            path=alarm.path,
        )
