"""What operators decide about a municipality, as records: one that stands, with who, when and why (00 §3.6)."""

from datetime import UTC, datetime

import msgspec
import pytest

from streams.kafka.decisions import control_letters, controls_among
from streams.kafka.records import Record
from streams.kafka.topics import CONTROL, LEDGER
from streams.words.ids import Kommunekode
from streams.words.model import RecipientControl

AT = datetime(2026, 11, 30, 8, tzinfo=UTC)
ODENSE = Kommunekode("0461")
PAUSED = RecipientControl(
    kommunekode=ODENSE,
    action="pause",
    at=AT,
    actor="night shift",
    reason="their system moves",
    paused_since=AT,
    pause_reason="their system moves",
)


def lying(control: RecipientControl) -> Record:
    """The record as it lies on the topic."""
    [_, letter] = control_letters(control)
    return Record(CONTROL, 0, 0, letter.key, letter.value)


def test_decision_has_its_row_for_the_audit_first() -> None:
    audit, letter = control_letters(PAUSED)
    assert (audit.topic, letter.topic, letter.key) == (LEDGER, CONTROL, b"0461")
    row = msgspec.json.decode(audit.value or b"")
    assert (row["kind"], row["subject"], row["what"], row["delta"]) == ("recipient", "0461", "pause", 0)
    assert row["reason"] == "their system moves (night shift)"


def test_newest_record_stands() -> None:
    resumed = msgspec.structs.replace(PAUSED, action="resume", paused_since=None, pause_reason="")
    assert controls_among([lying(PAUSED)])[ODENSE].paused
    assert not controls_among([lying(PAUSED), lying(resumed)])[ODENSE].paused
    assert controls_among([lying(PAUSED), lying(PAUSED)._replace(value=None)]) == {}


@pytest.mark.parametrize("junk", [b"{", b"[" * 50_000, b"\xff", b'{"kommunekode":"0461"}'])
def test_pause_does_not_end_by_junk(junk: bytes) -> None:
    found = controls_among([lying(PAUSED), lying(PAUSED)._replace(value=junk)])
    assert found == {ODENSE: PAUSED}


@pytest.mark.parametrize("key", [None, b"installation", b"skip/adt.raw/0/1", b"46", b"0461x", b"0101"])
def test_other_keys_are_of_no_municipality(key: bytes | None) -> None:
    assert controls_among([lying(PAUSED)._replace(key=key)]) == {}
