"""An operator reissues what a municipality has refused: new messages, the old ones replaced, the balance closed (00 §3.5)."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from agents.station import FastClock
from streams.cli.app import build
from streams.cli.frame import run
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.records import header
from streams.kafka.topics import DEAD_LETTERS
from streams.observer.reading import read_book
from streams.observer.reconcile import balance
from streams.sim.hospital import journeys, script
from streams.sim.municipality import behaviour
from streams.sim.stories import STORIES, person
from tests.brokers import at_least
from tests.end_to_end.letters import inbox_letters
from tests.end_to_end.rest import Ledger, watching
from tests.end_to_end.scene import BEFORE, Scene, closes, municipalities, prepare, relay_here

CODE = "0461"


async def decide(scene: Scene, *words: str) -> int:
    """The command of an operator, as typed; its exit code."""
    return await asyncio.to_thread(run, build(), [*words, "--bootstrap", scene.bootstrap])


def order(ledger: Ledger) -> Sequence[str]:
    """The messages, in the order they were made."""
    return [row["subject"] for row in sorted(ledger.of("message", "CREATED"), key=lambda row: row["at"])]


def states(ledger: Ledger) -> list[str]:
    return [ledger.states[message][1] for message in order(ledger)]


async def test_refused_message_is_reissued_and_balance_closes(
    own_embedded: EmbeddedBroker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = Scene(own_embedded, tmp_path, [CODE])
    prepare(scene)
    story = next(one for one in STORIES if one.name == "admitted, home")
    begin = (scene.clock() - BEFORE).replace(microsecond=0)
    stay = script(story, person(1, [CODE]), journeys(scene.registers.locations, scene.clock())[0], begin, Random(1))
    async with (
        watching(scene.bootstrap) as ledger,
        relay_here(scene),
        municipalities(scene, {CODE: "fatal"}, now=FastClock(datetime.now(UTC), 600)) as town,  # they think for seconds
    ):
        await scene.send([stay])
        await ledger.until(lambda one: states(one) == ["ACKED_FATAL"] * 2)
        admitted, home = order(ledger)
        town.behaviour = {CODE: behaviour("ok")}
        assert await decide(scene, "send-anew", admitted, "--reason", "their table of units is mended") == 0
        await ledger.until(lambda one: states(one) == ["ACKED_FATAL"] * 2 + ["ACKED_OK"])
        assert await decide(scene, "send-anew", home, "--reason", "as above") == 0
        await ledger.until(lambda one: states(one) == ["ACKED_FATAL"] * 2 + ["ACKED_OK"] * 2)
        new = order(ledger)[2:]
        capsys.readouterr()
        assert await decide(scene, "send-anew", admitted, new[0], "--reason", "by mistake") == 3
        dead_lettered = await at_least(scene.bootstrap, DEAD_LETTERS, 2)
        await ledger.rest(30, lambda: town.is_idle)
    assert [header(one.headers, "dlq.error-code") for one in dead_lettered] == [b"replaced", b"not-allowed"]
    first, second, *_ = capsys.readouterr().err.splitlines()
    assert first == f"replaced: {admitted}: send-anew is refused; a message in state ACKED_FATAL"
    assert second.startswith(f"not-allowed: {new[0]}: ")
    letters = await inbox_letters(scene.bootstrap)
    assert [one.message_id for one in letters] == [admitted, home, *new]
    assert len({one.envelope_id for one in letters}) == 4
    await closes(scene.bootstrap)
    lines = {line.name: line for line in balance(await read_book(scene.bootstrap)).lines}
    assert lines["notifications made"].terms == {"of converted events": 4}
    assert (lines["notifications"].terms["rejected"], lines["notifications"].terms["delivered"]) == (2, 2)
    assert json.dumps(lines["accepted"].terms) == json.dumps(
        {"not-subject": 0, "stopped": 0, "waiting": 0, "converted": 2}
    )
