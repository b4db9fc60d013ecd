"""A directory or an address that cannot be had is named with its setting."""

import errno
from pathlib import Path

import pytest

from agents.start.run import alone, listening
from streams.cli.frame import Code, Failed


def test_worker_has_its_directory_alone(tmp_path: Path) -> None:
    with alone(tmp_path / "w1", "w1"):
        with pytest.raises(Failed, match="another process runs as worker w1") as refused, alone(tmp_path / "w1", "w1"):
            pytest.fail("two have it")
        assert refused.value.exit_code == Code.USAGE
        with alone(tmp_path / "w2", "w2"):
            assert (tmp_path / "w2" / "lock").exists()
    with alone(tmp_path / "w1", "w1"):
        assert (tmp_path / "w1").stat().st_mode & 0o777 == 0o700


def test_directory_that_cannot_be_made_names_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    reported = r"^STAFET_STATE_DIR: .*file.*: Not a directory$"
    with pytest.raises(Failed, match=reported) as refused, alone(tmp_path / "file" / "w1", "w1"):
        pytest.fail("a file is no folder")
    assert refused.value.exit_code == Code.FAILED


def test_address_that_is_taken_names_its_setting() -> None:
    reported = "^STAFET_HTTP_LISTEN: 127.0.0.1:8080 is taken; give this process a port of its own$"
    with pytest.raises(Failed, match=reported), listening("STAFET_HTTP_LISTEN", "127.0.0.1:8080"):
        raise OSError(errno.EADDRINUSE, "in use")


def test_another_trouble_goes_on_its_way() -> None:
    with pytest.raises(TimeoutError), listening("STAFET_HTTP_LISTEN", "127.0.0.1:8080"):
        raise TimeoutError
