"""A municipality is paused: its messages are kept and no deadline begins; at the resume they leave in order (00 §3.6)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from streams.delivery.rules import DeliveryState
from streams.relay.lane.row import KEPT
from streams.words.ids import Kommunekode
from streams.words.model import RecipientControl
from tests.rules.lanes import Lane, Otherwise, context
from tests.rules.stay_events import AARHUS, DAY_ONE, ODENSE, clock

S = DeliveryState


class Decided:
    """What stands for Odense, changed as a test goes."""

    def __init__(self, *, paused: bool = False, mode: Any = "") -> None:
        self.paused, self.mode = paused, mode

    def __call__(self, kommunekode: Kommunekode) -> RecipientControl | None:
        if kommunekode != ODENSE:
            return None
        since = DAY_ONE if self.paused else None
        return RecipientControl(
            kommunekode=ODENSE, action="pause", at=DAY_ONE, actor="a", reason="r", paused_since=since, mode=self.mode
        )


def lane_of(controls: Callable[[Kommunekode], RecipientControl | None], registers: Any = None) -> Lane:
    return Lane(context(registers, controls=controls))


def test_messages_are_kept_and_leave_in_order_at_resume() -> None:
    decided = Decided(paused=True)
    lane = lane_of(decided).play("A01 08:00", "A21 10:00", "A22 16:00", "A03 18:00")
    assert lane.letters == []
    assert lane.states == [S.CREATED] * 4
    lane.elapse(clock("2/09:00"), limit=2000)
    assert lane.states == [S.CREATED] * 4
    decided.paused = False
    lane.elapse(clock("2/09:00") + KEPT)
    assert lane.notices == ["STIN", "STOR", "SLOR", "SLHJ"]
    assert lane.states == [S.SENT] * 4
    wait = timedelta(minutes=30)
    assert all(d.deadline is not None and d.deadline >= clock("2/09:00") + wait for d in lane.row.deliveries.values())  # type: ignore[union-attr]


def test_new_message_after_resume_does_not_overtake() -> None:
    decided = Decided(paused=True)
    lane = lane_of(decided).play("A01 08:00")
    decided.paused = False
    lane.play("A03 08:00 now=08:01")
    assert lane.notices == ["STIN", "SLHJ"]


def test_nothing_is_resent_while_paused() -> None:
    decided = Decided()
    lane = lane_of(decided).play("A01 08:00")
    decided.paused = True
    lane.elapse(clock("14:00"), limit=2000)
    assert (lane.notices, lane.states) == (["STIN"], [S.SENT])
    decided.paused = False
    lane.elapse(clock("14:00") + KEPT)
    assert lane.notices == ["STIN", "STIN"]


def test_receipt_of_before_the_pause_counts() -> None:
    decided = Decided()
    lane = lane_of(decided).play("A01 08:00")
    decided.paused = True
    lane.answer()
    assert lane.states == [S.ACKED_OK]


def test_other_municipality_is_not_paused() -> None:
    lane = lane_of(Decided(paused=True)).play("A01 08:00", residence=AARHUS)
    assert lane.notices == ["STIN"]


@pytest.mark.parametrize(
    ("registers", "mode", "state"),
    [("auto", "", S.SENT), ("auto", "manual", S.TIMED_OUT), ("manual", "", S.TIMED_OUT), ("manual", "auto", S.SENT)],
)
def test_mode_of_an_operator_goes_before_that_of_registers(registers: str, mode: str, state: DeliveryState) -> None:
    lane = lane_of(Decided(mode=mode), Otherwise(mode=registers)).play("A01 08:00")
    lane.overdue()
    assert lane.states == [state]
    assert len(lane.letters) == (2 if state is S.SENT else 1)


def test_row_that_is_kept_is_whole_and_folded_again_the_same() -> None:
    """A pause that ends between two lives of a worker sends the message once, with the ids it had."""
    decided = Decided(paused=True)
    kept = lane_of(decided).play("A01 08:00")
    sent = lane_of(Decided()).play("A01 08:00")
    assert kept.last.attempts[0].envelope_id == sent.last.attempts[0].envelope_id
    decided.paused = False
    kept.elapse(clock("08:01") + 2 * KEPT)
    assert [one.message_id for one in kept.letters] == [one.message_id for one in sent.letters]
