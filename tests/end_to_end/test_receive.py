"""The consumer of docs/receive, as a process of its own, answers a letter of the relay: the message is settled."""

import asyncio
import contextlib
import json
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest

from streams.cli.app import build
from streams.cli.frame import run
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.topics import inbox
from streams.sim.hospital import journeys, script
from streams.sim.stories import STORIES, person
from tests.end_to_end.letters import read_topics
from tests.end_to_end.rest import watching
from tests.end_to_end.scene import BEFORE, Scene, closes, prepare, relay_here
from tests.published import ROOT

CODE = "0461"
FOLDER = ROOT / "docs" / "receive"


@contextlib.asynccontextmanager
async def consuming(bootstrap: str, folder: Path) -> AsyncIterator[None]:
    """The consumer at work, where it finds nothing of the product; it must not have left by itself."""
    words = (sys.executable, "-B", "-E", "-s", str(FOLDER / "consumer.py"), bootstrap, CODE)
    process = await asyncio.create_subprocess_exec(*words, cwd=folder)
    try:
        yield
        assert process.returncode is None
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def test_consumer_settles_what_relay_sends(own_embedded: EmbeddedBroker, tmp_path: Path) -> None:
    scene = Scene(own_embedded, tmp_path / "state", [CODE])
    prepare(scene)
    story = next(one for one in STORIES if one.name == "admitted, home")
    begin = (scene.clock() - BEFORE).replace(microsecond=0)
    stay = script(story, person(1, [CODE]), journeys(scene.registers.locations, scene.clock())[0], begin, Random(1))
    async with watching(scene.bootstrap) as ledger, relay_here(scene), consuming(scene.bootstrap, tmp_path):
        await scene.send([stay])
        await ledger.until(lambda one: [state for _, state in one.states.values()] == ["ACKED_OK"] * 2)
        await ledger.rest(30)
    assert [row["what"] for row in ledger.of("receipt")] == ["first"] * 2
    await closes(scene.bootstrap)
    record = (await read_topics(scene.bootstrap, lambda name: name == inbox(CODE)))[0]
    sample = json.loads((FOLDER / "record.json").read_text(encoding="utf-8"))
    assert [name for name, _ in record.headers] == list(sample["headers"])
    assert record.key.decode() == dict(record.headers)["message-id"].decode()[:8]


async def test_self_test_finds_what_page_admits(
    own_embedded: EmbeddedBroker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(Scene(own_embedded, tmp_path, [CODE]))
    words = ["selftest", "subscriber", "--inbox", inbox(CODE), "--timeout", "20", "--bootstrap", own_embedded.bootstrap]
    async with consuming(own_embedded.bootstrap, tmp_path):
        assert await asyncio.to_thread(run, build(), [*words, "--json"]) == 3
    steps = json.loads(capsys.readouterr().out)["steps"]
    failed = {step["name"] for step in steps if not step["passed"]}
    page = (ROOT / "docs" / "receive.md").read_text(encoding="utf-8")
    admitted = re.search(r"of the self-test's lines exactly (.*) fail\.", page)
    assert admitted is not None
    assert failed == set(re.findall(r"`([^`]+)`", admitted[1]))
    assert len(steps) > 30
