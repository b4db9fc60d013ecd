"""The gateway as it is run: example registers, installation secret, a broker; one message in, one record out."""

import asyncio
import io
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import trustme

from streams.gateway.admission import report_to, silent
from streams.gateway.mllp import MllpClient, ServerTls, TlsProblem
from streams.gateway.run import GatewayOptions, run_gateway
from streams.gateway.server import Caps
from streams.kafka.embedded import EmbeddedBroker
from streams.messages.adt.feed import FeedProfile
from streams.operations import logs
from streams.operations.metrics import Metrics
from streams.operations.settings import Settings
from streams.registry import load
from streams.words.ids import Ids
from tests.brokers import prepared, records
from tests.contracts.gateways import adt

IDS = Ids(b"a secret of the tests")


async def test_message_of_example_feed_becomes_record_under_persons_key() -> None:
    stop, ports, lines, metrics = asyncio.Event(), asyncio.Queue[int](), io.StringIO(), Metrics()
    logs.configure(stream=lines)
    show = report_to(logs.get("gateway"), metrics)

    def report(event, **fields):  # type: ignore[no-untyped-def]
        show(event, **fields)
        if event == "gateway.listening":
            ports.put_nowait(fields["port"])

    with EmbeddedBroker() as broker:
        prepared(broker, "adt.raw", "dead.letters", "ledger")
        options = GatewayOptions(bootstrap=broker.bootstrap, host="127.0.0.1", port=0)
        running = asyncio.create_task(run_gateway(options, load("example"), IDS, stop, report))
        async with MllpClient("127.0.0.1", await ports.get()) as sender:
            assert (await sender.send(adt("A1"))).taken
            assert (await sender.send(adt("A2", application="NOBODY"))).code == "AR"
        stop.set()
        await running
        (record,) = await records(broker.bootstrap, "adt.raw")
    assert record.key == IDS.person("2512489996").encode()
    assert [json.loads(line)["event"] for line in lines.getvalue().splitlines()] == [
        "gateway.listening", "gateway.connected", "gateway.accepted", "gateway.refused", "gateway.disconnected",
        "gateway.drained",
    ]  # fmt: skip
    assert not any(word in lines.getvalue() for word in ("2512489996", "mose", "dropped"))
    assert '"reason":"hl7-207"' in lines.getvalue()
    counted = metrics.text().decode()
    assert 'stafet_gateway_messages_total{feed="EPJ-SYD/OUH",result="accepted"} 1.0' in counted
    assert 'stafet_gateway_messages_total{feed="",result="refused"} 1.0' in counted
    assert 'stafet_events_total{fate="refused",reason="hl7-207"} 1.0' in counted
    assert 'stafet_dead_letters_total{reason="hl7-207",stage="gateway"} 1.0' in counted
    assert "stafet_gateway_connections 0.0" in counted


async def test_plain_text_on_open_address_opens_nothing() -> None:
    options = GatewayOptions(bootstrap="127.0.0.1:1", host="0.0.0.0", port=0)
    with pytest.raises(TlsProblem):
        await run_gateway(options, load("example"), IDS, asyncio.Event(), silent)


async def test_feeds_without_certificate_names_are_refused_at_start(tmp_path: Path) -> None:
    ca = trustme.CA()
    own = ca.issue_cert("localhost")
    (tmp_path / "ca.pem").write_bytes(ca.cert_pem.bytes())
    (tmp_path / "own.pem").write_bytes(own.cert_chain_pems[0].bytes())
    (tmp_path / "own.key").write_bytes(own.private_key_pem.bytes())
    tls = ServerTls(tmp_path / "own.pem", tmp_path / "own.key", tmp_path / "ca.pem")
    options = GatewayOptions(bootstrap="127.0.0.1:1", host="127.0.0.1", port=0, tls=tls)
    registers = load("example")
    silent_feed = FeedProfile(application="EPJ-SYD", facility="OUH")
    registers = replace(registers, feeds={**registers.feeds, silent_feed.key: silent_feed})
    with pytest.raises(TlsProblem, match=r"no certificate names for EPJ-SYD/OUH: .* certificates = "):
        await run_gateway(options, registers, IDS, asyncio.Event(), silent)


def test_limits_are_those_that_were_set() -> None:
    options = GatewayOptions.of(
        Settings(
            gateway_connections=5,
            gateway_connections_per_address=4,
            gateway_handshakes=3,
            gateway_handshakes_per_address=2,
            gateway_block_seconds=7,
        )
    )
    assert options.caps == Caps(5, 4, 3, 2)
    assert options.limits.whole_block == timedelta(seconds=7)


def test_options_are_those_that_were_set(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("gateway_tls_cert", "gateway_tls_key", "gateway_tls_client_ca")}
    options = GatewayOptions.of(Settings(bootstrap="kafka:9092", gateway_listen="0.0.0.0:2575", **files))
    assert (options.bootstrap, options.host, options.port) == ("kafka:9092", "0.0.0.0", 2575)
    assert options.tls == ServerTls(*files.values())
    assert GatewayOptions.of(Settings()).tls is None
