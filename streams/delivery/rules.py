"""The table of spec 02 §5.4: every state of a message, everything that can happen, and what follows.

A pair that the standard does not foresee is a row that logs or refuses: `TRANSITIONS` covers the whole square. The
words in a row (`emits`) are the vocabulary of 02 §5.4. What a delivery is, and how a row is carried out: `delivery`.
"""

from enum import StrEnum
from typing import Final, Literal, NamedTuple

__all__ = [
    "FINAL",
    "PROVES_HAND_OVER",
    "RENEWABLE",
    "TRANSITIONS",
    "DeliveryState",
    "ReceiptClass",
    "Signal",
    "Transition",
]


class DeliveryState(StrEnum):
    """The states of spec 02 §5.2."""

    CREATED = "CREATED"
    SENT = "SENT"
    NETWORK_OK = "NETWORK_OK"
    TRANSIENT = "TRANSIENT"
    TIMED_OUT = "TIMED_OUT"
    ACKED_OK = "ACKED_OK"
    ACKED_FATAL = "ACKED_FATAL"
    UNDELIVERABLE = "UNDELIVERABLE"
    GIVEN_UP = "GIVEN_UP"
    SENT_UNCONFIRMED = "SENT_UNCONFIRMED"


FINAL: Final = frozenset(
    {
        DeliveryState.ACKED_OK,
        DeliveryState.ACKED_FATAL,
        DeliveryState.UNDELIVERABLE,
        DeliveryState.GIVEN_UP,
        DeliveryState.SENT_UNCONFIRMED,
    }
)

#: 00 §3.5: no municipality has such a message, and it is never resent; an operator may have it reissued.
RENEWABLE: Final = frozenset({DeliveryState.GIVEN_UP, DeliveryState.UNDELIVERABLE, DeliveryState.ACKED_FATAL})


class Signal(StrEnum):
    """What can happen, with the guards of 5.4 already judged (`timer_signal`, `resend_signal`, `envelope_of`)."""

    PRODUCED = "produced"
    PRODUCED_UNCONFIRMED = "produced, no receipt expected"
    PRODUCE_FAILED = "produce failed"
    NET_POS_CUR = "network + cur"
    NET_POS_OLD = "network + old"
    NET_NEG_CUR = "network - cur"
    NET_NEG_OLD = "network - old"
    ACK_OK = "ack ok"
    ACK_FATAL = "ack fatal"
    ACK_TRANSIENT = "ack transient"
    TIMER_RESEND = "timer, n <= max_resends, auto"
    TIMER_HOLD = "timer, n <= max_resends, manual"
    TIMER_LAST = "timer, n > max_resends"
    TIMER_STALE = "timer of an earlier attempt"
    OP_RESEND = "operator resend, n <= max_resends"
    OP_RESEND_SPENT = "operator resend, n > max_resends"
    OP_GIVE_UP = "operator gives up"


#: How a FHIR acknowledgement is counted (spec 03, law L4; 00 §5).
ReceiptClass = Literal["first", "repeated", "conflicting", "transient", "stale"]


class Transition(NamedTuple):
    """What a pair of state and signal leads to. `emits` in the words of 02 §5.4; `receipt` classes an acknowledgement."""

    to: DeliveryState
    emits: tuple[str, ...] = ()
    receipt: ReceiptClass | None = None


S = DeliveryState
_ACK: Final = "eds:msg-received-and-finalized"  # every physically received acknowledgement (5.4, last paragraph)
_AWAITING: Final = (S.SENT, S.NETWORK_OK, S.TRANSIENT)
_OPEN: Final = (*_AWAITING, S.TIMED_OUT)
_CORRECTABLE: Final = (S.UNDELIVERABLE, S.GIVEN_UP)
_RESENDS: Final = ("resend", "eds:msg-sent", "timer:set")


def _transitions() -> dict[tuple[DeliveryState, Signal], Transition]:
    """The table of 02 §5.4, row by row, then the pairs it leaves to `any other`."""
    table: dict[tuple[DeliveryState, Signal], Transition] = {
        (S.CREATED, Signal.PRODUCED): Transition(S.SENT, ("eds:msg-sent", "timer:set")),
        (S.CREATED, Signal.PRODUCED_UNCONFIRMED): Transition(
            S.SENT_UNCONFIRMED, ("eds:msg-sent", "terminal:SENT_UNCONFIRMED")
        ),
        (S.CREATED, Signal.PRODUCE_FAILED): Transition(S.CREATED, ("eds:msg-sent/outcome8", "alert:produce")),
        (S.SENT, Signal.NET_POS_CUR): Transition(S.NETWORK_OK, ("log:net_pos",)),
        (S.TIMED_OUT, Signal.OP_RESEND): Transition(S.SENT, _RESENDS),
        (S.TIMED_OUT, Signal.OP_GIVE_UP): Transition(S.GIVEN_UP, ("case:open", "terminal:GIVEN_UP")),
        (S.TIMED_OUT, Signal.ACK_TRANSIENT): Transition(S.TIMED_OUT, (_ACK, "log:transient"), "transient"),
        (S.ACKED_OK, Signal.ACK_OK): Transition(S.ACKED_OK, (_ACK, "log:duplicate_receipt"), "repeated"),
        (S.ACKED_FATAL, Signal.ACK_FATAL): Transition(S.ACKED_FATAL, (_ACK, "log:duplicate_receipt"), "repeated"),
        (S.ACKED_OK, Signal.ACK_FATAL): Transition(S.ACKED_OK, (_ACK, "case:conflict", "log:conflict"), "conflicting"),
        (S.ACKED_FATAL, Signal.ACK_OK): Transition(
            S.ACKED_FATAL, (_ACK, "case:conflict", "log:conflict"), "conflicting"
        ),
    }
    for state in _AWAITING:
        table[state, Signal.ACK_TRANSIENT] = Transition(S.TRANSIENT, (_ACK, "log:transient"), "transient")
        table[state, Signal.TIMER_RESEND] = Transition(S.SENT, _RESENDS)
        table[state, Signal.TIMER_HOLD] = Transition(S.TIMED_OUT, ("alert:timeout",))
        table[state, Signal.TIMER_LAST] = Transition(S.GIVEN_UP, ("case:open", "terminal:GIVEN_UP"))
    for state in _OPEN:
        table[state, Signal.NET_NEG_CUR] = Transition(S.UNDELIVERABLE, ("case:open", "terminal:UNDELIVERABLE"))
        table[state, Signal.ACK_OK] = Transition(S.ACKED_OK, (_ACK, "terminal:ACKED_OK"), "first")
        table[state, Signal.ACK_FATAL] = Transition(S.ACKED_FATAL, (_ACK, "case:open", "terminal:ACKED_FATAL"), "first")
    for state in _CORRECTABLE:
        pair = (_ACK, f"correct:-{state}")
        table[state, Signal.ACK_OK] = Transition(S.ACKED_OK, (*pair, "terminal:ACKED_OK", "case:close"), "first")
        table[state, Signal.ACK_FATAL] = Transition(S.ACKED_FATAL, (*pair, "terminal:ACKED_FATAL"), "first")
    for state in FINAL:
        table[state, Signal.ACK_TRANSIENT] = Transition(state, (_ACK, "log:transient_stale"), "stale")
    for signal in (Signal.ACK_OK, Signal.ACK_FATAL):  # legacy without receipts: one that comes is counted, no more
        table[S.SENT_UNCONFIRMED, signal] = Transition(S.SENT_UNCONFIRMED, (_ACK, "log:duplicate_receipt"), "stale")
    for state in DeliveryState:
        for signal, emits in _ANY_OTHER.items():
            table.setdefault((state, signal), Transition(state, emits))
    return table


#: `any`, `final` and `any other` of 5.4, and the pairs that cannot come about (a second hand-over of one attempt).
#: An acknowledgement in CREATED proves the hand-over and is taken after it (`advance`), so it has no row of its own.
_ANY_OTHER: Final[dict[Signal, tuple[str, ...]]] = {
    Signal.PRODUCED: ("none",),
    Signal.PRODUCED_UNCONFIRMED: ("none",),
    Signal.PRODUCE_FAILED: ("eds:msg-sent/outcome8", "alert:produce"),
    Signal.NET_POS_CUR: ("log:net_pos_no_change",),
    Signal.NET_POS_OLD: ("log:net_pos_no_change",),
    Signal.NET_NEG_CUR: ("log:net_neg_no_change",),
    Signal.NET_NEG_OLD: ("log:net_neg_no_change",),
    Signal.TIMER_RESEND: ("none",),
    Signal.TIMER_HOLD: ("none",),
    Signal.TIMER_LAST: ("none",),
    Signal.TIMER_STALE: ("none",),
    Signal.OP_RESEND: ("refused:op_resend",),
    Signal.OP_RESEND_SPENT: ("refused:op_resend",),
    Signal.OP_GIVE_UP: ("refused:op_give_up",),
}

#: Signals that prove that the message has left, whatever became of our own hand-over (02 §5.6: receipt before `produced`).
PROVES_HAND_OVER: Final = frozenset(
    {Signal.ACK_OK, Signal.ACK_FATAL, Signal.ACK_TRANSIENT, Signal.NET_POS_CUR, Signal.NET_NEG_CUR}
)

TRANSITIONS: Final = _transitions()
