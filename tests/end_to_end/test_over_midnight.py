"""A relay that starts on 31 December 2026, runs over midnight, and starts again on 1 January (00 §10.1)."""

from datetime import UTC, datetime
from pathlib import Path

from lxml import etree

from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.records import Record
from streams.kafka.topics import inbox
from streams.registry import load
from streams.registry.rows import fictional_gln
from streams.sim.hospital import Sending
from tests.brokers import at_least
from tests.end_to_end.scene import Scene, closes, prepare, relay_here
from tests.new_year import AFTER, BEFORE, EVE, HOUR, MIDNIGHT, NEW, ODENSE, ODENSE_C4, adt, dated


def delivered(record: Record) -> tuple[str, str]:
    """To which unit, and in which form."""
    root = etree.fromstring(record.value)
    return root.findtext(".//{*}ReceiverID"), root.findtext(".//{*}ServiceTag")


async def test_events_are_routed_by_date_across_restart(own_embedded: EmbeddedBroker, tmp_path: Path) -> None:
    folder, now = dated(tmp_path / "registers"), [EVE]

    def clock() -> datetime:
        return now[0].astimezone(UTC)

    scene = Scene(own_embedded, tmp_path, [ODENSE], load(folder, now=EVE), clock)
    prepare(scene)
    topic = inbox(ODENSE)

    async def send(number: int, data: bytes, at: datetime) -> Record:
        now[0] = at
        await scene.send_all([Sending(at, data)])
        return (await at_least(scene.bootstrap, topic, number))[-1]

    async with relay_here(scene):
        eve = await send(1, adt("A01", BEFORE, ODENSE_C4, 1), BEFORE)
        new_year = await send(2, adt("A03", AFTER, ODENSE_C4, 1, disposition="01", end=AFTER), AFTER)
    morning = MIDNIGHT + 8 * HOUR
    now[0] = morning
    async with relay_here(scene, registers=load(folder, now=morning)):
        later = await send(3, adt("A01", morning, ODENSE_C4, 2), morning)
    assert [delivered(one) for one in (eve, new_year, later)] == [
        (fictional_gln(ODENSE), "application/fhir+json"),
        (fictional_gln(NEW), "application/fhir+xml"),
        (fictional_gln(NEW), "application/fhir+xml"),
    ]
    await closes(scene.bootstrap)
