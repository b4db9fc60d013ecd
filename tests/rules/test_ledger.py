"""Rows of the ledger: ids that repeat with the step, numbers without holes, one final state or none (spec 03 §6)."""

from collections import Counter
from collections.abc import Iterable
from typing import get_args

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.delivery.delivery import Advance, Delivery, advance, hand_over_refused
from streams.delivery.rules import FINAL, DeliveryState, Emission, Signal
from streams.records.ledger import LedgerRow, event_row, left_row, message_row, receipt_row, stay_event_row, to_json
from streams.relay.lane.perform import PERFORMED, Performance
from streams.relay.lane.row import LaneRow
from streams.words.model import Fate, Outcome
from tests.rules.deliveries import START, Happening, World, stored
from tests.rules.lanes import context

ORIGIN = "adt.raw/3/41"
EVENT = "0" * 32


# ---- rows -------------------------------------------------------------------------------------------------------


def test_accepted_record_counts_its_stay_events() -> None:
    row = event_row(START, ORIGIN, None, 2, subject=EVENT)
    assert (row.id, row.what, row.parts, row.subject, row.origin) == (f"event/{ORIGIN}", "accepted", 2, EVENT, ORIGIN)


def test_unreadable_record_is_named_by_place() -> None:
    row = event_row(START, ORIGIN, Outcome(fate=Fate.REFUSED, reason="no-person", problem="-", remedy="-"), 0)
    assert (row.subject, row.what, row.reason) == (ORIGIN, "refused", "no-person")


def test_leaving_waiting_gives_pair_with_own_ids() -> None:
    waiting = stay_event_row(START, EVENT, Outcome(fate=Fate.WAITING), 0, ORIGIN, "b978b278")
    left = left_row(START, EVENT, Fate.WAITING, ORIGIN, "b978b278")
    done = stay_event_row(START, EVENT, Outcome(fate=Fate.CONVERTED), 1, ORIGIN, "b978b278", time="again")
    assert [(row.what, row.delta, row.k) for row in (waiting, left, done)] == [
        ("waiting", 1, 0),
        ("waiting", -1, 0),
        ("converted", 1, 1),
    ]
    assert len({row.id for row in (waiting, left, done)}) == 3


@pytest.mark.parametrize("state", DeliveryState, ids=str)
def test_message_counts_in_books_only_when_it_is_final(state: DeliveryState) -> None:
    assert message_row(START, "m", state, 4).delta == (1 if state in FINAL else 0)


def test_receipt_is_named_by_where_it_arrived() -> None:
    row = receipt_row(START, "receipts.raw/0/7", "repeated", "ok", "b978b278")
    assert (row.id, row.what, row.verdict) == ("receipt/receipts.raw/0/7", "repeated", "ok")


def test_row_writes_every_field() -> None:
    written = orjson.loads(to_json(message_row(START, "m", DeliveryState.SENT, 1)))
    *always, last, system = LedgerRow.__struct_fields__
    # A hospital notification leaves out the one, and rows of the relay the other.
    assert (list(written), last, system) == (always, "message_type", "system")
    other = orjson.loads(to_json(message_row(START, "m", DeliveryState.SENT, 1, message_type="care-letter")))
    assert other == {**written, last: "care-letter"}
    assert msgspec.json.decode(to_json(message_row(START, "m", DeliveryState.SENT, 1)), type=LedgerRow).ordinal == 1


# ---- the books of one message -----------------------------------------------------------------------------------


def recorded(before: Delivery, *advances: Advance) -> tuple[Delivery, list[LedgerRow]]:
    """The delivery with its changes counted, and the rows for them."""
    performance = Performance(LaneRow(), before, START, context())
    for one in advances:
        for emission in one.emits:
            if emission in (Emission.ENTER, Emission.SETTLE, Emission.TAKE_BACK):
                PERFORMED[emission](performance, one)
    rows = [one.action for one in performance.effects if isinstance(one.action, LedgerRow)]
    return replace(advances[-1].now, changes=before.changes + len(rows)), rows


def created() -> tuple[Delivery, list[LedgerRow]]:
    """A message that has been stored, and its first row."""
    return replace(stored(), changes=1), [message_row(START, stored().message_id, DeliveryState.CREATED, 0)]


def rows_of(events: Iterable[tuple[Happening, int]], mode: str) -> tuple[Delivery, list[LedgerRow]]:
    """Every row of a message to which this happens."""
    first, rows = created()
    world = World(replace(first, address=stored(mode=mode).address))
    for what, number in events:
        before, world.advances = world.delivery, ()
        world.happens(what, number)
        if world.advances:
            world.delivery, more = recorded(before, *world.advances)
            rows += more
    return world.delivery, rows


happenings = st.lists(st.tuples(st.sampled_from(get_args(Happening)), st.integers(1, 4)), max_size=25)
modes = st.sampled_from(["auto", "manual"])


@given(happenings, modes)
def test_message_changes_are_numbered_without_holes(events: list[tuple[Happening, int]], mode: str) -> None:
    delivery, rows = rows_of(events, mode)
    assert [row.ordinal for row in rows] == list(range(len(rows)))
    assert (rows[0].what, rows[-1].what) == (DeliveryState.CREATED, str(delivery.state))
    assert len({row.id for row in rows}) == len(rows)


@given(happenings, modes)
def test_deltas_sum_to_one_final_state_or_none(events: list[tuple[Happening, int]], mode: str) -> None:
    delivery, rows = rows_of(events, mode)
    booked_in: Counter[str] = Counter()
    for row in rows:
        booked_in[row.what] += row.delta
        assert sum(booked_in.values()) in (0, 1) or row.delta == -1
    assert +booked_in == (Counter({str(delivery.state): 1}) if delivery.is_final else Counter())
    assert min(booked_in.values()) == 0 or delivery.is_final


@given(happenings, modes)
def test_same_story_gives_same_rows(events: list[tuple[Happening, int]], mode: str) -> None:
    assert rows_of(events, mode) == rows_of(events, mode)


@pytest.mark.parametrize("refused", [1, 2, 5])
def test_hand_over_that_was_refused_leaves_no_hole(refused: int) -> None:
    delivery, rows = created()
    for _ in range(refused):
        handed, _ = recorded(delivery, *advance(delivery, Signal.PRODUCED, START))  # held back with the letter
        delivery = hand_over_refused(handed, START).now
    _, sent = recorded(delivery, *advance(delivery, Signal.PRODUCED, START))
    assert [(row.ordinal, row.what) for row in (*rows, *sent)] == [(0, "CREATED"), (1, "SENT")]


def test_late_verdict_is_pair_that_keeps_sum_at_one() -> None:
    events: list[tuple[Happening, int]] = [("produced", 1), ("net-", 1), ("ok", 1)]
    _, rows = rows_of(events, "auto")
    assert [(row.what, row.delta, row.late) for row in rows[-2:]] == [
        ("UNDELIVERABLE", -1, True),
        ("ACKED_OK", 1, True),
    ]
