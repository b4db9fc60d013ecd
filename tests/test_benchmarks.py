"""The benchmarks run and show what they promise to show; how fast anything is, is nobody's test (engineering: ratios only)."""

import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.kafka import Throughput
from benchmarks.latency import Delay
from benchmarks.report import Row, delay_rows, missed, rows_of, table
from benchmarks.slices import Spent, measured
from tests.published import ROOT

_KAFKA = Throughput(relay=2000.0, bare=1000.0, librdkafka=500.0, sent=15, received=4, bytes=30_000)
_OURS = {
    "conversion, checked": Spent(100.0, 90.0),
    "ER7 read and events": Spent(50.0, 49.0),
    "profile check": Spent(50.0, 20.0),
}
_THEIRS = {"python-hl7: parse and seven fields": Spent(400.0, 390.0), "fhir.resources: validate": Spent(600.0, 1.0)}


@pytest.mark.timeout(240)
def test_short_run_gives_every_row_and_result_file(tmp_path: Path) -> None:
    out = tmp_path / "latest.json"
    tiny = [
        "--rounds",
        "1",
        "--slice-ms",
        "1",
        "--flows",
        "10",
        "--kafka-rounds",
        "1",
        "--judged",
        "0",
        "--shipments",
        "2000",
        "--stays",
        "0",
        "--seconds",
        "0",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *tiny, "--out", str(out)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())
    rows = {row["name"]: row for row in found["rows"]}
    assert {
        "conversion, checked",
        "relay as share of the bare aiokafka loop",
        "HL7 validator, one message",
    } <= rows.keys()
    assert all(row["value"] > 0 for row in rows.values() if row["value"] is not None)
    assert rows["HL7 validator, one message"]["note"].startswith("not run: ")
    assert all(f"| {name} |" in done.stdout for name in rows)


def test_result_file_in_repository_names_no_machine() -> None:
    machine = json.loads((ROOT / "benchmarks" / "results" / "latest.json").read_text())["machine"]
    assert machine.keys() == {"cores", "python", "system"}


@pytest.mark.parametrize(
    ("row", "holds"),
    [
        pytest.param(Row("a time", 149.0, "µs CPU", 150.0), True, id="a time below its bound"),
        pytest.param(Row("a time", 151.0, "µs CPU", 150.0), False, id="a time above its bound"),
        pytest.param(Row("a share", 31.0, "%", 30.0), True, id="a share above its bound"),
        pytest.param(Row("a share", 29.0, "%", 30.0), False, id="a share below its bound"),
        pytest.param(Row("a time", None, "µs wall", 150.0), True, id="what was not run misses nothing"),
        pytest.param(Row("a time", 151.0, "µs CPU"), True, id="no bound"),
    ],
)
def test_floor_is_bound_on_right_side(row: Row, holds: bool) -> None:
    assert row.holds is holds
    assert missed([row]) == ([] if holds else [row])


def test_shares_and_ratios_are_of_one_run() -> None:
    rows = {row.name: row for row in rows_of(_OURS, _THEIRS, _KAFKA, "not run: for a test")}
    assert rows["relay as share of the bare aiokafka loop"].value == 50.0
    assert rows["relay as share of the bare loop by librdkafka"].value == 25.0
    assert rows["relay"].value == 500.0
    assert rows["fhir.resources: validate / profile check"].value == 12.0
    assert "| conversion, checked | 100.0 | µs CPU | 105 holds | best 90.0; ADT bytes" in table(rows.values())
    assert "| HL7 validator, one message | – | µs wall |  | not run: for a test |" in table(rows.values())


def test_delay_has_row_for_its_median_and_its_tail() -> None:
    half, tail = delay_rows([Delay(4.0, 100, 10.0, 70.0, 90.0)])
    assert half.holds
    assert not tail.holds


def test_cases_alternate_in_long_slices() -> None:
    calls: list[str] = []
    found = measured({"one": lambda: calls.append("one"), "two": lambda: calls.append("two")}, rounds=3, slice_ms=0.2)
    assert found.keys() == {"one", "two"}
    assert all(0 < spent.best <= spent.median for spent in found.values())
    assert sum(one != two for one, two in itertools.pairwise(calls)) >= 6
