"""Each record that was seen to end a worker, on every topic it reads: it stays, and all is accounted for.

On a real broker that is plain, and on one where the relay is a user with the rights of `stafet access apply`.
"""

import asyncio
import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

from agents.station import FastClock
from agents.worker.tables import position_key
from streams.kafka.local import LocalBroker
from streams.kafka.records import Record, header
from streams.kafka.topics import ADT_RAW, CONTROL, DEAD_LETTERS, LANES, RECEIPTS_RAW, RELAY, changelog, letterbox
from tests.brokers import put, records, until
from tests.end_to_end.letters import faults_of, inbox_letters
from tests.end_to_end.rest import watching
from tests.end_to_end.scene import Scene, closes, expected_letters, municipalities, prepare, relay_here, stays
from tests.end_to_end.test_poison import ADMITTED
from tests.foreign import RawName, foreign_producer, send, transaction
from tests.secured import Secured

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LETTERBOX = letterbox("0101")
SOURCES = (ADT_RAW, LANES, RECEIPTS_RAW, LETTERBOX)
LARGE = b"x" * (17 << 20)
FAR = b'{"type":"wake","at":"9999-12-31T23:59:59Z","due":"9999-12-31T23:59:59Z"}'
#: key, value, headers, time
SEEN: tuple[tuple[bytes | None, bytes | None, list[tuple[str, bytes]], int | None], ...] = (
    (None, None, [], None),
    (b"", b"", [], None),
    (LARGE, b"a large key", [], None),
    (None, LARGE, [], None),
    (b"k", b"a large header", [("h", LARGE)], None),
    (b"k", b"a name of any bytes", [(RawName(b"\xff\xfe"), b"v")], None),
    (b"k", b"many digits", [("dlq.attempts", b"9" * 5000), ("dlq.redrive-count", b"9" * 5000)], None),
    (b"k", b"headers of ours", [("adopts", b"[" * 5000), ("passed-on", b"\xff"), ("received-at", b"9999")], None),
    (b"k", b"an old time", [], 0),
    (b"k", b"no time", [], -1),
    (b"\0position/adt.raw/0", b"9" * 5000, [], None),
    (b"k", b"[" * 300_000, [], None),
    *[(b"k", FAR, [], None)] * 15,
)


async def origin_of(bootstrap: str) -> dict[str, Record]:
    """Dead letters by the record they are about."""
    letters = await records(bootstrap, DEAD_LETTERS)
    parts = ("topic", "partition", "offset")
    return {
        "/".join((header(letter.headers, f"dlq.original-{part}") or b"").decode() for part in parts): letter
        for letter in letters
    }


async def stored_as_sent(bootstrap: str) -> None:
    """As topics of before: a broker that stores what it takes uncompressed refuses the largest records itself."""
    setting = ConfigEntry("compression.type", "producer", incremental_operation=AlterConfigOpType.SET)
    resources = [ConfigResource("topic", topic, incremental_configs=[setting]) for topic in SOURCES]
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    for promise in admin.incremental_alter_configs(resources).values():
        await asyncio.to_thread(promise.result, 10)


@pytest.fixture(params=["real", "secured"])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Scene:
    broker: LocalBroker | Secured = request.getfixturevalue(f"own_{request.param}")
    secured = broker if isinstance(broker, Secured) else None
    plain = broker.broker if isinstance(broker, Secured) else broker
    return Scene(plain, tmp_path, ("0101",), clock=FastClock(NOON, 100), partitions=1, secured=secured)


async def test_bad_records_are_dead_lettered_and_good_taken(scene: Scene) -> None:
    prepare(scene)
    await put(scene.bootstrap, CONTROL, [(b"installation", b"junk"), (b"skip/x", b"[")])
    await stored_as_sent(scene.bootstrap)
    for table, source in zip(("persons", "lanes", "receipts", "letterboxes"), SOURCES, strict=True):
        junk = [(b"k", b"\xff"), (position_key(source, 0), b"junk"), (b"\0x", b""), (b"", b"junk")]
        await put(scene.bootstrap, changelog(RELAY, table), junk)
    everybody = stays(scene, 4, seed=2, stories=ADMITTED)
    async with (
        watching(scene.bootstrap) as ledger,
        municipalities(scene, {"0101": "ok"}) as town,
        relay_here(scene),
    ):
        for codec in ("zstd", "gzip"):
            async with foreign_producer(scene.bootstrap, compression=codec) as producer:
                for topic in SOURCES:
                    for key, value, headers, time in SEEN:
                        await send(producer, topic, key, value, headers, timestamp_ms=time)
        async with foreign_producer(scene.bootstrap, transactional=True) as producer:
            for topic in SOURCES:
                await transaction(producer, topic, [(b"k", b"committed")], commit=True)
                await transaction(producer, topic, [(b"k", b"aborted")], commit=False)
        await put(scene.bootstrap, RECEIPTS_RAW, [(b"k", b"behind the marker")])  # where nobody answers any more
        await scene.send(everybody)
        await ledger.rest(60, lambda: town.is_idle)

        async def all_dead_lettered() -> bool:
            return len(await origin_of(scene.bootstrap)) >= 2 * len(SOURCES) * len(SEEN)

        await until(all_dead_lettered)
    dead = await origin_of(scene.bootstrap)
    for lying in await records(scene.bootstrap, *SOURCES):
        if lying.origin in dead and lying.value == LARGE:
            assert header(dead[lying.origin].headers, "dlq.value-sha256") == hashlib.sha256(LARGE).hexdigest().encode()
        elif lying.origin in dead:
            assert (dead[lying.origin].value or b"") == (lying.value or b"")
    assert faults_of(await inbox_letters(scene.bootstrap), expected_letters(everybody)) == []
    await closes(scene.bootstrap)
