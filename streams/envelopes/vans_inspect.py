"""What a VANSEnvelope says and whether it is right, for people and checks outside (acceptance.md, `inspect`).

Never raises on content. Everything is shown as written, also when the envelope is not valid; errors of what is inside
are the inside's own.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from streams.words.errors import Issue, Rejected

from .grammar import decoded, root_of
from .vans_open import RECEIPTS, judged
from .vans_rules import NAMESPACE

__all__ = ["inspect"]

KIND: Final = "vans-envelope"
_NS: Final = "{" + NAMESPACE + "}"


def inspect(data: bytes, inside: Callable[[bytes], dict[str, Any]]) -> dict[str, Any]:
    """`kind`, `valid`, `issues`, `reading`; `inside` inspects the document in the envelope."""
    try:
        root = root_of(data, "V1")
    except Rejected as rejected:
        return _judged([rejected.issue()], _reading(None, inside))
    return _judged(judged(root, None)[1], _reading(root, inside))


def _judged(issues: list[Issue], reading: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": KIND,
        "valid": all(issue.severity != "error" for issue in issues),
        "issues": [msgspec.structs.asdict(issue) for issue in issues],
        "reading": reading,
    }


def _reading(root: Any, inside: Callable[[bytes], dict[str, Any]]) -> dict[str, Any]:
    message, kind, receipt = _branches(root)
    about = _find(message, "MetaInformation") if message is not None else _find(receipt, "OriginalMessage")
    payload = decoded(_text(message, "Data") or "") if message is not None else None
    return {
        "envelope_id": _text(root, "EnvelopeIdentifier"),
        "sender": _text(root, "SenderID"),
        "receiver": _text(root, "ReceiverID"),
        "sent": _text(root, "SentDateTime"),
        "content_kind": kind,
        "message_id": _text(about, "Identifier"),
        "document": _text(about, "Document", "Name"),
        "original_envelope_id": _text(receipt, "OriginalEnvelopeIdentifier"),
        "error": _text(receipt, "Error", "Description"),
        "content": inside(payload) if payload else None,
    }


def _branches(root: Any) -> tuple[Any, str | None, Any]:
    """The message, the kind of content, and the branch of the receipt."""
    message, receipt = _find(root, "Message"), _find(root, "Receipt")
    if message is not None:
        return message, "message", None
    for name, kind in RECEIPTS.items():
        if receipt is not None and (branch := receipt.find(name)) is not None:
            return None, kind, branch
    return None, None, None


def _find(node: Any, *names: str) -> Any:
    return None if node is None else node.find("/".join(_NS + name for name in names))


def _text(node: Any, *names: str) -> str | None:
    found = _find(node, *names)
    return None if found is None or not (found.text or "").strip() else found.text.strip()
