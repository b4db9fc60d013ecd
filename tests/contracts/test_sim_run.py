"""The simulated engine at work: every message reaches the topic, whatever happens to the gateway."""

import asyncio
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
import typer
from typer.testing import CliRunner

from streams.cli.simulate import app
from streams.gateway.admission import AdtRecord, Publish, Unconfirmed
from streams.gateway.mllp import MllpClient, NoAnswer
from streams.kafka.clients import new_producer
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.records import Record
from streams.registry import load
from streams.sim.hospital import journeys, onto_topic, play, scripts, through_gateway, woven
from streams.words.ids import Ids
from tests.a_secret import SECRET
from tests.brokers import records
from tests.contracts.gateways import Running, gateway
from tests.published import ROOT

BEGIN = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)
IDS = Ids(b"a secret of the tests")
EXAMPLE = load("example", now=BEGIN)
SENDINGS = woven(
    scripts(12, journeys(EXAMPLE.locations, BEGIN), sorted(EXAMPLE.kommuner), BEGIN, Random(1), every_story_first=True)
)


async def test_unanswered_message_is_sent_until_answered() -> None:
    def every_third_fails(running: Running) -> Publish:
        tries = 0

        async def publish(record: AdtRecord) -> None:
            nonlocal tries
            tries += 1
            if tries % 3 == 0:
                raise Unconfirmed
            running.records.append(record)

        return publish

    async with gateway(every_third_fails) as running, MllpClient("127.0.0.1", running.port) as client:
        ours = [sending for sending in SENDINGS if b"|EPJ-SYD|OUH|" in sending.data]
        played = await play(ours, through_gateway(client), asyncio.Event(), pause=timedelta(0))
    assert [record.value for record in running.records] == [sending.data for sending in ours]
    assert (played.taken, played.refused) == (len(ours), 0)
    assert played.again > 0


async def test_only_what_was_sent_is_sent_again() -> None:
    outcomes = iter(
        [ConnectionError, ConnectionError, NoAnswer, ConnectionError, Unconfirmed, None, ConnectionError, None]
    )
    unreachable: list[str] = []

    async def deliver(_: bytes) -> bool:
        outcome = next(outcomes)
        if outcome is not None:
            raise outcome
        return True

    stop = asyncio.Event()
    played = await play(
        SENDINGS[:2], deliver, stop, pause=timedelta(0), unreachable=lambda: unreachable.append("nobody")
    )
    assert (played.taken, played.refused, played.again) == (2, 0, 2)
    assert len(unreachable) == 2, "once for each message that met nobody"


async def test_where_nobody_listens_nothing_is_sent_again() -> None:
    stop, tries = asyncio.Event(), 0

    async def deliver(_: bytes) -> bool:
        nonlocal tries
        tries += 1
        if tries == 3:
            stop.set()
        raise ConnectionError

    assert (await play(SENDINGS, deliver, stop, pause=timedelta(0))).again == 0
    assert tries == 3


def test_missing_gateway_is_reported_once() -> None:
    code = "from agents.cli import main; main()"
    words = ["simulate", "hospital", "--registers", "example", "--stays", "1", "--gateway", "127.0.0.1:1"]
    with subprocess.Popen(
        [sys.executable, "-c", code, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stderr is not None
        first = [process.stderr.readline(), process.stderr.readline()]
        process.terminate()
        out, rest = process.communicate(timeout=30)
    assert first[0].startswith("seed ")
    assert first[1] == "cannot connect to 127.0.0.1:1; trying again each second\n"
    assert (out, rest) == ("0 taken, 0 refused, 0 sent again\n", "")


async def test_onto_topic_same_keys_are_written_as_by_gateway() -> None:
    with EmbeddedBroker() as broker:
        broker.create_topic("adt.raw", 1)
        async with new_producer(broker.bootstrap) as producer:
            await play(SENDINGS, onto_topic(producer, EXAMPLE, IDS), asyncio.Event())
        written = await records(broker.bootstrap, "adt.raw")
    assert [record.value for record in written] == [sending.data for sending in SENDINGS]
    assert all(record.key is not None and len(record.key) == 16 for record in written)


async def test_stop_ends_between_two_messages() -> None:
    stop, sent = asyncio.Event(), []

    async def deliver(data: bytes) -> bool:
        sent.append(data)
        stop.set()
        return True

    assert (await play(SENDINGS, deliver, stop, rate=1000)).taken == len(sent) == 1


def run(*options: str) -> tuple[int, str]:
    command = typer.Typer()
    command.add_typer(app, name="simulate")
    result = CliRunner().invoke(command, ["simulate", "hospital", *options])
    return result.exit_code, result.stderr + result.stdout


def test_registers_must_be_named() -> None:
    assert run("--gateway", "127.0.0.1:1") == (
        2,
        "name the registers: --registers FOLDER, or --registers example for the set that ships with us\n",
    )


def test_unknown_story_lists_known_ones() -> None:
    code, out = run("--registers", "example", "--story", "holiday")
    assert code == 2
    assert "leave; two leaves" in out


def test_messages_are_written_to_topic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_bytes(SECRET)
    monkeypatch.setenv("STAFET_SECRET_FILE", str(tmp_path / "secret"))
    with EmbeddedBroker() as broker:
        broker.create_topic("adt.raw", 12)
        code, out = run("--registers", "example", "--bootstrap", broker.bootstrap, "--stays", "5", "--story", "leave")
        written = asyncio.run(records(broker.bootstrap, "adt.raw"))
    assert code == 0
    assert out.splitlines()[-1] == f"{len(written)} taken, 0 refused, 0 sent again"
    assert len(written) >= 5 * 3


def ids_of(records: Iterable[Record]) -> set[bytes]:
    """Control ids and visit numbers: MSH-10, PV1-19."""
    lines = [line.split(b"|") for record in records for line in (record.value or b"").split(b"\r")]
    return {line[9] for line in lines if line[0] == b"MSH"} | {line[19] for line in lines if line[0] == b"PV1"}


@pytest.mark.parametrize(("words", "once_more"), [((), True), (("--seed", "7"), False)])
def test_runs_differ_unless_seed_is_given(
    words: tuple[str, ...], once_more: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_bytes(SECRET)
    monkeypatch.setenv("STAFET_SECRET_FILE", str(tmp_path / "secret"))
    seen: list[set[bytes]] = []
    for _ in range(2):
        with EmbeddedBroker() as broker:
            broker.create_topic("adt.raw", 1)
            code, out = run("--registers", "example", "--bootstrap", broker.bootstrap, "--stays", "3", *words)
            assert (code, out.startswith("seed ")) == (0, True)
            seen.append(ids_of(asyncio.run(records(broker.bootstrap, "adt.raw"))))
    first, second = seen
    assert (not first & second) if once_more else (first == second)
