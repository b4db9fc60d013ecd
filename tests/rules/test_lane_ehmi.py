"""The EHMI route: envelopes answered both ways, five status events for a notification, a warning after ten minutes.

Decided by spec 02 §§3.2, 5.3, 5.4 and 03 §4.1 (S6, S10).
"""

from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
from lxml import etree

from streams.delivery.route import ARCHIVE
from streams.envelopes import sbdh
from streams.records.trace import SBDH
from streams.relay.lane import Dispatch, encode_row
from streams.relay.receipts import take_receipt
from streams.sim.municipality import answer, behaviour
from streams.words.ids import minted_lane
from streams.words.model import NetworkReceiptArrived, ReceiptArrived
from tests.rules.lanes import MINUTE, Lane, Otherwise, context
from tests.rules.stay_events import IDS

ARRIVED = "d2f4a3f0-1111-4222-8333-444455556666"


def route(**terms: Any) -> Lane:
    """A lane whose municipality receives over EHMI, with one message under way."""
    return Lane(context(Otherwise(envelope="sbdh", **terms))).play("A01 08:00")


def letters(lane: Lane, *, receipts: bool = False) -> list[Dispatch]:
    """The letters of messages, or the receipts of envelopes."""
    return [one for one in lane.letters if (one.event_type == "envelope-receipt") is receipts]


def answered(lane: Lane, verdict: Any = "ok", **more: Any) -> None:
    """The municipality answers in an SBDH, which asks for a receipt of its own."""
    lane.answer(verdict, transport_id=ARRIVED, asked=lane.now, **more)


def network(lane: Lane, **more: Any) -> None:
    """The receipt of the current envelope."""
    lane.network(layer="sbdh", transport_id="receipt-1", **more)


def test_notification_has_five_status_events() -> None:
    lane = route()
    network(lane)
    answered(lane)
    assert [(one.subtype, one.document.type) for one in lane.steps] == [
        ("msg-created", "hospital-notification-message"),
        ("msg-sent", "hospital-notification-message"),
        ("msg-received-and-finalized", "ehmisbdh-acknowledgement"),
        ("msg-created-and-sent", "ehmisbdh-acknowledgement"),
        ("msg-received-and-finalized", "acknowledgement-message"),
    ]
    assert {one.transport for one in lane.steps[1:]} == {SBDH}
    recorded = [one.recorded for one in lane.steps]
    assert recorded == sorted(set(recorded)), "recorded increases strictly"
    assert lane.states == ["ACKED_OK"]


def test_letter_is_an_sbdh_in_inbox() -> None:
    lane = route()
    (letter,) = letters(lane)
    opened = sbdh.open_envelope(letter.payload)
    assert (letter.envelope, letter.topic) == ("sbdh", "municipality.0461.inbox")
    assert opened.envelope_id == letter.transport_id == lane.last.attempts[0].transport_id
    assert opened.scopes["MESSAGEIDENTIFIER"] == letter.message_id
    assert opened.scopes["MESSAGEENVELOPEIDENTIFIER"] == lane.last.attempts[0].envelope_id
    assert minted_lane(opened.envelope_id) == letter.lane


def test_resend_has_new_ids_and_names_the_person_still() -> None:
    lane = route()
    lane.overdue()
    first, second = (sbdh.open_envelope(letter.payload) for letter in letters(lane))
    same = ("MESSAGEIDENTIFIER", "PATIENTID", "StatisticalInformation")
    assert [first.scopes[key] for key in same] == [second.scopes[key] for key in same]
    assert first.envelope_id != second.envelope_id
    assert first.created < second.created
    assert first.scopes["MESSAGEENVELOPEIDENTIFIER"] != second.scopes["MESSAGEENVELOPEIDENTIFIER"]


@pytest.mark.parametrize(("positive", "state"), [(True, "NETWORK_OK"), (False, "UNDELIVERABLE")])
def test_receipt_of_envelope_moves_delivery(positive: bool, state: str) -> None:
    lane = route()
    network(lane, positive=positive)
    (step,) = lane.steps[2:]
    assert (lane.states, step.outcome, step.original_transport_id) == ([state], "0", lane.last.attempts[0].transport_id)


def test_receipt_that_comes_again_is_an_event_of_its_own() -> None:
    lane = route()
    network(lane)
    network(lane)
    assert [one.ordinal for one in lane.steps[2:]] == [0, 1]
    assert lane.last.counts.net_pos == 2


def test_step_taken_again_adds_nothing() -> None:
    lane = route()
    receipt = lane.network(layer="sbdh", transport_id="receipt-1")
    row, count = lane.row, len(lane.effects)
    lane.take(NetworkReceiptArrived(at=lane.now, receipt=receipt))
    assert (lane.row, len(lane.effects)) == (row, count)


def test_receipt_for_unknown_envelope_is_traced_as_such() -> None:
    lane = route()
    parties = {"sender_sor": "1", "receiver_sor": "2", "transport_sender": "3", "receiver_gln": "4"}
    network(lane, original_transport_id=lane.last.lane + "-0000-4000-8000-000000000000", **parties)
    assert (lane.steps[-1].outcome, lane.steps[-1].original.type) == ("8", "unknown")
    assert [one.rejected.rule for one in lane.dead_letters] == ["unknown-envelope"]


# ---- the receipt that we owe ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("verdict", ["ok", "fatal-error", "transient-error"])
def test_acknowledgement_gets_receipt_of_its_envelope(verdict: str) -> None:
    lane = route()
    answered(lane, verdict)
    (letter,) = letters(lane, receipts=True)
    receipt = sbdh.open_envelope(letter.payload).network_receipt()
    assert receipt is not None
    assert (receipt.positive, receipt.original_transport_id) == (True, ARRIVED)
    assert (letter.topic, minted_lane(letter.transport_id)) == ("municipality.0461.inbox", lane.last.lane)
    (held,) = [one for one in lane.effects if one.after == letter.message_id]
    assert held.action.step.subtype == "msg-created-and-sent"  # type: ignore[union-attr]


def test_repeated_acknowledgement_gets_another_receipt() -> None:
    lane = route()
    answered(lane)
    answered(lane)
    first, second = letters(lane, receipts=True)
    assert first.transport_id != second.transport_id
    assert lane.classes == ["first", "repeated"]


def test_acknowledgement_outside_an_sbdh_gets_none() -> None:
    lane = route()
    lane.answer()
    assert letters(lane, receipts=True) == []
    assert len(lane.steps) == 3


PARTIES = {"sender_sor": "1", "destination_sor": "2", "destination_gln": "3", "posted_by": "0461"}


def test_acknowledgement_of_nothing_gets_receipt_of_its_envelope() -> None:
    lane = route()
    unknown = f"{lane.last.lane}-0000-4000-8000-000000000000"
    answered(lane, message_id=unknown, **PARTIES)
    assert letters(lane, receipts=True) == [], "it may still find its message"
    lane.elapse(lane.now + 5 * MINUTE)
    (letter,) = letters(lane, receipts=True)
    assert (letter.topic, letter.lane) == ("municipality.0461.inbox", lane.last.lane)
    s10, s8 = lane.steps[2:]
    assert (s10.subtype, s8.subtype, s8.outcome) == ("msg-created-and-sent", "msg-received-and-finalized", "8")
    assert s10.recorded < s8.recorded


def test_quarantined_acknowledgement_gets_receipt_of_its_envelope() -> None:
    lane = route()
    answered(lane, transport_sender="2990000099990", **PARTIES)
    assert (lane.classes, lane.states) == (["quarantined"], ["SENT"])
    assert len(letters(lane, receipts=True)) == 1
    assert [one.subtype for one in lane.steps[2:]] == ["msg-created-and-sent"]


def test_sender_without_letterbox_gets_none() -> None:
    lane = route()
    answered(lane, transport_sender="2990000099990", **PARTIES | {"posted_by": ""})
    assert letters(lane, receipts=True) == []


def test_refused_receipt_leaves_message_as_it_is() -> None:
    lane = route()
    answered(lane)
    (letter,) = letters(lane, receipts=True)
    before = lane.row
    assert before is not None
    lane.refuse(letter.message_id)
    assert lane.row is not None
    assert encode_row(lane.row) == encode_row(before)


# ---- the warning ----------------------------------------------------------------------------------------------------


def warnings(lane: Lane) -> list[tuple[datetime, int]]:
    return [(lane.now, one.attempt) for one in lane.alarms if one.word == "alert:network"]


def test_envelope_without_receipt_is_warned_of_after_ten_minutes() -> None:
    lane = route()
    sent = lane.now
    lane.elapse(sent + timedelta(minutes=9, seconds=59))
    assert warnings(lane) == []
    lane.elapse(sent + 10 * MINUTE)
    lane.elapse(sent + 29 * MINUTE)
    assert (len(warnings(lane)), lane.last.attempt, lane.states) == (1, 1, ["SENT"])


def test_each_attempt_is_warned_of_once() -> None:
    lane = route()
    lane.elapse(lane.now + timedelta(hours=3))
    assert [attempt for _, attempt in warnings(lane)] == [1, 2, 3]
    assert lane.states == ["GIVEN_UP"]


def test_wait_is_that_of_policy() -> None:
    lane = route(network_warning=timedelta(minutes=2))
    lane.elapse(lane.now + 2 * MINUTE)
    assert len(warnings(lane)) == 1


@pytest.mark.parametrize("answers", [network, answered], ids=["network", "municipality"])
def test_answer_in_time_leaves_no_warning(answers: Any) -> None:
    lane = route()
    answers(lane)
    lane.elapse(lane.now + 29 * MINUTE)
    assert warnings(lane) == []


def test_vans_is_never_warned_of() -> None:
    lane = Lane().play("A01 08:00")
    lane.elapse(lane.now + timedelta(hours=3))
    assert warnings(lane) == []
    assert lane.last.network_due is None


# ---- from bytes ------------------------------------------------------------------------------------------------------


def test_bytes_of_municipality_settle_message() -> None:
    """Envelope receipt and acknowledgement as a municipality seals them, through the stage that reads receipts."""

    lane = route()
    (letter,) = letters(lane)
    for number, due in enumerate(answer(letter.payload, behaviour("ok"), lane.now, Random(1))):
        taken = take_receipt(
            due.data, origin=f"municipality.0461.receipts/0/{number}", at=lane.now, ids=IDS, posted_by="0461"
        )
        assert taken.record is not None
        assert taken.lane == lane.last.lane
        assert isinstance(taken.record, ReceiptArrived | NetworkReceiptArrived)
        lane.take(taken.record)
    assert lane.states == ["ACKED_OK"]
    assert [one.subtype for one in lane.steps] == [
        "msg-created",
        "msg-sent",
        "msg-received-and-finalized",
        "msg-created-and-sent",
        "msg-received-and-finalized",
    ]
    (own,) = letters(lane, receipts=True)
    assert etree.fromstring(own.payload).tag.endswith("StandardBusinessDocument")
    assert answer(own.payload, behaviour("ok"), lane.now, Random(1)) == []


# ---- the copy for the archive ---------------------------------------------------------------------------------------


def archiving(envelope: str = "sbdh") -> Lane:
    """The same where the archive gets copies."""
    return Lane(context(Otherwise(envelope=envelope), archive=True)).play("A01 08:00")


def copies(lane: Lane) -> list[Dispatch]:
    return [one for one in lane.letters if one.topic == ARCHIVE]


def archived(lane: Lane) -> list[str]:
    return [row.subject for row in lane.rows if row.kind == "archived"]


def test_delivered_message_is_copied_to_archive() -> None:
    lane = archiving()
    (letter,) = letters(lane)
    lane.answer()
    (copy,) = copies(lane)
    own, sent = sbdh.open_envelope(copy.payload), sbdh.open_envelope(letter.payload)
    assert own.payload == sent.payload
    assert own.scopes == sent.scopes
    assert own.envelope_id == copy.transport_id == copy.message_id != sent.envelope_id
    assert minted_lane(own.envelope_id) == lane.last.lane
    assert archived(lane) == [letter.message_id]


def test_copy_of_resend_is_what_municipality_has() -> None:
    lane = archiving()
    lane.overdue()
    lane.answer()
    (copy,) = copies(lane)
    assert sbdh.open_envelope(copy.payload).payload == sbdh.open_envelope(letters(lane)[1].payload).payload


@pytest.mark.parametrize("verdict", ["fatal-error", "transient-error"])
def test_message_that_is_not_delivered_is_not_copied(verdict: Any) -> None:
    lane = archiving()
    lane.answer(verdict)
    assert (copies(lane), archived(lane)) == ([], [])


def test_repeated_answer_makes_no_second_copy() -> None:
    lane = archiving()
    lane.answer()
    lane.answer()
    assert len(copies(lane)) == len(archived(lane)) == 1


@pytest.mark.parametrize("lane", [route(), archiving("vans")], ids=["setting off", "VANS"])
def test_no_copy_elsewhere(lane: Lane) -> None:
    lane.answer()
    assert (copies(lane), archived(lane)) == ([], [])


def test_content_that_is_gone_is_named() -> None:
    lane = archiving()
    lane.elapse(lane.now + timedelta(hours=3))
    lane.decide("close-case")
    lane.answer()
    assert (copies(lane), lane.alarms[-1].word, lane.alarms[-1].reason) == ([], "alert:archive", "content-gone")
