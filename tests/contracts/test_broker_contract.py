"""What the product relies on in a broker: the same for the embedded one and for Apache Kafka."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka.errors import MessageSizeTooLargeError
from confluent_kafka import KafkaError, Producer
from confluent_kafka.admin import AdminClient
from typer.testing import CliRunner

from streams.cli.broker import broker as broker_command
from streams.kafka.admin import BrokerProblem, Drift, apply, describe, diff, missing
from streams.kafka.clients import new_producer, partition_of, read_all
from streams.kafka.embedded import KEEPS, EmbeddedBroker
from streams.kafka.local import KAFKA_VERSION, LocalBroker, NoKafka, free_port, running_pid
from streams.kafka.records import ProducerRecord, header, headers
from streams.kafka.sender import Refusal, Sender, Unavailable
from streams.kafka.topics import ADT_RAW, LARGE, TopicPlan, plan
from tests.brokers import AnyBroker, fresh, prepared, put, real_broker, records, sending, until

#: Bytes of a batch of `new_producer`, which the embedded broker drops as a whole; one record may be alone in its batch.
LARGEST_BATCH = 2 * 100_000

# ---- both brokers -----------------------------------------------------------------------------------------------


async def test_records_of_key_keep_their_order(broker: AnyBroker) -> None:
    topic = fresh("order")
    prepared(broker, topic)
    await put(broker.bootstrap, topic, [(b"k%d" % (n % 7), b"%d" % n) for n in range(700)])
    found = await records(broker.bootstrap, topic)
    assert len(found) == 700
    for key in range(7):
        assert [int(r.value or 0) for r in found if r.key == b"k%d" % key] == list(range(key, 700, 7))


async def test_keys_values_and_headers_come_back_unchanged(broker: AnyBroker) -> None:
    topic = fresh("bytes")
    prepared(broker, topic, partitions=1)
    ours = headers(message_id="m1", event_type="notification", schema="s/1", content_type="application/fhir+json")
    pairs = [(None, b"a"), (b"", b""), (b"\xff\x00", None), (b"k", b"\x00" * 1000)]
    await put(broker.bootstrap, topic, pairs, headers=list(ours))
    found = await records(broker.bootstrap, topic)
    assert [(r.key, r.value) for r in found] == pairs
    assert all(r.headers == ours for r in found)
    assert header(found[0].headers, "traceparent") is not None


async def test_every_client_puts_key_into_same_partition(broker: AnyBroker) -> None:
    topic, keys = fresh("partitions"), [f"{n:08x}".encode() for n in range(0, 1 << 32, 1 << 26)]
    prepared(broker, topic, partitions=12)
    await put(broker.bootstrap, topic, [(key, b"aiokafka") for key in keys])
    confluent = Producer({"bootstrap.servers": broker.bootstrap, "partitioner": "murmur2_random"})
    for key in keys:
        confluent.produce(topic, key=key, value=b"confluent")
    assert confluent.flush(20) == 0
    found = await records(broker.bootstrap, topic)
    assert {(r.key, r.partition) for r in found} == {(key, partition_of(key, 12)) for key in keys}
    assert len(found) == 2 * len(keys)


async def test_letter_to_missing_topic_is_refused_at_once(broker: AnyBroker) -> None:
    there, absent = fresh("there"), fresh("absent")
    prepared(broker, there)
    letters = [
        ProducerRecord(absent, b"k", b"1"),
        ProducerRecord(there, b"k", b"2"),
        ProducerRecord(absent, b"k", b"3"),
    ]
    async with sending(broker.bootstrap) as sender, asyncio.timeout(5):
        refusals = await sender.send(letters)
    assert refusals == [Refusal(letters[0], "topic-missing"), Refusal(letters[2], "topic-missing")]
    assert [r.value for r in await records(broker.bootstrap, there, absent)] == [b"2"]


async def test_letters_beyond_what_waits_in_memory_wait_for_room(broker: AnyBroker) -> None:
    topic = fresh("room")
    prepared(broker, topic, partitions=1)
    letters = [ProducerRecord(topic, b"k", random.Random(n).randbytes(400_000)) for n in range(8)]
    sender = Sender(broker.bootstrap, {"queue.buffering.max.kbytes": "1000"})
    await sender.start()
    assert await sender.send(letters) == []
    await sender.stop()
    assert [record.value for record in await records(broker.bootstrap, topic)] == [letter.value for letter in letters]


async def test_round_given_up_is_answered_to_nobody(broker: AnyBroker) -> None:
    topic, faults = fresh("given-up"), list[dict[str, object]]()
    prepared(broker, topic)
    asyncio.get_running_loop().set_exception_handler(lambda _loop, fault: faults.append(fault))
    async with sending(broker.bootstrap) as sender:
        round_of_letters = asyncio.create_task(sender.send([ProducerRecord(topic, b"k", b"1")] * 100))
        await asyncio.sleep(0)
        round_of_letters.cancel()
        assert await sender.send([ProducerRecord(topic, b"k", b"2")]) == []
        await asyncio.sleep(0)
    assert faults == []


async def test_reading_everything_of_nothing_ends(broker: AnyBroker) -> None:
    empty = fresh("empty")
    prepared(broker, empty)
    assert await records(broker.bootstrap, empty, fresh("absent")) == []


# ---- the embedded broker alone ----------------------------------------------------------------------------------


async def test_of_partition_embedded_broker_keeps_newest_five_mebibytes(embedded: EmbeddedBroker) -> None:
    """What `agents/demo/play.py` reckons with: counted as sent, and nothing more is kept than that."""
    topic, size = fresh("keeps"), 100_000
    prepared(embedded, topic, partitions=1)
    value, number = random.Random(5).randbytes(size), KEEPS // size + 8
    await put(embedded.bootstrap, topic, [(b"k", value)] * (KEEPS // size - 1))
    assert (await records(embedded.bootstrap, topic))[0].offset == 0
    await put(embedded.bootstrap, topic, [(b"k", value)] * 9)
    kept = await records(embedded.bootstrap, topic)
    assert kept[0].offset > 0
    assert kept[-1].offset == number - 1
    assert KEEPS - LARGEST_BATCH < len(kept) * size <= KEEPS


# ---- the real broker alone --------------------------------------------------------------------------------------


@pytest.mark.real
class TestTopics:
    def test_whole_plan_is_created_once_and_then_agrees(self, tmp_path: Path, real: LocalBroker) -> None:
        whole = plan([f"{number:04d}" for number in range(101, 199)])
        assert len(missing(real.bootstrap, whole)) == len(whole) == 2 * 98 + 13
        assert set(apply(real.bootstrap, whole)) == {topic.name for topic in whole}
        assert apply(real.bootstrap, whole) == ()
        assert diff(real.bootstrap, whole) == missing(real.bootstrap, whole) == ()

    def test_difference_is_named_and_never_changed(self, real: LocalBroker) -> None:
        name, row = fresh("drift"), plan(())[0].row
        apply(real.bootstrap, [TopicPlan(name, 3, 1, {"retention.ms": "1000"}, row)])
        wanted = [TopicPlan(name, 12, 1, {"retention.ms": "2000"}, row), TopicPlan(fresh("absent"), 1, 1, {}, row)]
        assert diff(real.bootstrap, wanted) == (
            Drift(name, "partitions", "12", "3"),
            Drift(name, "retention.ms", "2000", "1000"),
            Drift(wanted[1].name, "topic", "present", "missing"),
        )
        assert apply(real.bootstrap, wanted[:1]) == ()
        [found] = describe(real.bootstrap, [name])
        assert (found.partitions, found.replication, (found.config or {})["retention.ms"]) == (3, 1, "1000")

    def test_more_copies_than_brokers_is_reported(self, real: LocalBroker) -> None:
        with pytest.raises(BrokerProblem, match="more copies asked for than there are brokers"):
            apply(real.bootstrap, [TopicPlan(fresh("three"), 1, 3, {}, plan(())[0].row)])


@pytest.mark.real
class TestSizes:
    async def test_what_hospitals_send_may_be_nearly_sixteen_mebibytes(self, real: LocalBroker) -> None:
        [adt] = [topic for topic in plan(()) if topic.name == ADT_RAW]
        topic = fresh("large")
        apply(real.bootstrap, [TopicPlan(topic, 1, 1, adt.config, adt.row)])
        value = bytes(LARGE - 4096)
        await put(real.bootstrap, topic, [(b"k", value)])
        assert [len(record.value or b"") async for record in read_all(real.bootstrap, [topic])] == [len(value)]

    def test_broker_refuses_what_unpacks_to_more_than_topic_allows(self, real: LocalBroker) -> None:
        [adt] = [topic for topic in plan(()) if topic.name == ADT_RAW]
        topic, answers = fresh("bomb"), list[int]()
        apply(real.bootstrap, [TopicPlan(topic, 1, 1, adt.config, adt.row)])
        large = {"message.max.bytes": 1_000_000_000, "compression.type": "zstd"}
        producer = Producer({"bootstrap.servers": real.bootstrap, **large})
        producer.produce(
            topic, bytes(LARGE * 8), on_delivery=lambda error, _: answers.append(error.code() if error else 0)
        )
        assert producer.flush(60) == 0
        assert answers == [KafkaError.MSG_SIZE_TOO_LARGE]
        producer.produce(topic, b"good", on_delivery=lambda error, _: answers.append(error.code() if error else 0))
        assert producer.flush(60) == 0
        assert answers[1:] == [0]

    async def test_broker_refuses_what_is_larger_than_topic_allows(self, real: LocalBroker) -> None:
        topic = fresh("small")
        prepared(real, topic, **{"max.message.bytes": "10000"})
        letters = [ProducerRecord(topic, b"k", random.Random(1).randbytes(20_000))]
        async with sending(real.bootstrap) as sender:
            assert await sender.send(letters) == [Refusal(letters[0], "too-large")]
        producer = new_producer(real.bootstrap)
        await producer.start()
        with pytest.raises(MessageSizeTooLargeError):
            await producer.send_and_wait(topic, bytes(LARGE + 1))
        await producer.stop()


@pytest.mark.real
async def test_a_topic_deleted_under_our_feet_is_missing(real: LocalBroker) -> None:
    kept, deleted = fresh("kept"), fresh("deleted")
    prepared(real, kept, deleted)
    admin = AdminClient({"bootstrap.servers": real.bootstrap})
    letters = [ProducerRecord(topic, b"%d" % n, b"1") for n in range(4) for topic in (kept, deleted)]
    async with sending(real.bootstrap) as sender, asyncio.timeout(30):
        assert await sender.send(letters) == []
        admin.delete_topics([deleted])[deleted].result(10)
        expected = [Refusal(letter, "topic-missing") for letter in letters if letter.topic == deleted]
        await until(lambda: asyncio.sleep(0, deleted not in admin.list_topics(timeout=5).topics))
        assert await sender.send(letters) == expected
        assert await sender.send(letters) == expected


class Way:
    """The network between clients and a broker on this port."""

    def __init__(self, broker: int) -> None:
        self.broker, self._cuts = broker, 0

    @asynccontextmanager
    async def open(self) -> AsyncIterator[int]:
        """The port by which clients come."""
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        yield server.sockets[0].getsockname()[1]
        server.close()

    def cut(self) -> None:
        """Nothing comes through any more by the connections that there are, and nobody hears of it."""
        self._cuts += 1

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        cuts = self._cuts

        async def one_way(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while data := await source.read(1 << 16):
                if cuts == self._cuts:
                    target.write(data)
            target.close()

        with contextlib.suppress(OSError):
            broker_reader, broker_writer = await asyncio.open_connection("127.0.0.1", self.broker)
            await asyncio.gather(one_way(reader, broker_writer), one_way(broker_reader, writer))
        writer.close()


@pytest.mark.real
class TestBrokerOfItsOwn:
    async def test_confirmed_records_survive_sigkill_of_broker(self, tmp_path: Path) -> None:
        with LocalBroker(tmp_path / "broker", heap_mb=256) as broker:
            topic = fresh("kept")
            prepared(broker, topic)
            async with sending(broker.bootstrap, limit=3.0) as sender:
                assert await sender.send([ProducerRecord(topic, b"k%d" % n, b"1") for n in range(50)]) == []
                broker.kill()
                with pytest.raises(Unavailable):
                    await sender.send([ProducerRecord(topic, b"k", b"2")])
                await asyncio.to_thread(broker.start)
                assert await sender.send([ProducerRecord(topic, b"k", b"3")]) == []
            found = await records(broker.bootstrap, topic)
            assert len({r.key for r in found if r.value == b"1"}) == 50

    async def test_letters_leave_by_another_connection_when_one_falls_silent(self, tmp_path: Path) -> None:
        topic, way = fresh("silent"), Way(free_port())
        async with way.open() as port:
            own = {"advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}"}
            broker = await asyncio.to_thread(real_broker, tmp_path / "broker", way.broker, own)
            try:
                await asyncio.to_thread(prepared, broker, topic, partitions=1)
                async with sending(f"127.0.0.1:{port}", limit=9.0) as sender:
                    assert await sender.send([ProducerRecord(topic, b"k", b"1")]) == []
                    way.cut()
                    assert await sender.send([ProducerRecord(topic, b"k", b"%d" % n) for n in range(2, 9)]) == []
                assert [r.value for r in await records(broker.bootstrap, topic)] == [b"%d" % n for n in range(1, 9)]
            finally:
                await asyncio.to_thread(broker.stop)

    def test_command_starts_finds_and_stops_it(self, tmp_path: Path) -> None:
        run, where = CliRunner(), ["--directory", str(tmp_path / "b")]
        assert run.invoke(broker_command, ["status", *where]).exit_code == 1
        started = run.invoke(broker_command, ["start", *where, "--port", "0"])
        try:
            assert started.exit_code == 0, started.output
            again = run.invoke(broker_command, ["start", *where])
            assert started.output == again.output
            assert started.output.strip() in run.invoke(broker_command, ["status", *where]).output
        finally:
            assert "stopped" in run.invoke(broker_command, ["stop", *where]).output
        assert running_pid(tmp_path / "b") is None
        assert run.invoke(broker_command, ["stop", *where]).output == "not running\n"


def test_silent_address_is_reported_plainly() -> None:
    with pytest.raises(BrokerProblem, match="no broker answers at this address"):
        missing("127.0.0.1:1", plan(()))


def test_without_maven_missing_jars_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from streams.kafka.local import find_jars

    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoKafka, match=f"the jars of Kafka {KAFKA_VERSION} are not in"):
        find_jars(tmp_path / "cache")
