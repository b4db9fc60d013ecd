"""The element tables are those of FHIR: laid beside the R4 models, and beside the published profiles."""

import importlib
import json
import tarfile
from typing import Any

import pytest

from streams.formats.fhir.shapes import FORMS, PRIMITIVES, RESOURCES, TESTS, elements, instant_of, type_of
from tests.published import PACKAGES

#: Choice elements whose R4B types R4 does not have, or whose types no message of ours reaches.
_OPEN_CHOICE = "value[x]"


def _model(name: str) -> Any:
    return getattr(importlib.import_module(f"fhir.resources.R4B.{name.split('.')[0].lower()}"), _class_name(name))


def _class_name(name: str) -> str:
    return "".join(part[0].upper() + part[1:] for part in name.split("."))


TYPES = sorted(
    RESOURCES
    | {"Extension", "Meta", "Narrative", "Identifier", "HumanName", "Address", "ContactPoint", "Period", "Coding"}
    | {"CodeableConcept", "Reference", "Quantity", "Range", "Ratio", "Attachment", "Annotation", "Signature"}
)


@pytest.mark.parametrize("name", TYPES)
def test_elements_and_their_order_are_those_of_models(name: str) -> None:
    theirs = [e for e in _model(name).elements_sequence() if e not in ("resourceType",)]
    ours = [e.name for e in elements(name).values()]
    if name == "Extension":  # R4B adds types, and no message reaches all of R4's
        assert set(ours) <= {*theirs}
        return
    assert sorted(ours) == sorted(theirs)
    common = ("id", "meta", "implicitRules", "language", "text", "contained", "extension", "modifierExtension")
    assert [e for e in ours if e not in common] == [e for e in theirs if e not in common]


@pytest.mark.parametrize("name", TYPES)
def test_repetition_is_that_of_models(name: str) -> None:
    fields = {(f.alias or n): f for n, f in _model(name).model_fields.items()}
    for element in elements(name).values():
        assert ("List[" in str(fields[element.name].annotation)) == element.many, element.name


@pytest.mark.published
@pytest.mark.parametrize(
    "package",
    ["medcom.fhir.dk.hospitalnotification#3.0.2", "medcom.fhir.dk.messaging#2.1.0", "medcom.fhir.dk.core#2.3.0"],
)
def test_every_element_of_published_profiles_has_its_type(package: str) -> None:
    seen = 0
    for definition in _definitions(package):
        if definition["type"] not in RESOURCES:
            continue
        for element in definition["snapshot"]["element"][1:]:
            path, types = element["path"], {t["code"].rpartition(".")[2].lower() for t in element.get("type", ())}
            if "[x]" in path or len(types) != 1 or ":" in element["id"]:
                continue
            ours = type_of(path)
            assert ours is not None, path
            many = element["base"]["max"] == "*"
            parent = type_of(path.rpartition(".")[0]) or path.rpartition(".")[0]
            assert elements(parent)[path.rpartition(".")[2]].many == many, path
            if types.isdisjoint({"backboneelement", "element"}) and not path.endswith(".id"):
                assert ours.lower() in types, path
            seen += 1
    assert seen > 20


def _definitions(package: str) -> list[dict[str, Any]]:
    with tarfile.open(PACKAGES / f"{package}.tgz") as files:
        names = [n for n in files.getnames() if n.startswith("package/StructureDefinition-") and n.count("/") == 1]
        return [json.load(files.extractfile(n)) for n in names]  # type: ignore[arg-type]


def test_every_primitive_has_test_and_form_for_people() -> None:
    assert set(FORMS) == PRIMITIVES
    assert set(TESTS) == PRIMITIVES - {"xhtml"}


VALUES: dict[str, tuple[list[Any], list[Any]]] = {
    "date": (["2024", "2024-02", "2024-02-29"], ["2023-02-29", "24-02-29", "2024-13", 2024, ""]),
    "dateTime": (["2024", "2024-02-29T09:00:00+01:00", "2024-02-29T09:00:00.123Z"], ["2024-02-29T09:00:00", "2024-02-29T09:00+01:00", "2023-02-29T09:00:00Z"]),
    "instant": (["2024-02-29T23:59:60Z"], ["2024", "2024-02-29T24:00:00Z", None]),
    "id": (["m908i967-9ie3", "a" * 64], ["a" * 65, "a_b", "", "æ"]),
    "code": (["in-progress", "a b"], [" a", "a ", "a  b", ""]),
    "uri": (["urn:oid:1.2"], ["a b", ""]),
    "string": (["x", "a\nb", "Å"], ["", "  ", "a\x00b", 1]),
    "boolean": ([True, False], ["true", 1, None]),
    "positiveInt": ([1], [0, True, 1.0, 1 << 31]),
    "unsignedInt": ([0], [-1]),
    "decimal": ([1, 1.5], ["1", True]),
    "time": (["23:59:59"], ["24:00:00", "23:59"]),
    "base64Binary": (["QUJD"], ["Q?"]),
    "oid": (["urn:oid:1.2.208"], ["1.2.208"]),
    "uuid": (["urn:uuid:11111111-1111-4111-8111-111111111111"], ["11111111-1111-4111-8111-111111111111"]),
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_values_of_primitive(name: str) -> None:
    good, bad = VALUES[name]
    assert [v for v in good if not TESTS[name](v)] == []
    assert [v for v in bad if TESTS[name](v)] == []


def test_two_texts_may_name_one_instant() -> None:
    assert instant_of("2026-03-02T10:00:00+01:00") == instant_of("2026-03-02T09:00:00.000Z")
