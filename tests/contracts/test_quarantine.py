"""Dead letters as an operator finds them: listed with their reasons, shown, and sent again as they were."""

import asyncio
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.cli.app import build
from streams.cli.frame import Code, run
from streams.formats.hl7v2 import MessageRefused
from streams.gateway.admission import GatewayRefusal
from streams.kafka.clients import partition_of
from streams.kafka.decisions import Skip, skip_letters, skips_among
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.records import ProducerRecord, Record, dead_letter, header
from streams.kafka.topics import ADT_RAW, CONTROL, DEAD_LETTERS, LEDGER, RELAY
from streams.words.errors import Rejected
from tests.brokers import prepared, producing, records

AT = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
FAULT = Rejected("PID-3.1", "empty", "send a number", "no-person")
BAD = Record(ADT_RAW, 2, 7, b"9f86d081884c7d65", b"MSH|...", (("message-id", b"A1"), ("feed", b"EPJ-SYD/OUH")), 1)
LETTER = dead_letter(BAD, FAULT, stage="intake", at=AT, version="1.0")
ID = f"{DEAD_LETTERS}/0/0"


async def lay(bootstrap: str, letters: list[ProducerRecord]) -> None:
    async with producing(bootstrap) as producer:
        for letter in letters:
            await producer.send_and_wait(
                letter.topic, letter.value, key=letter.key, headers=list(letter.headers), partition=0
            )


@pytest.fixture
def stafet(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[Any]:
    """Runs a command against a broker with two dead letters; gives exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    with EmbeddedBroker() as broker:
        prepared(broker, ADT_RAW, CONTROL, DEAD_LETTERS, LEDGER)
        other = dead_letter(BAD, ValueError("x"), stage="lanes", at=AT)
        asyncio.run(lay(broker.bootstrap, [LETTER, other]))

        def call(*words: str) -> tuple[int, str, str]:
            status = run(build(), ["quarantine", *words, "--bootstrap", broker.bootstrap])
            return (status, *capsys.readouterr())

        call.bootstrap = broker.bootstrap  # type: ignore[attr-defined]
        yield call
    root.handlers[:] = handlers
    root.setLevel(level)


def on_topic(stafet: Any) -> list[Record]:
    found: list[Record] = asyncio.run(records(stafet.bootstrap, ADT_RAW))
    return found


def test_list_filters_by_stage_and_code(stafet: Any) -> None:
    status, out, _ = stafet("ls", "--json")
    rows = json.loads(out)
    assert status == 0
    assert [(row["id"], row["stage"], row["error-code"]) for row in rows] == [
        (ID, "intake", "no-person"),
        (f"{DEAD_LETTERS}/0/1", "lanes", "internal-error"),
    ]
    assert len(stafet("ls", "--stage", "lanes")[1].splitlines()) == 1
    assert stafet("ls", "--code", "nothing-like-it")[1] == ""


def test_list_shows_reason_of_each(stafet: Any) -> None:
    status, out, err = stafet("ls", "--stage", "intake")
    (line,) = out.splitlines()
    assert (status, err) == (0, "")
    assert f"intake    no-person: {json.loads(stafet('ls', '--json')[1])[0]['error-message']}" in line
    assert "empty" in line


def test_empty_list_is_reported(stafet: Any) -> None:
    assert stafet("ls", "--code", "nothing-like-it") == (0, "", "none\n")
    assert stafet("ls", "--code", "nothing-like-it", "--json") == (0, "[]\n", "")


@pytest.mark.parametrize("name", ["adt.raw/0/0", "dead.letters", "dead.letters/0", "dead.letters/a/b", "0/0"])
@pytest.mark.parametrize("words", [("show",), ("redrive", "--reason", "x")], ids=lambda words: words[0])
def test_name_in_another_form_is_usage_error(stafet: Any, words: tuple[str, ...], name: str) -> None:
    status, out, err = stafet(*words, name)
    assert (status, out) == (2, "")
    assert err.splitlines() == [
        f"{name}: no name of a dead letter",
        "Write dead.letters/PARTITION/OFFSET, as ls names it",
    ]


def test_value_is_shown_only_on_request(stafet: Any) -> None:
    status, out, _ = stafet("show", ID)
    assert status == 0
    assert "remedy: send a number" in out.splitlines()
    assert "MSH|" not in out
    assert json.loads(stafet("show", ID, "--value", "--json")[1])["value"] == "MSH|..."


def test_one_that_is_not_there_is_not_found(stafet: Any) -> None:
    assert stafet("show", "dead.letters/9/9")[0] == 4
    assert stafet("redrive", ID, "dead.letters/9/9", "--reason", "x")[0] == 4
    assert on_topic(stafet) == []


def test_sending_again_needs_reason_and_dry_run_sends_nothing(stafet: Any) -> None:
    assert stafet("redrive", ID)[0] == 2
    status, out, _ = stafet("redrive", ID, "--dry-run")
    assert (status, out) == (0, f"{ID} would go to {ADT_RAW}\n")
    assert on_topic(stafet) == []


def test_redriven_record_is_unchanged_but_for_its_count(stafet: Any) -> None:
    assert stafet("redrive", ID, "--reason", "mended")[:2] == (0, f"{ID} sent to {ADT_RAW}\n")
    (again,) = on_topic(stafet)
    assert (again.key, again.value) == (BAD.key, BAD.value)
    assert again.partition == partition_of(BAD.key or b"", 4)
    assert again.headers[:2] == BAD.headers
    assert header(again.headers, "dlq.redrive-count") == b"1"
    failed = dead_letter(again, FAULT, stage="intake", at=AT)
    assert header(failed.headers, "dlq.attempts") == b"2"
    assert header(failed.headers, "dlq.redrive-count") == b"1"


def test_value_left_behind_is_not_redriven(stafet: Any) -> None:
    left = LETTER._replace(value=None, headers=(*LETTER.headers, ("dlq.value-left-behind", b"17000000")))
    asyncio.run(lay(stafet.bootstrap, [left]))
    status, _, err = stafet("redrive", f"{DEAD_LETTERS}/0/2", "--reason", "x")
    assert status == 1
    assert f"its value lies at {ADT_RAW}/2/7" in err


def test_missing_broker_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(build(), ["quarantine", "ls", "--bootstrap", "127.0.0.1:1"]) == 6
    assert "STAFET_BOOTSTRAP" in capsys.readouterr().err


# ---- what the gateway refused -------------------------------------------------------------------------------------

REFUSED = GatewayRefusal(b"MSH|...", MessageRefused("AR", "207", "unknown sender", "agree first"), "10.0.0.1", "A1", AT)


def test_gateway_refusal_is_redriven_to_adt_raw(stafet: Any) -> None:
    asyncio.run(lay(stafet.bootstrap, [REFUSED.dead_letter("1.0")]))
    (row,) = json.loads(stafet("ls", "--stage", "gateway", "--json")[1])
    assert (row["error-code"], row["original-topic"]) == ("hl7-207", ADT_RAW)
    assert f"origin: {REFUSED.origin}" in stafet("show", row["id"])[1].splitlines()
    status, _, err = stafet("redrive", row["id"], "--reason", "the feed is agreed")
    assert status == 0, err
    (sent,) = on_topic(stafet)
    assert (sent.value, header(sent.headers, "hl7-control-id")) == (b"MSH|...", b"A1")
    assert header(sent.headers, "dlq.origin") is None


def test_part_of_message_is_not_sent_again(stafet: Any) -> None:
    asyncio.run(lay(stafet.bootstrap, [replace(REFUSED, whole=False).dead_letter()]))
    (row,) = json.loads(stafet("ls", "--stage", "gateway", "--json")[1])
    status, _, err = stafet("redrive", row["id"], "--reason", "x")
    assert status == Code.FAILED
    assert "is the first 7 bytes of a message that was not taken" in err
    assert on_topic(stafet) == []


def test_record_is_passed_over_with_reason_and_by_name(stafet: Any) -> None:
    prepare = [ProducerRecord(ADT_RAW, b"k", b"junk"), ProducerRecord(ADT_RAW, b"k", b"more")]
    asyncio.run(lay(stafet.bootstrap, prepare))
    for words in (("adt.raw/0/1",), ("adt.raw/0/x", "--reason", "r"), ("ledger/0/0", "--reason", "r")):
        assert stafet("skip", *words)[0] == 2
    assert stafet("skip", "adt.raw/0/2", "--reason", "r")[0] == 4, "what does not lie there yet may be a good record"
    status, out, _ = stafet("skip", "adt.raw/0/1", "--reason", "ends the worker", "--actor", "night shift", "--json")
    assert (status, json.loads(out)["id"]) == (0, "adt.raw/0/1")
    found = skips_among(asyncio.run(records(stafet.bootstrap, CONTROL)))
    assert [(skip.origin, skip.reason, skip.actor) for skip in found.values()] == [
        ("adt.raw/0/1", "ends the worker", "night shift")
    ]
    [row] = asyncio.run(records(stafet.bootstrap, LEDGER))
    assert json.loads(row.value or b"")["reason"] == "ends the worker (night shift)"


def test_record_that_was_taken_is_not_passed_over(stafet: Any) -> None:
    asyncio.run(
        lay(stafet.bootstrap, [ProducerRecord(ADT_RAW, b"k", b"taken"), ProducerRecord(ADT_RAW, b"k", b"next")])
    )
    asyncio.run(committed(stafet.bootstrap, 1))
    status, _, err = stafet("skip", "adt.raw/0/0", "--reason", "r")
    assert (status, err.splitlines()[0]) == (3, "adt.raw/0/0 is taken already; nothing to pass over")
    assert asyncio.run(records(stafet.bootstrap, CONTROL)) == []
    status, out, _ = stafet("skip", "adt.raw/0/1", "--reason", "r")
    assert (status, out.startswith("adt.raw/0/1: noted; a worker that runs passes over it")) == (0, True)


async def committed(bootstrap: str, offset: int) -> None:
    """The workers' group has taken the records of the first partition before `offset`."""
    member = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=RELAY, enable_auto_commit=False)
    async with member:
        place = TopicPartition(ADT_RAW, 0)
        member.assign([place])
        await member.commit({place: offset})


def test_decision_without_value_is_taken_back() -> None:
    decision = Skip(origin="adt.raw/0/1", reason="r", actor="a", at=AT)
    [_, control] = skip_letters(decision)
    lying = Record(CONTROL, 0, 0, control.key, control.value)
    assert skips_among([lying]) == {"adt.raw/0/1": decision}
    assert skips_among([lying, lying._replace(value=None)]) == {}
    assert skips_among([lying._replace(key=b"skip/adt.raw/0/2")]) == {}, "the name of another record"


def test_row_of_workers_own_state_is_not_sent_again(stafet: Any) -> None:
    row = dead_letter(BAD._replace(topic="stafet-relay-lanes-changelog"), FAULT, stage="lanes", at=AT)
    asyncio.run(lay(stafet.bootstrap, [row]))
    status, _, err = stafet("redrive", f"{DEAD_LETTERS}/0/2", "--reason", "x")
    assert status == 1
    assert "only the worker writes" in err
