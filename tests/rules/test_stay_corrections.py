"""Spec 01 §13, rule by rule, and 00 §2.6."""

import pytest

from tests.rules.stay_events import MED, SUR, Story, clock, notices

IN = "A01 08:00 start_time=08:00"


def test_minutes_difference_is_corrected() -> None:
    assert notices(IN, "A08 09:00 start_time=08:01") == ["STIN", "RE_STIN"]
    assert notices(IN, "A08 09:00 start_time=2026-03-01T08:00:59+01:00") == ["STIN"]
    assert notices("A01 08:00", "A21 09:00", "A21 09:01") == ["STIN", "STOR", "RE_STOR"]


def test_no_cancellation_comes_before_correction() -> None:
    assert notices(IN, "A08 09:00 start_time=07:00") == ["STIN", "RE_STIN"]  # 13.2


def test_only_latest_message_is_corrected() -> None:
    story = Story().play(IN, "A21 09:00", "A08 10:00 start_time=07:00", "A22 11:00")
    assert story.notices == ["STIN", "STOR", "SLOR"]  # 13.3
    assert [n.start for n in story.notes] == [clock("08:00"), clock("08:00"), clock("07:00")]  # 13.10


def test_late_admission_change_travels_with_discharge() -> None:
    story = Story().play(IN, "A03 12:00 end_time=12:00", "A08 13:00 start_time=07:00 end_time=12:30")
    assert (story.notices, story.last.start, story.last.end) == (
        ["STIN", "SLHJ", "RE_SLHJ"],
        clock("07:00"),
        clock("12:30"),
    )


def test_change_that_breaks_time_order_is_refused() -> None:
    story = Story().play(IN, "A21 09:00", "A08 10:00 start_time=09:30")
    assert story.outcome == "stopped:not-allowed"
    assert story.play("A22 11:00").last.start == clock("08:00")


def test_arrival_corrected_after_admission_is_stored() -> None:
    story = Story().play(
        "A04 08:00 start_time=08:00", "A06 09:00", "A08 10:00 start_time=07:30 class_=IMP", "A03 12:00"
    )
    assert story.notices == ["STAA", "STIN", "SLHJ"]
    assert story.last.start == clock("09:00")  # the time of change, not the arrival


def test_corrections_fold_into_what_they_correct() -> None:
    story = Story().play(IN, "A08 09:00 start_time=07:50", "A08 10:00 start_time=07:40", "A21 11:00", "A52 12:00")
    assert story.notices == ["STIN", "RE_STIN", "RE_STIN", "STOR", "AN_STOR"]
    assert (story.last.start, story.last.chain[-1].previous) == (clock("07:40"), story.notes[3].message_id)
    assert story.play("A11 13:00").last.chain[-1].previous == story.notes[2].message_id  # 13.9


def test_corrected_department_changes_sender() -> None:
    story = Story().play(IN, "A08 09:00 unit=SUR a08_ward_is_correction=yes")
    assert [n.sender for n in story.notes] == [MED, SUR]  # 13.15


def test_department_and_time_are_corrected_in_one_message() -> None:
    story = Story().play(IN, "A08 09:00 unit=SUR a08_ward_is_correction=yes start_time=07:50")
    assert (story.notices, story.last.sender, story.last.start) == (["STIN", "RE_STIN"], SUR, clock("07:50"))


def test_feed_rule_may_correct_any_kind() -> None:
    assert Story().play(IN).play("A02 09:00 unit=SUR", correction=True).notices == ["STIN", "RE_STIN"]
    assert Story().play(IN).play("A08 09:00 unit=SUR", correction=True).notices == ["STIN", "RE_STIN"]
    assert Story().play(IN).play("A01 08:00 now=09:00 unit=SUR", correction=True).notices == ["STIN", "RE_STIN"]


def test_corrections_and_cancellations_never_ask_for_report() -> None:
    story = Story().play(IN, "A08 09:00 start_time=07:50", "A11 10:00")
    assert [n.report_of_admission for n in story.notes] == [True, False, False]  # 13.6


#: What happens after an admission -> what is sent after STIN (13.11).
UNWOUND: dict[str, tuple[list[str], list[str]]] = {
    "leave": (["A21 09:00", "A11 12:00"], ["STOR", "AN_STOR", "AN_STIN"]),
    "discharge": (["A03 09:00", "A11 12:00"], ["SLHJ", "AN_SLHJ", "AN_STIN"]),
    "leave, return, discharge": (
        ["A21 09:00", "A22 10:00", "A03 11:00", "A11 12:00"],
        ["STOR", "SLOR", "SLHJ", "AN_SLHJ", "AN_SLOR", "AN_STOR", "AN_STIN"],
    ),
    "discharge from leave": (  # 10.5: in-progress already
        ["A21 09:00", "A03 11:00", "A11 12:00"],
        ["STOR", "SLHJ", "AN_SLHJ", "AN_STIN"],
    ),
    "death on leave": (
        ["A21 09:00", "A03 11:00 dead=yes", "A11 12:00"],
        ["STOR", "MORS", "AN_MORS", "AN_STOR", "AN_STIN"],
    ),
}


@pytest.mark.parametrize(("lines", "expected"), UNWOUND.values(), ids=list(UNWOUND))
def test_what_lies_deeper_is_cancelled_in_reverse_order(lines: list[str], expected: list[str]) -> None:
    assert notices("A01 08:00", *lines) == ["STIN", *expected]  # 13.11


def test_mistaken_contact_type_gives_back_earlier() -> None:
    story = Story().play("A04 08:00", "A06 09:00", "A11 10:00")
    assert story.notices == ["STAA", "STIN", "AN_STIN", "STAA"]  # 13.16
    assert (story.last.start, story.last.class_, len(story.last.chain)) == (clock("08:00"), "EMER", 1)
    assert story.last.episode != story.notes[0].episode
    reverse = Story().play("A01 08:00", "A07 09:00", "A11 10:00")
    assert (reverse.notices[-2:], reverse.last.start) == (["AN_STAA", "STIN"], clock("08:00"))


def test_wrong_ended_visit_stays_void() -> None:
    assert notices("A04 08:00", "A06 09:00", "A03 10:00", "A11 11:00")[-2:] == ["AN_SLHJ", "AN_STIN"]


def test_discharge_cancelled_on_leave_repeats_leave() -> None:
    story = Story().play("A01 08:00", "A21 09:00", "A03 10:00", "A13 11:00", "A22 12:00")
    assert story.notices == ["STIN", "STOR", "SLHJ", "AN_SLHJ", "STOR", "SLOR"]  # 10.5
    assert [n.status for n in story.notes[3:]] == ["in-progress", "onleave", "in-progress"]
    assert (story.notes[3].leave_start, story.notes[4].leave_start) == (None, clock("09:00"))


def test_each_leave_shows_its_own_period() -> None:
    story = Story().play("A01 08:00", "A21 09:00", "A22 10:00", "A21 11:00", "A22 12:00")
    assert (story.last.leave_start, story.last.leave_end) == (clock("11:00"), clock("12:00"))  # 11.8, 10.1


def test_wrong_death_on_arrival_reopens_stay() -> None:
    story = Story().play("A01 08:00 dead=yes", "A13 09:00", "A21 10:00", "A22 11:00", "A03 12:00")
    assert story.notices == ["MORS", "AN_MORS", "STOR", "SLOR", "SLHJ"]
    assert story.last.start == clock("08:00")


def test_discharge_time_never_overrules_death_time() -> None:
    story = Story().play("A01 08:00", "A31 10:00 dead=yes death_time=09:00", "A03 12:00 dead=yes end_time=12:00")
    assert (story.notices, story.outcome) == (["STIN", "MORS"], "not-subject:repeat")
