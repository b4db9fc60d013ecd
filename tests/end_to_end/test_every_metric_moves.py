"""Every documented metric moves in a running installation, and shows what is so (spec 03 §10)."""

import asyncio
import re
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from agents.station import FastClock, Station
from streams.gateway.admission import report_to
from streams.gateway.mllp import MllpClient
from streams.gateway.run import GatewayOptions, run_gateway
from streams.gateway.server import Caps
from streams.kafka.embedded import EmbeddedBroker
from streams.operations import logs
from streams.operations.metrics import METRICS, Metrics
from streams.sim.hospital import Script, journeys, script, woven
from streams.sim.stories import STORIES, person
from tests.brokers import producing, until
from tests.end_to_end.scene import BEFORE, Scene, municipalities, prepare, relay_here

ANSWERS, SILENT = "0461", "0751"
OPEN = {f'municipality="{ANSWERS}"': 0, f'municipality="{SILENT}"': 2}
_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)

#: Must be 0 in a sound installation; tests/rules/test_open_messages.py breaks each law.
SOUND = "hn_law_residual"
#: tests/end_to_end/test_ehmi_route.py sees it move: nobody here receives over EHMI.
OF_EHMI = "hn_network_warnings_total"
#: tests/end_to_end/test_distributor.py sees them move: nobody here has several receivers.
OF_COPIES = frozenset({"stafet_copies_total", "stafet_copy_receipts_total", "stafet_returned_total"})
#: tests/agents/test_bridge.py sees it move: nobody here is reached over Beskedfordeler.
OF_BESKEDER = "stafet_beskeder_total"
#: tests/observer/test_follow.py sees them move: nobody here keeps a read model.
OF_OBSERVER = frozenset(
    {"stafet_observer_lag_records", "stafet_observer_unreadable_total", "stafet_balance_difference"}
)


def samples(metrics: Metrics) -> dict[str, dict[str, float]]:
    """Metric -> labels as text -> value; the count of a histogram under its own name."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for name, labels, value in _SAMPLE.findall(metrics.text().decode()):
        found[name.removesuffix("_count")][labels] = float(value)
    return found


def stay(scene: Scene, kommunekode: str, number: int) -> Script:
    begin = (scene.clock() - BEFORE).replace(microsecond=0)
    story = next(one for one in STORIES if one.name == "admitted, home")
    places = journeys(scene.registers.locations, scene.clock())[0]
    return script(story, person(number, [kommunekode]), places, begin, Random(number))


async def test_every_documented_metric_moves_and_is_true(own_embedded: EmbeddedBroker, tmp_path: Path) -> None:
    scene = Scene(own_embedded, tmp_path, [ANSWERS, SILENT])
    prepare(scene)
    station = Station(scene.ids, scene.registers, scene.clock)
    metrics, stop, ports = station.figures.metrics, asyncio.Event(), asyncio.Queue[int]()
    show = report_to(logs.get("gateway"), metrics)

    def report(event: Any, **fields: Any) -> None:
        show(event, **fields)
        if event == "gateway.listening":
            ports.put_nowait(fields["port"])

    caps = Caps(connections_per_address=1)
    options = GatewayOptions(bootstrap=scene.bootstrap, host="127.0.0.1", port=0, caps=caps)
    hurried = FastClock(datetime.now(UTC), 600)  # municipalities think for seconds
    behaviours = {ANSWERS: "ok", SILENT: "silent"}
    async with relay_here(scene, station=station), municipalities(scene, behaviours, now=hurried):
        gateway = asyncio.create_task(run_gateway(options, scene.registers, scene.ids, stop, report))
        port = await ports.get()
        async with producing(scene.bootstrap) as producer, MllpClient("127.0.0.1", port) as client:
            await producer.send_and_wait("adt.raw", b"no message", key=b"k")
            odd = stay(scene, ANSWERS, 3).sendings[0].data.replace(b"UNICODE UTF-8", b"8859/1") + b"NTE|1||\xc3\xa6\r"
            await producer.send_and_wait("adt.raw", odd, key=b"k")
            for sending in woven([stay(scene, ANSWERS, 1), stay(scene, SILENT, 2)]):
                assert (await client.send(sending.data)).taken
            _, refused = await asyncio.open_connection("127.0.0.1", port)  # one more than its address may have
            refused.close()

            async def settled() -> bool:
                seen = samples(metrics)
                answered = sum(seen["hn_messages_total"].values()) == 3
                return answered and seen["hn_open_messages"] == OPEN

            await until(settled, 60)
            _judge(samples(metrics))
        stop.set()
        await gateway
    again = Station(scene.ids, scene.registers, scene.clock)
    async with relay_here(scene, station=again):

        async def recovered() -> dict[str, float]:
            return samples(again.figures.metrics)["hn_open_messages"]

        assert (await until(recovered, 30))[f'municipality="{SILENT}"'] == 2, "rows of an earlier life count too"
        assert samples(again.figures.metrics)[SOUND] == {'law="L2"': 0, 'law="L8"': 0}


def _judge(seen: dict[str, dict[str, float]]) -> None:
    still = [
        row.name
        for row in METRICS
        if row.name not in (SOUND, OF_EHMI, OF_BESKEDER, *OF_COPIES, *OF_OBSERVER) and not any(seen[row.name].values())
    ]
    assert still == []
    assert seen["hn_open_messages"] == OPEN
    assert list(seen["hn_oldest_open_seconds"]) == [f'municipality="{SILENT}"']
    assert 0 < seen["hn_oldest_open_seconds"][f'municipality="{SILENT}"'] < 120
    assert seen["hn_time_to_verdict_seconds"] == {f'municipality="{ANSWERS}"': 3}
    assert {labels.partition('"')[2][:-1] for labels in seen["stafet_step_seconds"]} == {
        "intake",
        "lanes",
        "letterboxes",
    }
    assert seen[SOUND] == {'law="L2"': 0, 'law="L8"': 0}
