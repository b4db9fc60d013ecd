"""The simulated municipality answers legacy letters: its receipts settle them, and the balance closes over both."""

from datetime import timedelta
from random import Random
from typing import Any

import pytest

from streams.observer.evidence import Quoted, is_network_receipt, lane_of_letter, open_letter, quoted
from streams.sim.letters import arrived_letter
from streams.sim.municipality import answer, behaviour, message_id
from tests.rules.formats_in_turn import letter_in
from tests.rules.lanes import Lane
from tests.rules.test_lane_letters import arrives, played

FORMS = ("oioxml", "edifact")
#: Behaviour -> what becomes of the letter.
ENDS = {
    "ok": "ACKED_OK",
    "fatal": "ACKED_FATAL",
    "silent": "SENT",
    "transient": "SENT",  # no letter can say it
    "duplicate": "ACKED_OK",
    "conflicting": "ACKED_OK",
}


def answers(lane: Lane, name: str, dispatch: int = 1) -> list[bytes]:
    """What a municipality of this behaviour posts for the last letter."""
    found = answer(lane.letters[-1].payload, behaviour(name), lane.now, Random(1), dispatch)
    assert all(one.after > timedelta(0) for one in found)
    return [one.data for one in found]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("name", "state"), ENDS.items())
def test_receipt_of_municipality_settles_its_letter(form: str, name: str, state: str) -> None:
    lane = played(form, "A01 08:00")
    for data in answers(lane, name):
        arrives(lane, data)
    assert lane.states == [state]
    assert lane.last.conflict == (name == "conflicting")


@pytest.mark.parametrize("form", FORMS)
def test_resend_is_the_same_letter(form: str) -> None:
    lane = played(form, "A01 08:00")
    lane.overdue()
    first, second = lane.letters
    assert message_id(first.payload) == message_id(second.payload) == letter_in(first).letter_id
    for data in answers(lane, "silent>ok", 2):
        arrives(lane, data)
    assert lane.states == ["ACKED_OK"]


@pytest.mark.parametrize("form", FORMS)
def test_no_positive_receipt_where_none_is_asked_for(form: str) -> None:
    lane = played(form, "A01 08:00", expects_positive_receipt=False)
    letter = arrived_letter(lane.letters[0].payload)
    assert letter is not None
    assert not letter.wants_positive
    assert answers(lane, "ok") == []
    (refused,) = answers(lane, "fatal")
    arrives(lane, refused)
    assert lane.last.case is not None


def test_stranger_in_an_envelope_is_not_believed() -> None:
    lane = played("oioxml", "A01 08:00")
    (data,) = answers(lane, "wrong-sender")
    arrives(lane, data)
    assert (lane.states, lane.classes) == (["SENT"], ["quarantined"])


@pytest.mark.parametrize("data", [b"", b"\xff", b"<Emessage/>", b"UNA:+.? 'UNB"])
def test_what_is_no_letter_is_not_answered(data: bytes) -> None:
    assert arrived_letter(data) is None
    assert answer(data, behaviour("ok"), Lane().now, Random(1)) == []


# ---- the second witness ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_letter_and_receipts_are_evidence(form: str) -> None:
    lane = played(form, "A01 08:00")
    found, own = open_letter(lane.letters[0].payload), letter_in(lane.letters[0])
    assert found is not None
    assert (found.message_id, found.envelope_id, found.legacy) == (own.letter_id, own.envelope_id, True)
    assert lane_of_letter(own.letter_id) == lane.letters[0].lane
    said: list[Any] = []
    for name in ("ok", "fatal"):
        (data,) = answers(lane, name)
        said.append((is_network_receipt(data), quoted(data)))
    assert said == [(False, Quoted(own.letter_id, "ok")), (False, Quoted(own.letter_id, "fatal-error"))]


@pytest.mark.parametrize("text", ["", "AB12345678901", "ab12345678901C", "0f378-1"])
def test_what_is_no_letter_id_has_no_lane(text: str) -> None:
    assert lane_of_letter(text) == ""
