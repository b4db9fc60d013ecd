"""`stafet replay` as scripts meet it: lines, files, forms, exit codes (acceptance.md)."""

import json
from pathlib import Path
from typing import Any

import pytest

from streams.cli.app import build
from streams.cli.frame import Code, run
from streams.formats.fhir.read import from_json, from_xml
from streams.messages.legacy import document
from tests.rules.cut_overs import own_set, takes
from tests.rules.test_replay import LEFT, adt, home

KEYS = ["file", "notification", "municipality", "message_header_id", "bundle_id", "path", "why", "rule"]


@pytest.fixture
def stafet(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Runs `stafet replay` beside three files of a stay; gives exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)
    for name, data in (("1.hl7", adt("A01")), ("2.hl7", adt("A02", LEFT)), ("3.hl7", home())):
        (tmp_path / name).write_bytes(data)

    def call(*words: str) -> tuple[int, str, str]:
        status = run(build(), ["replay", *words])
        return (status, *capsys.readouterr())

    call.read = lambda: capsys.readouterr().out  # type: ignore[attr-defined]
    return call


def lines(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_every_file_gives_at_least_one_line(stafet: Any) -> None:
    status, out, err = stafet("1.hl7", "2.hl7", "3.hl7", "--jsonl")
    assert (status, err) == (0, "")
    notified = lines(out)
    assert [list(line) for line in notified] == [KEYS] * 3
    assert [(line["file"], line["notification"], line["municipality"]) for line in notified] == [
        ("1.hl7", "STIN", "0751"),
        ("2.hl7", "none", None),
        ("3.hl7", "SLHJ", "0751"),
    ]
    assert [line["path"] for line in notified] == [None] * 3
    assert notified[1]["message_header_id"] is notified[1]["bundle_id"] is None


def test_oddities_of_file_go_beside_data(stafet: Any, tmp_path: Path) -> None:
    (tmp_path / "odd.hl7").write_bytes(adt("A01", pv1={3: "ZZ9^^^OUH"}))
    status, out, err = stafet("odd.hl7", "1.hl7", "--jsonl")
    assert (status, [line["notification"] for line in lines(out)]) == (0, ["STIN", "none:control-id-reuse"])
    assert err == "odd.hl7: warning PV1-3 [unknown-ward]: ward not in the location register; add it to the register\n"


def test_folder_is_played_in_order_of_its_names(stafet: Any, tmp_path: Path) -> None:
    assert [line["notification"] for line in lines(stafet(str(tmp_path), "--jsonl")[1])] == ["STIN", "none", "SLHJ"]


def test_messages_are_written_in_order_of_sending(stafet: Any) -> None:
    notified = lines(stafet("1.hl7", "3.hl7", "--jsonl", "--out", "new/letters")[1])
    for number, line in enumerate(notified, 1):
        path = Path(line["path"])
        assert path == Path("new/letters") / f"{number:06d}-{line['message_header_id']}.json"
        assert from_json(path.read_bytes())["id"] == line["bundle_id"]
    assert len(list(Path("new/letters").iterdir())) == 2


def test_what_is_written_is_its_owners_alone(stafet: Any) -> None:
    (line,) = lines(stafet("1.hl7", "--jsonl", "--out", "new")[1])
    assert (Path("new").stat().st_mode & 0o777, Path(line["path"]).stat().st_mode & 0o777) == (0o700, 0o600)


@pytest.mark.parametrize("link", ["new", "file"])
def test_nothing_is_written_through_link(stafet: Any, link: str) -> None:
    Path("elsewhere").mkdir()
    if link == "new":
        Path("new").symlink_to("elsewhere")
    else:
        (line,) = lines(stafet("1.hl7", "--jsonl", "--out", "new")[1])
        Path(line["path"]).unlink()
        Path(line["path"]).symlink_to(Path("elsewhere/letter").resolve())
    status, _, err = stafet("1.hl7", "--jsonl", "--out", "new")
    assert status == Code.FAILED
    assert "is no link" in err
    assert list(Path("elsewhere").iterdir()) == []


def test_same_files_are_written_same_again(stafet: Any) -> None:
    first = stafet("1.hl7", "3.hl7", "--jsonl", "--out", "one")[1]
    second = stafet("1.hl7", "3.hl7", "--jsonl", "--out", "two")[1]
    assert first.replace("one/", "") == second.replace("two/", "")
    assert [p.read_bytes() for p in sorted(Path("one").iterdir())] == [
        p.read_bytes() for p in sorted(Path("two").iterdir())
    ]


def test_message_may_be_asked_for_in_xml(stafet: Any) -> None:
    (plain,), (line,) = (
        lines(stafet("1.hl7", "--jsonl", "--out", "o", "--format", form)[1]) for form in ("fhir-json", "fhir-xml")
    )
    assert Path(line["path"]).suffix == ".xml"
    assert from_xml(Path(line["path"]).read_bytes()) == from_json(Path(plain["path"]).read_bytes())


@pytest.mark.parametrize(("form", "suffix"), [("oioxml", ".xml"), ("edifact", ".edi")])
def test_messages_may_be_asked_for_as_letters(stafet: Any, form: str, suffix: str) -> None:
    Path("2a.hl7").write_bytes(adt("A21", "20260301120000+0100"))
    plain = lines(stafet("1.hl7", "2.hl7", "2a.hl7", "3.hl7", "--jsonl")[1])
    rows = lines(stafet("1.hl7", "2.hl7", "2a.hl7", "3.hl7", "--jsonl", "--out", "o", "--format", form)[1])
    assert [row["notification"] for row in rows] == ["STIN", "none", "none:not-representable", "SLHJ"]
    assert [row["format"] for row in rows] == [form] * 4
    for key in ("municipality", "message_header_id", "bundle_id"):
        assert [row[key] for row in rows] == [row[key] for row in plain]
    assert [row["path"] and Path(row["path"]).suffix for row in rows] == [suffix, None, None, suffix]
    letters = [document.read(Path(row["path"]).read_bytes()) for row in rows if row["path"]]
    assert [(each.number, each.status) for each in letters] == [("20", "nytbrev"), ("17", "nytbrev")]  # type: ignore[union-attr]


def test_a_letter_is_what_convert_makes_of_the_message(stafet: Any) -> None:
    rows = lines(stafet("1.hl7", "--jsonl", "--out", "o", "--format", "oioxml")[1])
    stafet("1.hl7", "--jsonl", "--out", "j", "--format", "fhir-json")
    (message,) = Path("j").iterdir()
    assert run(build(), ["convert", str(message), "--to", "oioxml"]) == 0
    assert stafet.read() == Path(rows[0]["path"]).read_text("iso-8859-1")


def test_a_subscription_has_its_own_form(stafet: Any) -> None:
    plain = lines(stafet("1.hl7", "2.hl7", "--jsonl")[1])
    rows = lines(stafet("1.hl7", "2.hl7", "--jsonl", "--format", "subscription")[1])
    assert [row.pop("format") for row in rows] == ["fhir-json", None]
    assert rows == plain


@pytest.mark.parametrize("form", ["oioxml", "edifact"])
def test_a_subscription_to_letters_gives_the_same_lines(stafet: Any, form: str) -> None:
    """By the registers as by the option: the same lines, also of what has no form (00 §7.2)."""
    takes(own_set(Path("set")), "0751", form)
    Path("2a.hl7").write_bytes(adt("A21", "20260301120000+0100"))
    files = ("1.hl7", "2.hl7", "2a.hl7", "3.hl7", "--jsonl")
    asked = lines(stafet(*files, "--format", form)[1])
    rows = lines(stafet(*files, "--format", "subscription", "--registers", "set")[1])
    assert [row.pop("format") for row in rows] == [form, None, None, form]
    for row in asked:
        del row["format"], row["why"]
    assert [{key: row[key] for key in asked[0]} for row in rows] == asked


def test_a_subscription_changes_over_in_the_middle(stafet: Any) -> None:
    takes(own_set(Path("set")), "0751", "oioxml", "2026-03-02T00:00:00+01:00")
    out = ("--jsonl", "--out", "o", "--format", "subscription", "--registers", "set")
    rows = lines(stafet("1.hl7", "3.hl7", *out)[1])
    assert [row["format"] for row in rows] == ["oioxml", "fhir-json"]
    letter = document.read(Path(rows[0]["path"]).read_bytes())
    what = [
        entry["resource"]["entity"][0]["what"]
        for entry in from_json(Path(rows[1]["path"]).read_bytes())["entry"]
        if entry["resource"]["resourceType"] == "Provenance"
    ]
    assert what == [{"identifier": {"value": f"{letter.sender.gln}#{letter.letter_id}"}}]  # type: ignore[union-attr]


def test_people_read_why_there_is_no_letter(stafet: Any) -> None:
    Path("2a.hl7").write_bytes(adt("A21", "20260301120000+0100"))
    shown = stafet("1.hl7", "2a.hl7", "--format", "edifact")[1].splitlines()
    assert shown == [
        "1.hl7: STIN to 0751",
        "2a.hl7: none:not-representable (the format of the municipality has no form for this notice)",
    ]


def test_clock_may_be_given(stafet: Any) -> None:
    (line,) = lines(stafet("1.hl7", "--jsonl", "--out", "o", "--at", "2026-07-01T12:00:00")[1])
    assert from_json(Path(line["path"]).read_bytes())["timestamp"] == "2026-07-01T12:00:00+02:00"


def test_people_get_one_sentence(stafet: Any) -> None:
    assert stafet("1.hl7", "2.hl7")[1] == (
        "1.hl7: STIN to 0751\n2.hl7: none (a move within the hospital is not notified (01 §21.1); the stay: admitted)\n"
    )


def test_folder_of_letters_is_received_in_order_of_sending(stafet: Any) -> None:
    stafet("1.hl7", "3.hl7", "--jsonl", "--out", "letters")
    assert run(build(), ["receive", "letters", "--jsonl"]) == 0
    received = lines(stafet.read())
    assert [line["history"] for line in received] == [["STIN"], ["STIN", "SLHJ"]]


def test_rejected_file_names_rule_and_reason(stafet: Any) -> None:
    Path("0.hl7").write_bytes(adt("A01", msh={3: "NOBODY"}))
    (line,) = lines(stafet("0.hl7", "--jsonl")[1])
    assert (line["notification"], line["rule"]) == ("none:rejected", "hl7-207")
    assert line["why"]


@pytest.mark.parametrize(
    ("words", "shows"),
    [
        pytest.param(["missing.hl7"], "missing.hl7", id="no such file"),
        pytest.param([], "FILE", id="no file"),
        pytest.param(["1.hl7", "--format", "pdf"], "no such form", id="no form at all"),
        pytest.param(["1.hl7", "--at", "noon"], "--at", id="no time"),
        pytest.param(["1.hl7", "--at", "9999-12-31T23:59:59-12:00"], "--at", id="the last day there is"),
        pytest.param(["1.hl7", "--at", "0001-01-01T00:00:00+14:00"], "--at", id="the first day there is"),
        pytest.param(["1.hl7", "--registers", "nowhere"], "registers", id="no registers"),
    ],
)
def test_unplayable_file_is_usage_error(stafet: Any, words: list[str], shows: str) -> None:
    status, out, err = stafet(*words, "--jsonl")
    assert (status, out) == (Code.USAGE, "")
    assert shows in err


def test_folder_that_cannot_be_written_is_failure(stafet: Any) -> None:
    Path("taken").write_text("", encoding="utf-8")
    status, _, err = stafet("1.hl7", "--jsonl", "--out", "taken")
    assert (status, "taken" in err) == (Code.FAILED, True)
