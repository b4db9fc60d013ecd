"""What an acknowledgement says and whether it is right, for people and checks outside (acceptance.md, `inspect`).

Never raises on content: what cannot be read is an issue, and every key of the reading is there, `null` where the
document says nothing.
"""

from typing import Any, Final

import msgspec

from streams.formats.fhir.read import document
from streams.words.errors import Issue, Rejected

from .judge import Reaction, judge
from .message import Message
from .parts import parts_of
from .read import issues_of

__all__ = ["inspect", "reading"]

KIND: Final = "acknowledgement"


def inspect(data: bytes) -> dict[str, Any]:
    """`kind`, `valid`, `issues`, `reading` of a document in JSON or XML. Who may answer (AV3) is not judged here."""
    try:
        read = document(data)
    except Rejected as rejected:
        return _judged([rejected.issue()], {}, "dead-letter")
    judged = judge(read.resource)
    return _judged(read.beside(judged.issues), read.resource, judged.reaction)


def _judged(issues: list[Issue], bundle: Any, reaction: Reaction) -> dict[str, Any]:
    return {
        "kind": KIND,
        "valid": all(issue.severity != "error" for issue in issues),
        "issues": [msgspec.structs.asdict(issue) for issue in issues],
        "reading": {**reading(bundle), "reaction": reaction},
    }


def reading(bundle: Any) -> dict[str, Any]:
    """What the message says, as written; None for what it does not say. For any value."""
    message = Message(parts_of(bundle))
    header = message.header
    return {
        "response_code": header.response.code or None,
        "response_identifier": header.response.identifier or None,
        "message_header_id": header.id or None,
        "bundle_id": message.bundle.id or None,
        "sender_gln": message.sender_numbers[1] or None,
        "destination_gln": message.destination_numbers[1] or None,
        "issues": [
            {name: getattr(issue, name) or None for name in ("severity", "code", "details_code", "text")}
            for issue in issues_of(message)
        ],
    }
