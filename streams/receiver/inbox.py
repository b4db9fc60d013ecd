"""A municipality's whole answer to what lies in its inbox: one record in, the receipts it owes out (spec 02 §§2.4, 6.3).

Two layers answer, each for itself (02 §1, 6.4). The envelope layer reports whether the envelope could be read (checks V1
to V6, then V7 over the pair of envelope id and Bundle.id) and passes every readable message up, repeats included. The
message layer asks the reference subscriber (spec 01 §19) and answers with a FHIR acknowledgement. A message that was
answered before gets the same verdict in the same words, in a new acknowledgement in a new envelope (R8); receipts are
never answered (R2).

A message is the same when its header id, citizen, sender and episode are (01, 19.17). Ids of receipts stand for what
is answered and how often it was answered before, so a reader that begins again at the oldest record repeats itself.

Pure. What a user sees is in `Reception.subscriber`. Not here: SBDH, legacy letters (refused as unknown documents), and
any topic (streams/sim).
"""

from collections.abc import Container, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import uuid5

from msgspec.structs import replace

from streams.envelopes import vans
from streams.envelopes.vans import FHIR_JSON
from streams.formats.fhir.build import to_json
from streams.formats.fhir.read import document
from streams.messages.acknowledgement import issues_of_findings, write
from streams.messages.common import View, member, text_at
from streams.messages.hospitalnotification import HospitalNotification, read
from streams.messages.message_type import MESSAGE_TYPES
from streams.words.codes import ACKNOWLEDGEMENT, ACKNOWLEDGEMENT_EVENT, Verdict
from streams.words.errors import Rejected
from streams.words.ids import EDS_NAMESPACE, same_episode
from streams.words.model import ReceiptIssue, Value

from .stays import Subscriber, answer


class Settled(Value, frozen=True, kw_only=True):
    """A final verdict that was given, with its reasons: given again whenever the message comes again (R8, R9)."""

    message: HospitalNotification | None = None  # None where nothing in it names its notice
    verdict: Verdict
    issues: tuple[ReceiptIssue, ...] = ()


class Reception(Value, frozen=True, kw_only=True):
    """What a municipality knows of its citizens' stays and of what it has received; ids in lower case."""

    subscriber: Subscriber = Subscriber()
    envelopes: Mapping[str, str] = {}  # EnvelopeIdentifier -> MetaInformation/Identifier (V7)
    bundles: Mapping[str, str] = {}  # Bundle.id -> MessageHeader.id
    settled: Mapping[str, tuple[Settled, ...]] = {}  # by MessageHeader.id
    given: Mapping[str, int] = {}  # receipts given out for an envelope or a message, by its id

    def __repr__(self) -> str:
        return f"Reception({len(self.settled)} messages)"


#: One record answered: the state after it, and the receipts in the order they are sent.
Taken = tuple[Reception, tuple[bytes, ...]]

#: A Bundle.id seen with another message (6.3, last row).
_DUPLICATE_ID: Final = Settled(
    verdict="fatal-error",
    issues=(
        ReceiptIssue(
            severity="error",
            code="duplicate",
            details_code="MSG_DUPLICATE_ID",
            text="Bundle.id was used before for another message; send a new one with every dispatch",
        ),
    ),
)


def take(
    reception: Reception, data: bytes, at: datetime, *, ours: Container[str] | None = None, basis: bool = True
) -> Taken:
    """The reception after one record of the inbox, taken up at `at`, and the receipts for it. Never raises on content.

    `ours`: the receivers that V3 takes, None for any. Without `basis` no citizen has a case (01, 19.4). A bare
    document is answered bare.
    """
    beginning = data[:512].lstrip()
    if beginning[:1] == b"{" or (b"<Bundle" in beginning and b"VANSEnvelope" not in beginning):
        try:
            after, bundle = _answered(reception, data, at, basis)
        except Rejected:
            return reception, ()
        return after, () if bundle is None else (to_json(bundle),)
    try:
        opened = vans.open_envelope(data, ours=ours)
    except vans.EnvelopeRefused as refused:
        # The words of 02 §2.4 where it has any, else place and problem.
        problem = refused.problem if refused.rule in ("V3", "V5") else f"{refused.path}: {refused.problem}"
        return (reception, ()) if refused.answer is None else _receipt(reception, refused.answer, problem, at)
    meta = opened.meta
    if meta is None or opened.content_kind != "message":
        return reception, ()
    head = vans.Head(
        sender=opened.sender,
        sender_kind=opened.sender_kind,
        receiver=opened.receiver,
        receiver_kind=opened.receiver_kind,
        envelope_id=opened.envelope_id,
        meta=meta,
    )
    if not opened.media_type:
        return _receipt(reception, head, "unknown document type", at)
    if reception.envelopes.get(opened.envelope_id, meta.identifier) != meta.identifier:
        return _receipt(reception, head, "the envelope id was used before for another message", at)
    try:
        after, bundle = _answered(reception, opened.payload, at, basis)
    except Rejected as rejected:
        return _receipt(reception, head, rejected.problem, at)
    after = replace(after, envelopes={**after.envelopes, opened.envelope_id: meta.identifier})
    receipts: tuple[bytes, ...] = ()
    if meta.transport != "unreliable":
        after, receipts = _receipt(after, head, None, at)
    if bundle is None:
        return after, receipts
    # The acknowledgement, in an envelope from the unit that was addressed to the one that sent.
    verdict: Verdict = bundle["entry"][0]["resource"]["response"]["code"]
    acknowledgement = vans.seal_message(
        to_json(bundle),
        sender_gln=opened.receiver,
        receiver_gln=opened.sender,
        transport_id=_id("envelope", bundle["id"]),
        message_id=bundle["id"],
        sent=at,
        name=MESSAGE_TYPES[ACKNOWLEDGEMENT].document_name(verdict),
        version=MESSAGE_TYPES[ACKNOWLEDGEMENT].document_version,
        media_type=FHIR_JSON,
    )
    return after, (*receipts, acknowledgement)


def _receipt(reception: Reception, head: vans.Head, problem: str | None, at: datetime) -> Taken:
    """The receipt for an envelope (02 §2.4): a NegativeMessage where there is a problem."""
    after, number = _counted(reception, head.envelope_id)
    receipt = vans.seal_receipt(
        "positive-message" if problem is None else "negative-message",
        sender=head.receiver,
        receiver=head.sender,
        sender_kind=head.receiver_kind,
        receiver_kind=head.sender_kind,
        transport_id=_id("receipt", head.receiver, head.envelope_id, str(number)),
        sent=at,
        original_transport_id=head.envelope_id,
        original=head.meta,
        error=problem or "",
    )
    return after, (receipt,)


def _answered(
    reception: Reception, payload: bytes, at: datetime, basis: bool
) -> tuple[Reception, dict[str, Any] | None]:
    """The acknowledgement of a message; None for one that is itself an acknowledgement (KR2.R).

    Raises `Rejected` when the document does not name sender, receiver and message: there is no one to answer.
    """
    original = document(payload).resource  # `answer` reports what is wrong with its form
    view = View(original)
    if text_at(member(view.header[1], "eventCoding"), "code") == ACKNOWLEDGEMENT_EVENT:
        return reception, None
    message_id, envelope_id = text_at(view.header[1], "id") or "", text_at(original, "id") or ""
    settled_now, settled = _settled(reception, original, payload, (message_id, envelope_id), basis)
    after, number = _counted(settled_now, message_id)
    mint = ("acknowledgement", message_id, envelope_id, str(number))
    header_id, own_id = _id("MessageHeader", *mint), _id("Bundle", *mint)
    bundle = write(original, settled.verdict, settled.issues, header_id=header_id, envelope_id=own_id, at=at)
    if settled is _DUPLICATE_ID:
        return after, bundle
    return replace(after, bundles={**after.bundles, envelope_id: message_id}), bundle


def _settled(
    reception: Reception, original: dict[str, Any], payload: bytes, ids: tuple[str, str], basis: bool
) -> tuple[Reception, Settled]:
    """The verdict of 6.3: the stored one, or a new one by content."""
    message_id, envelope_id = ids
    if reception.bundles.get(envelope_id, message_id) != message_id:
        return reception, _DUPLICATE_ID
    try:
        message = read(original)
    except Rejected:
        message = None
    before = reception.settled.get(message_id, ())
    for settled in before:
        if is_same(settled.message, message):
            return reception, settled
    subscriber, answered = answer(reception.subscriber, payload, basis=basis)
    errors = issues_of_findings(issue for issue in answered.issues if issue.severity == "error")
    new = Settled(message=message, verdict=answered.acknowledgement, issues=errors)
    known = {**reception.settled, message_id: (*before, new)}
    return replace(reception, subscriber=subscriber, settled=known), new


def is_same(one: HospitalNotification | None, other: HospitalNotification | None) -> bool:
    """Whether two messages with one id are one: same citizen and sender, and an episode in common, or none in both."""
    (*whose, episodes), (*others, other_episodes) = _whose(one), _whose(other)
    shared = any(same_episode(a, b) for a in episodes for b in other_episodes)
    return whose == others and (shared or episodes == other_episodes)


def _whose(message: HospitalNotification | None) -> tuple[str, str, tuple[str, ...]]:
    """Citizen, sender and episodes of a message, as far as it names them."""
    if message is None:
        return "", "", ()
    return message.cpr, message.sender.sor, tuple(each.value for each in message.episode)


def _counted(reception: Reception, of: str) -> tuple[Reception, int]:
    """One more receipt for an envelope or a message; how many there were before."""
    number = reception.given.get(of, 0)
    return replace(reception, given={**reception.given, of: number + 1}), number


def _id(*parts: str) -> str:
    return str(uuid5(EDS_NAMESPACE, "|".join(parts)))
