"""An acknowledgement written: roles swapped, two Provenances, ids that repeat, codes we may use (spec 02 §4.1; 00 §3.9)."""

import json
from typing import Any

import pytest

from streams.formats.fhir.build import arranged, to_json
from streams.formats.fhir.structure import border_check
from streams.messages.acknowledgement import check, inspect, read, write
from streams.words.codes import ACK_ERROR_SYSTEM, Notice, Verdict
from streams.words.errors import Rejected
from streams.words.model import ReceiptIssue
from tests.meanings.acknowledgements import ANSWERED, AT, ENVELOPE, HEADER, acknowledgement
from tests.meanings.damage import ABSENT, damaged
from tests.meanings.notifications import HEART, MUNICIPALITY, bundle, story

VERDICTS: list[Verdict] = ["ok", "transient-error", "fatal-error"]


def of_kind(answer: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in answer["entry"] if entry["resource"]["resourceType"] == kind]


@pytest.mark.parametrize("verdict", VERDICTS)
def test_what_is_written_is_valid_and_read_back(verdict: Verdict) -> None:
    answer = acknowledgement(verdict)
    assert check(answer) == []
    assert border_check(answer) == []
    assert answer == arranged(answer)
    receipt = read(answer)
    assert (receipt.verdict, receipt.nonconformant) == (verdict, ())
    assert receipt.message_id == ANSWERED["entry"][0]["resource"]["id"]


def test_sender_and_receiver_have_changed_places() -> None:
    receipt = read(acknowledgement())
    assert (receipt.sender_gln, receipt.destination_gln) == (MUNICIPALITY.gln, HEART.gln)


@pytest.mark.parametrize("verdict", VERDICTS)
def test_negative_verdict_always_has_reason(verdict: Verdict) -> None:
    assert len(of_kind(acknowledgement(verdict), "OperationOutcome")) == (verdict != "ok")


def test_newest_provenance_is_copied_with_its_agent() -> None:
    *_, last = story(Notice.STIN, Notice.STOR, Notice.SLOR)
    answer = acknowledgement(original=bundle(last))
    copy, own = of_kind(answer, "Provenance")
    organizations = {f"Organization/{o['id']}" for o in of_kind(answer, "Organization")}
    assert copy["id"] == last.chain[-1].provenance_id
    assert copy["target"] == [{"reference": f"MessageHeader/{last.message_id}"}]
    assert copy["activity"]["coding"][0]["code"] == "end-leave-inpatient"
    assert {copy["agent"][0]["who"]["reference"], own["agent"][0]["who"]["reference"]} == organizations
    assert own["entity"] == [{"role": "revision", "what": {"reference": f"MessageHeader/{last.message_id}"}}]


def test_what_vendor_added_to_provenance_is_not_carried_back() -> None:
    *_, last = story(Notice.STIN, Notice.STOR)
    vendors, message = {"extension": [{"url": "urn:vendor", "valueString": "x"}]}, bundle(last)
    newest = of_kind(message, "Provenance")[-1]
    newest |= vendors | {"_recorded": vendors}
    newest["activity"] |= vendors
    newest["entity"][0] |= vendors
    assert acknowledgement(original=message) == acknowledgement(original=bundle(last))


def test_every_resource_has_profile_text_and_address() -> None:
    for entry in acknowledgement("fatal-error")["entry"]:
        resource = entry["resource"]
        assert resource["meta"]["profile"]
        assert resource["text"]["div"].startswith("<div xmlns=")
        kind, id_ = resource["resourceType"], resource["id"]
        assert entry["fullUrl"] == f"https://medcomfhir.dk/ig/acknowledgement/{kind}/{id_}"


def test_no_patient_data_is_in_it() -> None:
    text = to_json(acknowledgement("fatal-error")).decode()
    assert not [word for word in ("2509479989", "Bruno", "Elmer", "Encounter/", "Patient/") if word in text]


def test_same_answer_gives_same_bytes() -> None:
    assert to_json(acknowledgement()) == to_json(acknowledgement())
    other = acknowledgement(header_id="6e0cb2d8-5b7a-4c55-9bd3-94da7ff5a0c6")
    ids = [{o["id"] for o in of_kind(answer, "Organization")} for answer in (acknowledgement(), other)]
    assert not ids[0] & ids[1]


def test_ids_may_be_minted_by_caller() -> None:
    answer = write(ANSWERED, "ok", header_id=HEADER, envelope_id=ENVELOPE, at=AT, ids=lambda name: name.lower())
    assert [o["id"] for o in of_kind(answer, "Organization")] == ["organization/receiver", "organization/sender"]


def test_code_that_we_may_not_write_becomes_text() -> None:
    ours = ReceiptIssue(severity="error", code="code-invalid", details_code="MSG_VALUESET_VALUE_UNKNOWN", text="class")
    foreign = ReceiptIssue(severity="strange", code="strange", details_code="MSG_DUPLICATE_ID", text="again")
    first, second = of_kind(acknowledgement("fatal-error", ours, foreign), "OperationOutcome")[0]["issue"]
    coding = {"system": ACK_ERROR_SYSTEM, "code": "MSG_VALUESET_VALUE_UNKNOWN"}
    assert first == {"severity": "error", "code": "code-invalid", "details": {"coding": [coding], "text": "class"}}
    assert second == {"severity": "error", "code": "processing", "details": {"text": "MSG_DUPLICATE_ID again"}}


@pytest.mark.parametrize(
    "place",
    [
        "MessageHeader.id",
        "MessageHeader.sender",
        "MessageHeader.destination",
        "Organization[0].identifier.1",
        "Bundle.entry",
    ],
)
def test_message_without_sender_is_not_answered(place: str) -> None:
    with pytest.raises(Rejected):
        acknowledgement(original=damaged(ANSWERED, place, ABSENT))


@pytest.mark.parametrize(
    "place", ["Patient.identifier", "Encounter.status", "Organization[0].name", "Bundle.timestamp"]
)
def test_message_that_is_wrong_elsewhere_is_answered(place: str) -> None:
    answer = acknowledgement("fatal-error", original=damaged(ANSWERED, place, ABSENT))
    assert check(answer) == []


def test_answer_to_answer_is_recognised() -> None:
    answer = acknowledgement(original=acknowledgement(), header_id="6e0cb2d8-5b7a-4c55-9bd3-94da7ff5a0c6")
    found = inspect(json.dumps(answer).encode())
    assert (found["valid"], found["reading"]["reaction"]) == (False, "ignore")
