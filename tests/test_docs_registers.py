"""docs/registers.md shows what is: every column of every row type, what is needed, what it may be, what can be written."""

import re
from typing import Any, Literal, get_args, get_origin

import msgspec
import pytest

from streams.delivery.route import BeskedPolicy, ReceiptPolicy
from streams.messages.adt.feed import FeedProfile
from streams.registry.rows import (
    WRITTEN,
    AcceptanceRow,
    AddressRow,
    CountRow,
    LocationRow,
    MunicipalityRow,
    ProfileRow,
    ReceiverRow,
    SenderAcceptanceRow,
    SystemRow,
)
from streams.registry.tables import FILES, RANGES
from streams.stay.state import StayPolicy
from tests.published import ROOT

TEXT = (ROOT / "docs" / "registers.md").read_text(encoding="utf-8")
SECTIONS: dict[str, type[msgspec.Struct]] = {
    "[[address]]": AddressRow,
    "[[receiver]]": ReceiverRow,
    "[[acceptance]]": AcceptanceRow,
    "[[sender]]": SenderAcceptanceRow,
    "locations.csv": LocationRow,
    "municipalities.csv": MunicipalityRow,
    "systems.csv": SystemRow,
    "profiles.csv": ProfileRow,
    "feeds/*.toml": FeedProfile,
    "[receipts]": ReceiptPolicy,
    "[stay]": StayPolicy,
    "[beskedkuvert]": BeskedPolicy,
    "[municipalities]": CountRow,
}
HEAD = "| Column | Form | Left out | Meaning |"
sections = pytest.mark.parametrize("name", SECTIONS)


def rows(name: str) -> dict[str, tuple[str, str, str]]:
    """Form, default and meaning of each column that the section describes."""
    section = TEXT.split(f"### `{name}`", 1)[1].split("\n#", 1)[0].split(HEAD, 1)[1]
    lines = [line for line in section.split("\n\n")[0].splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return {cell[0].strip("`| "): (cell[1], cell[2], cell[3].strip("| ")) for cell in cells}


def fields(name: str) -> dict[str, Any]:
    return {each.name: each for each in msgspec.structs.fields(SECTIONS[name])}


def words(kind: Any) -> set[str]:
    """The values that a type allows, when they are words."""
    if get_origin(kind) is Literal:
        return {word for word in get_args(kind) if word}
    return set().union(*(words(part) for part in get_args(kind))) if get_args(kind) else set()


@sections
def test_every_column_is_described_and_no_other(name: str) -> None:
    assert set(rows(name)) == set(fields(name))
    assert all(meaning for _, _, meaning in rows(name).values())


@sections
def test_what_is_needed_is_marked(name: str) -> None:
    shown = {column for column, (_, left_out, _) in rows(name).items() if left_out == "needed"}
    assert shown == {column for column, each in fields(name).items() if each.required}


@sections
def test_words_of_column_are_listed(name: str) -> None:
    for column, each in fields(name).items():
        if column in ("dispositions", "discharged_to", "death_on_arrival_status"):  # a word list of another place
            continue
        allowed = words(each.type)
        form = rows(name)[column][0]
        assert not allowed or set(re.findall(r"`([^`]+)`", form)) == allowed, column


@sections
def test_plain_defaults_are_shown(name: str) -> None:
    for column, each in fields(name).items():
        left_out = rows(name)[column][1]
        if isinstance(each.default, bool):
            assert left_out == f"`{str(each.default).lower()}`", column
        elif isinstance(each.default, str) and each.default:
            assert left_out == f"`{each.default}`", column


def test_every_file_is_described() -> None:
    files = re.findall(r"^\| `([^`]+)` \|", TEXT.split("| File |")[1].split("\n\n")[0], re.MULTILINE)
    assert set(files) == {"feeds/*.toml" if name == "feeds" else name for name in FILES}


def test_what_can_be_written_is_table_that_check_reads() -> None:
    lines = TEXT.split("| Message | Format |")[1].split("\n\n")[0].splitlines()[2:]
    shown = [tuple(re.findall(r"`([^`]+)`", line)) for line in lines]
    assert shown == [tuple(filter(None, form)) for form in WRITTEN]  # a letter has no media type


def test_ranges_are_those_of_check() -> None:
    units = {
        "0 s": 0,
        "1 s": 1,
        "1 min": 60,
        "25 min": 1500,
        "1 h": 3600,
        "24 h": 86_400,
        "30 d": 2_592_000,
        "400 d": 34_560_000,
        "0": 0,
        "2": 2,
    }
    for column, (low, high, _) in RANGES.items():
        form = rows("[receipts]")[column][0].split(", ")[-1]
        shown = [units[end] for end in form.split(" to ")]
        assert shown == [end if isinstance(end, int) else end.total_seconds() for end in (low, high)], column
