"""Hospitals under load: stays without end, each message noted in the intent log before it is sent.

Each step of a stay leads to exactly one notice, so a message can be followed from its sending to its letter. What a stay
must lead to is written here by hand, from spec 01 §9; the product's simulator only writes the bytes.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

from streams.gateway.admission import Unconfirmed
from streams.registry import load as registers
from streams.sim.hospital import journeys, onto_topic, script
from streams.sim.stories import Story, StoryStep, person
from streams.words.ids import Ids
from tests.brokers import producing
from tests.faults.oracle import Intent

__all__ = ["KOMMUNER", "Hospitals", "IntentLog", "sending"]

#: Twenty municipalities of the example registers, all with FHIR.
KOMMUNER: Final = tuple(sorted(registers("example").kommuner)[::5][:20])
BEGIN: Final = timedelta(days=20)  # before now: no event lies in the future
OPEN: Final = 60  # stays at a time: a person's next message follows a few seconds after the one before


def _h(hours: float) -> timedelta:
    return timedelta(hours=hours)


def _step(trigger: str, hours: float, **more: Any) -> StoryStep:
    return StoryStep(trigger=trigger, at=_h(hours), **more)


def _acute(hours: float) -> StoryStep:
    return _step("A04", hours, where="acute", class_="E")


def _home(hours: float) -> StoryStep:
    return _step("A03", hours, end=True, disposition="01")


#: Steps and the notice of each.
_STAYS: Final[Sequence[tuple[tuple[StoryStep, ...], tuple[str, ...]]]] = (
    ((_step("A01", 0), _home(70)), ("STIN", "SLHJ")),
    ((_acute(0), _step("A06", 2), _home(52)), ("STAA", "STIN", "SLHJ")),
    ((_step("A01", 0), _step("A21", 30), _step("A22", 50), _home(80)), ("STIN", "STOR", "SLOR", "SLHJ")),
    (
        (_step("A01", 0), _step("A21", 20), _step("A22", 30), _step("A21", 60), _step("A22", 70), _home(90)),
        ("STIN", "STOR", "SLOR", "STOR", "SLOR", "SLHJ"),
    ),
)  # fmt: skip


class Due(NamedTuple):
    """A message to be sent and what it must lead to; `sent` is not known yet."""

    data: bytes
    intent: Intent


@dataclass
class IntentLog:
    """One line before a message is sent, one when the broker has confirmed it. Survives whoever writes it."""

    path: Path

    def note(self, **line: Any) -> None:
        with self.path.open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")

    def intents(self) -> list[Intent]:
        """Everything that was meant; raises when the broker has not confirmed one of them."""
        lines = [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines()]
        confirmed = {line["confirmed"] for line in lines if "confirmed" in line}
        meant = [line for line in lines if "person" in line]
        assert confirmed == {line.pop("number") for line in meant}, "messages were meant and not confirmed"
        return [Intent(**line) for line in meant]


@dataclass
class Hospitals:
    """Sends the next step of some open stay, `rate` times a second, until asked to stop; then nothing is outstanding."""

    log: IntentLog
    deliver: Any
    rng: Random
    persons: Iterator[int]
    sent: int = 0
    again: int = 0
    rate: float = 10.0
    _open: list[Iterator[Due]] = field(default_factory=list)
    _in_turn: asyncio.Lock = field(default_factory=asyncio.Lock)  # a stay's messages leave in their order

    async def send(self, number: int) -> None:
        """As many messages as fast as the broker takes them: a backlog."""
        for _ in range(number):
            await self._one()

    async def keep_sending(self, stop: asyncio.Event) -> None:
        """At `rate`, which may change, until `stop`."""
        while not stop.is_set():
            began = time.monotonic()
            await self._one()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), max(1 / self.rate - (time.monotonic() - began), 0.001))

    async def _one(self) -> None:
        async with self._in_turn:
            await self._confirmed(self._next())

    async def _confirmed(self, due: Due) -> None:
        number, self.sent = self.sent, self.sent + 1
        self.log.note(number=number, **due.intent._replace(sent=time.time())._asdict())
        while True:
            try:
                await self.deliver(due.data)
            except (Unconfirmed, ConnectionError):  # as an engine does: until it is taken
                self.again += 1
                await asyncio.sleep(0.2)
                continue
            self.log.note(confirmed=number)
            return

    def _next(self) -> Due:
        while len(self._open) < OPEN:
            self._open.append(_stay(next(self.persons), self.rng))
        place = self.rng.randrange(OPEN)
        due = next(self._open[place], None)
        if due is None:
            self._open[place] = _stay(next(self.persons), self.rng)
            due = next(self._open[place])
        return due


_PLACES: Final = journeys(registers("example").locations, datetime.now(UTC) - BEGIN)


def _stay(number: int, rng: Random) -> Iterator[Due]:
    """The messages of one person's stay, in order."""
    steps, notices = _STAYS[number % len(_STAYS)]
    who = person(number, KOMMUNER)
    begin = (datetime.now(UTC) - BEGIN + timedelta(minutes=rng.randrange(600))).replace(microsecond=0)
    played = script(Story("", 1, steps, notices), who, _PLACES[number % len(_PLACES)], begin, rng)
    assert len(played.sendings) == len(notices)
    inbox = f"municipality.{who.kommunekode}.inbox"
    for place, (sending, step, notice) in enumerate(zip(played.sendings, steps, notices, strict=True)):
        occurred = int((begin + step.at).timestamp())
        yield Due(sending.data, Intent(who.cpr, place, inbox, notice, occurred, 0.0))


@contextlib.asynccontextmanager
async def sending(bootstrap: str, secret: bytes, log: IntentLog, seed: int) -> AsyncIterator[Hospitals]:
    """Hospitals that write `adt.raw`, keyed as spec 04 §6 asks of a producer of their own."""
    async with producing(bootstrap) as producer:
        deliver = onto_topic(producer, registers("example"), Ids(secret))
        yield Hospitals(log, deliver, Random(seed), iter(range(1 << 30)))
