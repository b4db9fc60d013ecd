"""From a notification to the letter on its way, and the same message once more.

Order of spec 01 §21.2: route, build, check, seal. Whatever fails here stops the event and leaves the stay as it was; a
message that does not pass our own profile check never leaves (01, 1.9). A resend is the stored message with new
envelope ids and times (01 §8, 02 §5.5); a hand-over tried again is the same dispatch, so its ids stay.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import zstandard

from streams.delivery.delivery import Delivery, advance
from streams.delivery.route import route
from streams.delivery.rules import Signal
from streams.envelopes import vans
from streams.formats.fhir.build import to_json, to_xml
from streams.formats.fhir.read import from_json
from streams.messages.hospitalnotification import check, redispatch, write
from streams.words.errors import Issue
from streams.words.ids import EnvelopeId, Lane, TransportId
from streams.words.model import Attempt, Fate, Notification, Outcome

from .context import Context
from .effects import Dispatch, Said
from .telling import booked, created, sent

__all__ = ["Posted", "cpr_of", "next_attempt", "post", "resend", "retry"]

_MEDIA: Final = {"fhir-json": "application/fhir+json", "fhir-xml": "application/fhir+xml"}


@dataclass(frozen=True, slots=True)
class Posted:
    """A delivery that assumes its hand-over, and what is to be done for it."""

    delivery: Delivery
    said: tuple[Said, ...]


def _attempt(context: Context, lane: Lane, message_id: str, number: int) -> Attempt:
    """The ids of a dispatch: computed from message and attempt, so a repeated step repeats them (00 §1.4)."""
    mint = context.ids.mint
    return Attempt(
        envelope_id=EnvelopeId(mint(lane, "envelope", message_id, str(number))),
        transport_id=TransportId(mint(lane, "transport", message_id, str(number))),
    )


def next_attempt(delivery: Delivery, context: Context) -> Attempt:
    """The ids of the dispatch after the current one."""
    return _attempt(context, delivery.lane, delivery.message_id, delivery.attempt + 1)


def post(notification: Notification, at: datetime, context: Context, *, concerns: str = "") -> Posted | Outcome:
    """Route, build, check and seal; or why it cannot leave. `concerns`: see `route`."""
    address = route(notification, notification.assembled, context.registers, concerns=concerns)
    if isinstance(address, Outcome):
        return address
    if not notification.patient.family.strip():
        return _NAMELESS
    first = _attempt(context, notification.lane, notification.message_id, 1)
    bundle = write(notification, address.receiver, first.envelope_id)
    faults = check(bundle, outgoing=True)
    if faults:
        return _faulty(faults[0])
    content = to_json(bundle)
    if len(content) > context.size_limit:
        return _too_large(len(content), context.size_limit)
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
        content=_compressed(content),
    )
    return _first(delivery, bundle, content, notification.patient.cpr, at, context)


def _first(
    delivery: Delivery, bundle: dict[str, Any], content: bytes, cpr: str, at: datetime, context: Context
) -> Posted:
    delivery, rows = booked(None, delivery, at)
    delivery, created_step = created(delivery, cpr, at, context)
    said = [*(Said(row) for row in rows), created_step]
    letter = _sealed(delivery, delivery.attempts[0], bundle, content, at)
    handed, _, _ = advance(delivery, Signal.PRODUCED, at)
    return Posted(*_on_its_way(delivery, handed, letter, said, cpr, at, context))


def _on_its_way(
    before: Delivery, after: Delivery, letter: Dispatch, said: list[Said], cpr: str, at: datetime, context: Context
) -> tuple[Delivery, tuple[Said, ...]]:
    """The letter, and what may be said once it has been taken."""
    after, rows = booked(before, after, at)
    after, step = sent(after, cpr, at, context)
    return after, (*said, Said(letter), *(Said(row, letter.message_id) for row in rows), step)


def resend(delivery: Delivery, signal: Signal, at: datetime, context: Context) -> Posted:
    """The next attempt: same message, new envelope ids and times (02 §5.5)."""
    attempt = next_attempt(delivery, context)
    bundle = redispatch(stored(delivery), attempt.envelope_id, at)
    letter = _sealed(delivery, attempt, bundle, None, at)
    after, _, _ = advance(delivery, signal, at, next_attempt=attempt)
    return Posted(*_on_its_way(delivery, after, letter, [], cpr_of(bundle), at, context))


def retry(delivery: Delivery, at: datetime, context: Context) -> Posted:
    """The first dispatch once more, after the broker would not have it: same ids, same content (00 §3.3)."""
    bundle = stored(delivery)
    letter = _sealed(delivery, delivery.attempts[-1], bundle, None, at)
    after, _, _ = advance(delivery, Signal.PRODUCED, at)
    return Posted(*_on_its_way(delivery, after, letter, [], cpr_of(bundle), at, context))


def cpr_of(bundle: dict[str, Any]) -> str:
    """The CPR number of the message's patient, for the trace event of the profile that has one (03 §2.2)."""
    return next(
        str(entry["resource"]["identifier"][0]["value"])
        for entry in bundle["entry"]
        if entry["resource"]["resourceType"] == "Patient"
    )


def stored_cpr(delivery: Delivery) -> str:
    """The same from the stored message."""
    return cpr_of(stored(delivery))


def _sealed(
    delivery: Delivery, attempt: Attempt, bundle: dict[str, Any], content: bytes | None, at: datetime
) -> Dispatch:
    address = delivery.address
    payload = to_xml(bundle) if address.format == "fhir-xml" else content or to_json(bundle)
    envelope = vans.seal_message(
        payload,
        sender_gln=delivery.sender.gln,
        receiver_gln=address.receiver.gln,
        transport_id=attempt.transport_id,
        message_id=attempt.envelope_id,
        sent=at,
        name=vans.document_name(delivery.activity),
        version=vans.NOTIFICATION_VERSION,
        media_type=_MEDIA[address.format],
    )
    return Dispatch(
        topic=address.topic,
        lane=delivery.lane,
        payload=envelope,
        message_id=delivery.message_id,
        transport_id=attempt.transport_id,
        kommunekode=address.kommunekode,
        notice=str(delivery.notice),
    )


#: A message needs the surname, name.family 1..1 (01, 3.4); without one there is none, whatever the source (04 §14.2).
_NAMELESS: Final = Outcome(
    fate=Fate.STOPPED,
    reason="no-name",
    path="PID-5",
    problem="no surname, and none known from before: Patient.name.family is 1..1",
    remedy="send the surname in PID-5.1, with this event or a person update (A31), and this event once more",
)


def _faulty(fault: Issue) -> Outcome:
    return Outcome(
        fate=Fate.STOPPED,
        reason="profile-check",
        path=fault.path,
        problem=f"{fault.rule}: {fault.problem}",
        remedy="the message is not sent; what the ADT event says does not make a valid one",
    )


def _too_large(size: int, limit: int) -> Outcome:
    return Outcome(
        fate=Fate.STOPPED,
        reason="too-large",
        path="Bundle",
        problem=f"{size} bytes, more than {limit} (01, 20.3)",
        remedy="close the stay by hand; a chain is never cut",
    )


@lru_cache(maxsize=1)
def _codecs() -> tuple[zstandard.ZstdCompressor, zstandard.ZstdDecompressor]:
    return zstandard.ZstdCompressor(level=1), zstandard.ZstdDecompressor()


def _compressed(content: bytes) -> bytes:
    return _codecs()[0].compress(content)


def stored(delivery: Delivery) -> dict[str, Any]:
    """The message as it was built, until its fate is settled."""
    return from_json(_codecs()[1].decompress(delivery.content))


def concerns(deliveries: dict[Any, Delivery], notification: Notification) -> str:
    """The format of the message that a RE_ or AN_ notice names, while it is known (05, 6.4.2)."""
    named = deliveries.get(notification.chain[-1].previous)
    return named.address.format if named is not None else ""


__all__ += ["concerns", "stored", "stored_cpr"]
