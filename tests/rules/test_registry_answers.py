"""What a set of registers answers about a municipality: who may answer for it, and which systems read its messages."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from streams.registry import BadRegisters, copy_example, load
from streams.registry.tables import FILES
from streams.words.model import UnitNumber
from tests.rules.test_registry_columns import OWN, nine_municipalities, table

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = nine_municipalities(tmp_path_factory.mktemp("registers") / "set")
    table(folder, "address").write("aliases", '["2990000000019"]')
    return folder


def test_receipts_count_from_unit_its_number_and_its_aliases(folder: Path) -> None:
    registers = load(folder)
    row = registers.address("0461", "hospital-notification", AT)
    assert row is not None
    assert registers.senders("0461", AT) == {row.gln, row.sor, "2990000000019"}
    assert registers.senders("0999", AT) == frozenset()


@pytest.mark.parametrize(
    ("kind", "value", "name"),
    [
        ("shak", "9901012", "Odense Universitetshospital (test), Medicinsk afdeling C, Afsnit C4"),
        ("sor", "999000121000016007", "Odense Universitetshospital (test), Medicinsk afdeling C, Afsnit C4"),
        ("gln", "2990000000125", "Odense Universitetshospital (test), Medicinsk afdeling C, Afsnit C4"),
        ("gln", "2990000000019", "Odense Universitetshospital (test)"),
        ("shak", "4202050", None),
        ("shak", "", None),
    ],
)
def test_a_unit_is_found_by_each_of_its_numbers(kind: UnitNumber, value: str, name: str | None) -> None:
    unit = load("example").unit_by(kind, value, AT)
    assert (unit and unit.name) == name


def test_the_hospital_goes_before_wards_of_the_same_number(tmp_path: Path) -> None:
    folder = nine_municipalities(tmp_path / "set")
    places = folder / "locations.csv"
    lines = places.read_text(encoding="utf-8").replace("2990000000125", "2990000000019").splitlines()
    places.write_text("\n".join([f"{lines[0]},phone", *(f"{line},66113333" for line in lines[1:])]), encoding="utf-8")
    unit = load(folder).unit_by("gln", "2990000000019", AT)
    assert unit is not None
    assert (unit.unit, unit.phone) == ("", "66113333")


def test_systems_are_those_that_read_at_time(folder: Path) -> None:
    own = folder / OWN
    rows = [
        f'[[receiver]]\nkommunekode = "0461"\nmessage_type = "hospital-notification"\nsystem = "{name}"\nkind = "EOJ"\n'
        f'type = "B"\nvalid_from = 2024-01-01T00:00:00+01:00\n{dates}\n'
        for name, dates in (("gone", "valid_to = 2026-01-01T00:00:00+01:00"), ("here", ""), ("here-too", ""))
    ]
    own.write_text(own.read_text(encoding="utf-8") + "\n" + "\n".join(rows), encoding="utf-8")
    registers = load(folder)
    now, ever = registers.systems(AT), registers.systems()
    assert list(ever) == sorted(ever)
    assert set(ever) == set(now)
    first, *more = now["0461"]
    assert more == ["here", "here-too"]
    assert set(ever["0461"]) == {first, "gone", "here", "here-too"}
    assert len(ever["0461"]) == 4
    assert all("here" not in systems for code, systems in now.items() if code != "0461")


def test_example_is_copied_into_empty_folder_only(tmp_path: Path) -> None:
    copied = copy_example(tmp_path / "set")
    assert {path.relative_to(tmp_path / "set").parts[0] for path in copied} == set(FILES)
    with pytest.raises(BadRegisters):
        copy_example(tmp_path / "set")
    (tmp_path / "file").write_text("")
    with pytest.raises(BadRegisters):
        copy_example(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    assert len(copy_example(tmp_path / "empty")) == len(copied)


#: Ward as sent -> the place that answers: the ward itself, its department, else the hospital.
WARDS = {
    "4202057": "ward",
    "4202050": "department",
    "420205": "department",
    "42020": "hospital",
    "42020599": "hospital",
    "420205X": "department",
    "X202057": "hospital",
    "": "hospital",
}


def test_ward_nobody_knows_is_its_department_else_its_hospital(tmp_path: Path) -> None:
    places = nine_municipalities(tmp_path / "set") / "locations.csv"
    row = "EPJ-SYD/OUH,OUH,{},,{},2990000000019,Hospital,{},,1083,2024-01-01T00:00:00+01:00,"
    sor = {"420205": "999000121000016007", "4202057": "999000111000016003"}
    names = {"420205": "department", "4202057": "ward"}
    others = [
        line for line in places.read_text(encoding="utf-8").splitlines() if not line.startswith("EPJ-SYD/OUH,OUH,")
    ]
    hospital = row.format("", "999000011000016004", "").replace("Hospital", "Hospital (test)")
    rows = [hospital, *(row.format(ward, sor[ward], names[ward]) for ward in sor)]
    places.write_text("\n".join([*others, *rows, ""]), encoding="utf-8")
    registers = load(tmp_path / "set")

    def place(ward: str) -> str:
        unit = registers.locate("EPJ-SYD/OUH", "OUH", ward, AT)
        assert unit is not None
        return {sor["420205"]: "department", sor["4202057"]: "ward"}.get(unit.sor, "hospital")

    assert {ward: place(ward) for ward in WARDS} == WARDS
    assert registers.locate("EPJ-SYD/OUH", "XXX", "", AT) is None
