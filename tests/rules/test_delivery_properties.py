"""What holds for any sequence of happenings to a message, however absurd (spec 02 §9, spec 03 §6.3)."""

from typing import get_args

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.delivery.delivery import Delivery
from streams.delivery.rules import FINAL, TRANSITIONS, DeliveryState, Signal
from tests.rules.deliveries import Happening, World, stored

RECEIPTS: list[Happening] = ["ok", "fatal", "transient", "net+", "net-"]

happenings = st.lists(st.tuples(st.sampled_from(get_args(Happening)), st.integers(1, 4)), max_size=25)
addresses = st.fixed_dictionaries(
    {"mode": st.sampled_from(["auto", "manual"]), "envelope": st.sampled_from(["vans", "sbdh", "none"])}
)


def play(events: list[tuple[Happening, int]], address: dict[str, str], *, restarts: bool = False) -> World:
    """All of it in this order, everything forgotten but the row between any two when `restarts`."""
    world = World(stored(**address))
    for what, number in events:
        if restarts:
            world.delivery = msgspec.json.decode(msgspec.json.encode(world.delivery), type=Delivery)
        world.happens(what, number)
    return world


@given(happenings, addresses)
@example([("produced", 1), ("deadline", 1), ("deadline", 1), ("deadline", 1), ("resend", 1)], {"mode": "auto"})
def test_message_is_never_sent_more_than_three_times(
    events: list[tuple[Happening, int]], address: dict[str, str]
) -> None:
    world = play(events, address)
    assert world.delivery.attempt <= 3
    assert len(world.delivery.attempts) == max(1, world.delivery.attempt)
    assert world.words.count("timer:set") == world.delivery.attempt


@given(happenings, addresses, st.lists(st.tuples(st.sampled_from(RECEIPTS), st.integers(1, 4)), max_size=25))
def test_after_one_ok_message_stays_acknowledged(
    events: list[tuple[Happening, int]], address: dict[str, str], receipts: list[tuple[Happening, int]]
) -> None:
    world = play([*events, ("ok", 1)], address)
    if world.delivery.state is DeliveryState.ACKED_FATAL:
        return  # the verdict was fatal before: never positive after negative
    assert world.delivery.state is DeliveryState.ACKED_OK
    for what, number in receipts:
        world.happens(what, number)
    assert (world.delivery.state, world.delivery.verdict) == (DeliveryState.ACKED_OK, "ok")


@given(happenings, addresses)
def test_every_open_message_has_someone_to_move_it(
    events: list[tuple[Happening, int]], address: dict[str, str]
) -> None:
    delivery = play(events, address).delivery
    assert delivery.state in DeliveryState
    assert all((delivery.state, signal) in TRANSITIONS for signal in Signal if not signal.name.startswith("ACK"))
    waits = {DeliveryState.SENT, DeliveryState.NETWORK_OK, DeliveryState.TRANSIENT}
    assert (delivery.deadline is not None) is (delivery.state in waits)
    assert (delivery.finished is not None) is (delivery.state in FINAL)
    handled = delivery.case is None or delivery.case.closed is not None
    assert (delivery.content is None) is (delivery.state in FINAL and handled)


@given(happenings, addresses)
def test_every_message_is_open_or_in_one_final_state(
    events: list[tuple[Happening, int]], address: dict[str, str]
) -> None:
    world = play(events, address)
    booked: dict[str, int] = {}
    for word in world.words:
        kind, _, state = word.partition(":")
        if kind in ("terminal", "correct"):
            booked[state.lstrip("-")] = booked.get(state.lstrip("-"), 0) + (1 if kind == "terminal" else -1)
    final = {str(world.delivery.state): 1} if world.delivery.is_final else {}
    assert {state: sum_ for state, sum_ in booked.items() if sum_} == final


@given(happenings, addresses)
def test_every_acknowledgement_has_one_class_and_one_event(
    events: list[tuple[Happening, int]], address: dict[str, str]
) -> None:
    world = play(events, address)
    received = sum(what in ("ok", "fatal", "transient") for what, _ in events)
    assert len(world.receipts) == world.words.count("eds:msg-received-and-finalized") == received
    assert world.receipts.count("first") == (
        world.delivery.state in (DeliveryState.ACKED_OK, DeliveryState.ACKED_FATAL)
    )
    counts = world.delivery.counts
    assert (counts.duplicate, counts.conflict, counts.transient, counts.stale) == tuple(
        world.receipts.count(name)  # type: ignore[arg-type]  # the four classes
        for name in ("repeated", "conflicting", "transient", "stale")
    )


@given(happenings, addresses)
def test_restart_between_any_two_happenings_changes_nothing(
    events: list[tuple[Happening, int]], address: dict[str, str]
) -> None:
    assert play(events, address, restarts=True).delivery == play(events, address).delivery


@pytest.mark.parametrize("state", sorted(FINAL), ids=str)
def test_no_timer_moves_settled_message(state: DeliveryState) -> None:
    timers = [signal for signal in Signal if signal.name.startswith("TIMER")]
    assert {TRANSITIONS[state, signal].to for signal in timers} == {state}
