"""What someone should look at when a lane has changed (02 §5.4)."""

from collections.abc import Callable
from typing import Any

import pytest

from streams.delivery.delivery import Delivery
from streams.formats.fhir.build import to_json
from streams.relay.lane import Alarm
from streams.relay.lane.post import second_opinion
from tests.rules.lanes import Lane, Otherwise, context, opened


def admitted(**more: Any) -> Lane:
    return Lane(context(Otherwise(**more)) if more else context()).play("A01 08:00")


def given_up() -> Lane:
    lane = admitted()
    for _ in range(3):
        lane.overdue()
    return lane


def answered(*verdicts: Any) -> Callable[[], Lane]:
    def lane() -> Lane:
        made = admitted()
        for verdict in verdicts:
            made.answer(verdict)
        return made

    return lane


def held_for_a_person() -> Lane:
    lane = admitted(mode="manual")
    lane.overdue()
    return lane


def undeliverable() -> Lane:
    lane = admitted()
    lane.network(positive=False)
    return lane


def refused_twice() -> Lane:
    lane = admitted()
    lane.refuse()
    lane.wake(lane.last.due or lane.now)
    lane.refuse()
    return lane


@pytest.mark.parametrize(
    ("lane", "words"),
    [
        pytest.param(answered("ok"), [], id="answered well"),
        pytest.param(answered("ok", "ok"), [], id="answered twice"),
        pytest.param(answered("transient-error"), [], id="a passing trouble"),
        pytest.param(held_for_a_person, ["alert:timeout"], id="timed out where a person resends"),
        pytest.param(given_up, ["case:open"], id="given up"),
        pytest.param(answered("fatal-error"), ["case:open"], id="answered fatal-error"),
        pytest.param(undeliverable, ["case:open"], id="undeliverable"),
        pytest.param(answered("ok", "fatal-error"), ["case:conflict"], id="ok, then fatal-error"),
        pytest.param(answered("fatal-error", "ok"), ["case:open", "case:conflict"], id="fatal-error, then ok"),
        pytest.param(refused_twice, ["alert:produce", "alert:produce"], id="the broker would not have it, twice"),
    ],
)
def test_each_alert_and_case_of_standard_is_heard_once(lane: Callable[[], Lane], words: list[str]) -> None:
    made = lane()
    found = made.alarms
    assert [alarm.word for alarm in found] == words
    assert {alarm.message_id for alarm in found} <= {made.last.message_id}


def test_alarm_names_message_municipality_state_and_reason() -> None:
    lane = given_up()
    (alarm,) = lane.alarms
    kommunekode = lane.last.address.kommunekode
    assert alarm == Alarm("case:open", lane.last.message_id, kommunekode, "GIVEN_UP", "timeout", attempt=3)


class TestTheSecondOpinion:
    """A sample of new messages is shown to the public FHIR models."""

    def test_finds_nothing_in_what_we_send(self) -> None:
        lane = Lane(context(sample=1)).play("A01 08:00", "A21 10:00", "A22 12:00", "A03 18:00")
        assert lane.alarms == []

    def test_names_place_and_rule_of_what_it_would_refuse(self) -> None:
        (alarm,) = second_opinion(*self.spoilt(), 1)
        assert (alarm.word, alarm.reason) == ("alert:border-check", "fhir-r4")
        assert alarm.path.startswith("Bundle")

    def test_looks_at_sample_only(self) -> None:
        delivery, content = self.spoilt()
        number = int(delivery.message_id[-8:], 16)
        taken = [n for n in range(1, 40) if list(second_opinion(delivery, content, n))]
        assert taken == [n for n in range(1, 40) if number % n == 0]
        assert not list(second_opinion(delivery, content, 0))

    @staticmethod
    def spoilt() -> tuple[Delivery, bytes]:
        """A message that is no FHIR."""
        lane = admitted()
        return lane.last, to_json(opened(lane.letters[-1]) | {"type": ["message"]})
