"""An operator passes over a record while the relay runs: it is dead-lettered unread, named, and counted."""

import json
import signal
from pathlib import Path

import pytest

from streams.kafka.local import LocalBroker
from streams.kafka.records import header
from streams.kafka.topics import ADT_RAW, CONTROL, DEAD_LETTERS, LEDGER
from tests.brokers import at_least, put, records, until
from tests.end_to_end.outside import Outside

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]


async def test_record_is_passed_over_with_reason(own_real: LocalBroker, tmp_path: Path) -> None:
    site = Outside.at(own_real.bootstrap, tmp_path, STAFET_PARTITIONS="1")
    assert (await site.stafet("topics", "apply", "--yes")).code == 0
    await put(own_real.bootstrap, ADT_RAW, [(b"k", b"0"), (b"k", b"1")])
    await put(own_real.bootstrap, CONTROL, [(b"installation", b"[" * 50_000), (b"skip/x", b"junk"), (b"x", b"")])

    assert (await site.stafet("quarantine", "skip", "adt.raw/0/1")).code == 2
    assert (await site.stafet("quarantine", "skip", "ledger/0/1", "--reason", "x")).code == 2
    assert (await site.stafet("quarantine", "skip", "adt.raw/0/9", "--reason", "x")).code == 4
    assert (await site.stafet("quarantine", "skip", "adt.raw/7/0", "--reason", "x")).code == 4
    assert (await site.stafet("quarantine", "skip", "adt.raw/0/1", "--reason", "ends the worker")).code == 0

    async with site.running("run", "relay") as process:
        await until(lambda: at_least(own_real.bootstrap, DEAD_LETTERS, 2))
        assert await process.end(signal.SIGTERM) == 0
    codes = {
        header(letter.headers, "dlq.original-offset"): (header(letter.headers, "dlq.error-code"), letter.value)
        for letter in await records(own_real.bootstrap, DEAD_LETTERS)
    }
    assert codes[b"1"] == (b"skipped-by-operator", b"1")
    assert codes[b"0"][0] != b"skipped-by-operator"
    rows = [json.loads(row.value or b"") for row in await records(own_real.bootstrap, LEDGER)]
    [audit] = [row for row in rows if row["kind"] == "skipped"]
    assert (audit["subject"], audit["reason"]) == ("adt.raw/0/1", "ends the worker (operator)")
    found = json.loads((await site.stafet("reconcile", "--json")).out)
    assert found["lines"]["skipped by operators"]["dead-lettered"] == 1
    assert found["difference"] == 0
