"""Every command that talks to Kafka takes the settings of the connection, and shows in a sentence what is wrong with them."""

import contextlib
import gc
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from agents.cli import command_line
from streams.cli.frame import Code, run
from tests.a_secret import SECRET

COMMANDS = [
    pytest.param(words, id=" ".join(words[:2]))
    for words in (
        ("run", "relay"),
        ("run", "gateway"),
        ("topics", "diff"),
        ("topics", "apply", "--yes"),
        ("topics", "describe"),
        ("quarantine", "ls"),
        ("reconcile",),
        ("simulate", "hospital", "--stays", "1"),
        ("simulate", "municipality", "--code", "0101"),
        ("selftest", "subscriber", "--inbox", "municipality.0101.inbox", "--receipts", "out"),
    )
]


@pytest.fixture
def stafet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    (tmp_path / "secret").write_bytes(SECRET)
    settings = {"SECRET_FILE": "secret", "REGISTERS": "example", "ENVIRONMENT": "test", "HTTP_LISTEN": "127.0.0.1:0"}
    for name, value in settings.items():
        monkeypatch.setenv(f"STAFET_{name}", value)
    monkeypatch.chdir(tmp_path)

    def call(*words: str, **more: str) -> tuple[int, str]:
        for name, value in more.items():
            monkeypatch.setenv(f"STAFET_{name}", value)
        status = run(command_line(), words)
        gc.collect()  # a client that nobody closed complains when it goes
        return status, capsys.readouterr().err

    return call


@pytest.mark.parametrize("words", COMMANDS)
def test_where_no_broker_is(stafet: Any, words: tuple[str, ...]) -> None:
    status, err = stafet(*words, BOOTSTRAP="127.0.0.1:1")
    assert status == Code.NO_BROKER, err
    assert "Unclosed" not in err
    assert "STAFET_BOOTSTRAP" in err or "doctor" in err


@pytest.mark.parametrize("words", COMMANDS)
@pytest.mark.parametrize(
    ("setting", "also"),
    [
        pytest.param("KAFKA_CA", {}, id="authority"),
        pytest.param("KAFKA_PASSWORD_FILE", {"KAFKA_USER": "stafet"}, id="password"),
    ],
)
def test_file_of_connection_that_cannot_be_read(
    stafet: Any, words: tuple[str, ...], setting: str, also: dict[str, str]
) -> None:
    status, err = stafet(*words, BOOTSTRAP="127.0.0.1:1", **{setting: "nowhere"}, **also)
    assert status == Code.USAGE, err
    assert f"STAFET_{setting}: cannot be read" in err
    assert "Unclosed" not in err


def test_doctor_names_it_too(stafet: Any, capsys: pytest.CaptureFixture[str]) -> None:
    status, err = stafet("doctor", BOOTSTRAP="127.0.0.1:1", KAFKA_CA="nowhere")
    assert (status, err) == (Code.DIFFERENCES, "")


@contextlib.contextmanager
def first_bytes() -> Iterator[tuple[str, list[bytes]]]:
    """Where to connect, and what each connection began with; none is answered."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def listen() -> None:
            with contextlib.suppress(OSError):
                while True:
                    peer, _ = server.accept()
                    with peer:
                        peer.settimeout(5)
                        heard.append(peer.recv(1))

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}", heard


@pytest.mark.parametrize("words", COMMANDS)
def test_with_authority_connection_is_tls(stafet: Any, tmp_path: Path, words: tuple[str, ...]) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with first_bytes() as (address, heard):
        status, _ = stafet(*words, BOOTSTRAP=address, KAFKA_CA="ca.pem")
    assert status == Code.NO_BROKER
    assert set(heard) - {b""} == {b"\x16"}, "a TLS handshake begins with 22"
