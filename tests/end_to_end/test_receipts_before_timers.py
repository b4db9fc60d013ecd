"""A worker that was down past its deadlines reads the receipts first: what was answered meanwhile is not sent again."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from agents.worker.timer import Barrier
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.local import LocalBroker
from streams.kafka.topics import LANES, RECEIPTS_RAW, RELAY, inbox, letterbox
from streams.sim.municipality import answer, behaviour
from tests.brokers import prepared, put
from tests.end_to_end.letters import inbox_letters
from tests.end_to_end.rest import watching
from tests.end_to_end.scene import Scene, closes, prepare, relay_here, stays

KOMMUNER = ("0101", "0461", "0751")


@dataclass
class Hands:
    """A clock that stands still until it is set."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now


async def test_answer_during_downtime_prevents_resend(own_embedded: EmbeddedBroker, tmp_path: Path) -> None:
    clock = Hands(datetime(2026, 3, 2, 7, tzinfo=UTC))
    scene = Scene(own_embedded, tmp_path, KOMMUNER, clock=clock)
    prepare(scene)
    everybody = stays(scene, 150, seed=3)
    due = sum(len(one.notices) for one in everybody)
    async with watching(scene.bootstrap) as ledger:
        async with relay_here(scene):
            await scene.send(everybody)
            await ledger.until(lambda one: len(one.of("message", "SENT")) == due)
        clock.now += timedelta(hours=2)  # four times the deadline
        letters = await inbox_letters(scene.bootstrap)
        for code in KOMMUNER:
            answers = [_ok(letter.data) for letter in letters if letter.topic == inbox(code)]
            await put(scene.bootstrap, letterbox(code), [(None, receipt) for each in answers for receipt in each])
        async with relay_here(scene):
            await ledger.rest(60)
    assert len(letters) == len(await inbox_letters(scene.bootstrap)) == due
    assert {state for _, state in ledger.states.values()} == {"ACKED_OK"}
    await closes(scene.bootstrap)


def _ok(envelope: bytes) -> list[bytes]:
    at = datetime(2026, 3, 2, 7, 10, tzinfo=UTC)
    return [one.data for one in answer(envelope, behaviour("ok"), at, Random(0))]


async def test_unanswered_message_is_resent_after_receipts(own_embedded: EmbeddedBroker, tmp_path: Path) -> None:
    clock = Hands(datetime(2026, 3, 2, 7, tzinfo=UTC))
    scene = Scene(own_embedded, tmp_path, KOMMUNER, clock=clock)
    prepare(scene)
    everybody = stays(scene, 4, seed=3)
    due = sum(len(one.notices) for one in everybody)
    async with watching(scene.bootstrap) as ledger:
        async with relay_here(scene):
            await scene.send(everybody)
            await ledger.until(lambda one: len(one.of("message", "SENT")) == due)
        clock.now += timedelta(hours=2)
        unanswered, *answered = await inbox_letters(scene.bootstrap)
        await put(scene.bootstrap, RECEIPTS_RAW, [(None, receipt) for one in answered for receipt in _ok(one.data)])
        async with relay_here(scene):
            await ledger.until(lambda one: len(one.of("message", "SENT")) == due + 1)
            letters = await inbox_letters(scene.bootstrap)
            again = [one for one in letters if one.message_id == unanswered.message_id]
            await put(scene.bootstrap, RECEIPTS_RAW, [(None, receipt) for receipt in _ok(again[-1].data)])
            await ledger.rest(60)
    assert len(letters) == due + 1
    assert len({one.envelope_id for one in again}) == 2
    await closes(scene.bootstrap)


@pytest.mark.real
async def test_deleted_receipts_hold_no_timer_up(own_real: LocalBroker) -> None:
    """The group has no offset where it found no record: after a long rest every partition would wait for ever."""
    prepared(own_real, RECEIPTS_RAW, LANES, partitions=1)
    await put(own_real.bootstrap, RECEIPTS_RAW, [(b"k", b"receipt")] * 3)
    admin = AdminClient({"bootstrap.servers": own_real.bootstrap, "log_level": 0})
    [gone] = admin.delete_records([TopicPartition(RECEIPTS_RAW, 0, 3)]).values()
    gone.result(10)
    barrier = Barrier(own_real.bootstrap, RELAY, {})
    assert await barrier.is_open(0, lambda _partition: 0)
