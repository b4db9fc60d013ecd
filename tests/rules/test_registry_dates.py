"""An answer that is kept holds exactly as long as the rows that gave it: whatever is asked before, and in which order."""

import shutil
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.registry import Registers, load
from streams.registry.tables import EXAMPLE
from streams.words.codes import Notice
from streams.words.ids import Kommunekode
from streams.words.model import Address
from streams.words.times import COPENHAGEN
from tests.rules.routes import route_notice

CUT = datetime(2026, 3, 1, tzinfo=COPENHAGEN)  # rows begin and end at midnight there
SECOND = timedelta(seconds=1)
FROM = "2024-01-01T00:00:00+01:00"
CITY = Kommunekode("0101")


@pytest.fixture(scope="module")
def registers(tmp_path_factory: pytest.TempPathFactory) -> Registers:
    """The shipped set, one for all examples, in which one ward gets another name at `CUT`, and one municipality wants XML from then on."""
    folder = tmp_path_factory.mktemp("registers") / "set"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    places, subscriptions = folder / "locations.csv", folder / "subscriptions.toml"
    text = places.read_text(encoding="utf-8")
    (row,) = [line for line in text.splitlines() if line.startswith("EPJ-SYD/OUH,OUH,C4,")]
    ended, begun = row + CUT.isoformat(), row.replace("Afsnit C4", "Afsnit C44").replace(FROM, CUT.isoformat())
    places.write_text(text.replace(row, f"{ended}\n{begun}"), encoding="utf-8")
    before, mark, after = subscriptions.read_text(encoding="utf-8").partition("[[acceptance]]\n")
    own, _, others = after.partition("\n\n")
    later = own.replace("fhir+json", "fhir+xml").replace(FROM, CUT.isoformat())
    text = f"{before}{mark}{own}\nvalid_to = {CUT.isoformat()}\n\n{mark}{later}\n\n{others}"
    subscriptions.write_text(text, encoding="utf-8")
    return load(folder, now=CUT)


def form(registers: Registers, at: datetime) -> str:
    address = route_notice(CITY, Notice.STIN, "IMP", at, registers)
    assert isinstance(address, Address)
    return address.format


def ward(registers: Registers, at: datetime) -> str:
    unit = registers.locate("EPJ-SYD/OUH", "OUH", "C4", at)
    assert unit is not None
    return unit.unit


_MOMENTS = st.lists(
    st.sampled_from([CUT - SECOND, CUT, CUT + SECOND]) | st.datetimes(datetime(2024, 2, 1), timezones=st.just(UTC)),
    max_size=6,
)


@given(moments=_MOMENTS)
def test_route_and_place_change_at_their_instant(registers: Registers, moments: list[datetime]) -> None:
    for at in moments:
        assert form(registers, at) == ("fhir-json" if at < CUT else "fhir-xml")
        assert ward(registers, at) == ("Afsnit C4" if at < CUT else "Afsnit C44")


def test_without_time_row_that_began_last_describes_place(registers: Registers) -> None:
    unit = registers.locate("EPJ-SYD/OUH", "OUH", "C4", None)
    assert unit is not None
    assert unit.unit == "Afsnit C44"
