"""E32: records that nobody should have sent, on every topic that is read, while good messages flow."""

import asyncio
from pathlib import Path

import pytest

from streams.kafka.local import LocalBroker
from tests.faults.evidence import read_committed
from tests.faults.experiment import Line, under_load
from tests.faults.poison import CORPUS, SMALL, committed_transaction, fits, put_poison

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

LARGE = 15 << 20  # bytes: below the limit of the topics for what others send
#: Topic -> bytes that it takes; each is dead-lettered in `dead.letters`, but for the control topic, which is only read.
TOPICS = {"adt.raw": LARGE, "receipts.raw": LARGE, "lanes": SMALL, "recipients.control": SMALL}


async def test_e32_poison_flows_among_good_messages(kafka: LocalBroker, tmp_path: Path, line: Line) -> None:
    async with under_load(kafka.bootstrap, tmp_path, line, logs=[kafka.directory / "data"], seed=32) as run:
        worker = await run.worker("w1")
        await worker.up()
        run.load(8)
        bad: list[str] = []
        for topic, limit in TOPICS.items():
            bad += await asyncio.to_thread(
                put_poison, kafka.bootstrap, topic, [one for one in CORPUS if fits(one, limit)]
            )
            bad.append(await asyncio.to_thread(committed_transaction, kafka.bootstrap, topic, b"in a transaction"))
            await run.works()
        assert await worker.rest() == 0
        await worker.up()
        await run.works()
        fault = f"{len(bad)} records of {len(CORPUS)} kinds and transactions on {', '.join(TOPICS)}"
        await run.judged("E32 poison among good messages", fault=fault, rounds=1)
        assert run.ends() == [], "a record ended the worker"
    dead_lettered = {
        "/".join(dict(one.headers)[f"dlq.original-{part}"].decode() for part in ("topic", "partition", "offset"))
        for one in await read_committed(kafka.bootstrap, "dead.letters".__eq__)
    }
    missing = [place for place in bad if place not in dead_lettered and not place.startswith("recipients.control")]
    assert missing == [], "neither used nor set aside"
