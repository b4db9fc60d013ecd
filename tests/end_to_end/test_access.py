"""Real users on a secured real broker: each may do its work and nothing else, and a receipt cannot be forged."""

import asyncio
import contextlib
import json
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from aiokafka.errors import TopicAuthorizationFailedError
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from streams.cli.frame import Code
from streams.kafka.access import user_of
from streams.kafka.admin import apply
from streams.kafka.clients import new_producer, read_all
from streams.kafka.records import ProducerRecord
from streams.kafka.sender import Refusal, Sender
from streams.kafka.topics import inbox, letterbox, plan
from streams.observer.evidence import quoted
from streams.registry import load
from streams.sim.municipality import answer, behaviour
from tests.brokers import until
from tests.end_to_end.outside import Outside
from tests.secured import Secured, secured_broker

pytestmark = pytest.mark.real

A, B = "0461", "0101"  # two municipalities
PLAN = plan([A, B], partitions=2)
USERS = ("relay", "gateway", "observer", "operator", "network", "hospital", "municipality")


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with secured_broker(tmp_path_factory.mktemp("secured")) as broker:
        yield broker


@pytest.fixture(scope="module")
def granted(secured: Secured, tmp_path_factory: pytest.TempPathFactory) -> Secured:
    """The same with topics, users and rights: made by the commands, over the administrator's listener."""
    outside = Outside.at(secured.admin, tmp_path_factory.mktemp("admin"), STAFET_PARTITIONS="2")
    asyncio.run(_grant(outside, secured))
    return secured


async def _grant(outside: Outside, secured: Secured) -> None:
    made = await outside.stafet("topics", "apply", "--yes")
    assert made.code == Code.OK, made.err
    words = ("access", "apply", "--passwords", str(secured.passwords), "--yes")
    first = await outside.stafet(*words)
    assert first.code == Code.OK, first.err
    assert first.out.startswith("104 users made, 0 were there")
    again = await outside.stafet(*words)
    assert again.out.splitlines()[0] == "0 users made, 104 were there"
    assert again.out.splitlines()[1].startswith("0 rights granted")
    assert len(again.out.splitlines()) == 2, "nothing is in no plan"
    files = list(secured.passwords.iterdir())
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert not any(file.read_text() in first.out + first.err for file in files)


def outside(broker: Secured, user: str, folder: Path, **more: Any) -> Outside:
    """An installation whose commands come as this user."""
    folder.mkdir()
    return Outside.at(broker.bootstrap, folder, STAFET_PARTITIONS="2", **broker.environment(user, **more))


# ---- a flow ------------------------------------------------------------------------------------------------------


async def rows(broker: Secured) -> dict[str, dict[str, Any]]:
    """The ledger as the observer reads it, by id."""
    found = read_all(broker.bootstrap, ["ledger"], **broker.aiokafka("stafet-observer"))
    return {row["id"]: row async for record in found for row in [json.loads(record.value or b"")]}


async def letters(broker: Secured, user: str, *kommuner: str) -> list[tuple[str, bytes]]:
    """Kommunekode and envelope of what lies in the inboxes, as the user reads them."""
    found = read_all(broker.bootstrap, [inbox(code) for code in kommuner], **broker.aiokafka(user))
    return [(record.topic.split(".")[1], record.value or b"") async for record in found]


async def posted(broker: Secured, user: str, topic: str, receipt: bytes) -> str:
    """A receipt of this user on a topic; where it lies."""
    async with new_producer(broker.bootstrap, **broker.aiokafka(user)) as producer:
        place = await producer.send_and_wait(topic, receipt)
    return f"{place.topic}/{place.partition}/{place.offset}"


async def test_each_role_works_and_forges_no_receipt(granted: Secured, tmp_path: Path) -> None:
    relay = outside(granted, "stafet-relay", tmp_path / "relay")
    gateway = outside(granted, "stafet-gateway", tmp_path / "gateway")
    hospital = outside(granted, "stafet-hospital", tmp_path / "hospital")
    observer = outside(granted, "stafet-observer", tmp_path / "observer")
    async with relay.running("run", "relay") as worker, gateway.running("run", "gateway") as door:
        await worker.ready()
        await door.ready()
        through = await hospital.stafet(
            "simulate", "hospital", "--stays", "8", "--gateway", f"127.0.0.1:{gateway.gateway}"
        )
        onto = await hospital.stafet("simulate", "hospital", "--stays", "4", "--seed", "2")
        assert (through.code, onto.code) == (Code.OK, Code.OK), through.err + onto.err
        codes = sorted(load("example").kommuner)

        async def some() -> list[tuple[str, bytes]]:
            return await letters(granted, "stafet-observer", *codes)

        (addressed, envelope), *_ = await until(some, 60)
        other = next(code for code in codes if code != addressed)
        [reply] = answer(envelope, behaviour("ok"), datetime.now(UTC), Random(1))
        message = quoted(reply.data)
        assert message is not None

        forger = user_of("municipality", other)
        for topic in (letterbox(addressed), "receipts.raw"):
            with pytest.raises(TopicAuthorizationFailedError):
                await posted(granted, forger, topic, reply.data)
        assert await letters(granted, forger, addressed) == [], "it does not even see the topic"
        place = await posted(granted, forger, letterbox(other), reply.data)

        async def judged() -> Any:
            return (await rows(granted)).get(f"receipt/{place}")

        assert (await until(judged, 60))["what"] == "quarantined"
        states = {row["what"] for row in (await rows(granted)).values() if row["subject"] == message.message_id}
        assert states <= {"CREATED", "SENT"}

        town = outside(granted, user_of("municipality", addressed), tmp_path / "town")
        async with town.running("simulate", "municipality", "--code", addressed) as answering:

            async def settled() -> bool:
                ledger = (await rows(granted)).values()
                return any(r["subject"] == message.message_id and r["what"] == "ACKED_OK" for r in ledger)

            await until(settled, 60)
            assert await answering.end(signal.SIGINT) == 130
        for process in (worker, door):
            assert await process.end(signal.SIGTERM) == Code.OK
    balance = await observer.stafet("reconcile", "--json")
    assert balance.code == Code.OK, balance.out + balance.err


# ---- what is refused is named ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trouble:
    """Settings that are wrong in one way, and what is reported of it."""

    user: str
    code: Code
    reported: str
    more: dict[str, str] = field(default_factory=dict)


TROUBLES = {
    "wrong password": Trouble(
        "stafet-relay", Code.NOT_PERMITTED, "user or password is not accepted", {"password": "no"}
    ),
    "unknown user": Trouble(
        "stafet-nobody", Code.NOT_PERMITTED, "user or password is not accepted", {"password": "no"}
    ),
    "foreign authority": Trouble(
        "stafet-relay", Code.NO_BROKER, "not of the authority in STAFET_KAFKA_CA", {"ca": "foreign"}
    ),
    "TLS at a plain port": Trouble("stafet-relay", Code.NO_BROKER, "no TLS at this address", {"at": "plain"}),
    "plain at a TLS port": Trouble("stafet-relay", Code.NO_BROKER, "gives no answer in plain text", {"ca": ""}),
    "nobody there": Trouble("stafet-relay", Code.NO_BROKER, "no broker answers at this address", {"at": "nowhere"}),
    "missing rights": Trouble("stafet-hospital", Code.NOT_PERMITTED, "lacks READ on topic adt.raw"),
}


def troubled(broker: Secured, trouble: Trouble, folder: Path) -> Outside:
    made = outside(broker, trouble.user, folder)
    env, more = dict(made.env), trouble.more
    if "password" in more:
        (folder / "password").write_text(more["password"])
        env["STAFET_KAFKA_PASSWORD_FILE"] = str(folder / "password")
    if "ca" in more:
        env["STAFET_KAFKA_CA"] = str(broker.foreign_ca) if more["ca"] else ""
    if "at" in more:
        env["STAFET_BOOTSTRAP"] = broker.admin if more["at"] == "plain" else "127.0.0.1:1"
    return Outside(folder, env)


@pytest.mark.parametrize("name", TROUBLES)
async def test_relay_that_cannot_work_names_reason(granted: Secured, tmp_path: Path, name: str) -> None:
    trouble = TROUBLES[name]
    ended = await troubled(granted, trouble, tmp_path / "relay").stafet("run", "relay")
    assert (ended.code, trouble.reported in ended.err) == (trouble.code, True), ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("name", TROUBLES)
async def test_doctor_distinguishes_troubles(granted: Secured, tmp_path: Path, name: str) -> None:
    trouble = TROUBLES[name]
    user = "stafet-observer" if name == "missing rights" else trouble.user
    looked = await troubled(granted, replace(trouble, user=user), tmp_path / "doctor").stafet("doctor", "--json")
    found = {look["what"]: look for look in json.loads(looked.out)}
    if name == "missing rights":  # of its own role a user lacks none
        assert found["rights"]["ok"], found
    else:
        assert (found["broker"]["ok"], trouble.reported in found["broker"]["found"]) == (False, True), found["broker"]


async def test_gateway_names_right_it_lacks(granted: Secured, tmp_path: Path) -> None:
    ended = await outside(granted, "stafet-network", tmp_path / "gateway").stafet("run", "gateway")
    assert ended.code == Code.NOT_PERMITTED
    assert "user stafet-network lacks WRITE on topic adt.raw" in ended.err


async def test_right_that_was_taken_away_is_named(granted: Secured, tmp_path: Path) -> None:
    admin = AdminClient({"bootstrap.servers": granted.admin})
    taken = _acl("stafet-relay", "ledger", AclOperation.WRITE)
    admin.delete_acls([_filter(taken)])[_filter(taken)].result(30)
    try:
        relay = outside(granted, "stafet-relay", tmp_path / "relay")

        async def lacks() -> bool:
            looked = await relay.stafet("doctor", "--json")
            found = {look["what"]: look for look in json.loads(looked.out)}
            return found["rights"]["found"] == "user stafet-relay lacks WRITE on topic ledger"

        await until(lacks, 60)
        ended = await relay.stafet("run", "relay")
        assert (ended.code, "lacks WRITE on topic ledger" in ended.err) == (Code.NOT_PERMITTED, True), ended.err
    finally:
        admin.create_acls([taken])[taken].result(30)


async def test_letter_is_refused_while_right_is_taken_away(own_secured: Secured) -> None:
    admin, topics = AdminClient({"bootstrap.servers": own_secured.admin}), plan((A, B))
    apply(own_secured.admin, topics)
    own_secured.grant(topics, (A, B))
    sender = Sender(own_secured.bootstrap, own_secured.librdkafka("stafet-relay"))
    await sender.start()
    letters = [ProducerRecord(inbox(code), b"k", b"%d" % number) for number in range(3) for code in (A, B)]
    taken = _acl("stafet-relay", inbox(A), AclOperation.WRITE)

    async def refused() -> set[Refusal]:
        return set(await sender.send(letters))

    async def accepted() -> bool:
        return not await refused()

    assert await accepted()
    admin.delete_acls([_filter(taken)])[_filter(taken)].result(30)
    assert await until(refused) == {Refusal(letter, "not-permitted") for letter in letters[::2]}
    admin.create_acls([taken])[taken].result(30)
    await until(accepted)
    await sender.stop()


async def test_municipality_that_may_pass_for_others_is_warned_of(granted: Secured, tmp_path: Path) -> None:
    admin = AdminClient({"bootstrap.servers": granted.admin})
    opened = _acl(user_of("municipality", B), "receipts.raw", AclOperation.WRITE)
    admin.create_acls([opened])[opened].result(30)
    try:
        administrator = Outside.at(granted.admin, tmp_path, STAFET_PARTITIONS="2")

        async def warned() -> bool:
            looked = await administrator.stafet("doctor", "--json")
            return any("receipts.raw and pass for another" in look["found"] for look in json.loads(looked.out))

        await until(warned, 60)
        words = ("access", "apply", "--passwords", str(granted.passwords), "--yes")
        applied = await administrator.stafet(*words)
        assert f"in no plan: {user_of('municipality', B)}: WRITE on topic receipts.raw" in applied.out
    finally:
        admin.delete_acls([_filter(opened)])[_filter(opened)].result(30)


def _acl(user: str, topic: str, operation: AclOperation) -> AclBinding:
    return AclBinding(
        ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, f"User:{user}", "*", operation, AclPermissionType.ALLOW
    )


def _filter(acl: AclBinding) -> AclBindingFilter:
    return AclBindingFilter(
        acl.restype, acl.name, acl.resource_pattern_type, acl.principal, acl.host, acl.operation, acl.permission_type
    )


# ---- role and operation ------------------------------------------------------------------------------------------

TOPICS = sorted(topic.name for topic in PLAN)

#: role -> (writes, reads): what the broker lets it do; everything else is refused.
MAY = {
    "relay": (
        {"adt.raw", "letters.raw", "lanes", "recipients.control", inbox(A), inbox(B), "archive"}
        | {"track-and-trace", "ledger", "dead.letters"}
        | {name for name in TOPICS if name.endswith("-changelog")},
        {"adt.raw", "letters.raw", "lanes", "recipients.control", "receipts.raw", letterbox(A), letterbox(B)}
        | {name for name in TOPICS if name.endswith("-changelog")},
    ),
    "gateway": ({"adt.raw", "ledger", "dead.letters"}, set()),
    "observer": (
        set(),
        {"adt.raw", "letters.raw", "lanes", "receipts.raw", letterbox(A), letterbox(B), inbox(A), inbox(B)}
        | {"archive", "track-and-trace", "ledger", "dead.letters", "recipients.control"},
    ),
    "operator": (
        {"adt.raw", "letters.raw", "lanes", "recipients.control", "receipts.raw", "ledger"},
        {"recipients.control", "ledger", "dead.letters"},
    ),
    "network": ({"receipts.raw", "letters.raw"}, set()),
    "hospital": ({"adt.raw", "letters.raw"}, set()),
    "municipality": ({letterbox(A)}, {inbox(A)}),
}  # fmt: skip


def writable(broker: Secured, user: str) -> set[str]:
    """The topics that take a record of the user; the others have refused it for its rights."""
    answers: dict[str, int] = {}
    producer = Producer({**broker.librdkafka(user), "message.timeout.ms": 20_000, "log_level": 0})
    for topic in TOPICS:
        producer.produce(
            topic, b"-", b"k", 0, on_delivery=lambda error, m: answers.update({m.topic(): error.code() if error else 0})
        )
    assert producer.flush(30) == 0
    assert set(answers.values()) <= {0, KafkaError.TOPIC_AUTHORIZATION_FAILED}
    return {topic for topic, code in answers.items() if code == 0}


async def readable(broker: Secured, user: str) -> set[str]:
    """The topics of which the user is given a record; the others are refused, or not even seen."""
    found: set[str] = set()
    for topic in TOPICS:
        with contextlib.suppress(TopicAuthorizationFailedError):
            async for record in read_all(broker.bootstrap, [topic], **broker.aiokafka(user)):
                found.add(record.topic)
                break
    return found


@pytest.fixture(scope="module")
def filled(granted: Secured) -> Secured:
    """A record on every topic, so that reading has something to read; on a broker of names, not of content."""
    producer = Producer({"bootstrap.servers": granted.admin})
    for topic in TOPICS:
        producer.produce(topic, b"-", b"k", 0)
    assert producer.flush(30) == 0
    return granted


def joined(broker: Secured, user: str, group: str, topic: str) -> bool:
    """Whether the user may join a group; on a topic that it may read."""
    consumer = Consumer({**broker.librdkafka(user), "group.id": group, "log_level": 0, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    message = consumer.poll(30)
    consumer.close()
    assert message is not None
    if message.error() is not None:
        assert message.error().code() == KafkaError.GROUP_AUTHORIZATION_FAILED, message.error()
    return message.error() is None


def begun(broker: Secured, user: str, name: str) -> int:
    """What the broker shows to a producer of that transactional id: 0, or the code of its refusal."""
    try:
        Producer({**broker.librdkafka(user), "transactional.id": name, "log_level": 0}).init_transactions(30)
    except KafkaException as refusal:
        return int(refusal.args[0].code())
    return 0


@pytest.mark.parametrize("role", USERS)
async def test_each_user_may_do_its_work_and_nothing_else(filled: Secured, role: Any) -> None:
    user = user_of(role, A)
    assert (writable(filled, user), await readable(filled, user)) == MAY[role]


@pytest.mark.parametrize(
    ("user", "group", "topic", "may"),
    [
        (user_of("municipality", A), f"municipality.{A}.home-care", inbox(A), True),
        (user_of("municipality", A), f"municipality.{B}.home-care", inbox(A), False),
        (user_of("municipality", A), "stafet-relay", inbox(A), False),
        ("stafet-observer", "stafet-relay", "ledger", False),
    ],
)
def test_each_user_joins_its_own_group(filled: Secured, user: str, group: str, topic: str, may: bool) -> None:
    assert joined(filled, user, group, topic) == may


@pytest.mark.parametrize(
    ("user", "name", "may"),
    [
        ("stafet-relay", "stafet-relay-lanes-0", True),
        ("stafet-relay", "other", False),
        ("stafet-operator", "stafet-relay-lanes-0", False),
        (user_of("municipality", A), "stafet-relay-lanes-0", False),
    ],
)
def test_only_relay_fences_its_state(granted: Secured, user: str, name: str, may: bool) -> None:
    assert begun(granted, user, name) == (0 if may else KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
