"""Which notice a message is, and what a reader learns from it (spec 01 §9.2; acceptance.md, inspect)."""

import json
from typing import Any

import pytest

from streams.formats.fhir.build import to_json, to_xml
from streams.messages.hospitalnotification import inspect, read
from streams.words.codes import Notice
from streams.words.errors import Rejected
from streams.words.times import danish
from tests.meanings.damage import ABSENT, damaged
from tests.meanings.notifications import CASES, HEART, MUNICIPALITY, PATIENT, bundle, notification, story

every_case = pytest.mark.parametrize(("notice", "class_"), CASES.values(), ids=CASES)

READING = {
    "type", "activity", "encounter_status", "encounter_class", "deceased", "period", "leave_periods", "episode_of_care",
    "provenances", "entity_role", "previous_message", "occurred", "message_header_id", "bundle_id",
    "primary_destination_gln", "sender_gln", "sender_sor", "service_provider_sor", "report_of_admission",
    "acknowledgement",
}  # fmt: skip


@every_case
def test_what_was_written_is_what_is_read(notice: Notice, class_: Any) -> None:
    told = notification(notice, class_)
    found = read(bundle(told))
    assert found.notice is notice
    assert (found.message_id, found.class_, found.status) == (told.message_id, told.class_, told.status)
    assert (found.start, found.end) == (told.start, told.end)
    assert (found.leave_start, found.leave_end, found.deceased) == (told.leave_start, told.leave_end, told.deceased)
    assert (found.cpr, found.family, found.given) == (PATIENT.cpr, PATIENT.family, PATIENT.given)
    assert (found.sender.sor, found.receiver.gln, found.provider.name) == (HEART.sor, MUNICIPALITY.gln, HEART.name)
    assert found.chain == tuple(link.message_id for link in told.chain)
    assert found.previous == told.chain[-1].previous
    assert found.report_of_admission is told.report_of_admission
    assert found.episode == told.episode


@pytest.mark.parametrize(
    ("told", "notice"),
    [
        ((Notice.STIN, Notice.MORS, Notice.RE_MORS), Notice.RE_MORS),
        ((Notice.STIN, Notice.STOR, Notice.MORS), Notice.MORS),
        ((Notice.STIN, Notice.STOR, Notice.SLOR, Notice.MORS, Notice.AN_MORS), Notice.AN_MORS),
        ((Notice.STAA, Notice.STIN, Notice.MORS), Notice.MORS),
        ((Notice.STIN, Notice.SLHJ, Notice.AN_SLHJ, Notice.SLHJ), Notice.SLHJ),
        ((Notice.STIN, Notice.STOR, Notice.AN_STOR, Notice.STOR), Notice.STOR),
    ],
    ids=lambda value: str(value) if isinstance(value, Notice) else "-".join(value),
)
def test_deaths_are_told_apart_by_the_chain(told: tuple[Notice, ...], notice: Notice) -> None:
    *_, last = story(*told)
    assert read(bundle(last)).notice is notice


def test_a_correction_of_a_death_on_arrival_is_known_only_to_who_knows_of_the_death() -> None:
    first, second = story(Notice.MORS, Notice.RE_MORS)
    assert read(bundle(first)).notice is Notice.MORS
    assert read(bundle(second)).notice is Notice.MORS
    assert read(bundle(second), deaths={first.message_id}).notice is Notice.RE_MORS


@pytest.mark.parametrize(
    ("notice", "shown"),
    [
        (Notice.STIN, "start"),
        (Notice.STOR, "leave_start"),
        (Notice.RE_SLOR, "leave_end"),
        (Notice.SLHJ, "end"),
        (Notice.MORS, "end"),
    ],
    ids=str,
)
def test_the_time_shown_is_that_of_the_event(notice: Notice, shown: str) -> None:
    found = read(bundle(notification(notice, "IMP")))
    assert found.shown_at == getattr(found, shown) is not None


def test_a_message_that_says_nothing_of_itself_is_rejected() -> None:
    with pytest.raises(Rejected) as rejected:
        read(damaged(bundle(notification(Notice.STIN)), "Provenance.target.0.reference", "MessageHeader/another"))
    assert rejected.value.rule == "P-1"


def test_a_value_never_prints_the_person() -> None:
    assert PATIENT.cpr not in repr(read(bundle(notification(Notice.STIN))))


@every_case
def test_both_forms_are_inspected_alike(notice: Notice, class_: Any) -> None:
    written = bundle(notification(notice, class_))
    assert inspect(to_json(written)) == inspect(to_xml(written))


@every_case
def test_an_inspection_is_what_acceptance_asks_for(notice: Notice, class_: Any) -> None:
    told = notification(notice, class_)
    found = inspect(to_json(bundle(told)))
    assert (found["kind"], found["valid"], found["issues"]) == ("hospital-notification", True, [])
    reading = found["reading"]
    assert set(reading) == READING
    assert (reading["type"], reading["provenances"]) == (notice, len(told.chain))
    assert reading["period"]["start"] == danish(told.start).isoformat()
    assert reading["previous_message"] == (f"MessageHeader/{told.chain[-1].previous}" if told.chain[1:] else None)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"<a/>", b"\xff\xfe", b"null", b'{"resourceType": "Bundle"}'])
def test_what_cannot_be_read_is_an_issue_and_every_key_is_there(data: bytes) -> None:
    found = inspect(data)
    assert not found["valid"]
    assert found["issues"]
    assert set(found["reading"]) == READING
    assert found["reading"]["acknowledgement"] == "fatal-error"


def test_a_faulty_message_still_says_what_it_can() -> None:
    faulty = damaged(bundle(notification(Notice.STIN)), "Encounter.class", ABSENT)
    faulty["entry"][0]["resource"].pop("eventCoding")
    found = inspect(json.dumps(faulty).encode())
    assert {i["rule"] for i in found["issues"] if i["severity"] == "error"} == {
        "Encounter.class",
        "MessageHeader.event[x]",
    }
    assert (found["reading"]["type"], found["reading"]["acknowledgement"]) == ("STIN", "fatal-error")
