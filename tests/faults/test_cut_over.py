"""Two thousand stays over an instant at which twenty municipalities change from letters to FHIR, and a worker killed ten times.

Hospitals that send ADT, DIS20 and FHIR side by side. Real Kafka, real clock; the change comes in the middle of what they
send, and the kills at random moments before and after it.
"""

import asyncio
import os
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Final

import pytest

from agents.station import FastClock
from streams.kafka.local import LocalBroker
from streams.observer.reading import read_book
from streams.observer.reconcile import balance
from streams.sim.hospital import woven
from tests.closing import note
from tests.end_to_end.changing import form_of, forms
from tests.end_to_end.letters import read_topics
from tests.end_to_end.relay_worker import RelayOrders, ready, relay_process, terminated
from tests.end_to_end.rest import watching
from tests.end_to_end.scene import SECRET, Scene, closes, municipalities, prepare, stays
from tests.end_to_end.side_by_side import send_names, send_told, told

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

STAYS: Final = int(os.environ.get("STAFET_TEST_STAYS", "2000"))
KILLS: Final = int(os.environ.get("STAFET_TEST_KILLS", "10"))
SEED: Final = int(os.environ.get("STAFET_TEST_SEED", "0")) or int(time.time())
RATE: Final = float(os.environ.get("STAFET_TEST_RATE", "70"))  # ADT messages a second
START: Final = 10.0  # seconds until the first worker is up, and the hospitals begin
CHANGING: Final = 20
HASTE: Final = 30.0  # municipalities think up to two seconds
PROMPT: Final = ("ok", "duplicate", "late:30s")
FAULTS: Final = ("silent>ok", "late:4m", "garbage>ok")


async def test_change_of_format_survives_kills(kafka: LocalBroker, tmp_path: Path) -> None:
    rng, log = Random(SEED), tmp_path / "worker.log"
    scene = Scene(kafka, tmp_path, ())
    scene.kommuner = sorted(scene.registers.kommuner)[: CHANGING + 5]
    prepare(scene)
    by_adt, others = told(stays(scene, STAYS, seed=SEED), scene.registers)
    codes, sendings = tuple(scene.kommuner[:CHANGING]), list(woven(by_adt))
    took = len(sendings) / RATE  # seconds
    change = datetime.now(UTC) + timedelta(seconds=START + took / 2)
    # What is not answered before the change is never resent after it (05 §6.4), so those that change answer in time.
    faults = {True: PROMPT, False: FAULTS}
    behaviours = {code: faults[code in codes][number % 3] for number, code in enumerate(scene.kommuner)}
    orders = RelayOrders(
        kafka.bootstrap, str(tmp_path), SECRET.decode(), scene.partitions, changing=codes, change=change
    )
    seed = f"STAFET_TEST_SEED={SEED}"
    async with AsyncExitStack() as stack:
        ledger = await stack.enter_async_context(watching(scene.bootstrap))
        hospitals: asyncio.Future[object] | None = None
        async with municipalities(scene, behaviours, SEED, FastClock(datetime.now(UTC), HASTE)) as town:
            for number in range(KILLS):
                async with relay_process(orders, log) as child:
                    if number % 3 != 1:
                        await ready(child)
                    if hospitals is None:
                        await send_names(scene, others)
                        letters = send_told(scene, others, len(others) / took)
                        hospitals = asyncio.gather(scene.send_all(sendings, rate=RATE), letters)
                    await asyncio.sleep(rng.uniform(0.5, 5.0))
                    child.kill()
                    await child.wait()
            last = await stack.enter_async_context(relay_process(orders, log))
            await ready(last)
            assert hospitals is not None
            await hospitals
            await ledger.rest(400, lambda: town.is_idle)
        await ledger.rest(60)
        assert await terminated(last) == 0, log.read_text()[-2000:]
    found = await read_topics(scene.bootstrap, lambda name: name.endswith(".inbox"))
    assert {len(each) for each in forms(found).values()} == {1}, seed
    of_changing = [form_of(one.value) for one in found if one.topic.split(".")[1] in codes]
    assert set(of_changing) == {"oioxml", "edifact", "fhir"}, seed
    lines = {line.name: line for line in balance(await read_book(scene.bootstrap)).lines}
    assert lines["receipts received"].terms["unmatched"] == 0, seed
    assert lines["notifications"].terms["delivered"] == lines["notifications"].total, seed
    await closes(scene.bootstrap)
    answers = await read_topics(scene.bootstrap, lambda name: name.startswith("hospital."))
    assert len({dict(one.headers)["message-id"] for one in answers}) == len(others), seed
    old = sum(form != "fhir" for form in of_changing)
    note(
        f"change of format with {KILLS} kills: {STAYS} stays, {len(others)} letters and messages of hospitals without "
        f"ADT, {len(ledger.states)} messages, {old} letters and {len(of_changing) - old} messages of FHIR to {CHANGING} municipalities, difference 0, {seed}"
    )
