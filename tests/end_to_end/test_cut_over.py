"""Stays that go on over a midnight at which municipalities change from letters to FHIR, formats side by side."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from streams.observer.reading import read_book
from streams.observer.reconcile import balance
from streams.registry import load
from streams.sim.hospital import woven
from streams.sim.municipality import Town
from tests.brokers import AnyBroker
from tests.end_to_end.changing import changing, form_of, forms
from tests.end_to_end.letters import read_topics
from tests.end_to_end.rest import watching
from tests.end_to_end.scene import Scene, closes, municipalities, prepare, relay_here, stays

MIDNIGHT = datetime(2026, 6, 1, tzinfo=UTC) - timedelta(hours=2)  # in Copenhagen
CHANGING, LETTERS, FHIR = ["0101", "0147", "0461", "0751"], ["0265", "0851"], ["0615"]
STAYS = 42


async def inboxes(scene: Scene) -> list[Any]:
    """All that lies in the inboxes."""
    return await read_topics(scene.bootstrap, lambda name: name.endswith(".inbox"))


async def time_passes(now: list[datetime], town: Town) -> None:
    """A minute in each tenth of a second, as long as a municipality has an answer to give: no deadline of 30 is missed."""
    while True:
        await asyncio.sleep(0.1)
        if not town.is_idle:
            now[0] += timedelta(minutes=1)


async def test_each_notice_is_sent_in_one_format_over_midnight(own_broker: AnyBroker, tmp_path: Path) -> None:
    now = [MIDNIGHT - timedelta(minutes=10)]
    registers = changing(load("example", now=now[0]), [*CHANGING, *LETTERS], MIDNIGHT, stays=len(LETTERS))
    scene = Scene(own_broker, tmp_path, [*CHANGING, *LETTERS, *FHIR], registers, lambda: now[0])
    prepare(scene)
    sendings = list(woven(stays(scene, STAYS, seed=12)))
    half = len(sendings) // 2
    # Some answer within a minute, others after midnight what they got before it.
    behaviours = {code: "late:12m" if number % 2 else "ok" for number, code in enumerate(scene.kommuner)}
    async with (
        watching(scene.bootstrap) as ledger,
        municipalities(scene, behaviours) as town,
        relay_here(scene),
    ):
        await scene.send_all(sendings[:half])
        await ledger.until(lambda one: len(one.of("event")) == half)
        now[0] += timedelta(minutes=2)
        await ledger.until(lambda one: bool(one.of("message", "ACKED_OK")))
        before, open_at_midnight = await inboxes(scene), len(ledger.open())
        now[0] = MIDNIGHT
        await scene.send_all(sendings[half:])
        await ledger.until(lambda one: len(one.of("event")) == len(sendings))
        async with asyncio.TaskGroup() as group:
            passing = group.create_task(time_passes(now, town))
            await ledger.rest(60, lambda: town.is_idle)
            passing.cancel()
    found = await inboxes(scene)
    assert {len(each) for each in forms(found).values()} == {1}
    by_inbox: dict[str, Counter[str]] = {}
    for record in found:
        by_inbox.setdefault(record.topic.split(".")[1], Counter())[form_of(record.value)] += 1
    assert {form for code in CHANGING for form in by_inbox[code]} == {"oioxml", "edifact", "fhir"}
    assert not any("fhir" in by_inbox[code] for code in LETTERS)
    assert {form_of(record.value) for record in before if FHIR[0] not in record.topic} == {"oioxml", "edifact"}
    assert open_at_midnight, "some receipts come after the change"
    sums = {line.name: line for line in balance(await read_book(scene.bootstrap)).lines}
    assert sums["notifications"].terms["delivered"] == sums["notifications"].total == len(forms(found))
    assert sums["receipts received"].terms["unmatched"] == sums["receipts received"].terms["quarantined"] == 0
    await closes(scene.bootstrap)
