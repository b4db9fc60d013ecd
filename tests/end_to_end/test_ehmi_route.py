"""A municipality that receives over EHMI beside one on VANS: letters, receipts of envelopes, status events, the balance."""

import shutil
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import orjson

from agents.station import FastClock, Station
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.topics import ARCHIVE, TRACE, inbox
from streams.registry import Registers, load
from streams.registry.tables import EXAMPLE
from tests.brokers import records, until
from tests.end_to_end.scene import Scene, closes, municipalities, prepare, relay_here, stays

EHMI, VANS = "0461", "0751"


def subscribed(folder: Path) -> Registers:
    """The example set in which Odense receives over EHMI."""
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    own = folder / "subscriptions.toml"
    blocks = own.read_text(encoding="utf-8").split("\n\n")
    for number, block in enumerate(blocks):
        if f'kommunekode = "{EHMI}"' in block:
            over = block.replace('network = "vans"', 'network = "ehmi"')
            blocks[number] = over.replace('envelope = "vans"', 'envelope = "sbdh"')
    own.write_text("\n\n".join(blocks), encoding="utf-8")
    return load(folder)


async def test_municipality_on_ehmi_is_served_beside_one_on_vans(own_embedded: EmbeddedBroker, tmp_path: Path) -> None:
    registers = subscribed(tmp_path / "set")
    scene = Scene(own_embedded, tmp_path, [EHMI, VANS], registers=registers)
    prepare(scene)
    played = stays(scene, 6, seed=3)
    notices = Counter(code for one in played for code in [one.person.kommunekode] for _ in one.notices)
    assert notices[EHMI]
    assert notices[VANS]
    station = Station(scene.ids, registers, scene.clock, archive=True)
    hurried = FastClock(datetime.now(UTC), 600)
    async with relay_here(scene, station=station), municipalities(scene, {EHMI: "ok", VANS: "ok"}, now=hurried):
        await scene.send(played)

        async def settled() -> bool:
            text = station.figures.metrics.text().decode()
            lines = [line for line in text.splitlines() if line.startswith("hn_messages_total{")]
            done = Counter[str]()
            for line in lines:
                done[line.partition('municipality="')[2][:4]] += int(float(line.rpartition(" ")[2]))
            return done == notices

        await until(settled, 60)
    await closes(scene.bootstrap)

    letters = [record.value or b"" for record in await records(scene.bootstrap, inbox(EHMI))]
    assert all(b"<StandardBusinessDocument" in letter[:200] for letter in letters)
    assert sum(b"<Type>Bundle</Type>" in letter for letter in letters) == notices[EHMI]
    assert sum(b"<Type>ReceiptAcknowledgement</Type>" in letter for letter in letters) == notices[EHMI]
    others = [record.value or b"" for record in await records(scene.bootstrap, inbox(VANS))]
    assert all(b"<VANSEnvelope" in letter[:200] for letter in others)

    copies = [record.value or b"" for record in await records(scene.bootstrap, ARCHIVE)]
    assert len(copies) == notices[EHMI], "of each delivered message on that route, and of no other"
    events = [orjson.loads(record.value or b"") for record in await records(scene.bootstrap, TRACE)]
    steps = Counter(
        (event["subtype"][0]["code"], detail["valueString"])
        for event in events
        for entity in event["entity"]
        if entity["type"]["code"] == "ehmiMessage"
        for detail in entity["detail"]
        if detail["type"] == "ehmiMessageType"
    )
    assert steps["msg-received-and-finalized", "ehmisbdh-acknowledgement"] == notices[EHMI]
    assert steps["msg-created-and-sent", "ehmisbdh-acknowledgement"] == notices[EHMI]
    assert sum(steps.values()) == 5 * notices[EHMI] + 3 * notices[VANS]


async def test_silent_network_is_warned_of(own_embedded: EmbeddedBroker, tmp_path: Path) -> None:
    registers = subscribed(tmp_path / "set")
    clock = FastClock(datetime.now(UTC), 600)
    scene = Scene(own_embedded, tmp_path, [EHMI], registers=registers, clock=clock)
    prepare(scene)
    station = Station(scene.ids, registers, clock)
    async with relay_here(scene, station=station):
        await scene.send(stays(scene, 1, seed=1)[:1])

        async def warned() -> bool:
            return f'hn_network_warnings_total{{municipality="{EHMI}"}}' in station.figures.metrics.text().decode()

        await until(warned, 30)
