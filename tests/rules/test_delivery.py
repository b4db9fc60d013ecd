"""One outgoing message: what each happening does in each state, notified by spec 02 §5.4 and §5.6."""

from datetime import datetime, timedelta
from itertools import product

import pytest
from msgspec.structs import replace

from streams.delivery.delivery import (
    Case,
    Delivery,
    advance,
    envelope_of,
    hand_over_refused,
    resend_signal,
    timer_signal,
    verdict_signal,
)
from streams.delivery.rules import FINAL, TRANSITIONS, DeliveryState, Emission, Signal
from streams.relay.lane.perform import PERFORMED
from streams.words.codes import Verdict
from tests.rules.deliveries import LIMIT, SECOND, START, World, after, attempt, signalled, stored, unsettled

P, F = Signal.PRODUCED, Signal.PRODUCE_FAILED
OK, FATAL, TRANSIENT = Signal.ACK_OK, Signal.ACK_FATAL, Signal.ACK_TRANSIENT
POS, NEG = Signal.NET_POS_CUR, Signal.NET_NEG_CUR
AGAIN, HOLD, LAST, STALE = Signal.TIMER_RESEND, Signal.TIMER_HOLD, Signal.TIMER_LAST, Signal.TIMER_STALE
RESEND, SPENT, GIVE_UP = Signal.OP_RESEND, Signal.OP_RESEND_SPENT, Signal.OP_GIVE_UP

#: One way into each state.
WAY: dict[DeliveryState, tuple[Signal, ...]] = {
    DeliveryState.CREATED: (),
    DeliveryState.SENT: (P,),
    DeliveryState.NETWORK_OK: (P, POS),
    DeliveryState.TRANSIENT: (P, TRANSIENT),
    DeliveryState.TIMED_OUT: (P, HOLD),
    DeliveryState.ACKED_OK: (P, OK),
    DeliveryState.ACKED_FATAL: (P, FATAL),
    DeliveryState.UNDELIVERABLE: (P, NEG),
    DeliveryState.GIVEN_UP: (P, LAST),
    DeliveryState.SENT_UNCONFIRMED: (Signal.PRODUCED_UNCONFIRMED,),
}
AWAITING = "SENT NETWORK_OK TRANSIENT"
PAUSES = [timedelta(seconds=seconds) for seconds in stored().address.retry_pauses_s]
SETTLED = "ACKED_OK ACKED_FATAL UNDELIVERABLE GIVEN_UP SENT_UNCONFIRMED"
ACK = "eds:msg-received-and-finalized"

#: The rows of the table in 02 §5.4: states, signal, new state ("" for unchanged), emissions.
ROWS = [
    ("CREATED", P, "SENT", "eds:msg-sent timer:set"),
    ("CREATED", F, "", "eds:msg-sent/outcome8 alert:produce"),
    ("SENT", POS, "NETWORK_OK", "log:net_pos"),
    ("NETWORK_OK TRANSIENT TIMED_OUT", POS, "", "log:net_pos_no_change"),
    (f"{AWAITING} TIMED_OUT {SETTLED}", Signal.NET_POS_OLD, "", "log:net_pos_no_change"),
    (f"{AWAITING} TIMED_OUT", NEG, "UNDELIVERABLE", "case:open terminal:UNDELIVERABLE"),
    (f"{AWAITING} TIMED_OUT {SETTLED}", Signal.NET_NEG_OLD, "", "log:net_neg_no_change"),
    (SETTLED, POS, "", "log:net_pos_no_change"),
    (SETTLED, NEG, "", "log:net_neg_no_change"),
    (f"{AWAITING} TIMED_OUT", OK, "ACKED_OK", f"{ACK} terminal:ACKED_OK"),
    (f"{AWAITING} TIMED_OUT", FATAL, "ACKED_FATAL", f"{ACK} case:open terminal:ACKED_FATAL"),
    (AWAITING, TRANSIENT, "TRANSIENT", f"{ACK} log:transient"),
    ("TIMED_OUT", TRANSIENT, "", f"{ACK} log:transient"),
    (AWAITING, AGAIN, "SENT", "resend:1 eds:msg-sent timer:set"),
    (AWAITING, HOLD, "TIMED_OUT", "alert:timeout"),
    (AWAITING, LAST, "GIVEN_UP", "case:open terminal:GIVEN_UP"),
    ("TIMED_OUT", RESEND, "SENT", "resend:1 eds:msg-sent timer:set"),
    ("TIMED_OUT", GIVE_UP, "GIVEN_UP", "case:open terminal:GIVEN_UP"),
    (f"CREATED {AWAITING} {SETTLED}", RESEND, "", "refused:op_resend"),
    (f"CREATED {AWAITING} TIMED_OUT {SETTLED}", SPENT, "", "refused:op_resend"),
    (f"CREATED {AWAITING} {SETTLED}", GIVE_UP, "", "refused:op_give_up"),
    ("ACKED_OK", OK, "", f"{ACK} log:duplicate_receipt"),
    ("ACKED_FATAL", FATAL, "", f"{ACK} log:duplicate_receipt"),
    ("ACKED_OK", FATAL, "", f"{ACK} case:conflict log:conflict"),
    ("ACKED_FATAL", OK, "", f"{ACK} case:conflict log:conflict"),
    (SETTLED, TRANSIENT, "", f"{ACK} log:transient_stale"),
    ("UNDELIVERABLE", OK, "ACKED_OK", f"{ACK} correct:-UNDELIVERABLE terminal:ACKED_OK case:close"),
    ("GIVEN_UP", OK, "ACKED_OK", f"{ACK} correct:-GIVEN_UP terminal:ACKED_OK case:close"),
    ("UNDELIVERABLE", FATAL, "ACKED_FATAL", f"{ACK} correct:-UNDELIVERABLE terminal:ACKED_FATAL"),
    ("GIVEN_UP", FATAL, "ACKED_FATAL", f"{ACK} correct:-GIVEN_UP terminal:ACKED_FATAL"),
    # 5.3: a firing of an earlier attempt, or for a final state, is ignored; for a message that waits for an operator too
    (f"CREATED {AWAITING} TIMED_OUT {SETTLED}", STALE, "", "none"),
    (f"CREATED TIMED_OUT {SETTLED}", AGAIN, "", "none"),
    (f"CREATED TIMED_OUT {SETTLED}", HOLD, "", "none"),
    (f"CREATED TIMED_OUT {SETTLED}", LAST, "", "none"),
    # 8: a legacy route without receipts
    ("CREATED", Signal.PRODUCED_UNCONFIRMED, "SENT_UNCONFIRMED", "eds:msg-sent terminal:SENT_UNCONFIRMED"),
    ("SENT_UNCONFIRMED", OK, "", f"{ACK} log:duplicate_receipt"),
    ("SENT_UNCONFIRMED", FATAL, "", f"{ACK} case:open"),
    ("SENT_UNCONFIRMED", NEG, "", "log:net_neg_no_change case:open"),
    # What cannot come about: one attempt handed over twice, or refused after it was taken.
    (f"{AWAITING} TIMED_OUT {SETTLED}", P, "", "none"),
    (f"{AWAITING} TIMED_OUT {SETTLED}", Signal.PRODUCED_UNCONFIRMED, "", "none"),
    (f"{AWAITING} TIMED_OUT {SETTLED}", F, "", "eds:msg-sent/outcome8 alert:produce"),
    ("CREATED", Signal.NET_POS_OLD, "", "log:net_pos_no_change"),
    ("CREATED", Signal.NET_NEG_OLD, "", "log:net_neg_no_change"),
    # 5.6: an answer proves the hand-over; it counts after it.
    ("CREATED", POS, "NETWORK_OK", "eds:msg-sent timer:set log:net_pos"),
    ("CREATED", NEG, "UNDELIVERABLE", "eds:msg-sent timer:set case:open terminal:UNDELIVERABLE"),
    ("CREATED", OK, "ACKED_OK", f"eds:msg-sent timer:set {ACK} terminal:ACKED_OK"),
    ("CREATED", FATAL, "ACKED_FATAL", f"eds:msg-sent timer:set {ACK} case:open terminal:ACKED_FATAL"),
    ("CREATED", TRANSIENT, "TRANSIENT", f"eds:msg-sent timer:set {ACK} log:transient"),
]
SQUARE = {
    (DeliveryState(state), signal): (DeliveryState(to or state), frozenset(words.split()))
    for states, signal, to, words in ROWS
    for state in states.split()
}


@pytest.mark.parametrize(("state", "signal"), SQUARE, ids=lambda value: str(value).replace(" ", "-"))
def test_each_pair_follows_standard(state: DeliveryState, signal: Signal) -> None:
    before = after(*WAY[state])
    assert before.state is state
    done = signalled(before, signal, START + LIMIT)
    assert (done.delivery.state, frozenset(done.words)) == SQUARE[state, signal]


def test_every_state_and_signal_is_listed() -> None:
    assert set(SQUARE) == set(product(DeliveryState, Signal))
    answered_after_hand_over = {(DeliveryState.CREATED, signal) for signal in (OK, FATAL, TRANSIENT)}
    assert set(SQUARE) - set(TRANSITIONS) == answered_after_hand_over


def test_every_emission_is_performed_or_part_of_delivery() -> None:
    in_the_delivery = {one for one in Emission if one.startswith(("timer:", "log:", "refused:"))}
    others = in_the_delivery | {Emission.CLOSE_CASE, Emission.NOTHING}
    assert PERFORMED.keys() == set(Emission) - others


def test_only_these_states_are_final() -> None:
    assert {DeliveryState(name) for name in SETTLED.split()} == FINAL
    assert {state for state in DeliveryState if after(*WAY[state]).is_final} == FINAL


# ---- attempts and their time limit ------------------------------------------------------------------------------


def test_time_limit_runs_from_hand_over() -> None:
    sent = signalled(stored(), P, START + SECOND).delivery
    assert (sent.attempt, sent.attempts[0].sent, sent.deadline) == (1, START + SECOND, START + SECOND + LIMIT)


@pytest.mark.parametrize("signal", [POS, TRANSIENT, Signal.NET_POS_OLD, F, RESEND], ids=lambda s: s.name)
def test_nothing_but_verdict_or_new_attempt_moves_time_limit(signal: Signal) -> None:
    assert signalled(after(P), signal, START + 60 * SECOND).delivery.deadline == START + LIMIT


def test_unanswered_message_is_resent_twice_and_then_given_up() -> None:
    world = World(stored())
    for what in ("produced", "deadline", "deadline", "deadline", "deadline"):
        world.happens(what)  # type: ignore[arg-type]  # all are happenings
    assert [w for w in world.words if w.startswith(("resend", "terminal"))] == [
        "resend:1",
        "resend:2",
        "terminal:GIVEN_UP",
    ]
    assert (world.delivery.attempt, world.delivery.deadline) == (3, None)
    assert world.delivery.case == Case(reason="timeout", opened=world.delivery.finished or START)


def test_each_attempt_has_own_ids_and_time() -> None:
    resent = after(P, AGAIN, AGAIN)
    assert [a.envelope_id for a in resent.attempts] == ["B1", "B2", "B3"]
    assert [a.sent for a in resent.attempts] == [START, START + SECOND, START + 2 * SECOND]


def test_resend_without_dispatch_ids_is_our_fault() -> None:
    with pytest.raises(ValueError, match="ids of its dispatch"):
        advance(after(P), AGAIN, START + LIMIT)


@pytest.mark.parametrize(
    ("sent", "mode", "max_resends", "fired", "expected"),
    [
        (1, "auto", 2, 1, AGAIN),
        (2, "auto", 2, 2, AGAIN),
        (3, "auto", 2, 3, LAST),
        (1, "manual", 2, 1, HOLD),
        (3, "manual", 2, 3, LAST),
        (1, "auto", 0, 1, LAST),
        (2, "auto", 2, 1, STALE),
        (2, "auto", 2, 3, STALE),
    ],
)
def test_what_firing_means(sent: int, mode: str, max_resends: int, fired: int, expected: Signal) -> None:
    delivery = after(P, *[AGAIN] * (sent - 1), mode=mode, max_resends=max_resends)
    assert timer_signal(delivery, fired) is expected


@pytest.mark.parametrize(("sent", "expected"), [(1, RESEND), (2, RESEND), (3, SPENT)])
def test_operator_may_resend_twice(sent: int, expected: Signal) -> None:
    assert resend_signal(after(P, *[AGAIN] * (sent - 1))) is expected


def test_time_limit_is_municipalitys() -> None:
    assert signalled(stored(ack_timeout_s=60), P, START).delivery.deadline == START + timedelta(minutes=1)


# ---- answers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdict", "signal"), [("ok", OK), ("fatal-error", FATAL), ("transient-error", TRANSIENT)], ids=lambda v: str(v)
)
def test_verdict_is_known_by_its_code_alone(verdict: Verdict, signal: Signal) -> None:
    assert verdict_signal(verdict) is signal


def test_acknowledgement_settles_message_whatever_attempt_it_answers() -> None:
    settled = signalled(after(P, AGAIN), OK, START + LIMIT).delivery
    assert (settled.state, settled.verdict, settled.verdict_at) == (DeliveryState.ACKED_OK, "ok", START + LIMIT)
    assert (settled.deadline, settled.due, settled.content) == (None, None, None)


@pytest.mark.parametrize("times", [1, 2, 5])
@pytest.mark.parametrize("verdict", [OK, FATAL], ids=["ok", "fatal"])
def test_repeated_receipt_changes_nothing_but_counter(verdict: Signal, times: int) -> None:
    settled = after(P, verdict)
    repeated = settled
    for number in range(times):
        _, repeated, words, receipt = signalled(repeated, verdict, START + LIMIT * (number + 1))
        assert (words, receipt) == ((ACK, "log:duplicate_receipt"), "repeated")
    assert unsettled(repeated) == unsettled(settled)
    assert repeated.counts.duplicate == times


@pytest.mark.parametrize(("first", "second"), [(OK, FATAL), (FATAL, OK)], ids=["ok-fatal", "fatal-ok"])
def test_never_positive_after_negative_or_negative_after_positive(first: Signal, second: Signal) -> None:
    settled = after(P, first)
    _, contradicted, _, receipt = signalled(settled, second, START + LIMIT)
    assert (contradicted.state, contradicted.verdict, receipt) == (settled.state, settled.verdict, "conflicting")
    assert (contradicted.conflict, contradicted.counts.conflict, contradicted.case) == (True, 1, settled.case)


@pytest.mark.parametrize("lost", [LAST, NEG], ids=["given-up", "undeliverable"])
@pytest.mark.parametrize(("verdict", "closed"), [(OK, True), (FATAL, False)], ids=["ok", "fatal"])
def test_late_verdict_corrects_books_and_is_called_late(lost: Signal, verdict: Signal, closed: bool) -> None:
    _, late, words, receipt = signalled(after(P, lost), verdict, START + LIMIT)
    assert (late.late, receipt) == (True, "first")
    assert {w.partition(":")[0] for w in words} >= {"correct", "terminal"}
    assert late.case is not None
    assert (late.case.closed, late.case.closing) == ((START + LIMIT, "late-ok") if closed else (None, ""))


def test_transient_error_may_be_followed_by_ok() -> None:
    settled = signalled(after(P, TRANSIENT), OK).delivery
    assert (settled.state, settled.counts.transient, settled.late) == (DeliveryState.ACKED_OK, 1, False)


def test_receipt_may_precede_booked_hand_over() -> None:
    _, settled, words, receipt = signalled(stored(), OK, START + SECOND)
    assert (settled.state, settled.attempt, settled.attempts[0].sent, receipt) == (
        DeliveryState.ACKED_OK,
        1,
        START + SECOND,
        "first",
    )
    assert words.index("eds:msg-sent") < words.index(ACK)


# ---- the network ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("quoted", "place"), [("E1", "old"), ("E2", "cur"), ("E3", None), ("B2", None)])
def test_envelope_is_found_by_its_id(quoted: str, place: str | None) -> None:
    assert envelope_of(after(P, AGAIN), quoted) == place


def test_network_never_settles_message_for_good() -> None:
    assert signalled(after(P), POS).delivery.state is DeliveryState.NETWORK_OK
    assert signalled(after(P), POS).delivery.attempts[-1].network == "positive"


def test_network_cannot_take_back_verdict() -> None:
    settled = after(P, OK)
    assert unsettled(signalled(settled, NEG).delivery) == unsettled(settled)


def test_every_network_receipt_is_counted_also_without_effect() -> None:
    counts = after(P, POS, POS, AGAIN, Signal.NET_POS_OLD, Signal.NET_NEG_OLD, OK, NEG).counts
    assert (counts.net_pos, counts.net_neg) == (3, 2)


@pytest.mark.parametrize(
    ("signal", "word"),
    [
        (POS, "eds:envelope-receipt/msg-received-and-finalized"),
        (NEG, "eds:envelope-receipt/msg-received-and-finalized"),
        (OK, "eds:envelope-receipt/msg-created-and-sent"),
        (TRANSIENT, "eds:envelope-receipt/msg-created-and-sent"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_sbdh_envelope_receipts_are_own_messages(signal: Signal, word: str) -> None:
    assert word in signalled(after(P, envelope="sbdh"), signal).words
    assert word not in signalled(after(P, envelope="vans"), signal).words


# ---- hand-overs that fail (00 §3.3) -----------------------------------------------------------------------------


def pause(delivery: Delivery, since: datetime) -> timedelta | None:
    return None if delivery.due is None else delivery.due - since


def test_unsendable_message_is_retried_ever_more_seldom() -> None:
    delivery, pauses = stored(), []
    for _ in range(len(PAUSES) + 2):
        delivery = signalled(delivery, F).delivery
        pauses.append(pause(delivery, START))
    assert pauses == [*PAUSES, PAUSES[-1], PAUSES[-1]]
    assert sorted(PAUSES) == list(PAUSES)
    assert (delivery.state, delivery.attempt, delivery.attempts) == (DeliveryState.CREATED, 0, (attempt(1),))


def test_trying_again_assumes_success_until_refusal() -> None:
    delivery, pauses = stored(), []
    for _ in PAUSES:
        delivery = hand_over_refused(signalled(delivery, P).delivery, START).now
        pauses.append(pause(delivery, START))
    assert (pauses, delivery.refusals) == ([*PAUSES], len(PAUSES))
    handed = signalled(delivery, P, START + LIMIT).delivery
    assert (handed.state, handed.retry, handed.deadline) == (DeliveryState.SENT, None, START + LIMIT + LIMIT)


def test_refusals_are_counted_per_dispatch() -> None:
    resent = signalled(signalled(hand_over_refused(after(P), START).now, P).delivery, AGAIN).delivery
    back = hand_over_refused(resent, START).now
    assert (back.refusals, pause(back, START)) == (1, PAUSES[0])
    again = hand_over_refused(signalled(back, AGAIN).delivery, START).now
    assert (again.refusals, pause(again, START)) == (2, PAUSES[1])


def test_first_hand_over_that_broker_refused_was_none() -> None:
    back = hand_over_refused(after(P), START).now
    assert (back.state, back.attempt, back.deadline, pause(back, START)) == (DeliveryState.CREATED, 0, None, PAUSES[0])
    assert back.attempts == (attempt(1),)


@pytest.mark.parametrize(
    ("way", "state"),
    [
        ((P, AGAIN), DeliveryState.SENT),
        ((P, POS, AGAIN), DeliveryState.NETWORK_OK),
        ((P, TRANSIENT, AGAIN), DeliveryState.TRANSIENT),
    ],
    ids=["sent", "network-ok", "transient"],
)
def test_resend_that_broker_refused_was_none(way: tuple[Signal, ...], state: DeliveryState) -> None:
    back = hand_over_refused(after(*way), START).now
    assert (back.state, back.attempt, pause(back, START)) == (state, 1, PAUSES[0])


def test_answer_is_stronger_than_our_own_failed_hand_over() -> None:
    settled = after(P, OK)
    assert hand_over_refused(settled, START) == (settled, settled, (), None)


def test_no_delivery_without_attempt_can_be_refused() -> None:
    empty = replace(stored(), attempts=())
    assert hand_over_refused(empty, START) == (empty, empty, (), None)
