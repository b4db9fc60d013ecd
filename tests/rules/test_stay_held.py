"""Events that wait (00 §1.7): future-dated (01, 7.6), without a START (04 §4.5); repeats; retention (00 §2.7)."""

from datetime import timedelta

import pytest

from streams.stay.fold import abandoned, fold, forget
from streams.stay.state import StayPolicy, Visit
from streams.words.model import Fate
from tests.rules.stay_events import IDS, Story, clock, event, notices

# ---- in the future ------------------------------------------------------------------------------------------------


def test_future_event_is_held_until_it_happens() -> None:
    story = Story().play("A01 08:00", "A21 12:00 now=09:00")
    assert (story.outcome, story.notices, story.folds[-1].wake) == ("waiting:held", ["STIN"], clock("12:00"))
    assert story.wake("11:59").released == ()
    result = story.wake("12:00")
    assert [(o.fate, n.notice) for (_, o), n in zip(result.released, result.notifications, strict=True)] == [
        (Fate.CONVERTED, "STOR")
    ]
    assert result.wake is None


def test_released_notification_has_its_events_id() -> None:
    story = Story().play("A01 08:00 now=07:00")
    held = story.folds[-1].visit
    assert held is not None
    story.wake("08:00")
    assert story.last.event_id == held.held[0].event.id
    assert story.last.assembled >= story.last.start


@pytest.mark.parametrize(
    ("future", "cancel"),
    [("A01 12:00 now=09:00", "A11 10:00"), ("A21 12:00 now=09:00", "A52 10:00"), ("A03 12:00 now=09:00", "A13 10:00")],
    ids=["A11", "A52", "A13"],
)
def test_cancelled_future_event_gives_no_notice(future: str, cancel: str) -> None:
    before = [] if future.startswith("A01") else ["A01 08:00"]
    story = Story().play(*before, future, cancel)
    assert (story.notices, story.outcome) == (["STIN"][: len(before)], "not-subject")
    assert [o.fate for o in story.released] == [Fate.NOT_SUBJECT]
    assert story.folds[-1].wake is None


def test_new_discharge_replaces_one_that_is_held() -> None:
    story = Story().play("A01 08:00", "A03 20:00 now=09:00", "A03 12:00")
    assert (story.notices, story.folds[-1].wake) == (["STIN", "SLHJ"], None)
    assert [o.fate for o in story.released] == [Fate.NOT_SUBJECT]


def test_future_correction_is_held_too() -> None:
    story = Story().play("A01 08:00", "A03 12:00 end_time=12:00", "A08 13:00 now=12:30 end_time=14:00")
    assert (story.outcome, story.notices) == ("waiting:held", ["STIN", "SLHJ"])
    story.wake("14:00")
    assert story.notices == ["STIN", "SLHJ", "RE_SLHJ"]


# ---- without a START ----------------------------------------------------------------------------------------------


def test_events_follow_start_they_waited_for() -> None:
    story = Story().play("A21 09:00", "A22 09:02", "A01 08:00 now=09:10")
    assert story.notices == ["STIN", "STOR", "SLOR"]
    assert [(o.fate, o.reason) for o in story.released] == [(Fate.CONVERTED, "")] * 2
    assert [n.event_id for n in story.notes[1:]] == [event_id for event_id, _ in story.folds[-1].released]
    assert [n.ordinal for n in story.notes] == [0, 1, 2]


def test_window_is_fifteen_minutes_by_default() -> None:
    story = Story().play("A03 09:00 now=09:00")
    assert story.folds[-1].wake == clock("09:15")
    assert Story(StayPolicy(late_start_window=timedelta(minutes=5))).play("A03 09:00 now=09:00").folds[
        -1
    ].wake == clock("09:05")
    story.wake("09:15")
    assert [o.reason for o in story.released] == ["no-start"]
    assert story.play("A01 08:00 now=09:20").notices == ["STIN"]


def test_event_waits_for_held_start() -> None:
    story = Story().play("A01 12:00 now=09:00", "A08 09:30")
    story.wake("10:00")
    assert story.released == []
    story.wake("12:00")
    assert (story.notices, [o.fate for o in story.released]) == (["STIN"], [Fate.CONVERTED, Fate.NOT_SUBJECT])


def test_planned_start_answers_what_waits_with_nothing() -> None:
    story = Story().play("A03 09:00", "A04 08:00 now=09:02 class_=OUTPATIENT planned=yes")
    assert [o.fate for o in story.released] == [Fate.NOT_SUBJECT]


# ---- repeats and latecomers ---------------------------------------------------------------------------------------


def test_event_folded_before_is_duplicate() -> None:
    story = Story().play("A01 08:00 id=1", "A21 09:00 id=2")
    before = story.visit
    for line in ("A01 08:00 id=1", "A21 09:00 id=2"):
        story.play(line)
        assert story.outcome == "duplicate:duplicate"
        assert story.folds[-1].notifications == ()
    assert story.visit == before


def test_held_event_again_is_duplicate() -> None:
    story = Story().play("A03 09:00 id=1", "A03 09:00 id=1")
    assert story.outcome == "duplicate:duplicate"
    story.wake("09:30")
    assert story.play("A03 09:00 id=1").outcome == "duplicate:duplicate"


def test_event_day_older_is_too_late() -> None:
    story = Story().play("A01 1/08:00", "A21 3/08:00", "A22 2/07:59 now=3/09:00")
    assert (story.outcome, story.notices) == ("stopped:too-late", ["STIN", "STOR"])
    assert notices("A01 1/08:00", "A21 3/08:00", "A22 2/08:00 now=3/09:00") == [
        "STIN",
        "STOR",
    ]  # in time, but before it left


def test_new_chain_may_begin_before_void() -> None:
    assert notices("A01 5/08:00", "A11 5/09:00", "A01 2/08:00 now=5/10:00") == ["STIN", "AN_STIN", "STIN"]


def test_seen_events_are_bounded() -> None:
    story = Story().play("A01 08:00", *(f"A08 {h}:{m:02d}" for h in range(9, 15) for m in range(60)))
    assert isinstance(story.visit, Visit)
    assert len(story.visit.seen) == 256


# ---- what is kept -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lines",
    [["A03 09:00"], ["A03 09:00 disposition=transfer-hospital"], ["A03 09:00 dead=yes"], ["A11 09:00"]],
    ids=["closed", "transferred", "dead", "void"],
)
def test_ended_stay_is_forgotten_after_thirty_days(lines: list[str]) -> None:
    visit = Story().play("A01 08:00", *lines).visit
    assert isinstance(visit, Visit)
    assert not forget(visit, clock("31/09:00"))
    assert forget(visit, clock("31/09:01"))


def test_silent_open_stay_is_abandoned_not_forgotten() -> None:
    visit = Story().play("A01 08:00").visit
    assert isinstance(visit, Visit)
    assert not forget(visit, clock("900/08:00"))
    assert not abandoned(visit, clock("401/08:00"))
    assert abandoned(visit, clock("401/08:01"))


def test_planned_attendance_is_forgotten_after_thirty_days() -> None:
    planned = Story().play("A04 08:00 class_=OUTPATIENT planned=yes").visit
    held = Story().play("A01 60/08:00 now=1/08:00").visit
    assert isinstance(planned, Visit)
    assert isinstance(held, Visit)
    assert forget(planned, clock("31/08:01"))
    assert not forget(held, clock("50/08:00"))


def test_stay_that_is_reopened_has_not_ended() -> None:
    visit = Story().play("A01 08:00", "A03 09:00", "A13 10:00").visit
    assert isinstance(visit, Visit)
    assert not forget(visit, clock("60/08:00"))


def test_event_of_no_stay_leaves_no_row() -> None:
    built, now = event("A31 09:00 dead=yes")
    result = fold(None, built, at=now, ids=IDS, policy=StayPolicy(), ordinal=0)
    assert (result.visit, result.outcome.fate) == (None, Fate.NOT_SUBJECT)
