"""Which notice a message is, and what a reader learns from it (spec 01 §9.2; acceptance.md, inspect)."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from streams.formats.fhir.build import to_json, to_xml
from streams.messages.hospitalnotification import inspect, read
from streams.messages.hospitalnotification.read import notified
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
    notified = notification(notice, class_)
    found = read(bundle(notified))
    assert found.notice is notice
    assert (found.message_id, found.class_, found.status) == (notified.message_id, notified.class_, notified.status)
    assert (found.start, found.end) == (notified.start, notified.end)
    assert (found.leave_start, found.leave_end, found.deceased) == (
        notified.leave_start,
        notified.leave_end,
        notified.deceased,
    )
    assert (found.cpr, found.family, found.given) == (PATIENT.cpr, PATIENT.family, PATIENT.given)
    assert (found.sender.sor, found.receiver.gln, found.provider.name) == (HEART.sor, MUNICIPALITY.gln, HEART.name)
    assert found.chain == tuple(link.message_id for link in notified.chain)
    assert found.previous == notified.chain[-1].previous
    assert found.report_of_admission is notified.report_of_admission
    assert found.episode == notified.episode


@pytest.mark.parametrize(
    ("notified", "notice"),
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
def test_deaths_are_distinguished_by_chain(notified: tuple[Notice, ...], notice: Notice) -> None:
    *_, last = story(*notified)
    assert read(bundle(last)).notice is notice


def test_corrected_death_on_arrival_needs_known_death() -> None:
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
def test_time_shown_is_that_of_event(notice: Notice, shown: str) -> None:
    found = read(bundle(notification(notice, "IMP")))
    assert found.shown_at == getattr(found, shown) is not None


def test_message_without_identity_is_rejected() -> None:
    with pytest.raises(Rejected) as rejected:
        read(damaged(bundle(notification(Notice.STIN)), "Provenance.target.0.reference", "MessageHeader/another"))
    assert rejected.value.rule == "P-1"


def test_value_never_prints_person() -> None:
    assert PATIENT.cpr not in repr(read(bundle(notification(Notice.STIN))))


@every_case
def test_both_forms_are_inspected_alike(notice: Notice, class_: Any) -> None:
    written = bundle(notification(notice, class_))
    assert inspect(to_json(written)) == inspect(to_xml(written))


@every_case
def test_inspection_is_what_acceptance_asks_for(notice: Notice, class_: Any) -> None:
    notified = notification(notice, class_)
    found = inspect(to_json(bundle(notified)))
    assert (found["kind"], found["valid"], found["issues"]) == ("hospital-notification", True, [])
    reading = found["reading"]
    assert set(reading) == READING
    assert (reading["type"], reading["provenances"]) == (notice, len(notified.chain))
    assert reading["period"]["start"] == danish(notified.start).isoformat()
    assert reading["previous_message"] == (
        f"MessageHeader/{notified.chain[-1].previous}" if notified.chain[1:] else None
    )


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"<a/>", b"\xff\xfe", b"null", b'{"resourceType": "Bundle"}'])
def test_unreadable_parts_are_issues_with_every_key(data: bytes) -> None:
    found = inspect(data)
    assert not found["valid"]
    assert found["issues"]
    assert set(found["reading"]) == READING
    assert found["reading"]["acknowledgement"] == "fatal-error"


def test_faulty_message_is_read_as_far_as_possible() -> None:
    faulty = damaged(bundle(notification(Notice.STIN)), "Encounter.class", ABSENT)
    faulty["entry"][0]["resource"].pop("eventCoding")
    found = inspect(json.dumps(faulty).encode())
    assert {i["rule"] for i in found["issues"] if i["severity"] == "error"} == {
        "Encounter.class",
        "MessageHeader.event[x]",
    }
    assert (found["reading"]["type"], found["reading"]["acknowledgement"]) == ("STIN", "fatal-error")


@pytest.mark.parametrize(
    ("written", "shown"), [(True, True), (False, False), ("true", None), (1, None), (ABSENT, None), ([True], None)]
)
def test_inspection_shows_a_truth_only_where_one_is_written(written: Any, shown: bool | None) -> None:
    dead, started = bundle(notification(Notice.MORS)), bundle(notification(Notice.STIN))
    flag = "MessageHeader.extension.0.valueBoolean"
    assert inspect(to_json(damaged(dead, "Patient.deceasedBoolean", written)))["reading"]["deceased"] is shown
    assert inspect(to_json(damaged(started, flag, written)))["reading"]["report_of_admission"] is shown


@every_case
def test_a_message_is_a_notification_of_ours_again(notice: Notice, class_: Any) -> None:
    written = notification(notice, class_)
    again = notified(bundle(written), written.to)
    # A chain does not tell which of its messages was a death, nor the place of the message in its lane.
    same = replace(again, ordinal=written.ordinal, event_id=written.event_id, chain=written.chain)
    assert same == written
    assert [replace(link, notice=notice) for link in again.chain] == [
        replace(link, notice=notice) for link in written.chain
    ]
    assert again.chain[-1].notice is notice


def test_a_message_without_stay_is_none_of_ours() -> None:
    broken = damaged(bundle(notification(Notice.STIN)), "Encounter.period.start", ABSENT)
    with pytest.raises(Rejected):
        notified(broken, notification(Notice.STIN).to)
