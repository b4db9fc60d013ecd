"""`stafet selftest subscriber`: our own subscriber passes, every planted fault is found (spec 01 §19, 02 §6)."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from threading import Event, Thread
from typing import Any

import pytest
from typer.testing import CliRunner

from streams.cli.app import build
from streams.cli.frame import Failed
from streams.envelopes import vans
from streams.formats.fhir.read import from_bytes
from streams.kafka.clients import new_producer
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.records import SELFTEST, header, letter_headers
from streams.kafka.topics import inbox, letterbox
from streams.messages.hospitalnotification import check
from streams.sim.municipality import Answering, Town, behaviour, run_municipalities
from streams.sim.selftest import SCENARIOS, Exchange, parts
from streams.sim.selftest.desk import STAYS, notifications_of
from streams.sim.selftest.judge import CHECKS, LIMIT
from streams.sim.subscriber import Subscribers
from streams.words.model import Patient
from tests.brokers import records
from tests.contracts.subscribers import AT, FAULTS, cast, judged, ours, written

ALL = written()
BRUNO = Patient(cpr="2509479989", family="Elmer", given=("Bruno", "Test"))


def failed(results: Any) -> dict[str, str]:
    return {result.name: result.problem for result in results if not result.passed}


def test_our_own_subscriber_passes_every_line() -> None:
    assert failed(judged(ours())) == {}


@pytest.mark.parametrize("name", FAULTS)
def test_planted_fault_is_found(name: str) -> None:
    fault, line = FAULTS[name]
    assert line in failed(judged(fault(ours())))


def test_fault_in_one_scenario_leaves_others_alone() -> None:
    lines = {"refuses an unknown predecessor", "refuses a death", "refuses who has no case", "refuses a cancellation"}
    for name in lines:
        fault, line = FAULTS[name]
        steps = set(failed(judged(fault(ours())))) & {step.name for step in SCENARIOS}
        assert line in steps
        assert len(steps) <= 4, name


def test_answer_after_limit_is_late() -> None:
    assert failed(judged(ours(), LIMIT)) == {}
    assert set(failed(judged(ours(), LIMIT + timedelta(seconds=1)))) == {"in time"}


def test_silent_subscriber_passes_nothing() -> None:
    assert [result.name for result in judged(lambda record, at: []) if result.passed] == []


@pytest.mark.parametrize("stay", STAYS)
def test_scripted_stay_gives_notices_of_its_name(stay: str) -> None:
    run = cast()
    notes = notifications_of(
        stay,
        BRUNO,
        run.hospitals[0],
        run.kommunekode,
        begin=AT,
        visit="7b1d3f52-8f6a-4b6e-9d0c-3a5b7c9d1e2f",
        ids=run.ids,
    )
    assert [str(note.notice) for note in notes] == stay.split()


@pytest.mark.parametrize("number", range(len(SCENARIOS)), ids=[step.name for step in SCENARIOS])
def test_letters_are_right_unless_scenario_breaks_them(number: int) -> None:
    part = ALL[number]
    assert part.letters
    for letter in part.letters:
        if letter.verdict != "ok":
            continue
        opened = vans.open_envelope(letter.data)
        assert (opened.sender, opened.receiver) == (letter.sender_gln, letter.receiver_gln)
        assert check(from_bytes(opened.payload), outgoing=True) == []


def test_no_run_repeats_id_of_another() -> None:
    def ids(seed: str) -> set[str]:
        letters = [letter for part in parts(cast(seed)) for letter in part.letters]
        return {letter.message_id for letter in letters if letter.message_id} | {each.transport_id for each in letters}

    assert ids("one seed of the tests") == ids("one seed of the tests")
    assert not ids("one seed of the tests") & ids("another seed of the tests")


def test_every_line_has_name_of_its_own_and_rule() -> None:
    names = [result.name for result in judged(ours())]
    assert len(set(names)) == len(names) >= len(SCENARIOS) + len(CHECKS)
    assert all(result.rule.startswith(("01 ", "02 ")) for result in judged(ours()))


def test_foreign_receipts_are_counted_not_judged() -> None:
    exchange = Exchange(ALL)
    for noise in (b"", b"\xff", b"<VANSEnvelope", b"{}", ALL[0].letters[0].data):
        exchange.take(noise, AT)
    assert exchange.strangers == 5


# ---- over topics -------------------------------------------------------------------------------------------------

CODES = count(9000)

#: Names of the headers of a real letter: agents/worker/letters.py makes them with the same function.
REAL = [name for name, _ in letter_headers("m", "advis.STIN", "t")]


@contextmanager
def answering(broker: EmbeddedBroker, code: str, town: Answering) -> Iterator[None]:
    """Municipalities at work in a thread of their own, on topics that this opens."""
    broker.create_topic(inbox(code), 3)
    broker.create_topic(letterbox(code), 2)
    done = Event()

    async def serve() -> None:
        stop = asyncio.Event()
        async with new_producer(broker.bootstrap) as producer:
            serving = asyncio.create_task(
                run_municipalities(broker.bootstrap, town, producer, stop, lambda: datetime.now(UTC))
            )
            await asyncio.to_thread(done.wait)
            stop.set()
            await serving

    thread = Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    yield
    done.set()
    thread.join()


def selftest(broker: EmbeddedBroker, *options: str) -> tuple[int, str, BaseException | None]:
    ran = CliRunner().invoke(build(), ["selftest", "subscriber", "--bootstrap", broker.bootstrap, *options])
    return ran.exit_code, ran.stdout, ran.exception


def test_subscriber_behind_topics_passes(embedded: EmbeddedBroker) -> None:
    code = str(next(CODES))
    subscribers = Subscribers([code], {code: {cast().receiver.gln}})
    with answering(embedded, code, subscribers):
        status, out, _ = selftest(embedded, "--inbox", inbox(code), "--code", "0461", "--timeout", "20")
    assert "FAIL" not in out
    assert status == 0
    assert out.splitlines()[-1].split()[0] == out.splitlines()[-1].split()[2]
    assert subscribers.tally.answered > subscribers.tally.received > len(SCENARIOS)
    letters = asyncio.run(records(embedded.bootstrap, inbox(code)))
    assert {tuple(name for name, _ in letter.headers) for letter in letters} == {(*REAL, SELFTEST)}
    kinds = {(header(letter.headers, "event-type") or b"").decode() for letter in letters}
    assert {kind for kind in kinds if not kind.startswith("advis.")} == {"acknowledgement", "network-receipt"}
    assert {"advis.STIN", "advis.SLHJ", "advis.AN_STIN"} < kinds


def test_one_who_only_refuses_does_not(embedded: EmbeddedBroker) -> None:
    code = str(next(CODES))
    town = Town({code: behaviour("fatal")}, Random(1))
    town_at_once = _Hasty(town)
    with answering(embedded, code, town_at_once):
        status, out, _ = selftest(
            embedded,
            "--inbox",
            inbox(code),
            "--receipts",
            letterbox(code),
            "--code",
            "0461",
            "--timeout",
            "1",
            "--json",
        )
    assert status == 3
    noticed = json.loads(out)
    assert noticed["passed"] is False
    assert {"admission", "envelope receipts"} <= {s["name"] for s in noticed["steps"] if not s["passed"]}


class _Hasty:
    """A town whose answers are all due at once: its clock runs ahead."""

    def __init__(self, town: Town) -> None:
        self._town, self.codes, self.tally = town, town.codes, town.tally

    def receive(self, topic: str, envelope: bytes, at: datetime) -> None:
        self._town.receive(topic, envelope, at)

    def due(self, now: datetime) -> list[tuple[str, bytes]]:
        return self._town.due(now + timedelta(days=1))


@pytest.mark.parametrize(
    ("options", "exit_code", "what"),
    [
        (["--inbox", "an-inbox"], 2, "no-code"),
        (["--inbox", "municipality.9999.inbox"], 2, "no-address"),
        (["--inbox", "municipality.0461.inbox-that-is-not"], 4, "no-topic"),
        (["--inbox", "municipality.0461.inbox", "--bootstrap", "embedded"], 2, "embedded"),
    ],
)
def test_untestable_setup_is_reported_with_way_out(
    embedded: EmbeddedBroker, options: list[str], exit_code: int, what: str
) -> None:
    _, _, problem = selftest(embedded, *options, "--receipts", "nowhere")
    assert isinstance(problem, Failed)
    assert (problem.exit_code, problem.code) == (exit_code, what)
    assert problem.hint
