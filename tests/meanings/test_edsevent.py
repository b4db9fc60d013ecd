"""Status events are checked against their profile, one departure at a time (spec 03 §2)."""

import copy
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.formats.fhir.build import json_to_xml
from streams.messages import edsevent
from streams.records.trace import acknowledged, audit_event, created, sent
from streams.words.codes import Notice
from streams.words.model import Receipt
from tests.meanings.notifications import HEART, MUNICIPALITY, PATIENT, TRACED, about, notification

STATION = {"recorded": datetime(2026, 3, 2, 8, 14, 5, tzinfo=UTC), "device_id": "35120d1e-a95a-5a95-b7aa-610ae8310e5e"}
NOTE = notification(Notice.STIN)
RECEIPT = Receipt(verdict="ok", message_id=NOTE.message_id, ack_message_id="a", ack_envelope_id="b", transport_id="c")
PDS = audit_event(sent(about(NOTE, MUNICIPALITY), bundle_id="bundle", transport_id="envelope", **STATION))
BDS = audit_event(acknowledged(RECEIPT, original=TRACED, sender=MUNICIPALITY, receiver=HEART, **STATION))
CREATED = audit_event(created(about(NOTE, MUNICIPALITY), bundle_id="bundle", **STATION))

Change = Callable[[dict[str, Any]], Any]


def put(path: str, value: Any) -> Change:
    """Sets, or with None removes, the member at a path of names and numbers."""
    *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]

    def change(event: dict[str, Any]) -> None:
        for step in way:
            event = event[step]  # type: ignore[index]
        if value is None:
            del event[last]  # type: ignore[arg-type]
        else:
            event[last] = value  # type: ignore[index]

    return change


def checked(event: dict[str, Any], change: Change | None = None, *, outgoing: bool = False) -> list[tuple[str, str]]:
    """Severity and path of every finding about a changed event."""
    event = copy.deepcopy(event)
    if change is not None:
        change(event)
    return [
        (issue.severity, issue.path.removeprefix("AuditEvent.")) for issue in edsevent.check(event, outgoing=outgoing)
    ]


@pytest.mark.parametrize("event", [PDS, BDS, CREATED], ids=["sent", "acknowledged", "created"])
def test_what_we_emit_has_no_finding(event: dict[str, Any]) -> None:
    assert checked(event, outgoing=True) == []


ERRORS: dict[str, tuple[dict[str, Any], Change, str]] = {
    "another-resource": (PDS, put("resourceType", "Bundle"), "resourceType"),
    "action-update": (PDS, put("action", "U"), "action"),
    "no-action": (PDS, put("action", None), "action"),
    "outcome-4": (PDS, put("outcome", "4"), "outcome"),
    "outcome-list": (PDS, put("outcome", ["0"]), "outcome"),
    "outcome-description": (PDS, put("outcomeDesc", "it did not work"), "outcomeDesc"),
    "period": (PDS, put("period", {}), "period"),
    "purpose": (PDS, put("purposeOfEvent", []), "purposeOfEvent"),
    "time-without-zone": (PDS, put("recorded", "2026-03-02T08:14:05.000"), "recorded"),
    "time-that-is-none": (PDS, put("recorded", "2026-02-30T08:14:05.000+01:00"), "recorded"),
    "type": (PDS, put("type.code", "rest"), "type"),
    "two-subtypes": (PDS, lambda e: e["subtype"].append(e["subtype"][0]), "subtype"),
    "unknown-subtype": (PDS, put("subtype.0.code", "msg-rejected"), "subtype[0]"),
    "one-agent": (PDS, put("agent.1", None), "agent"),
    "two-senders": (PDS, lambda e: e["agent"].append(e["agent"][0]), "agent"),
    "no-sor": (PDS, put("agent.0.who.identifier.value", None), "agent[0].who.identifier.value"),
    "requestor": (PDS, put("agent.0.requestor", False), "agent[0].requestor"),
    "station": (PDS, put("source.type.0.code", "CLOUD"), "source.type"),
    "no-observer": (PDS, put("source.observer", None), "source.observer"),
    "no-patient": (PDS, put("entity.0", None), "entity"),
    "patient-in-basic": (BDS, lambda e: e["entity"].append(PDS["entity"][0]), "entity"),
    "patient-of-another-system-in-basic": (
        BDS,
        lambda e: e["entity"].append(
            PDS["entity"][0] | {"type": {"system": "x", "code": "ehmiPatient", "display": "P"}}
        ),
        "entity",
    ),
    "no-message": (BDS, put("entity.0", None), "entity"),
    "two-envelopes": (PDS, lambda e: e["entity"].append(e["entity"][2]), "entity"),
    "envelope-with-an-empty-id": (PDS, put("entity.2.what.identifier.value", ""), "entity[2].what.identifier"),
    "message-without-id": (PDS, put("entity.1.what", None), "entity[1].what.identifier"),
    "entity-without-display": (PDS, put("entity.1.type.display", None), "entity[1].type.display"),
    "entity-of-another-system": (PDS, put("entity.1.type.system", "x"), "entity[1].type.system"),
    "no-message-type": (PDS, put("entity.1.detail.0", None), "entity[1].detail"),
    "detail-not-in-the-list": (PDS, put("entity.1.detail.0.type", "ehmiNote"), "entity[1].detail[0]"),
    "detail-no-text": (PDS, put("entity.1.detail.1.valueString", None), "entity[1].detail[1]"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_departure_from_profile_is_error_at_its_place(name: str) -> None:
    event, change, path = ERRORS[name]
    assert ("error", path) in checked(event, change)


WARNINGS: dict[str, tuple[Change, str]] = {
    "no-profile": (put("meta", None), "meta.profile"),
    "gln-in-words": (put("agent.0.extension.0.valueIdentifier.value", "GLN-1"), "agent[0].extension[0]"),
    "device-by-reference": (put("source.observer", {"reference": "Device/x"}), "source.observer"),
    "envelope-without-id": (put("entity.2.what", None), "entity[2].what.identifier"),
    "cpr-in-words": (put("entity.0.what.identifier.value", "PAT1"), "entity[0].what.identifier"),
}


@pytest.mark.parametrize("name", WARNINGS)
def test_what_is_only_unusual_is_warning(name: str) -> None:
    change, path = WARNINGS[name]
    assert checked(PDS, change) == [("warning", path)]


@pytest.mark.parametrize("name", WARNINGS)
def test_what_is_unusual_is_error_in_event_of_ours(name: str) -> None:
    change, path = WARNINGS[name]
    assert checked(PDS, change, outgoing=True) == [("error", path)]


def test_inspect_shows_what_event_means() -> None:
    found = edsevent.inspect(orjson.dumps(BDS))
    assert (found["kind"], found["valid"], found["issues"]) == ("eds-event", True, [])
    assert found["reading"] == {
        "profile": "basic",
        "subtype": "msg-received-and-finalized",
        "outcome": "0",
        "recorded": "2026-03-02T09:14:05.000+01:00",
        "sender_sor": MUNICIPALITY.sor,
        "receiver_sor": HEART.sor,
        "source_type": "EUA-MSH",
        "message_id": "a",
        "message_envelope_id": "b",
        "transport_envelope_id": "c",
        "original_message_id": NOTE.message_id,
        "original_transport_envelope_id": None,
    }


def test_no_finding_repeats_person() -> None:
    event = copy.deepcopy(BDS)
    event["entity"].append(PDS["entity"][0])
    assert PATIENT.cpr not in str(edsevent.check(event))


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_judged_and_every_key_is_there(data: bytes) -> None:
    found = edsevent.inspect(data)
    assert not found["valid"]
    assert set(found["reading"]) == set(edsevent.inspect(orjson.dumps(BDS))["reading"])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(PDS)), inner, max_size=4),
    max_leaves=12,
)


@given(st.sampled_from(sorted(PDS)), JSON)
def test_any_value_in_place_of_another_is_judged(name: str, value: Any) -> None:
    edsevent.inspect(orjson.dumps(PDS | {name: value}))


@pytest.mark.parametrize(
    ("name", "value"), [("foo", 1), ("language", 7), ("meta", []), ("text", {"status": "generated"})], ids=str
)
def test_unknown_fhir_element_is_error_in_event(name: str, value: Any) -> None:
    found = edsevent.inspect(orjson.dumps(PDS | {name: value}))
    assert not found["valid"]
    assert all(issue["path"] != "AuditEvent." for issue in found["issues"])


def test_event_reads_alike_in_both_forms() -> None:
    assert edsevent.inspect(json_to_xml(orjson.dumps(PDS))) == edsevent.inspect(orjson.dumps(PDS))
