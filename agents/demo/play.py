"""The whole relay in one process, on the embedded broker and a clock that runs faster than the wall.

Simulated hospitals play stays of test persons, all eighteen notices among them; simulated municipalities answer well,
badly, late, twice or not at all. Deadlines of half an hour pass in seconds. It ends by itself when every message has
its fate, and then the balance is recomputed from the topics by code that knows nothing of the relay. The story of one
stay is found on the topics after the fact, as an operator would find it: ADT messages lead to ledger rows, the rows to
messages, the messages to status events.

The embedded broker keeps no more than the newest 5 MiB of each partition. What it drops it drops silently, and a
balance over what is left would look like letters lost. So a demo spreads its records over as many partitions as its
stays need, with half of each left free for uneven hashing, and afterwards asks the broker whether anything is gone
(`forgotten`). Beyond `MOST_STAYS` the records would want a broker with a disk. Changelogs may forget: nothing in a demo
recovers from them.

Not here: what is printed (`cli.py`).
"""

import asyncio
import math
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from dataclasses import dataclass, field
from dataclasses import replace as worker_replaced
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import orjson
from msgspec.structs import replace

from agents.distributor import build_distributor, distributor_running
from agents.relay import Relay, build_relay, relay_running
from agents.start.watch import Reader, positions_of
from agents.station import FastClock, Station
from agents.worker.app import Worker
from agents.worker.timer import owned_of
from streams.cli import interrupts
from streams.delivery.distribution import ReceiverType
from streams.kafka.clients import new_producer, read_all
from streams.kafka.embedded import KEEPS, EmbeddedBroker
from streams.kafka.topics import ADT_RAW, DISTRIBUTIONS, DISTRIBUTOR, LEDGER, TRACE, changelog, inbox, plan, receiver
from streams.observer.reading import Book, read_book
from streams.observer.reconcile import Balance, balance
from streams.registry import AcceptanceRow, Registers, load
from streams.registry.rows import ReceiverRow
from streams.relay.lane import decode_row
from streams.sim.hospital import Script, journeys, onto_topic, play, scripts, woven
from streams.sim.municipality import Town, behaviour, run_municipalities
from streams.words.codes import HOSPITAL_NOTIFICATION, NOTICES, Notice
from streams.words.ids import Ids, Kommunekode
from streams.words.times import danish


@dataclass(frozen=True, slots=True)
class StoryLine:
    """One sentence: when (on the demo's clock), who, what."""

    at: datetime
    who: str
    what: str


_TRIGGERS: Final[Mapping[str, str]] = {
    "A01": "admitted",
    "A02": "moved",
    "A03": "discharged",
    "A04": "arrived acutely",
    "A06": "admitted from acute",
    "A08": "updated",
    "A11": "admission cancelled",
    "A13": "discharge cancelled",
    "A21": "leave begins",
    "A22": "back from leave",
}

_STATES: Final[Mapping[str, str]] = {
    "SENT": "sent to the municipality (attempt {attempt}); a receipt is due within 30 minutes",
    "ACKED_OK": "receipt ok: settled",
    "ACKED_FATAL": "receipt fatal-error: a case is opened",
    "GIVEN_UP": "no receipt after two resends: a case is opened",
    "UNDELIVERABLE": "the network could not deliver it: a case is opened",
    "TRANSIENT": "receipt transient-error: the timer decides",
}


async def story_of(bootstrap: str, script: Script, registers: Registers) -> list[StoryLine]:
    """The lines of one stay, in order of time."""
    sent = {sending.data: sending.at for sending in script.sendings}
    origins: dict[str, bytes] = {}
    rows: list[dict[str, Any]] = []
    traces: list[tuple[str, dict[str, Any]]] = []
    async for record in read_all(bootstrap, (ADT_RAW, LEDGER, TRACE)):
        if record.topic == ADT_RAW and record.value in sent:
            origins[record.origin] = record.value
        elif record.topic == LEDGER:
            rows.append(orjson.loads(record.value or b"{}"))
        elif record.topic == TRACE:
            traces.append(((record.key or b"").decode(), orjson.loads(record.value or b"{}")))
    events = {row["subject"] for row in rows if row["kind"] == "stay-event" and row["origin"] in origins}
    messages = [row for row in rows if row["kind"] == "message" and row["event"] in events]
    taken = [row for row in rows if row["kind"] == "event" and row["origin"] in origins]
    lines = []
    for row in taken:  # when the relay took it; the simulated stay lies some weeks before the demo's clock
        data = origins[row["origin"]]
        trigger = data.split(b"\r", 1)[0].split(b"|")[8].split(b"^")[1].decode()
        what = f"ADT {trigger} of {danish(sent[data]):%d %b %H:%M}: {_TRIGGERS.get(trigger, 'event')}"
        lines.append(StoryLine(datetime.fromisoformat(row["at"]), "hospital", what))
    for row in sorted(messages, key=lambda row: (row["at"], row["subject"], row["ordinal"])):
        at, short, what = datetime.fromisoformat(row["at"]), f"…{row['subject'][-6:]}", row["what"]
        if what == "CREATED":
            kommune = registers.municipality(row["kommunekode"])
            name = kommune.name if kommune is not None else row["kommunekode"]
            text = f"message {short} for {name}: {row['notice']} “{NOTICES[Notice(row['notice'])].danish}”"
            lines.append(StoryLine(at, "relay", text))
        elif what in _STATES:
            lines.append(StoryLine(at, "relay", f"message {short}: {_STATES[what].format(attempt=row['attempt'])}"))
    lines.sort(key=lambda line: line.at)
    ours = {row["subject"] for row in messages}
    if found := [event for key, event in traces if key in ours]:
        counts = Counter(event["subtype"][0]["code"] for event in found)
        last = max(datetime.fromisoformat(event["recorded"]) for event in found)
        text = ", ".join(f"{number} {code}" for code, number in sorted(counts.items()))
        lines.append(StoryLine(danish(last), "trace", f"{len(found)} status events: {text}"))
    return lines


#: The faults that are on by default, and how a municipality that has one behaves: names of `stafet simulate`.
FAULTS: Final[Mapping[str, str]] = {
    "fatal": "fatal",
    "transient": "transient>ok",
    "silent": "silent",
    "late": "late:45m",
    "duplicate": "duplicate",
    "garbage": "garbage>ok",
    "wrong-sender": "wrong-sender>ok",
    "conflicting": "conflicting",
}
#: The systems behind one inbox, by name.
RECEIVERS: Final[Mapping[str, ReceiverType]] = {"omsorg": "A", "overblik": "B", "arkiv": "C"}
#: The municipality whose story is shown: the first message goes unanswered once, so that a resend is seen.
_STORY_BEHAVIOUR: Final = "silent>ok"
_STORY: Final = "leave"

#: A demo of a demo: the secret is no secret, and the ids are the same on every machine (00 §1.5).
_SECRET: Final = b"stafet demo: no secret at all"
_BEGIN: Final = datetime(2026, 3, 2, 21, 0, tzinfo=UTC)
#: When a municipality changes from letters to FHIR: two hours later, at midnight in Copenhagen.
_CHANGE: Final = datetime(2026, 3, 2, 23, 0, tzinfo=UTC)
#: Stays from which a demo is long enough for midnight to fall in the middle of it.
_LONG: Final = 100
_STAYS_BEGIN: Final = timedelta(days=21)  # before the demo's clock: no stay reaches into its future
_SPEED: Final = 600.0  # half an hour in three seconds
_STRIDE: Final = 0.5  # seconds: five looks of the timer
#: On the wall, for the slowest machine; a demo that hangs ends there. A quiet one takes 20 s and 35 ms a stay.
_LIMIT: Final = timedelta(minutes=15)
_LIMIT_A_STAY: Final = timedelta(milliseconds=300)

#: 330 MB of records in memory, and six minutes on a quiet machine of two cores.
MOST_STAYS: Final = 10_000

_FEWEST: Final = 4
# Bytes as sent, compressed, at 300, 450 and 2,000 stays with every fault: 1,900, 2,000, 2,800 and 7,600 a stay on
# `adt.raw`, `lanes`, `ledger` and a letterbox; 22,000 in the inbox of a municipality that is always sent to twice.
_KEYED: Final = 3_000  # bytes a stay on the fullest keyed topic, ledger
_LETTERBOX: Final = 8_000  # bytes a stay in the letterbox of a municipality that answers everything twice
_INBOX: Final = 35_000  # bytes a stay in an inbox whose municipality is sent everything three times
_FILLED: Final = KEEPS // 2


@dataclass(frozen=True)
class DemoOptions:
    """What may be chosen on the command line."""

    stays: int = 300
    municipalities: int = 98
    faults: tuple[str, ...] = tuple(FAULTS)
    seed: int = 1


@dataclass
class DemoProgress:
    """How far it is, for a progress bar."""

    sent: int = 0
    to_send: int = 0
    messages: int = 0
    settled: int = 0
    clock: datetime = _BEGIN


class Form(NamedTuple):
    """Municipalities that take legacy letters: what they take, in words, and what lies in their inboxes."""

    takes: str
    kommunekoder: tuple[str, ...]
    changes: bool  # at midnight
    letters: int = 0
    messages: int = 0  # of FHIR


@dataclass(frozen=True)
class DemoResult:
    """What there is to show at the end."""

    balance: Balance
    story: Sequence[StoryLine]
    stays: int
    municipalities: int
    behaviours: Mapping[str, int]  # name -> how many municipalities, or receivers behind one
    receivers: Mapping[
        str, str
    ]  # by type, how the systems answer behind one inbox; empty when there is no such municipality
    forms: Sequence[Form]
    took: timedelta  # on the wall
    played: timedelta  # on the demo's clock


@dataclass
class _Set:
    """The set of one demo."""

    options: DemoOptions
    registers: Registers
    shared: str  # the municipality with several receivers; "" for none
    ids: Ids
    clock: FastClock
    scripts: list[Script]
    town: Town
    forms: tuple[Form, ...]
    progress: DemoProgress
    show: Callable[[DemoProgress], None]
    stop: asyncio.Event = field(default_factory=asyncio.Event)


class Scene(NamedTuple):
    """What someone beside the demo needs to look on."""

    bootstrap: str
    registers: Registers
    ids: Ids
    clock: Callable[[], datetime]


def _nobody(_scene: Scene) -> AbstractAsyncContextManager[None]:
    return nullcontext()


async def demo(
    options: DemoOptions,
    show: Callable[[DemoProgress], None],
    observed: Callable[[Scene], AbstractAsyncContextManager[None]] = _nobody,
) -> DemoResult:
    """Plays until every message is settled. `show` is called a few times a second; `observed` goes on for as long as it plays.

    Raises TimeoutError, and `Forgotten` when there is no whole record to draw a balance from.
    """
    stage = _set_up(options, show)
    space = room(stay.person.kommunekode for stay in stage.scripts)
    began = asyncio.get_running_loop().time()
    with (
        EmbeddedBroker() as broker,
        TemporaryDirectory(prefix="stafet-demo-") as folder,
        interrupts.leaving(lambda: shutil.rmtree(folder, ignore_errors=True)),
    ):
        wide = {inbox(code): partitions for code, partitions in space.inboxes.items()}
        copies = space.inboxes.get(stage.shared, 1)
        wide |= dict.fromkeys((receiver(stage.shared, system) for system in RECEIVERS), copies)
        wide |= {changelog(DISTRIBUTOR, "inboxes"): copies}
        wide |= dict.fromkeys((DISTRIBUTIONS, changelog(DISTRIBUTOR, "distributions")), copies * 2)  # base64 once more
        topics = plan(
            stage.registers.kommuner,
            systems=stage.registers.distributed(),
            hospitals=stage.registers.letter_hospitals,
            partitions=space.keyed,
            inbox_partitions=1,
            letterbox_partitions=space.letterboxes,
        )
        broker.create([replace(topic, partitions=wide.get(topic.name, topic.partitions)) for topic in topics])
        worker = Worker(
            bootstrap=broker.bootstrap,
            worker_id="demo",
            state_dir=Path(folder),
            partitions=space.keyed,
            letterbox_partitions=space.letterboxes,
            embedded=True,
        )
        station = Station(stage.ids, stage.registers, stage.clock)
        relay = build_relay(worker, station)
        limit = _LIMIT + _LIMIT_A_STAY * options.stays
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(asyncio.timeout(limit.total_seconds()))
            scene = Scene(broker.bootstrap, stage.registers, stage.ids, stage.clock)
            await stack.enter_async_context(observed(scene))
            await stack.enter_async_context(relay_running(relay))
            readers: list[Reader] = [relay]
            if stage.shared:
                behind = worker_replaced(worker, app_id=DISTRIBUTOR, partitions=copies * 2, inbox_partitions=copies)
                distributor = build_distributor(behind, station)
                readers.append(await stack.enter_async_context(distributor_running(distributor)))
            await _play(stage, relay, readers, broker.bootstrap)
        book = await read_book(broker.bootstrap)
        forgotten(book.starts)
        story = await story_of(broker.bootstrap, _followed(stage.scripts), stage.registers)
    took = timedelta(seconds=asyncio.get_running_loop().time() - began)
    names = sorted(how.name for how in stage.town.behaviour.values())
    return DemoResult(
        balance=balance(book),
        story=story,
        stays=options.stays,
        municipalities=options.municipalities,
        behaviours=Counter(names),
        receivers={type_: stage.town.behaviour[f"{stage.shared}.{name}"].name for name, type_ in RECEIVERS.items()}
        if stage.shared
        else {},
        forms=[_counted(form, book) for form in stage.forms],
        took=took,
        played=stage.clock() - _BEGIN,
    )


def _set_up(options: DemoOptions, show: Callable[[DemoProgress], None]) -> _Set:
    registers, rng = load("example"), Random(options.seed)  # noqa: S311  # chance, not secrecy
    kommuner = sorted(registers.kommuner)
    residents = sorted(rng.sample(kommuner, options.municipalities))
    places = journeys(registers.locations, _BEGIN)
    stays = list(scripts(options.stays, places, residents, _BEGIN - _STAYS_BEGIN, rng, every_story_first=True))
    # Every other municipality has a fault, each fault in turn; that of the story always answers a resend.
    behaviours: dict[str, str] = dict.fromkeys(residents, "ok")
    faulty = rng.sample(residents, len(residents) // 2) if options.faults else []
    for number, code in enumerate(faulty):
        behaviours[code] = FAULTS[options.faults[number % len(options.faults)]]
    if options.faults:
        behaviours[_followed(stays).person.kommunekode] = _STORY_BEHAVIOUR
    # The quiet municipality with most stays has three receivers: A answers for it, B keeps silent, C is never asked.
    quiet = [code for code in residents if behaviours[code] == "ok"]
    lived = Counter(stay.person.kommunekode for stay in stays)
    shared = max(quiet, key=lambda code: lived[Kommunekode(code)], default="") if options.faults else ""
    if shared:
        registers = registers.with_receivers(
            *(
                ReceiverRow(
                    kommunekode=Kommunekode(shared),
                    message_type=HOSPITAL_NOTIFICATION,
                    system=system,
                    kind="other",
                    type=type_,
                )
                for system, type_ in RECEIVERS.items()
            )
        )
        del behaviours[shared]
        behaviours |= {f"{shared}.{system}": "ok" if type_ == "A" else "silent" for system, type_ in RECEIVERS.items()}
    rows, forms = _letters(stays, {_followed(stays).person.kommunekode, shared}, change=options.stays >= _LONG)
    registers = registers.with_acceptances(rows)
    # What is not answered before the change is for people after it (05 §6.4), and a demo has none.
    behaviours |= {row.kommunekode: "ok" for row in rows if row.valid_from is not None}
    town = Town({code: behaviour(name) for code, name in behaviours.items()}, Random(options.seed))  # noqa: S311  # the same
    progress = DemoProgress(to_send=sum(len(stay.sendings) for stay in stays))
    return _Set(
        options,
        registers,
        shared,
        Ids(_SECRET, "demo"),
        FastClock(_BEGIN, _SPEED, _STRIDE),
        stays,
        town,
        forms,
        progress,
        show,
    )


#: What the municipalities take that do not take FHIR yet: words, then format, version and envelope until and from the change.
_OIOXML: Final = ("oioxml", "XD2030C+XD1730C", "vans", "")
_EDIFACT: Final = ("edifact", "D2030C+D1730C", "none", "")
_FHIR: Final = ("fhir", "3.0", "vans", "application/fhir+json")
_TAKEN: Final = (
    ("OIOXML, and FHIR from midnight on", _OIOXML, _FHIR),
    ("OIOXML", _OIOXML, None),
    ("EDIFACT", _EDIFACT, None),
)


def _letters(
    stays: Sequence[Script], others: Collection[str], *, change: bool
) -> tuple[list[AcceptanceRow], tuple[Form, ...]]:
    """What municipalities that still take letters accept: an eighth of them, and none of those of which other things are shown.

    `change`: the demo lasts long enough for some to change over.
    """
    most = [code for code, _ in Counter(stay.person.kommunekode for stay in stays).most_common() if code not in others]
    taken, rows, forms = _TAKEN if change else _TAKEN[1:], [], []
    some = most[: max(len(taken), len(most) // 8)]
    for number, (words, before, after) in enumerate(taken):
        codes = tuple(some[number :: len(taken)])
        forms.append(Form(words, codes, after is not None))
        for code in codes:
            rows.append(_accepts(code, before, until=_CHANGE if after else None))
            if after:
                rows.append(_accepts(code, after, since=_CHANGE))
    return rows, tuple(form for form in forms if form.kommunekoder)


def _accepts(
    code: str, form: tuple[str, str, str, str], since: datetime | None = None, until: datetime | None = None
) -> AcceptanceRow:
    return AcceptanceRow(
        kommunekode=Kommunekode(code),
        message_type=HOSPITAL_NOTIFICATION,
        format=form[0],
        version=form[1],
        envelope=form[2],
        mime=form[3],
        environment="test",
        valid_from=since,
        valid_to=until,
    )


def _counted(form: Form, book: Book) -> Form:
    """With how many letters and messages of FHIR lie in their inboxes."""
    inboxes = {inbox(code) for code in form.kommunekoder}
    kinds = Counter(
        any(letter.legacy for letter in book.letters[message])
        for message, topics in book.inboxes.items()
        if topics & inboxes
    )
    return form._replace(letters=kinds[True], messages=kinds[False])


def _followed(stays: Sequence[Script]) -> Script:
    """The stay whose story is shown: the first with a leave, else the first that is notified at all."""
    for stay in stays:
        if stay.story.name == _STORY:
            return stay
    return next((stay for stay in stays if stay.notices), stays[0])


async def _play(stage: _Set, relay: Relay, readers: Sequence[Reader], bootstrap: str) -> None:
    producer = new_producer(bootstrap)
    deliver = onto_topic(producer, stage.registers, stage.ids)

    async def paced(data: bytes) -> bool:
        """Counts, and waits now and then until the relay has taken all: on a slow machine a queue of seconds would be hours
        on the demo's clock, and every receipt in it late."""
        taken = await deliver(data)
        stage.progress.sent += 1
        if stage.progress.sent == stage.progress.to_send // 2 and any(form.changes for form in stage.forms):
            left = _CHANGE - stage.clock()
            while left > timedelta(0):  # half of them before midnight, half after it
                await asyncio.sleep(max(stage.clock.wall_seconds(left), 0.02))
                left = _CHANGE - stage.clock()
        if stage.progress.sent % 20 == 0:
            stage.progress.clock = stage.clock()
            stage.show(stage.progress)
            all_taken = False
            while not all_taken:
                await asyncio.sleep(0.02)
                all_taken = await _all_taken(readers)
        return taken

    await producer.start()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(run_municipalities(bootstrap, stage.town, producer, stage.stop, stage.clock))
            await play(woven(stage.scripts), paced, stage.stop)
            quiet = 0  # looks in a row: every record taken, every message with its fate, no answer left to give
            while quiet < 2:
                await asyncio.sleep(0.25)
                is_quiet = not _look(stage, relay) and stage.town.is_idle and await _all_taken(readers)
                quiet = quiet + 1 if is_quiet else 0
            _look(stage, relay)
            stage.stop.set()
    finally:
        await producer.stop()


def _look(stage: _Set, relay: Relay) -> int:
    """How much is still under way: open messages, receipts without one, held events."""
    rows = [row for *_, data in relay.lanes.rows() if (row := decode_row(data)) is not None]
    deliveries = [delivery for row in rows for delivery in row.deliveries.values()]
    progress = stage.progress
    progress.messages, progress.settled = len(deliveries), sum(d.is_final for d in deliveries)
    progress.clock = stage.clock()
    stage.show(progress)
    held = sum(len(visit.held) for row in rows for visit in row.visits.values())
    return progress.messages - progress.settled + held + sum(len(row.orphans) for row in rows)


async def _all_taken(readers: Iterable[Reader]) -> bool:
    """Looked up, not asked for: of 98 letterboxes most are empty, and the broker would be asked about each."""
    for reader in readers:
        positions = await positions_of(reader)
        known = len(positions) == len(owned_of(reader.app, dict(reader.sources)))
        if not (known and all(taken >= end for taken, end in positions.values())):
            return False
    return True


class Forgotten(Exception):
    """The broker has dropped records that the balance needs; the text gives their number."""


class Room(NamedTuple):
    """Partitions of every keyed topic and table, of each inbox by kommunekode, and of every letterbox."""

    keyed: int
    inboxes: Mapping[str, int]
    letterboxes: int


def room(residences: Iterable[str]) -> Room:
    """Room for stays of persons who live there: a kommunekode for each stay."""
    stays = Counter(residences)
    inboxes = {code: math.ceil(number * _INBOX / _FILLED) for code, number in stays.items()}
    fullest = max(stays.values(), default=0)
    keyed = max(_FEWEST, math.ceil(stays.total() * _KEYED / _FILLED))
    return Room(keyed, inboxes, max(1, math.ceil(fullest * _LETTERBOX / _FILLED)))


def forgotten(starts: Mapping[tuple[str, int], int]) -> None:
    """Raises `Forgotten` when a partition no longer begins with its first record. `starts`: the oldest offset kept."""
    gone = {place: offset for place, offset in starts.items() if offset}
    if gone:
        (topic, partition), offset = max(gone.items(), key=lambda item: item[1])
        raise Forgotten(
            f"the embedded broker has dropped {sum(gone.values())} records, {offset} of them of {topic}/{partition}"
        )
