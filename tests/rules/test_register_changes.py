"""Two versions of the registers in words, and the rows of a cut-over written by `recipients set-format`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from agents.cli import command_line
from streams.cli import recipients
from streams.cli.frame import run
from streams.registry import RegisterFinding, load
from streams.registry.plan import plan
from streams.registry.registers import read_set
from streams.registry.rows import Findings, instant
from tests.rules.cut_overs import OWN, behind, own_set, takes

Stafet = Callable[..., tuple[int, str, str]]


@pytest.fixture
def stafet(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stafet:
    monkeypatch.chdir(tmp_path)

    def call(*words: object) -> tuple[int, str, str]:
        status = run(command_line(), [str(word) for word in words])
        return status, *capsys.readouterr()

    return call


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return own_set(tmp_path / "set")


CHANGES = {
    "nothing": ((), []),
    "a municipality changes over": (
        ((OWN, '"0461"\nmessage_type = "hospital-notification"\nformat = "fhir"\nversion = "3.0"\nmime = "application/fhir+json"', '"0461"\nmessage_type = "hospital-notification"\nformat = "fhir"\nversion = "3.0"\nmime = "application/fhir+xml"'),),
        ["0461 Odense: takes fhir 3.0 (application/fhir+json) in vans: mime is application/fhir+xml, was application/fhir+json"],
    ),
    "a receiver ends": (
        ((OWN, 'system = "odense-eoj"\n', 'system = "odense-eoj"\nvalid_to = 2027-06-01\n'),),
        ["0461 Odense: receiver A odense-eoj: ends on 2027-06-01"],
    ),
    "another receiver": (
        ((OWN, 'system = "odense-eoj"', 'system = "odense-nyt"'),),
        ["0461 Odense: no longer receiver A odense-eoj from 2024-01-01", "0461 Odense: new: receiver A odense-nyt from 2024-01-01"],
    ),
    "an address": (
        ((OWN, 'unit_name = "Sygehusadviser, Odense Kommune (test)"', 'unit_name = "Odense"'),),
        ["0461 Odense: address GLN 2990000004611, SOR 999004611000016004 over vans for hospital-notification: unit_name is Odense, was Sygehusadviser, Odense Kommune (test)"],
    ),
    "not connected": (
        ((OWN, "[not_connected]", '[not_connected]\n"0461" = "moves"'),),
        ["0461 Odense: not connected: moves"],
    ),
    "a product": (
        (("systems.csv", "VITAE,receiver,hospital-notification,fhir,3.0,no", "VITAE,receiver,hospital-notification,fhir,3.0,yes"),),
        ["VITAE: not approved as receiver of hospital-notification fhir 3.0: approved is yes, was no"],
    ),
    "a wait": (
        (("policy.toml", 'ack_timeout = { value = "30 min"', 'ack_timeout = { value = "45 min"'),),
        ["[receipts]: ack_timeout is 0:45:00, was 0:30:00"],
    ),
    "a comment and the order": (((OWN, "# Odense", "# The third largest"),), []),
}  # fmt: skip


@pytest.mark.parametrize(("edits", "words"), CHANGES.values(), ids=CHANGES)
def test_difference_is_named_in_words(
    stafet: Stafet, folder: Path, edits: tuple[tuple[str, str, str], ...], words: list[str]
) -> None:
    for file, was, now in edits:
        text = (folder / file).read_text(encoding="utf-8")
        assert was in text
        (folder / file).write_text(text.replace(was, now, 1), encoding="utf-8")
    status, out, _ = stafet("config", "diff", "example", folder)
    assert (status, out.splitlines()) == (3 if words else 0, words)
    assert len(json.loads(stafet("config", "diff", "example", folder, "--json")[1])) == len(words)


@pytest.mark.parametrize("name", ["nowhere", "broken"])
def test_what_is_no_set_is_not_compared(stafet: Stafet, folder: Path, name: str) -> None:
    if name == "broken":
        (folder / OWN).write_text("[[", encoding="utf-8")
        name = str(folder)
    status, _, err = stafet("config", "diff", "example", name)
    assert status == 2
    assert ("no such folder" in err) or ("not TOML" in err)


# ---- set-format --------------------------------------------------------------------------------------------------


def set_format(stafet: Stafet, folder: Path, *more: str, day: str = "2027-06-01") -> tuple[int, str, str]:
    words = ("--from", day, "--reason", "agreed with\nOdense", "--who", "PM", "--registers", folder)
    return stafet("recipients", "set-format", "0461", *words, *more)


def test_nothing_is_written_without_yes(stafet: Stafet, folder: Path) -> None:
    before = (folder / OWN).read_bytes()
    status, out, err = set_format(stafet, folder, "--format", "fhir-xml")
    assert status == 2
    assert "valid_from = 2027-06-01T00:00:00+02:00" in out
    assert "nothing written" in err
    assert (folder / OWN).read_bytes() == before


def test_cut_over_is_two_dated_rows_with_reason(stafet: Stafet, folder: Path) -> None:
    before = read_set(folder, Findings())
    assert set_format(stafet, folder, "--format", "fhir-xml", "--yes")[0] == 0
    text = (folder / OWN).read_text(encoding="utf-8")
    assert text.count("PM: agreed with Odense") == 2
    assert before is not None
    registers = load(folder, now=instant("2027-05-31", text=True))
    forms = [plan(registers, "0461", instant(day, text=True)).mime for day in ("2027-05-31", "2027-06-01")]
    assert forms == ["application/fhir+json", "application/fhir+xml"]
    status, out, _ = stafet("config", "diff", "example", folder)
    assert (status, out.splitlines()) == (
        3,
        [
            "0461 Odense: takes fhir 3.0 (application/fhir+json) in vans: ends on 2027-06-01",
            "0461 Odense: new: takes fhir 3.0 (application/fhir+xml) in vans from 2027-06-01",
        ],
    )
    status, _, err = set_format(stafet, folder, "--format", "fhir-json", "--yes", day="2027-03-01")
    assert (status, "already changes on 2027-06-01" in err) == (3, True)


def test_letters_end_where_fhir_begins(stafet: Stafet, folder: Path) -> None:
    takes(folder, "0461", "oioxml")
    assert set_format(stafet, folder, "--format", "fhir", "--yes")[0] == 0
    registers = load(folder, now=instant("2027-05-31", text=True))
    assert plan(registers, "0461", instant("2027-05-31", text=True)).state == "planned"
    assert plan(registers, "0461", instant("2027-06-01", text=True)).format == "fhir"


@pytest.mark.parametrize(
    ("more", "code", "shows"),
    [
        (("--format", "fax"), 2, "fax: cannot be written"),
        (("--format", "fhir", "--envelope", "none"), 2, "cannot be written"),
        (("--format", "fhir-json", "--yes"), 3, "takes this form already"),
    ],
)
def test_what_does_not_fit_is_refused(
    stafet: Stafet, folder: Path, more: tuple[str, ...], code: int, shows: str
) -> None:
    before = (folder / OWN).read_bytes()
    status, _, err = set_format(stafet, folder, *more)
    assert (status, shows in err) == (code, True)
    assert (folder / OWN).read_bytes() == before


def test_example_set_is_not_written_to(stafet: Stafet) -> None:
    status, _, err = set_format(stafet, Path("example"), "--format", "fhir", "--yes")
    assert (status, "example set" in err) == (2, True)


def test_system_that_is_not_approved_is_warned_of(stafet: Stafet, folder: Path) -> None:
    takes(folder, "0461", "oioxml")
    behind(folder, "odense-eoj", "VITAE")
    status, _, err = set_format(stafet, folder, "--format", "fhir", "--yes")
    assert (status, "VITAE is not approved to receive hospital-notification fhir 3.0" in err) == (0, True)


def test_set_that_would_not_hold_is_not_written(stafet: Stafet, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (folder / OWN).read_bytes()
    fault = RegisterFinding(OWN, 1, "a rule to come", "mend it")
    monkeypatch.setattr(recipients, "inspect_registers", lambda named: () if named == folder else (fault,))
    status, _, err = set_format(stafet, folder, "--format", "fhir-xml", "--yes")
    assert (status, "a rule to come" in err) == (2, True)
    assert (folder / OWN).read_bytes() == before
