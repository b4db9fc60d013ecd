"""A receipt trace played against the state machine: what `stafet play` prints (acceptance.md, spec 02 §5.4).

A trace begins after the message was stored. Its times are seconds; its envelopes are `E<n>`, n being the attempt.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from msgspec.structs import asdict

from streams.words.ids import EnvelopeId, EpisodeId, EventId, Gln, Kommunekode, Lane, MessageId, Sor, TransportId
from streams.words.model import Address, Attempt, Unit

from .delivery import Delivery, advance, envelope_of, resend_signal, timer_signal
from .rules import Emission, Signal

Json = dict[str, Any]  # an object of a trace, as its file holds it

_ZERO: Final = datetime(2026, 1, 1, tzinfo=UTC)
_ACKNOWLEDGED: Final = {"ack_ok": Signal.ACK_OK, "ack_fatal": Signal.ACK_FATAL, "ack_transient": Signal.ACK_TRANSIENT}
_UNIT: Final = Unit(sor=Sor("0"), gln=Gln("0"), name="")


def _attempt(number: int) -> Attempt:
    return Attempt(envelope_id=EnvelopeId(f"B{number}"), transport_id=TransportId(f"E{number}"))


def _stored(trace: Json) -> Delivery:
    config = trace.get("config", {})
    address = Address(
        kommunekode=Kommunekode("0000"),
        topic="",
        receiver=_UNIT,
        envelope=trace["layer"],
        mode=trace["mode"],
        ack_timeout_s=config.get("ack_timeout_seconds", 1800),
        max_resends=config.get("max_resends", 2),
    )
    return Delivery(
        message_id=MessageId(""),
        lane=Lane(""),
        visit=EpisodeId(""),
        event_id=EventId(""),
        label="STIN",
        activity="admit-inpatient",
        sender=_UNIT,
        address=address,
        created=_ZERO,
        attempts=(_attempt(1),),
    )


def _signal(delivery: Delivery, step: Json, at: datetime) -> Signal | None:
    """The signal of an input event; None for a tick before the deadline."""
    match event := step["event"]:
        case "produced":
            return Signal.PRODUCED
        case "produce_failed":
            return Signal.PRODUCE_FAILED
        case "tick":
            due = delivery.deadline is not None and at >= delivery.deadline
            return timer_signal(delivery, delivery.attempt) if due else None
        case "op_resend":
            return resend_signal(delivery)
        case "op_give_up":
            return Signal.OP_GIVE_UP
        case "net_pos" | "net_neg":
            current = envelope_of(delivery, step["envelope"]) == "cur"
            positive = Signal.NET_POS_CUR if current else Signal.NET_POS_OLD
            negative = Signal.NET_NEG_CUR if current else Signal.NET_NEG_OLD
            return positive if event == "net_pos" else negative
        case _:
            return _ACKNOWLEDGED[event]


def play(name: str, trace: Json) -> Json:
    """The trace's inputs through the state machine, step by step, compared with what it expects.

    The order of words within one step is not significant (02 §5.4); a trace that expects nothing is only played. Raises
    KeyError for a trace of another form.
    """
    delivery, steps = _stored(trace), []
    for step in trace["input"]:
        at = _ZERO + timedelta(seconds=step["t"])
        signal = _signal(delivery, step, at)
        emits = [str(Emission.NOTHING)]
        if signal is not None:
            advances = advance(delivery, signal, at, next_attempt=_attempt(len(delivery.attempts) + 1))
            delivery, emits = advances[-1].now, [word for each in advances for word in each.words]
        due = None if delivery.deadline is None else (delivery.deadline - _ZERO).total_seconds()
        steps.append(
            {
                "t": step["t"],
                "event": f"{step['event']}:{step['envelope']}" if "envelope" in step else step["event"],
                "state": str(delivery.state),
                "attempt": delivery.attempt,
                "late": delivery.late,
                "timer_due": int(due) if due is not None and due.is_integer() else due,
                "emit": sorted(emits),
            }
        )
    case = delivery.case
    final = {
        "state": str(delivery.state),
        "attempts": delivery.attempt,
        "late": delivery.late,
        "case": None if case is None else "open" if case.closed is None else "closed",
        "counts": asdict(delivery.counts),
    }
    expected = [{**step, "emit": sorted(step["emit"])} for step in trace.get("expected", steps)]
    matches = steps == expected and final == trace.get("final", final)
    return {"file": name, "steps": steps, "final": final, "matches": matches}
