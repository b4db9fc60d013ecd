"""Operators' decisions as typed: one record per message, in the lane that its id names (00 §3.5, 02 §5.8)."""

import asyncio
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from streams.cli.app import build
from streams.cli.frame import run
from streams.kafka.clients import partition_of
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.records import decode_lane_record, header
from streams.kafka.topics import LANES
from streams.model import Decision
from tests.brokers import prepared, records

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
        prepared(broker, LANES)

        def call(*words: str) -> tuple[int, str, str]:
            status = run(build(), [*words, "--bootstrap", broker.bootstrap])
            return (status, *capsys.readouterr())

        call.on_lanes = lambda: asyncio.run(records(broker.bootstrap, LANES))  # type: ignore[attr-defined]
        yield call
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize("action", WORDS)
def test_a_decision_is_a_record_in_the_lane_of_its_message(stafet: Any, action: str) -> None:
    words, reason = WORDS[action]
    assert stafet(*words, "--actor", "duty officer")[0] == 0
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


def test_several_messages_are_decided_about_at_once_and_each_once(stafet: Any) -> None:
    status, out, _ = stafet("send-anew", ID, OTHER, ID, "--reason", "mended", "--json")
    assert (status, [one["id"] for one in json.loads(out)]) == (0, [ID, OTHER])
    assert sorted(record.key for record in stafet.on_lanes()) == [b"0e64678e", b"1f75789f"]


def test_what_cannot_be_an_id_of_ours_is_said_and_nothing_is_sent(stafet: Any) -> None:
    status, _, err = stafet("resend", ID, "message-7", "--reason", "back again")
    assert (status, err.startswith("message-7: no id that we give to a message")) == (2, True)
    assert stafet.on_lanes() == []


@pytest.mark.parametrize("words", [("send-anew", ID), ("close-case", ID), ("close-case", ID, "--as", "tired")])
def test_a_decision_without_its_reason_is_none(stafet: Any, words: tuple[str, ...]) -> None:
    assert stafet(*words)[0] == 2
    assert stafet.on_lanes() == []
