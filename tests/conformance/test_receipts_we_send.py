"""Every acknowledgement that our own receiver writes passes HL7's own validation code (spec 02 §4.1)."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from streams.formats.fhir.build import to_json, to_xml
from streams.messages.acknowledgement import issues_of_findings, write
from streams.messages.acknowledgement.check import ERROR_CODES
from streams.messages.hospitalnotification import check
from streams.receiver.stays import Subscriber, answer
from streams.words.codes import Notice, Verdict
from streams.words.model import ReceiptIssue
from tests.conformance.mutations import damaged, put
from tests.conformance.referee import ACKNOWLEDGEMENT, Referees
from tests.meanings.notifications import BEGIN, CASES, SURGERY, bundle, notification

pytestmark = [pytest.mark.published, pytest.mark.timeout(300)]

HEADER, ENVELOPE = "fa8c45d3-2867-49ba-99db-be07b24612c0", "cd1bb62a-bba2-4d04-a602-342a15a21771"
STIN = bundle(notification(Notice.STIN))


def acknowledged(original: dict[str, Any], verdict: Verdict, *issues: ReceiptIssue) -> dict[str, Any]:
    at = BEGIN + timedelta(hours=1)
    return write(original, verdict, issues, header_id=HEADER, envelope_id=ENVELOPE, at=at)


def passes(referee: Referees, receipt: dict[str, Any]) -> None:
    for one in referee.both:
        for media, data in (("json", to_json(receipt)), ("xml", to_xml(receipt))):
            verdict = one.judge(data, media, ACKNOWLEDGEMENT)
            assert verdict.clean, f"{one.name} set, {media}:\n{verdict}"


@pytest.mark.parametrize("verdict", ["ok", "transient-error", "fatal-error"])
def test_every_verdict(referee: Referees, verdict: Verdict) -> None:
    passes(referee, acknowledged(STIN, verdict))


@pytest.mark.parametrize("name", CASES)
def test_answer_to_every_notice(referee: Referees, name: str) -> None:
    passes(referee, acknowledged(bundle(notification(*CASES[name])), "ok"))


@pytest.mark.parametrize("code", sorted(ERROR_CODES))
def test_every_error_code_of_medcom(referee: Referees, code: str) -> None:
    issue = ReceiptIssue(
        severity="error", code="processing", details_code=code, text="Modtager er ukendt: Ærø & <Fanø>"
    )
    passes(referee, acknowledged(STIN, "fatal-error", issue))


def test_repeat_is_remarked_in_words_without_code(referee: Referees) -> None:
    repeat = ReceiptIssue(severity="information", code="duplicate", text="Received before")
    passes(referee, acknowledged(STIN, "ok", repeat))


def test_sender_that_is_not_provider(referee: Referees) -> None:
    passes(referee, acknowledged(bundle(notification(Notice.STIN, provider=SURGERY)), "ok"))


def test_receivers_refusal_with_all_that_it_found(referee: Referees) -> None:
    faulty = damaged(STIN, put("Encounter.class.code", "AMB"))
    state, answered = answer(Subscriber(), to_json(faulty))
    assert (state, answered.acknowledgement) == (Subscriber(), "fatal-error")
    assert list(answered.issues) == check(faulty)
    receipt = acknowledged(faulty, answered.acknowledgement, *issues_of_findings(answered.issues))
    passes(referee, receipt)


def test_answer_to_resend(referee: Referees) -> None:
    notified = notification(Notice.SLOR)
    again = bundle(msgspec.structs.replace(notified, assembled=notified.assembled + timedelta(minutes=30)))
    passes(referee, acknowledged(again, "ok"))
