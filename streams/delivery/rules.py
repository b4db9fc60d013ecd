"""The table of spec 02 §5.4: every state of a message, everything that can happen, and what follows.

A pair that the standard does not foresee is a row that logs or refuses: `TRANSITIONS` covers the whole square. What a
row emits are members of `Emission`, whose values are the words of 02 §5.4. What a delivery is, and what becomes of it by
a row: `delivery`. What its emissions lead to: `relay/lane/perform.py`.
"""

from enum import StrEnum
from typing import Final, Literal, NamedTuple


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


class Emission(StrEnum):
    """What follows from a signal: the column `Emitted` of 02 §5.4. A value is its word there, completed by `advance`.

    `ENTER` has no word: the standard names in the ledger only the states that are final.
    """

    MSG_SENT = "eds:msg-sent"
    MSG_NOT_SENT = "eds:msg-sent/outcome8"
    ACKNOWLEDGED = "eds:msg-received-and-finalized"  # every physically received acknowledgement (5.4, last paragraph)
    ENVELOPE_ANSWERED = "eds:envelope-receipt/msg-received-and-finalized"
    ANSWER_ENVELOPE = "eds:envelope-receipt/msg-created-and-sent"
    SET_TIMER = "timer:set"
    RESEND = "resend:{attempt}"
    ENTER = ""
    SETTLE = "terminal:{to}"
    TAKE_BACK = "correct:-{was}"
    OPEN_CASE = "case:open"
    CLOSE_CASE = "case:close"
    CONFLICT_CASE = "case:conflict"
    ALERT_TIMEOUT = "alert:timeout"
    ALERT_PRODUCE = "alert:produce"
    LOG_POSITIVE = "log:net_pos"
    LOG_POSITIVE_UNCHANGED = "log:net_pos_no_change"
    LOG_NEGATIVE_UNCHANGED = "log:net_neg_no_change"
    LOG_TRANSIENT = "log:transient"
    LOG_STALE = "log:transient_stale"
    LOG_DUPLICATE = "log:duplicate_receipt"
    LOG_CONFLICT = "log:conflict"
    REFUSE_RESEND = "refused:op_resend"
    REFUSE_GIVE_UP = "refused:op_give_up"
    NOTHING = "none"


#: How a FHIR acknowledgement is counted (spec 03, law L4; 00 §5).
ReceiptClass = Literal["first", "repeated", "conflicting", "transient", "stale"]


class Transition(NamedTuple):
    """What a pair of state and signal leads to. What is emitted is performed in this order; `receipt` classes an answer."""

    to: DeliveryState
    emits: tuple[Emission, ...] = ()
    receipt: ReceiptClass | None = None


S, E = DeliveryState, Emission
_AWAITING: Final = (S.SENT, S.NETWORK_OK, S.TRANSIENT)
_OPEN: Final = (*_AWAITING, S.TIMED_OUT)
_CORRECTABLE: Final = (S.UNDELIVERABLE, S.GIVEN_UP)
_RESENDS: Final = (E.RESEND, E.ENTER, E.MSG_SENT, E.SET_TIMER)
_NOT_SENT: Final = (E.MSG_NOT_SENT, E.ALERT_PRODUCE)
_SETTLES_AS_CASE: Final = (E.SETTLE, E.OPEN_CASE)
_TRANSIENT: Final = (E.ACKNOWLEDGED, E.LOG_TRANSIENT)
_DUPLICATE: Final = (E.ACKNOWLEDGED, E.LOG_DUPLICATE)
_CONFLICT: Final = (E.ACKNOWLEDGED, E.CONFLICT_CASE, E.LOG_CONFLICT)


def _transitions() -> dict[tuple[DeliveryState, Signal], Transition]:
    """The table of 02 §5.4, row by row, then the pairs it leaves to `any other`."""
    table: dict[tuple[DeliveryState, Signal], Transition] = {
        (S.CREATED, Signal.PRODUCED): Transition(S.SENT, (E.ENTER, E.MSG_SENT, E.SET_TIMER)),
        (S.CREATED, Signal.PRODUCED_UNCONFIRMED): Transition(S.SENT_UNCONFIRMED, (E.SETTLE, E.MSG_SENT)),
        (S.CREATED, Signal.PRODUCE_FAILED): Transition(S.CREATED, _NOT_SENT),
        (S.SENT, Signal.NET_POS_CUR): Transition(S.NETWORK_OK, (E.ENTER, E.LOG_POSITIVE)),
        (S.TIMED_OUT, Signal.OP_RESEND): Transition(S.SENT, _RESENDS),
        (S.TIMED_OUT, Signal.OP_GIVE_UP): Transition(S.GIVEN_UP, _SETTLES_AS_CASE),
        (S.TIMED_OUT, Signal.ACK_TRANSIENT): Transition(S.TIMED_OUT, _TRANSIENT, "transient"),
        (S.ACKED_OK, Signal.ACK_OK): Transition(S.ACKED_OK, _DUPLICATE, "repeated"),
        (S.ACKED_FATAL, Signal.ACK_FATAL): Transition(S.ACKED_FATAL, _DUPLICATE, "repeated"),
        (S.ACKED_OK, Signal.ACK_FATAL): Transition(S.ACKED_OK, _CONFLICT, "conflicting"),
        (S.ACKED_FATAL, Signal.ACK_OK): Transition(S.ACKED_FATAL, _CONFLICT, "conflicting"),
    }
    for state in _AWAITING:
        entered = () if state is S.TRANSIENT else (E.ENTER,)
        table[state, Signal.ACK_TRANSIENT] = Transition(S.TRANSIENT, (*entered, *_TRANSIENT), "transient")
        table[state, Signal.TIMER_RESEND] = Transition(S.SENT, _RESENDS)
        table[state, Signal.TIMER_HOLD] = Transition(S.TIMED_OUT, (E.ENTER, E.ALERT_TIMEOUT))
        table[state, Signal.TIMER_LAST] = Transition(S.GIVEN_UP, _SETTLES_AS_CASE)
    for state in _OPEN:
        table[state, Signal.NET_NEG_CUR] = Transition(S.UNDELIVERABLE, _SETTLES_AS_CASE)
        table[state, Signal.ACK_OK] = Transition(S.ACKED_OK, (E.SETTLE, E.ACKNOWLEDGED), "first")
        table[state, Signal.ACK_FATAL] = Transition(S.ACKED_FATAL, (*_SETTLES_AS_CASE, E.ACKNOWLEDGED), "first")
    for state in _CORRECTABLE:
        pair = (E.TAKE_BACK, E.SETTLE, E.ACKNOWLEDGED)
        table[state, Signal.ACK_OK] = Transition(S.ACKED_OK, (*pair, E.CLOSE_CASE), "first")
        table[state, Signal.ACK_FATAL] = Transition(S.ACKED_FATAL, pair, "first")
    for state in FINAL:
        table[state, Signal.ACK_TRANSIENT] = Transition(state, (E.ACKNOWLEDGED, E.LOG_STALE), "stale")
    # Legacy without positive receipts (02 §8): one that comes is counted, no more; a negative one is for a person to see.
    table[S.SENT_UNCONFIRMED, Signal.ACK_OK] = Transition(S.SENT_UNCONFIRMED, _DUPLICATE, "stale")
    table[S.SENT_UNCONFIRMED, Signal.ACK_FATAL] = Transition(S.SENT_UNCONFIRMED, (E.ACKNOWLEDGED, E.OPEN_CASE), "stale")
    table[S.SENT_UNCONFIRMED, Signal.NET_NEG_CUR] = Transition(
        S.SENT_UNCONFIRMED, (E.LOG_NEGATIVE_UNCHANGED, E.OPEN_CASE)
    )
    for state in DeliveryState:
        for signal, emits in _ANY_OTHER.items():
            table.setdefault((state, signal), Transition(state, emits))
    return table


#: `any`, `final` and `any other` of 5.4, and the pairs that cannot come about (a second hand-over of one attempt).
#: An acknowledgement in CREATED proves the hand-over and is taken after it (`advance`), so it has no row of its own.
_ANY_OTHER: Final[dict[Signal, tuple[Emission, ...]]] = {
    Signal.PRODUCED: (E.NOTHING,),
    Signal.PRODUCED_UNCONFIRMED: (E.NOTHING,),
    Signal.PRODUCE_FAILED: _NOT_SENT,
    Signal.NET_POS_CUR: (E.LOG_POSITIVE_UNCHANGED,),
    Signal.NET_POS_OLD: (E.LOG_POSITIVE_UNCHANGED,),
    Signal.NET_NEG_CUR: (E.LOG_NEGATIVE_UNCHANGED,),
    Signal.NET_NEG_OLD: (E.LOG_NEGATIVE_UNCHANGED,),
    Signal.TIMER_RESEND: (E.NOTHING,),
    Signal.TIMER_HOLD: (E.NOTHING,),
    Signal.TIMER_LAST: (E.NOTHING,),
    Signal.TIMER_STALE: (E.NOTHING,),
    Signal.OP_RESEND: (E.REFUSE_RESEND,),
    Signal.OP_RESEND_SPENT: (E.REFUSE_RESEND,),
    Signal.OP_GIVE_UP: (E.REFUSE_GIVE_UP,),
}

#: Signals that prove that the message has left, whatever became of our own hand-over (02 §5.6: receipt before `produced`).
PROVES_HAND_OVER: Final = frozenset(
    {Signal.ACK_OK, Signal.ACK_FATAL, Signal.ACK_TRANSIENT, Signal.NET_POS_CUR, Signal.NET_NEG_CUR}
)

TRANSITIONS: Final = _transitions()
