"""`stafet broker start`: what it shows of its port before any broker starts; and a real one on two ports in turn."""

import socket
from pathlib import Path
from typing import Any

import pytest

from streams.cli import broker
from streams.cli.app import build
from streams.cli.frame import Code, run
from streams.kafka.local import free_port


@pytest.fixture
def stafet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> tuple[int, str, str]:
        status = run(build(), ["broker", *words])
        return (status, *capsys.readouterr())

    return call


@pytest.mark.parametrize("port", ["-1", "65536", "x"])
def test_port_that_no_machine_has_is_refused(stafet: Any, port: str, tmp_path: Path) -> None:
    assert stafet("start", f"--port={port}")[0] == Code.USAGE
    assert list(tmp_path.iterdir()) == []


def test_taken_port_is_reported_at_once(stafet: Any, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, _, err = stafet("start", "--port", str(port))
    assert (status, err) == (Code.FAILED, f"port {port} is taken; choose another with --port\n")
    assert list(tmp_path.iterdir()) == []


def test_one_that_runs_on_another_port_is_named(stafet: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "running_pid", lambda _: (1, "127.0.0.1:9092"))
    status, _, err = stafet("start", "--port", "9093")
    assert (status, err) == (Code.FAILED, "runs already at 127.0.0.1:9092; stafet broker stop first\n")
    for words in ((), ("--port", "9092")):
        assert stafet("start", *words) == (Code.OK, "127.0.0.1:9092\n", "")


@pytest.mark.real
def test_stopped_broker_starts_on_another_port(stafet: Any) -> None:
    for port in (free_port(), 0):  # 0: a free one
        try:
            status, address, _ = stafet("start", "--port", str(port))
            assert (status, address) == (Code.OK, stafet("status")[1].removeprefix("running at ").split(",")[0] + "\n")
            assert port in (0, int(address.rpartition(":")[2]))
        finally:
            stopped = stafet("stop")
        assert stopped == (Code.OK, "stopped\n", "")
