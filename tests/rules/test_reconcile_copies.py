"""The distributor's lines of the balance: what closes, and what each kind of loss is called."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from streams.observer.evidence import TopicRecord
from streams.observer.reading import Book
from streams.observer.reconcile import balance
from streams.records.ledger import LedgerRow, arrival_row, copy_receipt_row, copy_row, returned_row, to_json
from streams.words.codes import Notice
from tests.rules.distributions import CODE, letters

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
LETTER = letters(Notice.STIN)[0]
MESSAGE = LETTER.message_id
INBOX = f"municipality.{CODE}.inbox"
OF = {"lane": "0badcafe", "kommunekode": CODE}

#: One message, a copy for A that has answered, one for C: rows, and what lies on the topics.
ROWS: tuple[LedgerRow, ...] = (
    arrival_row(AT, f"{INBOX}/0/0", "distributed", MESSAGE, 2, **OF),
    copy_row(AT, MESSAGE, "care", "delivered", 1, **OF),
    copy_row(AT, MESSAGE, "archive", "waiting", 0, **OF),
    copy_row(AT, MESSAGE, "archive", "delivered", 1, **OF),
    copy_receipt_row(AT, f"municipality.{CODE}.care.receipts/0/0", "first", "ok", CODE, "care", message=MESSAGE),
    returned_row(AT, "answer-1", "ok", MESSAGE, CODE, "0badcafe", reason="answered"),
)
TOPICS: dict[str, tuple[bytes, dict[str, str]]] = {
    INBOX: (LETTER.sealed(), {"selftest": "not the relay's"}),
    f"municipality.{CODE}.care": (LETTER.sealed(), {}),
    f"municipality.{CODE}.archive": (LETTER.sealed(), {}),
    f"municipality.{CODE}.care.receipts": (b"{}", {}),
    "receipts.raw": (b"<VANSEnvelope><Receipt/></VANSEnvelope>", {"message-id": "answer-1"}),
}


def recorded(rows: tuple[LedgerRow, ...] = ROWS, without: str = "") -> list[TopicRecord]:
    ledger = [TopicRecord("ledger", 0, number, to_json(row)) for number, row in enumerate(rows)]
    found = [(topic, *what) for topic, what in TOPICS.items() if topic != without]
    return [*ledger, *(TopicRecord(topic, 0, 0, value, headers) for topic, value, headers in found)]


def found(records: list[TopicRecord]) -> dict[str, int]:
    """Differences that are not 0, of the distributor's lines and checks."""
    result = balance(records)
    ours = [*result.lines[-4:], *result.checks[-2:]]
    return {one.name: one.difference for one in ours if one.difference}


def test_what_was_copied_and_answered_closes() -> None:
    assert found(recorded()) == {}
    lines = {line.name: (line.total, dict(line.terms)) for line in balance(recorded()).lines}
    assert lines["letters to distribute"][0] == 1
    assert lines["copies expected"] == (2, {"delivered": 2, "waiting": 0})
    assert lines["verdicts returned"] == (1, {"on receipts.raw": 1})


def test_copy_that_has_not_left_is_waiting() -> None:
    rows = tuple(row for row in ROWS if not (row.system == "archive" and row.what == "delivered"))
    lines = {line.name: dict(line.terms) for line in balance(recorded(rows, f"municipality.{CODE}.archive")).lines}
    assert lines["copies expected"] == {"delivered": 1, "waiting": 1}


def without(**fields: Any) -> Callable[[], list[TopicRecord]]:
    """The records without the rows that have these values."""
    return lambda: recorded(tuple(r for r in ROWS if any(getattr(r, name) != value for name, value in fields.items())))


LOSSES: dict[str, tuple[Callable[[], list[TopicRecord]], str]] = {
    "a copy of which nothing is known": (without(kind="copy", system="care"), "copies expected"),
    "a copy that lies nowhere": (lambda: recorded(without=f"municipality.{CODE}.care"), "every copy delivered"),
    "an answer without a class": (without(kind="copy-receipt"), "receipts of receivers"),
    "a verdict that never left": (lambda: recorded(without="receipts.raw"), "verdicts returned"),
    "two final verdicts": (
        lambda: recorded(
            (*ROWS, returned_row(AT, "answer-2", "fatal-error", MESSAGE, CODE, "0badcafe", reason="answered"))
        ),
        "a message is returned one final verdict",
    ),
}


@pytest.mark.parametrize("name", LOSSES)
def test_loss_is_named(name: str) -> None:
    records, line = LOSSES[name]
    assert any(each.startswith(line) for each in found(records()))


def test_arrival_sent_again_from_dead_letters_counts_once() -> None:
    first = arrival_row(AT, f"{INBOX}/0/0", "refused", MESSAGE, reason="internal-error", **OF)
    again = arrival_row(AT, f"{INBOX}/0/0", "distributed", MESSAGE, 2, redriven=1, **OF)
    assert found(recorded((first, again, *ROWS[1:]))) == {}


def test_inbox_is_known_by_position_of_distributor() -> None:
    book = Book(recorded(tuple(row for row in ROWS if row.kind != "arrival")))
    book.note((INBOX, 0), 1)
    assert [line.name for line in balance(book).lines if line.difference] == ["letters to distribute"]


def test_without_distributor_there_is_no_line() -> None:
    assert [line.name for line in balance([]).lines] == [
        "events received", "accepted", "notifications made", "notifications", "open", "receipts received",
    ]  # fmt: skip
    assert json.dumps(balance([]).as_dict())
