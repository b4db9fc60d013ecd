"""Operators' decisions as typed: one record per message, in the lane that its id names, and the lane's answer.

00 §3.5, 02 §5.8. The lane is stood in for here; the real one answers in tests/end_to_end/test_sent_anew.py.
"""

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from streams.cli.app import build
from streams.cli.frame import run
from streams.kafka.clients import partition_of
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.records import decode_lane_record, header
from streams.kafka.topics import LANES, LEDGER
from streams.records.ledger import decision_row, to_json
from streams.words.model import Decision
from tests.brokers import prepared, producing, records

ID, OTHER = "0e64678e-d541-4ebd-9409-3b5de1e571d9", "1f75789f-d541-4ebd-9409-3b5de1e571d9"
WORDS = {
    "resend": (("resend", ID, "--reason", "back again"), "back again"),
    "give-up": (("give-up", ID, "--reason", "told by telephone"), "told by telephone"),
    "send-anew": (("send-anew", ID, "--reason", "mended"), "mended"),
    "close-case": (("close-case", ID, "--as", "delivered-otherwise"), "delivered-otherwise"),
}


@pytest.fixture
def stafet(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[Any]:
    """Runs a command against a broker; gives exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    with EmbeddedBroker() as broker:
        prepared(broker, LANES, LEDGER)

        def call(*words: str) -> tuple[int, str, str]:
            status = run(build(), [*words, "--bootstrap", broker.bootstrap])
            return (status, *capsys.readouterr())

        call.bootstrap = broker.bootstrap  # type: ignore[attr-defined]

        call.on_lanes = lambda: asyncio.run(records(broker.bootstrap, LANES))  # type: ignore[attr-defined]
        yield call
    root.handlers[:] = handlers
    root.setLevel(level)


#: Message id -> the reason code of a refusal, "" when the decision is taken, None for no answer.
Answers = Callable[[str], str | None]


class Lanes:
    """Answers the decisions on `lanes` as a worker would, until the end of the block."""

    def __init__(self, bootstrap: str, answers: Answers) -> None:
        self._bootstrap, self._answers, self._stop = bootstrap, answers, threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._work()))

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    async def _work(self) -> None:
        done = 0
        async with producing(self._bootstrap) as producer:
            while not self._stop.is_set():
                seen = await records(self._bootstrap, LANES)
                for record in sorted(seen, key=lambda one: one.timestamp_ms)[done:]:
                    await self._answer(producer, record.value)
                done = len(seen)

    async def _answer(self, producer: Any, value: bytes | None) -> None:
        decision = decode_lane_record(value)
        assert isinstance(decision, Decision)
        refusal = self._answers(decision.message_id)
        if refusal is not None:
            row = decision_row(decision, decision.message_id[:8], "SENT", refusal)
            await producer.send_and_wait(LEDGER, b"junk", key=b"k")
            await producer.send_and_wait(LEDGER, to_json(row), key=row.subject.encode())


def taken(_: str) -> str:
    return ""


@pytest.mark.parametrize("action", WORDS)
def test_decision_is_record_in_lane_of_its_message(stafet: Any, action: str) -> None:
    words, reason = WORDS[action]
    with Lanes(stafet.bootstrap, taken):
        assert stafet(*words, "--actor", "duty officer") == (0, f"{ID} {action}: taken\n", "")
    [record] = stafet.on_lanes()
    decision = decode_lane_record(record.value)
    assert isinstance(decision, Decision)
    assert (decision.action, decision.message_id, decision.reason, decision.actor) == (
        action,
        ID,
        reason,
        "duty officer",
    )
    assert decision.id, "a repeat is told from a second decision"
    assert (record.key, record.partition) == (b"0e64678e", partition_of(b"0e64678e", 4))
    assert header(record.headers, "event-type") == b"decision"


def test_several_messages_are_decided_at_once(stafet: Any) -> None:
    with Lanes(stafet.bootstrap, taken):
        status, out, _ = stafet("send-anew", ID, OTHER, ID, "--reason", "mended", "--json")
    assert (status, [(one["id"], one["outcome"]) for one in json.loads(out)]) == (0, [(ID, "taken"), (OTHER, "taken")])
    assert sorted(record.key for record in stafet.on_lanes()) == [b"0e64678e", b"1f75789f"]


def test_refusal_is_exit_3_and_its_reason_comes_first(stafet: Any) -> None:
    with Lanes(stafet.bootstrap, lambda message: "not-allowed" if message == OTHER else ""):
        status, out, err = stafet("resend", ID, OTHER, "--reason", "back again")
    assert (status, out) == (3, f"{ID} resend: taken\n{OTHER} resend: refused\n")
    assert err.startswith(f"not-allowed: {OTHER}: resend is refused; a message in state SENT\n")


@pytest.mark.parametrize(
    ("reason", "hints"),
    [("not-allowed", ["Where and why in full: stafet quarantine ls --stage lanes"]), ("unknown", [])],
)
def test_refusal_names_where_to_read_more(stafet: Any, reason: str, hints: list[str]) -> None:
    with Lanes(stafet.bootstrap, lambda _: reason):
        status, _, err = stafet("resend", ID, "--reason", "back again")
    assert (status, err.splitlines()[1:]) == (3, hints)


def test_refusal_is_object_for_machine(stafet: Any) -> None:
    with Lanes(stafet.bootstrap, lambda _: "no-case"):
        status, out, err = stafet("close-case", ID, "--as", "obsolete", "--json")
    assert (status, [(one["outcome"], one["reason"], one["state"]) for one in json.loads(out)]) == (
        3,
        [("refused", "no-case", "SENT")],
    )
    assert (json.loads(err)["code"], json.loads(err)["ids"]) == ("no-case", [ID])


def test_without_answer_command_fails_in_time(stafet: Any) -> None:
    status, out, err = stafet("resend", ID, "--reason", "back again", "--timeout", "0.3")
    assert (status, out) == (1, f"{ID} resend: no-answer\n")
    assert err.startswith(f"no-answer: {ID}: the lane has not answered within 0.3 s; ")
    assert len(stafet.on_lanes()) == 1, "the decision waits in its lane"


def test_answer_to_earlier_decision_is_none(stafet: Any) -> None:
    with Lanes(stafet.bootstrap, taken):
        assert stafet("resend", ID, "--reason", "back again")[0] == 0
    assert stafet("resend", ID, "--reason", "back again", "--timeout", "0.3")[0] == 1


def test_without_ledger_nothing_is_sent(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with EmbeddedBroker() as broker:
        prepared(broker, LANES)
        status = run(build(), ["resend", ID, "--reason", "back again", "--bootstrap", broker.bootstrap])
        assert asyncio.run(records(broker.bootstrap, LANES)) == []
    assert (status, capsys.readouterr().err.splitlines()[0]) == (6, f"no topic ledger at {broker.bootstrap}")


def test_foreign_id_is_refused_and_nothing_sent(stafet: Any) -> None:
    status, _, err = stafet("resend", ID, "message-7", "--reason", "back again")
    assert (status, err.startswith("message-7: no id that we give to a message")) == (2, True)
    assert stafet.on_lanes() == []


@pytest.mark.parametrize(
    "words",
    [
        ("send-anew", ID),
        ("resend", ID, "--reason", ""),
        ("give-up", ID, "--reason", " "),
        ("send-anew", ID, "--reason", "\t"),
        ("close-case", ID),
        ("close-case", ID, "--as", " "),
        ("close-case", ID, "--as", "tired"),
    ],
)
def test_decision_without_its_reason_is_none(stafet: Any, words: tuple[str, ...]) -> None:
    assert stafet(*words)[0] == 2
    assert stafet.on_lanes() == []
