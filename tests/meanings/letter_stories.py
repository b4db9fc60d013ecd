"""Legacy letters, as values: `admission()` and `discharge()`, with changes to their fields."""

from datetime import datetime, timedelta
from functools import cache
from typing import Any

from streams.messages.legacy.letter import Letter, Party
from streams.messages.legacy.understand import StaySoFar, after_letter, notify, understand
from streams.registry import Registers, load
from streams.words.ids import Ids
from streams.words.model import Notification, Patient
from tests.meanings.letters import TOWN, letter

__all__ = ["ADMITTED", "C4", "IDS", "PATIENT", "STAY", "admission", "discharge", "noticed", "registers"]

IDS = Ids(secret=b"only for the test suite")
PATIENT = Patient(cpr="2509479989", family="Elmer", given=("Bruno", "Test"))
STAY = "6F1C2A540D0B4C579A403F3F0B7E6A11"
ADMITTED = datetime(2026, 3, 1, 1, 25)
C4 = Party(
    gln="2990000000125",
    identifier="9901012",
    code="sygehusafdelingsnummer",
    name="Odense Universitetshospital (test)",
    department="Medicinsk afdeling C",
    unit="Afsnit C4",
    phone="66113333",
)


def admission(status: str = "nytbrev", **changes: Any) -> Letter:
    """A XDIS20, sent five minutes after what it is about."""
    return _letter("20", status, {"patient_status": "indlagt", "occurred": ADMITTED} | changes)


def discharge(status: str = "nytbrev", **changes: Any) -> Letter:
    """A XDIS17, five days later."""
    at = ADMITTED + timedelta(days=5)
    return _letter("17", status, {"patient_status": "udskrevet_til_hjemmet", "occurred": at} | changes)


def _letter(number: str, status: str, changes: dict[str, Any]) -> Letter:
    occurred: datetime = changes["occurred"]
    letter_id = changes.get("letter_id", f"AB{number}{occurred:%m%d%H%M}00")[:14]
    facts: dict[str, Any] = {
        "number": number,
        "envelope_id": letter_id,
        "sent": occurred + timedelta(minutes=5),
        "letter_id": letter_id,
        "authorised": occurred + timedelta(minutes=5, seconds=4),
        "status": status,
        "sender": C4,
        "answer_to": C4.gln,
        "receiver": TOWN,
    }
    return letter(**(facts | changes))


@cache
def registers() -> Registers:
    """The example set."""
    return load("example")


def noticed(*letters: Letter, patient: Patient = PATIENT) -> Notification:
    """The notice of the last one, after the others."""
    before: StaySoFar | None = None
    *earlier, last = letters
    for one in earlier:
        before = after_letter(before, understand(one, registers(), IDS))
    return notify(understand(last, registers(), IDS), before, patient, IDS)
