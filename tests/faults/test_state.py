"""Experiments on the state: recovery that is interrupted, directories that are gone or spoilt, changelogs that are emptied,
partitions that are added."""

import asyncio
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions

from streams.kafka.local import LocalBroker
from tests.faults.acts import killed
from tests.faults.evidence import partitions_of
from tests.faults.experiment import Experiment, Line, under_load
from tests.faults.site import sentence

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

LANES = "stafet-relay-lanes-changelog"
PERSONS = "stafet-relay-persons-changelog"


# ---- E08 -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("store", ["memory", "rocksdb"])
async def test_e08_recovery_is_interrupted_and_directories_are_spoilt(
    kafka: LocalBroker, tmp_path: Path, line: Line, store: str
) -> None:
    """Each spoiling is done while the worker rests in the middle of the load; it must be up again by itself."""
    rng = Random(8)
    async with under_load(kafka.bootstrap, tmp_path, line, logs=[kafka.directory / "data"], seed=8) as run:
        worker = await run.worker("w1", STAFET_STORE=store)
        await worker.up()
        await run.hospitals.send(400)
        run.load(8)
        await run.works()
        for _ in range(4):
            await killed(worker)
            await asyncio.sleep(rng.uniform(1.5, 4.0))  # dies while it starts or recovers
            await killed(worker)
        await worker.ready()
        for spoil in (_gone, _older, _truncated, _noise):
            await worker.rest(signal.SIGKILL)
            spoil(Path(worker.options["STAFET_STATE_DIR"]))
            await worker.up()
            await run.works()
        fault = "SIGKILL while tables recover (4); state directory deleted, of another version, truncated, overwritten"
        await run.judged(f"E08 recovery and state directory, {store}", fault=fault, rounds=8)


def _gone(state: Path) -> None:
    shutil.rmtree(state)


def _older(state: Path) -> None:
    """Files that another version may have left: of other names and forms, among ours and in their place."""
    for folder in [state, *(path for path in state.rglob("*") if path.is_dir())]:
        (folder / "v0-state.db").write_bytes(b"an older version")
    for table in ("persons", "lanes", "receipts"):
        (state / "stafet-relay" / table).mkdir(parents=True, exist_ok=True)


def _truncated(state: Path) -> None:
    for path in _files(state):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _noise(state: Path) -> None:
    for number, path in enumerate(_files(state)):
        path.write_bytes(Random(number).randbytes(max(path.stat().st_size, 64)))


def _files(state: Path) -> list[Path]:
    return [path for path in state.rglob("*") if path.is_file()]


# ---- starts that must be refused -------------------------------------------------------------------------------------


async def _emptied(run: Experiment, topic: str) -> None:
    """Every record of the topic deleted, its offsets kept: as retention set by mistake does it."""
    admin = _admin(run)
    policy = ConfigEntry("cleanup.policy", "compact,delete", incremental_operation=AlterConfigOpType.SET)
    [changed] = admin.incremental_alter_configs(
        [ConfigResource("topic", topic, incremental_configs=[policy])]
    ).values()  # a broker deletes no record of a topic that is compacted alone
    await asyncio.to_thread(changed.result, 30)
    places = await partitions_of(run.bootstrap, topic.__eq__)
    done = admin.delete_records(
        [TopicPartition(place.topic, place.partition, -1) for place in places]
    )  # -1: to the end
    await asyncio.to_thread(lambda: [promise.result(30) for promise in done.values()])


async def _made_again(run: Experiment, topic: str) -> None:
    """The topic deleted, and created empty by the operator's own command."""
    admin = _admin(run)  # what it promises ends with it
    [promise] = admin.delete_topics([topic]).values()
    await asyncio.to_thread(promise.result, 30)
    while await partitions_of(run.bootstrap, topic.__eq__):
        await asyncio.sleep(0.2)
    applied = await run.site.stafet("topics", "apply", "--yes")
    assert applied.code == 0, applied.err


async def _widened(run: Experiment, topic: str) -> None:
    """Twice as many partitions."""
    count = len(await partitions_of(run.bootstrap, topic.__eq__))
    admin = _admin(run)
    [promise] = admin.create_partitions([NewPartitions(topic, 2 * count)]).values()
    await asyncio.to_thread(promise.result, 30)


def _admin(run: Experiment) -> AdminClient:
    return AdminClient({"bootstrap.servers": run.bootstrap, "log_level": 0})


#: Name -> what is done, to which topic, in words, and what the sentence must show.
REFUSED = {
    "Emptied changelog": (_emptied, LANES, "all records of {topic} deleted", ("lanes/", "changelog")),
    "Emptied changelog of persons": (_emptied, PERSONS, "all records of {topic} deleted", ("adt.raw/", "changelog")),
    "Changelog made again": (_made_again, LANES, "{topic} deleted and created empty", ("lanes/", "changelog")),
    "Added partitions to lanes": (_widened, "lanes", "{topic} from 12 to 24 partitions", ("lanes has 24",)),
    "Added partitions to adt.raw": (_widened, "adt.raw", "{topic} from 12 to 24 partitions", ("adt.raw has 24",)),
    "Added partitions to a changelog": (_widened, LANES, "{topic} from 12 to 24 partitions", (f"{LANES} has 24",)),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_start_over_damage_is_refused_before_harm(
    kafka: LocalBroker, tmp_path: Path, line: Line, name: str
) -> None:
    """Done while no worker runs; new messages wait. The start ends by itself, names the topic, and writes nothing."""
    damage, topic, fault, words = REFUSED[name]
    async with under_load(kafka.bootstrap, tmp_path, line, seed=20) as run:
        worker = await run.worker("w1")
        await worker.up()
        await run.hospitals.send(40)
        await run.works()
        await run.judged_quietly()
        assert await worker.rest() == 0
        await damage(run, topic)
        await run.hospitals.send(20)
        before = await run.written()
        async with run.site.running("run", "relay", **worker.options) as process:
            code = await asyncio.wait_for(process.child.wait(), 120)
        reported = sentence(process.err)
        written = await run.written() - before
        line(name, fault=fault.format(topic=topic), exit=code, written=written, sentence=reported)
        _refused(code, reported, process.err, written, words)


async def test_partitions_added_under_running_worker_end_it(kafka: LocalBroker, tmp_path: Path, line: Line) -> None:
    """No message is taken to have been delivered that nobody reads: the worker leaves and names the topic."""
    async with under_load(kafka.bootstrap, tmp_path, line, seed=21) as run:
        worker = await run.worker("w1")
        await worker.up()
        await run.hospitals.send(40)
        await run.works()
        await run.judged_quietly()
        process = worker.process
        assert process is not None
        before = await run.written()
        worker.rests_when_it_ends()
        await _widened(run, "lanes")
        code = await asyncio.wait_for(process.child.wait(), 120)
        reported, written = sentence(process.err), await run.written() - before
        name, fault = "Added partitions under a running worker", "lanes from 12 to 24 partitions"
        line(name, fault=fault, exit=code, written=written, sentence=reported)
        _refused(code, reported, process.err, written, ("lanes has 24",))


def _refused(code: int, reported: str, err: list[str], written: int, words: Sequence[str]) -> None:
    assert code != 0
    assert [word for word in words if word not in reported] == [], reported
    assert "Traceback" not in "\n".join(err)
    assert written == 0, "letters, lane records or ledger rows after the damage"
