"""`recipients pause|resume|mode` as typed: a record that stands, who, when and why (00 §3.6)."""

import asyncio
import json
from collections.abc import Iterator

import pytest

from streams.cli.app import build
from streams.cli.frame import run
from streams.kafka.decisions import controls_among
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.topics import CONTROL, LEDGER
from streams.words.ids import Kommunekode
from streams.words.model import RecipientControl
from tests.brokers import prepared, records

ODENSE = Kommunekode("0461")


class Commands:
    """Runs `stafet recipients` against a broker."""

    def __init__(self, broker: EmbeddedBroker, capsys: pytest.CaptureFixture[str]) -> None:
        self.bootstrap, self._capsys = broker.bootstrap, capsys

    def __call__(self, *words: str) -> tuple[int, str, str]:
        status = run(build(), ["recipients", *words, "--bootstrap", self.bootstrap, "--registers", "example"])
        return (status, *self._capsys.readouterr())

    @property
    def standing(self) -> dict[Kommunekode, RecipientControl]:
        """What stands on the topic."""
        return dict(controls_among(asyncio.run(records(self.bootstrap, CONTROL))))


@pytest.fixture
def recipients(capsys: pytest.CaptureFixture[str]) -> Iterator[Commands]:
    with EmbeddedBroker() as broker:
        prepared(broker, CONTROL, LEDGER)
        yield Commands(broker, capsys)


def test_pause_and_mode_stand_beside_each_other(recipients: Commands) -> None:
    def standing() -> dict[Kommunekode, RecipientControl]:
        return recipients.standing

    assert recipients("pause", "0461", "--reason", "their system moves", "--who", "night shift")[0] == 0
    status, out, _ = recipients("mode", "461", "manual", "--reason", "they call first", "--json")
    assert (status, json.loads(out)["pause_reason"], json.loads(out)["mode"]) == (0, "their system moves", "manual")
    control = standing()[ODENSE]
    assert (control.paused, control.mode, control.reason) == (True, "manual", "they call first")
    assert "paused since" in recipients("decided")[1]
    assert recipients("resume", "0461", "--reason", "back")[0] == 0
    assert (standing()[ODENSE].paused, standing()[ODENSE].mode) == (False, "manual")
    assert recipients("mode", "0461", "registers", "--reason", "done")[0] == 0
    assert recipients("decided")[1] == "none is paused, and none has a mode of its own\n"
    rows = [json.loads(row.value or b"") for row in asyncio.run(records(recipients.bootstrap, LEDGER))]
    assert [row["what"] for row in rows] == ["pause", "mode:manual", "resume", "mode:registers"]
    assert rows[0]["reason"] == "their system moves (night shift)"


def test_decision_that_changes_nothing_is_no_record(recipients: Commands) -> None:
    recipients("pause", "0461", "--reason", "first")
    before = recipients.standing
    status, out, _ = recipients("pause", "0461", "--reason", "second")
    assert (status, "it was so already" in out) == (0, True)
    assert recipients("resume", "0101", "--reason", "r")[0] == 0
    assert recipients.standing == before


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("pause", "0999", "--reason", "r"), 4),
        (("pause", "0461", "--reason", " "), 2),
        (("pause", "0461"), 2),
        (("mode", "0461", "slow", "--reason", "r"), 2),
    ],
)
def test_what_cannot_be_decided_is_refused(recipients: Commands, words: tuple[str, ...], status: int) -> None:
    assert recipients(*words)[0] == status
    assert recipients.standing == {}


def test_broker_without_topic_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with EmbeddedBroker() as broker:
        status, _, err = Commands(broker, capsys)("pause", "0461", "--reason", "r")
    assert (status, "recipients.control" in err) == (6, True)
