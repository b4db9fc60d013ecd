"""What the gateway refuses is in `dead.letters` and in the balance, and nothing of a person is in a key or header."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from streams.gateway.admission import Unconfirmed, WriteRefusal
from streams.gateway.mllp import NoAnswer, framed
from streams.gateway.run import KafkaPublisher
from streams.gateway.server import GatewayLimits
from streams.kafka.clients import new_producer
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.records import header
from streams.kafka.topics import ADT_RAW, DEAD_LETTERS, LEDGER
from streams.observer.reading import read_book
from streams.observer.reconcile import balance
from tests.brokers import prepared, records
from tests.contracts.gateways import LIMITS, PERSON, Running, adt, client, gateway, raw

CPR = "2512489996"


@asynccontextmanager
async def before_kafka(broker: EmbeddedBroker, limits: GatewayLimits = LIMITS) -> AsyncIterator[Running]:
    prepared(broker, ADT_RAW, DEAD_LETTERS, LEDGER)
    async with new_producer(broker.bootstrap) as producer:
        publish = KafkaPublisher(producer, "1.0")
        async with gateway(lambda _: publish, write_refusal=lambda _: publish.write_refusal, limits=limits) as running:
            yield running


async def test_refused_message_is_dead_letter_with_its_reason() -> None:
    message = adt("A1", application="NOBODY")
    with EmbeddedBroker() as broker:
        async with before_kafka(broker) as running, client(running) as sender:
            assert (await sender.send(message)).code == "AR"
        (letter,) = await records(broker.bootstrap, DEAD_LETTERS)
        (row,) = await records(broker.bootstrap, LEDGER)
    reported = {name: value.decode() for name, value in letter.headers}
    assert letter.value == message
    assert (reported["dlq.stage"], reported["dlq.error-code"], reported["dlq.path"]) == ("gateway", "hl7-207", "MSH-3")
    assert (reported["peer"], reported["hl7-control-id"], reported["dlq.original-topic"]) == (
        "127.0.0.1",
        "A1",
        ADT_RAW,
    )
    assert re.fullmatch(r"gateway/127\.0\.0\.1/A1/[0-9a-f]{16}", reported["dlq.origin"])
    notified = json.loads(row.value or b"")
    assert (notified["kind"], notified["what"], notified["reason"]) == ("event", "refused", "hl7-207")
    assert notified["origin"] == reported["dlq.origin"]
    assert row.key == reported["dlq.origin"].encode()


async def test_every_kind_of_refusal_is_counted_and_balance_closes() -> None:
    limits = GatewayLimits(block=2000, between_bytes=timedelta(seconds=10), whole_block=timedelta(milliseconds=50))
    with EmbeddedBroker() as broker:
        async with before_kafka(broker, limits) as running:
            async with client(running) as sender:
                for message in (adt("unknown", application="NOBODY"), adt("bytes") + b"\x00", adt("")):
                    assert (await sender.send(message)).code == "AR"
            for block in (framed(b"hello"), framed(adt("long") + b"x" * 3000), framed(adt("slow"))[:50]):
                reader, writer = await raw(running, block)
                await reader.read()
                writer.close()
        letters = await records(broker.bootstrap, DEAD_LETTERS)
        book = await read_book(broker.bootstrap)
    result = balance(book)
    events = next(line for line in result.lines if line.name == "events received")
    assert sorted(header(letter.headers, "dlq.error-code") or b"" for letter in letters) == [
        b"hl7-100", b"hl7-101", b"hl7-102", b"hl7-207", b"too-large", b"too-slow",
    ]  # fmt: skip
    assert (events.total, dict(events.terms)) == (6, {"refused": 6, "duplicates": 0, "accepted": 0})
    assert result.difference == 0, result.as_dict()


async def test_refusal_without_its_row_is_difference() -> None:
    with EmbeddedBroker() as broker:
        async with before_kafka(broker) as running, client(running) as sender:
            await sender.send(adt("A1", application="NOBODY"))
        book = await read_book(broker.bootstrap)
    (origin,) = book.turned_away
    book.rows["event"].clear()
    events = next(line for line in balance(book).lines if line.name == "events received")
    assert (events.difference, events.ids) == (1, (origin,))


async def test_row_without_its_letter_is_difference() -> None:
    with EmbeddedBroker() as broker:
        async with before_kafka(broker) as running, client(running) as sender:
            await sender.send(adt("A1", application="NOBODY"))
        book = await read_book(broker.bootstrap)
    book.turned_away.clear()
    book.dead.clear()
    assert balance(book).difference == 2  # in the line and in the check


async def test_same_refusal_sent_again_is_one() -> None:
    with EmbeddedBroker() as broker:
        async with before_kafka(broker) as running, client(running) as sender:
            for _ in range(3):
                assert (await sender.send(adt("A1", application="NOBODY"))).code == "AR"
        result = balance(await read_book(broker.bootstrap))
    assert (result.lines[0].total, result.difference) == (1, 0)


@pytest.mark.parametrize(
    "control_id",
    [CPR, f"{CPR[:6]}-{CPR[6:]}", f"M{CPR}", "Nancy Berggren", "Bølgemose", "x" * 5000, "a\\.br\\b", "../../etc"],
)
@pytest.mark.parametrize("application", ["NOBODY", "EPJ-SYD"])
async def test_control_id_of_another_form_is_hashed(control_id: str, application: str) -> None:
    with EmbeddedBroker() as broker:
        async with before_kafka(broker) as running, client(running) as sender:
            await sender.send(adt(control_id, application=application))
        written = [
            record for topic in (ADT_RAW, DEAD_LETTERS, LEDGER) for record in await records(broker.bootstrap, topic)
        ]
    assert written
    for record in written:
        ids = [value.decode() for name, value in record.headers if name == "hl7-control-id"]
        assert all(re.fullmatch(r"hash:[0-9a-f]{16}", notified) for notified in ids)
        around = repr((record.key, record.headers, record.value if record.topic == LEDGER else b""))
        assert not any(word in around for word in (control_id, CPR, "Nancy", "lgemose"))


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        pytest.param("ADT^A01", f"ADT^{CPR}", "hl7-trigger", id="trigger"),
        pytest.param("|2.5.1|", "|Nancy Berggren|", "hl7-version", id="version"),
    ],
)
async def test_other_words_of_msh_are_hashed_too(old: str, new: str, name: str) -> None:
    async with gateway() as running, client(running) as sender:
        assert (await sender.send(adt().replace(old.encode(), new.encode()))).taken
    notified = dict(running.records[0].headers)
    assert re.fullmatch(rb"hash:[0-9a-f]{16}", notified[name])


async def test_what_kafka_does_not_confirm_is_not_refused_either() -> None:
    def failing(running: Running) -> WriteRefusal:
        async def write_refusal(refusal: object) -> None:
            raise Unconfirmed("KafkaTimeoutError")

        return write_refusal

    async with gateway(write_refusal=failing) as running:
        with pytest.raises(NoAnswer):
            await client(running).send(adt(application="NOBODY"))
        async with client(running) as sender:
            assert (await sender.send(adt("A1"))).taken
    assert ("gateway.unconfirmed", {"why": "KafkaTimeoutError"}) in running.reported
    assert not any(event == "gateway.refused" for event in running.events())


async def test_refusal_log_shows_nothing_of_message() -> None:
    async with gateway() as running, client(running) as sender:
        await sender.send(adt(CPR, application="NOBODY", family="Bølgemose"))
    notified = await running.until("gateway.refused")
    assert (notified["reason"], notified["peer"]) == ("hl7-207", "127.0.0.1")
    assert not any(word in str(running.reported) for word in (CPR, "mose", "NOBODY", PERSON[:30]))
