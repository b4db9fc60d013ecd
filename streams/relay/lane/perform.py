"""What the emissions of a delivery lead to: one table, `PERFORMED`, from each word of 02 §5.4 to the effects of the lane.

Case, deadline and counters are parts of the delivery and changed with it (`delivery.advance`): an emission that means
nothing more is not in the table. A change of state or attempt is a row of the ledger with the next number of that
message; a late verdict is a pair (03 §6.1). Whatever follows from a letter comes `after` it.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from streams.delivery.delivery import Advance, Delivery, advance
from streams.delivery.route import ARCHIVE, INBOX
from streams.delivery.rules import DeliveryState, Emission, Signal
from streams.envelopes import sbdh
from streams.envelopes.envelope import ENVELOPES, Waybill
from streams.envelopes.wrapping import WRAPPINGS
from streams.messages.message_type import FORMATS, MESSAGE_TYPES
from streams.records import trace
from streams.records.ledger import archived_row, message_row, receipt_row
from streams.words.ids import EnvelopeId, Kommunekode, Lane, MessageId, TransportId
from streams.words.model import Address, Attempt, NetworkReceipt, Receipt, Unit

from .row import (
    Action,
    Alarm,
    AlarmWord,
    Answered,
    Content,
    Context,
    Dispatch,
    Effect,
    LaneRow,
    Traced,
    again,
    content_of,
    document_of,
    message_of,
)

#: How the ids of letters begin: one constant, unique is what follows (00 §7.1).
_LETTERS: Final = "ST"


class Performed(NamedTuple):
    """A delivery that assumes its hand-over, and what is to be done for it."""

    delivery: Delivery
    effects: tuple[Effect, ...]


def attempt_of(context: Context, lane: Lane, message_id: str, number: int, address: Address) -> Attempt:
    """The ids of a dispatch: computed from message and attempt, so a repeated step repeats them (00 §1.4).

    The envelope of a letter has the id of the letter on its first dispatch (00 §6), and that is how the letter is named
    from then on. One that travels bare has no other envelope.
    """
    mint = context.ids.mint
    if FORMATS[address.format].letter:
        envelope_id: str = context.ids.letter(lane, _LETTERS, message_id, str(number))
    else:
        envelope_id = mint(lane, "envelope", message_id, str(number))
    bare = ENVELOPES[address.envelope].bare
    transport_id = envelope_id if bare else mint(lane, "transport", message_id, str(number))
    return Attempt(envelope_id=EnvelopeId(envelope_id), transport_id=TransportId(transport_id))


def signalled(row: LaneRow, delivery: Delivery, signal: Signal, at: datetime, context: Context) -> Performed:
    """The delivery after a timer or a decision: sent again, or in another state."""
    attempt = attempt_of(context, delivery.lane, delivery.message_id, delivery.attempt + 1, delivery.address)
    return perform(row, advance(delivery, signal, at, next_attempt=attempt), at, context)


def perform(
    row: LaneRow,
    advances: Sequence[Advance],
    at: datetime,
    context: Context,
    receipt: Receipt | NetworkReceipt | None = None,
) -> Performed:
    """The delivery after a signal, and its effects in order. `receipt`: the one that was the signal."""
    return Performance(row, advances[0].now, at, context, receipt=receipt).of(advances)


class Performance:
    """One delivery to which one record happens: its next number and trace time, and the effects so far."""

    __slots__ = ("_after", "_at", "_changes", "_context", "_cpr", "_receipt", "_recorded", "_row", "_stated", "effects")

    def __init__(
        self,
        row: LaneRow,
        delivery: Delivery,
        at: datetime,
        context: Context,
        *,
        cpr: str = "",
        receipt: Receipt | NetworkReceipt | None = None,
    ) -> None:
        self._row, self._changes, self._recorded = row, delivery.changes, delivery.recorded
        self._at, self._context, self._cpr, self._receipt = at, context, cpr, receipt
        self._after = ""
        self._stated: trace.About | None = None
        self.effects: list[Effect] = []

    def of(self, advances: Sequence[Advance]) -> Performed:
        """Performs every emission."""
        for one in advances:
            for emission in one.emits:
                if (act := PERFORMED.get(emission)) is not None:
                    act(self, one)
        delivery = replace(advances[-1].now, changes=self._changes, recorded=self._recorded)
        return Performed(delivery, tuple(self.effects))

    # ---- what leaves ---------------------------------------------------------------------------------------------

    def letter(self, delivery: Delivery, content: bytes) -> None:
        """The sealed letter of the current attempt; what follows waits for it. `content`: in the form of the address."""
        self.effects.append(Effect(self._sealed(delivery, content)))
        self._after = delivery.message_id

    def _sealed(self, delivery: Delivery, content: bytes, copy_id: TransportId | None = None) -> Dispatch:
        """The current attempt in its envelope; with an id of its own, the copy for the archive."""
        address, attempt = delivery.address, delivery.attempts[-1]
        message_type, form = MESSAGE_TYPES[delivery.message_type], FORMATS[address.format]
        transport_id = copy_id or attempt.transport_id
        seal = WRAPPINGS[address.envelope].seals
        assert seal is not None  # the registers hand over no other
        name, version = _document(delivery)
        waybill = Waybill(
            about=self._about(delivery, delivery),
            # MetaInformation/Identifier is a UUID (02 §2.2), which the id of a letter is not.
            bundle_id=attempt.transport_id if form.letter else attempt.envelope_id,
            transport_id=transport_id,
            sent=self._at,
            name=name,
            version=version,
            format=form.label,
            media_type=form.media_type,
            terms=address.terms,
        )
        return Dispatch(
            topic=ARCHIVE if copy_id else address.topic,
            lane=delivery.lane,
            payload=seal(content, waybill),
            message_id=MessageId(copy_id) if copy_id else delivery.message_id,
            transport_id=transport_id,
            kommunekode=address.kommunekode,
            label=delivery.label,
            event_type=f"{message_type.header}.{delivery.label}",
            envelope=address.envelope,
        )

    def letter_of(self, delivery: Delivery, content: Content) -> None:
        """The letter of a message that was kept."""
        self.letter(delivery, document_of(content, delivery.address.format))

    def resend(self, one: Advance) -> None:
        """The same message with new envelope ids and times (01 §8, 02 §5.5)."""
        self.letter_of(one.now, again(one.now, content_of(self._row, one.now), self._at))

    def settle(self, one: Advance) -> None:
        """A row for the final state; of a delivered message a copy to the archive, where the route has one (00 §10.6)."""
        self.enter(one)
        delivery = one.now
        archived = self._context.archive and ENVELOPES[delivery.address.envelope].archived
        if not archived or delivery.state is not DeliveryState.ACKED_OK:
            return
        if one.was.content is None:  # its case was closed before a late answer came
            self.alarm("alert:archive", one, "content-gone")
            return
        content, attempt = content_of(self._row, one.was), one.was.attempts[-1]
        if len(one.was.attempts) > 1 and attempt.sent is not None:  # as the municipality has it
            content = again(one.was, content, attempt.sent)
        transport_id = TransportId(self._context.ids.mint(delivery.lane, "archive", delivery.message_id))
        copy = self._sealed(one.was, document_of(content, delivery.address.format), transport_id)
        self.effects.append(Effect(copy))
        self._add(archived_row(self._at, delivery.message_id, delivery.lane, delivery.address.kommunekode))

    # ---- what is recorded ----------------------------------------------------------------------------------------

    def create(self, delivery: Delivery) -> None:
        """S2: the message is built, checked and stored. Before the first letter."""
        self._state(delivery, delivery.state, "")
        ids = {"bundle_id": delivery.attempts[-1].envelope_id, "envelope": _envelope_type(delivery)}
        self._trace(delivery, trace.created, self._about(delivery, delivery), **ids)

    def enter(self, one: Advance) -> None:
        """A row for the state that is entered."""
        self._state(one.now, one.now.state, one.was.state)

    def take_back(self, one: Advance) -> None:
        """A row that takes back the final state that was counted, before that of the late verdict."""
        self._state(one.now, one.was.state, one.was.state, -1)

    def sent(self, one: Advance) -> None:
        """S3 of the current attempt.

        The ordinal is how often this dispatch failed before, so that the success after a failure has an id of its own
        (03 §4.4: nothing else in it differs).
        """
        now, attempt = one.now, one.now.attempts[-1]
        self._sent(one, attempt, ordinal=now.refusals if now.refused == attempt.envelope_id else 0)

    def not_sent(self, one: Advance) -> None:
        """S4: the attempt could not be handed over."""
        self._sent(one, one.was.attempts[-1], ordinal=one.now.refusals - 1, failed=True)

    def acknowledged(self, one: Advance) -> None:
        """The receipt by its class, and S7, whatever becomes of the message; of the first one, how long it took."""
        receipt, delivery = self._receipt, one.now
        assert isinstance(receipt, Receipt)  # nothing else is such a signal
        facts = (receipt.origin, one.receipt or "stale", receipt.verdict, delivery.lane)
        self._add(receipt_row(self._at, *facts, message=delivery.message_id))
        dispatch = dispatch_of(receipt)
        self._trace(
            delivery,
            trace.acknowledged,
            replace(receipt, message_id=_named(delivery)),
            sender=delivery.address.receiver,
            receiver=delivery.sender,
            original=_traced(delivery),
            document=_receipt_type(delivery, receipt),
            envelope=_envelope_type(delivery),
            transport=trace.VANS if receipt.asked is None else trace.SBDH,
            ordinal=sum(known.partition(" ")[2] == dispatch for known in delivery.arrivals),
        )
        if one.receipt == "first" and (sent := delivery.attempts[0].sent) is not None:
            self._add(Answered(delivery.address.kommunekode, self._at - sent))

    def envelope_answered(self, one: Advance) -> None:
        """S6: the receipt of an envelope, whatever it says."""
        receipt, delivery = self._receipt, one.now
        assert isinstance(receipt, NetworkReceipt)
        self._trace(
            delivery,
            trace.network_answered,
            receipt,
            original_message_id=_named(delivery),
            sender=delivery.address.receiver,
            receiver=delivery.sender,
            original=_traced(delivery),
            ordinal=sum(known.partition(" ")[2] == receipt.transport_id for known in delivery.arrivals),
        )

    def answer_envelope(self, one: Advance) -> None:
        """The receipt of the envelope in which an acknowledgement came, if that asks for one; and S10."""
        receipt, delivery = self._receipt, one.now
        assert isinstance(receipt, Receipt)
        if receipt.asked is None:
            return
        parties = (delivery.sender, delivery.address.receiver)
        letter = envelope_receipt(
            receipt, parties, delivery.lane, delivery.address.kommunekode, self._at, self._context
        )
        self.effects.append(Effect(letter))
        before, self._after = self._after, letter.message_id
        self._trace(delivery, trace.envelope_returned, receipt, letter.transport_id, *parties)
        self._after = before

    # ---- what a person should look at ----------------------------------------------------------------------------

    def alarm(self, word: AlarmWord, one: Advance, reason: str = "") -> None:
        """One thing to look at."""
        now = one.now
        attempt = one.was.attempt
        self._add(Alarm(word, now.message_id, now.address.kommunekode, now.state, reason, attempt=attempt))

    # ---- how it is put down --------------------------------------------------------------------------------------

    def _add(self, action: Action) -> None:
        self.effects.append(Effect(action, self._after))

    def _state(self, now: Delivery, state: DeliveryState, was: str, delta: int | None = None) -> None:
        row = message_row(
            self._at,
            now.message_id,
            state,
            self._changes,
            delta=delta,
            attempt=now.attempt,
            was=was,
            event=now.event_id,
            lane=now.lane,
            kommunekode=now.address.kommunekode,
            notice=now.label,
            verdict=now.verdict or "",
            late=now.late,
            message_type=now.message_type,
        )
        self._changes += 1
        self._add(row)

    def _sent(self, one: Advance, attempt: Attempt, *, ordinal: int, failed: bool = False) -> None:
        envelope = ENVELOPES[one.now.address.envelope]
        ids = {"bundle_id": attempt.envelope_id, "transport_id": "" if envelope.bare else attempt.transport_id}
        ids["envelope"] = _envelope_type(one.now)
        transport, about = envelope.traced, self._about(one.now, one.was)
        self._trace(one.now, trace.sent, about, **ids, transport=transport, ordinal=ordinal, failed=failed)

    def _trace(self, delivery: Delivery, step: Callable[..., trace.TraceEvent], *about: Any, **facts: Any) -> None:
        self._recorded = trace.strictly_after(self._at, self._recorded)
        event = step(*about, recorded=self._recorded, device_id=self._context.device_id, **facts)
        self._add(Traced(delivery.message_id, event))

    def _about(self, delivery: Delivery, kept: Delivery) -> trace.About:
        """What is stated of the message, the same at every step; `kept`: the delivery while its content was kept."""
        if self._stated is None:
            cpr = self._cpr or message_of(self._row, kept).outgoing.cpr
            letter = FORMATS[delivery.address.format].letter
            postfix = "" if letter else MESSAGE_TYPES[delivery.message_type].postfix_of(delivery.activity)
            parties = (delivery.sender, delivery.address.receiver)
            self._stated = trace.About(_named(delivery), _traced(delivery), postfix, *parties, cpr)
        return self._stated


def _document(delivery: Delivery) -> tuple[str, str]:
    """Name and version of its document (02 §2.3)."""
    form = FORMATS[delivery.address.format]
    assert form.document is not None  # the registers hand over no other
    of, stated = MESSAGE_TYPES[delivery.message_type], delivery.address.version
    name, version = form.document(of, delivery.number or delivery.activity)
    if form.versions is None and stated != of.version:  # another version of the same shape (`registry/profiles.csv`)
        version = f"{stated}.0"
    return name, version


def _named(delivery: Delivery) -> str:
    """The message as status events name it: a letter by its own id (03 §4.3)."""
    return delivery.attempts[0].envelope_id if FORMATS[delivery.address.format].letter else delivery.message_id


def _traced(delivery: Delivery) -> trace.TracedDocument:
    form, of = FORMATS[delivery.address.format], MESSAGE_TYPES[delivery.message_type]
    if form.versions is None:
        return of.traced._replace(version=delivery.address.version)
    if not form.letter:
        return of.traced
    name, version = _document(delivery)
    return trace.TracedDocument(name.removeprefix("MCM:"), version)


def _receipt_type(delivery: Delivery, receipt: Receipt) -> trace.TracedDocument:
    form = FORMATS[delivery.address.format]
    return trace.ACKNOWLEDGEMENT if form.receipt is None else trace.TracedDocument(*form.receipt(receipt.verdict))


def _envelope_type(delivery: Delivery) -> str:
    """What the envelope of the message is: the Bundle, or what letters have for it."""
    form = FORMATS[delivery.address.format]
    return "Bundle" if not form.letter else "Interchange" if form.interchange else "Emessage"


def envelope_receipt(
    receipt: Receipt, parties: tuple[Unit, Unit], lane: Lane, kommunekode: Kommunekode, at: datetime, context: Context
) -> Dispatch:
    """The receipt of the envelope that a municipality has sent, to its inbox; `parties`: who gives it, and who gets it.

    Its id stands for the arrival that it answers, so a repeated step repeats it, and a second arrival gets its own.
    """
    assert receipt.asked is not None
    transport_id = context.ids.mint(lane, "envelope-receipt", receipt.transport_id, receipt.origin)
    answered = sbdh.AnsweredInEnvelope(
        receipt.ack_message_id, receipt.ack_envelope_id, trace.ACKNOWLEDGEMENT, receipt.transport_id, receipt.asked
    )
    sender, receiver = parties
    return Dispatch(
        topic=INBOX.format(kommunekode=kommunekode),
        lane=lane,
        payload=sbdh.seal_receipt(answered, sender=sender, receiver=receiver, transport_id=transport_id, at=at),
        message_id=MessageId(transport_id),  # its own: it is no message of ours that could be taken back
        transport_id=transport_id,
        kommunekode=kommunekode,
        label="",
        event_type="envelope-receipt",
        envelope="sbdh",
    )


def dispatch_of(receipt: Receipt) -> str:
    """What distinguishes one arrival of a receipt from its repetition by the sender."""
    return receipt.transport_id or receipt.ack_envelope_id


#: Each emission that means more than the new delivery.
PERFORMED: Final[dict[Emission, Callable[[Performance, Advance], None]]] = {
    Emission.RESEND: Performance.resend,
    Emission.ENTER: Performance.enter,
    Emission.SETTLE: Performance.settle,
    Emission.TAKE_BACK: Performance.take_back,
    Emission.MSG_SENT: Performance.sent,
    Emission.MSG_NOT_SENT: Performance.not_sent,
    Emission.ACKNOWLEDGED: Performance.acknowledged,
    Emission.ENVELOPE_ANSWERED: Performance.envelope_answered,
    Emission.ANSWER_ENVELOPE: Performance.answer_envelope,
    Emission.ALERT_TIMEOUT: lambda acts, one: acts.alarm("alert:timeout", one),
    Emission.ALERT_PRODUCE: lambda acts, one: acts.alarm("alert:produce", one),
    Emission.OPEN_CASE: lambda acts, one: acts.alarm("case:open", one, one.now.case.reason if one.now.case else ""),
    Emission.CONFLICT_CASE: lambda acts, one: acts.alarm("case:conflict", one, one.now.verdict or ""),
}
