"""Acceptance A-7: stays across both clock changes carry the offset valid at each moment; 29 February is a day."""

from datetime import datetime

import msgspec
import pytest

from streams.stay.state import Visit
from streams.words.times import COPENHAGEN, danish, danish_text
from tests.rules.stay_events import Story

SPRING = [
    "A01 T occurred_time=2026-03-29T01:30:00+01:00 now=2026-03-29T01:31:00+01:00",
    "A21 T occurred_time=2026-03-29T03:10:00+02:00 now=2026-03-29T03:11:00+02:00",
    "A22 T occurred_time=2026-03-29T08:00:00+02:00 now=2026-03-29T08:01:00+02:00",
    "A03 T occurred_time=2026-03-30T09:00:00+02:00 now=2026-03-30T09:01:00+02:00",
]
AUTUMN = [
    "A01 T occurred_time=2026-10-25T02:50:00+02:00 now=2026-10-25T02:51:00+02:00",
    "A21 T occurred_time=2026-10-25T02:10:00+01:00 now=2026-10-25T02:11:00+01:00",
    "A22 T occurred_time=2026-10-25T02:40:00+01:00 now=2026-10-25T02:41:00+01:00",
    "A03 T occurred_time=2026-10-26T09:00:00+01:00 now=2026-10-26T09:01:00+01:00",
]


def play(lines: list[str]) -> Story:
    return Story().play(*(line.replace(" T ", " 2026-03-29T00:00:00+01:00 ") for line in lines))


@pytest.mark.parametrize(
    ("lines", "start", "leave", "back", "end"),
    [
        (SPRING, "2026-03-29T01:30:00+01:00", "2026-03-29T03:10:00+02:00", "2026-03-29T08:00:00+02:00", "2026-03-30T09:00:00+02:00"),
        (AUTUMN, "2026-10-25T02:50:00+02:00", "2026-10-25T02:10:00+01:00", "2026-10-25T02:40:00+01:00", "2026-10-26T09:00:00+01:00"),
    ],
    ids=["spring", "autumn"],
)  # fmt: skip
def test_stay_across_clock_change(lines: list[str], start: str, leave: str, back: str, end: str) -> None:
    story = play(lines)
    assert story.notices == ["STIN", "STOR", "SLOR", "SLHJ"]
    stor, slor, slhj = story.notes[1:]
    assert stor.leave_start is not None
    assert slor.leave_end is not None
    assert slhj.end is not None
    assert (slhj.start.isoformat(), stor.leave_start.isoformat()) == (start, leave)
    assert (slor.leave_end.isoformat(), slhj.end.isoformat()) == (back, end)


def test_sending_times_increase_in_doubled_hour() -> None:
    story = play(AUTUMN)
    times = [link.occurred for link in story.last.chain]
    assert [t.isoformat()[11:] for t in times[:3]] == ["02:51:00+02:00", "02:11:00+01:00", "02:41:00+01:00"]
    assert times == sorted(times)


def test_doubled_hours_time_counts_as_instant() -> None:
    same = AUTUMN[1].replace("02:11:00+01:00", "02:12:00+01:00")
    other = AUTUMN[1].replace("02:10:00+01:00", "02:55:00+02:00").replace("02:11:00+01:00", "02:12:00+01:00")
    assert play([*AUTUMN[:2], same]).notices == ["STIN", "STOR"]
    assert play([*AUTUMN[:2], other]).notices == ["STIN", "STOR", "RE_STOR"]


def test_leap_day_is_day() -> None:
    story = Story().play("A01 2028-02-29T10:00:00+01:00", "A03 2028-03-01T09:00:00+01:00")
    assert [n.start.isoformat() for n in story.notes] == ["2028-02-29T10:00:00+01:00"] * 2


def test_utc_and_fractions_become_danish_whole_seconds() -> None:
    last = Story().play("A01 2026-07-01T10:00:00.750000+00:00").last
    assert last.start.isoformat() == "2026-07-01T12:00:00+02:00"
    assert last.assembled.isoformat() == "2026-07-01T12:01:00+02:00"
    assert danish(last.start).isoformat() == last.start.isoformat()


@pytest.mark.parametrize("lines", [SPRING, AUTUMN], ids=["spring", "autumn"])
def test_row_reads_back_at_every_step(lines: list[str]) -> None:
    story = Story()
    for line in lines:
        story.play(line.replace(" T ", " 2026-03-29T00:00:00+01:00 "))
        row = msgspec.json.encode(story.visit)
        again = msgspec.json.decode(row, type=Visit)
        assert again == story.visit
        assert msgspec.json.encode(again) == row
        story.visit = again
    assert story.notes == play(lines).notes


def test_row_of_usual_stay_is_small() -> None:
    assert len(msgspec.json.encode(play(AUTUMN).visit)) < 3000


def test_neither_visit_nor_notification_prints_person() -> None:
    story = Story().play("A01 08:00")
    text = f"{story.visit!r} {story.last!r}"
    assert not any(word in text for word in ("2512489996", "Elmer", "Bruno"))


@pytest.mark.parametrize(
    ("before", "leave"),
    [("2026-10-25T02:40:00+02:00", "2026-10-25T02:30:00+01:00"), ("2026-10-25T02:20:00+02:00", "2026-10-25T02:30:00+02:00")],
    ids=["before its predecessor", "after it"],
)  # fmt: skip
def test_doubtful_hour_never_precedes_its_predecessor(before: str, leave: str) -> None:
    doubtful = "occurred_time=2026-10-25T02:30:00+02:00 occurred_again=2026-10-25T02:30:00+01:00"
    story = play([f"A01 T occurred_time={before} now={before}", f"A21 T {doubtful} now=2026-10-25T09:00:00+01:00"])
    assert story.last.leave_start is not None
    assert story.last.leave_start.isoformat() == leave


def test_texts_of_doubled_hour_differ() -> None:
    """Both are equal for Python, being of one zone: a text that is kept for the one must not be given for the other."""
    first = datetime(2026, 10, 25, 2, 30, tzinfo=COPENHAGEN)
    for time, text in [(first, "02:30:00+02:00"), (first.replace(fold=1), "02:30:00+01:00")] * 2:
        assert danish_text(time) == f"2026-10-25T{text}"
