"""A delivery and what can happen to it, for the tests of the state machine (spec 02 §5)."""

from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

from msgspec.structs import replace

from streams.delivery.delivery import Advance, Delivery, KeptMessage, advance, envelope_of, resend_signal, timer_signal
from streams.delivery.rules import ReceiptClass, Signal
from streams.words.ids import EnvelopeId, EpisodeId, EventId, Gln, Kommunekode, Lane, MessageId, Sor, TransportId
from streams.words.model import Address, Attempt, Unit

START = datetime(2026, 3, 2, 8, 14, tzinfo=UTC)
LIMIT = timedelta(minutes=30)  # KR7.S
SECOND = timedelta(seconds=1)
HOSPITAL = Unit(sor=Sor("900011000016006"), gln=Gln("5799990000019"), name="Fjordby Sygehus")
TOWN = Unit(sor=Sor("901011000016002"), gln=Gln("5799990001016"), name="Eksempelkøbing Kommune")


def attempt(number: int) -> Attempt:
    return Attempt(envelope_id=EnvelopeId(f"B{number}"), transport_id=TransportId(f"E{number}"))


def stored(**address: Any) -> Delivery:
    """A message that has been stored and has not left the building."""
    return Delivery(
        message_id=MessageId("b978b278-c92a-4bdf-a96c-88de9537daa1"),
        lane=Lane("b978b278"),
        visit=EpisodeId("92df6e62-bb81-4ea8-a2be-9f2d2a2a1b9c"),
        event_id=EventId("0" * 32),
        label="STIN",
        activity="admit-inpatient",
        sender=HOSPITAL,
        address=Address(kommunekode=Kommunekode("0101"), topic="inbox.0101", receiver=TOWN, **address),
        created=START,
        attempts=(attempt(1),),
        content=KeptMessage(data=b"facts", last=-1, checksum=0),
    )


class Signalled(NamedTuple):
    """What one signal did."""

    advances: tuple[Advance, ...]
    delivery: Delivery
    words: tuple[str, ...]
    receipt: ReceiptClass | None


def signalled(delivery: Delivery, signal: Signal, at: datetime = START) -> Signalled:
    """One signal, with the ids of a resend at hand."""
    advances = advance(delivery, signal, at, next_attempt=attempt(len(delivery.attempts) + 1))
    words = tuple(word for each in advances for word in each.words)
    return Signalled(advances, advances[-1].now, words, advances[-1].receipt)


def after(*signals: Signal, **address: Any) -> Delivery:
    """The delivery after these signals, one a second."""
    delivery = stored(**address)
    for number, signal in enumerate(signals):
        delivery = signalled(delivery, signal, START + number * SECOND).delivery
    return delivery


#: What happens outside, before a guard of 5.4 has been judged.
Happening = Literal["produced", "refused", "ok", "fatal", "transient", "net+", "net-", "deadline", "resend", "give-up"]


class World:
    """The outside: time passes, the timer fires when it is due, envelopes are answered by number."""

    def __init__(self, delivery: Delivery) -> None:
        self.delivery, self.now = delivery, START
        self.words: list[str] = []
        self.advances: tuple[Advance, ...] = ()  # of the last happening
        self.receipts: list[ReceiptClass] = []

    def happens(self, what: Happening, number: int = 1) -> None:
        """One happening; `number` names the envelope that the network answers for."""
        self.now += SECOND
        if what == "deadline" and self.delivery.deadline is not None:
            self.now = max(self.now, self.delivery.deadline)
        signal = self._signal(what, number)
        if signal is not None:
            self.advances, self.delivery, words, receipt = signalled(self.delivery, signal, self.now)
            self.words += words
            self.receipts += [receipt] if receipt else []

    def _signal(self, what: Happening, number: int) -> Signal | None:
        current = envelope_of(self.delivery, f"E{number}")
        match what:
            case "deadline":
                due = self.delivery.deadline is not None and self.now >= self.delivery.deadline
                return timer_signal(self.delivery, self.delivery.attempt) if due else None
            case "resend":
                return resend_signal(self.delivery)
            case "net+" | "net-" if current is None:
                return None  # not an envelope of this message
            case "net+":
                return Signal.NET_POS_CUR if current == "cur" else Signal.NET_POS_OLD
            case "net-":
                return Signal.NET_NEG_CUR if current == "cur" else Signal.NET_NEG_OLD
            case _:
                return _PLAIN[what]


_PLAIN: dict[str, Signal] = {
    "produced": Signal.PRODUCED,
    "refused": Signal.PRODUCE_FAILED,
    "ok": Signal.ACK_OK,
    "fatal": Signal.ACK_FATAL,
    "transient": Signal.ACK_TRANSIENT,
    "give-up": Signal.OP_GIVE_UP,
}


def unsettled(delivery: Delivery) -> Delivery:
    """The delivery without its counters: what is left when a repetition has changed nothing."""
    return replace(delivery, counts=type(delivery.counts)())
