"""Poison on the inputs: each record is dead-lettered with its bytes and what was wrong, and the next good one is taken.

One partition per topic, so that every good record lies behind a bad one. On both brokers.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from agents.station import FastClock
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.topics import ADT_RAW, RECEIPTS_RAW
from streams.messages.adt.feed import read_from_feed
from streams.messages.adt.patient import record_key
from streams.sim.acknowledgement import Arrived, acknowledgement, arrived, enveloped
from streams.sim.municipality import answer, behaviour
from streams.sim.stories import STORIES
from tests.brokers import AnyBroker, put
from tests.end_to_end.letters import faults_of, inbox_letters, read_topics
from tests.end_to_end.rest import Ledger, watching
from tests.end_to_end.scene import Scene, closes, expected_letters, municipalities, prepare, relay_here, stays

KOMMUNER = ("0101", "0461", "0751")
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ADMITTED = tuple(story for story in STORIES if story.name == "admitted, home")
BILLION_LAUGHS = b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;">
<!ENTITY e "&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;"><!ENTITY f "&e;&e;&e;&e;&e;&e;&e;&e;&e;&e;">]>
<VANSEnvelope xmlns="urn:oio:medcom:vans-envelope:1.0.4"><SenderID>&f;</SenderID></VANSEnvelope>"""


def oversize(broker: AnyBroker) -> bytes:
    """Ten megabytes; of a partition of the embedded broker no more than five are kept, the oldest go first."""
    return Random(7).randbytes(2_000_000 if isinstance(broker, EmbeddedBroker) else 10_000_000)


class Dead(NamedTuple):
    """A dead letter: what it shows, and what it holds."""

    facts: dict[str, str]
    key: bytes | None
    value: bytes | None

    @property
    def origin(self) -> str:
        return "/".join(self.facts[f"dlq.original-{part}"] for part in ("topic", "partition", "offset"))


async def dead_letters(bootstrap: str) -> list[Dead]:
    found = await read_topics(bootstrap, lambda name: name == "dead.letters")
    return [Dead({k: (v or b"").decode() for k, v in one.headers}, one.key, one.value) for one in found]


def explained_whole(letter: Dead, stage: str) -> bool:
    """Whether it shows who refused it, where the fault is, what is wrong and what to send instead."""
    reported = [letter.facts[f"dlq.{name}"] for name in ("path", "problem", "remedy", "error-code")]
    return letter.facts["dlq.stage"] == stage and all(reported)


@dataclass
class Hands:
    """A clock that stands still until it is set."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now


# ---- adt.raw ---------------------------------------------------------------------------------------------------------


def bad_messages(scene: Scene, good: bytes) -> dict[str, tuple[bytes | None, bytes | None]]:
    """Key and value of records that lead to nothing but a dead letter."""
    stranger = good.replace(b"|EPJ-", b"|XYZ-", 1)
    assert stranger != good
    return {
        "empty": (b"k", b""),
        "null value": (b"k", None),
        "binary": (b"k", Random(1).randbytes(500)),
        "ten megabytes": (b"k", oversize(scene.broker)),
        "truncated": (key_of(scene, good), good[: good.index(b"PV1")]),
        "wrong character set": (b"k", good.replace(b"Test", b"T\xf8st")),
        "unknown sender": (b"k", stranger),
        "a name too long for a lane": (key_of(scene, good), in_field(good, b"PID", 5, b'"' * 600_000)),
        "a key of our own form": (b"\0position/adt.raw/0", b"MSH"),
    }


def in_field(data: bytes, segment: bytes, number: int, value: bytes) -> bytes:
    """The message with another value in a field."""
    lines = [line.split(b"|") for line in data.split(b"\r")]
    for fields in lines:
        if fields[0] == segment:
            fields[number] = value
    return b"\r".join(b"|".join(fields) for fields in lines)


def key_of(scene: Scene, data: bytes) -> bytes:
    document, feed = read_from_feed(data, scene.registers.feed)
    return record_key(document, feed, scene.ids).encode()


async def test_bad_adt_record_is_dead_lettered_whole(own_broker: AnyBroker, tmp_path: Path) -> None:
    scene = Scene(own_broker, tmp_path, KOMMUNER, clock=FastClock(NOON, 100), partitions=1)
    prepare(scene)
    everybody = stays(scene, 12, seed=2, stories=ADMITTED)
    sendings = [sending.data for one in everybody for sending in one.sendings]
    bad = bad_messages(scene, sendings[0])
    keys = {"null key": None, "wrong key": b"0123456789abcdef", "empty key": b""}
    good = [(key_of(scene, data), data) for data in sendings[len(keys) :]]
    odd = list(zip(keys.values(), sendings, strict=False))  # good messages under a key that is not their person's
    woven = [record for pair in zip(bad.values(), good, strict=False) for record in pair]
    async with (
        watching(scene.bootstrap) as ledger,
        municipalities(scene, dict.fromkeys(KOMMUNER, "ok")) as town,
        relay_here(scene),
    ):
        await put(scene.bootstrap, ADT_RAW, [*odd, *woven, *good[len(bad) :]])
        await ledger.rest(60, lambda: town.is_idle)
    dead = {one.origin: one for one in await dead_letters(scene.bootstrap)}
    lying = {f"{r.topic}/{r.partition}/{r.offset}": r for r in await read_topics(scene.bootstrap, ADT_RAW.__eq__)}
    expected = {place: r for place, r in lying.items() if (r.key, r.value) in bad.values()}
    assert dead.keys() == expected.keys()
    assert [(dead[place].key, dead[place].value) for place in expected] == [(r.key, r.value) for r in expected.values()]
    assert [one.facts for one in dead.values() if not explained_whole(one, "intake")] == []
    assert len([row for row in ledger.of("event", "not-subject") if row["reason"] == "re-keyed"]) == len(keys)
    assert faults_of(await inbox_letters(scene.bootstrap), expected_letters(everybody)) == []
    await closes(scene.bootstrap)


# ---- receipts.raw ----------------------------------------------------------------------------------------------------


def ok(envelope: bytes) -> bytes:
    return answer(envelope, behaviour("ok"), NOON, Random(0))[0].data


def bad_receipts(envelope: bytes, large: bytes) -> dict[str, bytes | None]:
    """Records that no message may be settled by; the last four are good documents about nothing of ours."""
    message = arrived(envelope)
    assert message is not None
    good = ok(envelope)
    bundle = acknowledgement(message, "fatal-error", NOON, 7)
    plain = json.dumps(bundle).encode()
    foreign, ours = "message-42", message.header["id"][:9] + "1111-4111-8111-111111111111"
    return {
        "empty": b"",
        "null": None,
        "binary": Random(2).randbytes(500),
        "ten megabytes": large,
        "truncated xml": good[: len(good) // 2],
        "truncated json": plain[: len(plain) // 2],
        "a billion laughs": BILLION_LAUGHS,
        "unknown id": _about(plain, message, foreign),
        "unknown id of our form": _about(plain, message, ours),
        "wrong sender": answer(envelope, behaviour("wrong-sender"), NOON, Random(0))[0].data,
        "an answer to an answer": enveloped(message, _to_an_answer(bundle), message.receiver, NOON),
    }


def _about(plain: bytes, message: Arrived, other: str) -> bytes:
    return plain.replace(message.header["id"].encode(), other.encode())


def _to_an_answer(bundle: dict[str, Any]) -> dict[str, Any]:
    """A `fatal-error` for the acknowledgement itself, by somebody who does not know better."""
    swapped = json.loads(json.dumps(bundle))
    header = swapped["entry"][0]["resource"]
    header["destination"] = [{"receiver": header["sender"]} | header["destination"][0]]
    return acknowledgement(Arrived(swapped), "fatal-error", NOON, 8)


def classes_of(ledger: Ledger) -> list[dict[str, Any]]:
    """The rows that give receipts their class."""
    return [row for row in ledger.of("receipt") if row["delta"]]


async def test_bad_receipt_is_dead_lettered_and_settles_nothing(own_broker: AnyBroker, tmp_path: Path) -> None:
    clock = Hands()
    scene = Scene(own_broker, tmp_path, KOMMUNER, clock=clock, partitions=1)
    prepare(scene)
    everybody = stays(scene, 6, seed=2, stories=ADMITTED)
    async with watching(scene.bootstrap) as ledger, relay_here(scene):
        await scene.send(everybody)
        await ledger.until(lambda one: len(one.of("message", "SENT")) == 12)
        letters = await inbox_letters(scene.bootstrap)
        bad = bad_receipts(letters[0].data, oversize(own_broker))
        await put(scene.bootstrap, RECEIPTS_RAW, [(b"any", value) for value in bad.values()])
        await ledger.until(lambda one: len(classes_of(one)) == len(bad) - 1)  # but the one of our form, which waits
        assert len(ledger.open()) == 12
        await put(scene.bootstrap, RECEIPTS_RAW, [(b"any", ok(one.data)) for one in letters])
        await ledger.until(lambda one: not one.open())
        clock.now += timedelta(minutes=6)  # longer than a receipt may wait for its message, shorter than the deadline
        await ledger.until(lambda one: len(classes_of(one)) == len(bad) + 12)
        await ledger.rest(30)
    classes = {name: ledger.rows[f"receipt/{RECEIPTS_RAW}/0/{n}"]["what"] for n, name in enumerate(bad)}
    assert classes == dict.fromkeys(bad, "unreadable") | {
        "unknown id": "unmatched",
        "unknown id of our form": "unmatched",
        "wrong sender": "quarantined",
        "an answer to an answer": "quarantined",
    }
    dead = await dead_letters(scene.bootstrap)
    assert len(dead) == len(bad)
    from_receipts = {one.origin: one for one in dead if one.origin.startswith(RECEIPTS_RAW)}
    names = {f"{RECEIPTS_RAW}/0/{n}": name for n, name in enumerate(bad)}
    assert {names[origin]: one.value for origin, one in from_receipts.items()} == {
        name: value for name, value in bad.items() if name not in ("unknown id of our form", "wrong sender")
    }
    assert [one.facts for one in from_receipts.values() if not explained_whole(one, "receipts")] == []
    from_lanes = [one for one in dead if one not in from_receipts.values()]
    assert [one.facts for one in from_lanes if not explained_whole(one, "lanes")] == []
    assert {json.loads(one.value or b"")["receipt"]["origin"] for one in from_lanes} == {
        origin for origin, name in names.items() if name in ("unknown id of our form", "wrong sender")
    }
    assert {state for _, state in ledger.states.values()} == {"ACKED_OK"}
    await closes(scene.bootstrap)


# ---- a fault of our own ----------------------------------------------------------------------------------------------


class Faulty:
    """Registers with a bug: asking for one municipality's address raises what no stage expects."""

    def __init__(self, good: Any, kommunekode: str) -> None:
        self._good, self._kommunekode = good, kommunekode

    def __getattr__(self, name: str) -> Any:
        return getattr(self._good, name)

    def address(self, kommunekode: str, message_type: str, at: datetime) -> Any:
        if kommunekode == self._kommunekode:
            raise ZeroDivisionError(f"address of {kommunekode}")
        return self._good.address(kommunekode, message_type, at)


async def test_bug_of_ours_costs_one_event(own_embedded: EmbeddedBroker, tmp_path: Path) -> None:
    scene = Scene(own_embedded, tmp_path, KOMMUNER, clock=FastClock(NOON, 100), partitions=1)
    prepare(scene)
    everybody = stays(scene, 12, seed=2, stories=ADMITTED)
    met = [one for one in everybody if one.person.kommunekode == "0461"]
    spared = [one for one in everybody if one not in met]
    async with (
        watching(scene.bootstrap) as ledger,
        municipalities(scene, dict.fromkeys(KOMMUNER, "ok")) as town,
        relay_here(scene, registers=Faulty(scene.registers, "0461")),
    ):
        await scene.send_all([sending for one in everybody for sending in one.sendings])
        await ledger.rest(60, lambda: town.is_idle)  # a discharge without its admission has waited a quarter of an hour
    dead = await dead_letters(scene.bootstrap)
    ours = [one for one in dead if one.facts["dlq.error-code"] == "internal-error"]
    assert [one.facts for one in ours if not explained_whole(one, "lanes")] == []
    assert (
        len(ours) == len(met) == len([r for r in ledger.of("stay-event", "stopped") if r["reason"] == "internal-error"])
    )
    assert "ZeroDivisionError" in ours[0].facts["dlq.error-message"]
    assert "0461" not in ours[0].facts["dlq.error-message"]
    lying = {f"{r.topic}/{r.partition}/{r.offset}": r.value for r in await read_topics(scene.bootstrap, "lanes".__eq__)}
    assert [one.value for one in ours] == [lying[one.origin] for one in ours]
    assert faults_of(await inbox_letters(scene.bootstrap), expected_letters(spared)) == []
    await closes(scene.bootstrap)
