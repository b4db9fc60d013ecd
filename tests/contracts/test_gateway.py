"""The MLLP gateway over real sockets: what is acknowledged, what is refused, what gets no answer (spec 04 §5).

The log behind it is a list in memory, so that each way of failing can be played; `test_gateway_kafka.py` does the same
with a broker.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import hl7.client
import pytest
import trustme

from streams.gateway.acceptor import FrontDesk, Publish, Unconfirmed
from streams.gateway.admission import AdtRecord
from streams.gateway.client import MllpClient, NoAnswer
from streams.gateway.connection import Limits
from streams.gateway.framing import framed
from streams.gateway.report import Event, Fields
from streams.gateway.server import Server
from streams.gateway.tls import ClientTls, ServerTls, TlsProblem, server_context
from streams.messages.adt.feed import FeedProfile

NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
FEEDS = {
    (feed.application, feed.facility): feed
    for feed in (
        FeedProfile(application="EPJ-SYD", facility="OUH"),
        FeedProfile(application="EPJ-TEST", facility="OUH", test=True),
        FeedProfile(application="EPJ-OLD", facility="OUH", charset="iso8859-1"),
    )
}
LIMITS = Limits()
PERSON = "PID|1||2512489996^^^&1.2.208.176.1.2&ISO^NNDNK||Berggren^Nancy Ann Test\r"


def adt(
    control_id: str = "A1",
    *,
    application: str = "EPJ-SYD",
    processing: str = "P",
    accept: str = "",
    charset: str = "UNICODE UTF-8",
    kind: str = "ADT^A01",
    family: str = "Bølgemose",
) -> bytes:
    header = f"MSH|^~\\&|{application}|OUH|X|Y|20260301090000+0100||{kind}|{control_id}|{processing}|2.5.1|||{accept}|||{charset}\r"
    encoding = "latin-1" if charset == "8859/1" or application == "EPJ-OLD" else "utf-8"
    return (header + PERSON.replace("Berggren", family) + "PV1|1|I\r").encode(encoding)


@dataclass
class Running:
    """A gateway that is being served, and what it has published and said."""

    port: int = 0
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    records: list[AdtRecord] = field(default_factory=list)
    said: list[tuple[str, Fields]] = field(default_factory=list)

    async def keep(self, record: AdtRecord) -> None:
        self.records.append(record)

    def report(self, event: Event, **fields: object) -> None:
        self.said.append((event, fields))  # type: ignore[arg-type]

    def events(self) -> list[str]:
        return [event for event, _ in self.said if event not in ("gateway.connected", "gateway.disconnected")]

    async def until(self, event: str) -> Fields:
        while True:
            for name, fields in self.said:
                if name == event:
                    return fields
            await asyncio.sleep(0.002)


@asynccontextmanager
async def gateway(
    publish: Callable[[Running], Publish] = lambda running: running.keep,
    *,
    limits: Limits = LIMITS,
    tls: ServerTls | None = None,
) -> AsyncIterator[Running]:
    running, listening = Running(), asyncio.get_running_loop().create_future()
    desk = FrontDesk(
        lambda *sender: FEEDS.get(sender),
        lambda document, feed: f"{feed.key}#key",
        publish(running),
        running.report,
        limits.confirm,
        now=lambda: NOW,
    )
    server = Server(desk, running.report, limits, server_context("127.0.0.1", tls))
    serving = asyncio.create_task(server.serve("127.0.0.1", 0, running.stop, listening.set_result))
    running.port = await listening
    try:
        yield running
    finally:
        running.stop.set()
        await serving


def client(running: Running, tls: ClientTls | None = None, wait: float = 5) -> MllpClient:
    return MllpClient("localhost" if tls else "127.0.0.1", running.port, tls, timedelta(seconds=wait))


async def raw(running: Running, data: bytes, *, end: bool = False) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    writer.write(data)
    await writer.drain()
    if end:
        writer.write_eof()
    return reader, writer


# ---- acknowledged -------------------------------------------------------------------------------------------------


async def test_a_client_written_by_others_is_acknowledged() -> None:
    def send(port: int) -> bytes:
        with hl7.client.MLLPClient("127.0.0.1", port) as other:
            return bytes(other.send_message(adt()))

    async with gateway() as running:
        answer = await asyncio.to_thread(send, running.port)
    parsed = hl7.parse(answer.strip(b"\x0b\x1c\r").decode())
    assert str(parsed.segment("MSA")) == "MSA|AA|A1"
    assert str(parsed["MSH"][0][9]) == "ACK^A01^ACK"


async def test_the_record_is_the_bytes_as_received_under_the_persons_key() -> None:
    async with gateway() as running, client(running) as sender:
        assert (await sender.send(adt(charset="8859/1"))).taken
    (record,) = running.records
    assert record.value == adt(charset="8859/1")
    assert record.key == "EPJ-SYD/OUH#key"


async def test_headers_say_what_arrived_and_nothing_of_the_patient() -> None:
    async with gateway() as running, client(running) as sender:
        await sender.send(adt(charset="8859/1"))
    headers = {name: value.decode() for name, value in running.records[0].headers}
    assert (
        headers.items()
        >= {
            "hl7-control-id": "A1",
            "hl7-trigger": "A01",
            "hl7-version": "2.5.1",
            "hl7-charset": "iso8859-1",
            "received-at": "2026-03-01T08:00:00.000Z",
            "feed": "EPJ-SYD/OUH",
            "content-type": "application/hl7-v2",
        }.items()
    )
    assert len(headers["payload-sha256"]) == 64
    assert not any(word in str(headers) + str(running.said) for word in ("2512489996", "mose", "Nancy"))


async def test_a_duplicate_is_acknowledged_again_and_written_again_for_intake_to_absorb() -> None:
    async with gateway() as running, client(running) as sender:
        assert [(await sender.send(adt())).code for _ in range(2)] == ["AA", "AA"]
    assert len(running.records) == 2


@pytest.mark.parametrize(("accept", "code"), [("AL", "CA"), ("SU", "CA"), ("", "AA")])
async def test_a_sender_in_enhanced_mode_gets_a_commit_answer(accept: str, code: str) -> None:
    async with gateway() as running, client(running) as sender:
        assert (await sender.send(adt(accept=accept))).code == code


@pytest.mark.parametrize("accept", ["NE", "ER"])
async def test_a_sender_that_wants_no_positive_answer_gets_none_and_stays_connected(accept: str) -> None:
    async with gateway() as running, client(running) as sender:
        with pytest.raises(NoAnswer):
            await client(running, wait=0.1).send(adt(accept=accept))
        reader, writer = await raw(running, framed(adt("A1", accept=accept)) + framed(adt("A2")))
        assert b"MSA|AA|A2" in await reader.readuntil(b"\x1c\r")
        writer.close()
        assert (await sender.send(adt("A3"))).taken
    assert len(running.records) == 4


async def test_a_feed_with_a_forced_character_set_is_read_with_it_whatever_it_declares() -> None:
    async with gateway() as running, client(running) as sender:
        assert (await sender.send(adt(application="EPJ-OLD"))).taken
    assert dict(running.records[0].headers)["hl7-charset"] == b"iso8859-1"


async def test_a_forced_character_set_makes_up_for_a_declaration_nobody_knows() -> None:
    async with gateway() as running, client(running) as sender:
        assert (await sender.send(adt(application="EPJ-OLD", charset="KLINGON"))).taken


async def test_a_test_message_is_taken_on_a_test_feed() -> None:
    async with gateway() as running, client(running) as sender:
        assert (await sender.send(adt(application="EPJ-TEST", processing="T"))).taken


async def test_fifty_connections_are_served_at_once() -> None:
    together = asyncio.Barrier(50)

    def all_at_once(running: Running) -> Publish:
        async def publish(record: AdtRecord) -> None:
            await together.wait()  # returns only when fifty messages are in hand at the same time
            running.records.append(record)

        return publish

    async def one(running: Running, number: int) -> str:
        async with client(running) as sender:
            return (await sender.send(adt(f"N{number}"))).control_id

    async with gateway(all_at_once) as running:
        answered = await asyncio.gather(*(one(running, number) for number in range(50)))
    assert answered == [f"N{number}" for number in range(50)]
    assert len(running.records) == 50


async def test_the_next_block_waits_for_the_answer_to_the_one_before() -> None:
    go = asyncio.Event()

    def held(running: Running) -> Publish:
        async def publish(record: AdtRecord) -> None:
            running.records.append(record)
            await go.wait()

        return publish

    async with gateway(held) as running:
        reader, writer = await raw(running, framed(adt("A1")) + framed(adt("A2")))
        while not running.records:
            await asyncio.sleep(0.002)
        assert len(running.records) == 1
        go.set()
        answers = await reader.readuntil(b"\x1c\r") + await reader.readuntil(b"\x1c\r")
        writer.close()
    assert answers.index(b"MSA|AA|A1") < answers.index(b"MSA|AA|A2")


# ---- refused ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "code", "error"),
    [
        pytest.param(adt(application="SOMEBODY"), "AR", "207", id="unknown sender"),
        pytest.param(adt(processing="T"), "AR", "202", id="a test on a production feed"),
        pytest.param(adt(processing="D"), "AR", "202", id="debugging on a production feed"),
        pytest.param(adt(kind="ORU^R01"), "AR", "200", id="not ADT"),
        pytest.param(adt(control_id=""), "AR", "101", id="no control id"),
        pytest.param(adt(charset="KLINGON"), "AR", "103", id="unknown character set"),
        pytest.param(adt().replace("ø".encode(), b"\xf8"), "AE", "102", id="not the declared character set"),
        pytest.param(adt() + b"\x00", "AR", "102", id="a control byte"),
        pytest.param(adt() + adt(), "AR", "100", id="two messages in one block"),
        pytest.param(adt(application="SOMEBODY", accept="AL"), "CR", "207", id="unknown sender, enhanced mode"),
    ],
)
async def test_a_message_that_cannot_be_taken_is_refused_and_not_written(message: bytes, code: str, error: str) -> None:
    async with gateway() as running, client(running) as sender:
        answer = await sender.send(message)
        assert (await sender.send(adt("next"))).taken, "the connection stays open"
    assert (answer.code, answer.taken) == (code, False)
    assert f"|{error}^".encode() in answer.data
    assert [record.document.control_id for record in running.records] == ["next"]
    assert not any(word in answer.data for word in (b"2512489996", b"mose", b"Nancy"))


@pytest.mark.parametrize("block", [b"", b"hello", b"\r\n"], ids=["empty", "no MSH", "blank"])
async def test_what_cannot_be_answered_closes_the_connection(block: bytes) -> None:
    async with gateway() as running:
        reader, writer = await raw(running, framed(block))
        assert await reader.read() == b""
        writer.close()
    assert running.events() == ["gateway.refused"]


async def test_a_block_over_the_limit_is_refused_and_the_connection_closed() -> None:
    async with gateway(limits=Limits(block=400)) as running:
        reader, writer = await raw(running, framed(adt("A1") + b"OBX|" + b"x" * 1000) + framed(adt("A2")))
        answer = await reader.read()
        writer.close()
    assert b"MSA|AR|A1" in answer
    assert answer.count(b"MSA") == 1
    assert running.records == []


# ---- no answer ----------------------------------------------------------------------------------------------------


async def test_what_the_log_does_not_confirm_is_not_acknowledged() -> None:
    def failing(running: Running) -> Publish:
        async def publish(record: AdtRecord) -> None:
            raise Unconfirmed

        return publish

    async with gateway(failing) as running, client(running) as sender:
        with pytest.raises(NoAnswer):
            await sender.send(adt())
    assert running.events() == ["gateway.unconfirmed"]


async def test_a_log_that_takes_too_long_gives_no_acknowledgement() -> None:
    def stuck(running: Running) -> Publish:
        async def publish(record: AdtRecord) -> None:
            await asyncio.Event().wait()

        return publish

    async with gateway(stuck, limits=Limits(confirm=timedelta(milliseconds=20))) as running, client(running) as sender:
        with pytest.raises(NoAnswer):
            await sender.send(adt())
    assert running.said[1] == ("gateway.unconfirmed", {"why": "TimeoutError"})


async def test_a_fault_of_ours_ends_one_connection_and_no_other() -> None:
    def broken(running: Running) -> Publish:
        async def publish(record: AdtRecord) -> None:
            if record.document.control_id == "bad":
                raise ZeroDivisionError
            running.records.append(record)

        return publish

    async with gateway(broken) as running, client(running) as other:
        assert (await other.send(adt("A1"))).taken
        with pytest.raises(NoAnswer):
            await client(running).send(adt("bad"))
        assert (await other.send(adt("A2"))).taken
    assert ("gateway.fault", {"why": "ZeroDivisionError"}) in running.said


# ---- the line -----------------------------------------------------------------------------------------------------


async def test_a_block_that_trickles_in_too_slowly_is_cut_off() -> None:
    async with gateway(limits=Limits(between_bytes=timedelta(milliseconds=30))) as running:
        reader, writer = await raw(running, framed(adt())[:40])
        assert await reader.read() == b""
        writer.close()
    assert running.said[1] == ("gateway.silent", {"length": 39})


async def test_an_idle_connection_stays_open() -> None:
    async with gateway(limits=Limits(between_bytes=timedelta(milliseconds=5))) as running, client(running) as sender:
        assert (await sender.send(adt("A1"))).taken
        async with client(running) as other:
            for number in range(20):  # more round trips than the limit between bytes allows for
                await other.send(adt(f"N{number}"))
        assert (await sender.send(adt("A2"))).taken
    assert [event for event, _ in running.said].count("gateway.connected") == 2


async def test_bytes_before_the_start_byte_are_dropped_and_counted() -> None:
    async with gateway() as running:
        reader, writer = await raw(running, b"\r\n" + framed(adt("A1")))
        assert b"MSA|AA|A1" in await reader.readuntil(b"\x1c\r")
        writer.close()
    assert ("gateway.noise", {"length": 2}) in running.said


async def test_a_partial_block_at_the_end_of_the_stream_is_dropped_and_its_length_told() -> None:
    async with gateway() as running:
        reader, writer = await raw(running, framed(adt("A1")) + b"\x0bMSH|^~", end=True)
        assert (await reader.read()).count(b"MSA") == 1
        writer.close()
    assert ("gateway.partial", {"length": 6}) in running.said
    assert len(running.records) == 1


# ---- draining -----------------------------------------------------------------------------------------------------


async def test_draining_closes_idle_connections_and_takes_no_new_ones() -> None:
    async with gateway() as running:
        reader, writer = await raw(running, framed(adt("A1")))
        await reader.readuntil(b"\x1c\r")
        running.stop.set()
        assert await reader.read() == b""
        writer.close()
        with pytest.raises(ConnectionError):
            await client(running).send(adt("A2"))


async def test_draining_answers_the_message_in_hand_and_leaves_the_next_one_with_its_sender() -> None:
    confirmed = asyncio.Event()

    def held(running: Running) -> Publish:
        async def publish(record: AdtRecord) -> None:
            running.records.append(record)
            await confirmed.wait()

        return publish

    async with gateway(held) as running:
        reader, writer = await raw(running, framed(adt("A1")) + framed(adt("A2")))
        while not running.records:
            await asyncio.sleep(0.002)
        running.stop.set()
        confirmed.set()
        assert (await reader.read()).count(b"MSA|AA|A1") == 1
        writer.close()
    assert [record.document.control_id for record in running.records] == ["A1"]


async def test_draining_lets_a_block_that_is_arriving_arrive() -> None:
    async with gateway() as running:
        reader, writer = await raw(running, framed(adt("A1")) + framed(adt("A2"))[:30])
        await reader.readuntil(b"\x1c\r")
        running.stop.set()
        writer.write(framed(adt("A2"))[30:])
        assert b"MSA|AA|A2" in await reader.read()
        writer.close()


async def test_a_connection_that_does_not_end_in_time_is_cut() -> None:
    async with gateway(limits=Limits(drain=timedelta(milliseconds=30))) as running:
        reader, writer = await raw(running, framed(adt())[:40])
        await running.until("gateway.connected")
        running.stop.set()
        with pytest.raises(ConnectionError):
            if await reader.read() == b"":
                raise ConnectionError
        writer.close()


# ---- who may connect ----------------------------------------------------------------------------------------------


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
