"""A municipality with receivers A, B and C behind the relay, on both brokers: copies, one verdict back, a balance of 0.

The clock runs faster than the wall: the 25 minutes of a receiver A that is late pass in seconds.
"""

import asyncio
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agents.station import FastClock
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.local import LocalBroker
from streams.observer.evidence import open_letter
from streams.registry import load
from streams.sim.municipality import run_municipalities
from streams.sim.subscriber import Subscribers
from tests.brokers import AnyBroker, producing, records
from tests.end_to_end.rest import watching
from tests.end_to_end.scene import Scene, closes, distributor_here, municipalities, prepare, relay_here, stays
from tests.end_to_end.test_every_metric_moves import OF_COPIES
from tests.rules.distributions import CODE, SYSTEMS, receiver

pytestmark = pytest.mark.timeout(240)

OTHER = "0101"


def town(broker: AnyBroker, directory: Path, speed: float) -> Scene:
    registers = load("example").with_receivers(*(receiver(name, type_) for name, type_ in SYSTEMS.items()))
    scene = Scene(broker, directory, (CODE, OTHER), registers)
    scene.clock = FastClock(datetime(2026, 3, 2, 12, tzinfo=UTC), speed, stride=0.5)
    prepare(scene)
    return scene


async def orders_of(bootstrap: str) -> dict[str, list[str]]:
    """By topic the messages of each key in order, each once: no receiver may see another order than the inbox."""
    found: dict[str, list[str]] = defaultdict(list)
    topics = [f"municipality.{CODE}.{name}" for name in ("inbox", *SYSTEMS)]
    for record in await records(bootstrap, *topics):
        letter = open_letter(record.value or b"")
        assert letter is not None
        place = f"{record.topic} {(record.key or b'').decode()}"
        if letter.message_id not in found[place]:
            found[place].append(letter.message_id)
    return found


#: What A and B do -> what goes back to the hospital, and why. Each on the embedded broker, the first one on the real.
LATE = ("late:26m", "silent")
STORIES = {
    LATE: {("transient-error", "overdue"), ("ok", "answered")},
    ("transient>ok", "fatal"): {("transient-error", "answered"), ("ok", "answered")},
    ("duplicate", "conflicting"): {("ok", "answered")},
}


@pytest.mark.parametrize(("care", "overview"), STORIES)
async def test_answer_of_a_settles_every_message(
    own_embedded: EmbeddedBroker, tmp_path: Path, care: str, overview: str
) -> None:
    await _played(own_embedded, tmp_path, care, overview)


async def test_reference_subscriber_answers_as_receiver(own_embedded: EmbeddedBroker, tmp_path: Path) -> None:
    scene = town(own_embedded, tmp_path, 60.0)
    systems, stop = Subscribers([f"{CODE}.care", f"{CODE}.overview", OTHER]), asyncio.Event()
    async with (
        watching(scene.bootstrap) as ledger,
        relay_here(scene),
        distributor_here(scene),
        producing(scene.bootstrap) as producer,
    ):
        answering = asyncio.create_task(run_municipalities(scene.bootstrap, systems, producer, stop, scene.clock))
        await scene.send(stays(scene, 3, seed=7))
        await ledger.rest(60)
        stop.set()
        await answering
    assert {state for _, state in ledger.states.values()} == {"ACKED_OK"}
    await closes(scene.bootstrap)


@pytest.mark.real
async def test_late_a_and_silent_b_on_real_broker(own_real: LocalBroker, tmp_path: Path) -> None:
    await _played(own_real, tmp_path, *LATE)


async def _played(broker: AnyBroker, directory: Path, care: str, overview: str) -> None:
    scene = town(broker, directory, 600.0)
    behaviours = {f"{CODE}.care": care, f"{CODE}.overview": overview, f"{CODE}.archive": "silent", OTHER: "ok"}
    async with (
        watching(scene.bootstrap) as ledger,
        relay_here(scene),
        distributor_here(scene) as distributor,
        municipalities(scene, behaviours) as answering,
    ):
        await scene.send(stays(scene, 8, seed=5))
        await ledger.rest(120, lambda: answering.is_idle)
    shown = distributor.station.figures.metrics.text().decode()
    assert all(f"\n{name}{{" in shown for name in OF_COPIES)
    states = {state for _, state in ledger.states.values()}
    assert states == {"ACKED_OK"}
    returned = {(row["what"], row["reason"]) for row in ledger.of("returned")}
    assert returned - {("ok", "repeated")} == STORIES[care, overview]  # a resend may meet the answer on its way
    orders = await orders_of(scene.bootstrap)
    inboxes = {place.split()[1]: order for place, order in orders.items() if ".inbox " in place}
    assert inboxes
    for name in SYSTEMS:
        copies = {place.split()[1]: order for place, order in orders.items() if f".{name} " in place}
        assert copies == inboxes
    await closes(scene.bootstrap)
