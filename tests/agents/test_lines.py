"""What the stages show in the log: a line per record and stage with ids and codes, alarms as warnings."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from agents.station import Figures
from agents.worker.shell import log_warning
from streams.delivery.rules import DeliveryState
from streams.operations import logs
from streams.person.row import PersonRow
from streams.records.ledger import decision_row, event_row, message_row, receipt_row, stay_event_row
from streams.relay.intake import Intake
from streams.relay.lane import Action, Alarm
from streams.words.errors import Rejected
from streams.words.ids import MessageId
from streams.words.model import Decision, Fate, Outcome

AT = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
SENT = message_row(AT, "m1", DeliveryState.SENT, 1, attempt=2, kommunekode="0461", notice="STIN", lane="1a452512")
QUIET = Outcome(fate=Fate.NOT_SUBJECT, reason="planned")


@pytest.fixture
def reported() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """The lines so far, without their time."""
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    logs.configure("json", "info", stream=stream)

    def read() -> list[dict[str, Any]]:
        found = [json.loads(line) for line in stream.getvalue().splitlines()]
        return [{name: value for name, value in line.items() if name != "timestamp"} for line in found]

    yield read
    root.handlers[:] = handlers
    root.setLevel(level)


def show(*actions: Action) -> None:
    figures = Figures()
    for action in actions:
        figures.effect(action, "lanes")


def info(event: str, **facts: Any) -> dict[str, Any]:
    return {"event": event, "level": "info", **facts}


def warning(event: str, **facts: Any) -> dict[str, Any]:
    return {"event": event, "level": "warning", **facts}


def test_message_that_leaves_is_line_with_its_municipality(reported: Callable[[], list[dict[str, Any]]]) -> None:
    show(SENT)
    assert reported() == [info("notification.sent", message_id="m1", kommunekode="0461", attempt=2, notice="STIN")]


def test_delivery_given_up_and_receipt_are_lines(reported: Callable[[], list[dict[str, Any]]]) -> None:
    given_up = message_row(AT, "m1", DeliveryState.GIVEN_UP, 4, attempt=3, kommunekode="0461")
    receipt = receipt_row(AT, "receipts.raw/0/7", "first", "ok", "1a452512", message="m1")
    show(given_up, receipt)
    assert reported() == [
        info("delivery.given-up", message_id="m1", kommunekode="0461", attempt=3),
        info("receipt.read", origin="receipts.raw/0/7", outcome="first", verdict="ok", reason="", message_id="m1"),
    ]


def test_decision_is_line_and_refused_one_warning(reported: Callable[[], list[dict[str, Any]]]) -> None:
    decision = Decision(at=AT, action="resend", message_id=MessageId("m1"), actor="duty", reason="Anna Hansen", id="d1")
    show(decision_row(decision, "1a452512", "TIMED_OUT"))
    show(decision_row(decision, "1a452512", "SENT", "not-allowed"))
    assert reported() == [
        info("decision.taken", message_id="m1", state="TIMED_OUT", reason=""),
        warning("decision.refused", message_id="m1", state="SENT", reason="not-allowed"),
    ]


def test_event_without_message_is_line_of_its_own(
    reported: Callable[[], list[dict[str, Any]]],
) -> None:
    show(stay_event_row(AT, "e1", QUIET, 0, "adt.raw/0/1", "1a452512"))
    show(stay_event_row(AT, "e2", Outcome(fate=Fate.CONVERTED), 1, "adt.raw/0/2", "1a452512"))
    assert reported() == [info("event.closed", event_id="e1", lane="1a452512", outcome=QUIET.fate, reason="planned")]


def test_intake_logs_taken_as_info_refused_as_warning(reported: Callable[[], list[dict[str, Any]]]) -> None:
    fault = Rejected("PID-3.1", "empty", "send a number", "no-person")
    figures = Figures()
    figures.taken(event_row(AT, "adt.raw/0/1", None, 2), Intake(PersonRow()))
    refusal = event_row(AT, "adt.raw/0/2", Outcome(fate=Fate.REFUSED, reason="no-person"), 0)
    figures.taken(refusal, Intake(PersonRow(), rejected=fault))
    taken, refused = reported()
    assert (taken["event"], taken["origin"], taken["count"]) == ("event.taken", "adt.raw/0/1", 2)
    assert refused == warning(
        "event.rejected", origin="adt.raw/0/2", path="PID-3.1", rule="no-person", reason="no-person"
    )


def test_alarm_is_warning(reported: Callable[[], list[dict[str, Any]]]) -> None:
    show(Alarm("case:open", "m1", "0461", "GIVEN_UP", "timeout"))
    assert reported() == [
        warning("case:open", message_id="m1", kommunekode="0461", state="GIVEN_UP", reason="timeout", path="")
    ]


def test_report_of_shell_keeps_its_facts(reported: Callable[[], list[dict[str, Any]]]) -> None:
    facts = {"stage": "lanes", "code": "internal-error", "origin": "lanes/0/1", "where": "fold.py:12", "why": "x"}
    log_warning("record.dead-lettered", **facts)
    assert reported() == [warning("record.dead-lettered", **facts)]
