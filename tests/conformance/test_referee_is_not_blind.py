"""The referee refuses what is wrong and passes what is published: without this, its silence would prove nothing."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conformance.mutations import Damage, Resource, damaged, drop, each, no_entry, put, twice
from tests.conformance.referee import ACKNOWLEDGEMENT, HOSPITAL_NOTIFICATION, MESSAGE, Referees
from tests.published import EXAMPLES, examples

pytestmark = [pytest.mark.published, pytest.mark.timeout(300)]

STIN = "hospitalnotification/Bundle-a5e5b880-c087-4055-b9ec-99108695f81d.json"
STOR_XML = "hospitalnotification/Bundle-d3128d9b-cede-4c7f-8904-809eab322d7d.xml"
STATION = "eds/own-station"
ACTIVITY = "Provenance.activity.coding[0]"
USE = "MessageHeader.destination[0].extension[0].valueCoding"

PUBLISHED = [
    *((path, HOSPITAL_NOTIFICATION) for path in examples("hospitalnotification")),
    *(
        (path, MESSAGE if "eb26be85" in path.name else ACKNOWLEDGEMENT)
        for path in examples("acknowledgement", "Bundle-*.json")
    ),
    *((path, None) for path in examples("eds/own-journey", "*.json")),
    *((path, None) for path in examples("eds/own-station", "*.json")),
]


@pytest.fixture(scope="module")
def stin() -> Resource:
    bundle: Resource = json.loads((EXAMPLES / STIN).read_bytes())
    return bundle


@pytest.mark.parametrize(("path", "profile"), [pytest.param(*row, id=row[0].name) for row in PUBLISHED])
def test_what_is_published_passes_both_sets(referee: Referees, path: Path, profile: str | None) -> None:
    media = "xml" if path.suffix == ".xml" else "json"
    for one in referee.both:
        verdict = one.judge(path.read_bytes(), media, profile)
        assert verdict.clean, f"{one.name}: {verdict}"


def _second_patient(bundle: Resource) -> None:
    entry = next(e for e in bundle["entry"] if e["resource"]["resourceType"] == "Patient")
    other = json.loads(json.dumps(entry).replace(entry["resource"]["id"], "0b0cb2d8-5b7a-4c55-9bd3-94da7ff5a0c6"))
    bundle["entry"].append(other)


def _cc_as_well(bundle: Resource) -> None:
    twice("MessageHeader.destination")(bundle)
    put("MessageHeader.destination[1].extension[0].valueCoding.code", "cc")(bundle)


def _header_last(bundle: Resource) -> None:
    bundle["entry"].append(bundle["entry"].pop(0))


def _observation(bundle: Resource) -> None:
    resource = {"resourceType": "Observation", "id": "ob1", "status": "final", "code": {"text": "weight"}}
    bundle["entry"].append({"fullUrl": "https://example.org/fhir/Observation/ob1", "resource": resource})


def _same_full_url(bundle: Resource) -> None:
    bundle["entry"][1]["fullUrl"] = bundle["entry"][2]["fullUrl"]


def _relative_full_urls(bundle: Resource) -> None:
    for entry in bundle["entry"]:
        entry["fullUrl"] = f"{entry['resource']['resourceType']}/{entry['resource']['id']}"


def _uuid_full_urls(bundle: Resource) -> None:
    for entry in bundle["entry"]:
        entry["fullUrl"] = f"urn:uuid:{entry['resource']['id']}"


#: validator.md §6, and the mutations of spec 01 A-5: each is refused by an error or, where marked, by a warning.
REFUSED: dict[str, Damage] = {
    "no Provenance": no_entry("Provenance"),
    "no Patient": no_entry("Patient"),
    "second Patient": _second_patient,
    "Patient without a name": drop("Patient.name"),
    "activity unknown": put(f"{ACTIVITY}.code", "new-message-of-ours"),
    "activity of another system": put(f"{ACTIVITY}.system", "http://example.org/activities"),
    "status bogus": put("Encounter.status", "bogus"),
    "status planned": put("Encounter.status", "planned"),
    "status cancelled": put("Encounter.status", "cancelled"),
    "class AMB": put("Encounter.class.code", "AMB"),
    "class missing": drop("Encounter.class"),
    "onleave without start of leave": put("Encounter.status", "onleave"),
    "participant present": put("Encounter.participant", [{"individual": {"display": "somebody"}}]),
    "diagnosis present": put("Encounter.diagnosis", [{"condition": {"display": "something"}}]),
    "destination cc": put(f"{USE}.code", "cc"),
    "destination cc beside primary": _cc_as_well,
    "no destination": drop("MessageHeader.destination"),
    "two primary destinations": twice("MessageHeader.destination"),
    "use of another system": put(f"{USE}.system", "http://medcomfhir.dk/fhir/x"),
    "date that does not exist": put("Encounter.period.start", "2022-13-41"),
    "time without zone": put("Encounter.period.start", "2022-12-07T12:00:00"),
    "dangling subject": put("Encounter.subject.reference", "Patient/nobody"),
    "dangling focus": put("MessageHeader.focus[0].reference", "Encounter/nothing"),
    "dangling sender": put("MessageHeader.sender.reference", "Organization/none"),
    "replacement number instead of CPR": put("Patient.identifier[0].system", "urn:oid:1.2.208.176.1.6.1.1"),
    "second identifier": put("Patient.identifier[1]", {"system": "urn:oid:1.2.208.176.1.6.1.3", "value": "x"}),
    "CPR with hyphen": put("Patient.identifier[0].value", "250947-9989"),
    "CPR of no date": put("Patient.identifier[0].value", "9999479989"),
    "header not first": _header_last,
    "event code of another message": put("MessageHeader.eventCoding.code", "care-communication-message"),
    "event code of no message": put("MessageHeader.eventCoding.code", "bogus"),
    "profile of the Bundle unknown": put("Bundle.meta.profile", ["http://example.org/StructureDefinition/none"]),
    "profile of the Provenance unknown": put("Provenance.meta.profile", ["http://example.org/none"]),
    "profile of the Patient missing": drop("Patient.meta"),
    "unknown element": put("Encounter.weather", "fine"),
    "second choice of occurred": put("Provenance.occurredPeriod", {"start": "2022-12-07T12:00:00+02:00"}),
    "no Bundle.timestamp": drop("Bundle.timestamp"),
    "Bundle of type collection": put("Bundle.type", "collection"),
    "same fullUrl twice": _same_full_url,
    "fullUrl relative": _relative_full_urls,
    "fullUrl urn:uuid with relative references": _uuid_full_urls,
    "unknown extension": put("Encounter.extension", [{"url": "http://example.org/x", "valueString": "x"}]),
    "SOR missing": drop("Organization.identifier[1]"),
    "GLN of 11 digits": put("Organization.identifier[0].value", "57900013481"),
    "GLN with a wrong check digit": put("Organization.identifier[0].value", "5790001348121"),
    "empty string": put("Patient.name[0].family", ""),
    "episode missing": drop("Encounter.episodeOfCare"),
    "LPR3 id that is no UUID v5": put(
        "Encounter.episodeOfCare[0].identifier",
        {
            "system": "https://www.esundhed.dk/Registre/Landspatientregisteret",
            "value": "urn:uuid:0b0cb2d8-5b7a-4c55-9bd3-94da7ff5a0c6",
        },
    ),
    "display that is not that of the code": put("Encounter.class.display", "weekend"),
    "space around text": put("Patient.name[0].family", " Elmer "),
    "resource of another kind": _observation,
}


@pytest.mark.parametrize("name", REFUSED)
def test_damage_is_refused(referee: Referees, stin: Resource, name: str) -> None:
    verdict = referee.primary.judge(json.dumps(damaged(stin, REFUSED[name])).encode(), "json", HOSPITAL_NOTIFICATION)
    assert not verdict.clean


def _doubled_timestamp(text: str) -> str:
    return text.replace('"timestamp"', '"timestamp": "2022-12-07T12:00:01+02:00", "timestamp"', 1)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(_doubled_timestamp, id="timestamp twice in the text"),
        pytest.param(lambda text: text[: len(text) // 2], id="cut off in the middle"),
        pytest.param(lambda text: "", id="empty"),
        pytest.param(lambda text: "{}", id="no resource"),
    ],
)
def test_broken_json_is_refused(referee: Referees, stin: Resource, text: Callable[[str], str]) -> None:
    assert referee.primary.judge(text(json.dumps(stin)).encode(), "json", HOSPITAL_NOTIFICATION).errors


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param('xmlns="http://hl7.org/fhir"', 'xmlns="http://hl7.org/fihr"', id="another namespace"),
        pytest.param('<type value="message"/>', "", id="type missing"),
        pytest.param('<type value="message"/>', '<kind value="message"/><type value="message"/>', id="unknown element"),
        pytest.param("</Bundle>", "", id="not closed"),
        pytest.param("<timestamp", '<total value="1"/><timestamp', id="element out of order"),
    ],
)
def test_broken_xml_is_refused(referee: Referees, old: str, new: str) -> None:
    text = (EXAMPLES / STOR_XML).read_text()
    assert old in text
    assert referee.primary.judge(text.replace(old, new, 1).encode(), "xml", HOSPITAL_NOTIFICATION).errors


def test_document_of_other_media_type_is_refused(referee: Referees, stin: Resource) -> None:
    assert referee.primary.judge(json.dumps(stin).encode(), "xml", HOSPITAL_NOTIFICATION).errors


def test_profile_that_is_not_loaded_is_refused(referee: Referees, stin: Resource) -> None:
    assert referee.primary.judge(json.dumps(stin).encode(), "json", HOSPITAL_NOTIFICATION + "s").errors


#: What no profile demands, so no validator can: our own check has to (streams/messages/hospitalnotification/check.py).
NOT_CAUGHT: dict[str, Damage] = {
    "activity contradicts the status": put(f"{ACTIVITY}.code", "discharge-inpatient-home"),
    "no word on the report of admission": drop("MessageHeader.extension"),
    "Bundle.id is no UUID": put("Bundle.id", "one"),
}


@pytest.mark.parametrize("name", NOT_CAUGHT)
def test_rules_beyond_profiles_are_not_for_referee(referee: Referees, stin: Resource, name: str) -> None:
    text = json.dumps(damaged(stin, NOT_CAUGHT[name])).encode()
    assert referee.primary.judge(text, "json", HOSPITAL_NOTIFICATION).clean


EVENTS_REFUSED: dict[str, Damage] = {
    "outcome missing": lambda event: event.pop("outcome"),
    "outcome of no value set": lambda event: event.update(outcome="4"),
    "subtype missing": lambda event: event.pop("subtype"),
    "subtype unknown": lambda event: event["subtype"][0].update(code="msg-lost"),
    "action": lambda event: event.update(action="U"),
    "no entity": lambda event: event.pop("entity"),
    "no agent": lambda event: event.pop("agent"),
    "no observer": lambda event: event["source"].pop("observer"),
    "source type unknown": lambda event: event["source"]["type"][0].update(code="EUA-XYZ"),
    "date that does not exist": lambda event: event.update(recorded="2022-13-41T00:00:00Z"),
    "period present": lambda event: event.update(period={"start": "2022-12-07T12:00:00Z"}),
    "profile unknown": lambda event: event["meta"].update(profile=["http://example.org/none"]),
    "unknown element": lambda event: event.update(weather="fine"),
}


@pytest.mark.parametrize("name", EVENTS_REFUSED)
def test_damage_to_delivery_event_is_refused(referee: Referees, name: str) -> None:
    event: Resource = json.loads(examples(STATION, "02*.json")[0].read_bytes())
    verdict = referee.primary.judge(json.dumps(damaged(event, EVENTS_REFUSED[name])).encode())
    assert verdict.errors


def test_entries_that_name_no_profile_count_as_errors(referee: Referees, stin: Resource) -> None:
    bare = damaged(stin, each(drop("Patient.meta"), drop("Provenance.meta")))
    verdict = referee.primary.judge(json.dumps(bare).encode(), "json", HOSPITAL_NOTIFICATION)
    assert [m.where for m in verdict.errors if m.id == "no-profile"] == [
        "Bundle.entry[1].resource",
        "Bundle.entry[5].resource",
    ]
