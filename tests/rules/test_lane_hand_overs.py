"""Hand-overs that the broker refuses, and what operators may decide (00 §3.3; 02 §§5.4, 5.8)."""

from datetime import timedelta

import pytest

from streams.delivery.rules import DeliveryState
from streams.records.trace import audit_event
from streams.words.errors import Rejected
from streams.words.model import Receipt, ReceiptArrived, Wake
from tests.rules.lanes import Lane, opened
from tests.rules.stay_events import clock
from tests.rules.test_lane_answers import LIMIT, admitted, silent, states

GLN = admitted().last.address.receiver.gln

# ---- hand-overs that fail ---------------------------------------------------------------------------------------


def test_refused_hand_over_is_outcome_8_and_stays_created() -> None:
    lane = admitted()
    lane.refuse()
    assert (lane.states, states(lane)) == ([DeliveryState.CREATED], ["CREATED"])
    assert [(s.subtype, s.outcome) for s in lane.steps] == [("msg-created", "0"), ("msg-sent", "8")]
    assert lane.last.due == lane.now + timedelta(seconds=5)


def test_retry_keeps_ids_until_taken() -> None:
    lane = admitted()
    first = lane.letters[0]
    lane.refuse()
    lane.elapse(lane.now + timedelta(seconds=5))
    lane.refuse()
    lane.elapse(lane.now + timedelta(seconds=15))
    assert [(x.message_id, x.transport_id) for x in lane.letters] == [(first.message_id, first.transport_id)] * 3
    assert opened(lane.letters[-1]) == opened(first)
    assert (lane.states, states(lane)) == ([DeliveryState.SENT], ["CREATED", "SENT"])
    assert [row.ordinal for row in lane.rows if row.kind == "message"] == [0, 1]
    assert lane.last.deadline == lane.now + LIMIT


def test_failures_and_success_after_them_are_different_events() -> None:
    lane = admitted()
    lane.refuse()
    lane.elapse(lane.now + timedelta(seconds=5))
    lane.refuse()
    lane.elapse(lane.now + timedelta(seconds=15))
    assert [step.outcome for step in lane.steps] == ["0", "8", "8", "0"]
    assert len({audit_event(step)["id"] for step in lane.steps}) == 4


def test_refused_resend_is_retried_uncounted() -> None:
    lane = admitted()
    lane.overdue()
    second = lane.letters[-1]
    lane.refuse()
    assert (lane.last.state, lane.last.attempt) == (DeliveryState.SENT, 1)
    lane.elapse(lane.now + timedelta(seconds=5))
    assert (lane.letters[-1].transport_id, lane.last.attempt) == (second.transport_id, 2)
    assert [row.ordinal for row in lane.rows if row.kind == "message"] == [0, 1, 2]


def test_refused_operator_resend_is_retried() -> None:
    lane = admitted(mode="manual").elapse(clock("09:00"))
    lane.decide("resend")
    lane.refuse()
    lane.elapse(lane.now + timedelta(seconds=5))
    assert (lane.states, lane.last.attempt, len(lane.letters)) == ([DeliveryState.SENT], 2, 3)


def test_answer_proves_hand_over_happened() -> None:
    lane = admitted()
    lane.refuse()
    lane.answer()
    assert (lane.states, lane.last.retry, states(lane)) == (
        [DeliveryState.ACKED_OK],
        None,
        ["CREATED", "SENT", "ACKED_OK"],
    )
    assert [(s.subtype, s.outcome) for s in lane.steps[-2:]] == [("msg-sent", "0"), ("msg-received-and-finalized", "0")]
    assert silent(lane.take(Wake(at=lane.now + LIMIT, due=lane.now + LIMIT)), lane)


def test_refusal_that_comes_after_answer_changes_nothing() -> None:
    lane = admitted()
    letter = lane.letters[0].message_id
    lane.answer()
    row = lane.row
    assert lane.refuse(letter).row == row


def test_refused_hand_over_state_matches_ledger() -> None:
    lane = admitted(mode="manual").elapse(clock("09:00"))
    lane.decide("resend")
    lane.refuse()
    assert (lane.states, states(lane)[-1]) == ([DeliveryState.TIMED_OUT], "TIMED_OUT")
    lane = admitted()
    lane.answer("transient-error")
    lane.overdue()
    lane.overdue()
    lane.refuse()
    assert (lane.states, states(lane)[-1]) == ([DeliveryState.SENT], "SENT"), (
        "the temporary fault was that of the first dispatch"
    )


def test_operator_may_give_up_refused_resend() -> None:
    lane = admitted(mode="manual").elapse(clock("09:00"))
    lane.decide("resend")
    lane.refuse()
    lane.decide("give-up")
    assert (lane.states, states(lane)[-1], lane.last.due) == ([DeliveryState.GIVEN_UP], "GIVEN_UP", None)


def test_waiting_answer_is_taken_before_retry() -> None:
    known = admitted().last.message_id
    lane = Lane()
    receipt = Receipt(verdict="ok", message_id=known, transport_sender=GLN, origin="receipts.raw/0/1")
    lane.take(ReceiptArrived(at=clock("07:56") + timedelta(seconds=5), receipt=receipt))
    lane.play("A01 08:00")
    lane.refuse()
    before = len(lane.letters)
    lane.wake(lane.now + timedelta(seconds=5))
    assert (len(lane.letters), lane.states) == (before, [DeliveryState.ACKED_OK])
    assert states(lane) == ["CREATED", "SENT", "ACKED_OK"]


# ---- operators --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["resend", "give-up", "close-case", "send-anew"])
def test_decision_about_unknown_message_is_refused(action: str) -> None:
    with pytest.raises(Rejected) as refused:
        admitted().decide(action, message_id="unknown")
    assert refused.value.rule == "unknown"


def test_operator_gives_up_only_after_time() -> None:
    lane = admitted()
    with pytest.raises(Rejected) as refused:
        lane.decide("give-up")
    assert refused.value.rule == "not-allowed"
    lane = admitted(mode="manual").elapse(clock("09:00"))
    lane.decide("give-up")
    assert (lane.states, states(lane)[-1]) == ([DeliveryState.GIVEN_UP], "GIVEN_UP")
    assert lane.last.case is not None
    assert lane.last.case.reason == "given-up-by-operator"


@pytest.mark.parametrize("verdict", [None, "ok", "fatal-error"], ids=["under-way", "ok", "fatal"])
def test_what_is_not_timed_out_is_not_resent(verdict: str | None) -> None:
    lane = admitted()
    if verdict is not None:
        lane.answer(verdict)  # type: ignore[arg-type]  # a verdict
    with pytest.raises(Rejected) as refused:
        lane.decide("resend")
    assert refused.value.rule == "not-allowed"


def test_case_is_closed_once_and_with_reason() -> None:
    lane = admitted()
    lane.answer("fatal-error")
    lane.decide("close-case", reason="delivered-otherwise")
    assert lane.last.case is not None
    assert (lane.last.case.closing, lane.states) == ("delivered-otherwise", [DeliveryState.ACKED_FATAL])
    with pytest.raises(Rejected) as refused:
        lane.decide("close-case")
    assert refused.value.rule == "no-case"
