"""Our receipt for a letter of a hospital, in its own format (spec 04 §12, decision 0063).

Positive when all that the letter reports has been taken, and only where one is asked for; negative with the reason when it
cannot be used. It is about the whole envelope, which holds one letter. A letter that comes again has the same verdict
again, under the id of the envelope that it came in. Of one that cannot be read as a letter what can be found is quoted.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

from streams.words.errors import Rejected
from streams.words.ids import Ids, Lane
from streams.words.times import danish

from .document import examine
from .interchange import VERSIONS
from .letter import AnsweredLetter, Letter, LetterReceipt

__all__ = ["Heading", "answer", "heading", "heading_of_unread"]


class Heading(NamedTuple):
    """What a receipt quotes of a letter."""

    sender_gln: str
    receiver_gln: str
    envelope_id: str
    letter_id: str
    version: str
    positive_receipt: bool  # whether one is asked for


def heading(letter: Letter) -> Heading:
    """Of a letter that is read."""
    version = VERSIONS[f"DIS{letter.number}"]
    parties = letter.sender.gln, letter.receiver.gln
    return Heading(*parties, letter.envelope_id, letter.letter_id, version, letter.positive_receipt)


def heading_of_unread(data: bytes) -> Heading | None:
    """Of the first letter of a document with errors; None when it does not show who sent what."""
    try:
        said = examine(data).letters[0].values
    except Rejected:
        return None
    found = Heading(
        said.get("sender.gln", ""),
        said.get("receiver.gln", ""),
        said.get("envelope_id", ""),
        said.get("letter_id", ""),
        said.get("version", ""),
        positive_receipt=False,
    )
    return found if all(found[:-1]) else None


#: Reason code -> RefuseCode (04 §12); what offends 04 §§9-11 is an error of syntax, every other reason is not specified.
_REFUSE_CODES: Final[Mapping[str, str]] = {
    "04 §9": "syntaksfejl",
    "04 §10": "syntaksfejl",
    "04 §11": "syntaksfejl",
    "other-municipality": "problem_med_modtagerID",
    "unknown-municipality": "problem_med_modtagerID",
}
#: Of RefuseText: five lines of 70 (00 §7.29).
_LONGEST: Final = 350


def answer(to: Heading, refusal: Rejected | None, *, at: datetime, ids: Ids) -> LetterReceipt | None:
    """The receipt at `at`; None for a letter that is taken and asks for none."""
    if refusal is None and not to.positive_receipt:
        return None
    code = text = ""
    if refusal is not None:
        code = _REFUSE_CODES.get(refusal.rule, "ikke_specificeret")
        text = f"{refusal.path}: {refusal.problem}; {refusal.remedy}"[:_LONGEST]
    # Nobody answers it, so its id needs no lane; the digits of a hash are as good.
    lane = Lane(ids.masked(f"{to.sender_gln}#{to.letter_id}")[:8])
    own = ids.letter(lane, "ST", "receipt", to.envelope_id, code)
    return LetterReceipt(
        number="03" if refusal is None else "02",
        envelope_id=own,
        sent=danish(at).replace(tzinfo=None, second=0),
        receipt_id=own,
        sender_gln=to.receiver_gln,
        receiver_gln=to.sender_gln,
        original_envelope_id=to.envelope_id,
        original_sender_gln=to.sender_gln,
        original_receiver_gln=to.receiver_gln,
        refuse_code=code,
        refuse_text=text,
        letters=(AnsweredLetter(letter_id=to.letter_id, version=to.version, refuse_code=code, refuse_text=text),),
    )
