"""A received acknowledgement as a value: which message it answers, with which verdict, and what is odd about it.

Decided by spec 02 §4.4: AV1 and AV2 say what is no acknowledgement at all (`Rejected`); AV4 to AV7 are facts
(`faults.py`) that stand in `Receipt.nonconformant` and that `judge.py` turns into a reaction. AV3, who may answer, is
judged there too. Some senders quote the wrong message, published examples among them; what the Provenance names
instead is kept as a fallback (correlation order of 4.4).
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, cast

from streams.formats.fhir.primitives import instant_of
from streams.words.codes import ACK_CODES, ACK_ERROR_SYSTEM, ACKNOWLEDGEMENT_EVENT, AUTHORITY, Verdict
from streams.words.errors import Rejected
from streams.words.model import Receipt, ReceiptIssue

from .faults import faults
from .message import Message, bare_what, same_id
from .parts import Coding, decoded, parts_of

__all__ = ["issues_of", "read", "read_bytes", "receipt_of"]

_NO_CODING: Final = Coding()


def read(bundle: dict[str, Any]) -> Receipt:
    """The receipt in a Bundle. Raises `Rejected` with rule `AV1` or `AV2` when it is no acknowledgement."""
    return receipt_of(Message(parts_of(bundle)))


def read_bytes(data: bytes, media: str = "") -> Receipt:
    """The receipt in a document of JSON or XML; `media` is its MIME type, empty when unknown.

    Raises `Rejected`: rule `AV1` or `AV2`, or that of the grammar for what cannot be read.
    """
    return receipt_of(Message(decoded(data, media)))


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
        fallback_ids=() if not own_what or same_id(own_what, quoted) else (own_what,),
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


class _Need(NamedTuple):
    """Something without which a document is no acknowledgement."""

    check: str
    path: str
    met: Callable[[Message], object]
    problem: str
    remedy: str


_SENT: Final = f"send an acknowledgement of {AUTHORITY}'s profile"
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
