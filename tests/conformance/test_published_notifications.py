"""Our reading and checking, judged by MedCom's published notifications (spec 01 §24, A-1 to A-5)."""

import json
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from streams.formats.fhir.build import arranged, json_to_xml, to_json, to_xml, xml_to_json
from streams.formats.fhir.read import from_bytes, from_json, from_xml
from streams.formats.fhir.structure import border_check
from streams.messages.hospitalnotification import check, inspect, read
from tests.meanings.damage import ABSENT, changed, damaged, entry_of
from tests.published import examples

pytestmark = pytest.mark.published

FILES = examples("hospitalnotification", "Bundle-*")
every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.name[7:15] + path.suffix)

#: A-3: first four characters of the Bundle.id -> notice and class.
NOTICES = {
    "a5e5": ("STIN", "IMP"),
    "bfab": ("RE_STIN", "IMP"),
    "c836": ("AN_STIN", "IMP"),
    "d312": ("STOR", "IMP"),
    "e94d": ("SLOR", "IMP"),
    "f4aa": ("SLHJ", "IMP"),
    "g099": ("MORS", "IMP"),
    "h1c8": ("STAA", "EMER"),
    "kcab": ("SLHJ", "EMER"),
    "ld31": ("MORS", "EMER"),
    "m908": ("STIN", "IMP"),
    "n73c": ("STIN", "IMP"),
}


def without_narrative(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            k: " ".join(etree.fromstring(v).itertext()) if k == "div" else without_narrative(v)
            for k, v in value.items()
        }
    return [without_narrative(v) for v in value] if isinstance(value, list) else value


def published(start: str, suffix: str = ".json") -> Path:
    (found,) = [path for path in FILES if path.name.startswith(f"Bundle-{start}") and path.suffix == suffix]
    return found


def test_all_thirteen_are_here() -> None:
    assert len(FILES) == 13
    assert {path.name[7:11] for path in FILES} == set(NOTICES)


@every_file
def test_a1_read_written_and_read_again_is_same(path: Path) -> None:
    document = from_bytes(path.read_bytes())
    assert border_check(document) == []
    assert from_json(to_json(document)) == document
    if path.suffix == ".json":
        assert document == json.loads(path.read_bytes())
    assert without_narrative(from_xml(to_xml(arranged(document)))) == without_narrative(document)


@every_file
def test_a2_it_is_valid(path: Path) -> None:
    assert [issue for issue in check(from_bytes(path.read_bytes())) if issue.severity == "error"] == []


@every_file
def test_a2_our_models_at_border_take_it(path: Path) -> None:
    assert border_check(from_bytes(path.read_bytes())) == []


@every_file
def test_a3_it_is_notice_of_guide(path: Path) -> None:
    found = read(from_bytes(path.read_bytes()))
    assert (found.notice, found.class_) == NOTICES[path.name[7:11]]
    reading = inspect(path.read_bytes())["reading"]
    assert (reading["type"], reading["acknowledgement"]) == (found.notice, "ok")


def test_xml_twin_is_json_twin() -> None:
    twins = [without_narrative(from_bytes(published("d312", suffix).read_bytes())) for suffix in (".json", ".xml")]
    assert twins[0] == twins[1]
    converted = [
        xml_to_json(published("d312", ".xml").read_bytes()),
        to_json(from_xml(json_to_xml(published("d312").read_bytes()))),
    ]
    assert without_narrative(json.loads(converted[0])) == without_narrative(json.loads(converted[1])) == twins[0]


def test_known_anomalies_are_warnings() -> None:
    rules = {path.name[7:11]: {i.rule for i in check(from_bytes(path.read_bytes()))} for path in FILES}
    assert all("P-9" in found for found in rules.values()), "December with the summer offset (trap 4)"
    assert {"P-5", "P-7"} <= rules["m908"], "ids that are no UUIDs, recorded two hours off (traps 3, 5)"


MUTATIONS: dict[str, tuple[str, Any, str]] = {
    "an eCPR identifier": ("Patient.identifier.0.system", "urn:oid:1.2.208.176.1.6.1.3", "medcom-hospitalNotification-4"),
    "a second identifier": ("Patient.identifier.1", {"system": "urn:x", "value": "1"}, "medcom-hospitalNotification-4"),
    "cc": ("MessageHeader.destination.0.extension.0.valueCoding.code", "cc", "medcom-hospitalNotification-5"),
    "activity new-message": ("Provenance[-1].activity.coding.0.code", "new-message", "P-11"),
    "class AMB": ("Encounter.class.code", "AMB", "Encounter.class"),
    "status cancelled": ("Encounter.status", "cancelled", "Encounter.status"),
    "a participant": ("Encounter.participant", [{"id": "1"}], "Encounter.participant"),
    "a diagnosis": ("Encounter.diagnosis", [{"id": "1"}], "Encounter.diagnosis"),
    "the event of another message": ("MessageHeader.eventCoding.code", "care-communication-message", "MessageHeader.event[x]"),
    "neither class nor event": ("Encounter.class", ABSENT, "Encounter.class"),
}  # fmt: skip


@pytest.mark.parametrize("path", [p for p in FILES if p.suffix == ".json"], ids=lambda path: path.name[7:15])
@pytest.mark.parametrize(("place", "value", "rule"), MUTATIONS.values(), ids=MUTATIONS)
def test_a5_mutation_is_refused_with_path_and_rule(path: Path, place: str, value: Any, rule: str) -> None:
    found = inspect(json.dumps(damaged(from_json(path.read_bytes()), place, value)).encode())
    assert not found["valid"]
    assert found["reading"]["acknowledgement"] == "fatal-error"
    named = [issue for issue in found["issues"] if issue["severity"] == "error" and issue["rule"] == rule]
    assert named
    assert all(issue["path"].startswith("Bundle.entry[") for issue in named)


STRUCTURES = {
    "no Patient": (lambda b: b["entry"].pop(entry_of(b, "Patient")), "medcom-hospitalNotification-2"),
    "a second Patient": (lambda b: b["entry"].append(_other_patient(b)), "medcom-hospitalNotification-2"),
    "a second primary": (lambda b: _destinations(b).append(_destinations(b)[0]), "medcom-hospitalNotification-5"),
    "on leave since never": (lambda b: _encounter(b).pop("extension"), "medcom-hospitalNotification-6"),
    "the header not first": (lambda b: b["entry"].insert(0, b["entry"].pop()), "bdl-12"),
}


def _encounter(bundle: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = bundle["entry"][entry_of(bundle, "Encounter")]["resource"]
    return found


def _destinations(bundle: dict[str, Any]) -> list[Any]:
    found: list[Any] = bundle["entry"][0]["resource"]["destination"]
    return found


def _other_patient(bundle: dict[str, Any]) -> dict[str, Any]:
    first = bundle["entry"][entry_of(bundle, "Patient")]
    other = json.loads(json.dumps(first).replace(first["resource"]["id"], "00000000-0000-4000-8000-000000000000"))
    assert isinstance(other, dict)
    return other


@pytest.mark.parametrize(("change", "rule"), STRUCTURES.values(), ids=STRUCTURES)
def test_a5_another_structure_is_refused(change: Any, rule: str) -> None:
    wrong = changed(from_json(published("d312").read_bytes()), change)
    assert rule in {issue.rule for issue in check(wrong) if issue.severity == "error"}
