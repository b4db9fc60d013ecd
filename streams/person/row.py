"""The row of table `persons`: residence, protection and name last seen, visits with their lanes, recent control ids.

What decides: 00 §2.2 (content), §2.7 (how long). A visit keeps the lane it began in, because all its events must meet
there; that lane is another hospital's when the stay came from there within the region.
"""

from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec

from streams.words.ids import EpisodeId, Ids, Kommunekode, Lane
from streams.words.model import Disposition, EventClass, HospitalEvent, Value

__all__ = ["KnownVisit", "PersonRow", "Seen", "learned", "retained"]

#: Closed stays are known 30 days (00 §2.7): merges and late events still find their lane.
ENDED_FOR: Final = timedelta(days=30)
#: An open stay without any event for 400 days is given up (00 §2.7).
SILENT_FOR: Final = timedelta(days=400)
#: A control id belongs to one message for 7 days (spec 04 §5.5); after that another may have it.
UNIQUE_FOR: Final = timedelta(days=7)
#: The same bytes are known as a repeat for as long as a closed stay: later in its lane they would be found to be no new
#: event, after they had been counted as one.
CONTROL_FOR: Final = ENDED_FOR

VisitState = Literal["open", "ended", "planned", "void"]


class KnownVisit(Value, frozen=True, kw_only=True):
    """One visit number of one feed. `planned`: an attendance that is never notified (01, 11.10)."""

    local: EpisodeId  # local id of its first chain: names the visit in its lane
    episode: EpisodeId  # the id its notices carry: its own, or that of the stay it continues
    lane: Lane
    feed: str
    numbers: tuple[str, ...]  # PV1-19.1, newest last: A50 gives another one; none yet when taken over in a merge
    hospital: str = ""  # SOR of the hospital where the person last was
    region_code: str = ""
    class_: EventClass = ""
    state: VisitState = "open"
    disposition: Disposition | None = None
    ended_at: datetime | None = None  # event time
    closed_at: datetime | None = None  # when the end arrived
    last_at: datetime  # when its last event arrived


class Seen(Value, frozen=True, kw_only=True):
    """One control id and what came under it."""

    payload_hash: str
    at: datetime
    origin: str = ""  # topic/partition/offset of the record: the same one again is a repeat of ours, not the sender's


class PersonRow(Value, frozen=True, kw_only=True):
    """What intake remembers of one person key."""

    residence: Kommunekode | None = None
    protected: bool = False
    dead: bool = False
    family: str = ""
    given: tuple[str, ...] = ()
    visits: tuple[KnownVisit, ...] = ()
    controls: dict[str, Seen] = msgspec.field(default_factory=dict)  # "feed\0MSH-10"

    def __repr__(self) -> str:
        return f"PersonRow({len(self.visits)} visits)"

    def visit(self, feed: str, number: str) -> KnownVisit | None:
        """The visit of that number, the newest first."""
        for known in reversed(self.visits):
            if known.feed == feed and number in known.numbers:
                return known
        return None

    def visit_of(self, local: EpisodeId) -> KnownVisit | None:
        """The visit of that local id: one taken over from another key is not known by number."""
        return next((known for known in self.visits if known.local == local), None)

    def with_visit(self, visit: KnownVisit) -> "PersonRow":
        """The row with this visit in place of its older self."""
        if self.visits and visit.local in [known.local for known in self.visits]:
            visits = tuple([visit if known.local == visit.local else known for known in self.visits])
        else:
            visits = (*self.visits, visit)
        return msgspec.structs.replace(self, visits=visits)

    def without(self, gone: tuple[KnownVisit, ...]) -> "PersonRow":
        """The row without these visits."""
        return msgspec.structs.replace(self, visits=tuple(known for known in self.visits if known not in gone))


def new_visit(event: HospitalEvent, number: str, ids: Ids, at: datetime) -> KnownVisit:
    """A visit not heard of before, in the lane of its own local id."""
    local = ids.episode(event.feed, number)
    lane = ids.lane(local)
    return KnownVisit(local=local, episode=local, lane=lane, feed=event.feed, numbers=(number,), last_at=at)


def _kept(visit: KnownVisit, at: datetime) -> bool:
    if visit.state == "open":
        return at - visit.last_at <= SILENT_FOR
    return at - (visit.closed_at or visit.last_at) <= ENDED_FOR


def retained(row: PersonRow, at: datetime) -> PersonRow:
    """The row without what is too old at `at` (00 §2.7)."""
    if not row.visits and not row.controls:
        return row
    visits = tuple([visit for visit in row.visits if _kept(visit, at)])
    controls = {name: seen for name, seen in row.controls.items() if at - seen.at <= CONTROL_FOR}
    if len(visits) == len(row.visits) and len(controls) == len(row.controls):
        return row
    return msgspec.structs.replace(row, visits=visits, controls=controls)


def learned(row: PersonRow, event: HospitalEvent) -> PersonRow:
    """The row with what the message says of the person; what it does not say stays as last seen (spec 04 §8.4)."""
    named = bool(event.family)
    elsewhere = bool(event.residence_problem)  # it says where, and there is nobody to tell: the old place is wrong
    return msgspec.structs.replace(
        row,
        residence=event.residence or (None if elsewhere else row.residence),
        protected=event.protected or (row.protected and not event.unprotected),
        dead=row.dead if event.dead is None else event.dead,
        family=event.family if named else row.family,
        given=event.given if named else row.given,
    )
