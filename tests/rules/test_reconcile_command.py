"""`stafet reconcile` over a recording: what it prints and how it ends (acceptance.md, spec 06 §4.2)."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from streams.cli import frame
from streams.cli.app import build
from streams.cli.reconcile import period, reconcile
from streams.kafka.topics import LEDGER
from streams.observer.evidence import TopicRecord
from streams.observer.reading import recorded
from streams.records.ledger import lost_row, skipped_row, to_json
from tests.rules.test_reconcile import LOG, Log, drop

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
command = typer.Typer()
command.command()(reconcile)


def run(folder: Path, log: Log, *options: str) -> Result:
    file = folder / "recording.jsonl"
    file.write_text("\n".join(recorded(seen) for seen in log))
    return CliRunner().invoke(command, ["--recording", str(file), *options])


def test_balance_that_closes_ends_with_0(tmp_path: Path) -> None:
    result = run(tmp_path, LOG, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["difference"] == 0


def test_difference_ends_with_3_and_ids_behind_it(tmp_path: Path) -> None:
    result = run(tmp_path, drop(LOG, 0), "--json")
    assert result.exit_code == 3
    line = json.loads(result.stdout)["lines"]["events received"]
    assert (line["difference"], line["ids"]) == (-1, ["adt.raw/0/0"])


def test_for_eye_every_equation_is_one_line(tmp_path: Path) -> None:
    result = run(tmp_path, drop(LOG, 0))
    assert "events received 13 = 1 refused + 1 duplicates + 12 accepted   difference -1" in result.stdout
    assert "    adt.raw/0/0" in result.stdout
    assert result.stdout.splitlines()[-1] == "difference 1"


def test_record_to_be_passed_over_is_no_difference(tmp_path: Path) -> None:
    rows = [skipped_row(NOW, "adt.raw/3/41", "ends the worker (operator)"), lost_row(NOW, "lanes/0/7", 2)]
    ledger = [TopicRecord(LEDGER, 0, 10_000 + n, to_json(row), {}, NOW) for n, row in enumerate(rows)]
    result = run(tmp_path, (*LOG, *ledger))
    assert "not so" not in result.stdout
    assert "  not met yet (1)\n    adt.raw/3/41\n" in result.stdout
    assert "  lost (1)\n    lanes/0/7\n" in result.stdout
    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("text", "begin"),
    [
        ("24h", datetime(2026, 3, 1, 8, 0, tzinfo=UTC)),
        ("30m", datetime(2026, 3, 2, 7, 30, tzinfo=UTC)),
        ("2d", datetime(2026, 2, 28, 8, 0, tzinfo=UTC)),
        ("2026-03-01T09:00:00+01:00", datetime(2026, 3, 1, 8, 0, tzinfo=UTC)),
        ("2026-03-01", datetime(2026, 3, 1, 0, 0, tzinfo=UTC)),
    ],
)
def test_period_is_written_as(text: str, begin: datetime) -> None:
    assert period(text, NOW) == begin


@pytest.mark.parametrize("text", ["yesterday", "24", "h", "-1h"])
def test_anything_else_is_usage_error(capsys: pytest.CaptureFixture[str], text: str) -> None:
    status = frame.run(build(), ["reconcile", f"--since={text}"])
    assert (status, "write 24h" in capsys.readouterr().err) == (2, True)


@pytest.mark.parametrize("text", ['{"a": 1}\n', "[]\n", "nothing\n"])
def test_what_is_no_recording_is_usage_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "other").write_text(text)
    assert frame.run(build(), ["reconcile", "--recording", str(tmp_path / "other")]) == 2


def test_silent_broker_gives_object_and_exit_6(capsys: pytest.CaptureFixture[str]) -> None:
    status = frame.run(build(), ["reconcile", "--bootstrap", "127.0.0.1:1", "--json"])
    notified = json.loads(capsys.readouterr().err)
    assert (status, notified["code"], bool(notified["hint"])) == (6, "broker", True)
