"""A distributor's lane after one record: copies out, answers in, one verdict back (02 §7.2). Every record carries `at`.

What an answer or a deadline means is decided by `delivery/distribution.py`; here it is done. At the end of every turn the
copies that wait for their hand-over are looked at, one queue for each receiver in the order of arrival: the first may
leave when its time has come, and none before it (B9).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol, assert_never

from msgspec.structs import replace

from streams.delivery.distribution import (
    CopyAdvance,
    CopyEmission,
    CopyForm,
    CopyTerms,
    Distribution,
    ReceiverCopy,
    ReceiverType,
    Recipient,
    answered,
    delivered_again,
    distributed,
    hand_over_refused,
    left,
    overdue,
)
from streams.delivery.route import ReceiptPolicy
from streams.envelopes.envelope import ENVELOPES
from streams.messages.acknowledgement.read import same_id
from streams.messages.message_type import MESSAGE_TYPES
from streams.records import trace
from streams.records.ledger import ArrivalWord, arrival_row, copy_receipt_row, copy_row, returned_row
from streams.records.trace import About, TraceEvent, strictly_after
from streams.relay.lane import Traced
from streams.words.codes import Verdict
from streams.words.errors import Rejected
from streams.words.ids import Ids, Lane
from streams.words.model import Receipt, ReceiptIssue

from .answer import Answerable, answer
from .arrivals import quoted
from .copying import EnvelopeRegisters, copy_of
from .row import (
    Consequence,
    CopyAlarm,
    CopyAnswered,
    CopyDue,
    CopySent,
    DistributionRecord,
    DistributorAction,
    DistributorRow,
    DistributorTurn,
    Elsewhere,
    KeptLetter,
    MessageArrived,
    RefusedRecord,
    Returned,
    SentOn,
    kept,
    key_of,
)

#: `kafka/topics.py` names the same topic; a test compares the two.
COPY: Final = "municipality.{kommunekode}.{system}"

#: What goes back when A has not answered in time (B6).
_LATE: Final = ReceiptIssue(
    severity="error", code="transient", text="The receiving system has not answered yet; an answer may still follow"
)
_NO_A: Final = ReceiptIssue(
    severity="error", code="transient", text="No receiving system is set up here today; send the message again later"
)
_DUPLICATE_ID: Final = ReceiptIssue(
    severity="error",
    code="duplicate",
    details_code="MSG_DUPLICATE_ID",
    text="Bundle.id was used before for another message; send a new one with every dispatch",
)


class ReceiverRegister(Protocol):
    """A row of 05 §6.2."""

    @property
    def system(self) -> str:
        """Its id, a part of the topic's name."""

    @property
    def type(self) -> ReceiverType:
        """A, B or C."""

    @property
    def copies(self) -> CopyForm:
        """How its copies are wrapped."""


class DistributorRegisters(EnvelopeRegisters, Protocol):
    """What the distributor asks the registers."""

    def receivers(self, kommunekode: str, message_type: str, at: datetime, label: str) -> Sequence[ReceiverRegister]:
        """The systems that get messages with this label at `at`, A first."""

    def policy(self, kommunekode: str, format: str) -> ReceiptPolicy:
        """The rules about receipts."""


@dataclass(frozen=True)
class DistributorContext:
    """What a turn asks beside row and record."""

    ids: Ids
    registers: DistributorRegisters
    device_id: str = ""  # names our station in status events (03 §2.1); "" for none

    def terms(self, kommunekode: str, form: str) -> CopyTerms:
        """How long is waited for the answers to a message of this form."""
        policy = self.registers.policy(kommunekode, form)
        return CopyTerms(policy.answer_within, policy.ack_timeout, policy.retry_pauses, policy.memory)


def fold(
    row: DistributorRow | None, record: DistributionRecord, lane: Lane, context: DistributorContext
) -> DistributorTurn:
    """The row after `record`, and what is to be done, in order. Pure; the same input gives the same bytes."""
    turn = _Turn((row or DistributorRow()).without_settled(), record.at, lane, context)
    match record:
        case MessageArrived():
            turn.take_letter(record)
        case CopyAnswered():
            turn.take_answer(record)
        case CopyDue():
            turn.take_due()
        case Elsewhere():
            turn.row = replace(turn.row, elsewhere={**turn.row.elsewhere, record.message_id: record})
        case _:
            assert_never(record)
    handed = turn.hand_over()
    after = turn.row.without_settled(handed)
    return DistributorTurn(None if after.is_empty else after, tuple(turn.effects))


def refused(row: DistributorRow, name: str, at: datetime, lane: Lane, context: DistributorContext) -> DistributorTurn:
    """The lane when the broker refuses the copy of that name: taken back, to be tried again (00 §3.3).

    Apply it to the row exactly as the record with the copy left it, before anything else is folded over it.
    """
    key, system, _ = name.rsplit("|", 2)
    distribution = row.distributions.get(key)
    copy = None if distribution is None else distribution.of(system)
    if distribution is None or copy is None or name != _name(key, copy):
        return DistributorTurn(row)
    turn = _Turn(row, at, lane, context)
    terms = context.terms(distribution.kommunekode, row.letters[key].form)
    back = hand_over_refused(copy, at, terms)
    turn.row = row.with_distribution(key, distribution.with_copy(back))
    turn.wait(distribution, back, at.astimezone(UTC).isoformat())
    turn.alarm("alert:copy-refused", distribution, copy)
    if copy.type == "A":
        turn.trace_sent(key, failed=True, ordinal=copy.refusals)
    return DistributorTurn(turn.row, tuple(turn.effects))


def next_due(row: DistributorRow | None, context: DistributorContext) -> datetime | None:
    """When something in the lane is next due. Folding the record of that time leaves nothing due then."""
    return None if row is None else min(_dues(row, context), default=None)


def _dues(row: DistributorRow, context: DistributorContext) -> Iterator[datetime]:
    for key, distribution in row.distributions.items():
        yield distribution.forget
        if key in row.letters and not distribution.is_open:
            yield distribution.arrived  # bytes that were handed over last: the broker has taken them
        yield from (copy.due for copy in distribution.copies if copy.due is not None)
    yield from (copy.retry for *_, copy in _first_waiting(row) if copy.retry is not None)
    yield from (one.at + _memory(context) for one in row.elsewhere.values())


def _memory(context: DistributorContext) -> timedelta:
    return context.terms("", "fhir").memory


def _first_waiting(row: DistributorRow) -> Iterator[tuple[str, Distribution, ReceiverCopy]]:
    """The first copy in the queue of each receiver, with its distribution and the key of that."""
    seen: set[tuple[str, str]] = set()
    for key, distribution in row.distributions.items():
        for copy in distribution.copies:
            queue = distribution.kommunekode, copy.system
            if copy.left is None and queue not in seen:
                seen.add(queue)
                yield key, distribution, copy


def _name(key: str, copy: ReceiverCopy) -> str:
    """The name of the letter of a copy that is handed over: other than that of every other hand-over."""
    return f"{key}|{copy.system}|{copy.handed}"


@dataclass
class _Turn:
    """One record folded into the row: the row so far, and what follows."""

    row: DistributorRow
    at: datetime
    lane: Lane
    context: DistributorContext
    effects: list[Consequence] = field(default_factory=list)

    def add(self, action: DistributorAction, after: str = "") -> None:
        """One effect more."""
        self.effects.append(Consequence(action, after))

    def alarm(self, word: str, of: Distribution, copy: ReceiverCopy, issues: Sequence[ReceiptIssue] = ()) -> None:
        """Something for a person of the municipality."""
        reason = next((one.details_code or one.code for one in issues), "")
        self.add(CopyAlarm(word, of.message_id, of.kommunekode, copy.system, reason))

    def wait(self, of: Distribution, copy: ReceiverCopy, time: str = "") -> None:
        """A copy that cannot leave yet."""
        of_copy = (self.at, of.message_id, copy.system)
        self.add(copy_row(*of_copy, "waiting", copy.handed, lane=self.lane, kommunekode=of.kommunekode, time=time))

    # ---- status events (03 §4.2) ----------------------------------------------------------------------------------

    def trace(self, key: str, step: Callable[[About, datetime], TraceEvent], after: str = "") -> None:
        """An event of the message; none of a legacy letter, whose parties it cannot name."""
        distribution, letter = self.row.distributions[key], self.row.letters[key]
        if not letter.parties or not self.context.device_id:
            return
        document = MESSAGE_TYPES[letter.message_type].traced
        about = About(distribution.message_id, document, "", letter.parties[0], letter.parties[1], letter.cpr)
        recorded = strictly_after(self.at, distribution.recorded)
        self.row = self.row.with_distribution(key, replace(distribution, recorded=recorded))
        self.add(Traced(distribution.message_id, step(about, recorded)), after)

    def trace_received(self, key: str) -> None:
        """The message has arrived."""
        ids = self._arrival_ids(key)
        self.trace(key, lambda about, at: trace.received(about, **ids, recorded=at))

    def trace_sent(self, key: str, *, failed: bool = False, ordinal: int = 0, after: str = "") -> None:
        """Its copy has been handed to receiver A, or could not be."""
        ids = self._arrival_ids(key)
        self.trace(key, lambda about, at: trace.sent(about, **ids, recorded=at, failed=failed, ordinal=ordinal), after)

    def _arrival_ids(self, key: str) -> dict[str, Any]:
        distribution, letter = self.row.distributions[key], self.row.letters[key]
        return {
            "bundle_id": distribution.copy_ids[-1],
            "transport_id": letter.envelope_id,
            "transport": ENVELOPES[letter.envelope].traced,
            "device_id": self.context.device_id,
        }

    # ---- a message ------------------------------------------------------------------------------------------------

    def take_letter(self, letter: MessageArrived) -> None:
        """One message: distributed, a duplicate (B7) or turned away. One taken before, by its origin, changes nothing."""
        if letter.origin in self.row.taken:
            return
        key, at = key_of(letter.kommunekode, letter.message_id), self.at
        known, terms = self.row.distributions.get(key), self.context.terms(letter.kommunekode, letter.form)
        self.row = self.row.take(letter.origin)
        recipients = [
            Recipient(one.system, one.type, one.copies)
            for one in self.context.registers.receivers(letter.kommunekode, letter.message_type, at, letter.label)
        ]
        if known is not None:
            self._keep(key, letter)
            self._arrive(letter, "duplicate")
            self.row = self.row.with_distribution(key, known.sent_again(letter.copy_id, at, terms))
            self.trace_received(key)
            for copy in known.copies:
                self._advance(key, delivered_again(copy, at, terms), "repeated")
        elif any(letter.copy_id in one.copy_ids for one in self.row.distributions.values()):  # 02 §6.3, last row
            self._turn_away(letter, "fatal-error", _DUPLICATE_ID, "MSG_DUPLICATE_ID")
        elif not any(one.type == "A" for one in recipients):
            self._turn_away(letter, "transient-error", _NO_A, "no-receiver-a")
        else:
            self._keep(key, letter)
            made = distributed(letter.message_id, letter.kommunekode, letter.copy_id, recipients, at, terms)
            self.row = self.row.with_distribution(key, made)
            self._arrive(letter, "distributed", len(made.copies))
            self.trace_received(key)
            ready = {(first, copy.system) for first, _, copy in _first_waiting(self.row)}
            for copy in made.copies:
                if (key, copy.system) not in ready:  # behind another one
                    self.wait(made, copy)

    def _keep(self, key: str, letter: MessageArrived) -> None:
        self.row = replace(self.row, letters={**self.row.letters, key: kept(letter)})

    def _arrive(self, letter: MessageArrived, what: ArrivalWord, k: int = 0, reason: str = "") -> None:
        self.add(
            arrival_row(
                self.at,
                letter.origin,
                what,
                letter.message_id,
                k,
                lane=self.lane,
                kommunekode=letter.kommunekode,
                notice=letter.label,
                reason=reason,
                redriven=letter.redriven,
            )
        )

    def _turn_away(self, letter: MessageArrived, verdict: Verdict, issue: ReceiptIssue, reason: str) -> None:
        """Nobody gets a copy, and the hospital hears why."""
        self._return(kept(letter), letter, verdict, (issue,), letter.origin, reason)
        self._arrive(letter, "refused", reason=reason)
        self.add(RefusedRecord(Rejected("Bundle", issue.text, "send the message again", reason)))

    # ---- answers and deadlines -------------------------------------------------------------------------------------

    def take_answer(self, record: CopyAnswered) -> None:
        """An answer of a receiver: matched by the ids it quotes, and to the copy of the receiver whose topic it lay on."""
        receipt, origin = record.receipt, record.receipt.origin
        if origin in self.row.taken:
            return
        self.row = self.row.take(origin)
        key = self._matching(record.kommunekode, receipt)
        if key is None:
            for one in quoted(receipt):
                for name, elsewhere in self.row.elsewhere.items():
                    if same_id(one, name):
                        self.add(SentOn(elsewhere.lane, record))
                        return
            self._class(record, "unmatched", reason="unmatched")
            place, problem = "MessageHeader.response.identifier", "no message with this id is known here"
            self.add(RefusedRecord(Rejected(place, problem, "quote MessageHeader.id of the message", "unmatched")))
            return
        distribution = self.row.distributions[key]
        copy = distribution.of(record.system)
        if copy is None:
            reason = "receipt-from-other-unit"
            self._class(record, "quarantined", distribution.message_id, reason)
            problem = "a receiver that got no copy of the message"
            self.add(RefusedRecord(Rejected("topic", problem, "answer on the topic of the receiver", reason)))
            return
        advance = answered(copy, receipt.verdict, receipt.issues)
        assert advance.receipt is not None  # every answer has a class
        self._class(record, advance.receipt, distribution.message_id)
        self._advance(key, advance, "answered", receipt.issues)

    def _matching(self, kommunekode: str, receipt: Receipt) -> str | None:
        """The key of the message that a receipt quotes: by its id, else by that of one of its arrivals."""
        for one in quoted(receipt):
            for key, distribution in self.row.distributions.items():
                if distribution.kommunekode == kommunekode and any(
                    same_id(one, known) for known in (distribution.message_id, *distribution.copy_ids)
                ):
                    return key
        return None

    def _class(self, record: CopyAnswered, what: str, message_id: str = "", reason: str = "") -> None:
        receipt = record.receipt
        of = (receipt.origin, what, receipt.verdict, record.kommunekode, record.system)
        more = {"message": message_id, "reason": reason}
        self.add(copy_receipt_row(self.at, *of, lane=self.lane, redriven=record.redriven, **more))

    def take_due(self) -> None:
        """Answers that have not come in time; then what is old enough to be forgotten."""
        for key, distribution in self.row.distributions.items():
            for copy in distribution.copies:
                if copy.due is not None and copy.due <= self.at:
                    self._advance(key, overdue(copy), "overdue")
        known = {key: one for key, one in self.row.distributions.items() if one.forget > self.at}
        elsewhere = {name: one for name, one in self.row.elsewhere.items() if one.at + _memory(self.context) > self.at}
        self.row = replace(self.row, distributions=known, elsewhere=elsewhere)

    def _advance(self, key: str, advance: CopyAdvance, occasion: str, issues: Sequence[ReceiptIssue] = ()) -> None:
        """The copy as it is now, and what its rule emits."""
        distribution, copy = self.row.distributions[key].with_copy(advance.copy), advance.copy
        self.row = self.row.with_distribution(key, distribution)
        for emission in advance.emits:
            match emission:
                case CopyEmission.DELIVER:
                    pass  # it waits for its hand-over now
                case CopyEmission.RETURN | CopyEmission.REPEAT:
                    assert copy.verdict is not None  # it has answered
                    self._give_back(key, copy.verdict, copy.issues, occasion)
                case CopyEmission.RETURN_TRANSIENT:
                    self._give_back(key, "transient-error", (_LATE,), occasion)
                case CopyEmission.ALERT_MISSING | CopyEmission.ALERT_NEGATIVE | CopyEmission.ALERT_CONFLICT:
                    self.alarm(emission, distribution, copy, issues)
                case _:
                    assert_never(emission)

    def _give_back(self, key: str, verdict: Verdict, issues: Sequence[ReceiptIssue], occasion: str) -> None:
        """One answer more about a message; its number tells it from the others."""
        distribution = self.row.distributions[key]
        back = self._return(self.row.letters[key], distribution, verdict, issues, str(distribution.answers), occasion)
        self.row = self.row.with_distribution(key, replace(distribution, answers=distribution.answers + 1))
        if back is not None:
            ids = {"receipt_id": back.receipt_id, "bundle_id": back.copy_id, "transport_id": back.transport_id}
            device_id = self.context.device_id
            self.trace(key, lambda about, at: trace.returned(about, **ids, recorded=at, device_id=device_id))

    def _return(
        self,
        letter: KeptLetter,
        of: Distribution | MessageArrived,
        verdict: Verdict,
        issues: Sequence[ReceiptIssue],
        number: str,
        occasion: str,
    ) -> Returned | None:
        to = Answerable(letter.form, letter.document, of.message_id, letter.envelope, letter.sender, letter.receiver)
        try:
            back = answer(to, verdict, issues, self.lane, number, self.at, self.context.ids)
        except Rejected as rejected:  # it names no one to be answered
            self.add(RefusedRecord(rejected))
            return None
        if back is not None:
            self.add(back)
            of_answer = (back.receipt_id, verdict, of.message_id, of.kommunekode, self.lane)
            self.add(returned_row(self.at, *of_answer, reason=occasion))
        return back

    # ---- copies ----------------------------------------------------------------------------------------------------

    def hand_over(self) -> frozenset[str]:
        """Hands over the first copy of each queue whose time has come; the keys of their messages."""
        handed = set[str]()
        for key, distribution, copy in list(_first_waiting(self.row)):
            if copy.retry is None or copy.retry > self.at:
                continue
            letter, now = self.row.letters[key], left(copy, self.at)
            name = _name(key, now)
            self.row = self.row.with_distribution(key, self.row.distributions[key].with_copy(now))
            made = copy_of(letter, distribution, now, self.lane, self.at, self.context.ids, self.context.registers)
            self.add(
                CopySent(
                    topic=COPY.format(kommunekode=distribution.kommunekode, system=copy.system),
                    lane=self.lane,
                    data=made.data,
                    name=name,
                    message_id=distribution.message_id,
                    event_type=letter.event_type,
                    envelope_id=made.envelope_id,
                    schema=made.schema,
                    content_type=made.content_type,
                )
            )
            self.add(
                copy_row(
                    self.at,
                    distribution.message_id,
                    copy.system,
                    "delivered" if now.handed == 1 else "again",
                    now.handed,
                    lane=self.lane,
                    kommunekode=distribution.kommunekode,
                ),
                name,
            )
            if copy.type == "A":
                self.trace_sent(key, ordinal=copy.refusals, after=name)
            handed.add(key)
        return frozenset(handed)
