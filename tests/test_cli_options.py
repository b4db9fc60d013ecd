"""Options that stand before the command, and traces that expect nothing (acceptance.md, General and play)."""

import json
from pathlib import Path
from typing import Any

import pytest

from streams.cli.app import build
from streams.cli.frame import Code, run

TRACE = {"mode": "auto", "layer": "vans", "config": {}, "input": [{"t": 0.5, "event": "produced"}]}


@pytest.fixture
def stafet(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Runs a command in an empty folder that holds `t.json`; gives exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.json").write_text(json.dumps(TRACE))

    def call(*words: str) -> tuple[int, str, str]:
        return (run(build(), words), *capsys.readouterr())

    return call


@pytest.mark.parametrize(
    "words", [("--json", "play", "t.json"), ("--jsonl", "play", "t.json"), ("play", "t.json", "--json")], ids=str
)
def test_command_prints_objects_wherever_option_stands(stafet: Any, words: tuple[str, ...]) -> None:
    status, out, _ = stafet(*words)
    assert (status, json.loads(out)["file"]) == (Code.OK, "t.json")


@pytest.mark.parametrize("words", [("--json", "config", "reference"), ("--quiet", "config", "reference")], ids=str)
def test_unused_option_before_command_is_no_mistake(stafet: Any, words: tuple[str, ...]) -> None:
    assert stafet(*words)[0] == Code.OK


def test_failure_is_object_also_where_command_prints_no_objects(stafet: Any) -> None:
    status, out, err = stafet("--json", "convert", "missing.json", "--to", "fhir-xml")
    assert (status, out, set(json.loads(err))) == (Code.USAGE, "", {"code", "message", "hint", "ids"})


def test_trace_that_expects_nothing_is_only_played(stafet: Any) -> None:
    status, out, _ = stafet("play", "t.json", "--jsonl")
    line = json.loads(out)
    assert (status, line["matches"], line["steps"][0]["timer_due"]) == (Code.OK, True, 1800.5)
