"""What a stay was notified of otherwise than by its notices in FHIR, and what later messages make of it (00 §§7.23, 7.24).

A municipality takes letters until a day, and FHIR from that day on; a letter cannot say everything. So the row remembers
of a message that it left as a letter, that it said the new state instead of a correction, or that nothing left: as long as
the stay is known, also when the delivery is forgotten. Messages that left as what they are need no such memory.

From it follow the chain of a FHIR message, which holds what was *sent* (05 §6.4): after a letter it begins with one
Provenance that names the letter, and what had no form is not in it. And what a correction or cancellation says when the
format of what it concerns is no longer accepted: the plain notice of the new state (00 §7.23).
"""

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec.structs import replace

from streams.messages.legacy.compose import ADMITTED, SentLetter
from streams.stay.notify import new_state
from streams.stay.state import ChainStep
from streams.words.codes import Family, Notice
from streams.words.ids import Kommunekode, MessageId
from streams.words.model import Link, Notification, PriorNotice, PriorStay, Value
from streams.words.times import danish

#: Of the one whose format is looked for: `Address.format` of a message that the row no longer knows.
FORGOTTEN: Final = "fhir-json"


class SentAs(Value, frozen=True, kw_only=True):
    """How a message of a stay left, when it did not leave as its own notice in FHIR."""

    to: Kommunekode
    form: str = ""  # a row of `FORMATS`; "": nothing left
    letter: SentLetter | None = None
    says: Notice | None = None  # the notice of the new state that left instead of a correction or cancellation
    activity: str = ""  # of that


Memory = dict[MessageId, SentAs]


def family(form: str) -> str:
    """Its format as registers name it."""
    return form.partition("-")[0]


def chain_of(sent_as: Memory, chain: tuple[Link, ...]) -> tuple[Link, ...]:
    """The chain of what was sent in FHIR since the last letter; the first after a letter points back to it (01, 15.9)."""
    if not sent_as:
        return chain
    found: list[Link] = []
    letter = ""
    for link in chain:
        known = sent_as.get(link.message_id)
        if known is not None and not known.form:
            continue
        if known is not None and known.letter is not None:
            found, letter = [], f"{link.agent.gln}#{known.letter.letter_id}"
            continue
        if known is not None and known.says is not None:
            link = replace(link, notice=known.says, activity=known.activity, role="revision")
        if not found:
            link = replace(link, role="revision" if letter else "", previous="", previous_letter=letter)
        elif not any(each.message_id == link.previous for each in found):
            link = replace(link, previous=found[-1].message_id, role=link.role or "revision")
        found.append(link)
    return tuple(found)


def letters_of(sent_as: Memory, notification: Notification, form: str = "") -> Iterable[SentLetter]:
    """The letters sent to the municipality of a notification about its chain, oldest first; with `form` of that alone."""
    for link in notification.chain[:-1]:
        known = sent_as.get(link.message_id)
        if (
            known is not None
            and known.letter is not None
            and known.to == notification.to
            and known.form.startswith(form)
        ):
            yield known.letter


def instead(sent_as: Memory, notification: Notification, concerned: str) -> Notification | None:
    """What a correction or cancellation says in another format than that of the message it concerns (00 §7.23).

    `concerned`: the format of that one, "" when it had no form. None: there is nothing left to say.
    """
    plain = new_state(notification)
    if plain is None or concerned or notification.notice.is_correction:
        return plain
    # What is taken back was never sent, so the state before it holds; it is news where it had no form either.
    known = (sent_as.get(link.message_id) for link in notification.chain if link.notice.family is plain.notice.family)
    return None if any(each is None or each.form for each in known) else plain


def taken_over(prior: PriorStay, chain: Sequence[ChainStep]) -> Memory:
    """How the notices of a stay that stood before had left: `chain` begins with theirs."""
    return {
        step.message_id: SentAs(to=one.to, form=one.format, letter=_sent_letter(one) if one.format else None)
        for step, one in zip(chain, prior.notices, strict=False)
        if family(one.format) != "fhir"
    }


def _sent_letter(one: PriorNotice) -> SentLetter:
    """A letter of an admission: no other notice of an open stay has one."""
    occurred = danish(one.time).replace(tzinfo=None, fold=0, second=0)
    return SentLetter(
        letter_id=one.id,
        notice=one.notice,
        number="20",
        status="nytbrev",
        patient_status=ADMITTED,
        occurred=occurred,
        class_="EMER" if one.notice.family is Family.STAA else "IMP",
    )


def remembered(sent_as: Memory, message_id: MessageId, one: SentAs | None) -> Memory:
    """The memory with this about a message; None: it left as what it is."""
    if one is None:
        return {key: value for key, value in sent_as.items() if key != message_id} if message_id in sent_as else sent_as
    return sent_as | {message_id: one}
