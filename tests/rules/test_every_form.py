"""Whatever a register may say of a form: what the checks accept is written, and all else refuses the start (05 §6.3)."""

from collections import Counter
from dataclasses import replace
from itertools import product
from typing import Any

import msgspec
import pytest

from streams.envelopes.envelope import ENVELOPES
from streams.envelopes.wrapping import open_any
from streams.messages.message_type import FORMATS
from streams.registry import AcceptanceRow
from streams.registry.check import check_beskedfordeler, check_environments, check_forms
from streams.registry.rows import Findings
from streams.registry.tables import EXAMPLE, Placed, Tables, read_tables
from tests.rules.lanes import Lane, context, registers
from tests.rules.test_registry_columns import NOW

CODE = "0461"
VERSIONS = ("3.0", "4.0", "XD2030C+XD1730C", "XD2030C", "D2030C+D1730C")
MIMES = tuple(dict.fromkeys(row.media_type for row in FORMATS.values()))
FAMILIES = tuple(dict.fromkeys(row.family for row in FORMATS.values()))
NETWORKS = tuple(dict.fromkeys(row.network for row in ENVELOPES.values()))
ENVIRONMENTS = ("test", "production")
COMBINATIONS = tuple(product(FAMILIES, VERSIONS, MIMES, ENVELOPES, NETWORKS, ENVIRONMENTS))


@pytest.fixture(scope="module")
def tables() -> Tables:
    """The example set."""
    return read_tables(EXAMPLE, Findings())


def combined(
    tables: Tables, form: str, version: str, mime: str, envelope: str, network: str, environment: Any
) -> tuple[Tables, AcceptanceRow]:
    """The set in which Odense has one acceptance, over this network."""
    (address,) = [each for each in tables.addresses if each.row.kommunekode == CODE]
    (known,) = [each for each in tables.acceptances if each.row.kommunekode == CODE]
    changes = {"format": form, "version": version, "mime": mime, "envelope": envelope, "environment": environment}
    row = msgspec.structs.replace(known.row, **changes)
    reached = replace(address, row=msgspec.structs.replace(address.row, network=network, cvr="12345678"))
    return replace(tables, addresses=(reached,), acceptances=(Placed(row, known.file, known.line),)), row


def test_form_is_written_or_refused(tables: Tables) -> None:
    accepted: Counter[str] = Counter()
    for combination in COMBINATIONS:
        changed, row = combined(tables, *combination)
        findings = Findings()
        for rule in (check_forms, check_environments, check_beskedfordeler):
            rule(changed, NOW, findings)
        if any(finding.severity == "error" for finding in findings.all):
            continue
        lane = Lane(context(registers().with_acceptances([row]))).play("A01 08:00")
        assert lane.dead_letters == [], combination
        (letter,) = lane.letters
        opened = open_any(letter.payload)
        assert (opened is None) == (row.envelope == "none"), combination
        accepted[f"{row.format} {row.mime} {row.envelope}".replace("  ", " ")] += 1
    assert set(accepted) == {
        "fhir application/fhir+json vans",
        "fhir application/fhir+json sbdh",
        "fhir application/fhir+json beskedkuvert",
        "fhir application/fhir+xml vans",
        "fhir application/fhir+xml sbdh",
        "fhir application/fhir+xml beskedkuvert",
        "oioxml vans",
        "oioxml beskedkuvert",
        "edifact none",
    }
