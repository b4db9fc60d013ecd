"""The registers: the shipped set is right, questions are answered by date, numbers have their check digits."""

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.registry import Registers, load
from streams.registry.rows import fictional_gln, fictional_sor, gln_problem, sor_problem
from streams.registry.tables import EXAMPLE, duration
from streams.words.codes import Notice
from streams.words.ids import gln_digit, sor_digit
from streams.words.model import Address
from tests.published import SHARED
from tests.rules.routes import route_notice

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TYPE = "hospital-notification"


@pytest.fixture(scope="module")
def example() -> Registers:
    return load("example", now=NOW)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def test_shipped_set_holds_without_remark(example: Registers) -> None:
    assert example.warnings == ()
    assert example.environment == "test"
    assert len(example.kommuner) == 98
    assert not example.not_connected


def test_every_municipality_can_get_every_notice(example: Registers) -> None:
    for code in example.kommuner:
        for notice in Notice:
            result = route_notice(code, notice, "IMP", NOW, example)
            assert isinstance(result, Address), code
            assert (result.format, result.version, result.envelope) == ("fhir-json", "3.0", "vans")
            assert len(result.receivers) == 1


def test_addresses_are_fictional_ones_by_rule(example: Registers) -> None:
    for code in example.kommuner:
        address = example.address(code, TYPE, NOW)
        assert address is not None
        assert (address.sor, address.gln) == (fictional_sor(code), fictional_gln(code))


def test_every_region_has_feed_with_several_hospitals_or_wards(example: Registers) -> None:
    regions: dict[str, set[tuple[str, str]]] = {}
    feeds: dict[str, set[str]] = {}
    for row in example.locations:
        regions.setdefault(row.region_code, set()).add((row.facility, row.ward))
        feeds.setdefault(row.region_code, set()).add(row.feed)
    assert set(regions) == {"1081", "1082", "1083", "1084", "1085", "10XX"}
    assert all(len(places) >= 4 for places in regions.values())
    assert {feed for some in feeds.values() for feed in some} == set(example.feeds)


def test_every_shipped_hospital_is_called_test(example: Registers) -> None:
    assert all(row.hospital.endswith("(test)") for row in example.locations)


def test_number_names_one_unit(example: Registers) -> None:
    names: dict[str, set[str]] = {}
    for row in example.locations:
        for number in (row.sor, row.gln):
            names.setdefault(number, set()).add(f"{row.hospital}, {row.ward}")
    assert {number for number, units in names.items() if len(units) > 1} == set()


@pytest.mark.published
@pytest.mark.parametrize(
    ("own", "published", "columns"),
    [
        pytest.param(
            "municipalities.csv", "municipalities.csv", ("kommunekode", "name", "region_code", "region"), id="m"
        ),
        pytest.param(
            "locations.csv", "test-locations.csv", ("feed", "facility", "ward", "sor", "gln", "valid_from"), id="l"
        ),
    ],
)
def test_shipped_files_hold_what_was_agreed(own: str, published: str, columns: tuple[str, ...]) -> None:
    ours = {tuple(row[column] for column in columns) for row in rows(EXAMPLE / own)}
    theirs = {tuple(row[column] for column in columns) for row in rows(SHARED / "data" / published)}
    assert theirs <= ours


@pytest.mark.published
def test_shipped_addresses_are_agreed_ones(example: Registers) -> None:
    for row in rows(SHARED / "data" / "test-addresses.csv"):
        address = example.address(row["kommunekode"], TYPE, NOW)
        assert address is not None
        assert (address.sor, address.gln, address.unit_name) == (row["sor"], row["gln"], row["unit_name"])


@pytest.mark.parametrize(
    ("facility", "ward", "name"),
    [
        pytest.param("OUH", "C4", "Odense Universitetshospital (test), Medicinsk afdeling C, Afsnit C4", id="ward"),
        pytest.param("OUH", "FAM", "Odense Universitetshospital (test), Fælles Akutmodtagelse", id="department"),
        pytest.param(
            "OUH", "9901012", "Odense Universitetshospital (test), Medicinsk afdeling C, Afsnit C4", id="by SHAK"
        ),
        pytest.param(
            "OUH", "Fælles Akutmodtagelse", "Odense Universitetshospital (test), Fælles Akutmodtagelse", id="name"
        ),
        pytest.param("OUH", "Z9", "Odense Universitetshospital (test)", id="ward unknown: the hospital"),
        pytest.param("OUH", "", "Odense Universitetshospital (test)", id="hospital"),
        pytest.param("SHS", "KIR", "Sygehus Sønderjylland (test), Kirurgi Aabenraa", id="another hospital of the feed"),
    ],
)
def test_place_is_most_exact_unit_known(example: Registers, facility: str, ward: str, name: str) -> None:
    unit = example.locate("EPJ-SYD/OUH", facility, ward, NOW)
    assert unit is not None
    assert unit.name == name
    hospital = example.locate("EPJ-SYD/OUH", facility, "", NOW)
    assert hospital is not None
    assert unit.hospital == hospital.sor


@pytest.mark.parametrize(
    ("feed", "facility", "at"),
    [
        pytest.param("EPJ-SYD/OUH", "XXX", NOW, id="facility unknown"),
        pytest.param("EPJ-XX/YY", "OUH", NOW, id="feed unknown"),
        pytest.param("EPJ-SYD/OUH", "OUH", datetime(2023, 12, 31, 12, tzinfo=UTC), id="not valid yet"),
    ],
)
def test_facility_that_is_not_known_is_no_place(example: Registers, feed: str, facility: str, at: datetime) -> None:
    assert example.locate(feed, facility, "C4", at) is None


def test_feed_is_found_by_application_and_facility(example: Registers) -> None:
    feed = example.feed("EPJ-MIDT", "AUH")
    assert feed is not None
    assert feed.key == "EPJ-MIDT/AUH"
    assert example.feed("EPJ-MIDT", "OUH") is None


def test_region_of_municipality_and_of_hospital(example: Registers) -> None:
    assert example.region("0751", NOW) == "1082"
    assert example.region("0411", NOW) == ""
    unit = example.locate("EPJ-SYD/OUH", "AUH", "", NOW)
    assert unit is not None
    assert example.region_at(unit.sor, NOW) == "1082"


def test_registers_do_not_change(example: Registers) -> None:
    with pytest.raises((AttributeError, TypeError)):
        example.environment = "production"  # type: ignore[misc]
    with pytest.raises(TypeError):
        example.feeds["x"] = example.feeds["EPJ-MIDT/AUH"]  # type: ignore[index]


def test_general_wait_is_replaced_and_municipal_ones_are_kept(example: Registers) -> None:
    shorter = example.with_ack_timeout(timedelta(seconds=3))
    assert shorter.policy("0461").ack_timeout == timedelta(seconds=3)
    assert example.policy("0461").ack_timeout == timedelta(minutes=30)


@given(st.text("0123456789", min_size=12, max_size=12), st.integers(0, 12), st.integers(1, 9))
def test_one_wrong_digit_in_gln_is_seen(body: str, place: int, by: int) -> None:
    gln = body + gln_digit(body)
    assert not gln_problem(gln)
    wrong = gln[:place] + str((int(gln[place]) + by) % 10) + gln[place + 1 :]
    assert gln_problem(wrong)


@given(st.text("0123456789", min_size=10, max_size=17), st.data())
def test_wrong_or_exchanged_sor_digits_are_seen(body: str, data: st.DataObject) -> None:
    sor = body + sor_digit(body)
    assert sor_problem(sor) == ("", False)
    place = data.draw(st.integers(0, len(sor) - 2))
    exchanged = sor[:place] + sor[place + 1] + sor[place] + sor[place + 2 :]
    assert exchanged == sor or sor_problem(exchanged)[1]
    wrong = sor[:place] + str((int(sor[place]) + data.draw(st.integers(1, 9))) % 10) + sor[place + 1 :]
    assert sor_problem(wrong)[1]


@pytest.mark.parametrize("gln", ["5790000123456", "5790000143055", "5790000120400", "5790000128700"])
def test_published_numbers_that_fail_do_fail(gln: str) -> None:
    assert "must be" in gln_problem(gln)


@pytest.mark.parametrize(
    ("text", "seconds"), [("5 s", 5), ("30 min", 1800), ("24 h", 86_400), ("400 d", 34_560_000), ("30min", 1800)]
)
def test_duration_is_number_and_unit(text: str, seconds: int) -> None:
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "30", "30 weeks", "-1 s", "1.5 h"])
def test_all_else_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        duration(text)
