"""A receipt trace played against the state machine: what `stafet play` prints (acceptance.md, spec 02 §5.4).

A trace begins after the message was stored. Its times are seconds; its envelopes are `E<n>`, n being the attempt.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from streams.words.codes import Notice
from streams.words.ids import EnvelopeId, EpisodeId, EventId, Gln, Kommunekode, Lane, MessageId, Sor, TransportId
from streams.words.model import Address, Attempt, Unit

from .delivery import Delivery, advance, envelope_of, resend_signal, timer_signal, verdict_signal
from .rules import Signal

__all__ = ["play"]

_ZERO: Final = datetime(2026, 1, 1, tzinfo=UTC)
_UNIT: Final = Unit(sor=Sor("0"), gln=Gln("0"), name="")
_KEYS: Final = ("t", "event", "state", "attempt", "late", "timer_due", "emit")


def _attempt(number: int) -> Attempt:
    return Attempt(envelope_id=EnvelopeId(f"B{number}"), transport_id=TransportId(f"E{number}"))


def _stored(trace: dict[str, Any]) -> Delivery:
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
        notice=Notice.STIN,
        activity="admit-inpatient",
        sender=_UNIT,
        address=address,
        created=_ZERO,
        attempts=(_attempt(1),),
    )


_VERDICTS: Final = {"ack_ok": "ok", "ack_fatal": "fatal-error", "ack_transient": "transient-error"}


def _signal(delivery: Delivery, step: dict[str, Any], at: datetime) -> Signal | None:
    """The signal of an input event; None for a tick before the deadline."""
    event = step["event"]
    match event:
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
            return verdict_signal(_VERDICTS[event])  # type: ignore[arg-type]  # the three verdicts


def _step(delivery: Delivery, step: dict[str, Any]) -> tuple[Delivery, dict[str, Any]]:
    at = _ZERO + timedelta(seconds=step["t"])
    signal = _signal(delivery, step, at)
    emits: tuple[str, ...] = ("none",)
    if signal is not None:
        delivery, emits, _ = advance(delivery, signal, at, next_attempt=_attempt(len(delivery.attempts) + 1))
    name = f"{step['event']}:{step['envelope']}" if "envelope" in step else step["event"]
    due = None if delivery.deadline is None else _seconds(delivery.deadline)
    values = (step["t"], name, str(delivery.state), delivery.attempt, delivery.late, due, sorted(emits))
    return delivery, dict(zip(_KEYS, values, strict=True))


def _seconds(at: datetime) -> int | float:
    seconds = (at - _ZERO).total_seconds()
    return int(seconds) if seconds.is_integer() else seconds


def _final(delivery: Delivery) -> dict[str, Any]:
    case = delivery.case
    counts = delivery.counts
    return {
        "state": str(delivery.state),
        "attempts": delivery.attempt,
        "late": delivery.late,
        "case": None if case is None else "open" if case.closed is None else "closed",
        "counts": {name: getattr(counts, name) for name in counts.__struct_fields__},
    }


def play(name: str, trace: dict[str, Any]) -> dict[str, Any]:
    """The trace's inputs through the state machine, step by step, compared with what it expects.

    The order of words within one step is not significant (02 §5.4); a trace that expects nothing is only played. Raises
    KeyError for a trace of another form.
    """
    delivery, steps = _stored(trace), []
    for step in trace["input"]:
        delivery, seen = _step(delivery, step)
        steps.append(seen)
    final = _final(delivery)
    expected = [{**step, "emit": sorted(step["emit"])} for step in trace.get("expected", steps)]
    matches = steps == expected and final == trace.get("final", final)
    return {"file": name, "steps": steps, "final": final, "matches": matches}
