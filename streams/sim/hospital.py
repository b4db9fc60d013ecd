"""Simulated hospitals: stays from the stories, for as many patients as asked, as one stream of ADT messages in time.

Pure: chance is a seeded `random.Random`, the beginning is an argument, so the same arguments give the same bytes. Not
here: where the stories are played (`places.py`), sending (`run_hospital.py`).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

from streams.words.ids import Kommunekode

from .er7 import AdtMessage, Place, er7
from .people import Person, person
from .places import Places
from .stories import STORIES, Step, Story

__all__ = ["Script", "Sending", "script", "scripts", "woven"]

#: How many visits carry a number of the hospital's own instead of a UUID (both are met: spec 04 §8.3).
_OWN_NUMBER_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class Sending:
    """One message on its way: when the hospital's system sends it, and its bytes."""

    at: datetime
    data: bytes


@dataclass(frozen=True, slots=True)
class Script:
    """One stay of one person: what is sent, and which notices the person's municipality must get, in order."""

    story: Story
    person: Person
    sendings: tuple[Sending, ...]

    @property
    def notices(self) -> tuple[str, ...]:
        """Notices due, as in `Notice`."""
        return self.story.notices


@dataclass
class _Visit:
    """One attendance at one hospital while its messages are written."""

    number: str
    start: datetime


class _Writer:
    """Writes the messages of one story; remembers the visits it has begun."""

    def __init__(self, who: Person, places: Places, begin: datetime, rng: Random) -> None:
        self._who, self._places, self._begin, self._rng = who, places, begin, rng
        self._visits: dict[tuple[str, str], _Visit] = {}
        self._last: Place | None = None
        digits = rng.randrange(10)
        self._replacement = f"{who.cpr[:6]}1{'ABCDEFGHIJ'[digits]}X{rng.randrange(10)}"

    def write(self, step: Step) -> Sending:
        place = self._places[step.where]
        occurred = self._begin + step.at
        visit = self._visit(place, occurred if step.start is None else self._begin + step.start, step.start is not None)
        prior = self._last if step.trigger == "A02" else None
        message = AdtMessage(
            trigger=step.trigger,
            control_id=f"SIM{self._rng.getrandbits(60):015X}",
            sent=occurred + step.lag,
            occurred=occurred if step.timed else None,
            person=self._who,
            place=place,
            prior=prior,
            visit=visit.number,
            class_=step.class_,
            start=visit.start if step.timed else None,
            end=occurred if step.end else None,
            disposition=step.disposition,
            died=occurred if step.dead else None,
            replacement=self._replacement if step.identity == "replacement" else "",
            retired=self._replacement if step.identity == "merge" else "",
            charset="8859/1" if step.latin_1 else "UNICODE UTF-8",
        )
        self._last = place
        return Sending(message.sent, er7(message))

    def _visit(self, place: Place, start: datetime, corrected: bool) -> _Visit:
        """The visit at this hospital, begun at `start` when it is new or its start is corrected."""
        visit = self._visits.setdefault((place.application, place.facility), _Visit("", start))
        visit.number = visit.number or self._number()
        if corrected:
            visit.start = start
        return visit

    def _number(self) -> str:
        if self._rng.random() < _OWN_NUMBER_SHARE:
            return f"V{self._rng.randrange(10**12):012d}"
        return str(UUID(int=self._rng.getrandbits(128), version=4))


def script(story: Story, who: Person, places: Places, begin: datetime, rng: Random) -> Script:
    """The story played by one person, beginning at `begin`; its sendings in the order they are sent."""
    writer = _Writer(who, places, begin, rng)
    sendings: list[Sending] = []
    for step in story.steps:
        if step.again is None:
            sendings.append(writer.write(step))
        else:
            sendings.append(Sending(begin + step.at + step.lag, sendings[step.again].data))
    return Script(story, who, tuple(sorted(sendings, key=lambda sending: sending.at)))


def scripts(
    stays: int,
    journeys: Sequence[Places],
    kommuner: Sequence[Kommunekode],
    begin: datetime,
    rng: Random,
    *,
    spread: timedelta = timedelta(hours=1),
    stories: Sequence[Story] = STORIES,
    every_story_first: bool = False,
) -> Iterator[Script]:
    """`stays` stays of as many persons, beginning within `spread` of `begin`, stories by their shares.

    `every_story_first`: the first stays go through all stories in order, so that a short run shows each once.
    """
    shares = [story.share for story in stories]
    for number in range(stays):
        in_turn = every_story_first and number < len(stories)
        story = stories[number] if in_turn else rng.choices(stories, shares)[0]
        at = begin + spread * rng.random()
        places = journeys[number % len(journeys)]
        yield script(story, person(number, kommuner), places, at.replace(microsecond=0), rng)


def woven(stays: Iterable[Script]) -> list[Sending]:
    """All sendings in the order of time; equal times keep the order of their stays."""
    return sorted((sending for stay in stays for sending in stay.sendings), key=lambda sending: sending.at)
