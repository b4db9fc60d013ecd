"""Legacy letters on their way: what each notice becomes, what follows a change of format, how receipts find it."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from streams.envelopes import vans
from streams.messages.edsevent import check as check_event
from streams.messages.legacy.document import write
from streams.messages.legacy.letter import AnsweredLetter, LetterReceipt
from streams.records.trace import audit_event
from streams.relay.receipts import take_receipt
from streams.words.times import COPENHAGEN
from tests.rules.formats_in_turn import CutOver, document, letter_in, sent
from tests.rules.lanes import DAY, MINUTE, Lane, books, context, opened, resources
from tests.rules.stay_events import IDS

BEGINS, ENDS, DIES = "20 nytbrev indlagt", "17 nytbrev udskrevet_til_hjemmet", "17 nytbrev doed"
NO_FORM = "+not-subject:not-representable"


def played(turns: str, *events: str, **more: Any) -> Lane:
    """A lane in which this has happened."""
    return Lane(context(CutOver(turns, **more))).play(*events)


#: What left of a story, by the forms in turn: 04 §13.2, 00 §§7.4-7.7, 7.23, 7.24; 05 §6.4.
STORIES = {
    "admitted and home": ("oioxml", "A01 08:00|A03 18:00", [f"oioxml {BEGINS}", f"oioxml {ENDS}"]),
    "in EDIFACT": ("edifact", "A01 08:00|A03 18:00 dead=yes", [f"edifact {BEGINS}", f"edifact {DIES}"]),
    "leave has no form": ("oioxml", "A01 08:00|A21 10:00|A22 12:00", [f"oioxml {BEGINS}"]),
    "an acute stay has none": ("oioxml", "A04 08:00|A03 18:00", []),
    "acute, then admitted": ("oioxml", "A04 08:00|A06 09:00", [f"oioxml {BEGINS}"]),
    "a correction": ("oioxml", "A01 08:00|A01 08:10", [f"oioxml {BEGINS}", "oioxml 20 rettetbrev indlagt"]),
    "a cancellation": ("oioxml", "A01 08:00|A11 08:30", [f"oioxml {BEGINS}", "oioxml 20 annulleretbrev indlagt"]),
    "the leave begins after the change": (
        "oioxml 10:00 fhir",
        "A01 08:00|A21 10:30|A22 12:00|A03 18:00",
        [f"oioxml {BEGINS}", "STOR 1 after a letter", "SLOR 2 after a letter", "SLHJ 3 after a letter"],
    ),
    "on leave at the change": (
        "oioxml 10:00 fhir",
        "A01 08:00|A21 09:00|A22 12:00|A03 18:00",
        [f"oioxml {BEGINS}", "SLOR 1 after a letter", "SLHJ 2 after a letter"],
    ),
    "ended at the change": (
        "oioxml 19:00 fhir",
        "A01 08:00|A03 18:00|A13 19:30|A03 20:00",
        [f"oioxml {BEGINS}", f"oioxml {ENDS}", "STIN 1 after a letter", "SLHJ 2 after a letter"],
    ),
    "dead at the change, in error": (
        "oioxml 19:00 fhir",
        "A01 08:00|A03 18:00 dead=yes|A13 19:30",
        [f"oioxml {BEGINS}", f"oioxml {DIES}", "STIN 1 after a letter"],
    ),
    "corrected after the change": (
        "oioxml 10:00 fhir",
        "A01 08:00|A01 08:10 now=10:30|A03 18:00",
        [f"oioxml {BEGINS}", "STIN 1 after a letter", "SLHJ 2 after a letter"],
    ),
    "corrected before and after": (
        "oioxml 10:00 fhir",
        "A01 08:00|A01 08:10|A01 08:20 now=10:30",
        [f"oioxml {BEGINS}", "oioxml 20 rettetbrev indlagt", "STIN 1 after a letter"],
    ),
    "the old format is still accepted": (
        "oioxml 19:00 fhir+oioxml",
        "A01 08:00|A03 18:00|A13 19:30|A03 20:00",
        [
            f"oioxml {BEGINS}",
            f"oioxml {ENDS}",
            "oioxml 17 annulleretbrev udskrevet_til_hjemmet",
            "SLHJ 1 after a letter",
        ],
    ),
    "cancelled after the change": ("oioxml 10:00 fhir", "A01 08:00|A11 10:30", [f"oioxml {BEGINS}"]),
    "acute at the change": ("oioxml 10:00 fhir", "A04 08:00|A03 10:30", ["SLHJ 1"]),
    "an acute stay that never was": ("oioxml 10:00 fhir", "A04 08:00|A11 10:30", []),
    "a leave that never was": (
        "oioxml 10:00 fhir",
        "A01 08:00|A21 09:00|A52 10:30|A03 11:00",
        [f"oioxml {BEGINS}", "SLHJ 1 after a letter"],
    ),
    "a return that never was": (
        "oioxml 10:00 fhir",
        "A01 08:00|A21 09:00|A22 09:30|A53 10:30|A22 11:00",
        [f"oioxml {BEGINS}", "STOR 1 after a letter", "SLOR 2 after a letter"],
    ),
    "from one legacy format to the other": (
        "oioxml 19:00 edifact",
        "A01 08:00|A03 18:00|A13 19:30|A03 20:00",
        [f"oioxml {BEGINS}", f"oioxml {ENDS}", f"edifact {BEGINS}", f"edifact {ENDS}"],
    ),
    "back to letters": (
        "fhir 19:00 oioxml",
        "A01 08:00|A03 18:00|A13 19:30|A03 20:00",
        ["STIN 1", "SLHJ 2", f"oioxml {BEGINS}", f"oioxml {ENDS}"],
    ),
    "back to letters, on leave in error": (
        "fhir 09:00 oioxml",
        "A01 08:00|A21 08:30|A52 09:30",
        ["STIN 1", "STOR 2", f"oioxml {BEGINS}"],
    ),
    "in XML, then in JSON": ("fhir-xml 10:00 fhir", "A01 08:00|A03 18:00", ["STIN 1", "SLHJ 2"]),
}


@pytest.mark.parametrize(("turns", "events", "expected"), STORIES.values(), ids=STORIES)
def test_stay_is_sent_as_its_municipality_takes_it(turns: str, events: str, expected: list[str]) -> None:
    lane = played(turns, *events.split("|"))
    assert sent(lane) == expected
    assert lane.dead_letters == []
    found, messages, _ = books(lane)
    assert found["notifications"] == messages["created"] == len(lane.letters)


@pytest.mark.parametrize(
    ("now", "expected"),
    [("09:59", f"oioxml {ENDS}"), ("10:00", "SLHJ 1 after a letter"), ("10:01", "SLHJ 1 after a letter")],
)
def test_instant_of_assembly_decides(now: str, expected: str) -> None:
    assert sent(played("oioxml 10:00 fhir", "A01 08:00", f"A03 09:30 now={now}"))[-1] == expected


WISHES = {
    "acute as admission": ("send_acute_as_admission", "A04 08:00|A03 18:00", [BEGINS, ENDS]),
    "and then admitted": ("send_acute_as_admission", "A04 08:00|A06 09:00|A03 18:00", [BEGINS, ENDS]),
    "an admission that becomes acute": (
        "cancel_on_class_change",
        "A01 08:00|A07 09:00|A03 18:00",
        [BEGINS, "20 annulleretbrev indlagt"],
    ),
}


@pytest.mark.parametrize(("switch", "events", "expected"), WISHES.values(), ids=WISHES)
def test_wishes_of_municipality_are_followed(switch: str, events: str, expected: list[str]) -> None:
    lane = played("oioxml", *events.split("|"), **{switch: True})
    assert sent(lane) == [f"oioxml {each}" for each in expected]


def test_what_has_no_form_is_final_and_counted() -> None:
    lane = played("oioxml", "A01 08:00", "A21 10:00")
    assert lane.fates == ["+converted", NO_FORM]
    assert lane.alarms == []
    assert [row.what for row in lane.rows if row.kind == "message"] == ["CREATED", "SENT"]


def test_first_message_after_letters_names_the_last_one() -> None:
    lane = played("oioxml 10:00 fhir", "A01 08:00", "A01 08:10", "A21 10:30", "A22 11:00")
    last = letter_in(lane.letters[1])
    for letter, count in zip(lane.letters[2:], (1, 2), strict=True):
        chain = resources(opened(letter), "Provenance")
        (own,) = [each for each in chain if "identifier" in each["entity"][0]["what"]]
        assert own["entity"][0] == {
            "role": "revision",
            "what": {"identifier": {"value": f"{last.sender.gln}#{last.letter_id}"}},
        }
        assert len(chain) == count


def test_cancellation_that_cannot_be_said_is_case() -> None:
    lane = played("oioxml 10:00 fhir", "A01 08:00", "A11 10:30")
    assert lane.fates == ["+converted", "+not-subject:not-cancelled"]
    (alarm,) = lane.alarms
    assert (alarm.word, alarm.reason, alarm.state) == ("case:open", "not-cancelled", "admitted")
    lane.decide("close-case", message_id=alarm.message_id)
    assert lane.row is not None
    assert lane.row.cases == {}


def test_memory_outlives_deliveries_and_goes_with_stay() -> None:
    lane = played("oioxml 40/10:00 fhir", "A01 08:00")
    answer(lane, "03")
    lane.elapse(lane.now + 38 * DAY)
    assert lane.row is not None
    assert lane.row.deliveries == {}
    lane.play("A21 40/10:30", "A03 40/18:00")
    assert sent(lane)[1:] == ["STOR 1 after a letter", "SLHJ 2 after a letter"]
    lane.elapse(lane.now + 200 * DAY)
    assert lane.row is None


def test_fhir_alone_leaves_rows_as_they_were() -> None:
    lane = played("fhir", "A01 08:00", "A21 09:00", "A52 09:30", "A03 18:00")
    plain = msgspec.msgpack.encode(lane.row)
    assert not any(name in plain for name in (b"sent_as", b"positive_receipt", b"letter", b"number\xa0"))


# ---- dispatches ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["oioxml", "edifact"])
def test_letter_is_sent_again_in_new_envelope(form: str) -> None:
    lane = played(form, "A01 08:00")
    lane.overdue()
    lane.overdue()
    first, second, third = map(letter_in, lane.letters)
    assert first.envelope_id == first.letter_id
    assert len({first.envelope_id, second.envelope_id, third.envelope_id}) == 3
    assert second == replace(first, envelope_id=second.envelope_id, sent=first.sent + timedelta(minutes=30))
    assert third == replace(second, envelope_id=third.envelope_id, sent=second.sent + timedelta(minutes=30))
    assert len({letter.transport_id for letter in lane.letters}) == 3


def test_resend_in_format_no_longer_accepted_is_for_people() -> None:
    """05 §6.4: a resend never changes the format."""
    lane = played("oioxml 08:20 fhir", "A01 08:00")
    lane.overdue()
    assert (lane.states, len(lane.letters)) == (["TIMED_OUT"], 1)
    assert [alarm.word for alarm in lane.alarms] == ["alert:timeout"]
    answer(lane, "03")
    assert lane.states == ["ACKED_OK"]


def test_resend_in_other_form_of_fhir_goes_on() -> None:
    lane = played("fhir-xml 08:20 fhir", "A01 08:00")
    lane.overdue()
    assert sent(lane) == ["STIN 1", "STIN 1"]
    assert len({document(letter)[:6] for letter in lane.letters}) == 1


def test_interchange_travels_bare_and_letter_in_envelope() -> None:
    bare, wrapped = (played(form, "A01 08:00").letters[0] for form in ("edifact", "oioxml"))
    assert bare.payload.startswith(b"UNA")
    assert bare.transport_id == letter_in(bare).envelope_id
    meta = vans.open_envelope(wrapped.payload).meta
    assert meta is not None
    assert (meta.format, meta.name, meta.version) == ("XML", "MCM:XDIS20", "XD2030C")
    assert meta.identifier == wrapped.transport_id


def test_refused_letter_leaves_later_as_it_was() -> None:
    lane = played("edifact", "A01 08:00")
    before = document(lane.letters[0])
    lane.refuse()
    assert lane.states == ["CREATED"]
    lane.elapse(lane.now + MINUTE)
    assert document(lane.letters[-1]) == before
    assert lane.states == ["SENT"]


def test_letter_that_was_given_up_is_sent_anew_as_another() -> None:
    lane = played("oioxml", "A01 08:00", "A03 09:00")
    for _ in range(3):
        lane.overdue()
    lane.decide("send-anew")
    first, new = letter_in(lane.letters[1]), letter_in(lane.letters[-1])
    assert first.letter_id != new.letter_id == new.envelope_id
    assert (new.number, new.status, new.occurred) == ("17", "nytbrev", first.occurred)
    lane.play("A03 09:10")
    assert sent(lane)[-1] == "oioxml 17 rettetbrev udskrevet_til_hjemmet"


def test_new_state_is_sent_anew_as_it_was() -> None:
    lane = played("oioxml 08:30 fhir", "A01 08:00", "A01 08:10 now=09:00")
    for _ in range(3):
        lane.overdue()
    lane.decide("send-anew")
    assert sent(lane)[-1] == "STIN 1 after a letter"
    lane.play("A03 18:00")
    assert sent(lane)[-1] == "SLHJ 2 after a letter"


# ---- receipts --------------------------------------------------------------------------------------------------------


def receipt(
    lane: Lane, number: Any, *, letter: int = -1, named: bool = True, other: str = "", **more: Any
) -> LetterReceipt:
    """What the municipality answers to a letter: for the letter, or for the envelope alone."""
    about = letter_in(lane.letters[letter])
    letters = (AnsweredLetter(letter_id=other or about.letter_id, version=f"XD{about.number}30C"),) if named else ()
    return LetterReceipt(
        number=number,
        envelope_id="MK00000000000E",
        sent=datetime(2026, 3, 1, 12),  # local time, as letters have it
        receipt_id="MK00000000000R",
        sender_gln=about.receiver.gln,
        receiver_gln=about.sender.gln,
        original_envelope_id=about.envelope_id,
        original_sender_gln=about.sender.gln,
        original_receiver_gln=about.receiver.gln,
        letters=letters,
        **more,
    )


def arrives(lane: Lane, data: bytes, *, by: str = "0461") -> None:
    """A record in a letterbox."""
    lane.count += 1
    at = lane.now + MINUTE
    origin = f"municipality.0461.receipts/0/{lane.count}"
    taken = take_receipt(data, origin=origin, at=at, ids=IDS, posted_by=by)
    assert taken.rejected is None, taken.rejected
    assert taken.record is not None
    assert taken.lane == lane.letters[-1].lane
    lane.take(taken.record)


def answer(lane: Lane, number: Any, **more: Any) -> None:
    """The municipality answers in the syntax of the letter."""
    form = "edifact" if lane.letters[more.get("letter", -1)].envelope == "none" else "oioxml"
    arrives(lane, write(receipt(lane, number, **more), form))


ANSWERS = {
    "accepted": ({"number": "03"}, "ACKED_OK", "first"),
    "accepted, the envelope named": ({"number": "03", "named": False}, "ACKED_OK", "first"),
    "refused": ({"number": "02", "refuse_code": "problem_med_version"}, "ACKED_FATAL", "first"),
    "refused, the envelope named": (
        {"number": "02", "named": False, "refuse_code": "syntaksfejl"},
        "ACKED_FATAL",
        "first",
    ),
    "not delivered": ({"number": "01", "refuse_code": "ukendt_lokationsnummer"}, "UNDELIVERABLE", ""),
}


@pytest.mark.parametrize("form", ["oioxml", "edifact"])
@pytest.mark.parametrize(("how", "state", "class_"), ANSWERS.values(), ids=ANSWERS)
def test_receipt_finds_its_letter(form: str, how: dict[str, Any], state: str, class_: str) -> None:
    lane = played(form, "A01 08:00")
    lane.overdue()
    answer(lane, **how)
    assert (lane.states, lane.classes) == ([state], [class_] if class_ else [])
    assert not lane.last.nonconformant
    assert lane.dead_letters == []


def test_receipt_comes_in_envelope_of_network_too() -> None:
    lane = played("oioxml", "A01 08:00")
    data = write(receipt(lane, "03"), "oioxml")
    about = letter_in(lane.letters[0])
    sealed = vans.seal_message(
        data,
        sender_gln=about.receiver.gln,
        receiver_gln=about.sender.gln,
        transport_id="0badcafe-0000-4000-8000-000000000001",
        message_id="0badcafe-0000-4000-8000-000000000002",
        sent=lane.now,
        name="MCM:XCTL03",
        version="XC0330Q",
        format="XML",
    )
    arrives(lane, sealed)
    assert (lane.states, lane.classes) == (["ACKED_OK"], ["first"])


def test_receipt_for_another_letter_of_envelope_is_not_ours() -> None:
    lane = played("oioxml", "A01 08:00")
    other = letter_in(lane.letters[0]).letter_id[:9] + "ZZZZZ"
    answer(lane, "02", other=other)
    assert lane.states == ["SENT"]


def test_receipts_are_matched_after_the_change() -> None:
    lane = played("oioxml 10:00 fhir", "A01 08:00", "A21 10:30")
    answer(lane, "03", letter=0)
    lane.answer("ok")
    assert lane.states == ["ACKED_OK", "ACKED_OK"]


def test_receipt_of_another_municipality_is_quarantined() -> None:
    lane = played("edifact", "A01 08:00")
    arrives(lane, write(receipt(lane, "03"), "edifact"), by="0751")
    assert (lane.states, lane.classes) == (["SENT"], ["quarantined"])


def test_refusal_opens_case_with_its_reason() -> None:
    lane = played("oioxml", "A01 08:00")
    answer(lane, "02", refuse_code="problem_med_version", refuse_text="kun FHIR")
    case = lane.last.case
    assert case is not None
    assert [(issue.details_code, issue.text) for issue in case.issues] == [
        ("MSG_RECEIVER_UNABLE_TO_RECEIVE_MSG_TYPE", "kun FHIR")
    ]


def test_letter_that_could_not_be_delivered_opens_case_with_its_reason() -> None:
    lane = played("edifact", "A01 08:00")
    answer(lane, "01", refuse_code="ukendt_lokationsnummer", refuse_text="findes ikke")
    case = lane.last.case
    assert case is not None
    assert (case.reason, [issue.text for issue in case.issues]) == ("undeliverable", ["findes ikke"])


@pytest.mark.parametrize(
    ("form", "letter", "answered", "envelope"),
    [
        ("oioxml", ("XDIS20", "XD2030C"), ("XCTL03", "XC0330Q"), "Emessage"),
        ("edifact", ("DIS20", "D2030C"), ("CTL03", "C0330Q"), "Interchange"),
    ],
)
def test_status_events_name_letter_and_its_receipt(
    form: str, letter: tuple[str, str], answered: tuple[str, str], envelope: str
) -> None:
    lane = played(form, "A01 08:00")
    answer(lane, "03")
    created, handed, received = lane.steps
    own = letter_in(lane.letters[0]).letter_id
    assert [(step.message_id, step.document) for step in (created, handed)] == [(own, letter)] * 2
    assert (received.document, received.original_message_id, received.original) == (answered, own, letter)
    assert {step.envelope for step in lane.steps} == {envelope}
    assert not any(check_event(audit_event(step)) for step in lane.steps)


# ---- no positive receipt ---------------------------------------------------------------------------------------------


def silent(*events: str) -> Lane:
    return played("oioxml", *events, expects_positive_receipt=False)


def test_letter_without_positive_receipt_is_sent_and_no_more() -> None:
    lane = silent("A01 08:00")
    assert lane.states == ["SENT_UNCONFIRMED"]
    assert not letter_in(lane.letters[0]).positive_receipt
    lane.elapse(lane.now + DAY)
    assert (len(lane.letters), lane.last.content) == (1, None)
    assert books(lane)[1]["SENT_UNCONFIRMED"] == 1


def test_refused_hand_over_of_such_letter_is_tried_again() -> None:
    lane = silent("A01 08:00")
    before = document(lane.letters[0])
    lane.refuse()
    assert lane.states == ["CREATED"]
    lane.elapse(lane.now + DAY)
    assert lane.states == ["SENT_UNCONFIRMED"]
    assert document(lane.letters[-1]) == before
    assert books(lane)[1]["SENT_UNCONFIRMED"] == 1


def test_negative_receipt_of_such_letter_opens_case() -> None:
    lane = silent("A01 08:00")
    answer(lane, "02", refuse_code="syntaksfejl")
    assert lane.states == ["SENT_UNCONFIRMED"]
    case = lane.last.case
    assert case is not None
    assert (case.reason, [issue.details_code for issue in case.issues]) == ("fatal", ["MSG_BAD_SYNTAX"])
    assert [alarm.word for alarm in lane.alarms] == ["case:open"]


def test_times_are_of_denmark() -> None:
    lane = played("oioxml", "A01 08:00")
    letter = letter_in(lane.letters[0])
    assert letter.sent == lane.now.astimezone(COPENHAGEN).replace(tzinfo=None, second=0, microsecond=0)
