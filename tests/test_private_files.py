"""Files that may hold personal data: their owner alone can read them, and no link leads them elsewhere."""

import os
import stat
from pathlib import Path

import pytest

from streams.operations.secrecy import others_may_read, private_folder, write_private


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True)
def everybody() -> object:
    """A umask that keeps nothing from anybody."""
    before = os.umask(0)
    yield
    os.umask(before)


def test_file_is_its_owners_alone(tmp_path: Path) -> None:
    write_private(tmp_path / "a.json", b"x")
    assert ((tmp_path / "a.json").read_bytes(), mode(tmp_path / "a.json")) == (b"x", 0o600)


def test_file_that_all_could_read_no_longer_can_be(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"longer than before")
    (tmp_path / "a.json").chmod(0o666)
    write_private(tmp_path / "a.json", b"x")
    assert ((tmp_path / "a.json").read_bytes(), mode(tmp_path / "a.json")) == (b"x", 0o600)


def test_new_folder_is_its_owners_alone_with_its_parents(tmp_path: Path) -> None:
    private_folder(tmp_path / "a" / "b")
    assert (mode(tmp_path / "a"), mode(tmp_path / "a" / "b")) == (0o700, 0o700)


def test_folder_that_is_there_keeps_its_rights(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(mode=0o750)
    private_folder(tmp_path / "a")
    assert mode(tmp_path / "a") == 0o750


@pytest.mark.parametrize("target", ["there", "nowhere"])
def test_link_in_place_of_file_is_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "there").write_bytes(b"of another")
    (tmp_path / "a.json").symlink_to(tmp_path / target)
    with pytest.raises(OSError):
        write_private(tmp_path / "a.json", b"x")
    assert (tmp_path / "there").read_bytes() == b"of another"
    assert not (tmp_path / "nowhere").exists()


def test_second_name_of_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"of another")
    os.link(tmp_path / "there", tmp_path / "a.json")
    with pytest.raises(PermissionError):
        write_private(tmp_path / "a.json", b"x")
    assert (tmp_path / "there").read_bytes() == b"of another"


def test_pipe_in_place_of_file_holds_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.json")
    with pytest.raises(OSError):
        write_private(tmp_path / "a.json", b"x")


@pytest.mark.parametrize("target", ["there", "nowhere"])
def test_link_in_place_of_folder_is_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / target)
    with pytest.raises(OSError):
        private_folder(tmp_path / "out")
    with pytest.raises(OSError):
        write_private(tmp_path / "out" / "a.json", b"x")
    assert list((tmp_path / "there").iterdir()) == []


def test_who_may_read_is_seen(tmp_path: Path) -> None:
    write_private(tmp_path / "a.json", b"x")
    assert not others_may_read(tmp_path / "a.json")
    assert not others_may_read(tmp_path / "nowhere")
    (tmp_path / "a.json").chmod(0o640)
    assert others_may_read(tmp_path / "a.json")
