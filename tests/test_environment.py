"""Registers of test and an installation of production never meet (spec 05 §6.7.7); `example` is named on purpose."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import streams.registry
from agents.cli import command_line
from streams.cli.frame import Code, run
from tests.a_secret import SECRET
from tests.end_to_end.outside import Outside


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Registers in a folder of their own, of environment test as the set they were copied from."""
    shipped = Path(streams.registry.__file__).parent
    folder = tmp_path / "registers"
    shutil.copytree(shipped, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    return folder


def of_production(folder: Path) -> Path:
    """The same addresses, called real."""
    file = folder / "subscriptions.toml"
    file.write_text(file.read_text(encoding="utf-8").replace('"test"', '"production"'), encoding="utf-8")
    for feed in (folder / "feeds").glob("*.toml"):
        feed.write_text(feed.read_text(encoding="utf-8").replace("test = true", "test = false"), encoding="utf-8")
    return folder


@pytest.fixture
def stafet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    (tmp_path / "secret").write_bytes(SECRET)
    monkeypatch.setenv("STAFET_SECRET_FILE", str(tmp_path / "secret"))
    monkeypatch.setenv("STAFET_BOOTSTRAP", "127.0.0.1:1")
    monkeypatch.chdir(tmp_path)

    def call(*words: object) -> tuple[int, str, str]:
        return (run(command_line(), [str(word) for word in words]), *capsys.readouterr())

    return call


SHOWN = [
    pytest.param("environment", id="in the environment"),
    pytest.param(".env", id="in .env"),
    pytest.param("file", id="in a file"),
]


def show(where: str, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    if where == "environment":
        monkeypatch.setenv("STAFET_ENVIRONMENT", value)
    elif where == ".env":
        Path(".env").write_text(f"STAFET_ENVIRONMENT={value}\n")
    else:
        Path("stafet.toml").write_text(f'environment = "{value}"\n')
        monkeypatch.setenv("STAFET_CONFIG", "stafet.toml")


@pytest.mark.parametrize("where", SHOWN)
@pytest.mark.parametrize("role", ["relay", "gateway", "all"])
def test_role_of_production_refuses_example_set(
    stafet: Any, monkeypatch: pytest.MonkeyPatch, role: str, where: str
) -> None:
    show(where, monkeypatch, "production")
    status, out, err = stafet("run", role, "--registers", "example")
    assert (status, out) == (Code.USAGE, "")
    assert "STAFET_ENVIRONMENT is production, and the registers example are of test" in err
    assert "STAFET_ENVIRONMENT=test" in err


def test_test_registers_are_refused_by_default(stafet: Any, own: Path) -> None:
    """Production is the default: test must be asked for (acceptance.md)."""
    status, _, err = stafet("run", "all", "--registers", own)
    assert status == Code.USAGE
    assert f"the registers {own} are of test" in err


@pytest.mark.parametrize("where", SHOWN)
def test_in_test_installation_they_are_taken(stafet: Any, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    show(where, monkeypatch, "test")
    status, _, err = stafet("run", "gateway", "--registers", "example")
    assert status == Code.NO_BROKER, err


async def test_example_set_on_purpose_runs_with_warning(tmp_path: Path) -> None:
    """Nobody has set production, and its addresses are fictional (acceptance.md: named on purpose, without more)."""
    ended = await Outside.at("127.0.0.1:1", tmp_path).stafet("run", "relay", STAFET_ENVIRONMENT="")
    lines = [json.loads(line) for line in ended.err.splitlines() if line.startswith("{")]
    assert ended.code == Code.NO_BROKER
    assert [line["level"] for line in lines if line["event"] == "registers.do-not-fit"] == ["warning"]


@pytest.mark.parametrize(
    ("reported", "registers", "status", "severities"),
    [
        pytest.param("production", "example", Code.USAGE, ["error"], id="example in production"),
        pytest.param("", "own", Code.OK, ["warning"], id="own of test, nothing said"),
        pytest.param("", "example", Code.OK, ["warning"], id="example, nothing said"),
        pytest.param("test", "production", Code.OK, ["warning"], id="registers of production in a test"),
        pytest.param("test", "example", Code.OK, [], id="example in a test"),
        pytest.param("", "production", Code.OK, [], id="registers of production"),
    ],
)
def test_config_check_and_doctor_report_it_too(
    stafet: Any, monkeypatch: pytest.MonkeyPatch, own: Path, reported: str, registers: str, status: int, severities: Any
) -> None:
    monkeypatch.setenv("STAFET_ENVIRONMENT", reported)
    named = {"example": "example", "own": own}.get(registers) or of_production(own)
    code, out, err = stafet("config", "check", "--registers", named, "--json")
    found = [line for line in json.loads(out) if "STAFET_ENVIRONMENT" in line["problem"]]
    assert (code, [line["severity"] for line in found]) == (status, severities), err + out
    assert all(line["remedy"] for line in found)
    looks = {look["what"]: look for look in json.loads(stafet("doctor", "--registers", named, "--json")[1])}
    refused = (reported, registers) in {("production", "example"), ("", "own")}
    assert looks["environment"]["ok"] == (not refused)
    assert looks["environment"]["warning"] == (bool(severities) and not refused)
    assert bool(looks["environment"]["remedy"]) == bool(severities)


@pytest.mark.parametrize(("reported", "mark"), [("", "!  "), ("production", "NO "), ("test", "ok ")])
def test_doctor_marks_example_set_as_role_takes_it(
    stafet: Any, monkeypatch: pytest.MonkeyPatch, reported: str, mark: str
) -> None:
    monkeypatch.setenv("STAFET_ENVIRONMENT", reported)
    lines = stafet("doctor", "--registers", "example", "--bootstrap", "embedded")[1].splitlines()
    assert [line[:3] for line in lines if line[4:].startswith("environment:")] == [mark]
