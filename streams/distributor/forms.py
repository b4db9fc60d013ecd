"""The forms of a message in an inbox: what reads one, and what writes the answer in the same form (02 §7.2 B3).

A row for each family of formats. A message of a type that has no row of `CHECKED` is passed on unread but for its ids: its
receivers check it. A verdict that a form has no words for goes back in no way, and the sender's own timer decides: letters
of before FHIR know nothing transient (02 §8).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from streams.envelopes.vans import FHIR_JSON
from streams.formats.fhir.build import to_json
from streams.formats.fhir.read import document
from streams.messages import acknowledgement, hospitalnotification
from streams.messages.acknowledgement import issues_of_findings
from streams.messages.common import Object, View, first, gln_of, member, reference, text_at
from streams.messages.message_type import MESSAGE_TYPES
from streams.words.codes import ACKNOWLEDGEMENT, HOSPITAL_NOTIFICATION, Verdict
from streams.words.errors import Issue, Rejected
from streams.words.model import ReceiptIssue


class Incoming(NamedTuple):
    """What a document is, as far as it has to be known before anyone gets a copy. `errors`: why nobody may."""

    message_type: str
    message_id: str
    copy_id: str
    label: str
    sender: str
    receiver: str
    errors: tuple[ReceiptIssue, ...] = ()


class AnswerIds(NamedTuple):
    """The ids of an answer, all new (B3)."""

    header_id: str
    copy_id: str


class AnswerDocument(NamedTuple):
    """An answer, and what an envelope calls it."""

    data: bytes
    name: str
    version: str
    media_type: str = ""
    label: str = "HL7"


class InboxForm(NamedTuple):
    """One family. `reads` raises `Rejected` for what names neither message nor sender: no one can be answered."""

    reads: Callable[[bytes], Incoming]
    #: (document, verdict, issues, ids, at); None where the form has no such verdict.
    answers: Callable[[bytes, Verdict, Sequence[ReceiptIssue], AnswerIds, datetime], AnswerDocument | None]


class Checked(NamedTuple):
    """What is made of a Bundle of one type: what is wrong with it, and by which label receivers choose."""

    check: Callable[[Any], Iterable[Issue]]
    label: Callable[[Object], str]


#: By the name of the type.
CHECKED: Final[Mapping[str, Checked]] = {
    HOSPITAL_NOTIFICATION: Checked(
        hospitalnotification.check, lambda bundle: str(hospitalnotification.read(bundle).notice)
    )
}


def _read(data: bytes) -> Incoming:
    sent = document(data)
    bundle = sent.resource
    view = View(bundle)
    header = view.header[1]
    event = text_at(member(header, "eventCoding"), "code")
    message_type = next((row.name for row in MESSAGE_TYPES.values() if row.event == event), "")
    message_id, copy_id = text_at(header, "id") or "", text_at(bundle, "id") or ""
    if not message_id or not copy_id:
        path = "Bundle.id" if message_id else "Bundle.entry[0].resource.id"
        raise Rejected(path, "missing", "send Bundle.id and MessageHeader.id", "4.1")
    if message_type == ACKNOWLEDGEMENT:
        raise Rejected(
            "MessageHeader.eventCoding", "an acknowledgement is never answered", "send it as a receipt", "AV6"
        )
    sender = view.resolve(reference(header, "sender"))
    receiver = view.resolve(reference(first(header, "destination"), "receiver"))
    glns = [(place and gln_of(place[1])) or "" for place in (sender, receiver)]
    if message_type not in CHECKED:
        errors: tuple[ReceiptIssue, ...] = ()
        if not message_type:
            text = "the type of this message is not known"
            unknown = "MSG_RECEIVER_UNABLE_TO_RECEIVE_MSG_TYPE"
            errors = (ReceiptIssue(severity="error", code="not-supported", details_code=unknown, text=text),)
        return Incoming(message_type, message_id, copy_id, "", glns[0], glns[1], errors)
    checked = CHECKED[message_type]
    found = [issue for issue in sent.beside(list(checked.check(bundle))) if issue.severity == "error"]
    errors = issues_of_findings(found)
    label = "" if errors else checked.label(bundle)
    return Incoming(message_type, message_id, copy_id, label, glns[0], glns[1], errors)


def _answer(
    data: bytes, verdict: Verdict, issues: Sequence[ReceiptIssue], ids: AnswerIds, at: datetime
) -> AnswerDocument:
    original = document(data).resource
    bundle = acknowledgement.write(original, verdict, issues, header_id=ids.header_id, envelope_id=ids.copy_id, at=at)
    row = MESSAGE_TYPES[ACKNOWLEDGEMENT]
    return AnswerDocument(to_json(bundle), row.document_name(verdict), row.document_version, FHIR_JSON)


#: By the name of the family.
FORMS: Final[Mapping[str, InboxForm]] = {"fhir": InboxForm(_read, _answer)}


def form_of(data: bytes) -> str:
    """The family of a document. What is no letter of before FHIR is read as FHIR, and refused as such."""
    return "fhir"
