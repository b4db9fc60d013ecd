"""Arbitrary records on every topic that a running relay reads: after each batch of them the next good one is taken."""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from aiokafka.errors import CorruptRecordException, InvalidTimestampError, MessageSizeTooLargeError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.relay import Relay
from agents.start.watch import positions_of
from agents.station import FastClock
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.records import encode_lane_record
from streams.kafka.topics import ADT_RAW, LANES, LEDGER, RECEIPTS_RAW, letterbox
from streams.messages.adt.feed import read_from_feed
from streams.messages.adt.patient import record_key
from streams.words.ids import Lane, MessageId
from streams.words.model import Decision, Overdue, Receipt, ReceiptArrived, Wake
from tests.brokers import AnyBroker, producing, records, until
from tests.end_to_end.scene import Scene, prepare, relay_here, stays
from tests.foreign import RawName, foreign_producer, send
from tests.rules.stay_events import event
from tests.secured import Secured, secured_broker

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LANE = Lane("00c0ffee")
LETTERBOX = letterbox("0101")

#: What a real broker takes from nobody: such a record lies nowhere.
REFUSALS = (InvalidTimestampError, MessageSizeTooLargeError, CorruptRecordException)


class Foreign(NamedTuple):
    """A record to be sent, and how."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]
    timestamp_ms: int | None
    compression: str | None


def good_lane_records() -> list[dict[str, Any]]:
    notified, at = event("A01 08:00")
    message = MessageId(f"{LANE}-0000-5000-8000-000000000000")
    receipt = Receipt(verdict="ok", message_id=message, origin="receipts.raw/0/0")
    made = [
        Overdue(at=at, message_id=message, attempt=1, deadline=at),
        Wake(at=at, due=at),
        Decision(at=at, action="resend", message_id=message, actor="a", reason="r", id="d"),
        ReceiptArrived(at=at, receipt=receipt),
    ]
    arrived = {"type": "stay-event", "at": at.isoformat(), "event": json.loads(msgspec.json.encode(notified))}
    return [*(json.loads(encode_lane_record(record)) for record in made), arrived]


STRANGE: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=20),
    st.sampled_from(
        ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "2026-03-01T12:00:00", "x" * 50_000, 10**30, [], {}, [[[]]]]
    ),
)


@st.composite
def lane_values(draw: st.DrawFn) -> bytes:
    """A record for `lanes` with one value of it replaced."""
    record = json.loads(json.dumps(draw(st.sampled_from(good_lane_records()))))
    inner = next((record[name] for name in ("event", "receipt") if name in record and draw(st.booleans())), record)
    inner[draw(st.sampled_from(sorted(inner)))] = draw(STRANGE)
    return json.dumps(record).encode()


@st.composite
def adt_values(draw: st.DrawFn, sendings: list[bytes]) -> bytes:
    """An ADT message with one field of it replaced."""
    segments = [segment.split(b"|") for segment in draw(st.sampled_from(sendings)).split(b"\r") if segment]
    fields = draw(st.sampled_from(segments))
    number = draw(st.integers(1, len(fields) - 1))
    fields[number] = draw(
        st.binary(max_size=30)
        | st.sampled_from([b"99991231235959+0100", b"00010101", b'""', b"x" * 50_000, b"~" * 300, b"^&^&" * 100])
    )
    return b"\r".join(b"|".join(parts) for parts in segments) + b"\r"


KEYS = st.none() | st.binary(max_size=40) | st.sampled_from([b"", LANE.encode(), b"\0position/lanes/0", b"k" * 70_000])
NAMES = st.text(max_size=20) | st.binary(max_size=12).map(RawName)
HEADERS = st.lists(
    st.tuples(
        NAMES
        | st.sampled_from(["dlq.attempts", "dlq.redrive-count", "adopts", "passed-on", "moved-from", "received-at"]),
        st.binary(max_size=40) | st.sampled_from([b"9" * 5000, b"[]", b"[" * 5000, b"x" * 70_000]),
    ),
    max_size=4,
)
TIMES = st.none() | st.integers(0, 2**62) | st.sampled_from([-1, 253_402_300_800_000, 2**63 - 1])
CODECS = st.sampled_from([None, "gzip", "lz4", "zstd", "snappy"])
JUNK = st.none() | st.binary(max_size=200) | st.sampled_from([b"[" * 100_000, b'{"a":' * 50_000, b"<a>" * 20_000])


def foreign(sendings: list[bytes]) -> st.SearchStrategy[Foreign]:
    values = {
        ADT_RAW: JUNK | adt_values(sendings),
        LANES: JUNK | lane_values(),
        RECEIPTS_RAW: JUNK | lane_values(),
        LETTERBOX: JUNK | lane_values(),
    }
    return st.sampled_from(sorted(values)).flatmap(
        lambda topic: st.builds(Foreign, st.just(topic), KEYS, values[topic], HEADERS, TIMES, CODECS)
    )


@dataclass
class Site:
    """A relay that runs on, and the good messages that are left to be sent."""

    scene: Scene
    relay: Relay
    good: Iterator[bytes]
    sendings: list[bytes]
    _rows: dict[str, str] = field(default_factory=dict)  # origin of an ADT record -> its fate

    async def takes(self, batch: list[Foreign]) -> None:
        """Sends the batch and a good message behind it, and waits until all is taken."""
        bootstrap = self.scene.bootstrap
        for one in batch:
            async with foreign_producer(bootstrap, compression=one.compression) as producer:
                with contextlib.suppress(*REFUSALS):
                    await send(producer, one.topic, one.key, one.value, one.headers, timestamp_ms=one.timestamp_ms)
        data = next(self.good)
        document, feed = read_from_feed(data, self.scene.registers.feed)
        async with producing(bootstrap) as producer:
            key = record_key(document, feed, self.scene.ids).encode()
            sent = await producer.send_and_wait(ADT_RAW, data, key=key)
        await until(lambda: self._is_booked(f"{ADT_RAW}/0/{sent.offset}"))
        assert self._rows[f"{ADT_RAW}/0/{sent.offset}"] in ("accepted", "not-subject")
        await until(self._at_rest)

    async def _is_booked(self, origin: str) -> bool:
        """Whether the record at `origin` has its row in the ledger."""
        for record in await records(self.scene.bootstrap, LEDGER):
            row = json.loads(record.value or b"{}")
            if row["kind"] == "event":
                self._rows[row["origin"]] = row["what"]
        return origin in self._rows

    async def _at_rest(self) -> bool:
        found = await positions_of(self.relay)
        reached = await ends(self.scene.bootstrap)
        return bool(found) and all(at >= reached.get(topic, 0) for (topic, _), (at, _) in found.items())


async def ends(bootstrap: str) -> dict[str, int]:
    """The next offset of partition 0 of each source."""
    found = dict.fromkeys((ADT_RAW, LANES, RECEIPTS_RAW, LETTERBOX), 0)
    for record in await records(bootstrap, *found):
        found[record.topic] = max(found[record.topic], record.offset + 1)
    return found


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with EmbeddedBroker() as broker:
        yield scene(broker, tmp_path_factory.mktemp("relay"))


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("relay")
    with secured_broker(folder / "kafka") as broker:
        yield scene(broker.broker, folder, broker)


def scene(broker: AnyBroker, folder: Path, secured: Secured | None = None) -> Scene:
    return Scene(broker, folder, ("0101", "0461"), clock=FastClock(NOON, 10), partitions=1, secured=secured)


@contextlib.contextmanager
def working(scene: Scene) -> Iterator[tuple[asyncio.Runner, Site]]:
    """A relay over the scene, which goes on from one example to the next."""
    with asyncio.Runner() as runner:
        prepare(scene)
        sendings = [one.sendings[0].data for one in stays(scene, 600, seed=3)]
        stack = contextlib.AsyncExitStack()
        relay = runner.run(stack.enter_async_context(relay_here(scene)))
        try:
            yield runner, Site(scene, relay, iter(sendings), sendings[-20:])
        finally:
            runner.run(stack.aclose())


def test_after_any_records_next_good_one_is_taken(embedded: Scene) -> None:
    with working(embedded) as (runner, site):
        takes_any(runner, site, examples=25)


@pytest.mark.real
@pytest.mark.timeout(300)
def test_after_any_records_broker_with_users_serves_next(secured: Scene) -> None:
    with working(secured) as (runner, site):
        takes_any(runner, site, examples=10)


def takes_any(runner: asyncio.Runner, site: Site, examples: int) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(batch=st.lists(foreign(site.sendings), min_size=1, max_size=5))
    def takes(batch: list[Foreign]) -> None:
        runner.run(site.takes(batch))

    takes()
