"""One record of `letters.raw`, from bytes to the events of its stay, and the receipt that goes back (decision 0063).

The letter comes bare or in an envelope, from the hospital itself or from the network. Who sends is known by its location
number, and the feed of that number says in which forms it sends. What the letter reports goes the way of an ADT message
from there: to its person, its visit and its lane.

The receipt tells the hospital that we have the letter, not that the municipality has its notice. It is given once intake
has taken what the letter reports; what the stay makes of it is an operator's matter, as with ADT. A letter that comes
again is not taken again, and is answered again.

Pure, as `intake.py` beside it.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Final, Protocol

import msgspec

from streams.envelopes.wrapping import open_any
from streams.messages.legacy.answer import Heading, answer, heading, heading_of_unread
from streams.messages.legacy.document import Syntax, read, write
from streams.messages.legacy.events import Author, LetterRegisters, addressed, events, identity
from streams.messages.legacy.letter import Letter
from streams.person.fold import PassOn, fold
from streams.person.row import PersonRow, key_of
from streams.words.errors import Issue, Rejected
from streams.words.ids import Ids, PersonKey, Sor
from streams.words.model import Fate, Outcome
from streams.words.times import local_time

from .intake import REKEYED, FeedRegisters, HospitalReceipt, Intake, fault_of, outcome_of

__all__ = ["LetterIntakeRegisters", "take_letter"]


class LetterIntakeRegisters(LetterRegisters, FeedRegisters, Protocol):
    """What intake asks the registers about a hospital's letter."""


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
    payload = b""
    try:
        opened = open_any(value)
        payload = value if opened is None else opened.payload
        letter = _letter_in(payload)
    except Rejected as refused:
        receipts: tuple[HospitalReceipt, ...] = ()
        if (to := heading_of_unread(payload)) is not None:
            author = registers.author(to.sender_gln, "", _syntax_of(payload), at)
            receipts = _receipts(to, author, refused, payload, at, ids)
        outcome = outcome_of(Fate.REFUSED, "rejected", refused)
        return Intake(row, outcome=outcome, rejected=refused, receipts=receipts)
    sender, written = letter.sender, local_time(letter.authorised)
    author = registers.author(sender.gln, sender.identifier, _syntax_of(payload), written)
    if author is None:
        problem = "no feed sends letters of this form with this location number"
        unknown = Rejected("Sender.EANIdentifier", problem, "agree on the feed first", "unknown-facility")
        return Intake(row, outcome=outcome_of(Fate.REFUSED, unknown.rule, unknown), rejected=unknown)
    own_key = key_of(sender.gln, identity(letter), letter.letter_id, ids)
    if own_key != key:
        moved = Outcome(fate=Fate.NOT_SUBJECT, reason="re-keyed")
        return Intake(row, outcome=moved, pass_on=(PassOn(own_key, ((REKEYED, key),)),))
    taken = _taken(letter, author, row, key=key, origin=origin, at=at, ids=ids, registers=registers)
    if taken.repeated:
        return taken
    receipts = _receipts(heading(letter), author, taken.rejected, payload, at, ids)
    return msgspec.structs.replace(taken, feed=author.feed.key, receipts=receipts)


def _letter_in(payload: bytes) -> Letter:
    letter = read(payload)
    if isinstance(letter, Letter):
        return letter
    raise Rejected("Letter", "a receipt, where hospitals send letters", "send it on receipts.raw", "no-letter")


def _taken(
    letter: Letter,
    author: Author,
    row: PersonRow | None,
    *,
    key: str,
    origin: str,
    at: datetime,
    ids: Ids,
    registers: LetterIntakeRegisters,
) -> Intake:
    warnings = () if author.exact else (_UNKNOWN_WARD,)
    try:
        kommunekode = addressed(letter, registers)
    except Rejected as rejected:
        stopped = outcome_of(Fate.STOPPED, rejected.rule, rejected)
        return Intake(row, outcome=stopped, rejected=rejected, warnings=warnings)
    visits = () if row is None else row.visits
    folded = fold(
        row,
        events(letter, author, kommunekode, visits, registers.glns(author.feed.key)),
        key=PersonKey(key),
        payload_hash=_digest(letter),
        origin=origin,
        at=at,
        ids=ids,
        region_at=registers.region_at,
    )
    outcome = folded.outcome
    return Intake(
        folded.row,
        folded.stay_events,
        outcome,
        fault_of(outcome),
        folded.pass_on,
        folded.repeated,
        warnings=warnings,
    )


_UNKNOWN_WARD: Final = Issue(
    severity="warning",
    path="Sender.Identifier",
    rule="unknown-ward",
    problem="unit not in the location register",
    remedy="add it to the register",
)

_encode: Final = msgspec.msgpack.Encoder().encode


def _digest(letter: Letter) -> str:
    """Of all that a letter says, without the envelope, which is new with every dispatch (00 §6)."""
    bare = msgspec.structs.replace(letter, envelope_id="", sent=letter.authorised, positive_receipt=False)
    return hashlib.sha256(_encode(bare)).hexdigest()


def _syntax_of(payload: bytes) -> Syntax:
    return "oioxml" if payload.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<") else "edifact"


_MEDIA: Final[Mapping[Syntax, str]] = {"oioxml": "application/xml", "edifact": "application/EDIFACT"}


def _receipts(
    to: Heading, author: Author | None, refusal: Rejected | None, payload: bytes, at: datetime, ids: Ids
) -> tuple[HospitalReceipt, ...]:
    """What goes back to the hospital; nothing where none is known, nor where no receipt can quote the letter."""
    receipt = answer(to, refusal, at=at, ids=ids)
    if author is None or receipt is None:
        return ()
    syntax = _syntax_of(payload)
    try:
        document = write(receipt, syntax)
    except Rejected:
        return ()
    name = f"{'X' if syntax == 'oioxml' else ''}CTL{receipt.number}"
    hospital = Sor(author.unit.hospital or author.unit.sor)
    return (HospitalReceipt(hospital, receipt.receipt_id, name, _MEDIA[syntax], document),)
