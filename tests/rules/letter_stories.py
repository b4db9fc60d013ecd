"""Stories told by letters, one line per letter, and the notices that follow: for tests of hospitals without ADT.

    told = LetterStory()
    told.play("20 nytbrev 1/08:00 indlagt", "17 nytbrev 3/12:30 udskrevet_til_hjemmet")
    told.notices == ["STIN", "SLHJ"]

A line is `<type> <StatusCode> <day>/<hh:mm> [<EpisodeOfCareStatusCode>] [<field>=<value> …]`; `-` is no status. The day
counts from 1 March 2026. A letter is authorised a minute after its time, or at `now=`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from streams.messages.legacy.events import Author, events
from streams.messages.legacy.letter import Letter, Party
from streams.person.fold import PersonFold, fold
from streams.person.row import PersonRow
from streams.registry import Registers
from streams.stay import fold as stay
from streams.stay.state import StayFold, StayPolicy, Visit
from streams.words.ids import EpisodeId, Ids, Kommunekode
from streams.words.model import Notification, Outcome
from streams.words.times import COPENHAGEN

IDS = Ids(b"a secret for the tests only")
CPR = "2512489996"
STAY = "7B1D3F528F6A4B6E9D0C3A5B7C9D1E2F"
#: Two departments of Aalborg in the example registers, by location number and SHAK.
ACUTE, MEDICAL = ("2990000000415", "9904041"), ("2990000000422", "9904042")
ODENSE = ("2990000004611", "461")
DAY_ONE = datetime(2026, 3, 1)  # letters have local time


def letter(line: str, number: int = 1, **fields: Any) -> Letter:
    """The letter of a line; `fields` of it."""
    kind, status, when, *rest = line.split()
    more = dict(word.split("=") for word in rest if "=" in word)
    words = [word for word in rest if "=" not in word]
    occurred = moment(when)
    now = moment(more["now"]) if "now" in more else occurred + timedelta(minutes=1)
    gln, shak = {"acute": ACUTE, "medical": MEDICAL}[more.get("from", "acute")]
    identifier = more.get("letter", f"XX{number:012d}")
    values: dict[str, Any] = {
        "number": kind,
        "envelope_id": identifier,
        "sent": now,
        "positive_receipt": True,
        "letter_id": identifier,
        "authorised": now,
        "status": status,
        "stay": more.get("stay", STAY),
        "sender": Party(gln=gln, identifier=shak, code="sygehusafdelingsnummer", name="Aalborg (test)"),
        "answer_to": gln,
        "receiver": Party(gln=ODENSE[0], identifier=ODENSE[1], code="kommunenummer"),
        "cpr": more.get("cpr", CPR),
        "patient_status": "" if words in ([], ["-"]) else words[0],
        "occurred": occurred,
    }
    return Letter(**{**values, **fields})


def moment(text: str) -> datetime:
    """`3/12:30` on the third day."""
    day, _, clock = text.rpartition("/")
    hours, minutes = map(int, clock.split(":"))
    return DAY_ONE + timedelta(days=int(day or 1) - 1, hours=hours, minutes=minutes)


def author_of(sent: Letter, registers: Registers) -> Author:
    """Who has sent it, by the example registers."""
    found = registers.author(sent.sender.gln, sent.sender.identifier, "edifact", None)
    assert found is not None
    return found


@dataclass
class LetterStory:
    """What persons and stays hold after letters, for one person whose name is known."""

    registers: Registers
    row: PersonRow = field(default_factory=lambda: PersonRow(family="Elmer", given=("Bruno Test",)))
    visits: dict[EpisodeId, Visit] = field(default_factory=dict)
    notes: list[Notification] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    count: int = 0

    @property
    def notices(self) -> list[str]:
        """In order."""
        return [note.notice.value for note in self.notes]

    @property
    def reasons(self) -> list[str]:
        """Of what became of each event: its reason, or its fate."""
        return [outcome.reason or outcome.fate.value for outcome in self.outcomes]

    def play(self, *lines: str) -> "LetterStory":
        """One letter after the other."""
        for line in lines:
            self.count += 1
            self.take(letter(line, self.count))
        return self

    def take(self, sent: Letter) -> PersonFold:
        """One letter."""
        author = author_of(sent, self.registers)
        reports = events(sent, author, Kommunekode("0461"), self.row.visits, self.registers.glns(author.feed.key))
        at = sent.authorised.replace(tzinfo=COPENHAGEN)
        folded = fold(
            self.row,
            reports,
            key=IDS.person(sent.cpr),
            payload_hash=str(hash(sent)),
            at=at,
            ids=IDS,
            region_at=self.registers.region_at,
        )
        self.row = folded.row
        for event in folded.stay_events:
            self._kept(
                stay.fold(
                    self.visits.get(event.visit), event, at=at, ids=IDS, policy=StayPolicy(), ordinal=len(self.notes)
                )
            )
        self.outcomes += folded.outcomes
        return folded

    def wake(self, at: datetime) -> Sequence[str]:
        """What is due by then; the reasons of what was released."""
        for visit in list(self.visits.values()):
            self._kept(
                stay.wake(
                    visit, at=at.replace(tzinfo=COPENHAGEN), ids=IDS, policy=StayPolicy(), ordinal=len(self.notes)
                )
            )
        return self.reasons

    def _kept(self, folded: StayFold) -> None:
        if folded.visit is not None:
            self.visits[folded.visit.id] = folded.visit
        self.notes += folded.notifications
        self.outcomes += [folded.outcome, *(outcome for _, outcome in folded.released)]
