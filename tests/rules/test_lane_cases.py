"""An open stay of which nothing is heard for 400 days becomes a case, and the case is there until it is closed (00 §2.7)."""

import pytest

from streams.relay.lane import Alarm, LaneRow
from streams.words.errors import Rejected
from streams.words.ids import MessageId, minted_lane
from tests.rules.lanes import DAY, Lane
from tests.rules.stay_events import FEED, VISIT_NUMBER


def silent(*lines: str, **more: object) -> Lane:
    """A lane whose messages were answered, 401 days after its last event."""
    lane = Lane()
    for line in lines:
        lane.play(line, **more)
        if lane.letters:
            lane.answer()
    lane.elapse(lane.now + 401 * DAY)
    return lane


def only_case(lane: Lane) -> str:
    assert isinstance(lane.row, LaneRow)
    (key,) = lane.row.cases
    return key


STATES = {
    "admitted": ("A01 08:00",),
    "acute": ("A04 08:00",),
    "leave": ("A01 08:00", "A21 09:00"),
}


@pytest.mark.parametrize("state", STATES)
def test_silent_open_stay_is_case_naming_hospital(state: str) -> None:
    lane = silent(*STATES[state])
    assert lane.row is not None
    found = lane.row.cases[only_case(lane)]
    assert (found.feed, found.number, found.state, found.kommunekode) == (FEED, VISIT_NUMBER, state, "0461")
    assert (found.case.reason, found.case.closed) == ("abandoned", None)
    assert not lane.row.visits, "the stay is forgotten"


def test_so_is_one_that_was_never_notified() -> None:
    lane = silent("A01 08:00 patient=none residence=none")
    assert lane.row is not None
    assert lane.row.cases[only_case(lane)].state == "untold"


def test_it_holds_nothing_of_person() -> None:
    lane = silent("A01 08:00")
    assert lane.row is not None
    assert "2512489996" not in repr(lane.row)


def test_it_is_heard_of_like_every_case_and_once() -> None:
    lane = silent("A01 08:00")
    assert lane.alarms == [Alarm("case:open", only_case(lane), "0461", "admitted", "abandoned")]


@pytest.mark.parametrize("end", ["A03 18:00", "A11 09:00"], ids=["ended", "cancelled"])
def test_stay_that_has_ended_leaves_no_case(end: str) -> None:
    assert silent("A01 08:00", end).row is None


def test_event_within_time_keeps_stay() -> None:
    lane = Lane().play("A01 08:00")
    lane.answer()
    lane.elapse(lane.now + 399 * DAY)
    lane.play("A08 08:10 now=2027-03-31T08:00:00+02:00")
    lane.elapse(lane.now + 100 * DAY)
    assert lane.row is not None
    assert (len(lane.row.visits), lane.row.cases) == (1, {})


def test_operator_closes_it_and_nothing_is_left() -> None:
    lane = silent("A01 08:00")
    key = only_case(lane)
    assert minted_lane(key) == next(iter(lane.letters)).lane
    assert lane.decide("close-case", message_id=MessageId(key), reason="obsolete").row is None


@pytest.mark.parametrize("action", ["resend", "give-up", "send-anew"])
def test_nothing_else_can_be_decided_about_it(action: str) -> None:
    lane = silent("A01 08:00")
    with pytest.raises(Rejected, match="can only be closed"):
        lane.decide(action, message_id=MessageId(only_case(lane)))


def test_case_waits_for_operator_alone() -> None:
    lane = silent("A01 08:00")
    before = lane.row
    lane.elapse(lane.now + 1000 * DAY)
    assert lane.row == before
