"""The legacy letters as values: what XDIS20/17 and DIS20/17 say alike, and their receipts (spec 04 §§10-12).

A value holds every field of its letter, so that a letter of one syntax is written in the other with nothing lost (00
§7.13). Times are local time of Denmark without offset, as the letters have them.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from streams.words.codes import LPR3_SYSTEM
from streams.words.ids import bare
from streams.words.model import EpisodeIdentifier, Value

Status = Literal["nytbrev", "rettetbrev", "annulleretbrev"]


class Party(Value, frozen=True, kw_only=True):
    """Sender or receiver: location number, a number with its kind, and names."""

    gln: str
    identifier: str
    code: str  # IdentifierCode: sygehusafdelingsnummer, ydernummer, lokationsnummer, kommunenummer, sorkode
    name: str = ""  # "": none, `_` in EDIFACT (00 §7.9)
    department: str = ""
    unit: str = ""
    phone: str = ""


class Letter(Value, frozen=True, kw_only=True):
    """One notification of admission (`20`) or discharge (`17`), with the envelope that it travels in."""

    number: Literal["20", "17"]
    envelope_id: str  # 14 characters; equal to the letter's own on the first dispatch (00 §6)
    sent: datetime  # to the minute
    positive_receipt: bool  # AcknowledgementCode: pluspositivkvitt
    letter_id: str
    authorised: datetime  # to the second
    status: Status
    stay: str  # NotificationIdentifier
    sender: Party
    answer_to: str = ""  # location number to which the report of admission goes; mandatory in type 20
    receiver: Party
    cpr: str
    patient_status: str = ""  # EpisodeOfCareStatusCode as written; "": none
    occurred: datetime  # admission in type 20, discharge in type 17; to the minute

    def __repr__(self) -> str:
        return f"Letter({self.number}, {self.status}, {self.letter_id})"


class AnsweredLetter(Value, frozen=True, kw_only=True):
    """A letter that a receipt names."""

    letter_id: str
    version: str  # as the receipt has it: XD2030C in XCTL, D2030C in CTL
    refuse_code: str = ""
    refuse_text: str = ""  # line breaks are `\n`


class LetterReceipt(Value, frozen=True, kw_only=True):
    """A receipt for an envelope of letters: `03` positive, `02` negative, `01` the network could not deliver."""

    number: Literal["03", "02", "01"]
    envelope_id: str
    sent: datetime  # to the minute
    receipt_id: str
    sender_gln: str  # in `01` it may be a name
    receiver_gln: str
    original_envelope_id: str
    original_sender_gln: str
    original_receiver_gln: str
    refuse_code: str = ""
    refuse_text: str = ""
    letters: tuple[AnsweredLetter, ...] = ()


def stay_number(episode: Sequence[EpisodeIdentifier]) -> str:
    """NotificationIdentifier: the local id of the stay without hyphens, upper case; else what it has."""
    local = next((each for each in episode if each.system != LPR3_SYSTEM), episode[0])
    return bare(local.value).upper()
