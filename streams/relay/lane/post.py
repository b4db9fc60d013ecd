"""Writing and sending: from a notification to the letter on its way, and what is recorded of it.

Order of spec 01 §21.2: route, build, check, seal. Whatever fails here stops the event and leaves the stay as it was; a
message that does not pass our own profile check never leaves (01, 1.9). A resend is the stored message with new
envelope ids and times (01 §8, 02 §5.5); a hand-over tried again is the same dispatch, so its ids stay.

A change of state or attempt is a row of the ledger with the next number of that message; a late verdict is a pair
(03 §6.1). The words of 02 §5.4 that `delivery.advance` gives become effects here and in `answers`.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import zstandard
from msgspec.structs import replace

from streams.delivery.delivery import Delivery, advance
from streams.delivery.route import route
from streams.delivery.rules import FINAL, TRANSITIONS, DeliveryState, Signal
from streams.envelopes import vans
from streams.formats.fhir.build import to_json, to_xml
from streams.formats.fhir.read import from_json
from streams.messages.hospitalnotification import check, redispatch, write
from streams.records import trace
from streams.records.ledger import LedgerRow, message_row
from streams.words.ids import EnvelopeId, Lane, TransportId
from streams.words.model import Attempt, Fate, Notification, Outcome

from .row import Context, Dispatch, Effect, LaneRow, Traced, Turn

__all__ = [
    "Posted",
    "apply_signal",
    "post",
    "record_change",
    "record_sent",
    "resend",
    "send_pending_first",
    "stored",
    "stored_cpr",
]

_MEDIA: Final = {"fhir-json": "application/fhir+json", "fhir-xml": "application/fhir+xml"}

#: A message needs the surname, name.family 1..1 (01, 3.4); without one there is none, whatever the source (04 §14.2).
_NAMELESS: Final = Outcome(
    fate=Fate.STOPPED,
    reason="no-name",
    path="PID-5",
    problem="no surname, and none known from before: Patient.name.family is 1..1",
    remedy="send the surname in PID-5.1, with this event or a person update (A31), and this event once more",
)


@dataclass(frozen=True, slots=True)
class Posted:
    """A delivery that assumes its hand-over, and what is to be done for it."""

    delivery: Delivery
    effects: tuple[Effect, ...]


# ---- sending -----------------------------------------------------------------------------------------------------


def post(row: LaneRow, notification: Notification, at: datetime, context: Context) -> Posted | Outcome:
    """The first dispatch of a notification; or why it cannot leave."""
    built = _built(row, notification, at, context)
    if isinstance(built, Outcome):
        return built
    delivery, bundle, content = built
    delivery, rows = record_change(None, delivery, at)
    (first,) = delivery.attempts
    # S2: the message is built, checked and stored.
    step = trace.created(
        _about(delivery, notification.patient.cpr),
        bundle_id=first.envelope_id,
        recorded=trace.strictly_after(at, delivery.recorded),
        device_id=context.device_id,
    )
    delivery = replace(delivery, recorded=step.recorded)
    sent = _dispatch(delivery, Signal.PRODUCED, first, bundle, content, at, context)
    return Posted(sent.delivery, (*map(Effect, rows), Effect(Traced(delivery.message_id, step)), *sent.effects))


def _built(
    row: LaneRow, notification: Notification, at: datetime, context: Context
) -> tuple[Delivery, dict[str, Any], bytes] | Outcome:
    """The delivery, its Bundle, and the Bundle as JSON: routed, written, checked and within the limit of size."""
    named = row.deliveries.get(notification.chain[-1].previous)  # type: ignore[call-overload]  # a reference is text
    # A RE_ or AN_ notice takes the format of the message that it names, while that is known (05, 6.4.2).
    concerns = named.address.format if named is not None else ""
    address = route(notification, notification.assembled, context.registers, concerns=concerns)
    if isinstance(address, Outcome):
        return address
    if not notification.patient.family.strip():
        return _NAMELESS
    first = _attempt(context, notification.lane, notification.message_id, 1)
    bundle = write(notification, address.receiver, first.envelope_id)
    if faults := check(bundle, outgoing=True):
        return Outcome(
            fate=Fate.STOPPED,
            reason="profile-check",
            path=faults[0].path,
            problem=f"{faults[0].rule}: {faults[0].problem}",
            remedy="the message is not sent; what the ADT event says does not make a valid one",
        )
    content = to_json(bundle)
    if len(content) > context.size_limit:
        return Outcome(
            fate=Fate.STOPPED,
            reason="too-large",
            path="Bundle",
            problem=f"{len(content)} bytes, more than {context.size_limit} (01, 20.3)",
            remedy="close the stay by hand; a chain is never cut",
        )
    delivery = Delivery(
        message_id=notification.message_id,
        lane=notification.lane,
        visit=notification.visit,
        event_id=notification.event_id,
        notice=notification.notice,
        activity=notification.activity,
        sender=notification.sender,
        address=address,
        created=at,
        attempts=(first,),
        content=_codecs()[0].compress(content),
    )
    return delivery, bundle, content


def resend(delivery: Delivery, signal: Signal, at: datetime, context: Context) -> Posted:
    """The next attempt: same message, new envelope ids and times (02 §5.5)."""
    attempt = _attempt(context, delivery.lane, delivery.message_id, delivery.attempt + 1)
    bundle = redispatch(stored(delivery), attempt.envelope_id, at)
    return _dispatch(delivery, signal, attempt, bundle, None, at, context)


def apply_signal(row: LaneRow, delivery: Delivery, signal: Signal, at: datetime, context: Context) -> Turn:
    """The row after a timer or a decision: a resend, or a change of state that is recorded and no more."""
    if "resend" in TRANSITIONS[delivery.state, signal].emits:
        posted = resend(delivery, signal, at, context)
        return row.with_deliveries(posted.delivery), posted.effects
    after, _, _ = advance(delivery, signal, at)
    after, rows = record_change(delivery, after, at)
    return row.with_deliveries(after), tuple(map(Effect, rows))


def send_pending_first(before: LaneRow, turn: Turn, at: datetime, context: Context) -> Turn:
    """No message of a lane overtakes another: every refused hand-over is tried again before anything new leaves.

    A new message is a reason to try again before the pause is over; of two that are pending, the older goes first even
    when its pause is the longer one (design §3: all that concerns one stay stays in order).
    """
    row, effects = turn
    pending = [row.deliveries[key] for key, d in before.deliveries.items() if d.retry is not None]
    new = row.deliveries.keys() - before.deliveries.keys()
    if not new and not any(d.retry is not None and d.retry <= at for d in pending):
        return turn
    posted = []
    for delivery in pending:
        if delivery.state is DeliveryState.CREATED:  # the first dispatch once more: same ids, same content (00 §3.3)
            attempt, bundle = delivery.attempts[-1], stored(delivery)
            posted.append(_dispatch(delivery, Signal.PRODUCED, attempt, bundle, None, at, context))
        else:
            posted.append(resend(delivery, Signal.OP_RESEND, at, context))
    row = row.with_deliveries(*(each.delivery for each in posted))
    return row, (*(effect for each in posted for effect in each.effects), *effects)


def _attempt(context: Context, lane: Lane, message_id: str, number: int) -> Attempt:
    """The ids of a dispatch: computed from message and attempt, so a repeated step repeats them (00 §1.4)."""
    mint = context.ids.mint
    return Attempt(
        envelope_id=EnvelopeId(mint(lane, "envelope", message_id, str(number))),
        transport_id=TransportId(mint(lane, "transport", message_id, str(number))),
    )


def _dispatch(
    delivery: Delivery,
    signal: Signal,
    attempt: Attempt,
    bundle: dict[str, Any],
    content: bytes | None,
    at: datetime,
    context: Context,
) -> Posted:
    """The sealed letter, and what is recorded once the broker has taken it. `content`: the bundle as JSON, if known."""
    address = delivery.address
    envelope = vans.seal_message(
        to_xml(bundle) if address.format == "fhir-xml" else content or to_json(bundle),
        sender_gln=delivery.sender.gln,
        receiver_gln=address.receiver.gln,
        transport_id=attempt.transport_id,
        message_id=attempt.envelope_id,
        sent=at,
        name=vans.document_name(delivery.activity),
        version=vans.NOTIFICATION_VERSION,
        media_type=_MEDIA[address.format],
    )
    letter = Dispatch(
        topic=address.topic,
        lane=delivery.lane,
        payload=envelope,
        message_id=delivery.message_id,
        transport_id=attempt.transport_id,
        kommunekode=address.kommunekode,
        notice=str(delivery.notice),
    )
    after, _, _ = advance(delivery, signal, at, next_attempt=attempt)
    after, rows = record_change(delivery, after, at)
    after, step = record_sent(after, _cpr_of(bundle), at, context)
    return Posted(after, (Effect(letter), *(Effect(row, letter.message_id) for row in rows), step))


# ---- the stored message ------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _codecs() -> tuple[zstandard.ZstdCompressor, zstandard.ZstdDecompressor]:
    return zstandard.ZstdCompressor(level=1), zstandard.ZstdDecompressor()


def stored(delivery: Delivery) -> dict[str, Any]:
    """The message as it was built, until its fate is settled."""
    return from_json(_codecs()[1].decompress(delivery.content))


def stored_cpr(delivery: Delivery) -> str:
    """The CPR number of the stored message's patient, for the trace event of the profile that has one (03 §2.2)."""
    return _cpr_of(stored(delivery))


def _cpr_of(bundle: dict[str, Any]) -> str:
    return next(
        str(entry["resource"]["identifier"][0]["value"])
        for entry in bundle["entry"]
        if entry["resource"]["resourceType"] == "Patient"
    )


# ---- what is recorded --------------------------------------------------------------------------------------------


def record_change(before: Delivery | None, after: Delivery, at: datetime) -> tuple[Delivery, list[LedgerRow]]:
    """The delivery with its changes counted, and the rows for them."""
    if before is not None and (before.state, before.attempt) == (after.state, after.attempt):
        return after, []
    was, number = ("", 0) if before is None else (before.state, before.changes)
    changes: list[tuple[DeliveryState, str, int | None]] = [(after.state, was, None)]
    if before is not None and before.state in FINAL and after.state in FINAL:
        changes.insert(0, (before.state, was, -1))  # a late verdict takes back the final state that was counted
    rows = [
        message_row(
            at,
            after.message_id,
            state,
            number + place,
            delta=delta,
            attempt=after.attempt,
            was=was,
            event=after.event_id,
            lane=after.lane,
            kommunekode=after.address.kommunekode,
            notice=str(after.notice),
            verdict=after.verdict or "",
            late=after.late,
        )
        for place, (state, was, delta) in enumerate(changes)
    ]
    return replace(after, changes=number + len(rows)), rows


def record_sent(
    delivery: Delivery, cpr: str, at: datetime, context: Context, *, failed: bool = False
) -> tuple[Delivery, Effect]:
    """S3 of the current attempt, or S4: it could not be handed over.

    The ordinal is how often this dispatch failed before, so that the success after a failure has an id of its own
    (03 §4.4: nothing else in it differs).
    """
    attempt = delivery.attempts[-1]
    failures = delivery.refusals if delivery.refused == attempt.envelope_id else 0
    step = trace.sent(
        _about(delivery, cpr),
        bundle_id=attempt.envelope_id,
        transport_id=attempt.transport_id,
        recorded=trace.strictly_after(at, delivery.recorded),
        device_id=context.device_id,
        failed=failed,
        ordinal=failures - 1 if failed else failures,
    )
    after = "" if failed else delivery.message_id
    return replace(delivery, recorded=step.recorded), Effect(Traced(delivery.message_id, step), after)


def _about(delivery: Delivery, cpr: str) -> trace.About:
    return trace.About(delivery.message_id, delivery.activity, delivery.sender, delivery.address.receiver, cpr)
