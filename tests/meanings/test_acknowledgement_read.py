"""A received acknowledgement: what is read from it, what is odd about it, what is done with it (spec 02 §4.4)."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.formats.fhir.build import to_json, to_xml
from streams.formats.fhir.read import from_json
from streams.messages.acknowledgement import inspect, judge, reaction, read, read_bytes, sender_matches
from streams.words.codes import ACK_CODES
from streams.words.errors import Rejected
from streams.words.ids import Gln, Kommunekode, Sor
from streams.words.model import Address, Receipt, ReceiptIssue, Unit
from tests.meanings.acknowledgements import ANSWERED, ENVELOPE, HEADER, acknowledgement
from tests.meanings.damage import ABSENT, any_damage, changed, damaged
from tests.meanings.notifications import HEART, MUNICIPALITY

ANSWER = acknowledgement("fatal-error", ReceiptIssue(severity="error", code="invalid", text="wrong"))
ANSWERED_ID = ANSWERED["entry"][0]["resource"]["id"]
KEYS = {
    *("response_code", "response_identifier", "message_header_id", "bundle_id", "sender_gln", "destination_gln"),
    *("issues", "reaction"),
}


def test_everything_lane_needs_is_read() -> None:
    assert read(ANSWER) == Receipt(
        verdict="fatal-error",
        message_id=ANSWERED_ID,
        ack_message_id=HEADER,
        ack_envelope_id=ENVELOPE,
        sender_gln=MUNICIPALITY.gln,
        sender_sor=MUNICIPALITY.sor,
        destination_gln=HEART.gln,
        destination_sor=HEART.sor,
        issues=(ReceiptIssue(severity="error", code="invalid", text="wrong"),),
        statistics="fatal-error",
    )


@pytest.mark.parametrize(
    ("place", "value", "rule"),
    [
        pytest.param("Bundle.resourceType", "Parameters", "AV1", id="not a Bundle"),
        pytest.param("Bundle.type", "collection", "AV1", id="not a message"),
        pytest.param("Bundle.id", ABSENT, "AV1", id="no Bundle.id"),
        pytest.param("Bundle.timestamp", ABSENT, "AV1", id="no timestamp"),
        pytest.param("Bundle.timestamp", "monday", "AV1", id="timestamp is no instant"),
        pytest.param("Bundle.entry", [], "AV1", id="no entry"),
        pytest.param("Bundle.entry.0.resource", ABSENT, "AV1", id="no header"),
        pytest.param("MessageHeader.eventCoding.code", "empty-message", "AV1", id="another event"),
        pytest.param("MessageHeader.response", ABSENT, "AV2", id="no response"),
        pytest.param("MessageHeader.response.identifier", ABSENT, "AV2", id="no answered message"),
        pytest.param("MessageHeader.response.code", ABSENT, "AV2", id="no verdict"),
        pytest.param("MessageHeader.response.code", "AA", "AV2", id="a verdict of HL7 v2"),
        pytest.param("MessageHeader.response.code", ["ok"], "AV2", id="a list of verdicts"),
    ],
)
def test_what_is_no_acknowledgement_is_dead_letter(place: str, value: Any, rule: str) -> None:
    wrong = damaged(ANSWER, place, value)
    with pytest.raises(Rejected) as rejected:
        read(wrong)
    assert rejected.value.rule == rule
    with pytest.raises(Rejected) as rejected:
        read_bytes(to_json(wrong))
    assert rejected.value.rule == rule
    judged = judge(wrong)
    assert (judged.reaction, judged.receipt) == ("dead-letter", None)
    assert rule in {issue.rule for issue in judged.issues if issue.severity == "error"}


OTHER_HEADER = "MessageHeader/00000000-0000-4000-8000-000000000000"
ODD: dict[str, tuple[str, Any, tuple[str, ...], str]] = {
    "roles not swapped": ("MessageHeader.sender", ANSWER["entry"][0]["resource"]["destination"][0]["receiver"], ("AV4",), "apply"),
    "another message quoted": ("MessageHeader.response.identifier", "another", ("AV5",), "apply"),
    "the Provenance names another": ("Provenance[1].entity.0.what.reference", OTHER_HEADER, ("AV5",), "apply"),
    "the Provenance names none": ("Provenance[1].entity", ABSENT, ("AV5",), "apply"),
    "no OperationOutcome": ("Bundle.entry.5", ABSENT, ("AV7",), "apply-nonconformant"),
    "an empty OperationOutcome": ("OperationOutcome.issue", [], ("AV7",), "apply-nonconformant"),
    "one Provenance": ("Bundle.entry.1", ABSENT, ("AV7",), "apply-nonconformant"),
    "a cc receiver": ("MessageHeader.destination.0.extension.0.valueCoding.code", "cc", ("AV7",), "apply-nonconformant"),
    "a sender without GLN": ("Organization[1].identifier.1", ABSENT, ("AV7",), "apply-nonconformant"),
    "a receiver without SOR": ("Organization[0].identifier.0", ABSENT, ("AV7",), "apply-nonconformant"),
    "a GLN of a wrong check digit": ("Organization[0].identifier.1.value", "5790000209355", ("AV7",), "apply-nonconformant"),
    "no such sender": ("MessageHeader.sender.reference", "Organization/1", ("AV7",), "apply-nonconformant"),
    "an answer to an answer": ("Provenance[0].activity.coding.0.code", "acknowledgement", ("AV6",), "ignore"),
    "a broken narrative": ("MessageHeader.text", 7, (), "apply"),
    "an unknown issue code": ("OperationOutcome.issue.0.details", {"coding": [{"code": "X"}]}, (), "apply"),
}  # fmt: skip


@pytest.mark.parametrize(("place", "value", "checks", "reaction_"), ODD.values(), ids=ODD)
def test_fault_of_form_keeps_verdict(place: str, value: Any, checks: tuple[str, ...], reaction_: str) -> None:
    odd = damaged(ANSWER, place, value)
    receipt = read(odd)
    assert (receipt.verdict, receipt.nonconformant, reaction(receipt)) == ("fatal-error", checks, reaction_)
    assert judge(odd).reaction == reaction_
    assert read_bytes(to_json(odd)) == receipt


def test_wrong_own_provenance_is_no_answer_to_answer() -> None:
    odd = damaged(ANSWER, "Provenance[1].target.0.reference", f"MessageHeader/{ANSWERED_ID}")
    odd = damaged(odd, "Bundle.entry.1", ABSENT)
    assert reaction(read(odd)) == "apply-nonconformant"


def test_legacy_letter_is_named_by_its_number() -> None:
    letter = damaged(ANSWER, "Provenance[1].entity.0.what", {"identifier": {"value": "5790001348120#BREV1234567890"}})
    assert read(letter).fallback_ids == ("BREV1234567890",)
    assert read(damaged(letter, "MessageHeader.response.identifier", "BREV1234567890")).nonconformant == ()


@pytest.mark.parametrize("form", ["https://medcomfhir.dk/ig/acknowledgement/{}", "urn:uuid:{}"])
def test_references_of_any_form_lead_to_same(form: str) -> None:
    text = json.dumps(ANSWER)
    for entry in ANSWER["entry"]:
        name = f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
        target = entry["resource"]["id"] if form.startswith("urn") else name
        text = text.replace(f'"reference": "{name}"', f'"reference": "{form.format(target)}"')
        text = text.replace(entry["fullUrl"], form.format(target))
    assert read_bytes(text.encode()) == read(ANSWER)
    assert judge(json.loads(text)).issues == []


def test_patient_data_in_acknowledgement_is_error() -> None:
    patient = {"fullUrl": "https://medcomfhir.dk/ig/x/Patient/1", "resource": {"resourceType": "Patient", "id": "1"}}
    judged = judge(changed(ANSWER, lambda b: b["entry"].append(patient)))
    assert [(issue.severity, issue.rule) for issue in judged.issues] == [("error", "4.1")]
    assert judged.reaction == "apply"


# ---- who may answer (AV3) ----------------------------------------------------------------------------------------

STRANGER, ALIAS = Gln("5790001348137"), Gln("5790000121526")
ADDRESS = Address(kommunekode=Kommunekode("0163"), topic="t", receiver=MUNICIPALITY, aliases=(ALIAS,))


@pytest.mark.parametrize(
    ("envelope", "sender", "destination", "matches"),
    [
        pytest.param(MUNICIPALITY.gln, STRANGER, STRANGER, True, id="the envelope is the addressed unit's"),
        pytest.param(ALIAS, STRANGER, STRANGER, True, id="the envelope is an alias's"),
        pytest.param(STRANGER, MUNICIPALITY.gln, HEART.gln, False, id="the envelope is a stranger's"),
        pytest.param("", MUNICIPALITY.gln, HEART.gln, True, id="bare, from the unit"),
        pytest.param("", HEART.gln, MUNICIPALITY.gln, True, id="bare, the wrong way round"),
        pytest.param("", HEART.gln, ALIAS, True, id="bare, to an alias"),
        pytest.param("", STRANGER, HEART.gln, False, id="bare, from a stranger"),
        pytest.param("", "", "", False, id="bare, from nobody"),
    ],
)
def test_only_addressed_unit_or_alias_may_answer(envelope: str, sender: str, destination: str, matches: bool) -> None:
    receipt = Receipt(
        verdict="ok", message_id="1", transport_sender=envelope, sender_gln=sender, destination_gln=destination
    )
    assert sender_matches(receipt, ADDRESS) is matches


def test_unit_without_number_is_matched_by_nobody() -> None:
    nobody = Address(kommunekode=Kommunekode("0163"), topic="t", receiver=Unit(sor=Sor("1"), gln=Gln(""), name=""))
    assert not sender_matches(Receipt(verdict="ok", message_id="1"), nobody)


# ---- any damage --------------------------------------------------------------------------------------------------


@given(any_damage(ANSWER))
@settings(max_examples=300, deadline=None)
def test_damage_raises_only_rejected(wrong: dict[str, Any]) -> None:
    data = json.dumps(wrong, ensure_ascii=False).encode()
    notified = [outcome_of(lambda: read(from_json(data))), outcome_of(lambda: read_bytes(data))]
    assert notified[0] in (
        notified[1],
        "unreadable",
    )  # the strict way refuses characters and numbers that the fast one skips
    found = inspect(data)
    assert set(found["reading"]) == KEYS
    if isinstance(notified[0], Receipt):
        assert notified[0].verdict in ACK_CODES
        assert found["reading"]["reaction"] == reaction(notified[0])
    else:
        assert (found["reading"]["reaction"], found["valid"]) == ("dead-letter", False)


def outcome_of(reading: Any) -> Receipt | str:
    try:
        receipt: Receipt = reading()
    except Rejected as rejected:
        return rejected.rule if rejected.rule.startswith("AV") else "unreadable"
    return receipt


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode), st.sampled_from(["", "application/fhir+xml"]))
@settings(deadline=None)
def test_no_bytes_raise_anything_but_rejected(data: bytes, media: str) -> None:
    with pytest.raises(Rejected):
        read_bytes(data, media)
    assert set(inspect(data)["reading"]) == KEYS


@pytest.mark.parametrize("document", [None, 7, "x", [], {}, {"entry": "x"}], ids=repr)
def test_what_is_no_document_is_judged_too(document: Any) -> None:
    assert judge(document).reaction == "dead-letter"


def test_xml_is_read_to_same() -> None:
    assert read_bytes(to_xml(ANSWER)) == read(ANSWER)
    assert inspect(to_xml(ANSWER)) == inspect(to_json(ANSWER))
