"""The rules of the distributor, B2 to B9 of 02 §7.2, as stories of one municipality with receivers A, B and C."""

from datetime import timedelta

import msgspec
import orjson
import pytest

from streams.delivery.distribution import AnswerState
from streams.distributor.row import MessageArrived, decode_record, decode_row
from streams.envelopes import beskedkuvert, vans
from streams.formats.fhir.build import to_json
from streams.kafka.topics import receiver as topic_of
from streams.messages import acknowledgement, edsevent
from streams.observer.evidence import open_letter
from streams.records.trace import audit_event
from streams.words.codes import Notice
from streams.words.errors import Rejected
from streams.words.ids import Lane
from streams.words.model import ReceiptIssue
from tests.meanings.notifications import LANE
from tests.rules.distributions import CODE, MINUTE, NOON, Behind, InboxLetter, letters, receiver, registers

N = Notice


@pytest.fixture
def town() -> Behind:
    return Behind()


@pytest.fixture
def stin() -> InboxLetter:
    return letters(N.STIN)[0]


# ---- B2: a copy for each receiver of that date -----------------------------------------------------------------------


def test_each_receiver_gets_message_as_it_came(town: Behind, stin: InboxLetter) -> None:
    town.arrive(stin)
    assert {one.topic: one.data for one in town.sent} == {
        topic_of(CODE, name): stin.sealed() for name in ("care", "overview", "archive")
    }
    assert {one.lane for one in town.sent} == {LANE}
    (arrival,) = [row for row in town.ledger if row.kind == "arrival"]
    assert (arrival.what, arrival.k, arrival.message) == ("distributed", 3, stin.message_id)


@pytest.mark.parametrize(
    ("notices", "expected"),
    [
        ((N.STIN, N.SLHJ), 1),  # the discharge
        ((N.STIN, N.SLHJ, N.RE_SLHJ), 2),  # its correction follows its type
        ((N.STIN, N.SLHJ, N.AN_SLHJ), 2),  # so does its cancellation
        ((N.STIN, N.STOR), 0),
    ],
)
def test_receiver_gets_notices_that_it_wants(notices: tuple[Notice, ...], expected: int) -> None:
    wishes = receiver("overview", "B", notices=frozenset({"SLHJ"}))
    town = Behind(registers().with_receivers(receiver("care", "A"), wishes))
    for letter in letters(*notices):
        town.arrive(letter)
    assert len(town.copies("overview")) == expected
    assert len(town.copies("care")) == len(notices)


def test_receivers_are_those_of_date_of_arrival(stin: InboxLetter) -> None:
    until, since = {"valid_to": NOON}, {"valid_from": NOON}
    both = (receiver("old", "A", **until), receiver("new", "A", **since), receiver("overview", "B"))
    town = Behind(registers().with_receivers(*both), now=NOON - timedelta(seconds=1))
    town.arrive(stin)
    town.now = NOON
    town.arrive(stin.again())  # copies are those of the first arrival (B2)
    assert (town.copies("old"), town.copies("new")) == ([stin.message_id] * 2, [])


def test_copy_in_envelope_of_beskedfordeler(stin: InboxLetter) -> None:
    sealed, record = receiver("care", "A", copies="beskedkuvert"), receiver("overview", "B", copies="record")
    town = Behind(registers().with_receivers(sealed, record, receiver("archive", "C")))
    town.arrive(stin)
    copies = {one.topic.rpartition(".")[2]: one for one in town.sent}
    document = to_json(stin.bundle)
    opened = beskedkuvert.open_envelope(copies["care"].data)
    assert (opened.payload, opened.message_id, opened.media_type) == (
        document,
        stin.message_id,
        "application/fhir+json",
    )
    assert b"urn:oio:cpr-nr:2509479989" in copies["care"].data
    copy = beskedkuvert.decode_copy(copies["overview"].data)
    assert (copy.payload, copy.receiver_system_id, copy.receiver_type) == (document, "overview", "B")
    assert copies["archive"].data == stin.sealed()
    assert {one.envelope_id[:8] for name, one in copies.items() if name != "archive"} == {LANE}
    assert {name: (one.schema, one.content_type) for name, one in copies.items()} == {
        "care": ("beskedkuvert-1.0", "application/xml"),
        "overview": ("copy-record", "application/json"),
        "archive": ("vans-envelope-1.0.4", "application/xml"),
    }
    assert {open_letter(one.data).message_id for one in town.sent} == {stin.message_id}  # type: ignore[union-attr]


def test_hand_over_that_is_tried_again_has_same_besked_id(stin: InboxLetter) -> None:
    town = Behind(registers().with_receivers(receiver("care", "A", copies="beskedkuvert")))
    town.refusing.add("care")
    town.arrive(stin)
    assert town.row is not None
    first = town.tried[0].envelope_id
    town.refusing.clear()
    town.wait(MINUTE)
    assert [one.envelope_id for one in town.sent] == [first]


# ---- B3: the verdict of A goes back ----------------------------------------------------------------------------------

_MISSING = ReceiptIssue(severity="error", code="code-invalid", details_code="MSG_VALUESET_VALUE_UNKNOWN", text="a code")


@pytest.mark.parametrize("verdict", ["ok", "fatal-error", "transient-error"])
def test_verdict_of_a_is_acknowledgement_of_municipality(town: Behind, stin: InboxLetter, verdict: str) -> None:
    town.arrive(stin)
    town.answer("care", verdict, stin, *([] if verdict == "ok" else [_MISSING]))  # type: ignore[arg-type, list-item]
    (answer,) = town.answers
    opened = vans.open_envelope(answer.data)
    bundle = orjson.loads(opened.payload)
    assert not [one for one in acknowledgement.check(bundle) if one.severity == "error"]
    receipt = acknowledgement.read(bundle)
    address = registers().address(CODE, "hospital-notification", NOON)
    assert address is not None
    assert (receipt.verdict, receipt.message_id) == (verdict, stin.message_id)
    assert (opened.sender, receipt.sender_gln, receipt.sender_sor) == (address.gln, address.gln, address.sor)
    assert (opened.receiver, receipt.destination_gln) == ("5790000209354", "5790000209354")
    assert [issue.details_code for issue in receipt.issues] == ([] if verdict == "ok" else [_MISSING.details_code])
    assert answer.receipt_id == receipt.ack_message_id
    assert all(one.startswith(LANE) for one in (receipt.ack_message_id, receipt.ack_envelope_id, opened.envelope_id))


def test_bare_message_is_answered_bare(town: Behind, stin: InboxLetter) -> None:
    town.arrive(to_json(stin.bundle))
    town.answer("care", "ok", stin)
    (answer,) = town.answers
    assert orjson.loads(answer.data)["entry"][0]["resource"]["response"]["code"] == "ok"
    assert {one.data for one in town.sent} == {to_json(stin.bundle)}


# ---- B4: B and C neither delay nor change it -------------------------------------------------------------------------


def test_answers_of_b_and_c_return_nothing(town: Behind, stin: InboxLetter) -> None:
    town.arrive(stin)
    town.answer("overview", "fatal-error", stin, _MISSING)
    town.answer("archive", "ok", stin)
    assert town.returned == []
    assert town.alarms == [("alert:copy-negative", "overview")]
    town.answer("care", "ok", stin)
    assert town.returned == [("ok", "answered")]
    assert town.classes == {"first": 2, "unasked": 1}


def test_missing_answer_of_b_raises_alert_once(town: Behind, stin: InboxLetter) -> None:
    town.arrive(stin)
    town.answer("care", "ok", stin)
    town.wait(29 * MINUTE)
    assert town.alarms == []
    town.wait(600 * MINUTE)
    assert town.alarms == [("alert:copy-missing", "overview")]
    assert town.returned == [("ok", "answered")]


# ---- B5: refused before anyone gets a copy ---------------------------------------------------------------------------


def test_message_with_errors_is_refused_without_asking_a(town: Behind, stin: InboxLetter) -> None:
    bundle = orjson.loads(orjson.dumps(stin.bundle))
    del bundle["entry"][1]["resource"]["status"]
    town.arrive(InboxLetter(bundle))
    assert town.returned == [("fatal-error", "refused")]
    assert town.sent == []
    assert (town.arrivals, len(town.dead)) == ({"refused": 1}, 1)
    receipt = acknowledgement.read(orjson.loads(vans.open_envelope(town.answers[0].data).payload))
    assert receipt.issues


def test_unknown_receiver_is_refused(town: Behind, stin: InboxLetter) -> None:
    town.arrive(stin.sealed("5790000000005"))
    assert town.returned == [("fatal-error", "refused")]
    assert town.dead == ["MSG_Receiver_Identifier_UNKNOWN"]
    assert town.sent == []


def test_refused_message_gets_same_verdict_again(town: Behind, stin: InboxLetter) -> None:
    town.arrive(stin.sealed("5790000000005"))
    town.arrive(stin.again().sealed("5790000000005"))
    assert town.returned == [("fatal-error", "refused")] * 2
    assert len({one.receipt_id for one in town.answers}) == 2


@pytest.mark.parametrize("data", [b"", b"<VANSEnvelope", b"{}", b"nothing", b"\x00\xff" * 40, b"UNB+UNOC:3+"])
def test_what_cannot_be_read_is_dead_letter(town: Behind, data: bytes) -> None:
    town.arrive(data)
    assert (town.arrivals, len(town.dead), town.row) == ({"refused": 1}, 1, None)


def test_envelope_of_something_else_gets_negative_receipt(town: Behind, stin: InboxLetter) -> None:
    town.arrive(stin.sealed().replace(b"<SizeInBytes>", b"<SizeInBytes>1"))
    (receipt,) = town.envelope_receipts
    assert b"NegativeMessage" in receipt.data
    assert town.arrivals == {"refused": 1}


def test_good_envelope_gets_its_own_receipt(town: Behind, stin: InboxLetter) -> None:
    town.arrive(stin)
    (receipt,) = town.envelope_receipts
    assert b"PositiveMessage" in receipt.data


def test_day_without_receiver_a_is_no_reason_to_refuse_for_good(stin: InboxLetter) -> None:
    town = Behind(registers().with_receivers(receiver("care", "A", valid_to=NOON), receiver("overview", "B")))
    town.arrive(stin)
    assert town.returned == [("transient-error", "no-receiver-a")]
    assert (town.arrivals, town.sent) == ({"refused": 1}, [])


def test_used_bundle_id_is_refused(town: Behind) -> None:
    stin, slhj = letters(N.STIN, N.SLHJ)
    town.arrive(stin)
    town.arrive(InboxLetter(slhj.bundle | {"id": stin.bundle["id"]}))
    assert town.returned == [("fatal-error", "MSG_DUPLICATE_ID")]
    assert town.copies("care") == [stin.message_id]


# ---- B6: transient-error after 25 minutes ----------------------------------------------------------------------------


def test_silent_a_means_transient_error_after_25_minutes(town: Behind, stin: InboxLetter) -> None:
    town.arrive(stin)
    town.wait(25 * MINUTE - timedelta(seconds=1))
    assert town.returned == []
    town.wait(timedelta(seconds=1))
    assert town.returned == [("transient-error", "overdue")]
    town.wait(600 * MINUTE)
    assert town.returned == [("transient-error", "overdue")]


def test_late_ok_of_a_follows(town: Behind, stin: InboxLetter) -> None:
    town.arrive(stin)
    town.wait(26 * MINUTE)
    town.answer("care", "ok", stin)
    assert town.returned == [("transient-error", "overdue"), ("ok", "answered")]


def test_refused_copy_of_a_is_tried_until_it_leaves(town: Behind, stin: InboxLetter) -> None:
    town.refusing.add("care")
    town.arrive(stin)
    assert (town.copies("care"), len(town.copies("overview"))) == ([], 1)
    town.wait(26 * MINUTE)
    assert town.returned == [("transient-error", "overdue")]
    town.refusing.clear()
    town.wait(6 * MINUTE)
    assert town.copies("care") == [stin.message_id]
    assert [row.what for row in town.ledger if row.kind == "copy" and row.system == "care"][-1] == "delivered"


# ---- B7: the hospital sends again ------------------------------------------------------------------------------------


def test_duplicate_goes_to_a_alone_while_it_is_silent(town: Behind, stin: InboxLetter) -> None:
    town.arrive(stin)
    town.wait(26 * MINUTE)
    town.arrive(stin.again())
    assert (len(town.copies("care")), len(town.copies("overview")), len(town.copies("archive"))) == (2, 1, 1)
    assert town.sent[-1].data == stin.again().sealed()
    town.wait(24 * MINUTE)
    assert town.returned == [("transient-error", "overdue")]
    town.wait(MINUTE)  # each dispatch is answered within its time
    assert town.returned == [("transient-error", "overdue")] * 2


@pytest.mark.parametrize("verdict", ["ok", "fatal-error"])
def test_duplicate_after_answer_gets_same_verdict(town: Behind, stin: InboxLetter, verdict: str) -> None:
    town.arrive(stin)
    town.answer("care", verdict, stin, _MISSING)  # type: ignore[arg-type]
    town.arrive(stin.again())
    assert town.returned == [(verdict, "answered"), (verdict, "repeated")]
    assert len(town.sent) == 3
    first, second = (acknowledgement.read(orjson.loads(vans.open_envelope(one.data).payload)) for one in town.answers)
    assert first.issues == second.issues
    assert first.ack_message_id != second.ack_message_id
    assert town.arrivals == {"distributed": 1, "duplicate": 1}


def test_duplicate_after_transient_goes_to_a_once_more(town: Behind, stin: InboxLetter) -> None:
    town.arrive(stin)
    town.answer("care", "transient-error", stin)
    town.arrive(stin.again())
    town.answer("care", "ok", stin)
    assert town.returned == [("transient-error", "answered"), ("ok", "answered")]
    assert len(town.copies("care")) == 2


def test_same_arrival_twice_is_no_duplicate(town: Behind, stin: InboxLetter) -> None:
    town.arrive(stin, origin="municipality.0461.inbox/0/7")
    town.arrive(stin, origin="municipality.0461.inbox/0/7")
    assert (town.arrivals, len(town.sent)) == ({"distributed": 1}, 3)


# ---- B8: two verdicts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "second"), [("ok", "fatal-error"), ("fatal-error", "ok")])
def test_first_verdict_counts_and_second_is_conflict(town: Behind, stin: InboxLetter, first: str, second: str) -> None:
    town.arrive(stin)
    town.answer("care", first, stin)  # type: ignore[arg-type]
    town.answer("care", second, stin)  # type: ignore[arg-type]
    assert town.returned == [(first, "answered")]
    assert town.alarms == [("case:copy-conflict", "care")]
    assert town.classes == {"first": 1, "conflicting": 1}


# ---- B9: no message overtakes another --------------------------------------------------------------------------------


def test_discharge_waits_behind_admission_that_has_not_left(town: Behind) -> None:
    stin, slhj = letters(N.STIN, N.SLHJ)
    town.refusing.add("overview")
    town.arrive(stin)
    town.refusing.clear()  # the discharge would be taken at once
    town.arrive(slhj)
    assert town.copies("care") == [stin.message_id, slhj.message_id]
    assert town.copies("overview") == []
    town.wait(10 * MINUTE)
    assert town.copies("overview") == [stin.message_id, slhj.message_id]
    waiting = [(row.subject, row.what) for row in town.ledger if row.kind == "copy" and row.system == "overview"]
    assert waiting == [
        (stin.message_id, "waiting"),
        (slhj.message_id, "waiting"),
        (stin.message_id, "delivered"),
        (slhj.message_id, "delivered"),
    ]


# ---- answers that fit nothing ----------------------------------------------------------------------------------------


def test_answer_about_unknown_message_is_dead_letter(town: Behind, stin: InboxLetter) -> None:
    town.answer("care", "ok", stin)
    assert (town.classes, town.dead, town.returned) == ({"unmatched": 1}, ["unmatched"], [])


def test_answer_of_system_without_copy_is_quarantined(town: Behind, stin: InboxLetter) -> None:
    town.arrive(stin)
    town.answer("stranger", "ok", stin)
    assert (town.classes, town.dead) == ({"quarantined": 1}, ["receipt-from-other-unit"])
    assert town.state("care", stin) is AnswerState.WAITING


def test_document_on_topic_of_receipts_is_read(town: Behind, stin: InboxLetter) -> None:
    town.arrive(stin)
    at = town.now
    bundle = acknowledgement.write(
        stin.bundle, "ok", header_id="00000000-0000-4000-8000-000000000001", envelope_id="0" * 36, at=at
    )
    town.post("care", orjson.dumps(bundle))
    assert town.returned == [("ok", "answered")]


def test_receipt_of_envelope_is_no_answer(town: Behind, stin: InboxLetter) -> None:
    town.arrive(stin)
    town.post("care", town.envelope_receipts[0].data)
    assert (town.classes, town.returned) == ({}, [])


@pytest.mark.parametrize("data", [b"", b"<VANSEnvelope", b"{}", b"nothing", b"\x00\xff" * 40])
def test_unreadable_receipt_is_dead_letter(town: Behind, data: bytes) -> None:
    town.post("care", data)
    assert (town.classes, len(town.dead)) == ({"unreadable": 1}, 1)


# ---- ids that others made -----------------------------------------------------------------------------------------


def test_answer_finds_message_whose_id_leads_elsewhere(town: Behind, stin: InboxLetter) -> None:
    """The inbox has the stay's lane as key; the answer looks where the id leads and is sent on."""
    town.arrive(stin, key=b"0badcafe")
    elsewhere = [one for one in town.records if one.__class__.__name__ == "Elsewhere"]
    assert [(one.lane, one.message_id) for one in elsewhere] == [(Lane("0badcafe"), stin.message_id)]  # type: ignore[union-attr]
    assert {one.lane for one in town.sent} == {"0badcafe"}


# ---- status events (03 §4.2) ---------------------------------------------------------------------------------------


def test_status_events_of_station_behind_inbox(town: Behind, stin: InboxLetter) -> None:
    town.arrive(stin)
    town.answer("care", "ok", stin)
    town.answer("overview", "ok", stin)
    town.arrive(stin.again())
    assert [(one.subtype, one.profile) for one in town.traced] == [
        ("msg-received", "patient"),
        ("msg-sent", "patient"),
        ("msg-created-and-sent", "basic"),
        ("msg-received", "patient"),
        ("msg-created-and-sent", "basic"),
    ]
    events = [audit_event(one) for one in town.traced]
    assert [issue for event in events for issue in edsevent.check(event, outgoing=True)] == []
    assert len({event["id"] for event in events}) == 5
    times = [one.recorded for one in town.traced]
    assert times == sorted(set(times))


def test_refused_hand_over_to_a_is_an_event(town: Behind, stin: InboxLetter) -> None:
    town.refusing.add("care")
    town.arrive(stin)
    town.refusing.clear()
    town.wait(MINUTE)
    sent = [one for one in town.traced if one.subtype == "msg-sent"]
    assert [one.outcome for one in sent] == ["8", "0"]
    assert len({audit_event(one)["id"] for one in sent}) == 2


def test_refused_message_is_answered_in_trace(town: Behind, stin: InboxLetter) -> None:
    town.arrive(stin.sealed("5790000000005"))
    assert [one.subtype for one in town.traced] == ["msg-created-and-sent"]


# ---- the row -------------------------------------------------------------------------------------------------------


def test_content_is_kept_until_it_is_of_no_use(town: Behind, stin: InboxLetter) -> None:
    town.arrive(stin)
    assert town.row is not None
    assert town.row.letters
    town.answer("care", "ok", stin)
    assert not town.row.letters


def test_lane_is_forgotten_when_it_is_old(town: Behind, stin: InboxLetter) -> None:
    town.arrive(stin)
    town.answer("care", "ok", stin)
    town.answer("overview", "ok", stin)
    town.wait(timedelta(days=30) - MINUTE)
    assert town.row is not None
    town.wait(2 * MINUTE)
    assert town.row is None


def test_nothing_of_person_is_shown(town: Behind, stin: InboxLetter) -> None:
    town.arrive(stin)
    town.answer("care", "fatal-error", stin)
    shown = f"{town.effects}{town.row}" + "".join(msgspec.json.encode(row).decode() for row in town.ledger)
    assert "2509479989" not in shown
    assert "Elmer" not in shown
    assert "2509479989" not in repr(next(one for one in town.records if isinstance(one, MessageArrived)))


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x01none of ours", b"x", b"\x02" + b"y" * 40])
def test_row_that_is_none_of_ours_is_refused(data: bytes) -> None:
    with pytest.raises(Rejected):
        decode_row(data)


@pytest.mark.parametrize("data", [None, b"", b"{}", b"[" * 5000, b'{"type": "letter"}', b"\xff"])
def test_record_that_is_none_of_ours_is_refused(data: bytes | None) -> None:
    with pytest.raises(Rejected):
        decode_record(data)
