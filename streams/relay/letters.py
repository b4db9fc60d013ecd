"""One record of `letters.raw`, from bytes to the events of its stay, and the receipt that goes back (decision 0063).

What a hospital writes itself, a legacy letter or a notification in FHIR, comes bare or in an envelope, from the
hospital or from the network. Who sends is known by its location number, and the feed of that number says in which forms it
sends. What is reported goes the way of an ADT message from there: to its person, its visit and its lane.

The receipt tells the hospital that we have its letter, not that the municipality has its notice. It is given once intake
has taken what the letter reports; what the stay makes of it is an operator's matter, as with ADT. A letter that comes
again is not taken again, and is answered again.

Pure, as `intake.py` beside it.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, NamedTuple, Protocol

import msgspec
from msgspec.structs import replace

from streams.envelopes.wrapping import open_any
from streams.formats.fhir.build import to_json
from streams.formats.fhir.read import document
from streams.messages import acknowledgement, hospitalnotification
from streams.messages.hospitalnotification import events as of_fhir
from streams.messages.legacy import events as of_letter
from streams.messages.legacy.answer import Heading, answer, heading, heading_of_unread
from streams.messages.legacy.document import Syntax, read, write
from streams.messages.legacy.events import Author, LetterRegisters, addressed
from streams.messages.legacy.letter import Letter
from streams.messages.legacy.report import is_report, read_report
from streams.person.fold import PassOn, fold
from streams.person.row import Identity, PersonRow, Reported, key_of
from streams.words.errors import Issue, Rejected
from streams.words.ids import Ids, Kommunekode, Lane, PersonKey, Sor, bare
from streams.words.model import Fate, Outcome, ReportArrived, StayEventArrived

from .bounds import check_lane_record
from .intake import REKEYED, FeedRegisters, HospitalReceipt, Intake, fault_of, outcome_of

__all__ = ["LetterIntakeRegisters", "take_letter"]


class LetterIntakeRegisters(LetterRegisters, FeedRegisters, Protocol):
    """What intake asks the registers about what a hospital writes."""

    def addressee(self, sor: str, gln: str, at: datetime | None) -> Kommunekode | None:
        """The municipality whose address has these numbers."""


class _Sent(NamedTuple):
    """What a hospital has written, read as far as its author and its person."""

    author: Author
    who: Identity
    id: str  # of the letter, for one without a person
    digest: str  # of all that it says, without what is new with every dispatch (00 §6)
    reports: Callable[[PersonRow | None], tuple[Reported, ...]]  # raises `Rejected`
    receipts: Callable[[Rejected | None], tuple[HospitalReceipt, ...]]


class _Refused(Exception):
    """It cannot be read, or nobody may send it: why, and what goes back all the same."""

    def __init__(self, fault: Rejected, reason: str, receipts: tuple[HospitalReceipt, ...] = ()) -> None:
        super().__init__(str(fault))
        self.fault, self.reason, self.receipts = fault, reason, receipts


def take_letter(
    value: bytes,
    row: PersonRow | None,
    *,
    key: str,
    origin: str,
    headers: Mapping[str, str],
    at: datetime,
    ids: Ids,
    registers: LetterIntakeRegisters,
) -> Intake:
    """What the record at `origin` under person key `key` leads to. Never raises `Rejected`."""
    try:
        payload = _payload(value)
        if is_report(payload):
            return _take_report(payload, row, key=key, at=at, ids=ids)
        sent = _read(payload, at, ids, registers)
    except _Refused as why:
        outcome = outcome_of(Fate.REFUSED, why.reason, why.fault)
        return Intake(row, outcome=outcome, rejected=why.fault, receipts=why.receipts)
    author = sent.author
    own_key = key_of(author.feed.key, sent.who, sent.id, ids)
    if own_key != key:
        moved = Outcome(fate=Fate.NOT_SUBJECT, reason="re-keyed")
        return Intake(row, outcome=moved, pass_on=(_moved(own_key, key),))
    warnings = () if author.exact else (_UNKNOWN_WARD,)
    try:
        folded = fold(
            row,
            sent.reports(row),
            key=PersonKey(key),
            payload_hash=sent.digest,
            origin=origin,
            at=at,
            ids=ids,
            region_at=registers.region_at,
        )
        for event in folded.stay_events:  # what a lane does not take is answered here
            check_lane_record(StayEventArrived(at=at, event=event))
    except Rejected as fault:
        stopped, back = outcome_of(Fate.STOPPED, fault.rule, fault), sent.receipts(fault)
        return Intake(row, outcome=stopped, rejected=fault, feed=author.feed.key, warnings=warnings, receipts=back)
    if folded.repeated:
        return Intake(folded.row, repeated=True)
    stopped_by = fault_of(folded.outcome)
    return Intake(
        folded.row,
        folded.stay_events,
        folded.outcome,
        stopped_by,
        folded.pass_on,
        feed=author.feed.key,
        warnings=warnings,
        receipts=sent.receipts(stopped_by),
    )


def _moved(own_key: PersonKey, key: str) -> PassOn:
    """The letter under its person's key. What it came under is only shown when it is such a key: others may use a number."""
    return PassOn(own_key, ((REKEYED, key if _KEY.fullmatch(key) else ""),))


_KEY: Final = re.compile(r"[0-9a-f]{16}")

_UNKNOWN_WARD: Final = Issue(
    severity="warning",
    path="Sender.Identifier",
    rule="unknown-ward",
    problem="unit not in the location register",
    remedy="add it to the register",
)
_UNKNOWN_AUTHOR: Final = (
    "Sender",
    "no feed sends letters of this form with this location number",
    "agree on the feed first",
    "unknown-facility",
)
_HEAD: Final = 512

_encode: Final = msgspec.msgpack.Encoder().encode


def _payload(value: bytes) -> bytes:
    """The document, in an envelope or bare."""
    try:
        opened = open_any(value)
    except Rejected as fault:
        raise _Refused(fault, "rejected") from None
    return value if opened is None else opened.payload


def _read(payload: bytes, at: datetime, ids: Ids, registers: LetterIntakeRegisters) -> _Sent:
    beginning = payload[:_HEAD].removeprefix(b"\xef\xbb\xbf").lstrip()
    if beginning.startswith(b"{") or (beginning.startswith(b"<") and b"<Bundle" in beginning):
        return _read_fhir(payload, at, ids, registers)
    return _read_legacy(payload, "oioxml" if beginning.startswith(b"<") else "edifact", at, ids, registers)


def _digest(said: object) -> str:
    return hashlib.sha256(_encode(said)).hexdigest()


# ---- legacy letters --------------------------------------------------------------------------------------------

_MEDIA: Final[Mapping[Syntax, str]] = {"oioxml": "application/xml", "edifact": "application/EDIFACT"}


def _read_legacy(payload: bytes, syntax: Syntax, at: datetime, ids: Ids, registers: LetterIntakeRegisters) -> _Sent:
    def receipts(to: Heading, of: Author, refusal: Rejected | None) -> tuple[HospitalReceipt, ...]:
        """Nothing where none is asked for, nor where no receipt can quote the letter."""
        receipt = answer(to, refusal, at=at, ids=ids)
        if receipt is None:
            return ()
        try:
            written = write(receipt, syntax)
        except Rejected:
            return ()
        name = f"{'X' if syntax == 'oioxml' else ''}CTL{receipt.number}"
        return (HospitalReceipt(_hospital(of), receipt.receipt_id, name, _MEDIA[syntax], written),)

    try:
        letter = _letter_in(payload)
    except Rejected as fault:
        to = heading_of_unread(payload)
        author = None if to is None else registers.author(to.sender_gln, "", syntax, at)
        back = () if to is None or author is None else receipts(to, author, fault)
        raise _Refused(fault, "rejected", back) from None
    sender = letter.sender
    author = registers.author(sender.gln, sender.identifier, syntax, at)
    if author is None:
        raise _Refused(Rejected(*_UNKNOWN_AUTHOR), "unknown-facility")

    def reports(row: PersonRow | None) -> tuple[Reported, ...]:
        visits, glns = () if row is None else row.visits, registers.glns(author.feed.key)
        return of_letter.events(letter, author, addressed(letter, registers), visits, glns)

    return _Sent(
        author,
        of_letter.identity(letter),
        letter.letter_id,
        _digest(replace(letter, envelope_id="", sent=letter.authorised, positive_receipt=False)),
        reports,
        lambda refusal: receipts(heading(letter), author, refusal),
    )


def _letter_in(payload: bytes) -> Letter:
    letter = read(payload)
    if isinstance(letter, Letter):
        return letter
    raise Rejected("Letter", "a receipt, where hospitals send letters", "send it on receipts.raw", "no-letter")


def _hospital(author: Author) -> Sor:
    return Sor(author.unit.hospital or author.unit.sor)


# ---- FHIR ------------------------------------------------------------------------------------------------------------


def _read_fhir(payload: bytes, at: datetime, ids: Ids, registers: LetterIntakeRegisters) -> _Sent:
    try:
        found = document(payload)
        bundle = found.resource
        message = hospitalnotification.read(bundle)
    except Rejected as fault:
        raise _Refused(fault, "rejected") from None
    author = registers.author(message.sender.gln, message.provider.sor, "fhir", at)
    if author is None:
        raise _Refused(Rejected(*_UNKNOWN_AUTHOR), "unknown-facility")

    def receipts(refusal: Rejected | None, issues: tuple[Issue, ...] = ()) -> tuple[HospitalReceipt, ...]:
        """An acknowledgement; always given, because FHIR always asks for one (02 §4)."""
        wrong = issues or (() if refusal is None else (refusal.issue(),))
        verdict = "fatal-error" if wrong else "ok"
        stands_for = ("hospital-receipt", message.message_id, message.envelope_id, verdict)
        lane = Lane(ids.masked(message.message_id)[:8])
        own = [ids.mint(lane, *stands_for, part) for part in ("header", "bundle")]
        try:
            bundle_back = acknowledgement.write(
                bundle,
                "fatal-error" if wrong else "ok",
                acknowledgement.issues_of_findings(wrong),
                header_id=own[0],
                envelope_id=own[1],
                at=at,
            )
        except Rejected:
            return ()
        return (HospitalReceipt(_hospital(author), own[0], verdict, "application/fhir+json", to_json(bundle_back)),)

    errors = tuple(e for e in found.beside(hospitalnotification.check(bundle)) if e.severity == "error")
    if errors:
        worst = errors[0]
        invalid = Rejected(worst.path, worst.problem, worst.remedy, worst.rule)
        raise _Refused(invalid, "profile-check", receipts(None, errors))

    def reports(row: PersonRow | None) -> tuple[Reported, ...]:
        to = registers.addressee(message.receiver.sor, message.receiver.gln, at)
        if to is None:
            problem, remedy = "no municipality has this address", "send its SOR code and location number"
            raise Rejected("MessageHeader.destination.receiver", problem, remedy, "unknown-municipality")
        return of_fhir.events(message, author, to, () if row is None else row.visits)

    return _Sent(
        author,
        of_fhir.identity(message),
        message.message_id,
        _digest(replace(message, envelope_id="", occurred=None)),
        reports,
        receipts,
    )


# ---- reports of admission ----------------------------------------------------------------------------------------------

_REPORT: Final = "report-of-admission"


def _take_report(payload: bytes, row: PersonRow | None, *, key: str, at: datetime, ids: Ids) -> Intake:
    """A copy of what a municipality has sent to the hospital (01 §16): its stay learns that it came. Nobody is answered."""
    try:
        report = read_report(payload)
    except Rejected as fault:
        raise _Refused(fault, "rejected") from None
    own_key = ids.person(report.cpr)
    if own_key != key:
        moved = Outcome(fate=Fate.NOT_SUBJECT, reason="re-keyed")
        return Intake(row, outcome=moved, pass_on=(_moved(own_key, key),))
    visits = () if row is None else row.visits
    known = [v for v in visits if {bare(v.local), bare(v.episode), *map(bare, v.numbers)} & set(report.stays)]
    if not known:  # of a stay that is not relayed here
        return Intake(row, outcome=Outcome(fate=Fate.NOT_SUBJECT, reason="report-without-stay"))
    arrived = ReportArrived(at=at, visit=known[-1].local, letter_id=report.letter_id)
    return Intake(row, outcome=Outcome(fate=Fate.NOT_SUBJECT, reason=_REPORT), report=(known[-1].lane, arrived))
