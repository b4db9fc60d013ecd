"""How many records come in one batch is chance, so nothing may depend on it: the same row and the same records follow.

The hard case is a letter that the broker refuses (00 §3.3) while the records behind it in the batch speak of the same
message: they were once folded over a hand-over that did not happen.
"""

from datetime import timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.kafka.topics import LEDGER, TRACE
from streams.relay.lane import next_due, tick
from streams.words.model import Overdue
from tests.agents.one_lane import ShellLane
from tests.rules.lanes import Otherwise, context
from tests.rules.test_lane_properties import ACTIONS, EVENTS, VERDICTS, act


def changes(lane: ShellLane) -> list[tuple[int, str, int]]:
    """What the ledger holds of the messages: number, state and attempt of every change."""
    rows = [orjson.loads(letter.value or b"") for letter in lane.written_to_kafka if letter.topic == LEDGER]
    return [(row["ordinal"], row["what"], row["attempt"]) for row in rows if row["kind"] == "message"]


def outcomes(lane: ShellLane) -> list[tuple[str, str]]:
    """What track and trace holds: subtype and outcome of every event."""
    events = [orjson.loads(letter.value or b"") for letter in lane.written_to_kafka if letter.topic == TRACE]
    return [(event["subtype"][0]["code"], event["outcome"]) for event in events]


def resend_refused(mode: str = "auto") -> ShellLane:
    """One message under way, in a lane whose broker will take no second dispatch for a while."""
    lane = ShellLane(context(Otherwise(mode=mode)), taken=lambda dispatch, tries: dispatch == 0 or tries > 1)
    lane.play("A01 08:00")
    return lane


def go_on(lane: ShellLane) -> None:
    """The timer, once."""
    due = next_due(lane.row, lane.context.stay)
    assert due is not None
    lane.take(tick(lane.row, due, max(due, lane.now)))


def stale(lane: ShellLane) -> Overdue:
    """The timer of the first dispatch, published twice."""
    sent = lane.last.attempts[0].sent
    assert sent is not None
    limit = sent + timedelta(minutes=30)
    return Overdue(at=lane.now, message_id=lane.last.message_id, attempt=1, deadline=limit)


BEHIND: dict[str, tuple[str, Any, list[tuple[int, str, int]]]] = {
    "an ok": ("auto", lambda lane: lane.answer(), [(2, "ACKED_OK", 1)]),
    "a fatal error": ("auto", lambda lane: lane.answer("fatal-error"), [(2, "ACKED_FATAL", 1)]),
    "a transient error": ("auto", lambda lane: lane.answer("transient-error"), [(2, "TRANSIENT", 1)]),
    "the network will not": ("auto", lambda lane: lane.network(positive=False), [(2, "UNDELIVERABLE", 1)]),
    "the network has it": ("auto", lambda lane: lane.network(), [(2, "NETWORK_OK", 1)]),
    "the next try, refused too": ("auto", go_on, []),
    "a deadline that is none any more": ("auto", lambda lane: lane.take(stale(lane)), []),
    "a decision": ("auto", lambda lane: lane.decide("give-up"), []),
    "another message of the stay": ("auto", lambda lane: lane.play("A03 18:00"), [(0, "CREATED", 0)]),
}


@pytest.mark.parametrize("behind", BEHIND)
def test_what_lies_behind_refused_resend_is_taken_after_refusal(behind: str) -> None:
    mode, happens, notified = BEHIND[behind]
    lane = resend_refused(mode)
    lane.overdue()
    happens(lane)
    assert changes(lane) == [(0, "CREATED", 0), (1, "SENT", 1), *notified]
    together = lane.again([1])
    assert changes(together) == changes(lane)
    assert outcomes(together) == outcomes(lane)
    assert together.row == lane.row


def test_refused_decision_leaves_next_answer_its_number() -> None:
    lane = resend_refused("manual")
    lane.overdue()
    lane.decide("resend")
    lane.answer()
    assert changes(lane)[:3] == [(0, "CREATED", 0), (1, "SENT", 1), (2, "TIMED_OUT", 1)]
    assert changes(lane.again([])) == changes(lane)


def test_refused_message_is_retried_before_next_of_its_lane() -> None:
    lane = ShellLane(taken=lambda dispatch, tries: dispatch > 0 or tries > 1)
    lane.play("A01 08:00", "A21 09:00", "A22 10:00", "A03 11:00")
    assert [letter.headers for letter in lane.again([]).written_to_kafka] == [x.headers for x in lane.written_to_kafka]


def test_hand_over_that_was_refused_is_counted_as_refused() -> None:
    lane = resend_refused()
    lane.overdue()
    go_on(lane)
    figures = lane.station.figures.metrics.text().decode()
    counted = [line for line in figures.splitlines() if line.startswith("hn_attempts_total")]
    assert 'hn_attempts_total{n="1",result="sent"} 1.0' in counted
    assert {line.partition(" ")[0] for line in counted} == {
        'hn_attempts_total{n="1",result="sent"}',
        'hn_attempts_total{n="2",result="refused"}',
    }
    go_on(lane)
    assert 'hn_attempts_total{n="2",result="sent"} 1.0' in lane.station.figures.metrics.text().decode()


# ---- any story, any refusals, any cut ---------------------------------------------------------------------------

happenings = st.one_of(
    st.tuples(st.just("event"), st.sampled_from(EVENTS)),
    st.tuples(st.just("answer"), st.tuples(st.sampled_from(VERDICTS), st.integers(0, 5))),
    st.tuples(st.just("orphan"), st.sampled_from(VERDICTS)),
    st.tuples(st.just("network"), st.booleans()),
    st.tuples(st.just("elapse"), st.integers(1, 200)),
    st.tuples(st.just("elapse"), st.just(31)),
    st.tuples(st.just("decide"), st.sampled_from(ACTIONS)),
)
refusals = st.frozensets(st.tuples(st.integers(0, 4), st.integers(0, 2)), max_size=6)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(happenings, max_size=10),
    st.sampled_from(["auto", "manual"]),
    refusals,
    st.lists(st.integers(1, 9), max_size=6),
)
def test_batch_is_as_its_records_one_by_one(
    story: list[tuple[str, Any]], mode: str, refused: frozenset[tuple[int, int]], cuts: list[int]
) -> None:
    lane = ShellLane(context(Otherwise(mode=mode)), taken=lambda dispatch, tries: (dispatch, tries) not in refused)
    lane.play("A01 08:00")
    for what, how in story:
        act(lane, what, how, mode)
    together = lane.again(cuts)
    assert together.written_to_kafka == lane.written_to_kafka
    assert together.table == lane.table
    numbers: dict[str, list[int]] = {}
    states: dict[str, str] = {}
    for letter in lane.written_to_kafka:
        if letter.topic == LEDGER and (row := orjson.loads(letter.value or b""))["kind"] == "message":
            numbers.setdefault(row["subject"], []).append(row["ordinal"])
            states[row["subject"]] = row["what"]
    assert all(each == list(range(len(each))) for each in numbers.values())
    assert {key: str(d.state) for key, d in lane.row.deliveries.items()} == states if lane.row else True
