"""The forms of a message in an inbox: what reads one, and what writes the answer in the same form (02 §7.2 B3).

A row for each family of formats. A message of a type that has no row of `CHECKED` is passed on unread but for its ids: its
receivers check it. A verdict that a form has no words for goes back in no way, and the sender's own timer decides: legacy
letters know nothing transient (02 §8).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from streams.envelopes.vans import FHIR_JSON
from streams.formats.fhir.build import to_json
from streams.formats.fhir.read import document
from streams.messages import acknowledgement, hospitalnotification
from streams.messages.acknowledgement import issues_of_findings
from streams.messages.common import Object, View, first, gln_of, member, reference, sor_of, text_at
from streams.messages.legacy import document as legacy
from streams.messages.legacy.answer import answer as receipt_for_letter
from streams.messages.legacy.answer import heading
from streams.messages.legacy.compose import DEAD
from streams.messages.legacy.conversion import is_letter
from streams.messages.legacy.document import Syntax
from streams.messages.legacy.letter import Letter, Status
from streams.messages.message_type import MESSAGE_TYPES
from streams.words.codes import ACKNOWLEDGEMENT, HOSPITAL_NOTIFICATION, Family, Verdict
from streams.words.errors import Issue, Rejected
from streams.words.ids import Gln, Ids, Sor
from streams.words.model import ReceiptIssue, Unit


class Incoming(NamedTuple):
    """What a document is, as far as it has to be known before anyone gets a copy. `errors`: why nobody may."""

    message_type: str
    message_id: str
    copy_id: str
    label: str
    sender: str
    receiver: str
    errors: tuple[ReceiptIssue, ...] = ()
    cpr: str = ""  # whom it is about; for an envelope that names the person, and for status events
    parties: tuple[Unit, ...] = ()  # sender and receiver as organisations; none of a legacy letter

    def __repr__(self) -> str:
        return f"Incoming({self.label}, {self.message_id})"


class AnswerIds(NamedTuple):
    """The ids of an answer, all new (B3); a legacy letter takes one of its own form."""

    header_id: str
    copy_id: str
    ids: Ids


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
    cpr = text_at(first(view.patient[1], "identifier"), "value") or ""
    parties: tuple[Unit, ...] = ()
    if sender is not None and receiver is not None and sor_of(sender[1]) and sor_of(receiver[1]):
        parties = _unit(sender[1]), _unit(receiver[1])
    if message_type not in CHECKED:
        errors: tuple[ReceiptIssue, ...] = ()
        if not message_type:
            text = "the type of this message is not known"
            unknown = "MSG_RECEIVER_UNABLE_TO_RECEIVE_MSG_TYPE"
            errors = (ReceiptIssue(severity="error", code="not-supported", details_code=unknown, text=text),)
        return Incoming(message_type, message_id, copy_id, "", glns[0], glns[1], errors, cpr, parties)
    checked = CHECKED[message_type]
    found = [issue for issue in sent.beside(list(checked.check(bundle))) if issue.severity == "error"]
    errors = issues_of_findings(found)
    label = "" if errors else checked.label(bundle)
    return Incoming(message_type, message_id, copy_id, label, glns[0], glns[1], errors, cpr, parties)


def _unit(organization: Object) -> Unit:
    name = text_at(organization, "name") or ""
    return Unit(sor=Sor(sor_of(organization) or ""), gln=Gln(gln_of(organization) or ""), name=name)


def _answer(
    data: bytes, verdict: Verdict, issues: Sequence[ReceiptIssue], ids: AnswerIds, at: datetime
) -> AnswerDocument:
    original = document(data).resource
    bundle = acknowledgement.write(original, verdict, issues, header_id=ids.header_id, envelope_id=ids.copy_id, at=at)
    row = MESSAGE_TYPES[ACKNOWLEDGEMENT]
    return AnswerDocument(to_json(bundle), row.document_name(verdict), row.document_version, FHIR_JSON)


# ---- legacy letters -----------------------------------------------------------------------------------------

#: What a letter reports, by its number and, of a death, its status; receivers choose by it.
_FAMILIES: Final = {"20": Family.STIN, "17": Family.SLHJ}
_PREFIXES: Final[Mapping[Status, str]] = {"nytbrev": "", "rettetbrev": "RE_", "annulleretbrev": "AN_"}
#: MedCom's error code of a receiver's answer -> RefuseCode of a receipt for letters (04 §12); else not specified.
_REFUSE_CODES: Final = {
    "MSG_Receiver_Identifier_UNKNOWN": "problem_med_modtagerID",
    "MSG_RECEIVER_UNABLE_TO_RECEIVE_MSG_TYPE": "problem_med_version",
    "MSG_BAD_SYNTAX": "syntaksfejl",
}
_UNSPECIFIED: Final = "ikke_specificeret"
_LONGEST: Final = 350  # characters of RefuseText: five lines of 70 (00 §7.29)


def _read_letter(data: bytes) -> Incoming:
    letter = legacy.read(data)
    if not isinstance(letter, Letter):
        raise Rejected("/", "a receipt is never answered", "send it as a receipt", "AV6")
    family = Family.MORS if letter.patient_status == DEAD else _FAMILIES[letter.number]
    label = f"{_PREFIXES[letter.status]}{family}"
    parties = letter.sender.gln, letter.receiver.gln
    return Incoming(HOSPITAL_NOTIFICATION, letter.letter_id, letter.envelope_id, label, *parties, cpr=letter.cpr)


def _answer_letter(
    data: bytes, verdict: Verdict, issues: Sequence[ReceiptIssue], ids: AnswerIds, at: datetime
) -> AnswerDocument | None:
    """XCTL or CTL, as the letter is OIOXML or EDIFACT; none for a good verdict that the letter does not ask for."""
    letter = legacy.read(data)
    if verdict == "transient-error" or not isinstance(letter, Letter):
        return None
    reason = issues[0] if issues else ReceiptIssue()
    refusal = None if verdict == "ok" else Rejected("Letter", reason.text or "refused", "send a letter that is right")
    receipt = receipt_for_letter(heading(letter), refusal, at=at, ids=ids.ids)
    if receipt is None:
        return None
    if refusal is not None:
        code, text = _REFUSE_CODES.get(reason.details_code, _UNSPECIFIED), reason.text[:_LONGEST]
        letters = tuple(replace(one, refuse_code=code, refuse_text=text) for one in receipt.letters)
        receipt = replace(receipt, refuse_code=code, refuse_text=text, letters=letters)
    syntax: Syntax = "oioxml" if form_of(data) == "oioxml" else "edifact"
    version = f"C0{receipt.number[1]}30Q"
    name, version, label = (
        (f"MCM:XCTL{receipt.number}", f"X{version}", "XML")
        if syntax == "oioxml"
        else (f"CTL{receipt.number}", version, "EDIFACT")
    )
    return AnswerDocument(legacy.write(receipt, syntax), name, version, label=label)


_LETTERS: Final = InboxForm(_read_letter, _answer_letter)

#: By the name of the family.
FORMS: Final[Mapping[str, InboxForm]] = {
    "fhir": InboxForm(_read, _answer),
    "oioxml": _LETTERS,
    "edifact": _LETTERS,
}


def form_of(data: bytes) -> str:
    """The family of a document. What is no legacy letter is read as FHIR, and refused as such."""
    if not is_letter(data):
        return "fhir"
    return "oioxml" if data.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<") else "edifact"
