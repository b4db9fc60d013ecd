"""The fast clock of the demo: it runs, it never leaps, it never turns back."""

from datetime import UTC, datetime, timedelta

from agents.station import FastClock

START = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)


def test_it_runs_faster_than_wall() -> None:
    wall = [100.0]
    clock = FastClock(START, 600.0, wall=lambda: wall[0])
    assert clock() == START
    wall[0] += 0.25
    assert clock() == START + timedelta(seconds=150)


def test_process_without_turn_has_not_lived_that_time() -> None:
    wall = [100.0]
    clock = FastClock(START, 600.0, stride=0.5, wall=lambda: wall[0])
    wall[0] += 60.0
    assert clock() == START + timedelta(seconds=300)
    wall[0] += 0.1
    assert clock() == START + timedelta(seconds=360)
