"""Writing and sending: from a message of any type to the letter on its way.

Order of spec 01 §21.2: route, build, check, seal. Whatever fails here stops the event and leaves the stay as it was; a
message that does not pass our own profile check never leaves (01, 1.9). A resend is the same message with new
envelope ids and times (01 §8, 02 §5.5); a hand-over tried again is the same dispatch, so its ids stay.

A sample of new messages gets a second opinion: what the public FHIR models would refuse (spec 01, 1.11). It stops
nothing, because our own check has passed the message and is the one that decides; the sample is drawn by the message's
id, so the same messages are looked at in every life.
"""

from collections.abc import Iterator
from datetime import datetime

from msgspec.structs import replace

from streams.delivery.delivery import Delivery, advance
from streams.delivery.route import route
from streams.delivery.rules import DeliveryState, Signal
from streams.formats.fhir.build import JSON, Representation
from streams.formats.fhir.read import from_json
from streams.formats.fhir.structure import border_check
from streams.messages.sending import SENT, WRITERS, Message
from streams.words.model import Address, Attempt, Fate, Outcome, Outgoing

from .perform import Performance, Performed, attempt_of, signalled
from .row import Alarm, Context, Effect, LaneRow, Turn, bundle_of, is_unchanged, kept, noted


def post(row: LaneRow, message: Message, at: datetime, context: Context) -> Turn | Outcome:
    """The lane with a message on its way, and its first dispatch; or why it cannot leave."""
    of = message.outgoing
    built = _built(row, message, of, context)
    if isinstance(built, Outcome):
        return built
    address, first, content = built
    links, kept_content = kept(row, message, content)
    delivery = Delivery(
        message_id=of.message_id,
        lane=of.lane,
        visit=of.visit,
        event_id=of.event_id,
        label=of.label,
        activity=of.activity,
        message_type=of.message_type,
        sender=of.sender,
        address=address,
        created=at,
        attempts=(first,),
        content=kept_content,
    )
    writer = WRITERS[address.format]
    if writer is JSON:
        document = content
    elif isinstance(writer, Representation):
        document, _ = SENT[of.message_type].compose(message, address.receiver, first.envelope_id, writer)
    else:
        document = writer.write(from_json(content))
    performance = Performance(row, delivery, at, context, cpr=of.cpr)
    performance.create(delivery)
    performance.letter(delivery, document)
    delivery, effects = performance.of(advance(delivery, Signal.PRODUCED, at))
    alarms = second_opinion(delivery, content, context.sample)
    return replace(row, links=links).with_deliveries(delivery), (*effects, *map(Effect, alarms))


def second_opinion(delivery: Delivery, content: bytes, sample: int) -> Iterator[Alarm]:
    """What the public models would refuse of one new message in `sample`, which costs half a millisecond; 0 for none."""
    if not sample or int(delivery.message_id[-8:], 16) % sample:
        return
    for issue in border_check(from_json(content)):
        about = (delivery.message_id, delivery.address.kommunekode, delivery.state)
        yield Alarm("alert:border-check", *about, issue.rule, issue.path)


def _built(row: LaneRow, message: Message, of: Outgoing, context: Context) -> tuple[Address, Attempt, bytes] | Outcome:
    """Address, ids, and the message in JSON: routed, written, checked and within the limit of size."""
    named = row.deliveries.get(of.previous)  # type: ignore[call-overload]  # a reference is text
    # A correction or cancellation takes the format of the message that it names, while that is known (05, 6.4.2).
    concerns = named.address.format if named is not None else ""
    address = route(of, of.assembled, context.registers, concerns=concerns)
    if isinstance(address, Outcome):
        return address
    sending = SENT[of.message_type]
    if (lacking := sending.lacking(message)) is not None:
        return lacking
    first = attempt_of(context, of.lane, of.message_id, 1)
    content, faults = sending.compose(message, address.receiver, first.envelope_id, JSON)
    if faults:
        return Outcome(
            fate=Fate.STOPPED,
            reason="profile-check",
            path=faults[0].path,
            problem=f"{faults[0].rule}: {faults[0].problem}",
            remedy="the message is not sent; what the ADT event says does not make a valid one",
        )
    if len(content) > context.size_limit:
        return Outcome(
            fate=Fate.STOPPED,
            reason="too-large",
            path="Bundle",
            problem=f"{len(content)} bytes, more than {context.size_limit} (01, 20.3)",
            remedy="close the stay by hand; a chain is never cut",
        )
    return address, first, content


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
            bundle = bundle_of(row, delivery)
            known = noted(delivery, bundle)  # nobody has had another
            performance = Performance(row, known, at, context)
            performance.letter_of(known, bundle)
            posted.append(performance.of(advance(known, Signal.PRODUCED, at)))
        elif is_unchanged(row, delivery):
            posted.append(signalled(row, delivery, Signal.OP_RESEND, at, context))
        else:  # a person decides, as about every message that would not be the same
            alarm = Alarm("alert:timeout", delivery.message_id, delivery.address.kommunekode, delivery.state)
            posted.append(Performed(replace(delivery, retry=None), (Effect(alarm),)))
    row = row.with_deliveries(*(each.delivery for each in posted))
    return row, (*(effect for each in posted for effect in each.effects), *effects)
