"""A relay's day as records, and the read model folded from them: every status, cases, a pause, letters and dead letters.

`world()` is the same every time. `records` are all that lay on the topics, in the order in which they came to lie there.
`WAYS` names the municipalities that do not simply acknowledge, `MANUAL` those where an operator decides about
resends, `LETTERS` those that take OIOXML.
"""

import heapq
import itertools
import zlib
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import cache
from random import Random
from typing import Any, Final, NamedTuple

from msgspec.structs import replace
from sqlalchemy import Engine

from agents.worker.letters import lane_letter
from benchmarks.flows import BEGIN, IDS, Bench, ProducerRecord, Record, answer, behaviour, load
from streams.kafka.decisions import control_letters
from streams.kafka.records import header
from streams.observer.model.steps import READ, Unreadable, read
from streams.observer.model.store import ReadModel, connect, migrate
from streams.sim.hospital import journeys, scripts
from streams.words.ids import Ids, Kommunekode, Lane, Sor, minted_lane
from streams.words.model import Decision, NetworkReceipt, NetworkReceiptArrived, RecipientControl

__all__ = [
    "BEGIN",
    "END",
    "IDS",
    "LETTERS",
    "MANUAL",
    "PAUSED",
    "REGISTERS",
    "WAYS",
    "World",
    "filled",
    "folded",
    "world",
]

REGISTERS: Final = load("example", now=BEGIN)
KOMMUNER: Final = sorted(REGISTERS.kommuner)[:40]
#: When the day is looked at: some messages have just left.
END: Final = BEGIN + timedelta(hours=12)

#: Kommunekode -> how it answers; `nowhere`: the network takes nothing for it.
WAYS: Final[dict[str, str]] = dict(
    zip(
        KOMMUNER,
        ("fatal", "transient", "silent", "late", "duplicate", "garbage", "wrong-sender", "conflicting", "late:3h",
         "silent", "nowhere", "silent", "ok", "transient>ok"),
        strict=False,
    )
)  # fmt: skip
MANUAL: Final = frozenset(KOMMUNER[11:12])
LETTERS: Final = frozenset(KOMMUNER[12:16])
#: Of these nobody acknowledges a letter.
QUIET: Final = frozenset(KOMMUNER[14:16])
PAUSED: Final = KOMMUNER[20]


class _Registers:
    """The example set where municipalities differ as above."""

    def __init__(self) -> None:
        self.routes: dict[Any, Any] = {}

    def policy(self, kommunekode: str = "", format: str = "fhir") -> Any:
        """The terms; an operator decides about some."""
        terms = REGISTERS.policy(kommunekode, format)
        return replace(terms, mode="manual") if kommunekode in MANUAL else terms

    def acceptances(self, kommunekode: str, message_type: str, at: datetime) -> Any:
        """What is accepted; letters by some, without a receipt by a few."""
        rows = REGISTERS.acceptances(kommunekode, message_type, at)
        if kommunekode not in LETTERS:
            return rows
        quiet = False if kommunekode in QUIET else None
        return [replace(row, format="oioxml", version="1.0.3", mime="", expects_positive_receipt=quiet) for row in rows]

    def __getattr__(self, name: str) -> Any:
        return getattr(REGISTERS, name)


class World(NamedTuple):
    """What lay on the topics at `END`."""

    records: tuple[Record, ...]

    @property
    def read(self) -> list[Record]:
        """Those that the observer reads."""
        return [record for record in self.records if record.topic in READ]


class _Relay:
    """The relay over dicts, hospitals and municipalities around it; the clock is that of what happens."""

    def __init__(self) -> None:
        self.now = BEGIN
        self.bench = Bench(_Registers(), lambda: self.now)  # type: ignore[arg-type]
        self.records: list[Record] = []
        self._rng = Random(7)
        self._held_back = ""
        self._dispatches: Counter[str] = Counter()
        self._offsets: Counter[tuple[str, int]] = Counter()
        self._queue: list[tuple[datetime, int, ProducerRecord]] = []
        self._number = itertools.count()

    def expect(self, at: datetime, letter: ProducerRecord) -> None:
        heapq.heappush(self._queue, (at, next(self._number), letter))

    def run(self, end: datetime) -> None:
        while True:
            first = min(self._queue[0][0] if self._queue else end, end)
            tick = self.bench.tick(first)
            if tick is None and (not self._queue or self._queue[0][0] >= end):
                return
            at, letter = tick or heapq.heappop(self._queue)[::2]
            self.now = max(self.now, at)
            self.take(letter)

    def take(self, letter: ProducerRecord) -> None:
        if letter.topic not in self.bench.stages:
            self.lay(letter)
            return
        stage = self.bench.stages[letter.topic]
        try:
            taken = self.bench.take(letter)
        except Exception as fault:  # what the worker's shell does: a dead letter, and the stage's own rows
            record = Record(
                letter.topic, 0, self.bench._offsets[letter.topic], letter.key, letter.value, letter.headers
            )
            self._lie(record)
            assert stage.on_fault is not None
            for more in stage.on_fault(None, record, fault)[1]:
                self.lay(more)
            return
        self._lie(taken.record)
        refused = self._refused(taken.letters)
        for written in taken.letters:
            if refused and refused in (written.name, written.after):
                continue
            if written.topic in self.bench.stages:
                self.expect(self.now, written)
                continue
            self.lay(written)
            if written.topic.endswith(".inbox"):
                self._answer(written)

    def _refused(self, letters: Iterable[ProducerRecord]) -> str:
        """The name of the one letter that the broker does not take, shortly before the end."""
        for letter in letters:
            way = WAYS.get(letter.topic.split(".")[1], "ok") if letter.topic.endswith(".inbox") else ""
            if way == "ok" and not self._held_back and self.now > END - timedelta(minutes=20):
                self._held_back = letter.name
                return letter.name
        return ""

    def lay(self, letter: ProducerRecord) -> None:
        place = letter.topic, zlib.crc32(letter.key or b"") % 3
        self._lie(Record(*place, self._offsets[place], letter.key, letter.value, letter.headers))
        self._offsets[place] += 1

    def _lie(self, record: Record) -> None:
        self.records.append(record._replace(timestamp_ms=int(self.now.timestamp() * 1000)))

    def _answer(self, letter: ProducerRecord) -> None:
        self._dispatches[letter.name] += 1
        way = WAYS.get(letter.topic.split(".")[1], "ok")
        if way == "nowhere":
            transport = (header(letter.headers, "envelope-id") or b"").decode()
            at = self.now + timedelta(seconds=20)
            refusal = NetworkReceipt(
                positive=False, original_transport_id=transport, origin=f"receipts.raw/1/{transport}"
            )
            lane = Lane((letter.key or b"").decode())
            self.expect(at, lane_letter(lane, NetworkReceiptArrived(at=at, receipt=refusal), transport))
            return
        if letter.topic.split(".")[1] in QUIET:
            return
        for reply in answer(letter.value or b"", behaviour(way), self.now, self._rng, self._dispatches[letter.name]):
            self.expect(self.now + reply.after, ProducerRecord("receipts.raw", letter.key, reply.data))


@cache
def world(stays: int = 160) -> World:
    """Twelve hours of so many stays; the last of them have only just begun."""
    relay = _Relay()
    places = journeys(REGISTERS.locations, BEGIN)
    late = stays // 8
    for number, begin, spread in ((stays - late, BEGIN, 10), (late, END - timedelta(minutes=50), 0.75)):
        rng = Random(number)
        for stay in scripts(number, places, KOMMUNER, begin, rng, spread=timedelta(hours=spread)):
            for sending in stay.sendings:
                relay.expect(sending.at, relay.bench.letter(sending.data))
    relay.expect(BEGIN + timedelta(minutes=5), ProducerRecord("adt.raw", b"of-nobody", b"not HL7"))
    relay.run(END - timedelta(hours=2))
    _decide(relay)
    relay.run(END)
    return World(tuple(relay.records))


def _decide(relay: _Relay) -> None:
    """A pause, and an operator's decisions about what nobody answered."""
    paused = RecipientControl(
        kommunekode=Kommunekode(PAUSED), action="pause", at=relay.now, actor="operator", reason="moves house",
        paused_since=relay.now, pause_reason="moves house",
    )  # fmt: skip
    for letter in control_letters(paused):
        relay.lay(letter)
    with filled(World(tuple(relay.records))).connect() as c:
        given_up = [row.message_id for row in _with_status(c, "given_up")]
        overdue = [row.message_id for row in _with_status(c, "overdue")]
    for number, (action, message) in enumerate(
        (("close-case", given_up[0]), ("send-anew", given_up[1]), ("resend", overdue[0]), ("give-up", overdue[1]),
         ("resend", given_up[2]))
    ):  # fmt: skip
        decision = Decision(
            at=relay.now, action=action, message_id=message, actor="operator", reason="asked by phone", id=f"d-{number}"
        )  # type: ignore[arg-type]
        lane = minted_lane(message)
        assert lane is not None
        relay.expect(relay.now, lane_letter(lane, decision, decision.id))


def _with_status(c: Any, status: str) -> Iterable[Any]:
    from sqlalchemy import select

    from streams.observer.model.schema import shipments

    query = select(shipments).where(shipments.c.status == status).order_by(shipments.c.created)
    return c.execute(query).all()


def folded(engine: Engine, records: Iterable[Record], batch: int = 500, *, ids: Ids = IDS, **policy: Any) -> int:
    """Folds records into a database as the observer does; the number of those that could not be read."""
    model = ReadModel(engine, **({"wait_of": wait_of, "place_of": place_of} | policy))
    unreadable, some = 0, list[Any]()
    for record in records:
        if record.topic not in READ:
            continue
        try:
            found = read(record, ids)
        except Unreadable:
            unreadable += 1
            continue
        if found is not None:
            some.append(found)
        if len(some) >= batch:
            model.take(some)
            some = []
    model.take(some)
    return unreadable


def wait_of(kommunekode: str, format: str) -> timedelta:
    """The wait for a receipt, by the example set."""
    return REGISTERS.policy(kommunekode, format or "fhir").ack_timeout


def place_of(sor: str) -> tuple[str, str, str] | None:
    """A unit of the example set."""
    return next(
        ((str(row.sor), row.hospital, row.department) for row in REGISTERS.locations if row.sor == Sor(sor)), None
    )


def filled(of: World, url: str = "sqlite://") -> Engine:
    """A database with everything in it; in memory unless another one is named."""
    engine = connect(url)
    migrate(engine)
    folded(engine, of.records)
    return engine
