"""A received acknowledgement: its parts, and as a value which message it answers, with which verdict, and what is odd.

A topic of receipts is read at full speed, so JSON goes straight into the structs below: the parts that the meaning hangs
on, decoded once and typed. No dict is built, no element without a use here is kept. Where a document does not have the
types of FHIR, the slow way is taken: it is read strictly, what has the wrong type is left out, and the rest is seen as if
it stood alone. So one broken narrative costs no verdict.

Tolerant by design: absent values are empty, and how ids and references are written is of no account (00 §3.1: absolute,
relative, `urn:uuid:`). Decided by spec 02 §4.1 (which elements) and FHIR R4 (their types). What the strict reading
refuses in elements without a use here (a member given twice, endless numbers) the fast way lets pass.

The value is decided by spec 02 §4.4: AV1 and AV2 decide what is no acknowledgement at all (`Rejected`); AV4 to AV7 are
faults that it may have without losing its verdict, which stand in `Receipt.nonconformant` and which `check.py` turns into
a reaction. AV3, who may answer, is judged there too. Each is seen only as far as the document alone shows: whether header
and original agree (AV4) by the Provenance of the original that it carries. Some senders quote the wrong message, published
examples among them; what the Provenance names instead is kept as a fallback (correlation order of 4.4).
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, cast, get_args, get_origin

import msgspec

from streams.formats.fhir.read import LIMIT, document, from_json, read_xml
from streams.formats.fhir.shapes import instant_of
from streams.messages.common import Object, gln_is_valid
from streams.messages.message_type import type_of_activity
from streams.words.codes import (
    ACK_CODES,
    ACK_ERROR_SYSTEM,
    ACKNOWLEDGEMENT_EVENT,
    AUTHORITY,
    GLN_SYSTEMS_ACCEPTED,
    HOSPITAL_NOTIFICATION,
    SOR_SYSTEM,
    Verdict,
)
from streams.words.errors import Rejected
from streams.words.model import Receipt, ReceiptIssue

ACTIVITY: Final = "acknowledgement"  # of medcom-messaging-activityCodes: the answer itself (4.1)


class _Part(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """Base of every part: every field has a default, unknown members are passed over."""


class Coding(_Part, frozen=True):
    """A code with its system."""

    system: str = ""
    code: str = ""


class Coded(_Part, frozen=True):
    """A CodeableConcept."""

    coding: tuple[Coding, ...] = ()
    text: str = ""


class Identifier(_Part, frozen=True):
    """An identifier with its system."""

    system: str = ""
    value: str = ""


class Reference(_Part, frozen=True):
    """A reference by address, or by identifier for a legacy letter."""

    reference: str = ""
    identifier: Identifier = Identifier()


class DestinationUse(_Part, frozen=True):
    """The extension of a destination with its use: primary or cc."""

    url: str = ""
    value_coding: Coding = Coding()


class Destination(_Part, frozen=True):
    """To whom the message goes."""

    extension: tuple[DestinationUse, ...] = ()
    receiver: Reference = Reference()


class Response(_Part, frozen=True):
    """The answer: to which message, and what."""

    identifier: str = ""
    code: str = ""
    details: Reference = Reference()


class Agent(_Part, frozen=True):
    """Who acted."""

    who: Reference = Reference()


class Entity(_Part, frozen=True):
    """What was acted upon."""

    role: str = ""
    what: Reference = Reference()


class OutcomeIssue(_Part, frozen=True):
    """One issue of an OperationOutcome."""

    severity: str = ""
    code: str = ""
    details: Coded = Coded()
    diagnostics: str = ""


class Resource(_Part, frozen=True):
    """A resource of any type: the elements of MessageHeader, Organization, Provenance and OperationOutcome together."""

    resource_type: str = ""
    id: str = ""
    event_coding: Coding = Coding()
    destination: tuple[Destination, ...] = ()
    sender: Reference = Reference()
    response: Response = Response()
    identifier: tuple[Identifier, ...] = ()
    target: tuple[Reference, ...] = ()
    activity: Coded = Coded()
    agent: tuple[Agent, ...] = ()
    entity: tuple[Entity, ...] = ()
    issue: tuple[OutcomeIssue, ...] = ()


class BundleEntry(_Part, frozen=True):
    """One entry of the Bundle."""

    full_url: str = ""
    resource: Resource = Resource()


class Bundle(_Part, frozen=True):
    """The whole message."""

    resource_type: str = ""
    id: str = ""
    type: str = ""
    timestamp: str = ""
    entry: tuple[BundleEntry, ...] = ()


ABSENT: Final = Resource()
_NO_REFERENCE: Final = Reference()

#: Escapes that may hide a character that no FHIR text has: control characters and U+FFFE, U+FFFF.
_SUSPICIOUS: Final = re.compile(rb"\\u(?:00[01]|[fF]{3}[eEfF])")
_DECODER: Final = msgspec.json.Decoder(Bundle)


def decoded(data: bytes, media: str = "") -> Bundle:
    """The parts of a document in bytes. `media`: its MIME type; empty when the sender did not name it (02 C12).

    Raises `Rejected` when it cannot be read at all.
    """
    if not (media or data[:1] == b"{"):
        return parts_of(document(data).resource)
    if "xml" in media:
        return parts_of(read_xml(data).resource)
    if len(data) <= LIMIT and (b"\\u" not in data or _SUSPICIOUS.search(data) is None):
        try:
            return _DECODER.decode(data)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            pass
    return parts_of(from_json(data))


def parts_of(bundle: Any) -> Bundle:
    """The parts of a Bundle in a dict, or of what claims to be one. Never raises."""
    return msgspec.convert(_fitting(bundle, Bundle), Bundle)


def _fitting(value: Any, type_: Any) -> Any:
    """The value without what has another type than FHIR gives it; list items keep their places."""
    if type_ is str:
        return value if isinstance(value, str) else ""
    if get_origin(type_) is tuple:
        inner = get_args(type_)[0]
        return [_fitting(item, inner) for item in value] if isinstance(value, list) else []
    if not isinstance(value, dict):
        return {}
    return {
        field.encode_name: _fitting(value[field.encode_name], field.type)
        for field in msgspec.structs.fields(type_)
        if field.encode_name in value
    }


class Parts:
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
        first = bundle.entry[0].resource if bundle.entry else ABSENT
        self.header = first if first.resource_type == "MessageHeader" else ABSENT
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
        primary = self.header.destination[0].receiver if self.header.destination else _NO_REFERENCE
        self.destination = self.organization(primary)
        self.sender_numbers = _numbers(self.sender.identifier)
        self.destination_numbers = _numbers(self.destination.identifier)
        self.own = ABSENT  # the Provenance of the acknowledgement itself: about this header, else by its activity
        if self.header.id:
            own = [p for p in self.provenances if target_of(p) == self.header.id]
            stray = own or [
                p for p in self.provenances if activity_of(p) == ACTIVITY and bare_what(p) == target_of(p) != ""
            ]
            self.own = stray[0] if stray else ABSENT

    def organization(self, reference: Reference) -> Resource:
        """The Organization a reference means, in whatever form it is written (00 §3.1); an empty one if none."""
        return self.organizations.get(_bare(reference.reference), ABSENT) if reference.reference else ABSENT


def _bare(written: str) -> str:
    """An id without base, type, version and `urn:uuid:`."""
    if "/_history/" in written:
        written = written.partition("/_history/")[0]
    return written.rpartition("/")[2].removeprefix("urn:uuid:")


def target_of(provenance: Resource) -> str:
    """The id of the message that a Provenance is about; empty when there is none."""
    return _bare(provenance.target[0].reference) if provenance.target else ""


def activity_of(provenance: Resource) -> str:
    """The activity code, lower case (the system is not case-sensitive); empty when there is none."""
    return provenance.activity.coding[0].code.lower() if provenance.activity.coding else ""


def bare_what(provenance: Resource) -> str:
    """The id of the message or letter that entity.what names: `[lokationsnummer]#[brevid]` for a letter (4.1)."""
    what = provenance.entity[0].what if provenance.entity else _NO_REFERENCE
    return _bare(what.reference) if what.reference else what.identifier.value.rpartition("#")[2]


def same_id(one: str, other: str) -> bool:
    """Two ids as quoted: the form of reference and the case of a UUID are of no account (spec 01, 14.8)."""
    return one == other or _bare(one).lower() == _bare(other).lower()


def _numbers(identifiers: tuple[Identifier, ...]) -> tuple[str, str]:
    """SOR code and location number of an Organization; empty where it has none."""
    sor = gln = ""
    for identifier in identifiers:
        if identifier.system == SOR_SYSTEM:
            sor = sor or identifier.value
        elif identifier.system in GLN_SYSTEMS_ACCEPTED:
            gln = gln or identifier.value
    return sor, gln


# ---- the acknowledgement as a value ------------------------------------------------------------------------------------

_NO_CODING: Final = Coding()
_HEADER: Final = "Bundle.entry[0].resource"


def read(bundle: Object) -> Receipt:
    """The receipt in a Bundle. Raises `Rejected` with rule `AV1` or `AV2` when it is no acknowledgement."""
    return receipt_of(Parts(parts_of(bundle)))


def read_bytes(data: bytes, media: str = "") -> Receipt:
    """The receipt in a document of JSON or XML; `media` is its MIME type, empty when unknown.

    Raises `Rejected`: rule `AV1` or `AV2`, or that of the grammar for what cannot be read.
    """
    return receipt_of(Parts(decoded(data, media)))


def receipt_of(message: Parts) -> Receipt:
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


def _type_answered(message: Parts) -> str:
    """The type of the message that is answered: the copy of its newest Provenance has its activity."""
    for provenance in message.provenances:
        if provenance is not message.own and (activity := activity_of(provenance)) != ACTIVITY:
            return type_of_activity(activity)
    return HOSPITAL_NOTIFICATION


def issues_of(message: Parts) -> Iterable[ReceiptIssue]:
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
    met: Callable[[Parts], object]
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


def faults(message: Parts) -> list[Fault]:
    """What AV4 to AV7 find, as far as the document alone shows it. For any message."""
    return [fault for rule in RULES for fault in rule(message)]


def parties(message: Parts) -> Iterable[Fault]:
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


def quotes(message: Parts) -> Iterable[Fault]:
    """AV5: response.identifier and the own Provenance name the same message."""
    quoted = message.header.response.identifier
    if quoted and message.own is not ABSENT:
        what = bare_what(message.own)
        if not what or not same_id(what, quoted):
            problem = "not the message that Provenance.entity.what names"
            yield Fault(
                "AV5", f"{_HEADER}.response.identifier", problem, "send MessageHeader.id of the message in both"
            )


def answers_an_answer(message: Parts) -> Iterable[Fault]:
    """AV6: the message that is answered was itself an acknowledgement, by the copy of its Provenance.

    A Provenance of this answer that is about the wrong message is not taken for such a copy: it names as its own
    predecessor what it is about.
    """
    others = [p for p in message.provenances if p is not message.own and target_of(p) != message.header.id]
    if others and all(activity_of(p) == ACTIVITY and bare_what(p) != target_of(p) for p in others):
        yield Fault("AV6", _HEADER, "answers an acknowledgement", "never acknowledge an acknowledgement (KR2.R)")


def outcome_given(message: Parts) -> Iterable[Fault]:
    """AV7: a negative verdict has its reasons."""
    if message.header.response.code not in ("ok", "") and not any(outcome.issue for outcome in message.outcomes):
        problem = "no OperationOutcome says why (medcom-acknowledgement-1)"
        yield Fault("AV7", f"{_HEADER}.response.details", problem, "send an OperationOutcome with the issues")


def two_provenances(message: Parts) -> Iterable[Fault]:
    """AV7: the Provenance of the original and the own one."""
    if (count := len(message.provenances)) != 2:
        remedy = "send the newest Provenance of the message that is answered, and your own"
        yield Fault("AV7", "Bundle.entry", f"{count} Provenances, not exactly two", remedy)


def one_receiver(message: Parts) -> Iterable[Fault]:
    """AV7: the primary receiver, and no other."""
    uses = [extension.value_coding.code for d in message.header.destination for extension in d.extension]
    if "cc" in uses:
        yield Fault("AV7", f"{_HEADER}.destination", "a copy receiver (cc)", "send to the primary receiver only")
    elif len(message.header.destination) > 1:
        yield Fault("AV7", f"{_HEADER}.destination", "more than one receiver", "send to the primary receiver only")


def organizations(message: Parts) -> Iterable[Fault]:
    """AV7: sender and receiver are here, with SOR code and GLN."""
    for where, (sor, gln) in (
        ("sender", message.sender_numbers),
        ("destination[0].receiver", message.destination_numbers),
    ):
        if not (sor.isdigit() and gln_is_valid(gln)):
            problem = "no Organization in the message with SOR code and GLN"
            yield Fault("AV7", f"{_HEADER}.{where}", problem, "send both organizations complete")


RULES: Final[tuple[Callable[[Parts], Iterable[Fault]], ...]] = (
    parties,  # AV4
    quotes,  # AV5
    answers_an_answer,  # AV6
    outcome_given,  # AV7, and so the rest
    two_provenances,
    one_receiver,
    organizations,
)
