"""`stafet send` against a gateway on a real socket: what it prints and how it ends (spec 06 §4.2)."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from streams.cli.send import send
from streams.gateway.admission import Unconfirmed
from tests.contracts.gateways import Running, adt, gateway

command = typer.Typer()
command.command()(send)


@dataclass
class InThread:
    """A gateway in a thread of its own: the command runs its own event loop."""

    port: int = 0
    records: list[str] = field(default_factory=list)


@pytest.fixture
def serving() -> Iterator[InThread]:
    served, ready, stop = InThread(), threading.Event(), threading.Event()

    async def serve() -> None:
        def publish(running: Running):  # type: ignore[no-untyped-def]
            async def keep(record):  # type: ignore[no-untyped-def]
                served.records.append(record.document.control_id)
                if record.document.control_id == "lost":
                    raise Unconfirmed

            return keep

        async with gateway(publish) as running:
            served.port = running.port
            ready.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    ready.wait()
    yield served
    stop.set()
    thread.join()


def run(serving: InThread, *files: Path | str) -> tuple[int, str, str]:
    result = CliRunner().invoke(command, ["--port", str(serving.port), "--timeout", "5", *map(str, files)])
    return result.exit_code, result.stdout, result.stderr


def written(folder: Path, *control_ids: str) -> list[Path]:
    for control_id in control_ids:
        (folder / control_id).write_bytes(adt(control_id, application="NOBODY" if control_id == "no" else "EPJ-SYD"))
    return [folder / control_id for control_id in control_ids]


def test_each_acknowledgement_is_printed(serving: InThread, tmp_path: Path) -> None:
    code, out, err = run(serving, *written(tmp_path, "A1", "A2"))
    assert (code, err) == (0, "")
    assert [line for line in out.splitlines() if line.startswith("MSA")] == ["MSA|AA|A1", "MSA|AA|A2"]


def test_refusal_is_printed_and_command_fails(serving: InThread, tmp_path: Path) -> None:
    code, out, _ = run(serving, *written(tmp_path, "no", "A2"))
    assert code == 1
    assert "MSA|AR|no" in out
    assert serving.records == ["A2"]


def test_without_acknowledgement_it_stops_and_repeats_nothing(serving: InThread, tmp_path: Path) -> None:
    code, out, err = run(serving, *written(tmp_path, "A1", "lost", "A2"))
    assert code == 1
    assert "MSA|AA|A1" in out
    assert "lost" in err
    assert "sending the same message again is safe" in err
    assert serving.records == ["A1", "lost"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_gateway_that_is_not_there_is_named(tmp_path: Path, host: str) -> None:
    (file,) = written(tmp_path, "A1")
    code, out, err = run(InThread(port=1), file, "--host", host)
    assert (code, out, err) == (1, "", f"{file}: nobody listens at {host}:1; Try: stafet run gateway\n")


def test_host_that_is_not_there_is_named(tmp_path: Path) -> None:
    code, _, err = run(InThread(port=1), *written(tmp_path, "A1"), "--host", "gateway.invalid")
    assert code == 1
    assert "gateway.invalid: no such host" in err


def test_silent_gateway_is_named_with_time(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        code, _, err = run(InThread(port=port), *written(tmp_path, "A1"), "--timeout", "0.2")
    assert code == 1
    assert "no acknowledgement (no answer within 0.2 s)" in err


def test_connection_that_takes_too_long_is_named_with_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("streams.gateway.mllp.asyncio.open_connection", never)
    code, _, err = run(InThread(port=1), *written(tmp_path, "A1"), "--timeout", "0.2")
    assert code == 1
    assert "no answer within 0.2 s from 127.0.0.1:1" in err
