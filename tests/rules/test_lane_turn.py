"""No message of a stay overtakes one that the broker refuses: whatever is sent next, those that wait go first."""

from datetime import timedelta

from streams.relay.lane import Dispatch, refused
from tests.rules.lanes import Lane


def turned_away(lane: Lane, times: int = 1) -> None:
    """The broker refuses the newest message, so often in a row."""
    for _ in range(times):
        assert lane.row is not None
        result = refused(lane.row, lane.last.message_id, lane.now, lane.context)
        lane.row = result.row
        if lane.last.retry and _ < times - 1:
            lane.wake(lane.last.retry)


def letters(result: object) -> list[str]:
    return [one.action.label for one in result.effects if isinstance(one.action, Dispatch)]  # type: ignore[attr-defined]


def test_discharge_lets_admission_that_waits_go_first() -> None:
    lane = Lane().play("A01 08:00")
    turned_away(lane, times=4)
    lane.play("A03 18:00")
    assert letters(lane.results[-1]) == ["STIN", "SLHJ"]


def test_wake_for_newer_of_two_lets_older_go_first() -> None:
    lane = Lane().play("A01 08:00")
    turned_away(lane, times=4)
    lane.play("A03 08:01")
    for message in list(lane.row.deliveries):  # type: ignore[union-attr]
        lane.row = refused(lane.row, message, lane.now, lane.context).row  # type: ignore[arg-type]
    due = min(one.retry for one in lane.row.deliveries.values() if one.retry)  # type: ignore[union-attr]
    assert letters(lane.wake(due)) == ["STIN", "SLHJ"]


def test_pending_messages_wait_for_their_pause() -> None:
    lane = Lane().play("A01 08:00")
    turned_away(lane)
    assert letters(lane.wake(lane.now + timedelta(seconds=1))) == []
