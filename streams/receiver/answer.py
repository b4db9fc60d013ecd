"""A subscriber's whole answer to a document: read it, check it, take it into the stay, show what follows.

This joins the meaning of the message (messages/hospitalnotification) to the rules of a receiver (`stays`), for the
simulated municipality and for `stafet receive` (acceptance.md). Decided by spec 01 §19; the check decides what is *wrong*
with a message, and a subscriber refuses errors and keeps warnings (1.9, 4.1).
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from streams.formats.fhir.read import document
from streams.messages.hospitalnotification import check, read
from streams.words.errors import Rejected

from .stays import Subscriber, SubscriberAnswer, discard, receive, refuse

__all__ = ["answer", "play"]


def play(files: Iterable[tuple[str, bytes]], *, basis: bool = True) -> list[dict[str, Any]]:
    """One line per document, in order, from one fresh subscriber; the keys are those of acceptance.md, `receive`.

    Without `basis` no citizen has a case: nothing is kept, and what is valid is acknowledged all the same (19.4).
    """
    state = Subscriber()
    lines: list[dict[str, Any]] = []
    for name, data in files:
        state, answered = answer(state, data, basis=basis)
        lines.append(
            {
                "file": name,
                "acknowledgement": answered.acknowledgement,
                "shown": answered.shown,
                "status": answered.status,
                "report_of_admission": answered.report is not None,
                "history": [str(entry) for entry in answered.history],
                "issues": [msgspec.structs.asdict(issue) for issue in answered.issues],
            }
        )
    return lines


def answer(state: Subscriber, data: bytes, *, basis: bool = True) -> tuple[Subscriber, SubscriberAnswer]:
    """The subscriber after a document in JSON or XML, and its answer. Never raises on content."""
    try:
        sent = document(data)
    except Rejected as rejected:
        return state, refuse([rejected.issue()])
    bundle, found = sent.resource, sent.beside(check(sent.resource))
    if any(issue.severity == "error" for issue in found):
        return state, refuse(found)
    if basis:
        state, answered = receive(state, read(bundle))
    else:
        answered = discard()
    # What the check remarked, before what the subscriber remarks.
    return state, msgspec.structs.replace(answered, issues=(*found, *answered.issues))
