"""One message and its copies behind a municipality's address: who has got it, who has answered, what goes back (02 §7.2).

Theory of operation. A distribution is written when its message arrives, and so the number of its copies is fixed (B2). Each
copy goes to one receiver: A answers for the municipality, B answers for the municipality's own eyes, C does not answer.
What happens to a copy's answer is looked up in `RULES`, which covers every triple of type, state and signal; what a rule
emits beside the new state is performed by the caller (`distributor/fold.py`). Only rules of type A return anything to the
hospital, so no other receiver can delay or change it (B4).

That a copy has left is beside its answer: it is assumed when its letter is made, and taken back when the broker refuses it.
No copy overtakes another one of its lane on its way to the same receiver (B9): it waits behind one that has not left.

Not here: which systems receive (`registry`), the bytes of copies and answers (`distributor`).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Literal, NamedTuple

from msgspec.structs import replace

from streams.words.codes import Verdict
from streams.words.ids import Kommunekode
from streams.words.model import ReceiptIssue, Value

#: 02 §7.1: A answers for all, B answers, C is only sent to.
ReceiverType = Literal["A", "B", "C"]
TYPES: Final[tuple[ReceiverType, ...]] = ("A", "B", "C")


#: How a copy is wrapped: as it came, in KOMBIT's envelope, or as the record that an adapter to it takes (02 §7.3).
CopyForm = Literal["as-sent", "beskedkuvert", "record"]


class AnswerState(StrEnum):
    """What is known of one receiver's answer."""

    WAITING = "waiting"
    OVERDUE = "overdue"  # none in time: of A, `transient-error` went back; of B, an alert was raised
    TRANSIENT = "transient"
    OK = "ok"
    FATAL = "fatal"
    UNASKED = "unasked"  # of a receiver C


class CopySignal(StrEnum):
    """What can happen to the answer of a copy."""

    OK = "ok"
    FATAL = "fatal-error"
    TRANSIENT = "transient-error"
    DUE = "due"
    AGAIN = "again"  # the hospital has sent the message again


class CopyEmission(StrEnum):
    """What follows from a signal."""

    DELIVER = "deliver"
    RETURN = "return the verdict"
    RETURN_TRANSIENT = "return transient-error"
    REPEAT = "return the same verdict"
    ALERT_MISSING = "alert:copy-missing"
    ALERT_NEGATIVE = "alert:copy-negative"
    ALERT_CONFLICT = "case:copy-conflict"


#: What an answer of a receiver is, as law L4 counts it; `unasked`: of a receiver C.
CopyReceiptClass = Literal["first", "repeated", "conflicting", "transient", "stale", "unasked"]


class CopyRule(NamedTuple):
    """What a triple leads to; what is emitted is performed in this order. `receipt` classes an answer."""

    to: AnswerState
    emits: tuple[CopyEmission, ...] = ()
    receipt: CopyReceiptClass | None = None


S, E, G = AnswerState, CopyEmission, CopySignal
_OPEN: Final = (S.WAITING, S.OVERDUE, S.TRANSIENT)
_SETTLED: Final = (S.OK, S.FATAL)
_Key = tuple[ReceiverType, AnswerState, CopySignal]


def _rules() -> dict[_Key, CopyRule]:
    """Rules B3 to B8 of 02 §7.2, and R9 and R10 of 02 §6.1, row by row."""
    table: dict[_Key, CopyRule] = {}
    for state in _OPEN:
        # A answers: its verdict goes back (B3), a late one after `transient-error` too (B6, R9).
        table["A", state, G.OK] = CopyRule(S.OK, (E.RETURN,), "first")
        table["A", state, G.FATAL] = CopyRule(S.FATAL, (E.RETURN,), "first")
        # The hospital has sent it again and A has not answered for good: to A once more, and to nobody else (B7).
        table["A", state, G.AGAIN] = CopyRule(S.WAITING, (E.DELIVER,))
        # B answers for the municipality alone (B4).
        table["B", state, G.OK] = CopyRule(S.OK, (), "first")
        table["B", state, G.FATAL] = CopyRule(S.FATAL, (E.ALERT_NEGATIVE,), "first")
        table["B", state, G.AGAIN] = CopyRule(state)
    # `transient-error` goes back once for each time that the message was sent: a repeated one is no news (R10).
    table["A", S.WAITING, G.TRANSIENT] = CopyRule(S.TRANSIENT, (E.RETURN,), "transient")
    table["A", S.OVERDUE, G.TRANSIENT] = CopyRule(S.TRANSIENT, (), "transient")
    table["A", S.TRANSIENT, G.TRANSIENT] = CopyRule(S.TRANSIENT, (), "transient")
    table["A", S.WAITING, G.DUE] = CopyRule(S.OVERDUE, (E.RETURN_TRANSIENT,))  # B6
    table["A", S.OVERDUE, G.DUE] = CopyRule(S.OVERDUE)
    table["A", S.TRANSIENT, G.DUE] = CopyRule(S.TRANSIENT)
    table["B", S.WAITING, G.TRANSIENT] = CopyRule(S.TRANSIENT, (), "transient")
    table["B", S.OVERDUE, G.TRANSIENT] = CopyRule(S.OVERDUE, (), "transient")
    table["B", S.TRANSIENT, G.TRANSIENT] = CopyRule(S.TRANSIENT, (), "transient")
    table["B", S.WAITING, G.DUE] = CopyRule(S.OVERDUE, (E.ALERT_MISSING,))  # B4
    table["B", S.TRANSIENT, G.DUE] = CopyRule(S.OVERDUE, (E.ALERT_MISSING,))
    table["B", S.OVERDUE, G.DUE] = CopyRule(S.OVERDUE)
    for type_ in ("A", "B"):
        for state, same, other in ((S.OK, G.OK, G.FATAL), (S.FATAL, G.FATAL, G.OK)):
            table[type_, state, same] = CopyRule(state, (), "repeated")
            table[type_, state, other] = CopyRule(state, (E.ALERT_CONFLICT,), "conflicting")  # B8
            table[type_, state, G.TRANSIENT] = CopyRule(state, (), "stale")
            table[type_, state, G.DUE] = CopyRule(state)
            table[type_, state, G.AGAIN] = CopyRule(state, (E.REPEAT,) if type_ == "A" else ())  # B7, R8
    for signal in (G.OK, G.FATAL, G.TRANSIENT):
        table["C", S.UNASKED, signal] = CopyRule(S.UNASKED, (), "unasked")
    for signal in (G.DUE, G.AGAIN):
        table["C", S.UNASKED, signal] = CopyRule(S.UNASKED)
    return table


#: Every type with every state that it can have, and every signal.
RULES: Final = _rules()


class Recipient(NamedTuple):
    """One receiver of the date of arrival."""

    system: str
    type: ReceiverType
    form: CopyForm = "as-sent"


#: Arrivals of one message whose ids are remembered: three dispatches, and what the network repeats.
_ARRIVALS: Final = 16


class CopyTerms(NamedTuple):
    """How long is waited, and how long something is known (05 §6.5)."""

    answer_within: timedelta  # for A (B6)
    receipt_within: timedelta  # for B (R3)
    retry_pauses: tuple[timedelta, ...]  # of a hand-over that the broker refuses; the last one repeats
    memory: timedelta


class ReceiverCopy(Value, frozen=True, kw_only=True):
    """The copy for one receiver."""

    system: str
    type: ReceiverType
    form: CopyForm = "as-sent"
    state: AnswerState
    due: datetime | None = None  # when an answer is missing
    left: datetime | None = None  # handed over; None while it has not left
    retry: datetime | None = None  # when its hand-over is tried again
    refusals: int = 0
    handed: int = 0  # how often it was handed over
    verdict: Verdict | None = None  # of the newest answer that counts
    issues: tuple[ReceiptIssue, ...] = ()  # of the same


class Distribution(Value, frozen=True, kw_only=True):
    """One message and its copies. `copies` never grows or shrinks: the count is fixed when this is written (B2)."""

    message_id: str
    kommunekode: Kommunekode
    arrived: datetime
    forget: datetime  # when it is old enough
    arrivals: int = 1
    answers: int = 0  # acknowledgements that went back
    recorded: datetime | None = None  # of the newest status event (03 §4.4)
    copy_ids: tuple[str, ...] = ()  # Bundle.id of each arrival
    copies: tuple[ReceiverCopy, ...]

    def sent_again(self, copy_id: str, at: datetime, terms: CopyTerms) -> "Distribution":
        """The same after one more arrival; what follows for each copy: `delivered_again`."""
        copy_ids = (*self.copy_ids, copy_id)[-_ARRIVALS:]
        return replace(self, arrivals=self.arrivals + 1, copy_ids=copy_ids, forget=at + terms.memory)

    @property
    def lead(self) -> ReceiverCopy | None:
        """The copy of receiver A."""
        return next((copy for copy in self.copies if copy.type == "A"), None)

    @property
    def is_settled(self) -> bool:
        """Whether A has answered for good."""
        return (lead := self.lead) is not None and lead.state in _SETTLED

    @property
    def is_open(self) -> bool:
        """Whether its content may still be asked for: a copy has not left, or the answer of A is to be written."""
        return not self.is_settled or any(copy.left is None for copy in self.copies)

    def of(self, system: str) -> ReceiverCopy | None:
        """The copy of a receiver."""
        return next((copy for copy in self.copies if copy.system == system), None)

    def with_copy(self, changed: ReceiverCopy) -> "Distribution":
        """The same with a copy changed."""
        copies = tuple(changed if copy.system == changed.system else copy for copy in self.copies)
        return replace(self, copies=copies)


class CopyAdvance(NamedTuple):
    """A copy after a signal, and what follows."""

    copy: ReceiverCopy
    emits: tuple[CopyEmission, ...]
    receipt: CopyReceiptClass | None


_SIGNALS: Final[dict[Verdict, CopySignal]] = {
    "ok": G.OK,
    "fatal-error": G.FATAL,
    "transient-error": G.TRANSIENT,
}


def distributed(
    message_id: str,
    kommunekode: Kommunekode,
    copy_id: str,
    recipients: Sequence[Recipient],
    at: datetime,
    terms: CopyTerms,
) -> Distribution:
    """The distribution of a message that has arrived: a copy for each receiver, none of which has left."""
    return Distribution(
        message_id=message_id,
        kommunekode=kommunekode,
        arrived=at,
        forget=at + terms.memory,
        copy_ids=(copy_id,),
        copies=tuple(
            ReceiverCopy(
                system=one.system,
                type=one.type,
                form=one.form,
                state=S.UNASKED if one.type == "C" else S.WAITING,
                due=_due(one.type, at, terms),
                retry=at,
            )
            for one in recipients
        ),
    )


def answered(copy: ReceiverCopy, verdict: Verdict, issues: tuple[ReceiptIssue, ...]) -> CopyAdvance:
    """The copy after an answer of its receiver."""
    advance = _advance(copy, _SIGNALS[verdict])
    if advance.receipt in ("first", "transient"):
        return advance._replace(copy=replace(advance.copy, verdict=verdict, issues=issues))
    return advance


def overdue(copy: ReceiverCopy) -> CopyAdvance:
    """The copy whose time for an answer has passed."""
    advance = _advance(copy, G.DUE)
    return advance._replace(copy=replace(advance.copy, due=None))


def delivered_again(copy: ReceiverCopy, at: datetime, terms: CopyTerms) -> CopyAdvance:
    """The copy when the hospital sends the message again. One that is delivered again has its full time once more."""
    advance = _advance(copy, G.AGAIN)
    if E.DELIVER in advance.emits:
        waiting = replace(advance.copy, due=_due(copy.type, at, terms), left=None, retry=at)
        return advance._replace(copy=waiting)
    return advance


def left(copy: ReceiverCopy, at: datetime) -> ReceiverCopy:
    """The copy that is handed over; taken back by `hand_over_refused`."""
    return replace(copy, left=at, retry=None, handed=copy.handed + 1)


def hand_over_refused(copy: ReceiverCopy, at: datetime, terms: CopyTerms) -> ReceiverCopy:
    """The copy that the broker does not take: tried again after growing pauses, the last one for ever (00 §3.3)."""
    pause = terms.retry_pauses[min(copy.refusals, len(terms.retry_pauses) - 1)]
    return replace(copy, left=None, retry=at + pause, refusals=copy.refusals + 1, handed=copy.handed - 1)


def _advance(copy: ReceiverCopy, signal: CopySignal) -> CopyAdvance:
    rule = RULES[copy.type, copy.state, signal]
    due = None if rule.to in (*_SETTLED, S.OVERDUE) else copy.due
    return CopyAdvance(replace(copy, state=rule.to, due=due), rule.emits, rule.receipt)


def _due(type_: ReceiverType, at: datetime, terms: CopyTerms) -> datetime | None:
    wait = {"A": terms.answer_within, "B": terms.receipt_within}.get(type_)
    return None if wait is None else at + wait
