"""What a worker knows of its open messages: counts, ages, and the laws L2 and L8 (spec 03 §§6.3, 10)."""

from collections.abc import Iterable
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.records.ledger import LedgerRow
from streams.relay.lane import LaneRow, decode_row, encode_row
from streams.relay.standing import OpenMessages, Standing
from streams.words.ids import EpisodeId
from tests.rules.lanes import MINUTE, Lane
from tests.rules.stay_events import IDS

KEY, OTHER = b"1a452512", b"2b563623"


def count(messages: OpenMessages, lane: Lane, begin: int = 0) -> None:
    for row in lane.rows[begin:]:
        messages.count(row)


def admitted() -> tuple[Lane, OpenMessages]:
    lane, messages = Lane(), OpenMessages()
    lane.play("A01 08:00")
    count(messages, lane)
    messages.set(0, KEY, lane.row)
    return lane, messages


def rebuild(standing: Standing, rows: Iterable[tuple[int, bytes, LaneRow | None]]) -> None:
    """As after a recovery."""
    standing.clear()
    for partition, key, row in rows:
        standing.set(partition, key, row)
    standing.begin()


def test_message_is_open_until_it_is_settled() -> None:
    lane, messages = admitted()
    code = lane.last.address.kommunekode
    assert messages.counts([0]) == {code: 1}
    assert messages.oldest([0]) == {code: lane.last.created}
    lane.answer()
    messages.set(0, KEY, lane.row)
    assert messages.counts([0]) == {code: 0}
    assert messages.oldest([0]) == {}


def test_resend_keeps_age() -> None:
    lane, messages = admitted()
    created = lane.last.created
    lane.overdue()
    messages.set(0, KEY, lane.row)
    assert messages.oldest([0]) == {lane.last.address.kommunekode: created}
    assert messages.counts([0]).total() == 1


def test_only_partitions_asked_for_count() -> None:
    _, messages = admitted()
    messages.set(3, OTHER, Lane().row)
    assert (messages.counts([1, 3]).total(), messages.oldest([1, 3])) == (0, {})


def test_row_that_is_gone_has_no_open_messages() -> None:
    _, messages = admitted()
    messages.set(0, KEY, None)
    assert (len(messages), messages.counts([0]).total(), messages.oldest([0])) == (0, 0, {})


def test_law_of_messages_holds_from_creation_to_end() -> None:
    lane, messages = admitted()
    assert messages.residual == 0
    begin = len(lane.rows)
    lane.answer()
    count(messages, lane, begin)
    assert messages.residual == 0, "what is recorded counts once its row is safe"
    messages.set(0, KEY, lane.row)
    assert (messages.residual, len(messages)) == (0, 0)


def test_late_verdict_is_pair_and_breaks_no_law() -> None:
    lane, messages = admitted()
    begin = len(lane.rows)
    for _ in range(3):
        lane.overdue()
    lane.answer()
    assert lane.last.late
    count(messages, lane, begin)
    messages.set(0, KEY, lane.row)
    assert messages.residual == 0


@pytest.mark.parametrize("lost", ["a message without a row", "a settled message that is open again"])
def test_message_without_state_breaks_law(lost: str) -> None:
    lane, messages = admitted()
    before = lane.row
    begin = len(lane.rows)
    if lost == "a message without a row":
        messages.set(0, KEY, None)
        assert messages.residual == -1
        return
    lane.answer()
    count(messages, lane, begin)
    messages.set(0, KEY, lane.row)
    messages.set(0, KEY, before)
    assert messages.residual == 1


def test_recovery_begins_law_where_rows_are() -> None:
    lane, _ = admitted()
    standing = Standing(lane.context.stay)
    rebuild(standing, [(0, KEY, lane.row), (1, OTHER, None)])
    assert (len(standing.messages), standing.messages.residual, len(standing.deadlines)) == (1, 0, 1)
    rebuild(standing, [])
    assert (len(standing.messages), standing.messages.residual, len(standing.deadlines)) == (0, 0, 0)


def test_row_has_same_deadline_as_folded_and_as_read() -> None:
    lane = Lane().play("A21 08:00")  # held until its start comes
    assert lane.row is not None
    texts = []
    for row in (lane.row, decode_row(encode_row(lane.row))):
        standing = Standing(lane.context.stay)
        standing.set(0, KEY, row)
        (due,) = standing.deadlines.due(0, lane.now + 60 * MINUTE)
        texts.append(due.deadline.isoformat())
    assert texts[0] == texts[1]


def test_deadline_without_record_in_lane_breaks_law_8() -> None:
    lane, _ = admitted()
    standing = Standing(lane.context.stay)
    standing.set(0, KEY, lane.row)
    deadline = lane.last.deadline
    assert deadline is not None
    assert [standing.late([0], at) for at in (deadline, deadline + MINUTE)] == [0, 1]
    assert standing.late([1], deadline + MINUTE) == 0
    [due] = standing.deadlines.due(0, deadline)
    standing.deadlines.done(due)
    assert standing.late([0], deadline + MINUTE) == 1, "it stays until its lane has heard of it"
    lane.overdue()
    standing.set(0, KEY, lane.row)
    assert standing.late([0], deadline + MINUTE) == 0


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(["answer", "overdue", "again", "gone", "rebuild"])), max_size=6
    )
)
def test_index_always_equals_one_from_rows(changes: list[tuple[int, str]]) -> None:
    lanes = [Lane() for _ in range(3)]
    for number, lane in enumerate(lanes):
        visit = EpisodeId(f"7b1d3f52-8f6a-4b6e-9d0c-3a5b7c9d1e2{number}")
        lane.play("A01 08:00", visit=visit, lane=IDS.lane(visit))
    rows = {number: lane.row for number, lane in enumerate(lanes)}
    standing = Standing(lanes[0].context.stay)
    rebuild(standing, ((number, b"%d" % number, row) for number, row in rows.items()))
    for number, change in changes:
        lane = lanes[number]
        if change == "gone":
            rows[number] = None
        elif change != "rebuild":
            if not lane.last.is_final and change != "again":
                lane.answer() if change == "answer" else lane.overdue()
            rows[number] = lane.row
        standing.set(number, b"%d" % number, rows[number])
        if change == "rebuild":
            rebuild(standing, ((number, b"%d" % number, row) for number, row in rows.items()))
    fresh = Standing(lanes[0].context.stay)
    rebuild(fresh, ((number, b"%d" % number, row) for number, row in rows.items()))
    now = lanes[0].now + timedelta(days=1)
    for ask in (lambda m: +m.counts(range(3)), lambda m: m.oldest(range(3)), len):
        assert ask(standing.messages) == ask(fresh.messages)
    assert standing.late(range(3), now) == fresh.late(range(3), now)


def test_rows_about_other_things_are_no_messages() -> None:
    messages = OpenMessages()
    messages.count(LedgerRow(id="x", at=Lane().now, kind="receipt", subject="r", what="first"))
    messages.set(0, KEY, None)
    assert messages.residual == 0
