"""The product as an operator and a hospital see it: commands, ports, signals, exit codes. On a real broker of its own.

Nothing here looks inside a process; what became of the messages is read from the topics and from `stafet reconcile`.
"""

import asyncio
import json
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import hl7.client
import pytest
import trustme

from streams.gateway.mllp import MllpClient
from streams.kafka.local import LocalBroker, NoKafka
from streams.kafka.topics import ADT_RAW, LEDGER
from streams.registry import load
from streams.sim.hospital import Script, journeys, play, scripts, through_gateway, woven
from tests.brokers import records, until
from tests.closing import note
from tests.conftest import CI
from tests.end_to_end.outside import PERSON_SHAPED, Outside, printed

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

BEGIN = datetime.now(UTC) - timedelta(days=30)


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBroker]:
    """A broker on which nobody has created anything."""
    try:
        with LocalBroker(tmp_path_factory.mktemp("outside") / "broker") as broker:
            yield broker
    except NoKafka as problem:
        if CI:
            raise
        pytest.skip(f"not run: needs the real broker; {problem}")


@pytest.fixture
async def site(kafka: LocalBroker, tmp_path: Path) -> Outside:
    """An installation whose topics are there. Deadlines pass in five seconds."""
    made = Outside.at(kafka.bootstrap, tmp_path, STAFET_ACK_TIMEOUT="5")
    assert (await made.stafet("topics", "apply", "--yes")).code == 0
    return made


@pytest.fixture(scope="module")
def stays() -> Sequence[Script]:
    """Every story first; each test plays persons of its own, as a person's history outlives a test."""
    registers = load("example")
    places = journeys(registers.locations, BEGIN)
    return list(scripts(90, places, sorted(registers.kommuner), BEGIN, Random(11), every_story_first=True))


def written(folder: Path, played: Iterable[Script]) -> list[str]:
    """The messages as files, in order of time."""
    names = []
    for number, sending in enumerate(woven(list(played))):
        path = folder / f"{number:04}.hl7"
        path.write_bytes(sending.data)
        names.append(str(path))
    return names


async def notified(bootstrap: str, played: Sequence[Script]) -> Counter[str]:
    """The notices that the messages of these stays have led to, each message once."""
    ours = {sending.data for stay in played for sending in stay.sendings}
    origins = {record.origin for record in await records(bootstrap, ADT_RAW) if record.value in ours}
    rows = [json.loads(record.value or b"{}") for record in await records(bootstrap, LEDGER)]
    events = {row["subject"] for row in rows if row["kind"] == "stay-event" and row["origin"] in origins}
    made = {
        row["subject"]: row["notice"]
        for row in rows
        if row["kind"] == "message" and row["what"] == "CREATED" and row["event"] in events
    }
    return Counter(made.values())


def due(played: Iterable[Script]) -> Counter[str]:
    return Counter(notice for stay in played for notice in stay.notices)


async def settled(site: Outside, limit: float = 90.0) -> dict[str, Any]:
    """The balance once no message is open; every look at it must close."""

    async def quiet() -> dict[str, Any] | None:
        seen = await site.stafet("reconcile", "--json")
        found: dict[str, Any] = json.loads(seen.out)
        return found if seen.code == 0 and found["difference"] == 0 and not open_(found) else None

    result: dict[str, Any] = await until(quiet, limit)
    return result


def open_(found: dict[str, Any]) -> int:
    return int(found["lines"]["open"]["total"])


async def test_without_its_topics_role_ends_and_names_next_command(kafka: LocalBroker, tmp_path: Path) -> None:
    ended = await Outside.at(kafka.bootstrap, tmp_path).stafet("run", "all")
    reported = ended.err.splitlines()
    assert (ended.code, ended.out) == (1, "")
    assert len(reported) == 2
    assert "topics are missing" in reported[0]
    assert reported[1] == "Try: stafet topics apply --yes"


@pytest.mark.parametrize("command", [("run", "all"), ("run", "relay"), ("run", "gateway")], ids=" ".join)
async def test_role_without_broker_ends_soon(tmp_path: Path, command: tuple[str, ...]) -> None:
    began = time.monotonic()
    ended = await Outside.at("127.0.0.1:1", tmp_path).stafet(*command)
    assert ended.code == 6
    assert "no broker answers at this address" in ended.err
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    ("setting", "value", "shows"),
    [
        pytest.param("STAFET_SECRET_FILE", "", "STAFET_SECRET_FILE", id="no secret"),
        pytest.param("STAFET_SECRET_FILE", "nowhere", "STAFET_SECRET_FILE", id="a secret that is not there"),
        pytest.param("STAFET_REGISTERS", "", "no registers are named", id="no registers"),
        pytest.param("STAFET_BOOTSTRAPP", "x", "STAFET_BOOTSTRAPP", id="a name that is not there"),
    ],
)
async def test_start_asks_for_what_must_be_set(tmp_path: Path, setting: str, value: str, shows: str) -> None:
    ended = await Outside.at("127.0.0.1:1", tmp_path).stafet("run", "all", **{setting: value})
    assert (ended.code, ended.out) == (2, "")
    assert shows in ended.err
    assert "Traceback" not in ended.err


async def test_port_that_is_taken_ends_process_with_sentence(site: Outside) -> None:
    for setting, port in (("STAFET_GATEWAY_LISTEN", site.gateway), ("STAFET_HTTP_LISTEN", site.http)):
        with socket.create_server(("127.0.0.1", port)):
            ended = await site.stafet("run", "gateway")
        assert ended.code == 1
        assert "Traceback" not in ended.err
        assert f"{setting}: 127.0.0.1:{port} is taken; give this process a port of its own" in ended.err


async def test_day_in_life_of_one_process(site: Outside, stays: Sequence[Script]) -> None:
    """From start to SIGTERM: probes, a message by our client and one by another's, receipts, balance, drain."""
    played = stays[:28]
    files = written(site.folder, played)
    async with site.running("run", "all") as process, site.running("simulate", "municipality") as town:
        statuses = [(await until(lambda: site.get("/readyz"), 60))[0]]
        assert (await site.get("/livez") or (0, ""))[0] == 200
        await process.ready()
        statuses.append((await until(lambda: site.get("/readyz")))[0])
        assert statuses == [503, 200]
        await _sent(site, files)
        await until(lambda: _equal(site, played))
        balance = await settled(site)
        page = await site.get("/metrics")
        assert page is not None
        assert 'hn_attempts_total{n="1",result="sent"}' in page[1]
        began = time.monotonic()
        assert await process.end(signal.SIGTERM) == 0
        note(f"SIGTERM to the end of `run all`: {time.monotonic() - began:.1f} s")
        assert await town.end(signal.SIGTERM) == 0
        assert await printed(process) == ""
    assert balance["lines"]["notifications"]["delivered"] >= due(played).total()
    logged = "\n".join(process.err)
    assert not PERSON_SHAPED.search(logged)
    events = Counter(json.loads(line)["event"] for line in process.err if line != "ready")
    assert events["gateway.accepted"] == len(files)
    assert events["event.taken"] + events["event.rejected"] >= len(files)  # and those under another person key
    assert events["notification.sent"] >= due(played).total() <= events["receipt.read"]


async def _sent(site: Outside, files: list[str]) -> None:
    """All but the last by `stafet send`, the last by python-hl7's client."""
    answered = await site.stafet("send", *files[:-1], "--port", str(site.gateway))
    assert answered.code == 0, answered.err
    assert answered.out.count("MSA|AA|") == len(files) - 1
    last = Path(files[-1]).read_bytes()

    def foreign() -> bytes:
        with hl7.client.MLLPClient("127.0.0.1", site.gateway) as client:
            data: bytes = client.send_message(last)
            return data

    assert b"MSA|AA|" in await asyncio.to_thread(foreign)


async def _equal(site: Outside, played: Sequence[Script]) -> bool:
    return await notified(site.env["STAFET_BOOTSTRAP"], played) == due(played)


async def test_kill_at_any_moment_loses_nothing(site: Outside, stays: Sequence[Script]) -> None:
    """SIGKILL three times while an engine sends; the engine repeats what was not acknowledged, as engines do."""
    played, chance = stays[28:68], Random(12)
    sendings, stop = woven(list(played)), asyncio.Event()
    async with MllpClient("127.0.0.1", site.gateway) as client, site.running("simulate", "municipality"):
        engine = asyncio.create_task(
            play(sendings, through_gateway(client), stop, rate=15, pause=timedelta(milliseconds=200))
        )
        for _ in range(3):
            async with site.running("run", "all") as process:
                await process.ready()
                await asyncio.wait({engine}, timeout=chance.uniform(0.3, 2.0))
                await process.end(signal.SIGKILL)
        async with site.running("run", "all") as process:
            result = await asyncio.wait_for(engine, 120)
            await until(lambda: _equal(site, played), 60)
            balance = await settled(site)
            assert await process.end(signal.SIGTERM) == 0
    assert (result.taken, result.refused) == (len(sendings), 0)
    assert balance["difference"] == 0
    note(
        f"`run all` killed three times under load: {len(sendings)} messages acknowledged, {result.again} repeated by"
        f" the engine, {due(played).total()} notifications, 0 lost"
    )


async def test_relay_and_gateway_run_as_two_processes(site: Outside, stays: Sequence[Script]) -> None:
    """The gateway takes messages while the relay is down; the relay takes them up when it comes."""
    played = stays[68:88]
    relay_side = Outside(site.folder, site.env)
    files = written(site.folder, played)
    async with site.running("run", "gateway") as gateway, site.running("simulate", "municipality"):
        await gateway.ready()
        await _sent(site, files)
        async with relay_side.running("run", "relay") as relay:
            await relay.ready()
            await until(lambda: _equal(site, played), 60)
            await settled(site)
            assert await relay.end(signal.SIGTERM) == 0
        assert await gateway.end(signal.SIGINT) == 0


async def test_embedded_broker_is_enough_for_one_process(tmp_path: Path, stays: Sequence[Script]) -> None:
    alone = Outside.at("embedded", tmp_path)
    files = written(tmp_path, stays[:28])
    async with alone.running("run", "all") as process:
        await process.ready()
        assert any("embedded" in line for line in process.err)
        await _sent(alone, files)

        async def counted() -> bool:
            page = await alone.get("/metrics")
            return page is not None and 'hn_attempts_total{n="1",result="sent"}' in page[1]

        await until(counted)
        assert await process.end(signal.SIGTERM) == 0


async def test_with_tls_only_client_of_authority_is_served(site: Outside, stays: Sequence[Script]) -> None:
    authority = trustme.CA()
    paths = {name: str(site.folder / f"{name}.pem") for name in ("ca", "server", "server-key", "client", "client-key")}
    authority.cert_pem.write_to_path(paths["ca"])
    for name, who in (("server", "localhost"), ("client", "engine.example")):
        issued = authority.issue_cert(who)
        issued.private_key_pem.write_to_path(paths[f"{name}-key"])
        Path(paths[name]).write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    tls = {
        "STAFET_GATEWAY_TLS_CERT": paths["server"],
        "STAFET_GATEWAY_TLS_KEY": paths["server-key"],
        "STAFET_GATEWAY_TLS_CLIENT_CA": paths["ca"],
    }
    file = written(site.folder, stays[88:])[0]
    to = ("send", file, "--host", "localhost", "--port", str(site.gateway), "--ca", paths["ca"], "--timeout", "5")
    async with site.running("run", "gateway", **tls) as gateway:
        await gateway.ready()
        nameless = await site.stafet(*to)
        known = await site.stafet(*to, "--cert", paths["client"], "--key", paths["client-key"])
        plain = await site.stafet("send", file, "--port", str(site.gateway), "--timeout", "5")
        assert await gateway.end(signal.SIGTERM) == 0
    assert [nameless.code, known.code, plain.code] == [1, 0, 1]
    assert "Traceback" not in nameless.err + plain.err
    assert "MSA|AA|" in known.out
