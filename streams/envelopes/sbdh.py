"""The EHMI envelope (ehmiSBDH), opened and inspected: the successor of the VANSEnvelope on eDelivery.

Decided by spec 02 §3. Receipts are matched by the header only (§3.2): the published payloads of receipts cannot be
read. What §3.3 names as a defect of published material is a warning; every other departure is an error.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from streams.words.errors import Issue, Rejected
from streams.words.model import NetworkReceipt
from streams.words.times import local_time

from .grammar import root_of
from .sbdh_check import SCHEMA, issues_of
from .sbdh_rules import KINDS, Kind
from .sbdh_tree import answered, error_of, payload_of, scopes_of, texts

__all__ = ["OpenedSbdh", "inspect", "open_envelope"]

KIND: Final = "sbdh"
#: Prefix of a location number in a participant identifier (spec 02 §3.1).
_GLN_SCHEME: Final = "0088:"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedSbdh:
    """An envelope that keeps the schema, but for tolerated defects. Texts are trimmed, ids in lower case; "" is absent."""

    envelope_id: str
    sender: str  # bare GLN, as in a VANSEnvelope
    receiver: str
    created: datetime
    standard: str
    version: str
    content_kind: Kind
    scopes: dict[str, str]  # the first of each type
    original_envelope_id: str = ""  # of a receipt: InstanceIdentifier of the envelope it answers
    media_type: str
    payload: bytes
    error: str = ""  # of an exception: reason and message, when its payload can be read
    warnings: tuple[Issue, ...] = ()

    def __repr__(self) -> str:
        return f"OpenedSbdh({self.content_kind}, {self.envelope_id})"

    def network_receipt(self, origin: str = "") -> NetworkReceipt | None:
        """The receipt it is, None when it holds a message. `origin`: topic/partition/offset of its arrival."""
        if self.content_kind == "message":
            return None
        return NetworkReceipt(
            positive=self.content_kind == "receipt-acknowledgement",
            original_transport_id=self.original_envelope_id,
            transport_id=self.envelope_id,
            transport_sender=self.sender,
            layer="sbdh",
            description=self.error,
            origin=origin,
        )


def open_envelope(data: bytes) -> OpenedSbdh:
    """Opens an EHMI envelope. Raises `Rejected` with the first departure that is no tolerated defect."""
    root = root_of(data, SCHEMA)
    issues = issues_of(root)
    worst = next((issue for issue in issues if issue.severity == "error"), None)
    if worst is not None:
        raise Rejected(worst.path, worst.problem, worst.remedy, worst.rule)
    text, scopes = texts(root), scopes_of(root)
    kind = KINDS[text("DocumentIdentification", "Type") or ""]
    payload = payload_of(root)
    created = datetime.fromisoformat(text("DocumentIdentification", "CreationDateAndTime") or "")
    return OpenedSbdh(
        envelope_id=(text("DocumentIdentification", "InstanceIdentifier") or "").lower(),
        sender=(text("Sender", "Identifier") or "").removeprefix(_GLN_SCHEME),
        receiver=(text("Receiver", "Identifier") or "").removeprefix(_GLN_SCHEME),
        created=created if created.tzinfo is not None else local_time(created),
        standard=(text("DocumentIdentification", "Standard") or "").lower(),
        version=text("DocumentIdentification", "TypeVersion") or "",
        content_kind=kind,
        scopes=scopes,
        original_envelope_id="" if kind == "message" else (answered(root, scopes) or "").lower(),
        media_type=root[-1].get("mimeType"),
        payload=payload,
        error=error_of(payload) if kind == "exception" else "",
        warnings=tuple(issues),
    )


def inspect(data: bytes, inside: Callable[[bytes], dict[str, Any]]) -> dict[str, Any]:
    """`kind`, `valid`, `issues`, `reading` (acceptance.md); `inside` inspects the message in the envelope."""
    root: Any = None
    try:
        root = root_of(data, SCHEMA)
        issues = issues_of(root)
    except Rejected as rejected:
        issues = [rejected.issue()]
    return {
        "kind": KIND,
        "valid": all(issue.severity != "error" for issue in issues),
        "issues": [msgspec.structs.asdict(issue) for issue in issues],
        "reading": _reading(root, inside),
    }


def _reading(root: Any, inside: Callable[[bytes], dict[str, Any]]) -> dict[str, Any]:
    text, scopes = texts(root), scopes_of(root)
    kind = KINDS.get(text("DocumentIdentification", "Type") or "")
    payload = payload_of(root)
    receipt = kind is not None and kind != "message"
    return {
        "envelope_id": text("DocumentIdentification", "InstanceIdentifier"),
        "sender": text("Sender", "Identifier"),
        "receiver": text("Receiver", "Identifier"),
        "sent": text("DocumentIdentification", "CreationDateAndTime"),
        "content_kind": kind,
        "message_id": scopes.get("MESSAGEIDENTIFIER") or None,
        "document": scopes.get("StatisticalInformation") or None,
        "original_envelope_id": answered(root, scopes) if receipt else None,
        "error": (error_of(payload) or None) if kind == "exception" else None,
        "content": inside(payload) if payload and not receipt else None,
    }
