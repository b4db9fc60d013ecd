"""What people do wrong is one line: where, what, and what to do instead; never a traceback (spec 06 §4.1)."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agents.cli import command_line
from streams.cli.frame import Code, run
from tests.published import ROOT


@pytest.fixture
def stafet(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Runs a command in an empty folder; gives exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> tuple[int, str, str]:
        return (run(command_line(), words), *capsys.readouterr())

    return call


FULL = Path("/dev/full")


@pytest.mark.parametrize("words", [("topics", "plan"), ("config", "reference"), ("--help",)], ids=" ".join)
def test_full_disk_is_one_line(words: tuple[str, ...], tmp_path: Path) -> None:
    code = "from agents.cli import main; main()"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "STAFET_REGISTERS": "example"}
    with FULL.open("w") as full:
        command = [sys.executable, "-c", code, *words]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, cwd=tmp_path, env=environment)
    assert (done.returncode, done.stderr) == (Code.FAILED, b"output: No space left on device\n")


@pytest.mark.parametrize("action", ["start", "stop", "status"])
def test_file_is_no_folder_of_broker(stafet: Any, tmp_path: Path, action: str) -> None:
    (tmp_path / "README.md").write_text("#")
    status, out, err = stafet("broker", action, "--directory", "README.md")
    assert (status, out, err.splitlines()[0]) == (Code.FAILED, "", "README.md: not a folder")


@pytest.mark.parametrize("action", ["start", "stop", "status"])
def test_folder_in_file_is_one_line(stafet: Any, tmp_path: Path, action: str) -> None:
    (tmp_path / "README.md").write_text("#")
    status, out, err = stafet("--json", "broker", action, "--directory", "README.md/broker")
    assert (status, out) == (Code.FAILED, "")
    assert json.loads(err)["message"].endswith(": Not a directory")


READERS = [("inspect",), ("validate",), ("replay", "--registers", "example"), ("receive",), ("send",), ("play",)]


@pytest.mark.parametrize("words", [*READERS, ("convert", "--to", "fhir-xml")], ids=lambda words: words[0])
def test_empty_folder_is_named(stafet: Any, tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "folder").mkdir()
    status, out, err = stafet(words[0], "in", *words[1:])
    assert (status, out, err.splitlines()[0]) == (Code.USAGE, "", "in: no files in it")


@pytest.mark.parametrize("words", READERS, ids=lambda words: words[0])
def test_file_that_is_not_there_is_named(stafet: Any, words: tuple[str, ...]) -> None:
    status, out, err = stafet(words[0], "/nope", *words[1:])
    assert (status, out, err.splitlines()[0]) == (Code.USAGE, "", "/nope: No such file or directory")


def test_trace_that_is_not_json_is_named(stafet: Any, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Stafet")
    status, _, err = stafet("play", "README.md")
    assert (status, err.splitlines()[0]) == (Code.USAGE, "README.md: not JSON")


@pytest.mark.parametrize("name", ["STAFET_HTTP_LISTEN", "STAFET_GATEWAY_LISTEN"])
@pytest.mark.parametrize("value", ["foo", "127.0.0.1:²"])
def test_address_that_is_none_names_its_setting(
    stafet: Any, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    status, _, err = stafet("recipients", "ls")
    assert (status, err.splitlines()[0]) == (Code.USAGE, f"{name}: write host:port")


HOSPITAL = ("simulate", "hospital", "--registers", "example")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        pytest.param((*HOSPITAL, "--gateway", "foo"), "--gateway: write host:port", id="gateway"),
        pytest.param((*HOSPITAL, "--begin", "foo"), "--begin: not a time in ISO form", id="begin"),
        pytest.param((*HOSPITAL, "--begin", "0001-01-01T00:00Z"), "--begin: a year", id="the first year"),
        pytest.param((*HOSPITAL, "--stays", "-3"), "--stays", id="stays"),
        pytest.param((*HOSPITAL, "--rate", "-1"), "--rate", id="rate"),
        pytest.param(("send", "-", "--timeout", "-1"), "--timeout", id="timeout"),
    ],
)
def test_option_that_cannot_be_used_is_named(stafet: Any, words: tuple[str, ...], text: str) -> None:
    status, out, err = stafet(*words)
    assert (status, out) == (Code.USAGE, "")
    assert text in err


def test_begin_without_offset_is_danish(stafet: Any) -> None:
    status, _, err = stafet(*HOSPITAL, "--begin", "2026-03-01T12:00", "--stays", "1", "--bootstrap", "127.0.0.1:1")
    assert status == Code.USAGE
    assert err.startswith("STAFET_SECRET_FILE: not set"), "the time was taken"
