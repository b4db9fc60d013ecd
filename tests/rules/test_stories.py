"""The simulator's stories, played through intake and stay rules: each gives the notices that the specification shows.

The notices stand in `streams/sim/stories.py`, written by hand from specs 01 and 04; the rules know nothing of them.
"""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from streams.formats.hl7v2 import read
from streams.messages.adt.patient import record_key
from streams.person.row import PersonRow
from streams.registry import load
from streams.relay.intake import take_in
from streams.sim.hospital import Script, journeys, scripts
from streams.sim.stories import STORIES
from streams.stay.fold import fold, wake
from streams.stay.state import Visit
from streams.words.ids import EpisodeId, Ids, Lane
from streams.words.model import Notification, StayEvent

BEGIN = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)
IDS = Ids(b"a secret of the tests")
EXAMPLE = load("example", now=BEGIN)
JOURNEYS = journeys(EXAMPLE.locations, BEGIN)


class House:
    """Intake and lanes in memory, fed in order of time; held events are woken when they are due."""

    def __init__(self) -> None:
        self.persons: dict[str, PersonRow | None] = {}
        self.visits: dict[tuple[Lane, EpisodeId], Visit] = {}
        self.wakes: dict[tuple[Lane, EpisodeId], datetime] = {}
        self.notifications: list[Notification] = []
        self.stopped: list[str] = []
        self._ordinals: dict[Lane, int] = defaultdict(int)
        self._records = 0

    @property
    def notices(self) -> list[str]:
        return [notification.notice.value for notification in self.notifications]

    def take(self, data: bytes, at: datetime) -> None:
        self._wake_until(at)
        document = read(data)
        feed = EXAMPLE.feed(document.header.text(3), document.header.text(4))
        assert feed is not None
        self._record(data, record_key(document, feed, IDS), {}, at)

    def rest(self) -> None:
        self._wake_until(datetime.max.replace(tzinfo=UTC))

    def _record(self, data: bytes, key: str, headers: dict[str, str], at: datetime) -> None:
        self._records += 1
        origin = f"adt.raw/0/{self._records}"
        taken = take_in(
            data, self.persons.get(key), key=key, origin=origin, headers=headers, at=at, ids=IDS, registers=EXAMPLE
        )
        self.persons[key] = taken.row
        if taken.rejected is not None:
            self.stopped.append(str(taken.rejected))
        for event in taken.stay_events:
            self._fold(event, at)
        for passed in taken.pass_on:
            self._record(data, passed.key, dict(passed.headers), at)

    def _fold(self, event: StayEvent, at: datetime) -> None:
        key = (event.lane, event.visit)
        origin = self.visits.get((event.lane, event.transfer.visit)) if event.transfer is not None else None
        folded = fold(
            self.visits.get(key),
            event,
            at=at,
            ids=IDS,
            policy=EXAMPLE.stay,
            ordinal=self._ordinals[event.lane],
            origin=origin,
        )
        self._keep(key, folded)

    def _keep(self, key, folded) -> None:  # type: ignore[no-untyped-def]
        self.visits.pop(key, None)
        self.wakes.pop(key, None)
        if folded.visit is not None:
            self.visits[key] = folded.visit
        if folded.wake is not None:
            self.wakes[key] = folded.wake
        self._ordinals[key[0]] += len(folded.notifications)
        self.notifications += folded.notifications
        if folded.outcome.fate == "stopped":
            self.stopped.append(folded.outcome.reason)

    def _wake_until(self, at: datetime) -> None:
        while due := [key for key, when in self.wakes.items() if when <= at]:
            for key in due:
                when = self.wakes.pop(key)
                visit = self.visits.get(key)
                if visit is not None:
                    more = wake(visit, at=when, ids=IDS, policy=EXAMPLE.stay, ordinal=self._ordinals[key[0]])
                    self._keep(key, more)


def played(number: int) -> Script:
    """Story `number` in a journey of its own, by a person of its own."""
    places, story = JOURNEYS[number % len(JOURNEYS)], STORIES[number]
    (script,) = scripts(1, [places], sorted(EXAMPLE.kommuner), BEGIN, Random(number), stories=[story])
    return script


@pytest.mark.parametrize("number", range(len(STORIES)), ids=[story.name for story in STORIES])
def test_story_gives_notices_of_specification(number: int) -> None:
    script, house = played(number), House()
    for sending in script.sendings:
        house.take(sending.data, sending.at)
    house.rest()
    assert house.stopped == []
    assert tuple(house.notices) == script.notices


def test_hundred_stays_give_exactly_their_notices() -> None:
    stays = list(scripts(100, JOURNEYS, sorted(EXAMPLE.kommuner), BEGIN, Random(7), spread=timedelta(hours=12)))
    house = House()
    for sending in sorted((s for stay in stays for s in stay.sendings), key=lambda sending: sending.at):
        house.take(sending.data, sending.at)
    house.rest()
    assert house.stopped == []
    assert sorted(house.notices) == sorted(notice for stay in stays for notice in stay.notices)
