"""The figures of a worker: what is counted for each effect."""

import pytest

from agents.station import Figures
from streams.errors import Issue, Rejected
from streams.intake import Intake
from streams.lane import Said, SetAside
from streams.ledger import event_row
from streams.model import Fate, Outcome
from tests.rules.lanes import Lane

LINES = ('fate="converted"', 'n="1"', 'subtype="msg-created"', 'subtype="msg-sent"')


def text(figures: Figures) -> str:
    return figures.metrics.text().decode()


@pytest.mark.parametrize("line", LINES)
def test_what_a_lane_says_is_counted(line: str) -> None:
    figures = Figures()
    figures.tell(Lane().play("A01 08:00").said, "lanes")
    assert line in text(figures)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        pytest.param(Rejected("PID-3", "empty", "send it", "no-person"), "no-person", id="by its reason code"),
        pytest.param(Rejected("MSH", "none", "send it"), "rejected", id="without a code"),
        pytest.param(KeyError("2512489996"), "internal-error", id="a fault of ours, without its text"),
    ],
)
def test_a_record_put_aside_is_counted_by_stage_and_reason(fault: Exception, reason: str) -> None:
    figures = Figures()
    figures.aside("intake", fault)
    assert f'stafet_dead_letters_total{{reason="{reason}",stage="intake"}} 1.0' in text(figures)
    assert "2512489996" not in text(figures)


def test_what_was_odd_about_a_message_is_counted_by_feed_and_rule() -> None:
    figures = Figures()
    odd = Issue(severity="warning", path="MSH-18", rule="charset-lie", problem="x", remedy="y")
    figures.odd(Intake(None, feed="EPJ/OUH", warnings=(odd,)))
    assert 'stafet_message_warnings_total{feed="EPJ/OUH",rule="charset-lie"} 1.0' in text(figures)


def test_what_a_lane_sets_aside_is_counted_as_the_lanes() -> None:
    figures = Figures()
    figures.tell([Said(SetAside(Rejected("x", "y", "z", "unmatched")))], "lanes")
    assert 'reason="unmatched",stage="lanes"' in text(figures)


def test_an_adt_record_that_gives_stay_events_is_counted_in_their_lanes_only() -> None:
    figures, at = Figures(), Lane().now
    figures.event(event_row(at, "adt.raw/0/1", None, 1))
    assert 'fate="accepted"' not in text(figures)
    figures.event(event_row(at, "adt.raw/0/2", Outcome(fate=Fate.DUPLICATE, reason="duplicate"), 0))
    assert 'stafet_events_total{fate="duplicate",reason="duplicate"} 1.0' in text(figures)
