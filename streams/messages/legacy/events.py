"""From one legacy letter to the events of a stay that it reports (spec 04 §14.2, decision 0063).

A letter is a dialect of a feed, as ADT is another: it gives the events that an ADT message about the same would give, and
what becomes of them is decided where it always is (`streams/person`, `streams/stay`). So corrections, merges, transfers
and the balance know nothing of letters.

A letter knows less than ADT does. It has no name and no residence but that of the municipality it is addressed to, and
what it corrects is known by the stay alone: a corrected admission changes the start, a corrected discharge the end. Its
class is always inpatient; acute ambulatory stays and leave have no letter.

Two letters mean more when something is known of the stay. A corrected discharge of a stay that is open is the discharge
itself: the letter before it was lost. A new admission of a stay that has left for another department of the hospital is
the arrival there, which is no notice.
"""

from collections.abc import Container, Sequence
from datetime import datetime
from typing import Final, NamedTuple, Protocol

from msgspec.structs import replace

from streams.messages.adt.feed import FeedProfile
from streams.messages.adt.patient import is_official_cpr
from streams.person.row import Identity, KnownVisit, Reported
from streams.words.errors import Rejected
from streams.words.ids import EpisodeId, EventId, Kommunekode, Lane, uuid4_or_none
from streams.words.model import Disposition, EventKind, Snapshot, StayEvent, Unit
from streams.words.times import local_time, second_hour, with_offset

from .letter import Letter

__all__ = ["Author", "LetterRegisters", "Recipients", "addressed", "events", "identity"]


class Author(NamedTuple):
    """Who has sent a letter. `exact`: its unit is in the register; else `unit` is that of the location number."""

    feed: FeedProfile
    unit: Unit
    exact: bool


class Recipients(Protocol):
    """What is asked of the registers about the receiver of a letter."""

    @property
    def kommuner(self) -> Container[str]:
        """The codes of the municipalities there are."""

    def owners(self, gln: str, at: datetime) -> frozenset[Kommunekode]:
        """The municipalities that receive under a location number."""


class LetterRegisters(Recipients, Protocol):
    """What is asked of the registers about a letter."""

    def author(self, gln: str, number: str, form: str, at: datetime | None) -> Author | None:
        """Who sends letters of a form with this location number, and the unit that the number names."""

    def glns(self, feed: str) -> Container[str]:
        """The location numbers of a feed."""


K = EventKind

#: (type, StatusCode) -> what a letter reports (04 §14.2).
_KINDS: Final = {
    ("20", "nytbrev"): K.START,
    ("20", "rettetbrev"): K.UPDATE,
    ("20", "annulleretbrev"): K.START_CANCELLED,
    ("17", "nytbrev"): K.END,
    ("17", "rettetbrev"): K.UPDATE,
    ("17", "annulleretbrev"): K.END_CANCELLED,
}

#: EpisodeOfCareStatusCode of type 17 -> where the patient goes (04 §14.2); "": missing, as `uoplyst`.
_DISPOSITIONS: Final[dict[str, Disposition]] = {
    "udskrevet_til_hjemmet": "home",
    "udskrevet_til_andet": "other-primary",
    "uoplyst": "unknown",
    "": "unknown",
    "flyttet_til_sygehus": "transfer-hospital",
    "flyttet_til_sygehusafd": "transfer-ward",
    "doed": "death",
}


_SILENT: Final = Snapshot()


def addressed(letter: Letter, registers: Recipients) -> Kommunekode:
    """The municipality that a letter is for. Raises `Rejected`.

    The number decides, not the location number, which may be one for several municipalities (04 §10); one that is known as
    another municipality's is a contradiction (00 §7.19).
    """
    code = letter.receiver.identifier.zfill(4)
    if code not in registers.kommuner:
        raise Rejected(
            "Receiver.Identifier", "no municipality has this number", "send its kommunenummer", "unknown-municipality"
        )
    owners = registers.owners(letter.receiver.gln, local_time(letter.authorised))
    if owners and code not in owners:
        problem, remedy = "the location number of another municipality", "send that of the municipality of the number"
        raise Rejected("Receiver.EANIdentifier", problem, remedy, "other-municipality")
    return Kommunekode(code)


def identity(letter: Letter) -> Identity:
    """The person of a letter: an official CPR number, or one that replaces it (spec 05 §2.2)."""
    if is_official_cpr(letter.cpr):
        return Identity((letter.cpr,), False, ())
    return Identity((), True, (f"|{letter.cpr}",))


def events(
    letter: Letter, author: Author, kommunekode: Kommunekode, visits: Sequence[KnownVisit], glns: Container[str]
) -> tuple[Reported, ...]:
    """The events that one letter reports, in order; always at least one.

    `visits`: those that are known of the person; `glns`: the location numbers of the author's feed. The number of a stay is
    the hospital's: it names the same stay whichever of its departments writes.
    """
    own = uuid4_or_none(letter.stay)
    ours = {author.feed.key, *(v.feed for v in visits if v.feed in glns)}
    same = [v for v in visits if (letter.stay in v.numbers and v.feed in ours) or v.local == own]
    known = same[-1] if same else None
    recorded = with_offset(local_time(letter.authorised))
    local = local_time(letter.occurred, not_after=recorded)
    occurred, again = with_offset(local), second_hour(local)
    kind, admits = _KINDS[letter.number, letter.status], letter.number == "20"
    disposition = None if admits else _DISPOSITIONS[letter.patient_status]
    dead = True if letter.patient_status == "doed" else None
    unit: Unit | None = author.unit
    ended = known is not None and known.state == "ended"
    if admits and letter.status == "annulleretbrev" and dead:  # of the death alone (04 §14.2)
        kind = K.END_CANCELLED
    elif admits and letter.status == "rettetbrev" and ended:
        unit = None  # where the patient was before; the discharge says where now
        if known is not None and known.on_arrival and not dead:
            dead = False  # it was not a death on arrival
    elif not admits and letter.status == "rettetbrev" and known is not None and known.state == "open":
        kind = K.END
    cancels, who = letter.status == "annulleretbrev", identity(letter)
    event = StayEvent(
        id=EventId(""),
        kind=kind,
        lane=Lane(""),
        visit=EpisodeId(""),
        feed=letter.sender.gln if known is None else known.feed,
        control_id=f"{letter.sender.gln}#{letter.letter_id}",
        trigger=f"XDIS{letter.number}",
        visit_number=letter.stay,
        occurred=None if cancels else occurred,
        occurred_again=None if again is None or cancels else with_offset(again),
        recorded=recorded,
        residence=kommunekode,
        class_="IMP",
        unit=unit,
        disposition=None if cancels else disposition,
        snapshot=_SILENT
        if cancels
        else Snapshot(
            start_time=occurred if admits else None,
            end_time=None if admits else occurred,
            class_="IMP",
            department=None if unit is None else unit.sor,
            disposition=disposition,
            dead=dead,
            death_time=occurred if dead else None,
            cpr=who.cprs[0] if who.cprs else None,
            residence=kommunekode,
        ),
        correction=letter.status == "rettetbrev",
        **author.feed.dialect,
    )
    reported = Reported(event=event, who=who)
    if kind is K.START and ended and known is not None and known.disposition == "transfer-ward":
        back = replace(event, kind=K.END_CANCELLED, occurred=None, occurred_again=None, snapshot=_SILENT)
        arrived = replace(event, kind=K.MOVE, snapshot=Snapshot(department=event.snapshot.department))
        return replace(reported, event=back), replace(reported, event=arrived, part=1)
    return (reported,)
