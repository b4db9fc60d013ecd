"""The figures of a worker: what is counted for each effect."""

from datetime import timedelta
from typing import Any, cast

import pytest

from agents.intake import intake_stage
from agents.station import Figures, Station
from streams.kafka.records import Record
from streams.messages.adt.feed import read_from_feed
from streams.messages.adt.patient import record_key
from streams.person.row import PersonRow
from streams.records.ledger import event_row
from streams.relay.intake import Intake
from streams.relay.lane import DeadLetter
from streams.words.errors import Rejected
from streams.words.ids import Ids
from streams.words.model import Fate, Outcome
from tests.meanings.adt import er7
from tests.rules.lanes import Lane, registers

LINES = ('fate="converted"', 'n="1"', 'subtype="msg-created"', 'subtype="msg-sent"')


def shown(lane: Lane) -> Figures:
    figures = Figures()
    for effect in lane.effects:
        figures.effect(effect.action, "lanes")
    return figures


def text(figures: Figures) -> str:
    return figures.metrics.text().decode()


@pytest.mark.parametrize("line", LINES)
def test_effects_of_lane_are_counted(line: str) -> None:
    assert line in text(shown(Lane().play("A01 08:00")))


def test_first_verdict_is_timed_from_first_dispatch() -> None:
    lane = Lane().play("A01 08:00")
    lane.answer("ok", after=timedelta(seconds=90))
    lane.answer("ok")
    found = text(shown(lane))
    assert 'hn_time_to_verdict_seconds_sum{municipality="0461"} 90.0' in found
    assert 'hn_time_to_verdict_seconds_count{municipality="0461"} 1.0' in found


def test_refused_attempt_is_counted() -> None:
    lane = Lane().play("A01 08:00")
    lane.refuse()
    assert 'hn_attempts_total{n="1",result="refused"} 1.0' in text(shown(lane))


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        pytest.param(Rejected("PID-3", "empty", "send it", "no-person"), "no-person", id="by its reason code"),
        pytest.param(Rejected("MSH", "none", "send it"), "rejected", id="without a code"),
        pytest.param(KeyError("2512489996"), "internal-error", id="a fault of ours, without its text"),
    ],
)
def test_dead_letter_is_counted_by_stage_and_reason(fault: Exception, reason: str) -> None:
    figures = Figures()
    figures.dead_letter("intake", fault)
    assert f'stafet_dead_letters_total{{reason="{reason}",stage="intake"}} 1.0' in text(figures)
    assert "2512489996" not in text(figures)


def test_oddities_are_counted_by_feed_and_rule() -> None:
    station = Station(Ids(b"a secret for the tests only"), registers())
    step = intake_stage(station, cast(Any, None)).step
    data = er7("A01", msh={18: "8859/1"}, pid={5: "Sørensen^Nancy"}, pv1={3: "ZZ9^^^OUH"})
    key = record_key(*read_from_feed(data, station.registers.feed), station.ids).encode()
    for number in range(2):
        step(None, Record("adt.raw", 0, number, key, data))
    for rule in ("charset-lie", "unknown-ward"):
        assert f'stafet_message_warnings_total{{feed="EPJ-SYD/OUH",rule="{rule}"}} 2.0' in text(station.figures)


def test_dead_letter_of_lane_is_counted_as_lanes() -> None:
    figures = Figures()
    figures.effect(DeadLetter(Rejected("x", "y", "z", "unmatched")), "lanes")
    assert 'reason="unmatched",stage="lanes"' in text(figures)


def test_adt_record_with_stay_events_counts_in_lanes_only() -> None:
    figures, at = Figures(), Lane().now
    figures.taken(event_row(at, "adt.raw/0/1", None, 1), Intake(PersonRow()))
    assert 'fate="accepted"' not in text(figures)
    figures.taken(
        event_row(at, "adt.raw/0/2", Outcome(fate=Fate.DUPLICATE, reason="duplicate"), 0), Intake(PersonRow())
    )
    assert 'stafet_events_total{fate="duplicate",reason="duplicate"} 1.0' in text(figures)
