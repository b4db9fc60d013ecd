"""A subscriber's whole answer to a document: read it, check it, take it into the stay, show what follows.

This joins the meaning of the message (messages/hospitalnotification) to the rules of a receiver (`stays`), for the
simulated municipality and for `stafet receive` (acceptance.md). Decided by spec 01 §19; the check decides what is *wrong*
with a message, and a subscriber refuses errors and keeps warnings (1.9, 4.1).
"""

from collections.abc import Iterable
from typing import Any, cast

import msgspec

from streams.formats.fhir.read import document
from streams.messages.hospitalnotification import HospitalNotification, check, read
from streams.messages.hospitalnotification.read import UnitRead
from streams.words.codes import EncounterClass, EncounterStatus
from streams.words.errors import Rejected
from streams.words.ids import Gln, Sor
from streams.words.model import Unit

from .stays import Facts, Subscriber, SubscriberAnswer, discard, receive, refuse

__all__ = ["answer", "facts", "play"]


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
        state, answered = receive(state, facts(read(bundle)))
    else:
        answered = discard()
    # What the check remarked, before what the subscriber remarks.
    return state, msgspec.structs.replace(answered, issues=(*found, *answered.issues))


def facts(message: HospitalNotification) -> Facts:
    """What the rules of a receiver need of a notification in which the check found no error."""
    assert message.start is not None  # Encounter.period.start and Provenance.occurred[x] are 1..1: check demands them
    assert message.occurred is not None
    recipient = message.report_recipient
    return Facts(
        message_id=message.message_id,
        chain=message.chain,
        previous=message.previous or message.previous_letter,
        notice=message.notice,
        class_=cast(EncounterClass, message.class_),
        status=cast(EncounterStatus, message.status),
        occurred=message.occurred,
        cpr=message.cpr,
        episode=message.episode,
        start=message.start,
        end=message.end,
        leave_start=message.leave_start,
        leave_end=message.leave_end,
        sender=_unit(message.sender),
        provider=_unit(message.provider),
        report_of_admission=message.report_of_admission is True,
        report_recipient_gln=recipient.gln if recipient else "",
    )


def _unit(unit: UnitRead) -> Unit:
    return Unit(sor=Sor(unit.sor), gln=Gln(unit.gln), name=unit.name)
