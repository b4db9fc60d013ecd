"""Hospital and municipality agree: what a subscriber shows after all messages is the state that the stay is in.

The stay rules decide what is notified (spec 01 §§11-13), the subscriber what is made of it (§19); neither knows the other.
Between them lies the document: every message is written, read and checked on its way.
"""

from datetime import datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.delivery import delivery
from streams.formats.fhir.build import to_json
from streams.messages.hospitalnotification import write
from streams.receiver.inbox import Reception, take
from streams.receiver.stays import Status, StayView, Subscriber, answer, history, status
from streams.relay.receipts import take_receipt
from streams.sim.stories import STORIES
from streams.stay.state import Stay, StayState, Visit, state
from streams.words.model import Notification, StayEvent
from tests.meanings.notifications import IDS, MUNICIPALITY
from tests.rules.lanes import Lane
from tests.rules.stay_events import Story
from tests.rules.test_stay_properties import arrivals, chains, play, walks
from tests.rules.test_stories import House, played

#: What a municipality shows of a stay that a hospital has in this state (spec 01 §§10, 11).
SHOWN: dict[StayState, Status] = {
    StayState.ACUTE: "acute-ambulant",
    StayState.ADMITTED: "admitted",
    StayState.LEAVE: "on-leave",
    StayState.CLOSED: "at-home",
    StayState.DEAD: "dead",
    StayState.VOID: "void",
}


def document(note: Notification) -> bytes:
    return to_json(write(note, MUNICIPALITY, f"{note.message_id[:-4]}b0b0"))


def received(notes: list[Notification]) -> Subscriber:
    """A fresh subscriber after the documents of these messages; it takes in every one of them."""
    subscriber = Subscriber()
    for note in notes:
        subscriber, answered = answer(subscriber, document(note))
        assert (answered.acknowledgement, answered.shown) == ("ok", True), answered.issues
    return subscriber


def view_of(subscriber: Subscriber, message_id: str) -> StayView:
    (found,) = [view for view in subscriber.stays if any(m.message_id == message_id for m in view.messages)]
    return found


def agree(stay: Stay, subscriber: Subscriber) -> None:
    if stay.chain:
        assert status(view_of(subscriber, stay.chain[-1].message_id)) == SHOWN[state(stay)]


@settings(max_examples=80, deadline=None)
@given(walks)
def test_story_in_order_ends_as_hospital_says(steps: list[tuple[str, str]]) -> None:
    lines = [f"{trigger} {6 + i // 2}:{i % 2 * 30:02d} {more}" for i, (trigger, more) in enumerate(steps)]
    story = Story().play("A01 05:00", *lines)
    assert story.visit is not None
    agree(story.visit.stay, received(story.notes))


@settings(max_examples=80, deadline=None)
@given(st.lists(arrivals(), max_size=20))
def test_events_in_any_order_end_as_hospital_says(events: list[tuple[StayEvent, datetime]]) -> None:
    story = play(Story(), events)
    if story.visit is not None:
        agree(story.visit.stay, received(story.notes))


def shown(subscriber: Subscriber) -> list[Any]:
    return [(status(view), [(str(e), e.at, e.place) for e in history(view)]) for view in subscriber.stays]


@settings(max_examples=60, deadline=None)
@given(walks, st.data())
def test_order_of_arrival_within_chain_changes_nothing(steps: list[tuple[str, str]], data: st.DataObject) -> None:
    lines = [f"{trigger} {6 + i // 2}:{i % 2 * 30:02d} {more}" for i, (trigger, more) in enumerate(steps)]
    chain = chains(Story().play("A01 05:00", *lines).notes)[-1]
    arrived = data.draw(st.permutations(chain))
    assert shown(received(arrived)) == shown(received(chain))


@example([("A11", ""), ("A01", "dead=yes"), ("A13", "")])
@example([("A03", "dead=yes"), ("A13", ""), ("A03", "dead=yes")])
@settings(max_examples=60, deadline=None)
@given(walks)
def test_line_that_stands_has_kind_and_time(steps: list[tuple[str, str]]) -> None:
    lines = [f"{trigger} {6 + i // 2}:{i % 2 * 30:02d} {more}" for i, (trigger, more) in enumerate(steps)]
    story = Story().play("A01 05:00", *lines)
    assert story.visit is not None
    stay = story.visit.stay
    standing = [e for e in history(view_of(received(story.notes), stay.chain[-1].message_id)) if e.mark != "cancelled"]
    if not stay.sent or (story.last.notice == "AN_SLHJ" and standing[-1].family == "STOR"):
        return  # 10.5: a discharge cancelled on leave ends the leave without a message of its own
    if not standing:  # 10.3: nor had the start of a death on arrival, which alone stands when the death is taken back
        assert (story.last.notice, len(stay.sent)) == ("AN_MORS", 1)
        return
    assert (standing[-1].family, standing[-1].at) == (stay.sent[-1].family, stay.sent[-1].time)  # 7.9


@settings(max_examples=60, deadline=None)
@given(walks, st.data())
def test_messages_that_come_again_change_nothing(steps: list[tuple[str, str]], data: st.DataObject) -> None:
    lines = [f"{trigger} {6 + i // 2}:{i % 2 * 30:02d} {more}" for i, (trigger, more) in enumerate(steps)]
    notes = Story().play("A01 05:00", *lines).notes
    once = received(notes)
    for note in data.draw(st.lists(st.sampled_from(notes), max_size=5)):
        after, answered = answer(once, document(note))
        assert (after, answered.acknowledgement, answered.shown) == (once, "ok", False)


def visits(house: House) -> list[Visit]:
    return list(house.visits.values())


@pytest.mark.parametrize("number", range(len(STORIES)), ids=[story.name for story in STORIES])
def test_simulated_story_ends_where_hospital_has_it(number: int) -> None:
    script, house = played(number), House()
    for sending in script.sendings:
        house.take(sending.data, sending.at)
    house.rest()
    subscriber = received(house.notifications)
    notified = {note.message_id for note in house.notifications}
    stays = [visit.stay for visit in visits(house) if visit.stay.chain]
    assert bool(stays) is bool(notified)
    newest = max(stays, key=lambda stay: stay.chain[-1].occurred, default=Stay())
    agree(newest, subscriber)


@settings(max_examples=40, deadline=None)
@given(walks)
def test_every_letter_of_story_is_acknowledged(steps: list[tuple[str, str]]) -> None:
    lines = [f"{trigger} {6 + i // 2}:{i % 2 * 30:02d} {more}" for i, (trigger, more) in enumerate(steps)]
    lane, reception = Lane().play("A01 05:00", *lines), Reception()
    for number, letter in enumerate(lane.letters):
        reception, receipts = take(reception, letter.payload, lane.now)
        for place, receipt in enumerate(receipts):
            inbound = take_receipt(receipt, origin=f"receipts.raw/{place}/{number}", at=lane.now, ids=IDS)
            assert inbound.record is not None
            assert inbound.lane == letter.lane
            lane.take(inbound.record)
    assert lane.row is not None
    assert {d.state for d in lane.row.deliveries.values()} == {delivery.DeliveryState.ACKED_OK}
    assert not lane.row.orphans
