"""Who may connect to the MLLP gateway and speak for whom: certificates, and plain text on loopback only (04 §5.1, 00 §9.2)."""

import asyncio
import contextlib
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from streams.gateway import server
from streams.gateway.admission import names_of
from streams.gateway.mllp import ClientTls, NoAnswer, ServerTls, TlsProblem, server_context, unnamed
from streams.gateway.server import Caps
from streams.messages.adt.feed import FeedProfile
from tests.contracts.gateways import adt, client, gateway, raw


@dataclass
class Keys:
    """A certificate authority of ours, a server and a client it has signed, and a client it has not."""

    server: ServerTls
    known: ClientTls
    other: ClientTls  # signed too, for another feed
    unlisted: ClientTls  # signed too, for no feed at all; with the name of a person
    unknown: ClientTls
    anonymous: ClientTls


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    folder = tmp_path_factory.mktemp("keys")
    ours, foreign = trustme.CA(), trustme.CA()

    def issued(authority: trustme.CA, name: str, common_name: str | None = None) -> tuple[Path, Path]:
        certificate = authority.issue_cert(name, common_name=common_name)
        chain, key = folder / f"{name}-{id(authority)}.pem", folder / f"{name}-{id(authority)}.key"
        chain.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
        key.write_bytes(certificate.private_key_pem.bytes())
        return chain, key

    authority = folder / "ca.pem"
    authority.write_bytes(ours.cert_pem.bytes())
    return Keys(
        ServerTls(*issued(ours, "localhost"), authority),
        ClientTls(authority, *issued(ours, "engine.test")),
        ClientTls(authority, *issued(ours, "10.9.8.7", "OLD.test")),
        ClientTls(authority, *issued(ours, "10.9.8.6", "Nancy Berggren")),
        ClientTls(authority, *issued(foreign, "engine.test")),
        ClientTls(authority),
    )


async def test_client_with_certificate_of_ours_is_served(keys: Keys) -> None:
    async with gateway(tls=keys.server) as running, client(running, keys.known) as sender:
        assert (await sender.send(adt())).taken


@pytest.mark.parametrize("who", ["unknown", "anonymous"])
async def test_client_without_one_is_not(keys: Keys, who: str) -> None:
    async with gateway(tls=keys.server) as running:
        with pytest.raises((NoAnswer, ConnectionError)):
            await client(running, getattr(keys, who)).send(adt())
    assert running.records == []
    failed = await running.until("gateway.handshake-failed")
    assert failed["peer"] == "127.0.0.1"
    assert failed["why"].startswith(REASONS[who])


REASONS = {"unknown": "CERTIFICATE_VERIFY_FAILED: ", "anonymous": "PEER_DID_NOT_RETURN_A_CERTIFICATE"}


@pytest.mark.parametrize("who", ["other", "unlisted"])
async def test_certificate_speaks_for_its_own_feed_only(keys: Keys, who: str) -> None:
    async with (
        gateway(tls=keys.server) as running,
        client(running, getattr(keys, who)) as sender,
        client(running, keys.known) as own,
    ):
        answer = await sender.send(adt("foreign"))
        assert (await own.send(adt("own"))).taken, "nobody else is disturbed"
        assert (await sender.send(adt("again"))).code == "AR", "the connection stays"
    assert answer.code == "AR"
    assert b"|207^" in answer.data
    assert [record.document.control_id for record in running.records] == ["own"]
    refusal = running.refusals[0]
    assert (refusal.why.rule, refusal.control_id, refusal.block) == ("foreign-certificate", "foreign", adt("foreign"))
    notified = await running.until("gateway.refused")
    assert (notified["reason"], notified["feed"], notified["peer"]) == (
        "foreign-certificate",
        "EPJ-SYD/OUH",
        refusal.peer,
    )
    assert re.fullmatch(PEERS[who], refusal.peer)
    assert not any(
        word in str(running.reported) + repr(refusal.dead_letter().headers) for word in ("Nancy", "foreign.test")
    )


#: A name that a register knows is shown; of any other certificate the fingerprint.
PEERS = {"other": r"127\.0\.0\.1 old\.test", "unlisted": r"127\.0\.0\.1 sha256:[0-9a-f]{16}"}


async def test_common_name_counts_in_any_case(keys: Keys) -> None:
    async with gateway(tls=keys.server) as running, client(running, keys.other) as sender:
        assert (await sender.send(adt("A1", application="EPJ-OLD"))).taken
        assert (await sender.send(adt("A2", application="EPJ-SYD"))).code == "AR"


async def test_feed_without_certificates_is_taken_from_none(keys: Keys) -> None:
    async with gateway(tls=keys.server) as running, client(running, keys.known) as sender:
        assert (await sender.send(adt("A1", application="EPJ-TEST"))).code == "AR"
    assert running.refusals[0].why.rule == "foreign-certificate"


async def test_names_are_common_name_dns_and_uri() -> None:
    certificate = {
        "subject": ((("countryName", "DK"),), (("commonName", "Engine One"), ("serialNumber", "CVR:1-UID:2"))),
        "subjectAltName": (
            ("DNS", "A.test"), ("URI", "urn:oid:1.2.3"), ("IP Address", "10.0.0.1"), ("email", "x@example.dk"),
        ),
    }  # fmt: skip
    assert names_of(certificate) == {"engine one", "a.test", "urn:oid:1.2.3"}
    assert names_of({}) == frozenset()


async def test_without_authority_nobody_shows_certificate(keys: Keys) -> None:
    alone = ServerTls(keys.server.cert, keys.server.key, None)
    async with gateway(tls=alone) as running, client(running, keys.anonymous) as sender:
        assert (await sender.send(adt())).taken


async def test_handshake_too_many_is_closed_and_others_stay(keys: Keys) -> None:
    caps = Caps(handshakes_per_address=2)
    async with gateway(tls=keys.server, caps=caps) as running, client(running, keys.known) as first:
        assert (await first.send(adt("A1"))).taken
        silent = [await raw(running, b"") for _ in range(2)]
        reader, writer = await raw(running, b"")
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()
        reported = await running.until("gateway.turned-away")
        assert reported == {"peer": "127.0.0.1", "why": "too-many-handshakes-of-address"}
        assert (await first.send(adt("A2"))).taken
        for _, each in silent:
            each.close()
        await running.until("gateway.handshake-failed")
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(ConnectionError, NoAnswer):
                    async with client(running, keys.known) as second:
                        if (await second.send(adt("A3"))).taken:
                            break


async def test_handshake_without_end_is_named(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_HANDSHAKE_S", 0.05)
    async with gateway(tls=keys.server) as running:
        reader, writer = await raw(running, b"")
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()
    assert ("gateway.handshake-failed", {"peer": "127.0.0.1", "why": "not done in time"}) in running.reported


async def test_unreadable_certificate_ends_one_connection_only(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(certificate: object) -> frozenset[str]:
        raise ValueError

    async with gateway(tls=keys.server) as running, client(running, keys.known) as first:
        assert (await first.send(adt("A1"))).taken
        with monkeypatch.context() as patched, pytest.raises((NoAnswer, ConnectionError)):
            patched.setattr(server, "names_of", broken)
            await client(running, keys.known).send(adt("A2"))
        assert (await first.send(adt("A3"))).taken
    assert ("gateway.fault", {"why": "ValueError"}) in running.reported


async def test_draining_ends_handshakes_under_way(keys: Keys) -> None:
    async with gateway(tls=keys.server) as running:
        reader, writer = await raw(running, b"")
        async with client(running, keys.known) as sender:
            assert (await sender.send(adt())).taken
        running.stop.set()
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()


async def test_plain_text_is_not_understood_by_listener_with_tls(keys: Keys) -> None:
    async with gateway(tls=keys.server) as running:
        with pytest.raises((NoAnswer, ConnectionError)):
            await client(running).send(adt())
    assert running.records == []


@pytest.mark.parametrize("host", ["0.0.0.0", "10.1.2.3", "::", "gateway.example"])
def test_plain_text_is_refused_beyond_loopback(host: str) -> None:
    with pytest.raises(TlsProblem, match="STAFET_GATEWAY_TLS_CERT"):
        server_context(host, None)


def test_tls_without_client_authority_is_refused_there(keys: Keys) -> None:
    with pytest.raises(TlsProblem, match="CLIENT_CA"):
        server_context("0.0.0.0", ServerTls(keys.server.cert, keys.server.key, None))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.9.9.9"])
def test_plain_text_is_allowed_on_loopback(host: str) -> None:
    assert server_context(host, None) is None


def test_missing_key_file_is_named(tmp_path: Path) -> None:
    missing = ServerTls(tmp_path / "gateway.pem", tmp_path / "gateway.key", tmp_path / "ca.pem")
    with pytest.raises(TlsProblem, match=r"gateway\.pem"):
        server_context("0.0.0.0", missing)


def test_feeds_without_certificates_are_reported() -> None:
    reported = FeedProfile(application="A", facility="X", certificates=())
    silent = FeedProfile(application="B", facility="Y")
    assert unnamed([reported]) == ""
    assert "no certificate names for B/Y" in unnamed([reported, silent])


@pytest.mark.parametrize("name", ["", " ", "a.test ", "*.test", "a\nb", "x" * 254])
def test_what_cannot_be_certificate_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="certificates: "):
        FeedProfile(application="A", facility="X", certificates=(name,))
