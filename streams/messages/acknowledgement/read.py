"""A received acknowledgement as a value: which message it answers, with which verdict, and what is odd about it.

Decided by spec 02 §4.4: AV1 and AV2 say what is no acknowledgement at all (`Rejected`); AV4 to AV7 are faults that it may
have without losing its verdict, which stand in `Receipt.nonconformant` and which `judge.py` turns into a reaction. AV3,
who may answer, is judged there too. Each is seen only as far as the document alone shows: whether header and original
agree (AV4) by the Provenance of the original that it carries. Some senders quote the wrong message, published examples
among them; what the Provenance names instead is kept as a fallback (correlation order of 4.4).
"""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, cast

from streams.formats.fhir.shapes import instant_of
from streams.messages.common import Object, gln_is_valid
from streams.messages.message_type import type_of_activity
from streams.words.codes import (
    ACK_CODES,
    ACK_ERROR_SYSTEM,
    ACKNOWLEDGEMENT_EVENT,
    AUTHORITY,
    HOSPITAL_NOTIFICATION,
    Verdict,
)
from streams.words.errors import Rejected
from streams.words.model import Receipt, ReceiptIssue

from .message import (
    ABSENT,
    ACTIVITY,
    Coding,
    Message,
    activity_of,
    bare_what,
    decoded,
    parts_of,
    same_id,
    target_of,
)

__all__ = ["Fault", "faults", "issues_of", "read", "read_bytes", "receipt_of"]

_NO_CODING: Final = Coding()
_HEADER: Final = "Bundle.entry[0].resource"


def read(bundle: Object) -> Receipt:
    """The receipt in a Bundle. Raises `Rejected` with rule `AV1` or `AV2` when it is no acknowledgement."""
    return receipt_of(Message(parts_of(bundle)))


def read_bytes(data: bytes, media: str = "") -> Receipt:
    """The receipt in a document of JSON or XML; `media` is its MIME type, empty when unknown.

    Raises `Rejected`: rule `AV1` or `AV2`, or that of the grammar for what cannot be read.
    """
    return receipt_of(Message(decoded(data, media)))


def receipt_of(message: Message) -> Receipt:
    """The value of a message; raises `Rejected` (AV1, AV2)."""
    for need in _NEEDS:
        if not need.met(message):
            raise Rejected(need.path, need.problem, need.remedy, need.check)
    header, own_what = message.header, bare_what(message.own)
    quoted = header.response.identifier
    sender_sor, sender_gln = message.sender_numbers
    destination_sor, destination_gln = message.destination_numbers
    return Receipt(
        verdict=cast(Verdict, header.response.code),
        message_id=quoted,
        fallback_ids=() if not own_what or same_id(own_what, quoted) else (own_what,),
        answers=_type_answered(message),
        ack_message_id=header.id,
        ack_envelope_id=message.bundle.id,
        sender_gln=sender_gln,
        sender_sor=sender_sor,
        destination_gln=destination_gln,
        destination_sor=destination_sor,
        issues=tuple(issues_of(message)) if message.outcomes else (),
        nonconformant=tuple(dict.fromkeys(fault.check for fault in faults(message))),
        statistics=header.response.code,
    )


def _type_answered(message: Message) -> str:
    """The type of the message that is answered: the copy of its newest Provenance says its activity."""
    for provenance in message.provenances:
        if provenance is not message.own and (answered := type_of_activity(activity_of(provenance))):
            return answered
    return HOSPITAL_NOTIFICATION


def issues_of(message: Message) -> Iterable[ReceiptIssue]:
    """Every issue of the OperationOutcome. Unknown codes and plain texts are kept for the case (4.3)."""
    for outcome in message.outcomes:
        for issue in outcome.issue:
            codings = issue.details.coding
            coding = next((c for c in codings if c.system == ACK_ERROR_SYSTEM), codings[0] if codings else _NO_CODING)
            yield ReceiptIssue(
                severity=issue.severity,
                code=issue.code,
                details_code=coding.code,
                details_system=coding.system,
                text=issue.details.text or issue.diagnostics,
            )


class Need(NamedTuple):
    """Something without which a document is no acknowledgement."""

    check: str
    path: str
    met: Callable[[Message], object]
    problem: str
    remedy: str


_SENT: Final = f"send an acknowledgement of {AUTHORITY}'s profile"
#: AV1 and AV2 (spec 02 §4.4), in the order they are looked at.
_NEEDS: Final = (
    Need("AV1", "Bundle.resourceType", lambda m: m.bundle.resource_type == "Bundle", "not a Bundle", _SENT),
    Need("AV1", "Bundle.type", lambda m: m.bundle.type == "message", "not a message", "send type message"),
    Need("AV1", "Bundle.id", lambda m: m.bundle.id, "missing", "send a UUID, new for every dispatch"),
    Need(
        "AV1",
        "Bundle.timestamp",
        lambda m: instant_of(m.bundle.timestamp),
        "not an instant",
        "send date, time and zone",
    ),
    Need(
        "AV1",
        _HEADER,
        lambda m: m.header.resource_type,
        "the first entry is not a MessageHeader",
        "send MessageHeader first",
    ),
    Need(
        "AV1",
        f"{_HEADER}.eventCoding.code",
        lambda m: m.header.event_coding.code == ACKNOWLEDGEMENT_EVENT,
        "another event than an acknowledgement",
        f"send {ACKNOWLEDGEMENT_EVENT}",
    ),
    Need(
        "AV2",
        f"{_HEADER}.response.identifier",
        lambda m: m.header.response.identifier,
        "missing",
        "send MessageHeader.id of the message that is answered",
    ),
    Need(
        "AV2",
        f"{_HEADER}.response.code",
        lambda m: m.header.response.code in ACK_CODES,
        "not one of the three verdicts",
        "send ok, transient-error or fatal-error",
    ),
)


class Fault(NamedTuple):
    """A check of 4.4 that the acknowledgement fails although its verdict can be read."""

    check: str  # AV4 to AV7
    path: str
    problem: str
    remedy: str


def faults(message: Message) -> list[Fault]:
    """What AV4 to AV7 find, as far as the document alone shows it. For any message."""
    return [fault for rule in RULES for fault in rule(message)]


def parties(message: Message) -> Iterable[Fault]:
    """AV4: the sender of the original is answered by its receiver. The two Provenances name both."""
    header, own = message.header, message.own
    others = [p for p in message.provenances if p is not own]
    for provenance, party in ((own, message.sender), *((other, message.destination) for other in others[:1])):
        agent = message.organization(provenance.agent[0].who) if provenance.agent else ABSENT
        if agent.id and party.id and agent.id != party.id:
            where = "sender" if provenance is own else "destination[0].receiver"
            problem = "another organization than the Provenances have acting"
            yield Fault("AV4", f"{_HEADER}.{where}", problem, "send sender and receiver of the message, swapped")
            return
    if header.id and message.sender.id and message.sender.id == message.destination.id:
        yield Fault("AV4", f"{_HEADER}.sender", "the same organization as the receiver", "answer the sender")


def quotes(message: Message) -> Iterable[Fault]:
    """AV5: response.identifier and the own Provenance name the same message."""
    quoted = message.header.response.identifier
    if quoted and message.own is not ABSENT:
        what = bare_what(message.own)
        if not what or not same_id(what, quoted):
            problem = "not the message that Provenance.entity.what names"
            yield Fault(
                "AV5", f"{_HEADER}.response.identifier", problem, "send MessageHeader.id of the message in both"
            )


def answers_an_answer(message: Message) -> Iterable[Fault]:
    """AV6: the message that is answered was itself an acknowledgement, as the copy of its Provenance says.

    A Provenance of this answer that is about the wrong message is not taken for such a copy: it names as its own
    predecessor what it is about.
    """
    others = [p for p in message.provenances if p is not message.own and target_of(p) != message.header.id]
    if others and all(activity_of(p) == ACTIVITY and bare_what(p) != target_of(p) for p in others):
        yield Fault("AV6", _HEADER, "answers an acknowledgement", "never acknowledge an acknowledgement (KR2.R)")


def outcome_given(message: Message) -> Iterable[Fault]:
    """AV7: a negative verdict has its reasons."""
    if message.header.response.code not in ("ok", "") and not any(outcome.issue for outcome in message.outcomes):
        problem = "no OperationOutcome says why (medcom-acknowledgement-1)"
        yield Fault("AV7", f"{_HEADER}.response.details", problem, "send an OperationOutcome with the issues")


def two_provenances(message: Message) -> Iterable[Fault]:
    """AV7: the Provenance of the original and the own one."""
    if (count := len(message.provenances)) != 2:
        remedy = "send the newest Provenance of the message that is answered, and your own"
        yield Fault("AV7", "Bundle.entry", f"{count} Provenances, not exactly two", remedy)


def one_receiver(message: Message) -> Iterable[Fault]:
    """AV7: the primary receiver, and no other."""
    uses = [extension.value_coding.code for d in message.header.destination for extension in d.extension]
    if "cc" in uses:
        yield Fault("AV7", f"{_HEADER}.destination", "a copy receiver (cc)", "send to the primary receiver only")
    elif len(message.header.destination) > 1:
        yield Fault("AV7", f"{_HEADER}.destination", "more than one receiver", "send to the primary receiver only")


def organizations(message: Message) -> Iterable[Fault]:
    """AV7: sender and receiver are here, with SOR code and GLN."""
    for where, (sor, gln) in (
        ("sender", message.sender_numbers),
        ("destination[0].receiver", message.destination_numbers),
    ):
        if not (sor.isdigit() and gln_is_valid(gln)):
            problem = "no Organization in the message with SOR code and GLN"
            yield Fault("AV7", f"{_HEADER}.{where}", problem, "send both organizations complete")


RULES: Final[tuple[Callable[[Message], Iterable[Fault]], ...]] = (
    parties,  # AV4
    quotes,  # AV5
    answers_an_answer,  # AV6
    outcome_given,  # AV7, and so the rest
    two_provenances,
    one_receiver,
    organizations,
)
