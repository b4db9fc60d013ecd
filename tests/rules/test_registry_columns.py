"""Every column of every register: a wrong value, none, a foreign type, a repeat. Each is one finding, in its place."""

import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streams.delivery.route import ReceiptPolicy
from streams.messages.adt.feed import FeedProfile
from streams.registry import RegisterFinding, inspect_registers
from streams.registry.rows import (
    AcceptanceRow,
    AddressRow,
    LocationRow,
    MunicipalityRow,
    ProfileRow,
    ReceiverRow,
    SenderAcceptanceRow,
    SystemRow,
)
from streams.registry.tables import EXAMPLE
from streams.stay.state import StayPolicy

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OWN, POLICY, FEED = "subscriptions.toml", "policy.toml", "feeds/epj-sj-suh.toml"

#: TOML tables of subscriptions.toml, and the one whose keys are tried.
TABLES: dict[str, type[msgspec.Struct]] = {
    "address": AddressRow,
    "receiver": ReceiverRow,
    "acceptance": AcceptanceRow,
    "sender": SenderAcceptanceRow,
}
SHEETS: dict[str, type[msgspec.Struct]] = {
    "municipalities.csv": MunicipalityRow,
    "locations.csv": LocationRow,
    "systems.csv": SystemRow,
    "profiles.csv": ProfileRow,
}
_DATES = {"valid_from": "2024-01-01T12:00:00+01:00", "valid_to": "2020-01-01T00:00:00+01:00"}

#: A value that is of the right type and wrong, for every key.
WRONG: dict[str, dict[str, str]] = {
    "address": _DATES
    | {
        "kommunekode": '"0999"',
        "message_type": '"hospitalnotification"',
        "sor": '"99900461"',
        "gln": '"2990000004612"',
        "unit_name": '""',
        "network": '"post"',
        "environment": '"production"',
        "shared_endpoint": '"no"',
        "aliases": '["2990000000018"]',
        "cvr": '"123"',
        "content_namespace": '"urn:x"',
    },
    "receiver": _DATES
    | {
        "kommunekode": '"0999"',
        "message_type": '"hospitalnotification"',
        "system": '"odense eoj"',
        "kind": '""',
        "type": '"D"',
        "name": "7",
        "product": '"Nexuss"',
        "notices": '["STOP"]',
        "copies": '"sealed"',
    },
    "acceptance": _DATES
    | {
        "kommunekode": '"0999"',
        "message_type": '"hospitalnotification"',
        "format": '"hl7"',
        "version": '"4.0"',
        "mime": '"application/json"',
        "envelope": '"none"',
        "environment": '"production"',
        "after_gap": '"yes"',
        "send_acute_as_admission": '"yes"',
        "cancel_on_class_change": '"yes"',
        "expects_positive_receipt": '"no"',
    },
    "sender": _DATES
    | {
        "message_type": '"hospital-notification"',
        "format": '"edifact"',
        "version": '"1.0"',
        "environment": '"tests"',
        "product": '"Cosmik"',
    },
    "municipalities.csv": {
        "kommunekode": "461",
        "name": "Aarhus",
        "region_code": "1082",
        "region": "Region Fyn",
        "valid_from": "1 May 2026",
        "valid_to": "2026-02-30",
    },
    "locations.csv": {
        "feed": "EPJ-SJ/XXX",
        "facility": "XXX",
        "ward": "AKUT",
        "shak": "99",
        "sor": "999",
        "gln": "2990000000018",
        "region_code": "1099",
        "valid_from": "2024-01-01T00:00:00",
        "valid_to": "2027-01-01T00:00:00+02:00",
    },
    "systems.csv": {
        "role": "reader",
        "message_type": "note",
        "format": "hl7",
        "approved": "perhaps",
        "valid_from": "2026-07-09T12:00:00+02:00",
        "valid_to": "2026-07-01",
    },
    "profiles.csv": {"message_type": "note", "like": "9.9"},
    FEED: {
        "application": '"EPJ-XX"',
        "facility": '"XXX"',
        "zone": '"Europe/Roskilde"',
        "charset": '"latin"',
        "charset_mismatch": '"ignore"',
        "certificates": '["*.example"]',
        "test": '"no"',
        "evn2_is_event_time": '"no"',
        "a08_class_is_correction": '"no"',
        "a08_ward_is_correction": '"no"',
        "allow_person_change": '"no"',
        "cpr_authorities": '"CPR"',
        "cpr_types": '"CPR"',
        "lpr3": '"PV1"',
        "zbe": '"no"',
        "letters": '["adt"]',
        "classes": '{ AKUT = "ACUTE" }',
        "dispositions": '{ "99" = "gone" }',
        "discharged_to": '{ PLH = "gone" }',
        "municipalities": '{ "8510" = "0511" }',
        "substitutes": '{ "0411" = "0412" }',
        "acute": '[{ field = "PV1", values = ["E"] }]',
        "leave_elsewhere": '[{ field = "EVN-4", values = "PSYK" }]',
    },
    "receipts": {
        "ack_timeout": '"30 s"',
        "max_resends": "3",
        "mode": '"slow"',
        "network_warning": '"30 s"',
        "memory": '"29 d"',
        "answer_within": '"26 min"',
        "report_within": '"31 d"',
        "orphan_recheck": '"2 h"',
        "retry_pauses": '["15 s", "5 s"]',
        "expects_positive_receipt": '"no"',
    },
    "stay": {
        "leave_requires_report": '"no"',
        "send_re_slor": '"no"',
        "send_re_mors": '"no"',
        "death_on_arrival_status": '"dead"',
        "late_start_window": '"15"',
        "too_late": '"1 week"',
        "same_time": '"-1 min"',
        "keep_ended": '"30"',
        "keep_silent": '"ever"',
    },
}
#: Columns that take any text.
FREE = {
    "locations.csv": {"hospital", "department", "unit", "phone"},
    "systems.csv": {"product", "version", "source"},
    "profiles.csv": {"version", "source"},
}
#: Columns that the example set does without.
ABSENT = {"phone"}
#: What stands in the place of a column that belongs to a place: the mistake shows where the two rows meet.
ELSEWHERE = {(FEED, "application"): "locations.csv", (FEED, "facility"): "locations.csv"}


#: Some of each region, and three where a name is tried: a small set is read fast.
CODES = ("0101", "0265", "0410", "0420", "0461", "0615", "0661", "0751", "0851")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped set with nine municipalities."""
    return nine_municipalities(tmp_path_factory.mktemp("registers") / "set")


def nine_municipalities(folder: Path) -> Path:
    """The shipped set with these, written into a folder that is not there yet."""
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    own, places, policy = folder / OWN, folder / "municipalities.csv", folder / POLICY
    blocks = own.read_text(encoding="utf-8").split("\n\n")
    kept = [block for block in blocks if 'kommunekode = "' not in block or any(f'"{code}"' in block for code in CODES)]
    own.write_text("\n\n".join([*kept, ""]), encoding="utf-8")
    head, *rows = places.read_text(encoding="utf-8").splitlines()
    places.write_text("\n".join([head, *(row for row in rows if row.startswith(CODES)), ""]), encoding="utf-8")
    text = policy.read_text(encoding="utf-8").replace("value = 98", "value = 9").replace("10XX = 46", "10XX = 2")
    counts = re.sub(r"(108[145]) = \d+", r"\1 = 1", re.sub(r"(108[23]) = \d+", r"\1 = 3", text))
    policy.write_text(counts, encoding="utf-8")
    return folder


@pytest.fixture
def folder(tmp_path: Path, small: Path) -> Path:
    """The small set, as a folder of one's own."""
    return Path(shutil.copytree(small, tmp_path / "set"))


def columns(form: type[msgspec.Struct]) -> list[str]:
    return [each.name for each in msgspec.structs.fields(form)]


def needed(form: type[msgspec.Struct]) -> list[str]:
    return [each.name for each in msgspec.structs.fields(form) if each.required]


def only(folder: Path) -> RegisterFinding:
    """The one finding."""
    found = inspect_registers(folder, now=NOW)
    assert len(found) == 1, [str(each) for each in found][:5]
    assert "\n" not in str(found[0])
    assert found[0].remedy
    return found[0]


class Table:
    """A table of a TOML file: Odense's in subscriptions.toml, or all of a feed, or a section of the policy."""

    def __init__(self, folder: Path, file: str, header: str = "", marks: str = "") -> None:
        self.path, self.file = folder / file, file
        self.lines = self.path.read_text(encoding="utf-8").splitlines()
        starts = [n for n, line in enumerate(self.lines) if line == header and marks in self.lines[n + 1]]
        self.start = starts[0] if header else -1

    def place(self, key: str) -> int | None:
        """Where the key stands, counted from 0."""
        for number, line in enumerate(self.lines[self.start + 1 :], self.start + 1):
            if line.startswith("["):
                return None
            if re.match(rf"{key}\s*=", line):
                return number
        return None

    def write(self, key: str, value: str | None) -> int:
        """The key with another value, or without one; the line, counted from 1, at which it stands or stood."""
        place = self.place(key)
        if place is not None:
            self.lines.pop(place)
        place = self.start + 1 if place is None else place
        if value is not None:
            self.lines.insert(place, f"{key} = {value}")
        self.save()
        return place + 1

    def save(self) -> None:
        self.path.write_text("\n".join([*self.lines, ""]), encoding="utf-8")


def table(folder: Path, name: str) -> Table:
    if name == FEED:
        return Table(folder, FEED)
    if name in TABLES:
        return Table(folder, OWN, f"[[{name}]]", "" if name == "sender" else "0461")
    return Table(folder, POLICY, f"[{name}]")


FORMS: dict[str, type[msgspec.Struct]] = {
    **TABLES,
    **SHEETS,
    FEED: FeedProfile,
    "receipts": ReceiptPolicy,
    "stay": StayPolicy,
}


def each_key(*names: str) -> list[Any]:
    return [pytest.param(name, key, id=f"{name} {key}") for name in names for key in columns(FORMS[name])]


def each_wrong(*names: str) -> list[Any]:
    keys = [(name, key, value) for name in names for key, value in WRONG[name].items()]
    return [pytest.param(name, key, value, id=f"{name} {key}") for name, key, value in keys]


@pytest.mark.parametrize("name", FORMS)
def test_every_column_has_wrong_value_here(name: str) -> None:
    assert set(WRONG[name]) | FREE.get(name, set()) == set(columns(FORMS[name]))


@pytest.mark.parametrize(("name", "key", "value"), each_wrong(*TABLES, FEED))
def test_wrong_value_is_one_finding_at_its_key(folder: Path, name: str, key: str, value: str) -> None:
    rows = table(folder, name)
    line = rows.write(key, value)
    finding = only(folder)
    elsewhere = ELSEWHERE.get((name, key))
    if elsewhere is None and finding.line != line:  # what does not fit is a pair: two keys, or two rows
        assert name == "acceptance" or key == "environment"
        assert rows.lines[finding.line - 1].split(" = ")[0] in columns(AcceptanceRow)
    assert finding.file == (elsewhere or rows.file)


@pytest.mark.parametrize(("name", "key"), each_key(*TABLES, FEED, "receipts", "stay"))
def test_foreign_type_is_one_finding_at_its_key(folder: Path, name: str, key: str) -> None:
    rows = table(folder, name)
    value = "{ a = 1 }" if name in TABLES or name == FEED else '{ value = { a = 1 }, source = "x" }'
    line = rows.write(key, value)
    finding = only(folder)
    assert (finding.file, finding.line) == (rows.file, line)
    assert key in finding.problem


@pytest.mark.parametrize(("name", "key"), each_key(*TABLES, FEED, "receipts", "stay"))
def test_missing_key_is_one_finding_or_default(folder: Path, name: str, key: str) -> None:
    rows = table(folder, name)
    if key in ("valid_from",) or rows.place(key) is None:
        assert key not in needed(FORMS[name])
        return
    rows.write(key, None)
    if name == "acceptance" and key == "mime":  # needed by FHIR only
        assert only(folder).problem.startswith("mime")
    elif key in needed(FORMS[name]):
        finding = only(folder)
        assert (finding.file, finding.line) == (rows.file, max(rows.start + 1, 1))
        assert f"lacks {key}" in finding.problem
    else:
        assert inspect_registers(folder, now=NOW) == ()


@pytest.mark.parametrize(("name", "key"), each_key(*TABLES, FEED, "receipts", "stay"))
def test_key_that_stands_twice_is_one_finding(folder: Path, name: str, key: str) -> None:
    rows = table(folder, name)
    if rows.place(key) is None:
        rows.write(key, "1")
    line = rows.write("other", "1")
    rows.lines[line - 1] = f"{key} = 1"
    rows.save()
    finding = only(folder)
    second = [n for n, text in enumerate(rows.lines, 1) if n >= line and re.match(rf"{key}\s*=", text)][1]
    assert (finding.file, finding.line) == (rows.file, second)
    assert finding.problem.startswith("not TOML")


@pytest.mark.parametrize("name", [*TABLES, FEED, "receipts", "stay"])
def test_unknown_key_is_one_finding_at_its_line(folder: Path, name: str) -> None:
    rows = table(folder, name)
    value = "1" if name in TABLES or name == FEED else '{ value = 1, source = "x" }'
    line = rows.write("wibble", value)
    finding = only(folder)
    assert (finding.file, finding.line) == (rows.file, line)
    assert "wibble" in finding.problem or "no such row" in finding.problem


@pytest.mark.parametrize(("name", "key", "value"), each_wrong("receipts", "stay"))
def test_wrong_value_of_policy_is_one_finding(folder: Path, name: str, key: str, value: str) -> None:
    rows = table(folder, name)
    line = rows.write(key, f'{{ value = {value}, source = "x" }}')
    finding = only(folder)
    assert (finding.file, finding.line) == (rows.file, line)


@pytest.mark.parametrize(("key", "value"), WRONG["receipts"].items())
def test_override_is_held_to_same_rules(folder: Path, key: str, value: str) -> None:
    rows = table(folder, "sender")
    rows.lines += ['[policy."0461"]', f"{key} = {value}"]
    rows.save()
    finding = only(folder)
    assert (finding.file, finding.line) == (OWN, len(rows.lines))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('count = { value = "9", source = "x" }', id="a number as text"),
        pytest.param("count = { value = 9 }", id="no source"),
        pytest.param('counts = { value = 9, source = "x" }', id="an unknown row"),
        pytest.param('count = { value = 4, source = "x" }', id="another number"),
        pytest.param('count = { value = 9, source = "x", valid_to = 2027-01-01T12:00:00+01:00 }', id="noon"),
    ],
)
def test_wrong_count_is_one_finding(folder: Path, text: str) -> None:
    rows = Table(folder, POLICY, "[municipalities]")
    place = rows.place("count")
    assert place is not None
    rows.lines[place] = text
    rows.save()
    finding = only(folder)
    assert finding.line == place + 1 or finding.file == "municipalities.csv"


# ---- CSV ---------------------------------------------------------------------------------------------------------


#: How the row begins that is tried: one that others lean on.
ROW = {
    "municipalities.csv": "0461,",
    "locations.csv": "EPJ-SJ/SUH,HOL,MED4,",
    "systems.csv": "Nexus,",
    "profiles.csv": "hospital-notification,",
}


class Csv:
    """A CSV file and the row that is tried."""

    def __init__(self, folder: Path, file: str) -> None:
        self.path, self.file = folder / file, file
        self.rows = [line.split(",") for line in self.path.read_text(encoding="utf-8").splitlines()]
        begins = ROW[file]
        self.number = next(n for n, row in enumerate(self.rows) if ",".join(row).startswith(begins))

    def column(self, key: str) -> int:
        return self.rows[0].index(key)

    def save(self) -> None:
        self.path.write_text("\n".join([*map(",".join, self.rows), ""]), encoding="utf-8")


@pytest.mark.parametrize(("file", "key", "value"), each_wrong(*SHEETS))
def test_wrong_cell_is_one_finding(folder: Path, file: str, key: str, value: str) -> None:
    sheet = Csv(folder, file)
    sheet.rows[sheet.number][sheet.column(key)] = value
    sheet.save()
    finding = only(folder)
    assert finding.file == file
    assert (
        (finding.line - 1 == sheet.number)
        or (finding.line == 0 and "expects" in finding.problem)
        or key in ("ward", "name")
    )


@pytest.mark.parametrize(("file", "key"), each_key(*SHEETS))
def test_missing_cell_is_one_finding_or_has_default(folder: Path, file: str, key: str) -> None:
    sheet = Csv(folder, file)
    if key not in needed(SHEETS[file]):
        return
    sheet.rows[sheet.number][sheet.column(key)] = ""
    sheet.save()
    finding = only(folder)
    assert (finding.file, finding.line - 1) == (file, sheet.number)
    assert finding.problem == f"lacks {key}"


@pytest.mark.parametrize(("file", "key"), [case for case in each_key(*SHEETS) if case.values[1] not in ABSENT])
def test_column_twice_or_misspelt_or_missing_is_one_finding(folder: Path, small: Path, file: str, key: str) -> None:
    for name in (sorted({*columns(SHEETS[file])} - {key})[0], f"{key}x"):
        sheet = Csv(folder, file)
        sheet.rows[0][sheet.column(key)] = name
        sheet.save()
        finding = only(folder)
        assert (finding.file, finding.line) == (file, 1)
        shutil.copy(small / file, sheet.path)
    if key in needed(SHEETS[file]):
        sheet = Csv(folder, file)
        at = sheet.column(key)
        sheet.rows = [[cell for n, cell in enumerate(row) if n != at] for row in sheet.rows]
        sheet.save()
        finding = only(folder)
        assert (finding.file, finding.line) == (file, 1)
        assert key in finding.problem


@pytest.mark.parametrize("file", SHEETS)
def test_row_twice_is_one_finding(folder: Path, file: str) -> None:
    sheet = Csv(folder, file)
    sheet.rows.insert(sheet.number + 1, sheet.rows[sheet.number])
    sheet.save()
    finding = only(folder)
    assert (finding.file, finding.line - 1) == (file, sheet.number + 1)


@pytest.mark.parametrize("name", TABLES)
def test_table_twice_is_one_finding(folder: Path, name: str) -> None:
    rows = table(folder, name)
    end = next((n for n, line in enumerate(rows.lines[rows.start :]) if not line), 0) + rows.start
    rows.lines += ["", *rows.lines[rows.start : end]]
    rows.save()
    finding = only(folder)
    assert (finding.file, finding.line) == (OWN, len(rows.lines) - (end - rows.start) + 1)


# ---- files -------------------------------------------------------------------------------------------------------

BYTES = {
    "Latin-1": (lambda data: data.replace("København".encode(), "København".encode("latin-1"), 1), 2, "is not UTF-8"),
    "semicolons": (lambda data: data.replace(b",", b";"), 1, "not separated by commas"),
    "an open quote": (lambda data: data.replace(b"0461,Odense", b'0461,"Odense', 1), None, "not CSV"),
    "empty": (lambda _: b"", 1, "lacks the column kommunekode"),
}


@pytest.mark.parametrize(("change", "line", "shows"), BYTES.values(), ids=BYTES)
def test_file_that_cannot_be_read_is_one_finding(folder: Path, change: Any, line: int | None, shows: str) -> None:
    path = folder / "municipalities.csv"
    path.write_bytes(change(path.read_bytes()))
    finding = only(folder)
    assert finding.file == "municipalities.csv"
    assert shows in finding.problem
    assert finding.line
    assert line in (None, finding.line)


def test_mark_of_spreadsheet_is_no_mistake(folder: Path) -> None:
    for path in [*folder.glob("*.csv"), *folder.glob("*.toml"), *folder.glob("feeds/*.toml")]:
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert inspect_registers(folder, now=NOW) == ()


@pytest.mark.parametrize("file", [OWN, POLICY, FEED])
@pytest.mark.parametrize("text", ["[[address", "key", "key = ", 'key = "x', "key = 2024-13-01", "\x01"])
def test_slip_of_toml_is_one_finding_with_its_line(folder: Path, file: str, text: str) -> None:
    path = folder / file
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([lines[0], text, *lines[1:], ""]), encoding="utf-8")
    finding = only(folder)
    assert (finding.file, finding.line) == (file, 2)
    assert finding.problem.startswith("not TOML")


@pytest.mark.parametrize("file", [OWN, "locations.csv", "feeds"])
def test_file_that_is_missing_is_one_finding(folder: Path, file: str) -> None:
    path = folder / file
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert only(folder).file == file


def test_file_that_nothing_reads_is_warning(folder: Path) -> None:
    (folder / "municipality.csv").write_text("x", encoding="utf-8")
    finding = only(folder)
    assert (finding.file, finding.severity) == ("municipality.csv", "warning")
    assert "did you mean municipalities.csv?" in finding.remedy


@pytest.mark.parametrize(
    "text", ['environment = "prod"', "environment = 1", "address = 1", "not_connected = 1", "policy = 1"]
)
def test_word_of_whole_file_is_one_finding(folder: Path, text: str) -> None:
    path, key = folder / OWN, text.split(" ")[0]
    lines = [
        line for line in path.read_text(encoding="utf-8").splitlines() if not re.match(rf"environment = .*{key}", "")
    ]
    kept, skip = [], False
    for line in lines:
        if line.startswith("["):
            skip = line.strip("[]") == key
        if not skip:
            kept.append(line)
    first = next(n for n, line in enumerate(kept) if line.startswith("environment"))
    if key == "environment":
        kept[first] = text
    else:
        kept.insert(first + 1, text)
        first += 1
    path.write_text("\n".join([*kept, ""]), encoding="utf-8")
    finding = only(folder)
    assert (finding.file, finding.line) == (OWN, first + 1)
