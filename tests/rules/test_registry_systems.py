"""What a product is approved for (00 §10.3): the facts of 9 July 2026, held against what a register promises."""

import csv
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from streams.registry import RegisterFinding, inspect_registers
from streams.registry.tables import EXAMPLE
from tests.rules.test_registry_columns import OWN

BEFORE, AFTER = datetime(2026, 3, 1, 12, tzinfo=UTC), datetime(2026, 8, 1, 12, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(EXAMPLE, tmp_path / "set", ignore=shutil.ignore_patterns("*.py", "__pycache__")))


def behind(folder: Path, product: str, type_: str = "A", now: datetime = AFTER) -> tuple[RegisterFinding, ...]:
    """The findings when Odense's receiver is this product."""
    own = folder / OWN
    text = own.read_text(encoding="utf-8")
    if type_ == "A":
        text = text.replace('system = "odense-eoj"', f'product = "{product}"\nsystem = "odense-eoj"')
    else:
        text += '\n[[receiver]]\nkommunekode = "0461"\nmessage_type = "hospital-notification"\n'
        text += (
            f'system = "odense-two"\nkind = "other"\ntype = "{type_}"\nproduct = "{product}"\nvalid_from = 2024-01-01\n'
        )
    own.write_text(text, encoding="utf-8")
    return inspect_registers(folder, now=now)


def test_facts_are_those_of_ninth_of_july() -> None:
    with (EXAMPLE / "systems.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert {row["valid_from"] for row in rows} == {"2026-07-09"}
    facts = {(row["role"], row["message_type"], row["approved"], row["product"]) for row in rows}
    sent, received = ("sender", "hospital-notification"), ("receiver", "hospital-notification")
    assert facts == {
        *((*sent, "yes", product) for product in ("Columna CIS", "Sundhedsplatformen")),
        (*sent, "no", "Cosmic"),
        *((*received, "yes", product) for product in ("Nexus", "Cura", "Sensum", "SAPA")),
        *((*received, "no", product) for product in ("VITAE", "Modulus")),
        ("sender", "acknowledgement", "no", "SAPA"),
    }


@pytest.mark.parametrize("product", ["VITAE", "Modulus"])
def test_acceptance_of_system_that_is_not_approved_is_warning(folder: Path, product: str) -> None:
    (finding,) = behind(folder, product)
    assert finding.severity == "warning"
    assert finding.problem.startswith(f"{product} is not approved to receive hospital-notification fhir 3.0")
    assert "as of 2026-07-09" in finding.problem
    assert (folder / OWN).read_text(encoding="utf-8").splitlines()[finding.line - 1] == "[[acceptance]]"


def test_coming_approval_is_reported_with_date(folder: Path) -> None:
    (finding,) = behind(folder, "Modulus", now=BEFORE)
    assert "from 2026-07-09" in finding.problem


@pytest.mark.parametrize("product", ["Nexus", "Cura", "Sensum", ""])
def test_system_that_is_approved_or_not_named_is_none(folder: Path, product: str) -> None:
    assert behind(folder, product) == ()


def test_silent_system_is_no_receiver_a(folder: Path) -> None:
    (finding,) = behind(folder, "SAPA")
    assert (finding.severity, "it cannot be receiver A" in finding.problem) == ("error", True)


@pytest.mark.parametrize("product", ["SAPA", "Modulus"])
def test_receiver_of_copies_need_not_answer(folder: Path, product: str) -> None:
    assert behind(folder, product, "C") == ()


def test_unapproved_hospital_system_is_warning(folder: Path) -> None:
    own = folder / OWN
    text = own.read_text(encoding="utf-8")
    own.write_text(text.replace("[[sender]]", '[[sender]]\nproduct = "Cosmic"'), encoding="utf-8")
    (finding,) = inspect_registers(folder, now=AFTER)
    assert finding.severity == "warning"
    assert "Cosmic is not approved to send hospital-notification fhir 3.0" in finding.problem
