"""The MLLP gateway over real sockets: what is acknowledged, what is refused, what gets no answer (spec 04 §5)."""

import asyncio
from datetime import timedelta

import hl7.client
import pytest

from streams.gateway.admission import AdtRecord, Publish, Unconfirmed
from streams.gateway.mllp import NoAnswer, framed
from streams.gateway.server import GatewayLimits
from tests.contracts.gateways import Running, adt, client, gateway, raw

# ---- acknowledged -------------------------------------------------------------------------------------------------


async def test_client_written_by_others_is_acknowledged() -> None:
    def send(port: int) -> bytes:
        with hl7.client.MLLPClient("127.0.0.1", port) as other:
            return bytes(other.send_message(adt()))

    async with gateway() as running:
        answer = await asyncio.to_thread(send, running.port)
    parsed = hl7.parse(answer.strip(b"\x0b\x1c\r").decode())
    assert str(parsed.segment("MSA")) == "MSA|AA|A1"
    assert str(parsed["MSH"][0][9]) == "ACK^A01^ACK"


async def test_record_is_bytes_as_received_under_persons_key() -> None:
    async with gateway() as running, client(running) as sender:
        assert (await sender.send(adt(charset="8859/1"))).taken
    (record,) = running.records
    assert record.value == adt(charset="8859/1")
    assert record.key == "EPJ-SYD/OUH#key"


async def test_headers_describe_arrival_without_patient() -> None:
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
    assert not any(word in str(headers) + str(running.reported) for word in ("2512489996", "mose", "Nancy"))


async def test_duplicate_is_acknowledged_and_written_again() -> None:
    async with gateway() as running, client(running) as sender:
        assert [(await sender.send(adt())).code for _ in range(2)] == ["AA", "AA"]
    assert len(running.records) == 2


@pytest.mark.parametrize(("accept", "code"), [("AL", "CA"), ("SU", "CA"), ("", "AA")])
async def test_sender_in_enhanced_mode_gets_commit_answer(accept: str, code: str) -> None:
    async with gateway() as running, client(running) as sender:
        assert (await sender.send(adt(accept=accept))).code == code


@pytest.mark.parametrize("accept", ["NE", "ER"])
async def test_sender_wanting_no_positive_answer_stays_connected(accept: str) -> None:
    async with gateway() as running, client(running) as sender:
        with pytest.raises(NoAnswer):
            await client(running, wait=0.1).send(adt(accept=accept))
        reader, writer = await raw(running, framed(adt("A1", accept=accept)) + framed(adt("A2")))
        assert b"MSA|AA|A2" in await reader.readuntil(b"\x1c\r")
        writer.close()
        assert (await sender.send(adt("A3"))).taken
    assert len(running.records) == 4


async def test_forced_character_set_overrules_declaration() -> None:
    async with gateway() as running, client(running) as sender:
        assert (await sender.send(adt(application="EPJ-OLD"))).taken
    assert dict(running.records[0].headers)["hl7-charset"] == b"iso8859-1"


async def test_forced_character_set_makes_up_for_declaration_nobody_knows() -> None:
    async with gateway() as running, client(running) as sender:
        assert (await sender.send(adt(application="EPJ-OLD", charset="KLINGON"))).taken


async def test_test_message_is_taken_on_test_feed() -> None:
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


async def test_next_block_waits_for_answer_to_one_before() -> None:
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
async def test_unusable_message_is_refused_and_not_written(message: bytes, code: str, error: str) -> None:
    async with gateway() as running, client(running) as sender:
        answer = await sender.send(message)
        assert (await sender.send(adt("next"))).taken, "the connection stays open"
    assert (answer.code, answer.taken) == (code, False)
    assert f"|{error}^".encode() in answer.data
    assert [record.document.control_id for record in running.records] == ["next"]
    assert not any(word in answer.data for word in (b"2512489996", b"mose", b"Nancy"))


@pytest.mark.parametrize("block", [b"hello", b"\r\n"], ids=["no MSH", "blank"])
async def test_what_cannot_be_answered_closes_connection(block: bytes) -> None:
    async with gateway() as running:
        reader, writer = await raw(running, framed(block))
        assert await reader.read() == b""
        writer.close()
    assert running.events() == ["gateway.refused"]


async def test_empty_block_is_sign_of_life() -> None:
    async with gateway() as running:
        reader, writer = await raw(running, framed(b"") + framed(b"") + framed(adt("A1")))
        assert b"MSA|AA|A1" in await reader.readuntil(b"\x1c\r")
        writer.close()
    assert running.events() == ["gateway.accepted"]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"MSH|^~\\&|A|B|C|D|20260301||ACK^A01^ACK|1|P|2.5\rMSA|AA|A1\r", id="of type ACK"),
        pytest.param(b"MSH|^~\\&|A|B|C|D|20260301||ACK|1|P|2.5\r\x00", id="unreadable"),
        pytest.param(b"MSH|^~\\&|A|B|C|D|20260301||ADR^A19|1|P|2.5\rMSA|AA|A1\r", id="with MSA"),
        pytest.param(b"MSH#^~\\&#A#B#C#D#20260301##ack ^A01#1#P#2.5\r", id="other separators"),
    ],
)
async def test_acknowledgement_is_never_answered(answer: bytes) -> None:
    async with gateway() as running:
        reader, writer = await raw(running, framed(answer) + framed(adt("A1")))
        got = await reader.readuntil(b"\x1c\r")
        writer.close()
    assert b"MSA|AA|A1" in got
    assert running.events() == ["gateway.acknowledgement", "gateway.accepted"]
    assert (running.refusals, len(running.records)) == ([], 1)


async def test_block_over_limit_is_refused_and_connection_closed() -> None:
    async with gateway(limits=GatewayLimits(block=400)) as running:
        reader, writer = await raw(running, framed(adt("A1") + b"OBX|" + b"x" * 1000) + framed(adt("A2")))
        answer = await reader.read()
        writer.close()
    assert b"MSA|AR|A1" in answer
    assert answer.count(b"MSA") == 1
    assert running.records == []


# ---- no answer ----------------------------------------------------------------------------------------------------


async def test_what_log_does_not_confirm_is_not_acknowledged() -> None:
    def failing(running: Running) -> Publish:
        async def publish(record: AdtRecord) -> None:
            raise Unconfirmed

        return publish

    async with gateway(failing) as running, client(running) as sender:
        with pytest.raises(NoAnswer):
            await sender.send(adt())
    assert running.events() == ["gateway.unconfirmed"]


async def test_log_that_takes_too_long_gives_no_acknowledgement() -> None:
    def stuck(running: Running) -> Publish:
        async def publish(record: AdtRecord) -> None:
            await asyncio.Event().wait()

        return publish

    async with (
        gateway(stuck, limits=GatewayLimits(confirm=timedelta(milliseconds=20))) as running,
        client(running) as sender,
    ):
        with pytest.raises(NoAnswer):
            await sender.send(adt())
    assert running.reported[1] == ("gateway.unconfirmed", {"why": "TimeoutError"})


async def test_fault_of_ours_ends_one_connection_and_no_other() -> None:
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
    assert ("gateway.fault", {"why": "ZeroDivisionError"}) in running.reported
