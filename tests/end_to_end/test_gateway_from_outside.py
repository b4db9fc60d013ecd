"""A gateway that hospitals reach by TLS, from outside: who is refused, how it is named and counted, and who is not disturbed."""

import asyncio
import contextlib
import json
import shutil
import signal
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from streams.kafka.local import LocalBroker
from streams.registry.tables import EXAMPLE
from tests.brokers import until
from tests.contracts.gateways import adt
from tests.end_to_end.outside import Outside, Process

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]


@dataclass
class Engines:
    """An authority, and the certificates it has signed for two hospitals, by name."""

    folder: Path
    authority: trustme.CA

    def signed(self, name: str) -> tuple[str, ...]:
        """Options of `stafet send` for the engine of that name."""
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        issued = self.authority.issue_cert(name)
        issued.private_key_pem.write_to_path(str(key))
        certificate.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        return ("--cert", str(certificate), "--key", str(key))


@pytest.fixture
def engines(tmp_path: Path) -> Engines:
    made = Engines(tmp_path, trustme.CA())
    made.authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return made


@pytest.fixture
async def site(own_real: LocalBroker, tmp_path: Path, engines: Engines) -> Outside:
    """Registers in which one engine speaks for Odense, another for all else; small limits."""
    registers = tmp_path / "registers"
    shutil.copytree(EXAMPLE, registers, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    odense = registers / "feeds" / "epj-syd-ouh.toml"
    odense.write_text(odense.read_text().replace('"engine.example"', '"odense.example"'))
    _, certificate, _, key = engines.signed("localhost")
    made = Outside.at(
        own_real.bootstrap,
        tmp_path,
        STAFET_REGISTERS=str(registers),
        STAFET_GATEWAY_TLS_CERT=certificate,
        STAFET_GATEWAY_TLS_KEY=key,
        STAFET_GATEWAY_TLS_CLIENT_CA=str(tmp_path / "ca.pem"),
        STAFET_GATEWAY_CONNECTIONS_PER_ADDRESS="4",
        STAFET_GATEWAY_BLOCK_SECONDS="1",
    )
    assert (await made.stafet("topics", "apply", "--yes")).code == 0
    return made


@contextlib.asynccontextmanager
async def connected(
    site: Outside, who: tuple[str, ...]
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    context = ssl.create_default_context(cafile=str(site.folder / "ca.pem"))
    context.load_cert_chain(who[1], who[3])
    reader, writer = await asyncio.open_connection("localhost", site.gateway, ssl=context)
    yield reader, writer
    writer.transport.abort()


async def test_refusals_are_counted_and_disturb_nobody(site: Outside, engines: Engines) -> None:
    odense, other = engines.signed("odense.example"), engines.signed("engine.example")
    for name in ("foreign", "own", "after"):
        (site.folder / name).write_bytes(adt(name))
    to = ("--host", "localhost", "--port", str(site.gateway), "--ca", str(site.folder / "ca.pem"), "--timeout", "10")
    async with site.running("run", "all") as running:
        await running.ready()
        foreign = await site.stafet("send", str(site.folder / "foreign"), *to, *other)
        assert (foreign.code, "MSA|AR|foreign" in foreign.out) == (1, True), foreign
        nameless = await site.stafet("send", str(site.folder / "foreign"), *to)
        assert nameless.code == 1
        async with connected(site, odense) as (reader, writer):
            writer.write(b"\x0b" + adt("slow")[:120])
            assert await reader.read() == b""
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(4):
                await stack.enter_async_context(connected(site, odense))
            with pytest.raises((ConnectionError, ssl.SSLError)):
                await stack.enter_async_context(connected(site, odense))
        own = await until(lambda: taken(site, "own", to, odense), 30)
        after = await until(lambda: taken(site, "after", to, odense), 30)
        assert own
        assert after
        counts = await until(lambda: unserved(site), 30)
        await until(lambda: closed_balance(site), 60)
        letters = json.loads((await site.stafet("quarantine", "ls", "--stage", "gateway", "--json")).out)
        assert await running.end(signal.SIGTERM) == 0
    assert Counter(row["error-code"] for row in letters) == {"foreign-certificate": 1, "too-slow": 1}
    assert counts >= {"handshake-failed", "too-many-connections-of-address"}
    reported = [json.loads(line) for line in lines(running)]
    events = {line["event"]: line for line in reported}
    assert events["gateway.handshake-failed"]["why"].startswith("PEER_DID_NOT_RETURN_A_CERTIFICATE")
    assert events["gateway.turned-away"]["peer"] == "127.0.0.1"
    foreign_line = next(line for line in reported if line.get("reason") == "foreign-certificate")
    assert (foreign_line["peer"], foreign_line["feed"]) == ("127.0.0.1 engine.example", "EPJ-SYD/OUH")


def lines(running: Process) -> list[str]:
    return [line for line in running.err if line.startswith("{")]


async def taken(site: Outside, name: str, to: tuple[str, ...], who: tuple[str, ...]) -> bool:
    return (await site.stafet("send", str(site.folder / name), *to, *who)).code == 0


async def unserved(site: Outside) -> set[str]:
    """Why connections were not served, as the figures show it."""
    page = await site.get("/metrics")
    assert page is not None
    rows = (row for row in page[1].splitlines() if row.startswith("stafet_gateway_unserved_total{"))
    return {row.split('"')[1] for row in rows}


async def closed_balance(site: Outside) -> bool:
    """Whether the books close with both refusals and both messages in them."""
    found = json.loads((await site.stafet("reconcile", "--json")).out)
    line = found["lines"]["events received"]
    return bool(found["difference"] == 0 and line["refused"] == 2 and line["total"] == 4)
