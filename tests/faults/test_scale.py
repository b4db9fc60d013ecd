"""Measurements of size: how long a start takes over many rows, and how much memory.

The rows are real ones of this installation, written again under other keys straight into the changelogs.
"""

import asyncio
import hashlib
import shutil
import signal
import time
from collections.abc import Mapping
from itertools import cycle, islice
from pathlib import Path

import psutil
import pytest

from streams.kafka.local import LocalBroker
from tests.brokers import producing
from tests.faults.evidence import POSITION, read_committed
from tests.faults.experiment import Experiment, Line, under_load
from tests.faults.site import Worker

pytestmark = [pytest.mark.scale, pytest.mark.timeout(1800)]

ROWS = 280_000
OPEN = 100_000
PERSONS, LANES = "stafet-relay-persons-changelog", "stafet-relay-lanes-changelog"
LIMIT = 900.0  # seconds for a start


async def test_many_rows_are_recovered(kafka: LocalBroker, tmp_path: Path, line: Line) -> None:
    async with under_load(kafka.bootstrap, tmp_path, line, seed=28) as run:
        worker = await run.worker("w1")
        await worker.up()
        await run.hospitals.send(200)
        await run.judged_quietly()
        await worker.rest()
        size = sum([await _filled(run, changelog, ROWS // 2) for changelog in (PERSONS, LANES)])
        began = time.monotonic()
        await worker.up(LIMIT)
        took, memory = time.monotonic() - began, _megabytes(worker)
        await run.works()
        await run.judged_quietly()
    rows = f"{ROWS:,} rows of {size / ROWS:.0f} bytes on average"
    line("Recovery", figures=f"{rows}: ready {took:.1f} s after the start, {memory} MB (memory store)")


@pytest.mark.parametrize("store", ["memory", "rocksdb"])
async def test_many_deliveries_are_open_when_worker_is_killed(
    kafka: LocalBroker, tmp_path: Path, line: Line, store: str
) -> None:
    """From SIGKILL to the letter of a message that waits; with RocksDB also without its directory."""
    day = {"STAFET_ACK_TIMEOUT": "86400"}
    async with under_load(kafka.bootstrap, tmp_path, line, seed=29, answers=False, **day) as run:
        worker = await run.worker("w1", STAFET_STORE=store)
        await worker.up()
        await run.hospitals.send(200)
        await run.works()
        await worker.rest()
        size = await _filled(run, LANES, OPEN)
        await worker.up(LIMIT)
        kept = await _killed(run, worker)
        reported = [f"{kept} with its directory" if store == "rocksdb" else kept]
        if store == "rocksdb":
            reported.append(f"{await _killed(run, worker, gone=True)} without it")
    rows = f"{OPEN:,} open deliveries, rows of {size / OPEN:.0f} bytes"
    line(f"Open deliveries, {store}", figures=f"{rows}, SIGKILL: {'; '.join(reported)}")


async def _killed(run: Experiment, worker: Worker, *, gone: bool = False) -> str:
    began = time.monotonic()
    await worker.rest(signal.SIGKILL)
    if gone:
        shutil.rmtree(worker.options["STAFET_STATE_DIR"])
    starting = asyncio.create_task(worker.up(LIMIT))
    await run.works(LIMIT)
    took = time.monotonic() - began
    await starting
    return f"first record processed after {took:.1f} s, {_megabytes(worker)} MB"


def _megabytes(worker: Worker) -> int:
    assert worker.process is not None
    return int(psutil.Process(worker.process.child.pid).memory_info().rss) >> 20


async def _filled(run: Experiment, changelog: str, number: int) -> int:
    """That many rows more, and their bytes."""
    newest = {
        one.key: one.value
        for one in await read_committed(run.bootstrap, changelog.__eq__)
        if not one.key.startswith(POSITION)
    }
    rows: Mapping[bytes, bytes] = {key: value for key, value in newest.items() if value}
    assert rows
    async with producing(run.bootstrap) as producer:
        sent, size = [], 0
        for place, (key, value) in enumerate(islice(cycle(rows.items()), number)):
            size += len(value)
            sent.append(await producer.send(changelog, value, key=_alike(key, place)))
            if len(sent) == 1000:
                await asyncio.gather(*sent)
                sent = []
        await asyncio.gather(*sent)
    return size


def _alike(key: bytes, number: int) -> bytes:
    """Another key of the same form: its hexadecimal digits are others."""
    digits = iter(hashlib.shake_256(key + b"%d" % number).hexdigest(len(key)))
    return "".join(next(digits) if one in "0123456789abcdef" else one for one in key.decode()).encode()
