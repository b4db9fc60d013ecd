"""Simulated hospitals: stays from the stories as one stream of ADT messages in time, and the engine that sends it.

The stays are played in hospitals and wards of the location register. A journey needs an acute ward, two wards to be moved
between, another hospital of the region and one of another region. Every hospital that has an acute ward and two others is
the home of one journey; what it lacks it finds elsewhere, its own feed first. Chance is a seeded `random.Random`, the
beginning is an argument, so the same arguments give the same bytes.

Like a real engine it sends a message until it is answered, over MLLP or onto the topic itself; the resends are counted.
Writing the topic directly is what spec 04 §6 allows an external producer, keyed by person.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

from aiokafka import AIOKafkaProducer

from streams.formats.hl7v2 import Document
from streams.gateway.admission import LOCAL, Unconfirmed, admit
from streams.gateway.mllp import MllpClient, NoAnswer
from streams.gateway.run import KafkaPublisher
from streams.messages.adt.feed import FeedProfile
from streams.messages.adt.patient import record_key
from streams.registry import Registers
from streams.registry.rows import LocationRow
from streams.words.ids import Ids, Kommunekode

from .stories import STORIES, AdtMessage, Person, Story, StoryStep, Ward, Where, er7, person

Places = Mapping[Where, Ward]

#: How an acute ward is known by its code or its department's name.
_ACUTE_CODES = frozenset({"FAM", "AKUT"})


@dataclass(frozen=True, slots=True)
class _Hospital:
    feed: str
    facility: str
    region: str
    acute: tuple[str, ...]
    wards: tuple[str, ...]

    def place(self, ward: str) -> Ward:
        application, _, sender = self.feed.partition("/")
        return Ward(application, sender, self.facility, ward)


def journeys(locations: Iterable[LocationRow], at: datetime) -> tuple[Places, ...]:
    """One set of places per hospital that can be a home, of the locations valid at `at`, in register order.

    Raises ValueError when there is none.
    """
    grouped: dict[tuple[str, str], list[LocationRow]] = {}
    for row in locations:
        if row.valid(at):
            grouped.setdefault((row.feed, row.facility), []).append(row)
    hospitals = []
    for (feed, facility), group in grouped.items():
        acute = tuple(row.ward for row in group if row.ward in _ACUTE_CODES)
        wards = tuple(row.ward for row in group if row.ward and row.ward not in _ACUTE_CODES)
        hospitals.append(_Hospital(feed, facility, group[0].region_code, acute, wards))
    found: list[Places] = []
    for home in hospitals:
        near, far = (_other(home, hospitals, same_region=same) for same in (True, False))
        if home.acute and len(home.wards) >= 2 and near is not None and far is not None:
            places: Places = {
                "acute": home.place(home.acute[0]),
                "ward": home.place(home.wards[0]),
                "other-ward": home.place(home.wards[1]),
                "same-region": near.place(near.wards[0]),
                "other-region": far.place(far.wards[0]),
            }
            found.append(places)
    if not found:
        raise ValueError("no hospital with an acute ward, two others, and another hospital in and outside its region")
    return tuple(found)


def _other(home: _Hospital, hospitals: Sequence[_Hospital], *, same_region: bool) -> _Hospital | None:
    """Another hospital with a ward: for the same region its own feed first, for another region another feed first."""
    others = [
        hospital
        for hospital in hospitals
        if hospital.facility != home.facility and hospital.wards and (hospital.region == home.region) is same_region
    ]
    return min(others, key=lambda hospital: (hospital.feed == home.feed) is not same_region, default=None)


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
        self._last: Ward | None = None
        digits = rng.randrange(10)
        self._replacement = f"{who.cpr[:6]}1{'ABCDEFGHIJ'[digits]}X{rng.randrange(10)}"

    def write(self, step: StoryStep) -> Sending:
        place = self._places[step.where]
        occurred = self._begin + step.at
        visit = self._visits.get((place.application, place.facility))
        if visit is None:
            if self._rng.random() < _OWN_NUMBER_SHARE:
                number = f"V{self._rng.randrange(10**12):012d}"
            else:
                number = str(UUID(int=self._rng.getrandbits(128), version=4))
            visit = self._visits[place.application, place.facility] = _Visit(number, occurred)
        if step.start is not None:
            visit.start = self._begin + step.start
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


#: Delivers one message; True when it was taken, False when it was refused. Raises NoAnswer, Unconfirmed; ConnectionError when nothing was sent.
Deliver = Callable[[bytes], Awaitable[bool]]

_PAUSE = timedelta(seconds=1)  # before the same message is sent again


@dataclass(slots=True)
class Played:
    """What became of the messages."""

    taken: int = 0
    refused: int = 0
    again: int = 0  # sent once more because no answer came; without a connection nothing is sent


async def play(
    sendings: Iterable[Sending],
    deliver: Deliver,
    stop: asyncio.Event,
    *,
    rate: float | None = None,
    pause: timedelta = _PAUSE,
    unreachable: Callable[[], None] = lambda: None,
) -> Played:
    """Send in order, `rate` messages a second or as fast as they are answered, until done or `stop`.

    `unreachable` is called once for each message that finds no gateway: what comes after it waits too.
    """
    played, loop = Played(), asyncio.get_running_loop()
    begun = loop.time()
    for number, sending in enumerate(sendings):
        if rate is not None:
            await _until(begun + number / rate, stop)
        if stop.is_set():
            break
        sent, missed = 0, 0
        while not stop.is_set():  # until it is answered
            taken = None
            try:
                taken = await deliver(sending.data)
                sent += 1
            except (NoAnswer, Unconfirmed):
                sent += 1
            except ConnectionError:  # nothing was sent
                missed += 1
                if missed == 1:
                    unreachable()
            if taken is not None:
                played.taken += taken
                played.refused += not taken
                break
            await _until(loop.time() + pause.total_seconds(), stop)
        played.again += max(sent - 1, 0)
    return played


async def _until(at: float, stop: asyncio.Event) -> None:
    """Waits for the loop's time `at`, or for `stop`."""
    try:
        async with asyncio.timeout_at(at):
            await stop.wait()
    except TimeoutError:
        return


def through_gateway(client: MllpClient) -> Deliver:
    """Over MLLP: the gateway's answer decides."""

    async def deliver(data: bytes) -> bool:
        return (await client.send(data)).taken

    return deliver


def onto_topic(producer: AIOKafkaProducer, registers: Registers, ids: Ids) -> Deliver:
    """Onto `adt.raw` with a started producer: key and headers as the gateway writes them. Raises Unconfirmed."""
    publish = KafkaPublisher(producer)

    def key_of(document: Document, feed: FeedProfile) -> str:
        return record_key(document, feed, ids)

    async def deliver(data: bytes) -> bool:
        await publish(admit(data, LOCAL, registers.feed, key_of, ids.masked, datetime.now(UTC)))
        return True

    return deliver
