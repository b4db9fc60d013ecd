"""A received acknowledgement as a value: which message it answers, with which verdict, and what is odd about it.

Decided by spec 02 §4.4: AV1 and AV2 say what is no acknowledgement at all (`Rejected`); AV4 to AV7 are facts that
stand in `Receipt.nonconformant` and that `judge.py` turns into a reaction. AV3, who may answer, is judged there too.
Some senders quote the wrong message, published examples among them; what the Provenance names instead is kept as a
fallback (correlation order of 4.4).
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, cast

from ...codes import (
    ACK_CODES,
    ACK_ERROR_SYSTEM,
    ACKNOWLEDGEMENT_EVENT,
    GLN_SYSTEMS_ACCEPTED,
    SOR_SYSTEM,
    Verdict,
)
from ...errors import Rejected
from ...formats.fhir.primitives import instant_of
from ...model import Issue, Receipt
from ..hospitalnotification.identifiers import gln_is_valid
from .parts import Bundle, Coding, Identifier, Reference, Resource, decoded, parts_of

__all__ = ["ACTIVITY", "Message", "faults", "read", "read_bytes"]

ACTIVITY: Final = "acknowledgement"  # of medcom-messaging-activityCodes: the answer itself (4.1)
_NOBODY: Final = Resource()
_NOWHERE: Final = Reference()
_NO_CODING: Final = Coding()


def read(bundle: dict[str, Any]) -> Receipt:
    """The receipt in a Bundle. Raises `Rejected` with rule `AV1` or `AV2` when it is no acknowledgement."""
    return receipt_of(Message(parts_of(bundle)))


def read_bytes(data: bytes, media: str = "") -> Receipt:
    """The receipt in a document of JSON or XML; `media` is its MIME type, empty when unknown.

    Raises `Rejected`: rule `AV1` or `AV2`, or that of the grammar for what cannot be read.
    """
    return receipt_of(Message(decoded(data, media)))


class Message:
    """The parts of one acknowledgement, found and resolved. Anything may be missing; then it is empty."""

    __slots__ = (
        "bundle",
        "destination",
        "destination_numbers",
        "header",
        "organizations",
        "outcomes",
        "own",
        "provenances",
        "sender",
        "sender_numbers",
    )

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        first = bundle.entry[0].resource if bundle.entry else _NOBODY
        self.header = first if first.resource_type == "MessageHeader" else _NOBODY
        self.provenances: list[Resource] = []
        self.outcomes: list[Resource] = []
        self.organizations: dict[str, Resource] = {}
        for entry in bundle.entry:
            resource = entry.resource
            if resource.resource_type == "Organization":
                self.organizations[resource.id] = resource
            elif resource.resource_type == "Provenance":
                self.provenances.append(resource)
            elif resource.resource_type == "OperationOutcome":
                self.outcomes.append(resource)
        self.sender = self.organization(self.header.sender)
        primary = self.header.destination[0].receiver if self.header.destination else _NOWHERE
        self.destination = self.organization(primary)
        self.sender_numbers = numbers(self.sender.identifier)
        self.destination_numbers = numbers(self.destination.identifier)
        self.own = self._own()

    def organization(self, reference: Reference) -> Resource:
        """The Organization a reference means, in whatever form it is written (00 §3.1); an empty one if none."""
        return self.organizations.get(bare(reference.reference), _NOBODY) if reference.reference else _NOBODY

    def _own(self) -> Resource:
        """The Provenance of the acknowledgement itself: about this header, else by its activity."""
        if not self.header.id:
            return _NOBODY
        for provenance in self.provenances:
            if target_of(provenance) == self.header.id:
                return provenance
        stray = [p for p in self.provenances if activity_of(p) == ACTIVITY and bare_what(p) == target_of(p) != ""]
        return stray[0] if stray else _NOBODY


def bare(written: str) -> str:
    """An id without base, type, version and `urn:uuid:`."""
    if "/_history/" in written:
        written = written.partition("/_history/")[0]
    return written.rpartition("/")[2].removeprefix("urn:uuid:")


def target_of(provenance: Resource) -> str:
    """The id of the message that a Provenance is about; empty when there is none."""
    return bare(provenance.target[0].reference) if provenance.target else ""


def activity_of(provenance: Resource) -> str:
    """The activity code, lower case (the system is not case-sensitive); empty when there is none."""
    return provenance.activity.coding[0].code.lower() if provenance.activity.coding else ""


def bare_what(provenance: Resource) -> str:
    """The id of the message or letter that entity.what names: `[lokationsnummer]#[brevid]` for a letter (4.1)."""
    what = provenance.entity[0].what if provenance.entity else _NOWHERE
    return bare(what.reference) if what.reference else what.identifier.value.rpartition("#")[2]


def receipt_of(message: Message) -> Receipt:
    """The value of a message; raises `Rejected` (AV1, AV2)."""
    _refuse(message)
    header, own_what = message.header, bare_what(message.own)
    quoted = header.response.identifier
    sender_sor, sender_gln = message.sender_numbers
    destination_sor, destination_gln = message.destination_numbers
    return Receipt(
        verdict=cast(Verdict, header.response.code),
        message_id=quoted,
        fallback_ids=() if not own_what or _same(own_what, quoted) else (own_what,),
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


def _same(one: str, other: str) -> bool:
    """Two ids as quoted: the form of reference and the case of a UUID are of no account (spec 01, 14.8)."""
    return one == other or bare(one).lower() == bare(other).lower()


def numbers(identifiers: Iterable[Identifier]) -> tuple[str, str]:
    """SOR code and location number of an Organization; empty where it has none."""
    sor = gln = ""
    for identifier in identifiers:
        if identifier.system == SOR_SYSTEM:
            sor = sor or identifier.value
        elif identifier.system in GLN_SYSTEMS_ACCEPTED:
            gln = gln or identifier.value
    return sor, gln


def issues_of(message: Message) -> Iterable[Issue]:
    """Every issue of the OperationOutcome. Unknown codes and plain texts are kept for the case (4.3)."""
    for outcome in message.outcomes:
        for issue in outcome.issue:
            codings = issue.details.coding
            coding = next((c for c in codings if c.system == ACK_ERROR_SYSTEM), codings[0] if codings else _NO_CODING)
            yield Issue(
                severity=issue.severity,
                code=issue.code,
                details_code=coding.code,
                details_system=coding.system,
                text=issue.details.text or issue.diagnostics,
            )


class _Need(NamedTuple):
    """Something without which a document is no acknowledgement."""

    check: str
    path: str
    met: Callable[[Message], object]
    problem: str
    remedy: str


_SENT: Final = "send an acknowledgement of MedCom's profile"
#: AV1 and AV2 (spec 02 §4.4), in the order they are looked at.
_NEEDS: Final = (
    _Need("AV1", "Bundle.resourceType", lambda m: m.bundle.resource_type == "Bundle", "not a Bundle", _SENT),
    _Need("AV1", "Bundle.type", lambda m: m.bundle.type == "message", "not a message", "send type message"),
    _Need("AV1", "Bundle.id", lambda m: m.bundle.id, "missing", "send a UUID, new for every dispatch"),
    _Need(
        "AV1",
        "Bundle.timestamp",
        lambda m: instant_of(m.bundle.timestamp),
        "not an instant",
        "send date, time and zone",
    ),
    _Need(
        "AV1",
        "Bundle.entry[0].resource",
        lambda m: m.header.resource_type,
        "the first entry is not a MessageHeader",
        "send MessageHeader first",
    ),
    _Need(
        "AV1",
        "Bundle.entry[0].resource.eventCoding.code",
        lambda m: m.header.event_coding.code == ACKNOWLEDGEMENT_EVENT,
        "another event than an acknowledgement",
        f"send {ACKNOWLEDGEMENT_EVENT}",
    ),
    _Need(
        "AV2",
        "Bundle.entry[0].resource.response.identifier",
        lambda m: m.header.response.identifier,
        "missing",
        "send MessageHeader.id of the message that is answered",
    ),
    _Need(
        "AV2",
        "Bundle.entry[0].resource.response.code",
        lambda m: m.header.response.code in ACK_CODES,
        "not one of the three verdicts",
        "send ok, transient-error or fatal-error",
    ),
)


def _refuse(message: Message) -> None:
    for need in _NEEDS:
        if not need.met(message):
            raise Rejected(need.path, need.problem, need.remedy, need.check)


class Fault(NamedTuple):
    """A check of 4.4 that the acknowledgement fails although its verdict can be read."""

    check: str  # AV4 to AV7
    path: str
    problem: str
    remedy: str


def faults(message: Message) -> list[Fault]:
    """What AV4 to AV7 find, as far as the document alone shows it. For any message."""
    found: list[Fault] = []
    for rule in (_parties, _quotes, _answers_an_answer, _outcome, _two_provenances, _one_receiver, _organizations):
        found += rule(message)
    return found


_HEADER: Final = "Bundle.entry[0].resource"


def _parties(message: Message) -> Iterable[Fault]:
    """AV4: whoever sent the original is answered, by whom it was sent to. The two Provenances name both."""
    header, own = message.header, message.own
    others = [p for p in message.provenances if p is not own]
    for provenance, party in ((own, message.sender), *((other, message.destination) for other in others[:1])):
        agent = message.organization(provenance.agent[0].who) if provenance.agent else _NOBODY
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
    if quoted and message.own is not _NOBODY:
        what = bare_what(message.own)
        if not what or not _same(what, quoted):
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
