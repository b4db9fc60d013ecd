"""`stafet convert` between FHIR and letters: bytes, reasons, the table of `--explain` (acceptance.md, Formats)."""

from pathlib import Path
from typing import Any

import pytest

from streams.cli.app import build
from streams.cli.frame import Code
from streams.cli.frame import run as run_command
from streams.messages.legacy import document
from streams.messages.legacy.conversion import REASONS
from tests.meanings.letter_stories import PATIENT, admission, discharge
from tests.meanings.letters import letter
from tests.published import ROOT

FILES = {
    "in.xml": document.write(admission(), "oioxml"),
    "in.edi": document.write(admission(), "edifact"),
    "out.xml": document.write(discharge(), "oioxml"),
    "latin.xml": document.write(letter(), "oioxml"),
    "persons.csv": f"\ufeffcpr,family,given\n250947-9989,{PATIENT.family},Bruno Test\n".encode(),
    "swapped.csv": f"given,family,cpr\nBruno,{PATIENT.family},{PATIENT.cpr}\n".encode(),
    "columns.csv": b"cpr,name\n",
    "longer.csv": f"cpr,family,given\n{PATIENT.cpr},Elmer, Jr,Bruno\n".encode(),
    "latin.csv": "cpr,family,given\n2509479989,Sørensen,\n".encode("iso-8859-1"),
    "empty.csv": b"",
}


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, data in FILES.items():
        Path(name).write_bytes(data)


def run(capfdbinary: Any, *words: str) -> tuple[int, bytes, str]:
    status = run_command(build(), words)
    out, err = capfdbinary.readouterr()
    return status, out, err.decode()


@pytest.mark.usefixtures("files")
def test_a_letter_is_written_in_its_own_bytes(capfdbinary: Any) -> None:
    assert run(capfdbinary, "convert", "in.xml", "--to", "edifact") == (0, FILES["in.edi"], "")
    status, out, _ = run(capfdbinary, "convert", "latin.xml", "--to", "edifact")
    assert (status, "Sygehus Øst".encode("iso-8859-1") in out) == (0, True)


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("persons", ["persons.csv", "swapped.csv"])
def test_there_and_back_gives_the_letter(capfdbinary: Any, persons: str) -> None:
    status, message, err = run(capfdbinary, "convert", "in.edi", "--to", "fhir-json", "--persons", persons)
    assert (status, err) == (0, "")
    Path("in.json").write_bytes(message)
    _, again, _ = run(capfdbinary, "convert", "in.json", "--to", "oioxml")
    found = document.read(again)
    assert (found.stay, found.occurred, found.cpr) == (admission().stay, admission().occurred, PATIENT.cpr)  # type: ignore[union-attr]


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("out.xml", "--to", "fhir-json"), "no-name"),
        (("out.xml", "--to", "fhir-json", "--persons", "persons.csv"), "no-start"),
        (("persons.csv", "--to", "edifact"), "rejected"),
    ],
)
def test_a_refusal_is_one_line_with_its_reason(capfdbinary: Any, words: tuple[str, ...], reason: str) -> None:
    status, out, err = run(capfdbinary, "convert", *words)
    assert (status, out) == (Code.FAILED, b"")
    (line,) = err.splitlines()
    assert line.startswith(f"{reason}: ")
    assert PATIENT.cpr not in line


@pytest.mark.parametrize("reason", sorted(REASONS))
def test_each_reason_has_a_word_in_the_documents(reason: str) -> None:
    assert f"`{reason}`" in (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")


@pytest.mark.usefixtures("files")
def test_earlier_messages_are_given_in_their_order(capfdbinary: Any) -> None:
    words = ("convert", "out.xml", "--to", "fhir-xml", "--persons", "persons.csv", "--after", "in.edi")
    status, out, err = run(capfdbinary, *words)
    assert (status, err) == (0, "")
    assert out.startswith(b"<?xml")
    assert run(capfdbinary, *words) == (status, out, err)


@pytest.mark.usefixtures("files")
def test_what_is_lost_is_a_table_beside_the_letter(capfdbinary: Any) -> None:
    words = ("convert", "in.xml", "--to", "fhir-json", "--persons", "persons.csv")
    _, plain, _ = run(capfdbinary, *words)
    status, out, err = run(capfdbinary, *words, "--explain")
    assert (status, out) == (0, plain)
    rows = [line.split("\t") for line in err.splitlines()]
    assert {kind for kind, _, _ in rows} == {"assumed", "lost"}
    assert ["lost", "Sender.TelephoneSubscriberIdentifier", "FHIR has none"] in rows
    assert PATIENT.family not in err


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("name", ["columns.csv", "longer.csv", "latin.csv", "empty.csv", "nowhere.csv", "."])
def test_a_list_of_persons_that_is_none_is_named(capfdbinary: Any, name: str) -> None:
    status, _, err = run(capfdbinary, "convert", "in.xml", "--to", "fhir-json", "--persons", name)
    assert (status, err.startswith(f"{name}: ")) == (Code.USAGE, True)


@pytest.mark.usefixtures("files")
def test_a_folder_of_several_files_is_not_one_message(capfdbinary: Any) -> None:
    status, out, err = run(capfdbinary, "convert", ".", "--to", "edifact")
    assert (status, out, err.startswith(".: ")) == (Code.USAGE, b"", True)
