"""One outgoing message and everything that can happen to it until its fate is settled (spec 02 §5).

Theory of operation. A delivery is keyed by MessageHeader.id and lies in the row of its lane. What happens arrives as a
`Signal`; `advance` looks the pair (state, signal) up in `TRANSITIONS`, which covers every pair: a pair that the
standard does not foresee is a row that logs or refuses. What it emits beside the new state is performed by the caller
(`relay/lane/perform.py`): a trace event, a dispatch, a ledger row, an alarm. Case, deadline and counters are parts of the
delivery. The ids that a receipt quotes identify it (`envelope_of`), never its position or time.

The deadline is data: due = hand-over of the attempt + time limit (5.3); a firing that is not the current one is
recognised by its attempt number and ignored. A dispatch is confirmed before the row is written, so the state here is
`SENT n` as soon as the letter is on its way; `hand_over_refused` takes it back when the broker refuses it (00 §3.3): the
next try uses the same ids.

Not here: the bytes of a resend (`messages`), times on the wall (`agents`), who may decide (`cli`).
"""

from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

from msgspec.structs import replace

from streams.words.codes import HOSPITAL_NOTIFICATION, Verdict
from streams.words.ids import EpisodeId, EventId, Lane, MessageId
from streams.words.model import Address, Attempt, ReceiptIssue, Unit, Value

from .rules import FINAL, PROVES_HAND_OVER, TRANSITIONS, DeliveryState, Emission, ReceiptClass, Signal, Transition

#: Counter that an emission adds to.
_COUNTED: Final = {
    Emission.LOG_DUPLICATE: "duplicate",
    Emission.LOG_CONFLICT: "conflict",
    Emission.LOG_TRANSIENT: "transient",
    Emission.LOG_STALE: "stale",
}
#: Counter that a signal of the network adds to.
_NETWORK: Final = {
    Signal.NET_POS_CUR: "net_pos",
    Signal.NET_POS_OLD: "net_pos",
    Signal.NET_NEG_CUR: "net_neg",
    Signal.NET_NEG_OLD: "net_neg",
}

#: Why a person looks at something; the last two are about a stay (00 §2.7, §7.23).
CaseReason = Literal[
    "timeout", "undeliverable", "fatal", "given-up-by-operator", "abandoned", "not-cancelled", "report-missing"
]

_VERDICTS: Final[dict[Signal, Verdict]] = {
    Signal.ACK_OK: "ok",
    Signal.ACK_FATAL: "fatal-error",
    Signal.ACK_TRANSIENT: "transient-error",
}
_SIGNALS: Final[dict[Verdict, Signal]] = {verdict: signal for signal, verdict in _VERDICTS.items()}

_CASE_OF: Final[dict[Signal, CaseReason]] = {
    Signal.TIMER_LAST: "timeout",
    Signal.NET_NEG_CUR: "undeliverable",
    Signal.ACK_FATAL: "fatal",
    Signal.OP_GIVE_UP: "given-up-by-operator",
}


class Counts(Value, frozen=True, kw_only=True):
    """Receipts of each kind (02 §5.1); `net_*` count those without effect too."""

    duplicate: int = 0
    conflict: int = 0
    transient: int = 0
    stale: int = 0
    net_pos: int = 0
    net_neg: int = 0


class Case(Value, frozen=True, kw_only=True):
    """Manual handling (02 §5.8). A conflict case is separate and does not change this one."""

    reason: CaseReason
    opened: datetime
    closed: datetime | None = None
    closing: str = ""  # late-ok, delivered-otherwise, replaced-by <message id>, obsolete
    issues: tuple[ReceiptIssue, ...] = ()


class KeptMessage(Value, frozen=True, kw_only=True):
    """What is needed to write a message again (`relay/lane/row.py`)."""

    data: bytes  # as its type keeps it (`messages/sending.py`)
    last: int  # place of its own link among those of the row; -1 for a message without a chain
    checksum: int  # of the message in JSON, as it was sent; of a letter, in its own syntax
    letter: bytes = b""  # the letter that was written of it; b"" for FHIR


class Delivery(Value, frozen=True, kw_only=True):
    """One message on its way: a value of the lane's row (02 §5.1)."""

    message_id: MessageId
    lane: Lane
    visit: EpisodeId
    event_id: EventId
    label: str  # what it is within its type
    activity: str
    number: str = ""  # of a letter: `20` or `17`; "" for FHIR
    message_type: str = HOSPITAL_NOTIFICATION
    sender: Unit
    address: Address
    created: datetime
    state: DeliveryState = DeliveryState.CREATED
    was: DeliveryState = DeliveryState.CREATED  # before the current hand-over: where a refusal takes it back to
    attempts: tuple[Attempt, ...] = ()  # the last one is current; its `sent` is None while it is not handed over
    deadline: datetime | None = None  # of the current attempt
    retry: datetime | None = None  # when a refused hand-over is tried again
    refused: str = ""  # Bundle id of the dispatch that the broker refused, and how often it did
    refusals: int = 0
    verdict: Verdict | None = None
    verdict_at: datetime | None = None
    ack_message_id: str = ""
    late: bool = False  # the verdict came after GIVEN_UP or UNDELIVERABLE (00 §5)
    counts: Counts = Counts()
    case: Case | None = None
    conflict: bool = False
    nonconformant: bool = False
    changes: int = 0  # ledger rows written: the ordinal of the next one (counted where they are written)
    recorded: datetime | None = None  # time of the last trace event: strictly increasing (03 §4.4)
    arrivals: tuple[str, ...] = ()  # origins of the receipts taken: a repeat of our own step is not a second receipt
    content: KeptMessage | None = None  # until final and without an open case (00 §3.7, docs/decisions/0015)
    finished: datetime | None = None  # when its fate was settled
    warned: int = 0  # the last attempt whose envelope had no receipt in time
    replaces: str = ""  # message id (00 §3.5)
    replaced_by: str = ""

    @property
    def attempt(self) -> int:
        """Attempts handed over: the n of 02 §5.2; 0 in CREATED."""
        return sum(a.sent is not None for a in self.attempts)

    @property
    def is_final(self) -> bool:
        """Whether the fate is settled (a late verdict may still correct it)."""
        return self.state in FINAL

    @property
    def forgotten(self) -> datetime | None:
        """When a settled message leaves the row (02 §5.1); None while it is not settled."""
        return None if self.finished is None else self.finished + timedelta(seconds=self.address.memory_s)

    @property
    def kept_until(self) -> datetime | None:
        """When the content of a message that ended with its hand-over goes; None where nothing is kept for that."""
        if self.content is None or self.finished is None or _is_open(self.case):
            return None
        return self.finished + timedelta(seconds=self.address.ack_timeout_s)

    @property
    def network_due(self) -> datetime | None:
        """When the receipt of the current envelope is late (02 §5.3); None while none is waited for."""
        wait = self.address.network_warning_s
        if not wait or self.is_final or self.warned >= self.attempt or self.attempts[-1].network:
            return None
        sent = self.attempts[-1].sent
        return None if sent is None else sent + timedelta(seconds=wait)

    @property
    def due(self) -> datetime | None:
        """When the timer fires: the deadline, or the next try of a refused hand-over."""
        return self.retry or self.deadline


def hand_over_signal(delivery: Delivery) -> Signal:
    """The signal of a dispatch that is on its way."""
    return Signal.PRODUCED if delivery.address.positive_receipt else Signal.PRODUCED_UNCONFIRMED


def verdict_signal(verdict: Verdict) -> Signal:
    """The signal of an acknowledgement."""
    return _SIGNALS[verdict]


def timer_signal(delivery: Delivery, attempt: int) -> Signal:
    """What a firing for `attempt` means now (02 §5.3, §5.4)."""
    if attempt != delivery.attempt:
        return Signal.TIMER_STALE
    if delivery.attempt > delivery.address.max_resends:
        return Signal.TIMER_LAST
    # A resend that the broker refused has been decided on already: it goes on by itself (00 §3.3).
    decided = delivery.refused not in ("", *(attempt.envelope_id for attempt in delivery.attempts))
    return Signal.TIMER_RESEND if decided or delivery.address.mode == "auto" else Signal.TIMER_HOLD


def resend_signal(delivery: Delivery) -> Signal:
    """What an operator's `resend` means now."""
    spent = delivery.attempt > delivery.address.max_resends
    return Signal.OP_RESEND_SPENT if spent else Signal.OP_RESEND


def envelope_of(delivery: Delivery, transport_id: str) -> Literal["cur", "old"] | None:
    """Whether an envelope id is that of the current attempt, of an earlier one, or none of ours."""
    for back, attempt in enumerate(reversed(delivery.attempts)):
        # A letter has an envelope of its own beside the one that it travels in (04 §10).
        if transport_id == attempt.transport_id or (delivery.number and transport_id == attempt.envelope_id):
            return "old" if back else "cur"
    return None


class Advance(NamedTuple):
    """A row of the table carried out: the delivery before and after, what follows, and the class of an answer."""

    was: Delivery
    now: Delivery
    emits: tuple[Emission, ...] = ()
    receipt: ReceiptClass | None = None

    @property
    def words(self) -> tuple[str, ...]:
        """What is emitted, in the words of 02 §5.4."""
        return tuple(e.format(attempt=self.was.attempt, was=self.was.state, to=self.now.state) for e in self.emits if e)


def advance(
    delivery: Delivery, signal: Signal, at: datetime, *, next_attempt: Attempt | None = None
) -> tuple[Advance, ...]:
    """What `signal` does at `at`: one row of the table, or two when it proves a hand-over that was not confirmed.

    `next_attempt` holds the ids of the dispatch that a resend makes; required when the row may resend.
    """
    if delivery.state is DeliveryState.CREATED and signal in PROVES_HAND_OVER:
        (handed,) = advance(delivery, hand_over_signal(delivery), at)
        return handed, *advance(handed.now, signal, at)
    row = TRANSITIONS[delivery.state, signal]
    emits = row.emits
    if delivery.address.envelope == "sbdh":
        # On this route envelope receipts are messages of their own, both ways (5.4, last paragraph).
        if signal in _NETWORK:
            emits = (Emission.ENVELOPE_ANSWERED, *emits)
        elif row.receipt is not None:
            emits = (Emission.ANSWER_ENVELOPE, *emits)
    return (Advance(delivery, _moved(delivery, signal, row, at, next_attempt), emits, row.receipt),)


def _moved(delivery: Delivery, signal: Signal, row: Transition, at: datetime, next_attempt: Attempt | None) -> Delivery:
    """The delivery after a row of the table."""
    was, attempts, deadline, retry = delivery.was, delivery.attempts, delivery.deadline, delivery.retry
    if Emission.SET_TIMER in row.emits or (signal is Signal.PRODUCED_UNCONFIRMED and row.to is not delivery.state):
        if delivery.state is DeliveryState.CREATED:
            attempts = (*attempts[:-1], replace(attempts[-1], sent=at))
        elif next_attempt is None:
            raise ValueError("a resend needs the ids of its dispatch")
        else:
            attempts = (*attempts, replace(next_attempt, sent=at))
        was, retry = delivery.state, None
        deadline = at + timedelta(seconds=delivery.address.ack_timeout_s)
    elif signal is Signal.PRODUCE_FAILED and delivery.state is DeliveryState.CREATED:
        delivery = _once_more_refused(delivery)
        retry = at + _pause(delivery)
    elif signal is Signal.NET_POS_CUR and attempts:
        attempts = (*attempts[:-1], replace(attempts[-1], network="positive"))
    final, first, case = row.to in FINAL, row.receipt == "first", _case(delivery, signal, row, at)
    if final or row.to is DeliveryState.TIMED_OUT:
        deadline = None
    counted = [_COUNTED[one] for one in row.emits if one in _COUNTED]
    if signal in _NETWORK:
        counted.append(_NETWORK[signal])
    counts = delivery.counts
    if counted:
        counts = replace(counts, **{name: getattr(counts, name) + 1 for name in counted})
    return replace(
        delivery,
        state=row.to,
        was=was,
        attempts=attempts,
        deadline=deadline,
        retry=None if final else retry,
        verdict=_VERDICTS[signal] if first else delivery.verdict,
        verdict_at=at if first else delivery.verdict_at,
        late=delivery.late or (first and delivery.state in FINAL),
        counts=counts,
        case=case,
        conflict=delivery.conflict or Emission.CONFLICT_CASE in row.emits,
        # A hand-over that ends it may be refused yet (`hand_over_refused`): what it takes to try again goes later.
        content=None
        if final and not _is_open(case) and signal is not Signal.PRODUCED_UNCONFIRMED
        else delivery.content,
        finished=(delivery.finished or at) if final else None,
    )


def _case(delivery: Delivery, signal: Signal, row: Transition, at: datetime) -> Case | None:
    """A final state without a good verdict opens a case; a good verdict that comes late closes it."""
    if Emission.OPEN_CASE in row.emits:
        return Case(reason=_CASE_OF[signal], opened=at)
    if Emission.CLOSE_CASE in row.emits and delivery.case is not None and _is_open(delivery.case):
        return replace(delivery.case, closed=at, closing="late-ok")
    return delivery.case


def _is_open(case: Case | None) -> bool:
    return case is not None and case.closed is None


def _once_more_refused(delivery: Delivery) -> Delivery:
    """Refusals are counted per dispatch: trying again assumes that it goes well, and only a refusal proves otherwise."""
    current = delivery.attempts[-1].envelope_id
    return replace(delivery, refused=current, refusals=delivery.refusals + 1 if delivery.refused == current else 1)


def _pause(delivery: Delivery) -> timedelta:
    """Growing pauses, the last one for ever (00 §3.3)."""
    pauses = delivery.address.retry_pauses_s
    return timedelta(seconds=pauses[min(delivery.refusals, len(pauses)) - 1])


def hand_over_refused(delivery: Delivery, at: datetime) -> Advance:
    """The broker refuses the current attempt: the delivery as before it, with a time to try again.

    The attempt does not count and its ids are used again (02 §5.4: produce failed; 00 §3.3). The message is again in the
    state that it was handed over from: a resend that an operator decided on waits in TIMED_OUT, where they may still
    give it up. The ledger row of the hand-over was held back with the letter, so its number is free again.
    """
    unconfirmed = delivery.state is DeliveryState.SENT_UNCONFIRMED and delivery.content is not None
    if (delivery.is_final and not unconfirmed) or not delivery.attempts:
        return Advance(delivery, delivery)
    back = replace(_once_more_refused(delivery), changes=max(delivery.changes - 1, 0), state=delivery.was)
    retry, emits = at + _pause(back), TRANSITIONS[DeliveryState.CREATED, Signal.PRODUCE_FAILED].emits
    if len(delivery.attempts) == 1:
        attempt = replace(delivery.attempts[0], sent=None)
        back = replace(back, attempts=(attempt,), deadline=None, retry=retry, finished=None)
        return Advance(delivery, back, emits)
    back = replace(back, attempts=delivery.attempts[:-1])
    if back.state is DeliveryState.TIMED_OUT:  # no deadline runs there
        back = replace(back, deadline=None, retry=retry)
        return Advance(delivery, back, (*emits, Emission.ALERT_TIMEOUT))
    return Advance(delivery, replace(back, deadline=retry, retry=None), emits)
