"""What an operator's `send-anew` does in a lane: a new message in the old one's place, counted once more (00 §3.5)."""

from datetime import timedelta

import pytest

from streams.delivery.rules import DeliveryState
from streams.formats.fhir.build import to_json
from streams.messages.hospitalnotification import check
from streams.receiver.stays import play
from streams.words.codes import Verdict
from streams.words.errors import Rejected
from tests.rules.lanes import DAY, Lane, Otherwise, Unroutable, books, context, opened, resources
from tests.rules.stay_events import clock
from tests.rules.test_lane_answers import admitted, silent


def given_up(*lines: str) -> Lane:
    """A lane of one message that nobody answered."""
    return admitted().elapse(clock("12:00")).play(*lines)


def refused_by_receiver() -> Lane:
    lane = admitted()
    lane.answer("fatal-error")
    return lane


def undeliverable() -> Lane:
    lane = admitted()
    lane.network(positive=False)
    return lane


SENDABLE = {"given up": given_up, "refused": refused_by_receiver, "undeliverable": undeliverable}


def reissue(lane: Lane, number: int = 0, **more: str) -> str:
    """Message `number` of the lane is reissued; the id of the new one."""
    assert lane.row is not None
    lane.decide("send-anew", message_id=list(lane.row.deliveries)[number], **more)
    return lane.last.message_id


@pytest.mark.parametrize("way", SENDABLE)
def test_undelivered_message_is_reissued_under_new_id(way: str) -> None:
    lane = SENDABLE[way]()
    old = lane.last
    letter = lane.letters[-1]
    new = reissue(lane)
    assert new != old.message_id
    assert new.startswith(old.lane)
    before, after = opened(letter), opened(lane.letters[-1])
    assert check(after, outgoing=True) == []
    ids = [{entry["resource"]["id"] for entry in bundle["entry"]} for bundle in (before, after)]
    assert not ids[0] & ids[1], "another message: every id of its own is new (spec 01, 8)"
    (stay,), (same) = resources(before, "Encounter"), resources(after, "Encounter")[0]
    assert [stay[name] for name in ("status", "class", "period", "episodeOfCare")] == [
        same[name] for name in ("status", "class", "period", "episodeOfCare")
    ]


@pytest.mark.parametrize("way", SENDABLE)
def test_old_message_is_linked_and_case_closed(way: str) -> None:
    lane = SENDABLE[way]()
    state = lane.last.state
    new = reissue(lane)
    assert lane.row is not None
    old = next(iter(lane.row.deliveries.values()))
    assert (old.state, old.replaced_by, lane.last.replaces) == (state, new, old.message_id)
    assert old.case is not None
    assert (old.case.closed, old.case.closing, old.content) == (lane.now, f"replaced-by {new}", None)
    assert (lane.last.state, lane.last.attempt, lane.last.event_id) == (DeliveryState.SENT, 1, old.event_id)


def test_progress_notice_keeps_place_and_role() -> None:
    lane = admitted()
    lane.answer()
    lane.play("A21 09:00")
    lane.answer("fatal-error")
    first, second = (opened(letter) for letter in lane.letters)
    new = reissue(lane, 1)
    links = resources(opened(lane.letters[-1]), "Provenance")
    old = resources(second, "Provenance")
    assert links[0] == {**old[0], "agent": links[0]["agent"], "text": links[0]["text"]}
    assert links[1]["target"] == [{"reference": f"MessageHeader/{new}"}]
    assert (links[1]["activity"], links[1]["entity"]) == (old[1]["activity"], old[1]["entity"])
    assert links[1]["entity"][0]["what"]["reference"] == f"MessageHeader/{first['entry'][0]['resource']['id']}"


@pytest.mark.parametrize("behind", [[], ["A21 08:30"]], ids=["the last", "one with a message behind it"])
def test_later_messages_carry_new_link_and_pass(behind: list[str]) -> None:
    lane = Lane().play("A01 08:00", *behind).elapse(clock("12:00"))
    old = lane.letters[0].message_id
    new = reissue(lane)
    lane.play("A22 14:00" if behind else "A21 14:00", "A03 15:00")
    for letter in lane.letters[-2:]:
        assert check(opened(letter), outgoing=True) == []
        targets = [link["target"][0]["reference"] for link in resources(opened(letter), "Provenance")]
        assert f"MessageHeader/{new}" in targets
        assert f"MessageHeader/{old}" not in targets


def test_two_messages_in_row_are_reissued_one_upon_other() -> None:
    lane = given_up("A21 12:30").elapse(clock("18:00"))
    first = reissue(lane, 0)
    second = reissue(lane, 1)
    targets = [link["target"][0]["reference"] for link in resources(opened(lane.letters[-1]), "Provenance")]
    assert targets == [f"MessageHeader/{first}", f"MessageHeader/{second}"]
    assert check(opened(lane.letters[-1]), outgoing=True) == []


def test_message_of_ended_chain_is_reissued_with_its_chain() -> None:
    lane = admitted()
    lane.answer()
    lane.play("A11 09:00")
    lane.answer("fatal-error")
    lane.play("A01 10:00")
    cancelled = opened(lane.letters[1])
    reissue(lane, 1)
    bundle = opened(lane.letters[-1])
    assert check(bundle, outgoing=True) == []
    assert resources(bundle, "Provenance")[1]["entity"] == resources(cancelled, "Provenance")[1]["entity"]


def test_municipality_sees_one_stay() -> None:
    """Admission and leave reached nobody; then both are reissued, and the return."""
    lane = given_up("A21 12:30").elapse(clock("18:00"))
    reissue(lane, 0)
    reissue(lane, 1)
    lane.play("A22 19:00")
    lines = play((letter.message_id, to_json(opened(letter))) for letter in lane.letters[-3:])
    assert [(line["acknowledgement"], line["status"]) for line in lines] == [
        ("ok", "admitted"),
        ("ok", "on-leave"),
        ("ok", "admitted"),
    ]
    assert lines[-1]["history"] == ["STIN", "STOR", "SLOR"]
    assert "01 19.16" not in {issue["rule"] for line in lines for issue in line["issues"]}, "it has what each one names"


@pytest.mark.parametrize("settled", [False, True], ids=["under way", "received"])
def test_overtaken_start_is_not_reissued(settled: bool) -> None:
    lane = given_up("A03 12:30")
    if settled:
        lane.answer()
    with pytest.raises(Rejected, match="the stay that the message began has gone on") as refused:
        reissue(lane)
    assert refused.value.rule == "overtaken"


def test_start_of_ended_chain_is_not_reissued() -> None:
    lane = refused_by_receiver().play("A11 09:00", "A01 10:00")
    with pytest.raises(Rejected) as refused:
        reissue(lane, 0)
    assert refused.value.rule == "overtaken"


def test_message_in_middle_lands_in_middle() -> None:
    lane = admitted()
    lane.answer()
    lane.play("A21 09:00").answer("fatal-error")
    lane.play("A22 10:00").answer()
    reissue(lane, 1)
    lines = play((letter.message_id, to_json(opened(letter))) for letter in (lane.letters[i] for i in (0, 2, 3)))
    assert (lines[-1]["status"], lines[-1]["history"]) == ("admitted", ["STIN", "STOR", "SLOR"])


def test_it_goes_to_address_of_today() -> None:
    lane = refused_by_receiver()
    lane.context = context(Otherwise(mode="manual"))
    reissue(lane)
    assert lane.last.address.mode == "manual"


@pytest.mark.parametrize("verdict", [None, "ok"], ids=["under way", "delivered"])
def test_message_that_municipality_may_have_is_not_reissued(verdict: Verdict | None) -> None:
    lane = admitted()
    if verdict:
        lane.answer(verdict)
    with pytest.raises(Rejected, match=f"state {lane.last.state} is not sent anew") as refused:
        reissue(lane)
    assert refused.value.rule == "not-allowed"


def test_message_is_reissued_once_new_one_too() -> None:
    lane = given_up()
    new = reissue(lane)
    with pytest.raises(Rejected, match=f"already, as {new}"):
        reissue(lane, 0)
    lane.answer("fatal-error")
    assert reissue(lane, 1) not in ("", new)


def test_closed_case_has_dropped_content() -> None:
    lane = given_up()
    assert lane.last.content
    lane.decide("close-case", reason="delivered-otherwise")
    assert lane.last.content is None
    with pytest.raises(Rejected, match="the case of the message is closed"):
        reissue(lane)


def test_decision_that_cannot_be_carried_out_changes_nothing() -> None:
    lane = given_up()
    row, lane.context = lane.row, context(Unroutable())
    with pytest.raises(Rejected) as refused:
        reissue(lane)
    assert (refused.value.rule, lane.row) == ("unroutable", row)


def test_step_repeated_after_crash_is_recorded_once() -> None:
    lane = given_up()
    old = lane.last.message_id
    new = reissue(lane, id="decision-1")
    assert silent(lane.decide("send-anew", message_id=old, id="decision-1"), lane)
    assert lane.last.message_id == new


def test_new_message_queues_behind_waiting_ones() -> None:
    lane = admitted()
    lane.answer()
    lane.play("A21 09:00").answer("fatal-error")
    lane.play("A22 13:00").refuse()
    waiting = lane.letters[-1].message_id
    new = reissue(lane, 1)
    assert [letter.message_id for letter in lane.letters[-2:]] == [waiting, new]


def test_late_receipt_settles_old_message_only() -> None:
    lane = given_up()
    old = lane.last.message_id
    new = reissue(lane)
    lane.answer(message_id=old)
    assert lane.row is not None
    settled = lane.row.deliveries[old]
    assert (settled.state, settled.late) == (DeliveryState.ACKED_OK, True)
    assert settled.case is not None
    assert settled.case.closing == f"replaced-by {new}"


@pytest.mark.parametrize("way", SENDABLE)
def test_it_is_one_notification_more_of_event(way: str) -> None:
    lane = SENDABLE[way]()
    state = str(lane.last.state)
    reissue(lane)
    lane.answer()
    events, messages, _ = books(lane)
    assert (events["converted"], events["notifications"], messages["created"]) == (1, 2, 2)
    assert (messages[state], messages["ACKED_OK"]) == (1, 1)


def test_old_message_is_forgotten_before_new_one() -> None:
    lane = given_up()
    new = reissue(lane)
    lane.elapse(lane.now + 30 * DAY + timedelta(minutes=1))
    assert lane.row is not None
    assert list(lane.row.deliveries) == [new]
