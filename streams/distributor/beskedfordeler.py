"""What is done about each answer of KOMBIT's Beskedfordeler to a besked that is handed to it (02 §7.3, Send).

An answer is `StandardRetur/StatusKode`. It says whether the hop took the besked, and nothing of the receiver behind it: it
is no acknowledgement, and nothing here reads one. The texts beside the code are written by others and are not read.

A besked that is tried again is the same bytes with the same `BeskedId`, by which Beskedfordeler knows it again.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from lxml import etree

from streams.envelopes.grammar import root_of
from streams.words.errors import Rejected

_SAGDOK: Final = "{urn:oio:sagdok:3.0.0}"
_CODE: Final = "StatusKode"


class Reaction(StrEnum):
    """What is done with a copy."""

    TAKEN = "taken"  # its offset may be committed
    RENEW = "renew"  # the token is read again, and the same besked goes at once
    REFUSED = "refused"  # for good: it lies in the dead letters
    LATER = "later"  # after a pause the same besked goes; those behind it wait


#: By StatusKode, else by its first digit (02 §7.3: 20, 41; 40 as in the answer to a push). Any other code is no verdict
#: about the besked: it is tried again, as nothing may be lost by a word that is not known.
REACTIONS: Final[Mapping[str, Reaction]] = {
    "20": Reaction.TAKEN,
    "41": Reaction.RENEW,
    "4": Reaction.REFUSED,
}

#: No answer of Beskedfordeler: none came, or it could not be reached.
NO_ANSWER: Final = ""

#: Seconds before a besked is tried again: the first times of a copy (02 §7.2), and never so long that Kafka gives the
#: partitions of a bridge that does not ask for records to another one (five minutes).
_PAUSES: Final = (5.0, 15.0, 60.0)


def reaction(code: str, *, renewed: bool) -> Reaction:
    """What to do about an answer. `renewed`: this besked has gone with a new token already."""
    found = REACTIONS.get(code) or REACTIONS.get(code[:1], Reaction.LATER)
    return Reaction.LATER if found is Reaction.RENEW and renewed else found


def pause(failures: int) -> float:
    """Seconds to wait after that many failures in a row, from 1."""
    return _PAUSES[min(failures, len(_PAUSES)) - 1]


def status_of(answer: bytes) -> str:
    """The StatusKode of a `StandardRetur`: two digits; "" for anything else."""
    try:
        root = root_of(answer, "standardretur")
    except Rejected:
        return NO_ANSWER
    code: etree._Element | None = next(root.iter(f"{_SAGDOK}{_CODE}", _CODE), None)
    text = "" if code is None else (code.text or "").strip()
    return text if len(text) == 2 and text.isascii() and text.isdigit() else NO_ANSWER


def refusal(code: str) -> Rejected:
    """Why a copy is a dead letter."""
    return Rejected(
        "Haendelsesbesked",
        f"refused by Beskedfordeler with StatusKode {code}",
        "ask its operator by the BeskedId, mend the cause, and send it again with `stafet quarantine redrive`",
        f"status-{code}",
    )
