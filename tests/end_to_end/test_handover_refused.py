"""A broker that will not have a letter: the message waits, is tried ever more seldom, and leaves as what it was (00 §3.3).

An inbox that is missing, and one that takes only small records, on the real broker. The clock is fast, so that pauses of
minutes pass in seconds.
"""

import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random

import msgspec
import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from agents.station import FastClock
from streams.kafka.local import LocalBroker
from streams.kafka.topics import TopicPlan, inbox, plan
from streams.sim.hospital import Script, journeys, script
from streams.sim.stories import STORIES, person
from tests.brokers import until
from tests.end_to_end.letters import faults_of, inbox_letters, read_topics
from tests.end_to_end.rest import Ledger, watching
from tests.end_to_end.scene import (
    BEFORE,
    Scene,
    closes,
    create,
    expected_letters,
    municipalities,
    prepare,
    relay_here,
)

pytestmark = [pytest.mark.real]

THERE, MISSING, NARROW = "0101", "0461", "0751"
KOMMUNER = (THERE, MISSING, NARROW)
PAUSES = [timedelta(seconds=5), timedelta(seconds=15), timedelta(minutes=1)]  # policy.toml, retry_pauses


def stay(scene: Scene, story: str, number: int) -> Script:
    """The story by person `number`, who lives in the municipality of that number."""
    begin = (scene.clock() - BEFORE).replace(microsecond=0)
    places = journeys(scene.registers.locations, scene.clock())[0]
    found = next(one for one in STORIES if one.name == story)
    return script(found, person(number, KOMMUNER), places, begin, Random(number))


def planned(scene: Scene, kommunekode: str, **config: str) -> TopicPlan:
    row = next(one for one in plan(KOMMUNER, inbox_partitions=1) if one.name == inbox(kommunekode))
    return msgspec.structs.replace(row, config={**row.config, **config})


def widen(bootstrap: str, topic: str) -> None:
    entry = ConfigEntry("max.message.bytes", "1048576", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    client = AdminClient({"bootstrap.servers": bootstrap})  # kept by name: its answers die with it
    for done in client.incremental_alter_configs([resource]).values():
        done.result(30)


async def refusals(bootstrap: str) -> dict[str, list[datetime]]:
    """Message -> times of its status events that show it could not be handed over, in order."""
    found: dict[str, list[datetime]] = defaultdict(list)
    for record in await read_topics(bootstrap, lambda name: name == "track-and-trace"):
        event = json.loads(record.value)
        if event["outcome"] == "8":
            assert "msg-sent" in {coding["code"] for coding in event["subtype"]}
            found[record.key.decode()].append(datetime.fromisoformat(event["recorded"]))
    return found


async def refused_often(bootstrap: str, least: int, messages: int) -> None:
    """Until so many messages have been refused so often."""

    async def asked() -> bool:
        found = await refusals(bootstrap)
        return sum(len(times) >= least for times in found.values()) >= messages

    await until(asked, 60)


def created(ledger: Ledger, code: str) -> set[str]:
    return {row["subject"] for row in ledger.of("message", "CREATED") if row["kommunekode"] == code}


async def test_refused_hand_over_waits_and_leaves_in_order(own_real: LocalBroker, tmp_path: Path) -> None:
    scene = Scene(own_real, tmp_path, KOMMUNER, clock=FastClock(datetime(2026, 3, 2, 7, tzinfo=UTC), 30))
    prepare(scene, without=[inbox(MISSING), inbox(NARROW)])
    create(own_real, [planned(scene, NARROW, **{"max.message.bytes": "1000"})])
    neighbour, waiting, narrow = (stay(scene, "admitted, home", number) for number in range(3))
    dead = stay(scene, "dead on arrival", 4)  # one message in the missing inbox, so its pauses are its own
    everybody = [neighbour, waiting, narrow, dead]
    admitted = [sending for one in (waiting, narrow) for sending in one.sendings[:1]]
    discharged = [sending for one in (waiting, narrow) for sending in one.sendings[1:]]
    async with watching(scene.bootstrap) as ledger, relay_here(scene):
        await scene.send_all([*admitted, *neighbour.sendings, *dead.sendings])
        await refused_often(scene.bootstrap, 4, messages=3)
        await ledger.until(lambda one: len(one.of("message", "SENT")) == 2)  # the neighbour's two
        made = {code: created(ledger, code) for code in (MISSING, NARROW)}
        assert [len(made[MISSING]), len(made[NARROW])] == [2, 1]
        assert not [m for m in made[MISSING] | made[NARROW] if ledger.states[m][1] != "CREATED"]
        create(own_real, [planned(scene, MISSING)])
        widen(scene.bootstrap, inbox(NARROW))
        await scene.send_all(discharged)  # now, while the admissions wait for their next try
        async with municipalities(scene, dict.fromkeys(KOMMUNER, "ok")) as town:
            await ledger.rest(90, lambda: town.is_idle)
    letters = await inbox_letters(scene.bootstrap)
    assert faults_of(letters, expected_letters(everybody)) == []
    assert len(letters) == 7
    assert {one.message_id for one in letters if one.topic == inbox(MISSING)} >= made[MISSING]
    assert {one.message_id for one in letters if one.topic == inbox(NARROW)} >= made[NARROW]
    by_message = await refusals(scene.bootstrap)
    [died] = [one.message_id for one in letters if one.cpr == dead.person.cpr]
    times = by_message[died]
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert all(pause >= least for pause, least in zip(pauses, PAUSES, strict=False)), pauses
    assert {state for _, state in ledger.states.values()} == {"ACKED_OK"}
    await closes(scene.bootstrap)
