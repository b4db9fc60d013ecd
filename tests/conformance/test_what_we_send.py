"""Everything we send passes HL7's own validation code: no error, no warning, in both sets, in JSON and in XML.

`primary` is what we validate against (spec 01, 1.2), `forward` what the same bytes have to pass next (1.7).
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from streams.formats.fhir.build import to_json, to_xml
from streams.messages.acknowledgement import check, issues_of_findings
from streams.messages.acknowledgement.check import ERROR_CODES, ISSUE_TYPES
from streams.messages.hospitalnotification import check as check_notification
from streams.messages.hospitalnotification import redispatch
from streams.words.codes import LPR3_SYSTEM, SOR_ENDPOINT, Notice, Verdict
from streams.words.ids import Gln, Sor
from streams.words.model import EpisodeIdentifier, Link, Notification, Patient, ReceiptIssue, Unit
from tests.conformance.referee import ACKNOWLEDGEMENT, HOSPITAL_NOTIFICATION, Referees
from tests.meanings.acknowledgements import acknowledgement
from tests.meanings.notifications import CASES, EPISODE, HEART, SURGERY, bundle, notification, story

pytestmark = [pytest.mark.published, pytest.mark.timeout(300)]

N = Notice
OTHER = Unit(sor=Sor("953741000016009"), gln=Gln("5790001348120"), name="Akutafdelingen i Køge")


def passes(referee: Referees, message: dict[str, Any], profile: str = HOSPITAL_NOTIFICATION) -> None:
    for one in referee.both:
        for media, data in (("json", to_json(message)), ("xml", to_xml(message))):
            verdict = one.judge(data, media, profile)
            assert verdict.clean, f"{one.name} set, {media}:\n{verdict}"


# ---- notices -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_every_notice_of_every_contact_type(referee: Referees, name: str) -> None:
    notice, class_ = CASES[name]
    passes(referee, bundle(notification(notice, class_)))


@pytest.mark.parametrize(
    "notices",
    [
        pytest.param((N.STAA, N.STIN, N.SLHJ), id="acute, admitted, home"),
        pytest.param((N.STIN, N.STAA, N.SLHJ), id="admitted, acute again, home"),
        pytest.param((N.STIN, N.STOR, N.MORS), id="death on leave"),
        pytest.param((N.STIN, N.STOR, N.MORS, N.AN_MORS), id="death on leave retracted"),
        pytest.param((N.STIN, N.STOR, N.AN_STOR, N.AN_STIN), id="wrong citizen found on leave"),
        pytest.param((N.STIN, N.RE_STIN, N.AN_STIN), id="corrected, then cancelled"),
        pytest.param((N.MORS,), id="death on arrival"),
        pytest.param((N.MORS, N.AN_MORS), id="death on arrival retracted"),
    ],
)
def test_every_message_of_story(referee: Referees, notices: tuple[Notice, ...]) -> None:
    for notified in story(*notices):
        passes(referee, bundle(notified))


@pytest.mark.parametrize("length", [2, 20, 60])
def test_chains_of_any_length(referee: Referees, length: int) -> None:
    leaves = (N.STOR, N.SLOR) * (length // 2)
    *_, last = story(N.STIN, *leaves[: length - 1])
    assert len(last.chain) == length
    passes(referee, bundle(last))


@pytest.mark.parametrize(
    "begin",
    [
        pytest.param(datetime(2026, 3, 28, 23, 30, tzinfo=UTC), id="into summer time"),
        pytest.param(datetime(2026, 10, 24, 22, 30, tzinfo=UTC), id="out of summer time"),
        pytest.param(datetime(2024, 2, 29, 10, 0, tzinfo=UTC), id="29 February"),
        pytest.param(datetime(2026, 12, 31, 21, 59, 59, 999_999, tzinfo=UTC), id="over New Year"),
    ],
)
def test_stays_across_change_of_clock(referee: Referees, begin: datetime) -> None:
    for notified in story(N.STIN, N.STOR, N.SLOR, N.SLHJ, begin=begin):
        passes(referee, bundle(notified))


NAMES = {
    "Danish letters": Patient(cpr="2512489996", family="Ærøskøbing-Ågård", given=("Åse", "Øyvind")),
    "no given name": Patient(cpr="0201609995", family="Test"),
    "markup": Patient(cpr="0201919990", family="O'Hara & <b>Søn</b>", given=('"Bo"', "]]>", "--")),
    "letters of other scripts": Patient(cpr="1509819996", family="Ελληνίδου", given=("Łucja", "Ђорђе", "李")),
}


@pytest.mark.parametrize("name", NAMES)
def test_names_of_any_spelling(referee: Referees, name: str) -> None:
    passes(referee, bundle(notification(N.STIN, patient=NAMES[name])))


def _moved(notified: Notification) -> Notification:
    """The same message when the actors of its history were another unit each."""
    units = (OTHER, HEART, msgspec.structs.replace(SURGERY, gln=Gln("5790000209354")))
    chain = tuple(msgspec.structs.replace(link, agent=units[i % 3]) for i, link in enumerate(notified.chain[:-1]))
    return msgspec.structs.replace(notified, chain=(*chain, notified.chain[-1]))


def _continuing_a_letter(notified: Notification) -> Notification:
    """The same message when its stay began with an OIOXML letter (15.9): one Provenance."""
    link: Link = msgspec.structs.replace(
        notified.chain[-1], previous="", previous_letter="5790001348120#BREV1234567890"
    )
    return msgspec.structs.replace(notified, chain=(link,))


VARIANTS: dict[str, Callable[[], Notification]] = {
    "the provider is a department without GLN": lambda: notification(N.STIN, provider=SURGERY),
    "the report goes to another unit": lambda: notification(N.STIN, report_recipient=OTHER),
    "a transfer that asks for no report": lambda: notification(
        N.STIN, report_of_admission=False, report_recipient=None
    ),
    "an LPR3 id beside the local one": lambda: notification(
        N.STOR,
        episode=(
            EpisodeIdentifier(system=SOR_ENDPOINT + HEART.sor, value=EPISODE),
            EpisodeIdentifier(system=LPR3_SYSTEM, value="urn:uuid:6ba7b811-9dad-51d1-80b4-00c04fd430c8"),
        ),
    ),
    "other units in the history": lambda: _moved(notification(N.SLOR)),
    "a stay that began as a letter": lambda: _continuing_a_letter(notification(N.SLHJ)),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_of_units_and_ids(referee: Referees, name: str) -> None:
    passes(referee, bundle(VARIANTS[name]()))


@pytest.mark.parametrize("name", ["STIN-IMP", "SLOR-IMP", "AN_MORS-EMER"])
def test_message_sent_again(referee: Referees, name: str) -> None:
    notified = notification(*CASES[name])
    again = redispatch(
        bundle(notified), "0b0cb2d8-5b7a-4c55-9bd3-94da7ff5a0c6", notified.assembled + timedelta(minutes=30)
    )
    passes(referee, again)


# ---- acknowledgements --------------------------------------------------------------------------------------------


def answer_passes(referee: Referees, answer: dict[str, Any]) -> None:
    assert check(answer) == []
    passes(referee, answer, ACKNOWLEDGEMENT)


@pytest.mark.parametrize("name", CASES)
def test_acknowledgement_of_every_notice(referee: Referees, name: str) -> None:
    answer_passes(referee, acknowledgement(original=bundle(notification(*CASES[name]))))


@pytest.mark.parametrize("verdict", ["ok", "transient-error", "fatal-error"])
def test_every_verdict_without_further_words(referee: Referees, verdict: Verdict) -> None:
    answer_passes(referee, acknowledgement(verdict))


@pytest.mark.parametrize("code", sorted(ERROR_CODES))
def test_every_code_we_may_write(referee: Referees, code: str) -> None:
    answer_passes(
        referee, acknowledgement("fatal-error", ReceiptIssue(severity="error", code="invalid", details_code=code))
    )


def test_every_type_of_issue(referee: Referees) -> None:
    issues = [ReceiptIssue(severity="warning", code=code, text=f"{code} & <{code}>") for code in sorted(ISSUE_TYPES)]
    answer_passes(referee, acknowledgement("transient-error", *issues))


def test_duplicate_and_hl7_code_are_text(referee: Referees) -> None:
    duplicate = ReceiptIssue(severity="information", code="duplicate", text="Message was received before")
    hl7 = "http://terminology.hl7.org/CodeSystem/operation-outcome"
    foreign = ReceiptIssue(severity="error", code="duplicate", details_code="MSG_DUPLICATE_ID", details_system=hl7)
    answer_passes(referee, acknowledgement("ok", duplicate, foreign))


def test_what_our_check_found_in_notification(referee: Referees) -> None:
    found = issues_of_findings(check_notification({"resourceType": "Bundle", "entry": [{}]}))
    assert found
    answer_passes(referee, acknowledgement("fatal-error", *found))


def test_acknowledgement_of_stay_that_began_as_letter(referee: Referees) -> None:
    answer_passes(referee, acknowledgement(original=bundle(_continuing_a_letter(notification(N.SLHJ)))))
