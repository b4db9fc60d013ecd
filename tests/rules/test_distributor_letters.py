"""Legacy letters behind an inbox: copies as they came, and A's verdict in the format of the letter (02 §8)."""

from collections.abc import Callable
from typing import Any

import pytest

from streams.distributor.row import CopyAnswered
from streams.envelopes import vans
from streams.messages.legacy import document
from streams.messages.legacy.letter import AnsweredLetter, Letter, LetterReceipt
from streams.words.ids import LetterId
from streams.words.model import Receipt, ReceiptIssue
from tests.meanings.letters import letter, receipt
from tests.meanings.notifications import LANE
from tests.rules.distributions import CODE, IDS, MINUTE, NOON, Behind, receiver, registers

LETTER_ID = IDS.letter(LANE, "ST", "first")


def admission(**others: Any) -> Letter:
    address = registers().address(CODE, "hospital-notification", NOON)
    assert address is not None
    made = letter(letter_id=LETTER_ID, envelope_id=LETTER_ID, **others)
    assert made.receiver.gln == address.gln
    return made


def oioxml(written: Letter) -> bytes:
    """In a VANSEnvelope."""
    return vans.seal_message(
        document.write(written, "oioxml"),
        sender_gln=written.sender.gln,
        receiver_gln=written.receiver.gln,
        transport_id=f"{LANE}-0000-4000-8000-000000000001",
        message_id=f"{LANE}-0000-4000-8000-000000000002",
        sent=NOON,
        name="MCM:XDIS20",
        version="XD2030C",
        format="XML",
    )


def edifact(written: Letter) -> bytes:
    """An interchange as it is."""
    return document.write(written, "edifact")


def inside(data: bytes) -> LetterReceipt:
    """The receipt that goes back, out of its envelope."""
    found = document.read(data if data.startswith((b"UNA", b"UNB")) else vans.open_envelope(data).payload)
    assert isinstance(found, LetterReceipt)
    return found


FORMS: dict[str, Callable[[Letter], bytes]] = {"oioxml": oioxml, "edifact": edifact}
both = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


def answered(number: str, **others: Any) -> bytes:
    """What receiver A posts."""
    letters = (AnsweredLetter(letter_id=LETTER_ID, version="XD2030C", **others),)
    values = receipt(number=number, original_envelope_id=LETTER_ID, letters=letters, **others)
    return document.write(values, "oioxml")


@both
def test_letter_is_copied_as_it_came(form: Callable[[Letter], bytes]) -> None:
    town, data = Behind(), form(admission())
    town.arrive(data)
    assert [one.data for one in town.sent] == [data] * 3
    assert {one.message_id for one in town.sent} == {LETTER_ID}
    assert {one.event_type for one in town.sent} == {"advis.STIN"}


@both
def test_positive_answer_goes_back_in_form_of_letter(form: Callable[[Letter], bytes]) -> None:
    town = Behind()
    town.arrive(form(admission()))
    town.post("care", answered("03"))
    assert town.returned == [("ok", "answered")]
    (answer,) = town.answers
    back = inside(answer.data)
    assert (back.number, back.letters[0].letter_id, back.original_envelope_id) == ("03", LETTER_ID, LETTER_ID)
    assert (back.sender_gln, back.receiver_gln) == (admission().receiver.gln, admission().sender.gln)


@both
def test_reason_of_refusal_goes_along(form: Callable[[Letter], bytes]) -> None:
    town = Behind()
    town.arrive(form(admission()))
    town.post("care", answered("02", refuse_code="problem_med_modtagerID", refuse_text="Ukendt borger"))
    assert town.returned == [("fatal-error", "answered")]
    back = inside(town.answers[0].data)
    assert (back.number, back.refuse_code, back.letters[0].refuse_text) == (
        "02",
        "problem_med_modtagerID",
        "Ukendt borger",
    )


@both
def test_late_answer_has_nothing_transient_before_it(form: Callable[[Letter], bytes]) -> None:
    """Letters know no such verdict; the sender's own time decides (02 §8)."""
    town = Behind()
    town.arrive(form(admission()))
    town.wait(26 * MINUTE)
    assert town.returned == []
    town.post("care", answered("03"))
    assert town.returned == [("ok", "answered")]


def test_letter_that_asks_for_no_positive_receipt_gets_none() -> None:
    town = Behind()
    town.arrive(oioxml(admission(positive_receipt=False)))
    town.post("care", answered("03"))
    assert (town.returned, town.classes) == ([], {"first": 1})


@pytest.mark.parametrize(
    ("written", "label"),
    [
        (admission(), "STIN"),
        (admission(status="rettetbrev"), "RE_STIN"),
        (admission(status="annulleretbrev"), "AN_STIN"),
        (admission(patient_status="doed"), "MORS"),
        (admission(number="17", patient_status="udskrevet_til_hjemmet", answer_to=""), "SLHJ"),
        (admission(number="17", patient_status="doed", answer_to=""), "MORS"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_receivers_choose_by_what_letter_reports(written: Letter, label: str) -> None:
    wishes = receiver("overview", "B", notices=frozenset({"MORS"}))
    town = Behind(registers().with_receivers(receiver("care", "A"), wishes))
    town.arrive(edifact(written))
    assert {one.event_type for one in town.sent} == {f"advis.{label}"}
    assert bool(town.copies("overview")) is (label == "MORS")


def test_receipt_in_inbox_is_refused() -> None:
    town = Behind()
    town.arrive(answered("03"))
    assert (town.arrivals, town.returned) == ({"refused": 1}, [])


def test_answer_in_fhir_to_a_letter_is_taken() -> None:
    """What a receiver speaks is its own matter: the id decides."""
    town = Behind()
    town.arrive(edifact(admission()))
    issue = ReceiptIssue(severity="error", code="processing", text="Kan ikke modtages")
    answer = Receipt(verdict="fatal-error", message_id=LetterId(LETTER_ID), issues=(issue,), origin="care/0/1")
    town.take(CopyAnswered(at=town.now, kommunekode=CODE, system="care", receipt=answer))
    back = inside(town.answers[0].data)
    assert (back.number, back.refuse_code, back.refuse_text) == ("02", "ikke_specificeret", "Kan ikke modtages")
