"""What each municipality gets on a day, what it loses, and when that changes (spec 05 §6, 04 13.2, 00 §10.3)."""

import csv
import io
import json
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import pytest

from agents.cli import command_line
from streams.cli.frame import run
from streams.registry import Registers, load
from streams.registry.plan import Plan, plan, plans
from streams.words.times import COPENHAGEN
from tests.rules.cut_overs import OWN, behind, own_set, takes

EVE, DAY = datetime(2027, 5, 31, tzinfo=COPENHAGEN), datetime(2027, 6, 1, tzinfo=COPENHAGEN)
LOST = ("STAA", "STOR", "SLOR")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """0461 takes OIOXML and changes over; 0751 takes EDIFACT for good; 0851 is not connected."""
    folder = own_set(tmp_path / "set")
    takes(folder, "0461", "oioxml", "2027-06-01")
    takes(folder, "0751", "edifact")
    behind(folder, "aalborg-eoj", "Nexus")
    behind(folder, "odense-eoj", "VITAE")
    path = folder / OWN
    path.write_text(
        path.read_text(encoding="utf-8").replace("[not_connected]\n", '[not_connected]\n"0851" = "starts in autumn"\n'),
        encoding="utf-8",
    )
    return folder


@pytest.fixture
def registers(folder: Path) -> Registers:
    return load(folder, now=EVE)


def test_each_of_the_98_has_its_answer(registers: Registers) -> None:
    rows = plans(registers, EVE)
    assert len(rows) == 98
    assert [row.kommunekode for row in rows] == sorted(row.kommunekode for row in rows)
    assert [row.kommunekode for row in rows if row.format is None] == ["0851"]


@pytest.mark.parametrize(
    ("code", "at", "form", "lost", "changes_on", "state"),
    [
        ("0461", EVE, "oioxml", LOST, date(2027, 6, 1), "planned"),
        ("0461", DAY, "fhir", (), None, "not-approved"),
        ("0751", EVE, "edifact", LOST, None, "legacy"),
        ("0101", EVE, "fhir", (), None, "ready"),
        ("0851", EVE, None, (), None, "not-connected"),
    ],
)
def test_answer_follows_from_rows_of_the_day(
    registers: Registers, code: str, at: datetime, form: str | None, lost: tuple[str, ...], changes_on: date | None, state: str
) -> None:  # fmt: skip
    found = plan(registers, code, at)
    assert (found.format, found.not_representable, found.changes_on, found.state) == (form, lost, changes_on, state)
    assert set(found.instead) == set(lost)


def test_reason_of_one_not_connected_is_named(registers: Registers) -> None:
    assert plan(registers, "0851", EVE).not_connected == "starts in autumn"


def test_receivers_are_those_of_the_day_and_a_change_counts(folder: Path) -> None:
    path = folder / OWN
    more = (
        '\n[[receiver]]\nkommunekode = "0101"\nmessage_type = "hospital-notification"\nsystem = "kk-sapa"\n'
        'kind = "SAPA"\ntype = "C"\nnotices = ["STIN"]\nvalid_from = 2027-09-01\n'
    )
    path.write_text(path.read_text(encoding="utf-8") + more, encoding="utf-8")
    registers = load(folder, now=EVE)
    before, after = (plan(registers, "0101", at) for at in (EVE, datetime(2027, 9, 1, tzinfo=COPENHAGEN)))
    assert (before.receivers, before.changes_on) == (("koebenhavn-eoj",), date(2027, 9, 1))
    assert (after.receivers, after.changes_on) == (("koebenhavn-eoj", "kk-sapa"), None)


def test_acute_stays_as_admissions_are_not_lost(folder: Path) -> None:
    takes(folder, "0147", "oioxml", more="send_acute_as_admission = true\n")
    found = plan(load(folder, now=EVE), "0147", EVE)
    assert found.not_representable == ("STOR", "SLOR")
    assert "letter of admission" in found.instead["STAA"]


def test_admission_taken_back_is_no_notice_of_acute_stay(folder: Path) -> None:
    takes(folder, "0147", "oioxml", more="cancel_on_class_change = true\n")
    found = plan(load(folder, now=EVE), "0147", EVE)
    assert found.not_representable == LOST
    assert found.instead["STAA"].startswith("after an admission, the cancellation of its letter; else nothing")


@pytest.mark.parametrize(
    ("products", "at", "approved", "names"),
    [
        ({"odense-eoj": "VITAE"}, DAY, False, ("VITAE",)),
        ({"odense-eoj": "Nexus"}, DAY, True, ()),
        ({}, DAY, None, ()),
        ({"odense-eoj": "Nexus"}, EVE, None, ()),  # nothing is known of letters
        ({"odense-eoj": "Nexus"}, datetime(2026, 7, 8, tzinfo=COPENHAGEN), None, ()),  # not yet known
    ],
)
def test_approval_is_that_of_systems_for_the_form(
    tmp_path: Path, products: dict[str, str], at: datetime, approved: bool | None, names: tuple[str, ...]
) -> None:
    folder = own_set(tmp_path / "set")
    if at != datetime(2026, 7, 8, tzinfo=COPENHAGEN):
        takes(folder, "0461", "oioxml", "2027-06-01")
    for system, product in products.items():
        behind(folder, system, product)
    found = plan(load(folder, now=EVE), "0461", at)
    assert (found.approved, found.not_approved) == (approved, names)


@pytest.mark.parametrize(
    ("at", "region"),
    [
        (datetime(2026, 12, 31, tzinfo=COPENHAGEN), "Region Hovedstaden"),
        (datetime(2027, 1, 1, tzinfo=COPENHAGEN), "Region Østdanmark"),
    ],
)
def test_region_is_that_of_the_day(at: datetime, region: str) -> None:
    rows = plans(load("example", now=at), at)
    assert (len(rows), rows[0].region) == (98, region)
    assert {row.changes_on for row in rows} == {None}, "another region is no other message"


# ---- as commands -------------------------------------------------------------------------------------------------

Stafet = Callable[..., tuple[int, str, str]]


@pytest.fixture
def stafet(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stafet:
    monkeypatch.chdir(tmp_path)

    def call(*words: object) -> tuple[int, str, str]:
        status = run(command_line(), [str(word) for word in words])
        return status, *capsys.readouterr()

    return call


def test_plan_has_the_keys_of_the_interface(stafet: Stafet, folder: Path) -> None:
    status, out, _ = stafet("recipients", "plan", "--date", "2027-05-31", "--registers", folder, "--json")
    rows = {row["kommunekode"]: row for row in json.loads(out)}
    assert (status, len(rows)) == (0, 98)
    expected = {
        "format": "oioxml",
        "version": "XD2030C+XD1730C",
        "envelope": "vans",
        "receivers": ["odense-eoj"],
        "not_representable": [*LOST],
        "changes_on": "2027-06-01",
        "approved": None,
        "not_connected": None,
    }
    assert expected.items() <= rows["0461"].items()
    assert rows["0851"]["not_connected"] == "starts in autumn"


def test_report_names_days_and_what_needs_someone(stafet: Stafet, folder: Path) -> None:
    status, out, _ = stafet("recipients", "readiness", "--date", "2027-05-31", "--registers", folder)
    assert status == 0
    page = out.splitlines()
    assert page[0] == "Readiness on Monday 2027-05-31, week 22"
    assert "  95 take FHIR" in page
    assert "  2027-06-01    1  0461 Odense" in page
    assert "  0751 Aarhus: takes edifact D2030C+D1730C without an envelope, and no day is set for FHIR" in page
    assert "  0851 Aalborg: not connected: starts in autumn" in page


def test_spreadsheet_has_row_for_each(stafet: Stafet, folder: Path) -> None:
    _, out, _ = stafet("recipients", "readiness", "--csv", "--date", "2027-06-01", "--registers", folder)
    rows = {row["kommunekode"]: row for row in csv.DictReader(io.StringIO(out))}
    assert len(rows) == 98
    assert (rows["0461"]["state"], rows["0461"]["not_approved"]) == ("not-approved", "VITAE")
    assert rows["0751"]["loses"] == "STAA STOR SLOR"


def test_day_that_is_none_is_refused(stafet: Stafet) -> None:
    status, _, err = stafet("recipients", "plan", "--date", "in June", "--registers", "example")
    assert (status, err.splitlines()[0]) == (2, "--date: not a day")


def test_plan_of_a_form_is_one_phrase() -> None:
    found = Plan(
        kommunekode="0461", name="Odense", region="", format="edifact", version="D2030C+D1730C", envelope="none"
    )
    assert found.form == "edifact D2030C+D1730C without an envelope"
