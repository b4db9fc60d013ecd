"""Who may connect to the MLLP gateway: certificates, and plain text on loopback only (spec 04 §5.1)."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from streams.gateway.client import NoAnswer
from streams.gateway.tls import ClientTls, ServerTls, TlsProblem, server_context
from tests.contracts.gateways import adt, client, gateway


@dataclass
class Keys:
    """A certificate authority of ours, a server and a client it has signed, and a client it has not."""

    server: ServerTls
    known: ClientTls
    unknown: ClientTls
    anonymous: ClientTls


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    folder = tmp_path_factory.mktemp("keys")
    ours, foreign = trustme.CA(), trustme.CA()

    def issued(authority: trustme.CA, name: str) -> tuple[Path, Path]:
        certificate = authority.issue_cert(name)
        chain, key = folder / f"{name}-{id(authority)}.pem", folder / f"{name}-{id(authority)}.key"
        chain.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
        key.write_bytes(certificate.private_key_pem.bytes())
        return chain, key

    authority = folder / "ca.pem"
    authority.write_bytes(ours.cert_pem.bytes())
    return Keys(
        ServerTls(*issued(ours, "localhost"), authority),
        ClientTls(authority, *issued(ours, "engine.test")),
        ClientTls(authority, *issued(foreign, "engine.test")),
        ClientTls(authority),
    )


async def test_a_client_with_a_certificate_of_ours_is_served(keys: Keys) -> None:
    async with gateway(tls=keys.server) as running, client(running, keys.known) as sender:
        assert (await sender.send(adt())).taken


@pytest.mark.parametrize("who", ["unknown", "anonymous"])
async def test_a_client_without_one_is_not(keys: Keys, who: str) -> None:
    async with gateway(tls=keys.server) as running:
        with pytest.raises((NoAnswer, ConnectionError)):
            await client(running, getattr(keys, who)).send(adt())
    assert running.records == []


async def test_plain_text_is_not_understood_by_a_listener_with_tls(keys: Keys) -> None:
    async with gateway(tls=keys.server) as running:
        with pytest.raises((NoAnswer, ConnectionError)):
            await client(running).send(adt())
    assert running.records == []


@pytest.mark.parametrize("host", ["0.0.0.0", "10.1.2.3", "::", "gateway.example"])
def test_plain_text_is_refused_on_any_address_that_others_can_reach(host: str) -> None:
    with pytest.raises(TlsProblem, match="STAFET_GATEWAY_TLS_CERT"):
        server_context(host, None)


def test_tls_without_an_authority_for_clients_is_refused_there_as_well(keys: Keys) -> None:
    with pytest.raises(TlsProblem, match="CLIENT_CA"):
        server_context("0.0.0.0", ServerTls(keys.server.cert, keys.server.key, None))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.9.9.9"])
def test_plain_text_is_allowed_on_loopback(host: str) -> None:
    assert server_context(host, None) is None


def test_a_missing_key_file_is_named(tmp_path: Path) -> None:
    missing = ServerTls(tmp_path / "gateway.pem", tmp_path / "gateway.key", tmp_path / "ca.pem")
    with pytest.raises(TlsProblem, match=r"gateway\.pem"):
        server_context("0.0.0.0", missing)
