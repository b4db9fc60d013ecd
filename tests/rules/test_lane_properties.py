"""What holds in a lane for any order of events, receipts, deadlines, refusals and decisions (03 §6.3, 02 §9)."""

import contextlib
from collections import Counter
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.delivery.rules import FINAL, DeliveryState
from streams.records.trace import audit_event
from streams.relay.lane import decode_row, encode_row
from streams.words.errors import Rejected
from tests.rules.lanes import MINUTE, Lane, Otherwise, Unroutable, books, context

EVENTS = (
    "A01 08:00",
    "A04 07:00",
    "A06 08:30",
    "A08 08:40 start_time=07:50",
    "A21 10:00",
    "A22 11:00",
    "A03 12:00 disposition=home",
    "A03 12:00 dead=yes",
    "A11 12:30",
    "A13 12:40",
    "A52 10:20",
    "A23 13:00",
    "A40 13:00 patient=MAJA",
    "A01 2/08:00 now=12:00",
    "A31 09:00 residence=0751",
)
VERDICTS = ("ok", "fatal-error", "transient-error")
ACTIONS = ("resend", "give-up", "close-case", "send-anew")

acts = st.one_of(
    st.tuples(st.just("event"), st.sampled_from(EVENTS)),
    st.tuples(st.just("answer"), st.tuples(st.sampled_from(VERDICTS), st.integers(0, 5))),
    st.tuples(st.just("stranger"), st.sampled_from(VERDICTS)),
    st.tuples(st.just("orphan"), st.sampled_from(VERDICTS)),
    st.tuples(st.just("network"), st.booleans()),
    st.tuples(st.just("elapse"), st.integers(1, 200)),
    st.tuples(st.just("refuse"), st.none()),
    st.tuples(st.just("decide"), st.sampled_from(ACTIONS)),
    st.tuples(st.just("roads"), st.booleans()),
)
stories = st.lists(acts, max_size=14)
modes = st.sampled_from(["auto", "manual"])


def act(lane: Lane, what: str, how: Any, mode: str) -> int:
    """One happening; gives 1 when it is a receipt that arrived."""
    ready = lane.row is not None and bool(lane.row.deliveries)
    if what == "event":
        lane.event(how)
    elif what == "elapse":
        lane.elapse(lane.now + how * MINUTE)
    elif what == "roads":
        lane.context = context(Otherwise(mode=mode) if how else Unroutable())
    elif what == "decide" and ready:
        with contextlib.suppress(Rejected):
            lane.decide(how)
    elif what == "network" and ready:
        lane.network(positive=how)
    elif what == "refuse" and ready and any(one.after for one in lane.results[-1].effects):
        lane.refuse()
    elif what in ("answer", "stranger", "orphan") and ready:
        return _receipt(lane, what, how)
    return 0


def _receipt(lane: Lane, what: str, how: Any) -> int:
    if what == "answer":
        verdict, number = how
        messages = list(lane.row.deliveries)  # type: ignore[union-attr]  # looked at before
        lane.answer(verdict, message_id=messages[number % len(messages)])
    elif what == "stranger":
        lane.answer(how, transport_sender="5790000120420")
    else:
        lane.answer(how, message_id="nobody")
    return 1


def played(story: list[tuple[str, Any]], mode: str) -> tuple[Lane, int]:
    """The lane after a story, two hours of rest at its end, and how many receipts arrived."""
    lane = Lane(context(Otherwise(mode=mode)))
    received = sum(act(lane, what, how, mode) for what, how in story)
    return lane.elapse(lane.now + timedelta(hours=2)), received


@settings(max_examples=150, deadline=None)
@given(stories, modes)
def test_ledger_of_lane_closes(story: list[tuple[str, Any]], mode: str) -> None:
    lane, received = played(story, mode)
    events, messages, receipts = books(lane)
    events_in = sum(what == "event" for what, _ in story)
    assert (
        sum(events[fate] for fate in ("converted", "not-subject", "stopped", "waiting", "duplicate")) == events_in
    )  # L1
    assert events["notifications"] == messages["created"]  # L1
    final = Counter(str(d.state) for d in lane.row.deliveries.values() if d.is_final) if lane.row else Counter()
    assert {state: n for state, n in messages.items() if state in FINAL} == final  # L2, L5
    assert sum(receipts.values()) == received  # L4
    assert receipts["first"] == final[DeliveryState.ACKED_OK] + final[DeliveryState.ACKED_FATAL]  # L5


@settings(max_examples=150, deadline=None)
@given(stories, modes)
def test_every_step_has_one_event_of_its_own(story: list[tuple[str, Any]], mode: str) -> None:
    lane, received = played(story, mode)
    _, messages, receipts = books(lane)
    ids = [str(audit_event(step)["id"]) for step in lane.steps]
    assert len({*ids}) == len(ids)
    handed = sum(d.attempt for d in lane.row.deliveries.values()) if lane.row else 0
    counted = Counter((step.subtype, step.outcome) for step in lane.steps)
    assert counted["msg-created", "0"] == messages["created"]  # L6
    assert counted["msg-sent", "0"] == handed <= 3 * messages["created"]  # L3
    assert counted["msg-received-and-finalized", "0"] == received - receipts["quarantined"] - receipts["unmatched"]


@settings(max_examples=100, deadline=None)
@given(stories, modes)
def test_changes_of_every_message_are_numbered_without_holes(story: list[tuple[str, Any]], mode: str) -> None:
    lane, _ = played(story, mode)
    numbers: dict[str, list[int]] = {}
    for row in lane.rows:
        if row.kind == "message":
            numbers.setdefault(row.subject, []).append(row.ordinal)
    assert all(each == list(range(len(each))) for each in numbers.values())


@settings(max_examples=60, deadline=None)
@given(stories, modes)
def test_story_has_one_ending_to_byte(story: list[tuple[str, Any]], mode: str) -> None:
    (one, _), (two, _) = played(story, mode), played(story, mode)
    assert [repr(result.effects) for result in one.results] == [repr(result.effects) for result in two.results]
    assert (one.row is None) is (two.row is None)
    if one.row is not None and two.row is not None:
        assert encode_row(one.row) == encode_row(two.row)
        assert decode_row(encode_row(one.row)) == one.row


@settings(max_examples=60, deadline=None)
@given(stories, modes)
def test_in_auto_mode_no_unanswered_message_stays_open(story: list[tuple[str, Any]], mode: str) -> None:
    lane, _ = played(story, mode)
    open_states = {state for state in lane.states if state not in FINAL}
    assert open_states <= ({DeliveryState.TIMED_OUT} if mode == "manual" else set())  # L8
