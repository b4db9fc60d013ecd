"""Status events: what our station shows about each step of a message (spec 03 §§2-5)."""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import msgspec
import orjson
import pytest

from streams.records.trace import (
    SBDH,
    TracedDocument,
    TraceEvent,
    acknowledged,
    audit_event,
    created,
    network_answered,
    sent,
    strictly_after,
)
from streams.words.codes import Notice
from streams.words.ids import Gln, Sor
from streams.words.model import NetworkReceipt, Receipt, Unit
from streams.words.times import COPENHAGEN
from tests.meanings.notifications import HEART, MUNICIPALITY, PATIENT, TRACED, about, notification
from tests.published import EXAMPLES

AT = datetime(2026, 7, 2, 9, 0, 5, 123456, tzinfo=UTC)
DEVICE = "35120d1e-a95a-5a95-b7aa-610ae8310e5e"
NOTE = notification(Notice.STIN)
RECEIPT = Receipt(
    verdict="transient-error",
    message_id=NOTE.message_id,
    ack_message_id="ack-header",
    ack_envelope_id="ack-bundle",
    transport_id="ack-envelope",
)
STATION = {"recorded": AT, "device_id": DEVICE}


def created_event() -> dict[str, Any]:
    return audit_event(created(about(NOTE, MUNICIPALITY), bundle_id="bundle-1", **STATION))


def sent_event(**changes: Any) -> dict[str, Any]:
    values = {"bundle_id": "bundle-1", "transport_id": "envelope-1", **STATION} | changes
    return audit_event(sent(about(NOTE, MUNICIPALITY), **values))


def acknowledged_event(**changes: Any) -> dict[str, Any]:
    values = {"sender": MUNICIPALITY, "receiver": HEART, "original": TRACED, **STATION} | changes
    return audit_event(acknowledged(RECEIPT, **values))


def named(event: dict[str, Any]) -> dict[str, str]:
    return {entity["type"]["code"]: entity["what"]["identifier"]["value"] for entity in event["entity"]}


def details(event: dict[str, Any], code: str) -> dict[str, str]:
    entity = next(entity for entity in event["entity"] if entity["type"]["code"] == code)
    return {detail["type"]: detail["valueString"] for detail in entity["detail"]}


def agents(event: dict[str, Any]) -> list[tuple[str, str]]:
    return [(agent["type"]["coding"][0]["code"], agent["who"]["identifier"]["value"]) for agent in event["agent"]]


def test_stored_message_names_no_network_envelope() -> None:
    event = created_event()
    assert event["subtype"][0]["code"] == "msg-created"
    assert named(event) == {
        "ehmiPatient": PATIENT.cpr,
        "ehmiMessage": NOTE.message_id,
        "ehmiMessageEnvelope": "bundle-1",
    }


def test_only_first_event_of_message_is_counted_in_statistics() -> None:
    assert details(created_event(), "ehmiMessage") == {
        "ehmiMessageType": "hospital-notification-message",
        "ehmiMessageVersion": "3.0",
        "ehmiStatisticalInfo": "MCM:hospital-notification-message|3.0#AdmissionInpatient",
    }
    assert "ehmiStatisticalInfo" not in details(sent_event(), "ehmiMessage")


def test_dispatch_names_envelopes_of_its_attempt() -> None:
    event = sent_event(transport=SBDH)
    assert named(event)["ehmiTransportEnvelope"] == "envelope-1"
    assert details(event, "ehmiTransportEnvelope") == {
        "ehmiTransportEnvelopeType": "SBDH",
        "ehmiTransportEnvelopeVersion": "1.0",
    }


@pytest.mark.parametrize(("failed", "outcome"), [(False, "0"), (True, "8")], ids=["handed-over", "failed"])
def test_failed_hand_over_is_dispatch_with_outcome_8(failed: bool, outcome: str) -> None:
    assert sent_event(failed=failed)["outcome"] == outcome


def test_acknowledgement_is_sent_by_municipality_and_received_by_hospital() -> None:
    assert agents(created_event()) == [("ehmiSender", HEART.sor), ("ehmiReceiver", MUNICIPALITY.sor)]
    assert agents(acknowledged_event()) == [("ehmiSender", MUNICIPALITY.sor), ("ehmiReceiver", HEART.sor)]


def test_acknowledgement_is_counted_by_its_own_verdict() -> None:
    event = acknowledged_event()
    assert details(event, "ehmiMessage")["ehmiStatisticalInfo"] == "MCM:acknowledgement-message|2.0#transient-error"
    assert event["outcome"] == "0"


def test_acknowledgement_names_what_it_answers_and_no_person() -> None:
    event = acknowledged_event()
    assert named(event) == {
        "ehmiMessage": "ack-header",
        "ehmiMessageEnvelope": "ack-bundle",
        "ehmiTransportEnvelope": "ack-envelope",
        "ehmiOrigMessage": NOTE.message_id,
    }
    assert event["meta"]["profile"][0].endswith("/EdsBasicDeliveryStatus")
    assert not re.search(r"\b\d{10}\b", str(event))


def test_unknown_acknowledgement_is_outcome_8() -> None:
    event = acknowledged_event(original=None)
    assert event["outcome"] == "8"
    assert set(details(event, "ehmiOrigMessage").values()) == {"unknown"}


def test_unknown_sender_without_name_goes_without_display() -> None:
    agent = acknowledged_event(sender=Unit(sor=Sor("953741000016009"), gln=Gln(""), name=""))["agent"][0]
    assert set(agent) == {"type", "who", "requestor"}
    assert set(agent["who"]) == {"identifier"}


def test_envelope_receipt_names_envelope_that_it_answers() -> None:
    receipt = NetworkReceipt(positive=False, layer="sbdh", original_transport_id="envelope-1", transport_id="receipt-1")
    step = network_answered(
        receipt, original_message_id=NOTE.message_id, original=TRACED, sender=MUNICIPALITY, receiver=HEART, **STATION
    )
    event = audit_event(step)
    assert event["outcome"] == "0"  # it was received, whatever it shows
    assert named(event) == {
        "ehmiMessage": "receipt-1",
        "ehmiTransportEnvelope": "receipt-1",
        "ehmiOrigMessage": NOTE.message_id,
        "ehmiOrigTransportEnvelope": "envelope-1",
    }
    assert details(event, "ehmiMessage")["ehmiMessageVersion"] == "ebbp-signals-2.0"


def test_legacy_letter_is_named_by_its_type_and_version() -> None:
    event = audit_event(
        created(about(NOTE, MUNICIPALITY, TracedDocument("XDIS20", "XD2030C")), bundle_id="", **STATION)
    )
    assert details(event, "ehmiMessage")["ehmiMessageType"] == "XDIS20"
    assert "ehmiMessageEnvelope" not in named(event)


@pytest.mark.parametrize(
    ("recorded", "written"),
    [
        (AT, "2026-07-02T11:00:05.123+02:00"),
        (AT.replace(month=1, microsecond=0), "2026-01-02T10:00:05.000+01:00"),
        (AT.astimezone(timezone(timedelta(hours=-5))), "2026-07-02T11:00:05.123+02:00"),
    ],
    ids=["summer", "winter", "other-zone"],
)
def test_time_is_danish_and_has_milliseconds(recorded: datetime, written: str) -> None:
    assert sent_event(recorded=recorded)["recorded"] == written


def test_same_step_has_same_id_at_any_time() -> None:
    assert sent_event()["id"] == sent_event(recorded=AT + timedelta(hours=1))["id"]


@pytest.mark.parametrize(
    "changes",
    [{"bundle_id": "bundle-2"}, {"transport_id": "envelope-2"}, {"ordinal": 1}, {"device_id": "another"}],
    ids=str,
)
def test_another_attempt_failure_or_station_has_another_id(changes: dict[str, Any]) -> None:
    other = sent_event(**changes)["id"]
    assert other != sent_event()["id"]
    assert UUID(other).version == 5


def test_success_after_failures_has_id_of_its_own() -> None:
    ids = {sent_event(failed=True)["id"], sent_event(failed=True, ordinal=1)["id"], sent_event(ordinal=2)["id"]}
    assert len(ids) == 3


def test_step_never_prints_person() -> None:
    assert PATIENT.cpr not in repr(created(about(NOTE, MUNICIPALITY), bundle_id="b", **STATION))


@pytest.mark.parametrize(
    ("last", "expected"),
    [(None, 123000), (AT - timedelta(seconds=1), 123000), (AT.replace(microsecond=123000), 124000)],
    ids=["first", "later", "equal"],
)
def test_recorded_increases_by_millisecond_at_least(last: datetime | None, expected: int) -> None:
    assert strictly_after(AT, last).microsecond == expected


# ---- the published files of one station -------------------------------------------------------------------------

HOSPITAL = Unit(sor=Sor("900011000016006"), gln=Gln("5799990000019"), name="Fjordby Sygehus, Medicinsk Modtagelse")
TOWN = Unit(sor=Sor("901011000016002"), gln=Gln("5799990001016"), name="Sygehusadviser, Eksempelkøbing Kommune")
HEADER = "b978b278-c92a-5bdf-a96c-88de9537daa1"
FIRST = {"bundle_id": "aa880cf8-de2b-5fed-9650-53e7f20955d0", "transport_id": "1a45224e-e361-5d6e-a146-b85b86713fa8"}
SECOND = {"bundle_id": "44637a6b-2df0-5c5c-b8ef-d458c6885ab7", "transport_id": "eaecd33f-148a-5248-83fe-652ccac501a4"}
PUBLISHED_NOTE = msgspec.structs.replace(
    NOTE, sender=HOSPITAL, message_id=HEADER, patient=msgspec.structs.replace(PATIENT, cpr="2512489996")
)


def clock(text: str) -> dict[str, Any]:
    return {"recorded": datetime.fromisoformat(f"2026-03-02T{text}").replace(tzinfo=COPENHAGEN), "device_id": DEVICE}


PUBLISHED: dict[str, TraceEvent] = {
    "01-msg-created": created(about(PUBLISHED_NOTE, TOWN), bundle_id=FIRST["bundle_id"], **clock("08:14:05.000")),
    "02-msg-sent": sent(about(PUBLISHED_NOTE, TOWN), **FIRST, **clock("08:14:05.400")),
    "03-resend1-msg-sent": sent(about(PUBLISHED_NOTE, TOWN), **SECOND, **clock("08:44:05.600")),
    "04-failure-msg-sent": sent(about(PUBLISHED_NOTE, TOWN), failed=True, **FIRST, **clock("08:14:05.300")),
    "07-ack-msg-received-and-finalized": acknowledged(
        Receipt(
            verdict="ok",
            message_id=HEADER,
            ack_message_id="fa8c45d3-2867-59ba-99db-be07b24612c0",
            ack_envelope_id="cd1bb62a-bba2-5d04-a602-342a15a21771",
            transport_id="52ed924c-cf52-5c90-b90c-6c988fbba107",
        ),
        original=TRACED,
        sender=TOWN,
        receiver=HOSPITAL,
        **clock("08:14:42.200"),
    ),
}


@pytest.mark.published
@pytest.mark.parametrize("name", PUBLISHED)
def test_our_events_equal_published_ones_but_for_id(name: str) -> None:
    published = orjson.loads((EXAMPLES / "eds" / "own-station" / f"{name}.json").read_bytes())
    ours = audit_event(PUBLISHED[name])
    assert orjson.dumps(ours | {"id": ""}) == orjson.dumps(published | {"id": ""})  # order of elements and all


@pytest.mark.parametrize(("original", "outcome"), [(TRACED, "0"), (None, "8")])
def test_receipt_for_unknown_envelope_has_outcome_8(original: TracedDocument | None, outcome: str) -> None:
    receipt = NetworkReceipt(positive=True, original_transport_id="e-1", transport_id="r-1")
    step = network_answered(
        receipt, original_message_id="m-1", sender=HEART, receiver=MUNICIPALITY, original=original, **STATION
    )
    assert (step.outcome, step.profile, step.subtype) == (outcome, "basic", "msg-received-and-finalized")
    assert (step.original, step.ordinal) == (original or TracedDocument("unknown", "unknown"), 0)
    assert audit_event(step)["outcome"] == outcome
