"""What one record of `letters.raw` leads to: events of a stay, a copy under the person's key, a receipt, or why not."""

from dataclasses import replace as changed
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.envelopes.vans import seal_message
from streams.formats.fhir.build import to_json, to_xml
from streams.formats.fhir.read import from_json
from streams.messages.acknowledgement.check import check as check_acknowledgement
from streams.messages.legacy.document import Syntax, read, write
from streams.messages.legacy.letter import Letter, LetterReceipt, Party
from streams.observer.evidence import letter_source_of
from streams.person.row import PersonRow
from streams.relay.intake import REKEYED, Intake
from streams.relay.letters import take_letter
from streams.relay.replay import Replay
from streams.words.model import EventKind, Fate
from tests.meanings.adt import er7
from tests.rules.lanes import registers
from tests.rules.letter_stories import CPR, IDS, letter

REGISTERS = registers()
AT = datetime(2026, 3, 1, 7, 2, tzinfo=UTC)
KEY = IDS.person(CPR)
IN, OUT = letter("20 nytbrev 1/08:00 indlagt"), letter("17 nytbrev 3/12:30 udskrevet_til_hjemmet", 2)


def taken(sent: Letter | bytes, row: PersonRow | None = None, **fields: Any) -> Intake:
    """One record, under its person's key unless set otherwise."""
    value = sent if isinstance(sent, bytes) else write(sent, fields.pop("syntax", "edifact"))
    known: dict[str, Any] = {
        "key": KEY, "origin": "letters.raw/3/41", "headers": {}, "at": AT, "ids": IDS, "registers": REGISTERS
    }  # fmt: skip
    return take_letter(value, row, **{**known, **fields})


def receipt(result: Intake) -> LetterReceipt:
    """The one that goes back."""
    (back,) = result.receipts
    found = read(back.document)
    assert isinstance(found, LetterReceipt)
    return found


# ---- taken ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("syntax", "name"), [("edifact", "CTL03"), ("oioxml", "XCTL03")])
def test_letter_becomes_event_and_is_answered_in_its_syntax(syntax: Syntax, name: str) -> None:
    result = taken(IN, syntax=syntax)
    (event,) = result.stay_events
    assert (event.kind, event.origin, event.lane[:8]) == (EventKind.START, "letters.raw/3/41", IDS.lane(event.visit))
    assert (result.outcome, result.feed) == (None, "EPJ-NORD/AAUH")
    (back,) = result.receipts
    assert (back.hospital, back.name) == ("999000041000016003", name)
    answered = receipt(result)
    assert (answered.number, answered.original_envelope_id) == ("03", IN.envelope_id)
    assert [each.letter_id for each in answered.letters] == [IN.letter_id]
    assert (answered.sender_gln, answered.receiver_gln) == (IN.receiver.gln, IN.sender.gln)


def test_both_syntaxes_give_the_same_event() -> None:
    assert taken(IN, syntax="oioxml").stay_events == taken(IN, syntax="edifact").stay_events


def test_no_positive_receipt_where_none_is_asked_for() -> None:
    assert taken(replace(IN, positive_receipt=False)).receipts == ()


def test_letter_without_its_key_goes_on_under_it() -> None:
    result = taken(IN, key="")
    assert result.outcome is not None
    assert (result.outcome.fate, result.outcome.reason) == (Fate.NOT_SUBJECT, "re-keyed")
    assert [(copy.key, copy.headers) for copy in result.pass_on] == [(KEY, ((REKEYED, ""),))]
    assert (result.stay_events, result.receipts) == ((), ())


@pytest.mark.parametrize(("key", "shown"), [(CPR, ""), ("0123456789abcdef", "0123456789abcdef"), ("x" * 16, "")])
def test_key_of_others_is_shown_when_it_is_no_number_of_a_person(key: str, shown: str) -> None:
    assert [copy.headers for copy in taken(IN, key=key).pass_on] == [((REKEYED, shown),)]


def test_letter_in_an_envelope_is_read() -> None:
    sealed = seal_message(
        write(IN, "oioxml"),
        sender_gln=IN.sender.gln,
        receiver_gln=IN.receiver.gln,
        transport_id="00000000-0000-4000-8000-000000000001",
        message_id="00000000-0000-4000-8000-000000000002",
        sent=AT,
        name="MCM:XDIS20",
        version="XD2030C",
        format="XML",
    )
    assert taken(sealed).stay_events == taken(IN).stay_events


def test_unit_that_nobody_knows_is_shown_as_its_location_number() -> None:
    result = taken(replace(IN, sender=replace(IN.sender, identifier="9904999")))
    (event,) = result.stay_events
    assert event.unit is not None
    assert event.unit.gln == IN.sender.gln
    assert [warning.rule for warning in result.warnings] == ["unknown-ward"]


# ---- said again -----------------------------------------------------------------------------------------------------


def test_letter_sent_again_is_not_taken_again_and_is_answered_again() -> None:
    first = taken(IN)
    again = taken(replace(IN, envelope_id="XX000000009999", sent=OUT.sent), first.row, origin="letters.raw/3/42")
    assert again.outcome is not None
    assert (again.outcome.fate, again.stay_events) == (Fate.DUPLICATE, ())
    assert (receipt(again).number, receipt(again).original_envelope_id) == ("03", "XX000000009999")
    assert receipt(again).receipt_id != receipt(first).receipt_id


def test_same_record_again_after_a_crash_leads_to_nothing() -> None:
    result = taken(IN, taken(IN).row)
    assert (result.repeated, result.receipts) == (True, ())


def test_other_content_under_a_letter_id_is_refused() -> None:
    result = taken(replace(OUT, letter_id=IN.letter_id), taken(IN).row, origin="letters.raw/3/42")
    assert result.outcome is not None
    assert (result.outcome.fate, result.outcome.reason) == (Fate.STOPPED, "control-id-reuse")
    assert (receipt(result).number, receipt(result).refuse_code) == ("02", "ikke_specificeret")


def test_two_hospitals_may_use_one_letter_id() -> None:
    other = replace(IN, sender=replace(IN.sender, gln="2990000000422"), stay="104711")
    assert taken(other, taken(IN).row, origin="letters.raw/3/42").stay_events


# ---- refused --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "reason", "code"),
    [
        (
            replace(IN, receiver=Party(gln="2990000007513", identifier="461", code="kommunenummer")),
            "other-municipality",
            "problem_med_modtagerID",
        ),
        (
            replace(IN, receiver=Party(gln="2990000004611", identifier="999", code="kommunenummer")),
            "unknown-municipality",
            "problem_med_modtagerID",
        ),
    ],
)
def test_letter_to_no_or_another_municipality_is_answered_negatively(sent: Letter, reason: str, code: str) -> None:
    result = taken(sent)
    assert (result.outcome is not None and result.outcome.reason, receipt(result).refuse_code) == (reason, code)
    assert result.rejected is not None
    assert receipt(result).refuse_text.startswith(result.rejected.path)
    assert receipt(taken(sent)).receipt_id == receipt(result).receipt_id


def test_negative_receipt_goes_back_unasked() -> None:
    broken = write(replace(IN, positive_receipt=False), "edifact").replace(b"PAS+HS", b"PAS+QQ")
    result = taken(broken)
    assert result.outcome is not None
    assert (result.outcome.fate, result.outcome.reason) == (Fate.REFUSED, "rejected")
    assert (receipt(result).number, receipt(result).refuse_code) == ("02", "syntaksfejl")


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"UNB",
        b"<Emessage/>",
        b"<a",
        b"MSH|^~\\&|",
        write(replace(IN, sender=replace(IN.sender, gln="5790000000005")), "edifact"),  # of nobody
        write(replace(IN, sender=replace(IN.sender, gln="2990000000118")), "edifact"),  # of a feed that sends ADT
    ],
)
def test_what_nobody_has_sent_is_refused_and_not_answered(value: bytes) -> None:
    result = taken(value)
    assert result.outcome is not None
    assert (result.outcome.fate, result.receipts) == (Fate.REFUSED, ())
    assert result.rejected is not None


def test_receipt_among_letters_is_refused() -> None:
    (back,) = taken(IN).receipts
    result = taken(back.document)
    assert result.rejected is not None
    assert result.rejected.rule == "no-letter"


def test_replacement_number_has_a_key_of_its_own_and_no_patient() -> None:
    sent = replace(IN, cpr="6002481234")
    (copy,) = taken(sent).pass_on
    (event,) = taken(sent, key=copy.key).stay_events
    assert (event.patient, event.snapshot.cpr) == (None, None)


@pytest.mark.parametrize("year", [b"0001", b"1899", b"2200", b"9999"])
@pytest.mark.parametrize("form", ["oioxml", "edifact", "fhir"])
def test_time_of_another_world_is_answered_negatively(year: bytes, form: Any) -> None:
    good = to_json(fhir()) if form == "fhir" else write(IN, form)
    result = taken(good.replace(b"2026", year))
    assert (result.stay_events, len(result.receipts)) == ((), 1)
    assert result.outcome is not None
    assert result.outcome.fate in (Fate.STOPPED, Fate.REFUSED)


# ---- FHIR -----------------------------------------------------------------------------------------------------------


def fhir(**changes: Any) -> dict[str, Any]:
    """An admission as a hospital of Zealand writes it, about Nancy in Aarhus."""
    text = "2026030109{minute}00+0100"
    adt = er7(
        "A01",
        msh={3: "EPJ-SJ", 4: "SUH", 7: text.format(minute="05")},
        evn={6: text.format(minute="00")},
        pv1={3: "MED2^^^SUH"},
    )
    (line,) = Replay(REGISTERS).play(adt)
    bundle: dict[str, Any] = from_json(line.payload)
    return {**bundle, **changes}


def taken_fhir(bundle: dict[str, Any], row: PersonRow | None = None, **fields: Any) -> Intake:
    return taken(to_json(bundle), row, **fields)


def acknowledged(result: Intake) -> dict[str, Any]:
    (back,) = result.receipts
    assert (back.hospital, back.media_type) == ("999000081000016009", "application/fhir+json")
    bundle = from_json(back.document)
    assert check_acknowledgement(bundle) == []
    response: dict[str, Any] = bundle["entry"][0]["resource"]["response"]
    return response


@pytest.mark.parametrize("form", [to_json, to_xml])
def test_notification_of_a_hospital_becomes_event_and_is_acknowledged(form: Any) -> None:
    bundle = fhir()
    result = taken(form(bundle))
    (event,) = result.stay_events
    assert (event.kind, event.class_, event.residence, event.feed) == (EventKind.START, "IMP", "0751", "EPJ-SJ/SUH")
    assert event.patient is not None
    assert (event.patient.family, event.control_id) == ("Berggren", bundle["entry"][0]["resource"]["id"])
    response = acknowledged(result)
    assert (response["code"], response["identifier"]) == ("ok", event.control_id)


def test_notification_sent_again_is_acknowledged_again() -> None:
    first, again = fhir(), fhir(id="9c7f5a0e-2b1d-4c0e-8f0e-0a9d5c1b2233")
    result = taken_fhir(again, taken_fhir(first).row, origin="letters.raw/3/42")
    assert result.outcome is not None
    assert (result.outcome.fate, acknowledged(result)["code"]) == (Fate.DUPLICATE, "ok")


def test_notification_that_breaks_its_profile_is_answered_fatally() -> None:
    bundle = fhir()
    encounter = next(e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "Encounter")
    del encounter["period"]
    result = taken_fhir(bundle)
    assert result.outcome is not None
    assert (result.outcome.fate, result.outcome.reason) == (Fate.REFUSED, "profile-check")
    assert acknowledged(result)["code"] == "fatal-error"


def test_notification_to_no_municipality_is_answered_fatally() -> None:
    text = (
        to_json(fhir()).replace(b"2990000007513", b"5790000000005").replace(b"999007511000016006", b"953741000016009")
    )
    result = taken(text)
    assert result.outcome is not None
    assert (result.outcome.fate, result.outcome.reason) == (Fate.STOPPED, "unknown-municipality")
    assert acknowledged(result)["code"] == "fatal-error"


def test_notification_of_a_feed_that_sends_none_is_refused() -> None:
    profile = replace(REGISTERS.feeds["EPJ-SJ/SUH"], letters=frozenset())
    silent = changed(REGISTERS, feeds=MappingProxyType({**REGISTERS.feeds, "EPJ-SJ/SUH": profile}))
    result = taken_fhir(fhir(), registers=silent)
    assert (result.receipts, result.outcome is not None and result.outcome.reason) == ((), "unknown-facility")


# ---- the second witness ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        write(IN, "edifact"),
        write(IN, "oioxml"),
        write(IN, "edifact").replace(b"UNA:+.? '", b"\r\n"),
        to_json(fhir()),
        to_xml(fhir()),
        write(replace(IN, letter_id="X'+:?Y", envelope_id="X'+:?Y"), "edifact"),
        write(IN, "oioxml").replace(b"<Identifier>XX0", b"<Identifier><?x?>XX0<!-- c -->"),
        write(IN, "oioxml").replace(b"<EANIdentifier>", b"<EANIdentifier> "),
        write(IN, "oioxml").replace(
            b"<NotificationOfAdmission>",
            b"<Local_Elements><Letter><Identifier>q</Identifier></Letter></Local_Elements><NotificationOfAdmission>",
        ),
        write(IN, "edifact").replace(b":", b";").replace(b"UNA;+", b"UNA;+"),
        to_xml(fhir()).replace(b'<id value="', b'<id value=" '),
    ],
)
def test_balance_names_a_letter_as_its_event_does(value: bytes) -> None:
    (event,) = taken(value).stay_events
    assert letter_source_of(value) == ("", event.control_id)


# ---- damage ------------------------------------------------------------------------------------------------------------

WHOLE = (write(IN, "edifact"), write(OUT, "oioxml"), to_json(fhir()), to_xml(fhir()))


@given(st.sampled_from(WHOLE), st.floats(0, 1, exclude_max=True), st.integers(0, 12), st.binary(max_size=4))
def test_damaged_letter_is_taken_or_refused_and_named_alike(whole: bytes, at: float, cut: int, put: bytes) -> None:
    place = int(at * len(whole))
    value = whole[:place] + put + whole[place + cut :]
    result = taken(value)
    for copy in result.pass_on:
        result = taken(value, key=copy.key)
    assert (result.rejected is None) or result.outcome is not None
    assert all(letter_source_of(value) == ("", event.control_id) for event in result.stay_events)
