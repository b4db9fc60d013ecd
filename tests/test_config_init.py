"""`config init` and `config check`: a set of one's own from the example, and what is wrong with it line by line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from agents.cli import command_line
from streams.cli.frame import Code, run
from streams.registry import load
from streams.registry.tables import EXAMPLE, FILES

Stafet = Callable[..., tuple[int, str, str]]


@pytest.fixture
def stafet(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stafet:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STAFET_ENVIRONMENT", "test")

    def call(*words: object) -> tuple[int, str, str]:
        status = run(command_line(), [str(word) for word in words])
        return status, *capsys.readouterr()

    return call


def test_copy_of_example_passes_check(stafet: Stafet, tmp_path: Path) -> None:
    status, out, err = stafet("config", "init", "a/set")
    assert status == Code.OK
    assert "stafet config check --registers a/set" in err
    assert {Path(line).parts[2] for line in out.splitlines()} == set(FILES)
    assert stafet("config", "check", "--registers", "a/set") == (Code.OK, "no findings\n", "")
    assert load(tmp_path / "a/set").kommuner == load("example").kommuner


def test_copy_passes_where_nobody_has_named_environment(stafet: Stafet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STAFET_ENVIRONMENT")
    stafet("config", "init", "set")
    status, out, err = stafet("config", "check", "--registers", "set")
    assert (status, err) == (Code.OK, "")
    assert out.startswith("warning settings: STAFET_ENVIRONMENT is production")
    assert len(out.splitlines()) == 1
    assert stafet("run", "relay", "--registers", "set")[0] == Code.USAGE


def test_copy_holds_every_file_of_example(stafet: Stafet, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    assert stafet("config", "init", "set")[0] == Code.OK
    shipped = {path for path in EXAMPLE.rglob("*") if path.suffix in (".csv", ".toml")}
    copied = {path.relative_to(tmp_path / "set") for path in (tmp_path / "set").rglob("*.*")}
    assert copied == {path.relative_to(EXAMPLE) for path in shipped}
    assert all((tmp_path / "set" / path).read_bytes() == (EXAMPLE / path).read_bytes() for path in copied)


@pytest.mark.parametrize("there", ["a file", "a folder with a file"])
def test_what_lies_there_is_left_alone(stafet: Stafet, tmp_path: Path, there: str) -> None:
    place = tmp_path / "set" if there == "a file" else tmp_path / "set" / "mine"
    place.parent.mkdir(exist_ok=True)
    place.write_text("mine")
    status, out, err = stafet("config", "init", "set")
    assert (status, out) == (Code.USAGE, "")
    assert len(err.splitlines()) == 1
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [place.name]
    assert place.read_text() == "mine"


def test_place_that_cannot_be_written_is_one_sentence(stafet: Stafet, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    status, out, err = stafet("config", "init", "file/set")
    assert (status, out) == (Code.FAILED, "")
    assert "Traceback" not in err
    assert err.startswith("file/set: ")


def spoil(folder: Path) -> None:
    """Three mistakes in three files."""
    for file, was, now in (
        ("subscriptions.toml", 'network = "vans"', 'network = "post"'),
        ("locations.csv", ",9909,", ",99-09,"),
        ("policy.toml", 'value = "warn"', 'value = "off"'),
    ):
        text = (folder / file).read_text(encoding="utf-8")
        assert was in text
        (folder / file).write_text(text.replace(was, now, 1), encoding="utf-8")


def test_check_prints_one_line_per_finding_and_exits_2(stafet: Stafet, tmp_path: Path) -> None:
    stafet("config", "init", "set")
    spoil(tmp_path / "set")
    status, out, err = stafet("config", "check", "--registers", "set")
    assert (status, err) == (Code.USAGE, "")
    places = [line.split(": ")[0] for line in out.splitlines()]
    assert [place.rpartition(":")[0] for place in places] == [
        "error locations.csv",
        "error policy.toml",
        "error subscriptions.toml",
    ]
    assert all(place.rpartition(":")[2].isdigit() for place in places)
    found = json.loads(stafet("config", "check", "--registers", "set", "--json")[1])
    assert [f"{each['severity']} {each['file']}:{each['line']}" for each in found] == places


def test_start_lists_same_findings(stafet: Stafet, tmp_path: Path) -> None:
    stafet("config", "init", "set")
    spoil(tmp_path / "set")
    findings = stafet("config", "check", "--registers", "set")[1].replace("error ", "").splitlines()
    status, _, err = stafet("recipients", "ls", "--registers", "set")
    assert status == Code.USAGE
    assert set(findings) <= set(err.splitlines())


def test_warning_does_not_refuse(stafet: Stafet, tmp_path: Path) -> None:
    stafet("config", "init", "set")
    (tmp_path / "set" / "notes.toml").write_text("")
    status, out, _ = stafet("config", "check", "--registers", "set")
    assert status == Code.OK
    assert out.startswith("warning notes.toml: nothing reads this file")
    assert len(out.splitlines()) == 1
