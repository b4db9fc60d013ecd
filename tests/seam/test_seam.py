"""A new type of message, format or envelope is a folder and rows: each is added here as the tables have it, and used."""

import subprocess
import sys
from pathlib import Path

import pytest

from streams.registry import BadRegisters
from tests.seam.played import PLAYED, registers

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", PLAYED)
def test_what_is_added_as_rows_works(name: str) -> None:
    """In a process of its own: the rows stand in the tables before anything reads them."""
    command = [sys.executable, "-m", "tests.seam.added", name]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_what_stands_in_no_row_cannot_be_configured() -> None:
    with pytest.raises(BadRegisters) as refused:
        registers()
    (address, receiver, *acceptance) = refused.value.findings
    assert all(finding.file == "subscriptions.toml" and finding.line for finding in refused.value.findings)
    assert {"care-letter" in each.problem or "network" in each.problem for each in (address, receiver)} == {True}
    named = " ".join(each.problem for each in acceptance)
    assert all(word in named for word in ("care-letter", "lines", "paper"))
