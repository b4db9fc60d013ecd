"""The checks that an acknowledgement may fail without losing its verdict: AV4 to AV7 of spec 02 §4.4.

Each is a function over the `Message`; what its failure leads to is a row in `judge.py`. Only what the document alone
shows: whether header and original agree (AV4) is seen by the Provenance of the original that it carries.
"""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from streams.messages.hospitalnotification.identifiers import gln_is_valid

from .message import ACTIVITY, NOBODY, Message, activity_of, bare_what, same_id, target_of

__all__ = ["Fault", "faults"]


class Fault(NamedTuple):
    """A check of 4.4 that the acknowledgement fails although its verdict can be read."""

    check: str  # AV4 to AV7
    path: str
    problem: str
    remedy: str


def faults(message: Message) -> list[Fault]:
    """What AV4 to AV7 find, as far as the document alone shows it. For any message."""
    found: list[Fault] = []
    for rule in _RULES:
        found += rule(message)
    return found


_HEADER: Final = "Bundle.entry[0].resource"


def _parties(message: Message) -> Iterable[Fault]:
    """AV4: whoever sent the original is answered, by whom it was sent to. The two Provenances name both."""
    header, own = message.header, message.own
    others = [p for p in message.provenances if p is not own]
    for provenance, party in ((own, message.sender), *((other, message.destination) for other in others[:1])):
        agent = message.organization(provenance.agent[0].who) if provenance.agent else NOBODY
        if agent.id and party.id and agent.id != party.id:
            where = "sender" if provenance is own else "destination[0].receiver"
            problem = "another organization than the Provenances have acting"
            yield Fault("AV4", f"{_HEADER}.{where}", problem, "send sender and receiver of the message, swapped")
            return
    if header.id and message.sender.id and message.sender.id == message.destination.id:
        yield Fault("AV4", f"{_HEADER}.sender", "the same organization as the receiver", "answer the sender")


def _quotes(message: Message) -> Iterable[Fault]:
    """AV5: response.identifier and the own Provenance name the same message."""
    quoted = message.header.response.identifier
    if quoted and message.own is not NOBODY:
        what = bare_what(message.own)
        if not what or not same_id(what, quoted):
            problem = "not the message that Provenance.entity.what names"
            yield Fault(
                "AV5", f"{_HEADER}.response.identifier", problem, "send MessageHeader.id of the message in both"
            )


def _answers_an_answer(message: Message) -> Iterable[Fault]:
    """AV6: the message that is answered was itself an acknowledgement, as the copy of its Provenance says.

    A Provenance of this answer that is about the wrong message is not taken for such a copy: it names as its own
    predecessor what it is about.
    """
    others = [p for p in message.provenances if p is not message.own and target_of(p) != message.header.id]
    if others and all(activity_of(p) == ACTIVITY and bare_what(p) != target_of(p) for p in others):
        yield Fault("AV6", _HEADER, "answers an acknowledgement", "never acknowledge an acknowledgement (KR2.R)")


def _outcome(message: Message) -> Iterable[Fault]:
    if message.header.response.code not in ("ok", "") and not any(outcome.issue for outcome in message.outcomes):
        problem = "no OperationOutcome says why (medcom-acknowledgement-1)"
        yield Fault("AV7", f"{_HEADER}.response.details", problem, "send an OperationOutcome with the issues")


def _two_provenances(message: Message) -> Iterable[Fault]:
    if (count := len(message.provenances)) != 2:
        remedy = "send the newest Provenance of the message that is answered, and your own"
        yield Fault("AV7", "Bundle.entry", f"{count} Provenances, not exactly two", remedy)


def _one_receiver(message: Message) -> Iterable[Fault]:
    uses = [extension.value_coding.code for d in message.header.destination for extension in d.extension]
    if "cc" in uses:
        yield Fault("AV7", f"{_HEADER}.destination", "a copy receiver (cc)", "send to the primary receiver only")
    elif len(message.header.destination) > 1:
        yield Fault("AV7", f"{_HEADER}.destination", "more than one receiver", "send to the primary receiver only")


def _organizations(message: Message) -> Iterable[Fault]:
    for where, (sor, gln) in (
        ("sender", message.sender_numbers),
        ("destination[0].receiver", message.destination_numbers),
    ):
        if not (sor.isdigit() and gln_is_valid(gln)):
            problem = "no Organization in the message with SOR code and GLN"
            yield Fault("AV7", f"{_HEADER}.{where}", problem, "send both organizations complete")


_RULES: Final[tuple[Callable[[Message], Iterable[Fault]], ...]] = (
    _parties,  # AV4
    _quotes,  # AV5
    _answers_an_answer,  # AV6
    _outcome,  # AV7, and so the rest
    _two_provenances,
    _one_receiver,
    _organizations,
)
