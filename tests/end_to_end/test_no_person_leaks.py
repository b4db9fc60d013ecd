"""No key, header, log line, figure, ledger row, topic name or error text shows who it is about (design §4; 03 §9).

The whole relay with all stories, some of them through the gateway, with a municipality for every way to misbehave, with
poison; then everything that is not content is searched for every number, name and address of everybody who was there.
"""

import asyncio
import io
import logging
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agents.station import FastClock, Station
from streams.gateway.admission import report_to
from streams.gateway.mllp import MllpClient
from streams.gateway.run import GatewayOptions, run_gateway
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.topics import ADT_RAW, LANES
from streams.operations import logs
from streams.sim.hospital import Script, Sending, play, through_gateway, woven
from streams.sim.stories import STORIES, Person
from tests.brokers import put
from tests.end_to_end.letters import faults_of, inbox_letters, read_topics
from tests.end_to_end.rest import watching
from tests.end_to_end.scene import Scene, closes, expected_letters, municipalities, prepare, relay_here, stays

BEHAVIOURS = {
    "0101": "ok", "0461": "silent>ok", "0751": "duplicate", "0851": "fatal", "0147": "garbage>ok", "0151": "wrong-sender>ok",
}  # fmt: skip
#: Topics whose values are content, by design: the records of hospitals, of lanes and for municipalities (design §4).
CONTENT = ("adt.raw", "receipts.raw", "lanes", "dead.letters", "track-and-trace")


@pytest.fixture
def log_lines() -> Iterator[io.StringIO]:
    """Everything logged, as the product writes it; the loggers are as before afterwards."""
    root, kept = logging.getLogger(), (logging.getLogger().handlers[:], logging.getLogger().level)
    buffer = io.StringIO()
    logs.configure("json", "debug", stream=buffer)
    yield buffer
    root.handlers[:], root.level = kept


def traces_of(who: Person) -> Iterator[str]:
    """Whatever shows who somebody is, as it is spelled in messages and as it would be in a key."""
    yield who.cpr
    yield f"{who.cpr[:6]}-{who.cpr[6:]}"
    yield who.family
    yield who.given
    yield from (part for part in who.given.split() if part not in ("Test", "Ann", "Bo"))  # too short to mean anybody
    yield who.street


def found_in(text: str, people: Sequence[Person]) -> list[str]:
    return sorted({trace for who in people for trace in traces_of(who) if trace in text})


def outside(records: Iterable[Any]) -> str:
    """Names, keys and headers of all records, and the values that are not content."""
    parts: list[str] = []
    for record in records:
        parts += [record.topic, (record.key or b"").decode("utf-8", "replace")]
        parts += [f"{name}={(value or b'').decode('utf-8', 'replace')}" for name, value in record.headers]
        content = record.topic in CONTENT or record.topic.endswith((".inbox", ".receipts", "-changelog"))
        parts += [] if content else [(record.value or b"").decode("utf-8", "replace")]
    return "\n".join(parts)


@asynccontextmanager
async def gateway(scene: Scene, station: Station) -> AsyncIterator[MllpClient]:
    """The gateway on a free port of loopback, and somebody who speaks to it."""
    stop, ports = asyncio.Event(), asyncio.Queue[int]()
    show = report_to(logs.get("gateway"), station.figures.metrics)

    def report(event: Any, **facts: Any) -> None:
        show(event, **facts)
        if event == "gateway.listening":
            ports.put_nowait(facts["port"])

    options = GatewayOptions(bootstrap=scene.bootstrap, host="127.0.0.1", port=0)
    serving = asyncio.create_task(run_gateway(options, scene.registers, scene.ids, stop, report))
    try:
        async with MllpClient("127.0.0.1", await asyncio.wait_for(ports.get(), 20)) as client:
            yield client
    finally:
        stop.set()
        await serving


def poison(what: Sequence[Script]) -> list[tuple[bytes, bytes]]:
    """Messages of known persons, damaged: errors about them may not name them."""
    good = [one.sendings[0].data for one in what]
    return [
        (b"k1", good[0][: good[0].index(b"PV1")]),
        (b"k2", good[1].replace(b"|2.5.1|", b"|9.9|")),
        (b"k3", good[2].replace(b"MSH|^~\\&|", b"MSH|^~\\&|NOBODY", 1)),
        (b"k4", good[3].replace(b"|P|", b"|T|")),
        (b"k5", good[4].replace(b"PV1|1|I", b"PV1|1|X").replace(b"PV1|1|E", b"PV1|1|X")),
    ]


def in_two(what: Sequence[Script]) -> tuple[list[Sending], list[Sending]]:
    """All sendings; those of persons with two keys in turn, so that their merge is done before they go home."""
    last = {id(one.sendings[-1]) for one in what if any(step.identity != "cpr" for step in one.story.steps)}
    everything = woven(what)
    return [s for s in everything if id(s) not in last], [s for s in everything if id(s) in last]


async def test_only_content_shows_whom_it_is_about(
    own_embedded: EmbeddedBroker, tmp_path: Path, log_lines: io.StringIO
) -> None:
    scene = Scene(own_embedded, tmp_path, tuple(BEHAVIOURS), clock=FastClock(datetime(2026, 3, 2, 7, tzinfo=UTC), 300))
    prepare(scene)
    everybody = stays(scene, 100, seed=4, stories=STORIES)
    people = [one.person for one in everybody]
    by_mllp, by_topic = everybody[:40], everybody[40:]
    first, second = in_two(by_mllp)
    station = Station(scene.ids, scene.registers, scene.clock)
    async with (
        watching(scene.bootstrap) as ledger,
        municipalities(scene, BEHAVIOURS) as town,
        relay_here(scene, station=station),
        gateway(scene, station) as client,
    ):
        await play(first, through_gateway(client), asyncio.Event())
        await scene.send_all(in_two(by_topic)[0])
        await put(scene.bootstrap, ADT_RAW, poison(by_topic))
        await put(scene.bootstrap, LANES, [(b"0badf00d", by_topic[6].sendings[0].data)])
        await ledger.until(lambda one: len(one.of("event")) > len(first))
        await ledger.rest(90, lambda: town.is_idle)
        await play([*second, *in_two(by_topic)[1]], through_gateway(client), asyncio.Event())
        await ledger.rest(90, lambda: town.is_idle)
    records = await read_topics(scene.bootstrap, lambda name: True)
    contents = b"".join(record.value or b"" for record in records if record.topic == ADT_RAW).decode("utf-8", "replace")
    assert len(found_in(contents, people)) > 200, "the search finds nobody even where everybody is"
    lines, figures, rest = log_lines.getvalue(), station.figures.metrics.text().decode(), outside(records)
    assert "record.dead-lettered" in lines
    assert "hn_messages_total" in figures
    assert "dlq.problem" in rest
    assert found_in(lines, people) == []
    assert found_in(figures, people) == []
    assert found_in(rest, people) == []
    assert faults_of(await inbox_letters(scene.bootstrap), expected_letters(everybody)) == []
    await closes(scene.bootstrap)
