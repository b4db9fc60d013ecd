"""The index of deadlines: due once, replaced by a later deadline, by partition, and always what the rows show."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from streams.relay.standing import Deadlines, Due

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HALF_PAST = NOON + timedelta(minutes=30)


def test_all_is_due_exactly_at_its_time() -> None:
    index = Deadlines()
    index.set(3, b"a", HALF_PAST)
    assert index.due(3, HALF_PAST - timedelta(microseconds=1)) == ()
    assert index.due(3, HALF_PAST) == (Due(HALF_PAST, b"a", 3),)


def test_due_lane_stays_due_until_published() -> None:
    index = Deadlines()
    index.set(0, b"a", NOON)
    [first] = index.due(0, NOON)
    [again] = index.due(0, NOON)
    assert first == again
    index.done(first)
    assert index.due(0, NOON) == ()


def test_new_deadline_replaces_old_one() -> None:
    index = Deadlines()
    index.set(0, b"a", NOON)
    index.set(0, b"a", HALF_PAST)
    assert index.due(0, NOON) == ()
    assert [due.deadline for due in index.due(0, HALF_PAST)] == [HALF_PAST]


def test_done_for_old_deadline_leaves_new_one() -> None:
    index = Deadlines()
    index.set(0, b"a", NOON)
    [due] = index.due(0, NOON)
    index.set(0, b"a", HALF_PAST)
    index.done(due)
    assert index.due(0, HALF_PAST) == (Due(HALF_PAST, b"a", 0),)


def test_lane_that_waits_for_nothing_is_never_due() -> None:
    index = Deadlines()
    index.set(0, b"a", NOON)
    index.set(0, b"a", None)
    assert (index.due(0, HALF_PAST), len(index)) == ((), 0)


def test_partitions_are_asked_one_by_one() -> None:
    index = Deadlines()
    index.set(0, b"a", NOON)
    index.set(1, b"b", NOON)
    assert [due.key for due in index.due(1, NOON)] == [b"b"]
    assert index.due(7, NOON) == ()


def test_earliest_come_first_and_no_more_than_asked_for() -> None:
    index = Deadlines()
    for minute in (3, 1, 2):
        index.set(0, b"%d" % minute, NOON + timedelta(minutes=minute))
    assert [due.key for due in index.due(0, HALF_PAST, most=2)] == [b"1", b"2"]
    assert len(index.due(0, HALF_PAST)) == 3


keys = st.sampled_from([b"a", b"b", b"c"])
deadlines = st.none() | st.integers(0, 5).map(lambda minutes: NOON + timedelta(minutes=minutes))


@given(st.lists(st.tuples(keys, deadlines, st.booleans())))
def test_index_agrees_with_plain_dictionary(steps: list[tuple[bytes, datetime | None, bool]]) -> None:
    index, plain = Deadlines(), dict[bytes, datetime]()
    for key, deadline, publish in steps:
        index.set(0, key, deadline)
        if deadline is None:
            plain.pop(key, None)
        else:
            plain[key] = deadline
        if publish:
            for due in index.due(0, NOON + timedelta(minutes=2)):
                assert plain.pop(due.key) == due.deadline
                index.done(due)
        assert {due.key: due.deadline for due in index.due(0, HALF_PAST)} == plain
    rebuilt = Deadlines()
    for key, deadline in plain.items():
        rebuilt.set(0, key, deadline)
    assert rebuilt.due(0, HALF_PAST) == index.due(0, HALF_PAST)
