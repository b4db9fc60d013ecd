"""`stafet access`: what it prints without a broker, and the files of passwords (decision 0024)."""

import json
from pathlib import Path
from typing import Any

import pytest

from agents.cli import command_line
from streams.cli.access import password
from streams.cli.frame import Code, Failed, run


@pytest.fixture
def stafet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> tuple[int, str, str]:
        status = run(command_line(), words)
        reported = capsys.readouterr()
        return status, reported.out, reported.err

    return call


def test_plan_names_every_user_and_right(stafet: Any) -> None:
    status, out, _ = stafet("access", "plan", "--json", "--registers", "example")
    plan = json.loads(out)
    assert (status, len(plan["users"])) == (Code.OK, 6 + 98)
    assert {
        "user": "stafet-municipality-0461",
        "operation": "WRITE",
        "kind": "topic",
        "name": "municipality.0461.receipts",
        "prefixed": False,
    } in plan["rights"]


def test_people_read_right_on_line(stafet: Any) -> None:
    _, out, _ = stafet("access", "plan")
    assert "stafet-relay                 WRITE on transactional-id stafet-relay*" in out.splitlines()


def test_without_yes_nothing_is_made(stafet: Any, tmp_path: Path) -> None:
    status, out, err = stafet("access", "apply", "--bootstrap", "127.0.0.1:1")
    assert (status, "--yes" in err) == (Code.USAGE, True)
    assert "stafet-gateway" in out
    assert list(tmp_path.iterdir()) == []


def test_without_broker_no_password_is_made(stafet: Any, tmp_path: Path) -> None:
    status, _, err = stafet("access", "apply", "--yes", "--bootstrap", "127.0.0.1:1")
    assert (status, "no broker answers at this address" in err) == (Code.NO_BROKER, True)
    assert list(tmp_path.iterdir()) == []


def test_embedded_broker_has_no_users(stafet: Any) -> None:
    status, _, err = stafet("access", "apply", "--yes", "--bootstrap", "embedded")
    assert (status, "has no users" in err) == (Code.USAGE, True)


def test_password_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "passwords"
    made = password(folder, "stafet-relay")
    file = folder / "stafet-relay.password"
    assert (password(folder, "stafet-relay"), file.read_text()) == (made, made)
    assert len(made) >= 43, "256 bits"
    assert (folder.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)
    assert password(folder, "stafet-gateway") != made


def test_password_that_is_there_is_taken(tmp_path: Path) -> None:
    (tmp_path / "stafet-relay.password").write_text("given by hand\n")
    assert password(tmp_path, "stafet-relay") == "given by hand"


@pytest.mark.parametrize("there", ["empty", "a folder", "a link to nothing"])
def test_file_that_holds_no_password_is_named(tmp_path: Path, there: str) -> None:
    file, target = tmp_path / "stafet-relay.password", tmp_path / "elsewhere"
    if there == "empty":
        file.touch()
    elif there == "a folder":
        file.mkdir()
    else:
        file.symlink_to(target)
    with pytest.raises(Failed, match=r"stafet-relay\.password"):
        password(tmp_path, "stafet-relay")
    assert not target.exists()
