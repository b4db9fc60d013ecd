"""Each check of spec 05 §1.1 and §6.7 has a set that breaks it, and the finding shows where and what to do."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from streams.registry import BadRegisters, RegisterFinding, Registers, inspect_registers, load
from streams.registry.tables import EXAMPLE

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TODAY = "2024-01-01T00:00:00+01:00"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The shipped set, as a folder of one's own."""
    for pattern in ("*.csv", "*.toml"):
        for path in EXAMPLE.glob(pattern):
            shutil.copy(path, tmp_path)
    shutil.copytree(EXAMPLE / "feeds", tmp_path / "feeds")
    return tmp_path


def replaced(file: str, old: str, new: str, count: int = 1) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / file).read_text(encoding="utf-8")
        assert old in text, f"{old!r} is not in {file}"
        (folder / file).write_text(text.replace(old, new, count), encoding="utf-8")

    return change


def added(file: str, text: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / file
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        path.write_text(before + text, encoding="utf-8")

    return change


def both(*changes: Callable[[Path], None]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for each in changes:
            each(folder)

    return change


def address(code: str, gln: str = "2990000004611", **more: str) -> str:
    rows = {
        "kommunekode": f'"{code}"',
        "message_type": '"hospital-notification"',
        "sor": '"999004611000016004"',
        "gln": f'"{gln}"',
        "unit_name": '"Sygehusadviser (test)"',
        "network": '"vans"',
        "valid_from": TODAY,
        **more,
    }
    return "\n[[address]]\n" + "".join(f"{key} = {value}\n" for key, value in rows.items())


def acceptance(code: str, **more: str) -> str:
    rows = {
        "kommunekode": f'"{code}"',
        "message_type": '"hospital-notification"',
        "format": '"oioxml"',
        "version": '"XD2030C+XD1730C"',
        "envelope": '"vans"',
        "environment": '"test"',
        "valid_from": TODAY,
        **more,
    }
    return "\n[[acceptance]]\n" + "".join(f"{key} = {value}\n" for key, value in rows.items())


def receiver(code: str, **more: str) -> str:
    rows = {
        "kommunekode": f'"{code}"',
        "message_type": '"hospital-notification"',
        "system": '"second"',
        "kind": '"EOJ"',
        "type": '"A"',
        "valid_from": TODAY,
        **more,
    }
    return "\n[[receiver]]\n" + "".join(f"{key} = {value}\n" for key, value in rows.items())


class Break(NamedTuple):
    """A change of the set, and words of the finding it must lead to."""

    change: Callable[[Path], None]
    file: str
    shows: str
    severity: str = "error"


S, M, L, P, Y = "subscriptions.toml", "municipalities.csv", "locations.csv", "policy.toml", "systems.csv"
ODENSE_A = 'system = "odense-eoj"\nkind = "EOJ"\ntype = "A"\n'
ODENSE = "0461,Odense,1083,Region Syddanmark,,\n"

BREAKS = {
    # §1.1
    "a municipality is missing": Break(replaced(M, ODENSE, ""), M, "municipalities: 97 of 98"),
    "a region has another count": Break(replaced(M, "0461,Odense,1083,Region Syddanmark", "0461,Odense,1082,Region Midtjylland"), M, "region 1082 has 20 of 19, region 1083 has 21 of 22"),
    "a code twice": Break(replaced(M, ODENSE, ODENSE + ODENSE), M, "0461 stands in line"),
    "a name twice": Break(replaced(M, "0461,Odense,", "0461,Aarhus,"), M, "Aarhus stands in line"),
    "no kommunekode": Break(replaced(M, ODENSE, "0961,Odense,1083,Region Syddanmark,,\n"), M, "kommunekode: Expected"),
    "a region with two names": Break(replaced(M, "1083,Region Syddanmark", "1083,Region Sydd"), M, "region 1083 is Region Syddanmark elsewhere"),
    # §6.7.1
    "an address of nobody": Break(added(S, address("0999", "2990000000095")), S, "no municipality has this code"),
    "nobody is not connected": Break(replaced(S, "[not_connected]\n", '[not_connected]\n"0999" = "why"\n'), S, "0999: no municipality has this code"),
    "an override for nobody": Break(added(S, '\n[policy."0999"]\nmode = "manual"\n'), S, "0999: no municipality has this code"),
    "no address": Break(replaced(S, 'network = "vans"\nvalid_from = 2024-01-01T00:00:00+01:00', 'network = "vans"\nvalid_from = 2024-01-01T00:00:00+01:00\nvalid_to = 2025-01-01T00:00:00+01:00'), S, "0101: no address for hospital notifications in test"),
    "later no address": Break(replaced(S, 'network = "vans"\nvalid_from = 2024-01-01T00:00:00+01:00', 'network = "vans"\nvalid_from = 2024-01-01T00:00:00+01:00\nvalid_to = 2027-01-01T00:00:00+01:00'), S, "0101: no address for hospital notifications in test from 2027-01-01"),
    "an address of another": Break(replaced(S, '[[address]]\nkommunekode = "0461"', '[[address]]\nkommunekode = "0751"'), S, "overlaps the address of line"),
    "copies for Beskedfordeler without a CVR number": Break(replaced(S, ODENSE_A, ODENSE_A + 'copies = "record"\n'), S, "no CVR number"),
    "no receiver A": Break(replaced(S, 'system = "odense-eoj"\nkind = "EOJ"\ntype = "A"', 'system = "odense-eoj"\nkind = "EOJ"\ntype = "B"'), S, "0461: no receiver of type A"),
    "no acceptance": Break(replaced(S, 'environment = "test"\nvalid_from = 2024-01-01T00:00:00+01:00\n\n# F', 'environment = "test"\nvalid_from = 2024-01-01T00:00:00+01:00\nvalid_to = 2026-01-01T00:00:00+01:00\n\n# F'), S, "0101: no acceptance"),
    # §6.7.2
    "addresses overlap": Break(added(S, address("0461")), S, "overlaps the address of line"),
    "a gap between acceptances": Break(added(S, acceptance("0461", valid_from="2020-01-01T00:00:00+01:00", valid_to="2022-01-01T00:00:00+01:00")), S, "nothing is accepted between"),
    # §6.7.3
    "a GLN with a wrong digit": Break(replaced(S, '"2990000004611"', '"2990000004612"'), S, "GLN 2990000004612: the check digit must be 1"),
    "no GLN": Break(replaced(S, '"2990000004611"', '"29900000046"'), S, "no GLN: 11 characters"),
    "a SOR code with a wrong digit": Break(replaced(S, '"999004611000016004"', '"999004611000016005"'), S, "SOR 999004611000016005: the check digit must be 4", "warning"),
    "no SOR code": Break(replaced(S, '"999004611000016004"', '"99900461"'), S, "no SOR code: 8 characters"),
    "a GLN for two": Break(replaced(S, '"2990000004611"', '"2990000007513"'), S, "GLN 2990000007513 serves several"),
    # §6.7.4
    "two receivers A": Break(added(S, receiver("0461")), S, "0461: two receivers A"),
    "later two receivers A": Break(added(S, receiver("0461", valid_from="2027-01-01T00:00:00+01:00")), S, "0461: two receivers A from 2027-01-01"),
    "later no receiver A": Break(replaced(S, 'system = "odense-eoj"\nkind = "EOJ"\ntype = "A"\n', 'system = "odense-eoj"\nkind = "EOJ"\ntype = "A"\nvalid_to = 2027-01-01T00:00:00+01:00\n'), S, "0461: no receiver of type A for hospital notifications in test from 2027-01-01"),
    # §6.7.5, §6.3
    "EDIFACT in VANS": Break(added(S, acceptance("0461", format='"edifact"', version='"D2030C+D1730C"')), S, "edifact in vans over vans does not exist"),
    "SBDH over VANS": Break(added(S, acceptance("0461", envelope='"sbdh"')), S, "oioxml in sbdh over vans does not exist"),
    "half a pair": Break(added(S, acceptance("0461", version='"XD2030C"')), S, "oioxml XD2030C in vans cannot be written yet"),
    "mime for OIOXML": Break(added(S, acceptance("0461", mime='"application/fhir+json"')), S, "mime belongs to fhir"),
    # §6.4.5
    "nothing takes acknowledgements": Break(replaced(S, '[[sender]]\nmessage_type = "acknowledgement"\nformat = "fhir"\nversion = "2.0"\nenvironment = "test"', '[[sender]]\nmessage_type = "acknowledgement"\nformat = "fhir"\nversion = "2.0"\nenvironment = "production"'), S, "acknowledgements can be received in return"),
    # §6.7.6
    "not midnight": Break(replaced(S, TODAY, "2024-01-01T01:00:00+01:00"), S, "valid_from is not midnight in Copenhagen"),
    "the last day there is": Break(replaced(S, TODAY, "9999-12-31T23:59:59-12:00"), S, "lies outside 1900 to 2199"),
    "the first day there is": Break(replaced(L, "1085,2024-01-01T00:00:00+01:00", "1085,0001-01-01T00:00:00+14:00"), L, "lies outside 1900 to 2199"),
    "the offset of another season": Break(replaced(S, TODAY, "2024-01-01T00:00:00+02:00"), S, "valid_from is not midnight in Copenhagen"),
    # §6.7.7
    "an acceptance of production at a test address": Break(added(S, acceptance("0461", environment='"production"')), S, "an acceptance of production meets an address of test"),
    "a test feed in production": Break(both(replaced(S, 'environment = "test"', 'environment = "production"', 999), added("feeds/epj-sj-suh.toml", "test = true\n")), "feeds/epj-sj-suh.toml", "a test feed in a set of production"),
    # 04 §8.2
    "a location of no feed": Break(replaced(L, "EPJ-SJ/SUH,HOL,MED4", "EPJ-SJ/XXX,HOL,MED4"), L, "no feed EPJ-SJ/XXX"),
    "a ward without its hospital": Break(replaced(L, "EPJ-SJ/SUH,HOL,MED4", "EPJ-SJ/SUH,XXX,MED4"), L, "no row for the hospital XXX"),
    "a place twice": Break(replaced(L, "EPJ-SJ/SUH,HOL,MED4", "EPJ-SJ/SUH,HOL,AKUT"), L, "is valid at the same time"),
    "no region": Break(replaced(L, ",1085,", ",1099,"), L, "no region 1099"),
    "no SHAK code": Break(replaced(L, ",9909,", ",99-09,"), L, "not a SHAK code"),
    "a ward without department": Break(replaced(L, "Medicinsk afdeling,Afsnit 4,1085", ",Afsnit 4,1085"), L, "a ward without its department"),
    "a feed twice": Break(added("feeds/again.toml", 'application = "EPJ-SJ"\nfacility = "SUH"\n'), "feeds/epj-sj-suh.toml", "is described in feeds/again.toml already"),
    "a feed leads to nobody": Break(added("feeds/epj-sj-suh.toml", '[municipalities]\n"1" = "0411"\n'), "feeds/epj-sj-suh.toml", "0411: no municipality"),
    "a certificate name that cannot be": Break(replaced("feeds/epj-sj-suh.toml", '"engine.example"', '"*.example"', 1), "feeds/epj-sj-suh.toml", "certificates: '*.example' cannot be the name of a certificate"),
    "a key that no feed has": Break(added("feeds/epj-sj-suh.toml", 'zones = "x"\n'), "feeds/epj-sj-suh.toml", "no key zones"),
    # form
    "an unknown key": Break(replaced(S, 'unit_name = "Sygehusadviser, Odense', 'unitname = "Sygehusadviser, Odense'), S, "no key unitname"),
    "an unknown table": Break(added(S, '\n[[addresses]]\nkommunekode = "0461"\n'), S, "unknown table or key addresses"),
    "not TOML": Break(added(S, "\n[[address\n"), S, "not TOML"),
    "a cell too many": Break(replaced(M, ODENSE, ODENSE.replace(",,\n", ",,,x\n")), M, "7 cells where the header has 6"),
    "a time without offset": Break(replaced(L, "1085,2024-01-01T00:00:00+01:00", "1085,2024-01-01T00:00:00"), L, "a time of day without offset"),
    "an environment that is none": Break(replaced(S, 'environment = "test"', 'environment = "staging"'), S, "neither production nor test"),
    # §6.5
    "a wait too short": Break(added(S, '\n[policy."0461"]\nack_timeout = "30 s"\n'), S, "must lie between"),
    "a resend too many": Break(replaced(P, "max_resends = { value = 2", "max_resends = { value = 3"), P, "must lie between"),
    "a row without source": Break(replaced(P, 'mode = { value = "auto", source = "02 C1: unchanged messages are resent by themselves" }', 'mode = { value = "auto" }'), P, "[receipts] mode: no value with a source"),
    "a row that is none": Break(added(S, '\n[policy."0461"]\nack_timout = "30 min"\n'), S, "ack_timout: no such row"),
    "a duration that is none": Break(added(S, '\n[policy.oioxml]\nmemory = "forever"\n'), S, "not a duration"),
    "a check that is none": Break(replaced(P, 'sor_check = { value = "warn"', 'sor_check = { value = "off"'), P, "sor_check is neither"),
}  # fmt: skip


def found(folder: Path) -> tuple[RegisterFinding, ...]:
    return inspect_registers(folder, now=NOW)


@pytest.mark.parametrize("case", BREAKS)
def test_mistake_is_one_finding_with_file_and_line(folder: Path, case: str) -> None:
    broken = BREAKS[case]
    broken.change(folder)
    (finding,) = found(folder)
    assert broken.shows in finding.problem
    assert (finding.file, finding.severity) == (broken.file, broken.severity)
    assert finding.remedy
    assert finding.line


def test_own_folder_loads_like_shipped_set(folder: Path) -> None:
    assert found(folder) == ()


def test_what_is_national_may_be_left_to_product(folder: Path) -> None:
    for name in (M, Y, P):
        (folder / name).unlink()
    assert isinstance(load(folder, now=NOW), Registers)


def test_finding_names_line_of_key(folder: Path) -> None:
    BREAKS["a GLN with a wrong digit"].change(folder)
    lines = (folder / S).read_text(encoding="utf-8").splitlines()
    (finding,) = found(folder)
    assert lines[finding.line - 1] == 'gln = "2990000004612"'


def test_all_findings_are_listed_and_set_is_refused(folder: Path) -> None:
    cases = ("a GLN with a wrong digit", "no SHAK code", "a name twice")
    for case in cases:
        BREAKS[case].change(folder)
    with pytest.raises(BadRegisters) as refused:
        load(folder, now=NOW)
    assert all(BREAKS[case].shows in str(refused.value) for case in cases)


NONE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a folder that is not there": (lambda folder: shutil.rmtree(folder), "no such folder"),
    "a file": (lambda folder: (shutil.rmtree(folder), folder.write_text("")), "not a folder"),
    "an empty folder": (lambda folder: (shutil.rmtree(folder), folder.mkdir()), "a folder without register files"),
}


@pytest.mark.parametrize(("change", "problem"), NONE.values(), ids=NONE)
def test_what_is_no_register_set_is_one_sentence(folder: Path, change: Callable[[Path], object], problem: str) -> None:
    change(folder)
    with pytest.raises(BadRegisters) as refused:
        load(folder, now=NOW)
    remedy = "name a folder of register files, or example for the shipped set (--registers, STAFET_REGISTERS)"
    assert str(refused.value) == f"{folder}: {problem}; {remedy}"


@pytest.mark.parametrize("name", [S, L])
def test_missing_file_is_one_finding(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert [(finding.file, finding.line) for finding in found(folder)] == [(name, 0)]


def test_wrong_sor_digit_is_warning_unless_strict(folder: Path) -> None:
    BREAKS["a SOR code with a wrong digit"].change(folder)
    assert len(load(folder, now=NOW).warnings) == 1
    replaced(P, 'value = "warn"', 'value = "strict"')(folder)
    with pytest.raises(BadRegisters):
        load(folder, now=NOW)


def test_municipality_that_is_not_connected_needs_nothing_but_reason(folder: Path) -> None:
    row = (folder / S).read_text(encoding="utf-8").split('[[acceptance]]\nkommunekode = "0461"')[1].split("\n\n")[0]
    replaced(S, '[[acceptance]]\nkommunekode = "0461"' + row, "")(folder)
    replaced(S, "[not_connected]\n", '[not_connected]\n"0461" = "starts in June"\n')(folder)
    assert load(folder, now=NOW).not_connected == {"0461": "starts in June"}


def test_wishes_about_letters_are_no_wishes_of_fhir(folder: Path) -> None:
    replaced(S, "[[acceptance]]\n", "[[acceptance]]\ncancel_on_class_change = true\n")(folder)
    (finding,) = found(folder)
    assert finding.problem == "cancel_on_class_change is about letters, and fhir is none"


def test_gap_on_purpose_is_none(folder: Path) -> None:
    BREAKS["a gap between acceptances"].change(folder)
    row = '[[acceptance]]\nkommunekode = "0461"\n'
    replaced(S, row, row + "after_gap = true\n")(folder)
    assert found(folder) == ()


def test_shared_endpoint_on_purpose_is_none(folder: Path) -> None:
    BREAKS["a GLN for two"].change(folder)
    replaced(S, 'gln = "2990000007513"\n', 'gln = "2990000007513"\nshared_endpoint = true\n', 2)(folder)
    assert found(folder) == ()


def test_overrides_hold_for_format_municipality_and_both(folder: Path) -> None:
    added(
        S,
        '\n[policy.oioxml]\nmax_resends = 1\n[policy."0461"]\nmode = "manual"\n[policy."0461".oioxml]\nmax_resends = 0\n',
    )(folder)
    registers = load(folder, now=NOW)
    assert [(p.mode, p.max_resends) for p in (
        registers.policy("0751", "fhir"), registers.policy("0751", "oioxml"),
        registers.policy("0461", "fhir"), registers.policy("0461", "oioxml"),
    )] == [("auto", 2), ("auto", 1), ("manual", 2), ("manual", 0)]  # fmt: skip
