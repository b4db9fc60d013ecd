"""A start at another hospital: which episode it continues, and where the person came from (01 §12; 00 §2.2)."""

from datetime import timedelta
from typing import Any

import pytest

from streams.words.ids import EpisodeId
from streams.words.model import StayEvent, Unit
from tests.rules.persons import AT, AUH, DAY, HOUR, IDS, OUH, PRIVATE, SHS, V1, V2, Intake, K, unit


def arrive(intake: Intake, at_hospital: Unit, *, after: timedelta = HOUR, **fields: Any) -> StayEvent:
    fields = {"visit_number": V2, "unit": at_hospital, "occurred": AT + after} | fields
    return intake.stay_event(K.START, **fields)


@pytest.mark.parametrize("class_", ["IMP", "EMER"])
def test_start_in_region_continues_stay(class_: str) -> None:
    intake = Intake()
    intake.send(K.START, class_=class_)
    stay_event = arrive(intake, SHS, class_=class_)
    assert stay_event.transfer is not None
    assert (stay_event.transfer.visit, stay_event.transfer.episode, stay_event.transfer.hospital) == (V1, V1, "OUH")
    assert (stay_event.transfer.same_region, stay_event.lane, stay_event.visit) == (True, IDS.lane(EpisodeId(V1)), V2)


def test_later_events_stay_in_continued_lane() -> None:
    intake = Intake()
    intake.send(K.START)
    lane = arrive(intake, SHS).lane
    for kind in (K.MOVE, K.LEAVE_START, K.LEAVE_END, K.END, K.END_CANCELLED):
        assert intake.stay_event(kind, visit_number=V2, unit=SHS).lane == lane
    assert intake.stay_event(K.END).lane == lane


def test_third_hospital_continues_first_episode() -> None:
    intake = Intake()
    intake.send(K.START)
    arrive(intake, SHS)
    intake.send(K.END, visit_number=V2, unit=SHS, disposition="transfer-hospital", occurred=AT + 2 * HOUR)
    intake.send(K.END, disposition="transfer-hospital", occurred=AT + HOUR, at=AT - HOUR)
    stay_event = arrive(intake, unit("ESB", "1083"), after=3 * HOUR, visit_number="V3")
    assert stay_event.transfer is not None
    assert (stay_event.transfer.visit, stay_event.transfer.episode, stay_event.lane) == (
        V2,
        V1,
        IDS.lane(EpisodeId(V1)),
    )


@pytest.mark.parametrize("hospital", [AUH, PRIVATE], ids=["other region", "no region"])
def test_across_regions_stay_is_new(hospital: Unit) -> None:
    intake = Intake()
    intake.send(K.START)
    stay_event = arrive(intake, hospital, feed="EPJ-MIDT/AUH")
    assert stay_event.transfer is not None
    assert (stay_event.transfer.visit, stay_event.transfer.hospital, stay_event.transfer.same_region) == (
        V1,
        "OUH",
        False,
    )
    assert stay_event.lane == IDS.lane(EpisodeId(V2))


ENDED = [
    pytest.param("transfer-hospital", 24 * HOUR, True, id="to a hospital, a day before"),
    pytest.param("transfer-hospital", 24 * HOUR + timedelta(seconds=1), False, id="to a hospital, longer ago"),
    pytest.param("transfer-hospital", -HOUR, True, id="to a hospital, registered after the arrival"),
    pytest.param("hospice", HOUR, True, id="to a hospice"),
    pytest.param("home", HOUR, False, id="home"),
    pytest.param("transfer-self", HOUR, False, id="travels alone"),
    pytest.param("unknown", HOUR, False, id="unknown"),
]


@pytest.mark.parametrize(("disposition", "before", "transferred"), ENDED)
def test_transfer_continues_within_day(disposition: str, before: timedelta, transferred: bool) -> None:
    intake = Intake()
    intake.send(K.START, occurred=AT - 5 * DAY)
    intake.send(K.END, disposition=disposition, occurred=AT)
    stay_event = arrive(intake, SHS, after=before)
    assert (stay_event.transfer is not None) is transferred
    assert (stay_event.lane == IDS.lane(EpisodeId(V1))) is transferred


def test_latest_stay_is_one_continued() -> None:
    intake = Intake()
    intake.send(K.START, visit_number="A", unit=AUH, at=AT)
    intake.send(K.START, at=AT + HOUR)
    stay_event = arrive(intake, SHS)
    assert stay_event.transfer is not None
    assert stay_event.transfer.visit == V1


def test_second_start_here_is_no_transfer() -> None:
    intake = Intake()
    intake.send(K.START)
    assert arrive(intake, OUH).transfer is None


def test_cancelled_start_is_no_origin() -> None:
    intake = Intake()
    intake.send(K.START)
    intake.send(K.START_CANCELLED)
    assert arrive(intake, SHS).transfer is None


def test_repeated_start_is_judged_once() -> None:
    intake = Intake()
    intake.send(K.START)
    first, again = arrive(intake, SHS), arrive(intake, SHS)
    assert first.lane == again.lane
    assert again.transfer is None


def test_start_after_cancelled_one_keeps_its_lane() -> None:
    intake = Intake()
    lane = intake.stay_event(K.START, visit_number=V2, unit=SHS).lane
    intake.send(K.START_CANCELLED, visit_number=V2, unit=SHS)
    intake.send(K.START)
    stay_event = arrive(intake, SHS)
    assert stay_event.lane == lane
    assert stay_event.transfer is not None


def test_regions_of_day_of_arrival_count() -> None:
    """1 January 2027: two regions become one (spec 05 §1.4)."""
    merged = unit("RIG", "1086")
    intake = Intake()
    intake.send(K.START, unit=unit("ROS", "1085"))
    stay_event = intake.send(
        K.START, visit_number=V2, unit=merged, occurred=AT + HOUR, region_at=lambda _hospital, _at: "1086"
    ).stay_events[0]
    assert stay_event.transfer is not None
    assert stay_event.transfer.same_region is True
