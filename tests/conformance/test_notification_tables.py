"""The rows of `rules.py` show what the published profiles and value sets show: every element, every code, every fix."""

import json
import re
import tarfile
from functools import cache
from typing import Any

import pytest

from streams.formats.fhir.shapes import elements, type_of
from streams.messages.common import gln_is_valid
from streams.messages.hospitalnotification import rules
from streams.messages.hospitalnotification.rules import cpr_is_plausible
from streams.words import codes
from tests.published import PACKAGES

pytestmark = pytest.mark.published

PRIMARY = (
    "hl7.fhir.dk.core#2.2.0",
    "medcom.fhir.dk.terminology#1.5.0",
    "medcom.fhir.dk.core#2.3.0",
    "medcom.fhir.dk.messaging#2.1.0",
    "medcom.fhir.dk.hospitalnotification#3.0.2",
)
ROWS = {row.path: row for row in rules.INCOMING.constraints}
RESOURCES = ("Bundle", "MessageHeader", "Encounter", "Patient", "Organization", "Provenance")


@cache
def definitions() -> dict[str, dict[str, Any]]:
    found = {}
    for package in PRIMARY:
        with tarfile.open(PACKAGES / f"{package}.tgz") as files:
            for name in files.getnames():
                if name.startswith("package/") and name.endswith(".json") and name.count("/") == 1:
                    content = json.load(files.extractfile(name))  # type: ignore[arg-type]
                    if "url" in content:
                        found[content["url"]] = content
    return found


def snapshot(canonical: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = definitions()[canonical]["snapshot"]["element"]
    return listed


def value_set(name: str) -> dict[str, frozenset[str]]:
    """Codes by system of a value set of that name, under either scheme (trap 20)."""
    (found,) = [
        d for url, d in definitions().items() if url.rpartition("/")[2] == name and d["resourceType"] == "ValueSet"
    ]
    return {i["system"]: frozenset(c["code"] for c in i["concept"]) for i in found["compose"]["include"]}


#: Elements whose published row differs from ours on purpose: ours is stricter, for the reason beside it.
STRICTER = {
    "Bundle.entry": "bdl-12: there is a first entry",
    "Bundle.total": "bdl-1",
    "Bundle.entry.search": "bdl-2",
    "Bundle.entry.request": "bdl-3",
    "Bundle.entry.response": "bdl-4",
    "Bundle.entry.resource": "bdl-5",
    "Bundle.entry.fullUrl": "mandatory in a message by FHIR's Bundle rules",
    "MessageHeader.destination": "closed slices primary 1..1 and cc 0..0 leave exactly one",
    "MessageHeader.destination.receiver": "1..1 in the only slice",
}


def ours(path: str) -> tuple[int, str]:
    """Cardinality of an element by our tables: shape, narrowed by a row."""
    parent, _, name = path.rpartition(".")
    element = elements(type_of(parent) or parent)[name]
    row = ROWS.get(path)
    least = element.min if row is None or row.min is None else row.min
    most = row.max if row is not None and row.max is not None else None
    return (0 if most == 0 else least), str(most) if most is not None else "*" if element.many else "1"


@pytest.mark.parametrize("kind", RESOURCES)
def test_cardinalities_are_published_ones(kind: str) -> None:
    compared = 0
    for element in snapshot(rules.PROFILES[kind])[1:]:
        path = element["path"]
        if ":" in element["id"] or "[x]" in path or path in STRICTER or _below_forbidden(path):
            continue
        assert ours(path) == (element["min"], element["max"]), path
        compared += 1
    assert compared > 10


def _below_forbidden(path: str) -> bool:
    parts = path.split(".")
    return any((row := ROWS.get(".".join(parts[:n]))) is not None and row.max == 0 for n in range(2, len(parts)))


@pytest.mark.parametrize("path", STRICTER, ids=str)
def test_where_we_differ_we_are_stricter(path: str) -> None:
    (element,) = [e for e in snapshot(rules.PROFILES[path.partition(".")[0]]) if e["id"] == path]
    least, most = ours(path)
    assert least >= element["min"]
    assert (least, most) != (element["min"], element["max"])


def test_every_forbidden_element_of_encounter_is_forbidden() -> None:
    published = {e["path"] for e in snapshot(rules.PROFILES["Encounter"]) if e["max"] == "0" and ":" not in e["id"]}
    assert published == {path for path, row in ROWS.items() if row.max == 0 and path.startswith("Encounter.")}


def test_choices_are_published_ones() -> None:
    event = {e["id"]: e for e in snapshot(rules.PROFILES["MessageHeader"])}["MessageHeader.event[x]"]
    assert [t["code"] for t in event["type"]] == ["Coding"]
    occurred = {e["id"]: e for e in snapshot(rules.PROFILES["Provenance"])}["Provenance.occurred[x]"]
    assert ([t["code"] for t in occurred["type"]], occurred["min"]) == (["dateTime"], 1)


def test_patterns_are_published_ones() -> None:
    header = {e["id"]: e for e in snapshot(rules.PROFILES["MessageHeader"])}
    assert header["MessageHeader.event[x]"]["patternCoding"] == {
        "system": ROWS["MessageHeader.eventCoding.system"].fixed[0],
        "code": ROWS["MessageHeader.eventCoding.code"].fixed[0],
    }
    use = "MessageHeader.destination.extension:use.valueCoding"
    assert header["MessageHeader.destination:primary.extension:use.value[x]"]["patternCoding"] == {
        "system": ROWS[f"{use}.system"].fixed[0],
        "code": ROWS[f"{use}.code"].fixed[0],
    }
    kind = {e["id"]: e for e in snapshot(rules.PROFILES["Bundle"])}["Bundle.type"]
    assert (kind["patternCode"],) == ROWS["Bundle.type"].fixed


def test_slices_of_destination_are_closed_and_cc_is_forbidden() -> None:
    header = {e["id"]: e for e in snapshot(rules.PROFILES["MessageHeader"])}
    assert header["MessageHeader.destination"]["slicing"]["rules"] == "closed"
    assert [header[f"MessageHeader.destination:{name}"]["max"] for name in ("primary", "cc")] == ["1", "0"]


@pytest.mark.parametrize("extension", rules.INCOMING.extensions, ids=lambda e: e.name)
def test_extensions_are_published_ones(extension: Any) -> None:
    url = {e["id"]: e for e in snapshot(extension.url)}["Extension.url"]
    assert url["fixedUri"] == extension.url
    profile = snapshot(rules.PROFILES[extension.path.partition(".")[0]])
    sliced = {e["id"]: e for e in profile}[f"{extension.path}:{extension.name}"]
    assert (sliced["min"], sliced["max"]) == (extension.min, "1")
    assert sliced["type"][0]["profile"] == [extension.url]


def test_leave_period_needs_its_start() -> None:
    period = {e["id"]: e for e in snapshot(rules.LEAVE_PERIOD_URL)}
    assert period["Extension.value[x]:valuePeriod.start"]["min"] == 1
    assert ROWS["Encounter.extension:leavePeriod.valuePeriod.start"].min == 1


def test_eighteen_activities_are_published_ones() -> None:
    assert value_set("medcom-hospitalNotification-messageActivities") == {codes.ACTIVITY_SYSTEM: codes.ACTIVITIES}
    assert len(codes.ACTIVITIES) == 18


def test_statuses_and_classes_are_published_ones() -> None:
    (statuses,) = value_set("medcom-hospitalNotification-encounterStatus").values()
    assert statuses == ROWS["Encounter.status"].codes
    assert value_set("medcom-hospitalNotification-encounterClass") == {
        ROWS["Encounter.class.system"].fixed[0]: ROWS["Encounter.class.code"].codes
    }


@pytest.mark.parametrize(
    ("name", "system"),
    [
        ("dk-core-cpr-identifier", codes.CPR_SYSTEM),
        ("dk-core-sor-identifier", codes.SOR_SYSTEM),
        ("dk-core-gln-identifier", codes.GLN_SYSTEM),
    ],
)
def test_identifier_systems_and_their_official_use_are_published_ones(name: str, system: str) -> None:
    found = {e["id"]: e for e in snapshot(f"http://hl7.dk/fhir/core/StructureDefinition/{name}")}
    assert found["Identifier.system"]["fixedUri"] == system
    assert found["Identifier.use"]["fixedCode"] == "official"


def test_lpr3_system_is_that_of_medcom_core() -> None:
    found = {e["id"]: e for e in snapshot("http://medcomfhir.dk/ig/core/StructureDefinition/lpr3-Identifier")}
    assert found["Identifier.system"]["fixedUri"] == codes.LPR3_SYSTEM


def test_cpr_form_is_published_expression() -> None:

    (rule,) = [
        c["expression"]
        for e in snapshot("http://hl7.dk/fhir/core/StructureDefinition/dk-core-cpr-identifier")
        for c in e.get("constraint", ())
        if c["key"] == "cpr"
    ]
    published = re.compile(re.fullmatch(r"value\.matches\('(.*)'\)", rule).group(1))  # type: ignore[union-attr]
    for day in range(40):
        for month in range(20):
            number = f"{day:02}{month:02}479989"
            assert cpr_is_plausible(number) == (published.fullmatch(number) is not None), number


def test_organizations_need_what_profiles_demand() -> None:
    core = {e["id"]: e for e in snapshot(rules.PROFILES["Organization"])}
    messaging = {e["id"]: e for e in snapshot(rules.PROFILES["MessagingOrganization"])}
    assert [
        (p["Organization.identifier:SOR-ID"]["min"], p["Organization.identifier:EAN-ID"]["min"])
        for p in (core, messaging)
    ] == [(1, 0), (1, 1)]
    assert gln_is_valid("5790000209354")


#: Published invariants of the message and where ours stands (spec 01 §4).
INVARIANTS = {
    "medcom-messaging-1": "the rows of MessageHeader",
    "medcom-messaging-2": "check.counts",
    "medcom-messaging-3": "the rows of Provenance",
    "medcom-hospitalNotification-1": "the rows of MessageHeader",
    "medcom-hospitalNotification-2": "check.counts",
    "medcom-hospitalNotification-3": "P-11",
    "medcom-hospitalNotification-4": "rules.patient_identifiers",
    "medcom-hospitalNotification-5": "MessageHeader.destination",
    "medcom-hospitalNotification-6": "check.on_leave_since",
}


def test_every_invariant_of_medcom_is_spoken_for() -> None:
    published = {
        c["key"]
        for kind in RESOURCES
        for element in snapshot(rules.PROFILES[kind])
        for c in element.get("constraint", ())
        if c["key"].startswith("medcom-")
    }
    assert published == set(INVARIANTS)
