"""The conversion component: one message in another form, FHIR or letter (spec 04 §14, 00 §§7.13-7.26).

Between FHIR and letters the middle is the notice; between the two letters it is the letter with all its fields (00 §7.13).
What a form cannot say is refused with a reason code, and what was lost is listed. No clock, no chance: the same input and
registers give the same bytes.
"""

import re
from collections.abc import Container, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple, Protocol

from msgspec.structs import replace

from streams.delivery.route import Addressee, Municipality, RouteRegisters
from streams.formats.fhir.build import REPRESENTATIONS, json_to_xml, xml_to_json
from streams.formats.fhir.read import from_bytes
from streams.messages import hospitalnotification
from streams.messages.common import Object, View, member, text_at
from streams.messages.hospitalnotification.read import notified
from streams.words.codes import HOSPITAL_NOTIFICATION, HOSPITAL_NOTIFICATION_EVENT, Notice
from streams.words.errors import Rejected
from streams.words.ids import Ids, Kommunekode
from streams.words.model import Notification, Outcome, Patient, Unit

from . import document
from .compose import LegacyTerms, SentLetter, assumed_letters, compose, sent_letter
from .document import Syntax
from .explain import TO_FHIR, TO_LETTER, Remark, differences
from .letter import Letter, LetterReceipt
from .understand import Places, StaySoFar, after_letter, after_notification, notify, same_stay, understand

__all__ = [
    "REASONS",
    "ConversionRegisters",
    "Converted",
    "convert",
    "in_other_form",
    "is_letter",
]

#: Reason codes with which a conversion is refused; whatever else is wrong with a document is `rejected`.
REASONS: Final = frozenset(
    {
        "not-representable", "repeat", "no-event-time", "no-name", "no-start", "no-predecessor", "no-notice",
        "no-official-cpr", "unknown-facility", "unknown-municipality", "other-municipality", "other-stay", "rejected",
    }
)  # fmt: skip

#: How our letter ids begin (00 §7.1), and which dispatch of the message it is.
_LETTERS: Final = "ST"
_FIRST: Final = "1"


class ConversionRegisters(Places, RouteRegisters, Protocol):
    """What is asked of the registers; without a time, about the row that began last."""

    def municipality(self, kommunekode: str, at: datetime | None, /) -> Municipality | None:
        """Name and region."""

    def address(self, kommunekode: str, message_type: str, at: datetime | None) -> Addressee | None:
        """Where a municipality receives."""

    def addressee(self, sor: str, gln: str, at: datetime | None, /) -> Kommunekode | None:
        """The municipality that receives under these numbers."""


class Converted(NamedTuple):
    """A document in the form that was asked for, and what the two forms do not both say."""

    data: bytes
    remarks: tuple[Remark, ...] = ()


class _Earlier(NamedTuple):
    """The earlier messages of the stay, as both directions need them."""

    standing: StaySoFar | None = None
    letters: tuple[SentLetter, ...] = ()
    patients: tuple[Patient, ...] = ()
    deaths: frozenset[str] = frozenset()  # ids of messages


def convert(
    data: bytes,
    to: str,
    *,
    registers: ConversionRegisters,
    ids: Ids,
    after: Sequence[bytes] = (),
    persons: Mapping[str, Patient] | None = None,
) -> Converted:
    """The document in the form `to`, a name of `message_type.FORMATS`; one of the two is a letter, or both are.

    `after`: earlier messages of the stay in any form, oldest first. `persons`: names by CPR number. Raises `Rejected`,
    whose rule is the reason where it is one of `REASONS`.
    """
    try:
        return _convert(data, to, registers, ids, after, persons or {})
    except OverflowError:  # it cannot be put into Danish time
        remedy = "send times between the years 2 and 9998"
        raise Rejected("/", "a time at the end of the calendar", remedy, "rejected") from None


def _convert(
    data: bytes,
    to: str,
    registers: ConversionRegisters,
    ids: Ids,
    after: Sequence[bytes],
    persons: Mapping[str, Patient],
) -> Converted:
    """Between the forms; times may lie beyond the calendar."""
    syntax = _SYNTAXES.get(to)
    if not is_letter(data):
        bundle = _checked(from_bytes(data))
        assert syntax is not None  # of FHIR in its other form: `in_other_form`
        return _to_letter(bundle, syntax, registers, ids, _earlier(after, syntax, registers, ids))
    found = document.read(data)
    if syntax is not None:
        local = [Remark("lost", "Local_Elements", "ignored (00 §7.20)")] if b"Local_Elements" in data else []
        return Converted(document.write(found, syntax), (*local, *_changes(found, syntax)))
    if isinstance(found, LetterReceipt):
        problem = "a receipt for letters: FHIR has one for FHIR messages alone"
        raise Rejected("/", problem, "convert it to the other form of letters", "not-representable")
    return _to_fhir(found, to, registers, ids, _earlier(after, syntax or "oioxml", registers, ids), persons)


_SYNTAXES: Final[Mapping[str, Syntax]] = {"oioxml": "oioxml", "edifact": "edifact"}


#: The first element of a letter in OIOXML, whatever its prefix.
_EMESSAGE: Final = re.compile(rb"<(?:[A-Za-z_][\w.-]*:)?Emessage[\s/>]")
_HEAD: Final = 4096


def is_letter(data: bytes) -> bool:
    """Whether it is a letter or a receipt for letters, right or not; else it is taken for FHIR."""
    text = data.removeprefix(b"\xef\xbb\xbf").lstrip()
    return text.startswith((b"UNA", b"UNB")) or (text.startswith(b"<") and _EMESSAGE.search(text, 0, _HEAD) is not None)


def in_other_form(data: bytes, to: str) -> bytes:
    """A document of FHIR, of whatever kind, in one of its two forms, in our order and spelling. Raises `Rejected`."""
    is_xml = data.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<")
    turned = xml_to_json(data) if is_xml else json_to_xml(data)
    if is_xml == (to == "fhir-xml"):
        turned = json_to_xml(turned) if is_xml else xml_to_json(turned)
    return turned


#: Rules of the profile that have a reason code (05 §2.2).
_CODES: Final = dict.fromkeys(("medcom-hospitalNotification-4", "cpr"), "no-official-cpr")


def _checked(bundle: Object) -> Object:
    """A notification without error; nothing is converted that a receiver would refuse."""
    event = text_at(member(View(bundle).header[1], "eventCoding"), "code")
    if event != HOSPITAL_NOTIFICATION_EVENT:
        problem, remedy = "no hospital notification, and of no other message is there a letter", "send a notification"
        raise Rejected("MessageHeader.eventCoding", problem, remedy, "not-representable")
    for issue in hospitalnotification.check(bundle):
        if issue.severity == "error":
            raise Rejected(issue.path, issue.problem, issue.remedy, _CODES.get(issue.rule, issue.rule))
    return bundle


def _earlier(after: Sequence[bytes], syntax: Syntax, registers: ConversionRegisters, ids: Ids) -> _Earlier:
    """What the earlier messages leave behind: as facts of the stay, and as letters at the municipality."""
    earlier = _Earlier()
    for number, data in enumerate(after, start=1):
        try:
            earlier = _followed(earlier, data, syntax, registers, ids)
        except Rejected as wrong:
            path = f"earlier message {number}: {wrong.path}"
            raise Rejected(path, wrong.problem, wrong.remedy, wrong.rule) from None
    return earlier


def _followed(before: _Earlier, data: bytes, syntax: Syntax, registers: ConversionRegisters, ids: Ids) -> _Earlier:
    """The same with one more message; a receipt says nothing of the stay."""
    if not is_letter(data):
        n = _notification(_checked(from_bytes(data)), registers, before.deaths)
        same_stay(before.standing, [each.value for each in n.episode])
        letter = _letter(n, before.letters, _terms(n.to, syntax, registers, n.assembled), ids)
        return _Earlier(
            after_notification(before.standing, n),
            (*before.letters, *([sent_letter(letter, n)] if isinstance(letter, Letter) else [])),
            (*before.patients, n.patient),
            before.deaths | ({n.message_id} if n.deceased else set()),
        )
    if not isinstance(found := document.read(data), Letter):
        return before
    read = understand(found, registers, ids)
    same_stay(before.standing, (read.episode,))
    letters = before.letters
    if read.notice is not None:
        letters = (
            *letters,
            SentLetter(
                letter_id=found.letter_id,
                notice=read.notice,
                number=found.number,
                status=found.status,
                patient_status=found.patient_status,
                occurred=found.occurred,
                class_="IMP",
            ),
        )
    return before._replace(standing=after_letter(before.standing, read), letters=letters)


# ---- to a letter ---------------------------------------------------------------------------------------------------


def _notification(bundle: Object, registers: ConversionRegisters, deaths: Container[str] = ()) -> Notification:
    """The notification in a Bundle, its units as the registers know them; `deaths`: ids of those known (01, 9.2)."""
    receiver = hospitalnotification.read(bundle).receiver
    at = notified(bundle, Kommunekode("")).assembled
    to = registers.addressee(receiver.sor, receiver.gln, at) or registers.addressee(receiver.sor, receiver.gln, None)
    if to is None:
        problem, remedy = "no municipality receives under these numbers", "add its address to subscriptions.toml"
        raise Rejected("MessageHeader.destination.receiver", problem, remedy, "unknown-municipality")
    n = notified(bundle, to, deaths)
    if n.notice is Notice.MORS and n.chain[-1].role and n.start == n.end:
        n = replace(n, notice=Notice.RE_MORS)  # it follows a message, and there was no stay: that was the death
    return replace(n, sender=_known(n.sender, registers, at), provider=_known(n.provider, registers, at))


def _known(unit: Unit, registers: ConversionRegisters, at: datetime) -> Unit:
    """With SHAK, names and phone of the location register, which the message does not have."""
    found = registers.unit_by("sor", unit.sor, at)
    return unit if found is None else replace(found, gln=unit.gln or found.gln)


def _terms(kommunekode: Kommunekode, syntax: Syntax, registers: ConversionRegisters, at: datetime) -> LegacyTerms:
    """The municipality as a receiver of letters, with the wishes of its subscription where it takes them."""
    row = registers.municipality(kommunekode, at) or registers.municipality(kommunekode, None)
    accepted = registers.acceptances(kommunekode, HOSPITAL_NOTIFICATION, at)
    wishes = next((each for each in accepted if each.format == syntax), None)
    receipts = registers.policy(kommunekode, syntax).expects_positive_receipt
    return LegacyTerms(
        gln=_receiver(kommunekode, registers, at).gln,
        kommunekode=kommunekode,
        name=f"{row.name} Kommune" if row is not None else "",  # 00 §7.9
        send_acute_as_admission=wishes is not None and wishes.send_acute_as_admission,
        cancel_on_class_change=wishes is not None and wishes.cancel_on_class_change,
        positive_receipt=receipts if wishes is None else wishes.positive_receipt(receipts),
    )


def _receiver(kommunekode: Kommunekode, registers: ConversionRegisters, at: datetime) -> Unit:
    """Where the municipality receives; of a message from before its address, where it does now."""
    for when in (at, None):
        if (address := registers.address(kommunekode, HOSPITAL_NOTIFICATION, when)) is not None:
            return address.receiver
    problem, remedy = "the municipality has no address", "add it to subscriptions.toml"
    raise Rejected("Receiver", problem, remedy, "unknown-municipality")


def _letter(n: Notification, before: Sequence[SentLetter], terms: LegacyTerms, ids: Ids) -> Letter | Outcome:
    """The letter that says a notice, on its first dispatch; sent when the message was assembled (00 §7.13)."""
    letter_id = ids.letter(n.lane, _LETTERS, n.message_id, _FIRST)
    return compose(n, before, terms, letter_id=letter_id, envelope_id=letter_id, at=n.assembled)


def _to_letter(
    bundle: Object, syntax: Syntax, registers: ConversionRegisters, ids: Ids, earlier: _Earlier
) -> Converted:
    n = _notification(bundle, registers, earlier.deaths)
    same_stay(earlier.standing, [each.value for each in n.episode])
    alone = earlier.standing is None
    terms = _terms(n.to, syntax, registers, n.assembled)
    before = assumed_letters(n, terms) if alone else earlier.letters
    letter = _letter(n, before, terms, ids)
    if isinstance(letter, Outcome):
        raise Rejected(n.notice.value, letter.problem, letter.remedy, letter.reason)
    if not letter.sender.name:
        problem, remedy = "neither the message nor the location register names the hospital", "add it to locations.csv"
        raise Rejected("Organization.name", problem, remedy, "unknown-facility")
    remarks = [*differences(TO_LETTER, n, letter), *_changes(letter, syntax)]
    if before and alone:
        text = "that the messages before it went out as letters: none of them is given"
        remarks.append(Remark("assumed", "Letter.StatusCode", text))
    return Converted(document.write(letter, syntax), tuple(remarks))


def _changes(value: Letter | LetterReceipt, syntax: Syntax) -> list[Remark]:
    """The texts that a letter cannot carry as they are."""
    words = {
        "cut": "longer than the letter takes",
        "transliterated": "characters outside ISO-8859-1",
        "assumed": "not given, and a segment cannot leave it out (00 §7.29)",
    }
    return [Remark(change.what, change.field, words[change.what]) for change in document.changes(value, syntax)]


# ---- to FHIR -------------------------------------------------------------------------------------------------------


def _to_fhir(
    letter: Letter, to: str, registers: ConversionRegisters, ids: Ids, earlier: _Earlier, persons: Mapping[str, Patient]
) -> Converted:
    read = understand(letter, registers, ids)
    of_stay = [patient for patient in earlier.patients if patient.cpr == letter.cpr]
    patient = persons.get(letter.cpr) or (of_stay[-1] if of_stay else None)
    if read.notice is not None and (patient is None or not patient.family.strip()):
        problem, remedy = "the letter has no name, and FHIR must have one", "give --persons FILE: cpr,family,given"
        raise Rejected("Patient.name", problem, remedy, "no-name")
    n = notify(read, earlier.standing, patient or Patient(cpr=letter.cpr, family=""), ids)
    receiver = _receiver(n.to, registers, n.assembled)
    envelope_id = ids.mint(n.lane, "envelope", letter.sender.gln, letter.envelope_id)
    data, issues = hospitalnotification.compose(n, receiver, envelope_id, REPRESENTATIONS[to])
    for issue in issues:
        raise Rejected(issue.path, issue.problem, issue.remedy, "rejected")
    return Converted(data, (*read.remarks, *differences(TO_FHIR, n, letter)))
