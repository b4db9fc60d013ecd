"""Writing and sending: from a message of any type to the letter on its way.

Order of spec 01 §21.2: route, build, check, seal. Whatever fails here stops the event and leaves the stay as it was; a
message that does not pass our own profile check never leaves (01, 1.9). A resend is the same message with new
envelope ids and times (01 §8, 02 §5.5); a hand-over tried again is the same dispatch, so its ids stay.

A municipality that takes letters gets the message as the letter that says it, written from the notification and from what
it has as letters already (`legacy/compose`); a correction of what it has in another format is the plain notice of the new
state (`letters`). What no letter can say does not leave, and that is final.

A sample of new messages gets a second opinion: what the public FHIR models would refuse (spec 01, 1.11). It stops
nothing, because our own check has passed the message and is the one that decides; the sample is drawn by the message's
id, so the same messages are looked at in every life.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from streams.delivery.delivery import Advance, Delivery, advance, hand_over_signal
from streams.delivery.route import route
from streams.delivery.rules import DeliveryState, Signal
from streams.formats.fhir.build import JSON, Representation
from streams.formats.fhir.read import from_json
from streams.formats.fhir.structure import border_check
from streams.messages.legacy.compose import LegacyTerms, compose, sent_letter
from streams.messages.legacy.explain import TO_LETTER, differences
from streams.messages.legacy.letter import Letter
from streams.messages.message_type import FORMATS
from streams.messages.sending import LETTERS, SENT, WRITERS, Message
from streams.records.ledger import LedgerRow, conversion_row
from streams.words.errors import Rejected
from streams.words.model import Address, Attempt, Fate, Notification, Outcome, Outgoing

from .letters import FORGOTTEN, SentAs, chain_of, family, instead, letters_of, remembered
from .perform import Performance, Performed, attempt_of, signalled
from .row import KEPT, Alarm, Context, Effect, LaneRow, Turn, content_of, is_unchanged, kept, noted

#: A cancellation of what went out in another format, which leaves nothing to say (00 §7.23): for an operator.
NOT_CANCELLED: Final = "not-cancelled"


def post(row: LaneRow, message: Message, at: datetime, context: Context) -> Turn | Outcome:
    """The lane with a message on its way, and its first dispatch; or why it cannot leave.

    An outcome of an event that is not subject is final: the format has no form for the message, or the municipality has it.
    """
    of = message.outgoing
    routed = _routed(row, message, of, context)
    if isinstance(routed, Outcome):
        return routed
    address, plain, sent_as = routed
    if plain is not None:
        message, of = plain, plain.outgoing
    first, letter = attempt_of(context, of.lane, of.message_id, 1, address), None
    if isinstance(message, Notification) and FORMATS[address.format].letter:
        composed = _composed(row, message, address, first, context, afresh=sent_as is not None)
        if isinstance(composed, Outcome):
            return composed
        letter = composed
        try:
            content = LETTERS[address.format](letter)
        except Rejected as found:
            return Outcome(
                fate=Fate.STOPPED, reason="letter", path=found.path, problem=found.problem, remedy=found.remedy
            )
        sent_as = SentAs(to=of.to, form=address.format, letter=sent_letter(letter, message))
    else:
        if isinstance(message, Notification) and row.sent_as:
            message = replace(message, chain=chain_of(row.sent_as, message.chain))
        bundle = _checked(message, of.message_type, address, first, context)
        if isinstance(bundle, Outcome):
            return bundle
        content = bundle
    links, kept_content = kept(row, message, content, letter)
    delivery = Delivery(
        message_id=of.message_id,
        lane=of.lane,
        visit=of.visit,
        event_id=of.event_id,
        label=of.label,
        activity=of.activity,
        number=letter.number if letter is not None else "",
        message_type=of.message_type,
        sender=of.sender,
        address=address,
        created=at,
        attempts=(first,),
        content=kept_content,
    )
    performance = Performance(row, delivery, at, context, cpr=of.cpr)
    performance.create(delivery)
    if context.is_paused(of.to):  # kept until the resume, and no deadline begins (00 §3.6)
        kept_back = replace(delivery, retry=at + KEPT)
        delivery, effects = performance.of([Advance(delivery, kept_back)])
    else:
        performance.letter(delivery, content if letter is not None else _document(message, address, first, content))
        delivery, effects = performance.of(advance(delivery, hand_over_signal(delivery), at))
    shown: Iterable[Alarm | LedgerRow]
    if letter is not None and isinstance(message, Notification):
        shown = (_conversion(message, letter, delivery, at),)
    else:
        shown = second_opinion(delivery, content, context.sample)
    if row.sent_as or sent_as is not None:
        row = replace(row, sent_as=remembered(row.sent_as, of.message_id, sent_as))
    return replace(row, links=links).with_deliveries(delivery), (*effects, *map(Effect, shown))


def _conversion(message: Notification, letter: Letter, delivery: Delivery, at: datetime) -> LedgerRow:
    """What the letter does not say of the message, or says that the message does not: fields, and no word of a person."""
    differs: dict[str, list[str]] = {}
    for remark in differences(TO_LETTER, message, letter):
        fields = differs.setdefault(remark.kind, [])
        if remark.field not in fields:
            fields.append(remark.field)
    return conversion_row(at, delivery.message_id, delivery.address.format, delivery.lane, differs)


def _routed(
    row: LaneRow, message: Message, of: Outgoing, context: Context
) -> tuple[Address, Notification | None, SentAs | None] | Outcome:
    """Where the message goes, and what it says there instead: a correction or cancellation takes the format of the message
    that it names while that is accepted (05, 6.4.2), else it is the plain notice of the new state (00 §7.23).
    """
    registers = context.registers
    named = row.deliveries.get(of.previous)  # type: ignore[call-overload]  # a reference is text
    concerned = named.address.format if named is not None else ""
    if of.follows and named is None:
        before = row.sent_as.get(of.previous)  # type: ignore[call-overload]
        concerned = FORGOTTEN if before is None else before.form
    address = route(of, of.assembled, registers, concerns=concerned)
    if not of.follows:
        own = row.sent_as.get(of.message_id)  # of a message that is reissued
        return address if isinstance(address, Outcome) else (address, None, own)
    if isinstance(address, Outcome):
        as_it_is = address.fate is Fate.STOPPED or family(concerned) != "fhir"
    else:
        is_letter = FORMATS[address.format].letter
        as_it_is = family(address.format) == family(concerned) or (is_letter and not concerned)
    if as_it_is or not isinstance(message, Notification):
        return address if isinstance(address, Outcome) else (address, None, None)
    plain = instead(row.sent_as, message, concerned)
    if plain is None:
        return Outcome(fate=Fate.NOT_SUBJECT, reason=NOT_CANCELLED if concerned else "not-representable")
    address = route(plain.outgoing, of.assembled, registers)
    if isinstance(address, Outcome):
        return address
    return address, plain, SentAs(to=plain.to, form=address.format, says=plain.notice, activity=plain.activity)


def _composed(
    row: LaneRow, message: Notification, address: Address, first: Attempt, context: Context, *, afresh: bool
) -> Letter | Outcome:
    """The letter that says the notice. `afresh`: what the municipality has in other formats is not taken up."""
    municipality = context.registers.municipality(address.kommunekode, message.assembled)
    terms = LegacyTerms(
        gln=address.receiver.gln,
        kommunekode=address.kommunekode,
        name=f"{municipality.name} Kommune" if municipality is not None else "",
        send_acute_as_admission=address.send_acute_as_admission,
        cancel_on_class_change=address.cancel_on_class_change,
        positive_receipt=address.positive_receipt,
    )
    before = tuple(letters_of(row.sent_as, message, address.format if afresh else ""))
    ids = {"letter_id": first.envelope_id, "envelope_id": first.envelope_id}  # equal on the first dispatch (00 §6)
    return compose(message, before, terms, **ids, at=message.assembled)


def _document(message: Message, address: Address, first: Attempt, content: bytes) -> bytes:
    """The message in its form. `content`: in JSON."""
    writer = WRITERS[address.format]
    if writer is JSON:
        return content
    if isinstance(writer, Representation):
        document, _ = SENT[message.outgoing.message_type].compose(message, address.receiver, first.envelope_id, writer)
        return document
    return writer.write(from_json(content))


def second_opinion(delivery: Delivery, content: bytes, sample: int) -> Iterator[Alarm]:
    """What the public models would refuse of one new message in `sample`, which costs half a millisecond; 0 for none."""
    if not sample or int(delivery.message_id[-8:], 16) % sample:
        return
    for issue in border_check(from_json(content)):
        about = (delivery.message_id, delivery.address.kommunekode, delivery.state)
        yield Alarm("alert:border-check", *about, issue.rule, issue.path)


def _checked(
    message: Message, message_type: str, address: Address, first: Attempt, context: Context
) -> bytes | Outcome:
    """The message in JSON: written, checked and within the limit of size."""
    sending = SENT[message_type]
    if (lacking := sending.lacking(message)) is not None:
        return lacking
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
    return content


def send_pending_first(before: LaneRow, turn: Turn, at: datetime, context: Context) -> Turn:
    """No message of a lane overtakes another: what was refused or kept by a pause leaves before anything new.

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
        if context.is_paused(delivery.address.kommunekode):
            posted.append(Performed(replace(delivery, retry=at + KEPT), ()))
        elif delivery.state is DeliveryState.CREATED:  # the first dispatch once more: same ids, same content (00 §3.3)
            content = content_of(row, delivery)
            known = noted(delivery, content)  # nobody has had another
            performance = Performance(row, known, at, context)
            performance.letter_of(known, content)
            posted.append(performance.of(advance(known, hand_over_signal(known), at)))
        elif is_unchanged(row, delivery):
            posted.append(signalled(row, delivery, Signal.OP_RESEND, at, context))
        else:  # a person decides, as about every message that would not be the same
            alarm = Alarm("alert:timeout", delivery.message_id, delivery.address.kommunekode, delivery.state)
            posted.append(Performed(replace(delivery, retry=None), (Effect(alarm),)))
    row = row.with_deliveries(*(each.delivery for each in posted))
    return row, (*(effect for each in posted for effect in each.effects), *effects)
