"""The second opinion at the border: what the public models refuse, without content, asked for only there."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import streams
from streams.formats.fhir.structure import border_check
from streams.words.codes import Notice
from tests.meanings.damage import ABSENT, damaged
from tests.meanings.notifications import CASES, PATIENT, bundle, notification

STIN = bundle(notification(Notice.STIN))


@pytest.mark.parametrize(("notice", "class_"), CASES.values(), ids=CASES)
def test_models_take_every_notice(notice: Notice, class_: Any) -> None:
    assert border_check(bundle(notification(notice, class_))) == []


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("Encounter.weather", PATIENT.cpr),
        ("Encounter.class", ABSENT),
        ("MessageHeader.eventCoding", ABSENT),
        ("Bundle.timestamp", "2026-03-02T10:00:00"),
        ("Patient.id", "a_b"),
        ("Bundle.entry", {"a": PATIENT.cpr}),
    ],
)
def test_models_refuse_without_repeating_content(place: str, value: Any) -> None:
    found = border_check(damaged(STIN, place, value))
    assert found
    assert PATIENT.cpr not in str(found)


def test_only_border_imports_models() -> None:
    root = Path(streams.__file__).parent
    importing = [p.relative_to(root).as_posix() for p in root.rglob("*.py") if "fhir.resources" in _code(p)]
    assert importing == ["formats/fhir/structure.py"]


def _code(path: Path) -> str:
    return "\n".join(line for line in path.read_text().splitlines() if "import" in line)


def test_writing_and_checking_do_not_load_models() -> None:
    program = "import sys, streams.messages.hospitalnotification; sys.exit('fhir' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
