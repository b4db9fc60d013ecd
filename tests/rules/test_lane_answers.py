"""What answers, deadlines and decisions do to the messages of a lane (02 §§4.4, 5; 00 §§3.2, 3.3; 01 A-8)."""

from datetime import timedelta
from typing import Any

import pytest

from streams.delivery.rules import DeliveryState
from streams.records.trace import audit_event
from streams.relay.lane import LaneTurn
from streams.words.model import NetworkReceiptArrived, Overdue, Receipt, ReceiptArrived, ReceiptIssue
from tests.rules.lanes import MINUTE, Lane, Otherwise, context, envelope, opened, resources
from tests.rules.stay_events import clock

LIMIT = timedelta(minutes=30)
SECOND_UNIT = "5790000120420"
ADDRESSED = Lane(context()).play("A01 08:00").last.address.receiver.gln
FOREIGN = "0101"  # a municipality that was not addressed


def admitted(**terms: object) -> Lane:
    """A lane with one message under way."""
    return Lane(context(Otherwise(**terms) if terms else None)).play("A01 08:00")


def states(lane: Lane) -> list[str]:
    """What the ledger shows the message went through."""
    return [("-" if row.delta < 0 else "") + row.what for row in lane.rows if row.kind == "message"]


def silent(result: LaneTurn, lane: Lane) -> bool:
    """Whether a record changed nothing and gave no effect."""
    return result.effects == () and result.row == lane.row


# ---- acknowledgements -------------------------------------------------------------------------------------------


def test_ok_settles_message_and_is_traced() -> None:
    lane = admitted()
    receipt = lane.answer()
    assert (lane.states, lane.classes, states(lane)) == (
        [DeliveryState.ACKED_OK],
        ["first"],
        ["CREATED", "SENT", "ACKED_OK"],
    )
    step = lane.steps[-1]
    assert (step.subtype, step.profile, step.outcome) == ("msg-received-and-finalized", "basic", "0")
    assert (step.message_id, step.original_message_id) == (receipt.ack_message_id, lane.last.message_id)
    assert (step.sender.sor, step.receiver.sor) == (lane.last.address.receiver.sor, lane.last.sender.sor)
    assert (lane.last.ack_message_id, lane.last.verdict, lane.last.content) == (receipt.ack_message_id, "ok", None)


def test_fatal_error_opens_case_with_what_was_wrong() -> None:
    lane, issue = admitted(), ReceiptIssue(severity="error", code="code-invalid")
    receipt = Receipt(
        verdict="fatal-error",
        message_id=lane.last.message_id,
        transport_sender=lane.last.address.receiver.gln,
        issues=(issue,),
        origin="receipts.raw/0/1",
    )
    lane.take(ReceiptArrived(at=clock("08:05"), receipt=receipt))
    assert lane.last.case is not None
    assert (lane.last.case.reason, lane.last.case.issues) == ("fatal", (issue,))


@pytest.mark.parametrize(
    ("verdicts", "classes"),
    [
        (("ok", "ok", "ok"), ["first", "repeated", "repeated"]),
        (("ok", "fatal-error"), ["first", "conflicting"]),
        (("fatal-error", "ok"), ["first", "conflicting"]),
        (("transient-error", "ok", "transient-error"), ["transient", "first", "stale"]),
    ],
    ids=lambda value: "-".join(value),
)
def test_every_receipt_has_one_class_and_one_event(verdicts: tuple[str, ...], classes: list[str]) -> None:
    lane = admitted()
    for verdict in verdicts:
        lane.answer(verdict)  # type: ignore[arg-type]  # the three verdicts
    assert lane.classes == classes
    events = [step for step in lane.steps if step.subtype == "msg-received-and-finalized"]
    assert [step.statistics.rpartition("#")[2] for step in events] == list(verdicts)
    assert len({audit_event(step)["id"] for step in lane.steps}) == len(lane.steps)


def test_same_arrival_twice_is_recorded_once() -> None:
    lane = admitted()
    receipt = lane.answer("transient-error")
    assert silent(lane.take(ReceiptArrived(at=lane.now + MINUTE, receipt=receipt)), lane)
    assert (lane.classes, lane.last.counts.transient) == (["transient"], 1)


def test_receipt_arriving_again_has_own_event() -> None:
    lane = admitted()
    first = lane.answer()
    lane.answer(
        ack_message_id=first.ack_message_id, ack_envelope_id=first.ack_envelope_id, transport_id=first.transport_id
    )
    assert (lane.classes, [s.ordinal for s in lane.steps[-2:]]) == (["first", "repeated"], [0, 1])


def test_receipt_may_quote_id_of_bundle() -> None:
    lane = admitted()
    lane.overdue()
    lane.answer(message_id=lane.last.attempts[0].envelope_id)
    assert lane.states == [DeliveryState.ACKED_OK]
    assert lane.last.nonconformant
    assert lane.steps[-1].original_message_id == lane.last.message_id


def test_receipt_is_matched_by_provenance() -> None:
    lane = admitted()
    lane.answer(message_id="nothing-known", fallback_ids=(lane.last.message_id,))
    assert lane.states == [DeliveryState.ACKED_OK]
    assert lane.last.nonconformant


def test_receipt_quotes_its_own_message_and_settles_no_other() -> None:
    lane = Lane().play("A01 08:00", "A21 10:00")
    first = next(iter(lane.row.deliveries))  # type: ignore[union-attr]  # two messages are under way
    lane.answer(message_id=first)
    assert lane.states == [DeliveryState.ACKED_OK, DeliveryState.SENT]


@pytest.mark.parametrize(
    "who",
    [
        pytest.param({"transport_sender": SECOND_UNIT}, id="by the envelope"),
        pytest.param({"transport_id": "", "transport_sender": "", "sender_gln": SECOND_UNIT}, id="a bare document"),
    ],
)
def test_receipt_of_another_unit_is_quarantined_and_not_applied(who: dict[str, Any]) -> None:
    lane = admitted()
    lane.answer(**who)
    assert (lane.states, lane.classes) == ([DeliveryState.SENT], ["quarantined"])
    assert lane.dead_letters[-1].rejected.rule == "receipt-from-other-unit"
    assert [step.subtype for step in lane.steps] == ["msg-created", "msg-sent"]


@pytest.mark.parametrize(
    "who",
    [
        pytest.param({}, id="the right unit in the envelope"),
        pytest.param(
            {"transport_id": "", "transport_sender": "", "sender_gln": ADDRESSED}, id="the right unit in the document"
        ),
        pytest.param({"transport_sender": SECOND_UNIT}, id="an alias in the envelope"),
    ],
)
def test_receipt_from_foreign_letterbox_is_quarantined(who: dict[str, Any]) -> None:
    lane = admitted(aliases=(SECOND_UNIT,))
    lane.answer(**who, posted_by=FOREIGN)
    assert (lane.states, lane.classes) == ([DeliveryState.SENT], ["quarantined"])
    assert lane.dead_letters[-1].rejected.rule == "receipt-from-other-unit"
    assert lane.dead_letters[-1].rejected.path == "topic"
    lane.answer(posted_by=lane.last.address.kommunekode)
    assert lane.states == [DeliveryState.ACKED_OK]


@pytest.mark.parametrize(
    ("who", "state"),
    [
        pytest.param({}, DeliveryState.ACKED_OK, id="the addressed unit in the envelope"),
        pytest.param({"transport_sender": SECOND_UNIT}, DeliveryState.SENT, id="another unit in the envelope"),
        pytest.param({"transport_sender": "", "sender_gln": SECOND_UNIT}, DeliveryState.ACKED_OK, id="a bare document"),
    ],
)
def test_within_municipality_envelope_names_unit(who: dict[str, Any], state: DeliveryState) -> None:
    lane = admitted()
    lane.answer(**who, posted_by=lane.last.address.kommunekode)
    assert lane.states == [state]


def test_orphan_from_foreign_letterbox_settles_nothing() -> None:
    admission = admitted().last
    lane = Lane()
    receipt = Receipt(
        verdict="ok",
        message_id=admission.message_id,
        transport_sender=admission.address.receiver.gln,
        origin="x/0/1",
        posted_by=FOREIGN,
    )
    lane.take(ReceiptArrived(at=clock("08:00"), receipt=receipt))
    lane.play("A01 08:00").elapse(clock("08:06"))
    assert (lane.states, lane.classes) == ([DeliveryState.SENT], ["quarantined"])


def test_network_receipt_from_foreign_letterbox_changes_nothing() -> None:
    lane = admitted()
    before = lane.row
    lane.network(positive=False, posted_by=FOREIGN)
    assert lane.row == before
    assert lane.dead_letters[-1].rejected.rule == "receipt-from-other-unit"
    lane.network(positive=False, posted_by=lane.last.address.kommunekode)
    assert lane.row != before


def test_quarantined_arrival_is_not_counted_twice() -> None:
    lane = admitted()
    receipt = lane.answer(transport_sender=SECOND_UNIT)
    assert silent(lane.take(ReceiptArrived(at=lane.now, receipt=receipt)), lane)


def test_alias_of_addressed_unit_may_answer() -> None:
    lane = admitted(aliases=(SECOND_UNIT,))
    lane.answer(transport_sender=SECOND_UNIT)
    assert lane.states == [DeliveryState.ACKED_OK]


# ---- receipts without a message ---------------------------------------------------------------------------------


def test_receipt_without_message_is_tried_again_then_dead_lettered() -> None:
    lane = admitted()
    units: dict[str, Any] = {"sender_sor": "1", "destination_sor": "2", "sender_gln": "3", "destination_gln": "4"}
    receipt = lane.answer(message_id="unknown", **units)
    assert (lane.classes, lane.dead_letters) == ([], [])
    assert [(row.what, row.delta) for row in lane.rows if row.kind == "receipt"] == [("waiting-for-recheck", 0)]
    arrived = lane.now
    lane.elapse(arrived + timedelta(minutes=4))
    assert lane.classes == []
    lane.elapse(arrived + timedelta(minutes=5))
    assert (lane.classes, lane.states) == (["unmatched"], [DeliveryState.SENT])
    step = lane.steps[-1]
    assert (step.outcome, step.original.type, step.original_message_id) == ("8", "unknown", "unknown")
    assert lane.dead_letters[-1].record == ReceiptArrived(at=arrived + timedelta(minutes=5), receipt=receipt)


def test_unmatched_receipt_without_sender_gives_no_event() -> None:
    lane = admitted()
    lane.answer(message_id="unknown")
    lane.elapse(lane.now + timedelta(minutes=6))
    assert (lane.classes, len(lane.steps)) == (["unmatched"], 2)


def test_same_orphan_again_is_one_orphan() -> None:
    lane = admitted()
    receipt = lane.answer(message_id="unknown")
    assert silent(lane.take(ReceiptArrived(at=lane.now, receipt=receipt)), lane)
    lane.elapse(lane.now + timedelta(minutes=6))
    assert silent(lane.take(ReceiptArrived(at=lane.now, receipt=receipt)), lane)


def test_receipt_that_overtook_its_message_is_taken_up() -> None:
    admission = admitted().last
    lane = Lane()
    receipt = Receipt(
        verdict="ok",
        message_id=admission.message_id,
        ack_message_id="ack",
        transport_sender=admission.address.receiver.gln,
        origin="receipts.raw/0/1",
    )
    lane.take(ReceiptArrived(at=clock("08:00"), receipt=receipt))
    lane.play("A01 08:00")
    lane.elapse(clock("08:06"))
    assert (lane.states, lane.classes) == ([DeliveryState.ACKED_OK], ["first"])


# ---- the network ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("positive", "envelope", "state"),
    [
        (True, -1, DeliveryState.NETWORK_OK),
        (False, -1, DeliveryState.UNDELIVERABLE),
        (True, 0, DeliveryState.SENT),
        (False, 0, DeliveryState.SENT),
    ],
    ids=["current-positive", "current-negative", "earlier-positive", "earlier-negative"],
)
def test_network_answers_for_one_envelope(positive: bool, envelope: int, state: DeliveryState) -> None:
    lane = admitted()
    lane.overdue()
    steps = len(lane.steps)
    lane.network(positive=positive, envelope=envelope)
    assert (lane.states, lane.classes, len(lane.steps)) == ([state], [], steps)


def test_same_arrival_of_network_receipt_counts_once() -> None:
    lane = admitted()
    receipt = lane.network()
    assert silent(lane.take(NetworkReceiptArrived(at=lane.now, receipt=receipt)), lane)
    assert lane.last.counts.net_pos == 1


def test_network_receipt_for_foreign_envelope_is_dead_lettered() -> None:
    lane = admitted()
    lane.network(original_transport_id="unknown")
    assert (lane.dead_letters[-1].rejected.rule, lane.classes, lane.states) == (
        "unknown-envelope",
        [],
        [DeliveryState.SENT],
    )


def test_verdict_after_networks_refusal_corrects_books() -> None:
    lane = admitted()
    lane.network(positive=False)
    lane.answer()
    assert states(lane)[-3:] == ["UNDELIVERABLE", "-UNDELIVERABLE", "ACKED_OK"]
    assert (lane.last.late, lane.classes) == (True, ["first"])


# ---- time limits ------------------------------------------------------------------------------------------------


def test_resend_keeps_message_and_renews_envelope() -> None:
    lane = Lane().play("A01 08:00", "A21 10:00")
    lane.overdue()
    first, second = lane.letters[-2:]
    before, after = opened(first), opened(second)
    assert first.message_id == second.message_id == resources(after, "MessageHeader")[0]["id"]
    assert before["id"] != after["id"]
    assert (before["timestamp"], after["timestamp"]) == ("2026-03-01T10:01:00+01:00", "2026-03-01T10:31:00+01:00")
    old, new = resources(before, "Provenance"), resources(after, "Provenance")
    assert len(old) == len(new) == 2
    assert old[0] == new[0]
    assert (old[1]["id"], old[1]["recorded"] < new[1]["recorded"]) == (new[1]["id"], True)
    assert new[1]["occurredDateTime"] == new[1]["recorded"]
    for kind in ("MessageHeader", "Encounter", "Patient", "Organization"):
        assert resources(before, kind) == resources(after, kind)
    one, two = envelope(first), envelope(second)
    assert (one.envelope_id != two.envelope_id, two.sent) == (True, clock("10:31"))
    assert two.meta is not None
    assert two.meta.identifier == after["id"]


def test_without_answer_it_is_given_up_after_three() -> None:
    lane = admitted().elapse(clock("10:00"))
    assert [envelope(letter).sent for letter in lane.letters] == [clock("08:01"), clock("08:31"), clock("09:01")]
    assert states(lane) == ["CREATED", "SENT", "SENT", "SENT", "GIVEN_UP"]
    assert [row.attempt for row in lane.rows if row.kind == "message"] == [0, 1, 2, 3, 3]
    assert (lane.last.finished, lane.last.deadline) == (clock("09:31"), None)
    assert [step.subtype for step in lane.steps] == ["msg-created", *["msg-sent"] * 3]


def test_late_ok_corrects_books_and_closes_case() -> None:
    lane = admitted().elapse(clock("10:00"))
    lane.answer()
    assert states(lane)[-2:] == ["-GIVEN_UP", "ACKED_OK"]
    assert lane.last.late
    assert lane.last.case is not None
    assert (lane.last.case.reason, lane.last.case.closing) == ("timeout", "late-ok")


def test_deadline_that_is_no_longer_current_one_is_ignored() -> None:
    lane = admitted()
    last = lane.last
    assert last.deadline is not None
    lane.overdue()
    stale = Overdue(at=lane.now, message_id=last.message_id, attempt=1, deadline=last.deadline)
    assert silent(lane.take(stale), lane)


def test_deadline_fires_at_its_time_and_not_before() -> None:
    lane = admitted()
    deadline = lane.last.deadline
    assert deadline is not None
    early = Overdue(at=deadline - MINUTE, message_id=lane.last.message_id, attempt=1, deadline=deadline)
    assert silent(lane.take(early), lane)


def test_in_manual_mode_message_waits_for_operator() -> None:
    lane = admitted(mode="manual").elapse(clock("12:00"))
    assert (lane.states, len(lane.letters)) == ([DeliveryState.TIMED_OUT], 1)
    lane.decide("resend")
    assert (lane.states, len(lane.letters), lane.last.deadline) == ([DeliveryState.SENT], 2, lane.now + LIMIT)
