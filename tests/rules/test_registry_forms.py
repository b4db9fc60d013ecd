"""What a register may promise is what the lane writes: every form is either sealed or refused at the start."""

import shutil
from datetime import timedelta
from itertools import product
from pathlib import Path

import pytest

from streams.envelopes.wrapping import open_any
from streams.registry import BadRegisters, inspect_registers, load
from streams.registry.rows import EXISTS, WRITTEN
from streams.registry.tables import EXAMPLE
from streams.words.codes import Notice
from streams.words.ids import Kommunekode
from streams.words.model import Outcome
from tests.rules.lanes import Lane, context
from tests.rules.routes import route_notice
from tests.rules.test_registry_columns import NOW, OWN

VERSIONS = {"fhir": "3.0", "oioxml": "XD2030C+XD1730C", "edifact": "D2030C+D1730C"}
NETWORKS = {"vans": "vans", "sbdh": "ehmi", "beskedkuvert": "beskedfordeler", "none": "direct"}
MIMES = ("application/fhir+json", "application/fhir+xml")
BEGINS = {
    ("fhir", MIMES[0]): b"{",
    ("fhir", MIMES[1]): b"<?xml",
    ("oioxml", ""): b'<?xml version="1.0" encoding="ISO-8859-1"?>',
    ("edifact", ""): b"UNA",
}
FORMS = [
    (form, mime, envelope)
    for form, envelope in product(VERSIONS, NETWORKS)
    for mime in (MIMES if form == "fhir" else ("",))
]
SEALED = {(form.format, form.mime, form.envelope) for form in WRITTEN if form.message_type == "hospital-notification"}


def promise(folder: Path, form: str, mime: str, envelope: str, *more: str) -> Path:
    """A set in which Odense receives in this form only, over the network that goes with it."""
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    own, lines = folder / OWN, {"network": NETWORKS[envelope], "format": form, "version": VERSIONS[form]}
    lines |= {"mime": mime, "envelope": envelope}
    blocks = (folder / OWN).read_text(encoding="utf-8").split("\n\n")
    for number, block in enumerate(blocks):
        if 'kommunekode = "0461"' in block:
            rows = [line for line in block.split("\n") if not (line.startswith("mime") and not mime)]
            rows = [f'{key} = "{lines[key]}"' if (key := row.split(" = ")[0]) in lines else row for row in rows]
            number_of = ['cvr = "12345678"'] if envelope == "beskedkuvert" and "[[address]]" in block else []
            blocks[number] = "\n".join([*rows, *number_of, *(more if "[[acceptance]]" in block else ())])
    own.write_text("\n\n".join(blocks), encoding="utf-8")
    return folder


@pytest.mark.parametrize(("form", "mime", "envelope"), FORMS)
def test_form_is_sealed_as_promised_or_refused_at_start(tmp_path: Path, form: str, mime: str, envelope: str) -> None:
    folder = promise(tmp_path / "set", form, mime, envelope)
    if (form, mime, envelope) not in SEALED:
        (finding,) = inspect_registers(folder, now=NOW)
        exists = (form, envelope, NETWORKS[envelope]) in EXISTS
        assert ("cannot be written yet" if exists else "does not exist") in finding.problem
        assert finding.line
        with pytest.raises(BadRegisters):
            load(folder, now=NOW)
        return
    assert inspect_registers(folder, now=NOW) == ()
    lane = Lane(context(load(folder, now=NOW))).play("A01 08:00")
    opened = open_any(lane.letters[0].payload)
    assert (opened is None) == (envelope == "none")
    data = lane.letters[0].payload if opened is None else opened.payload
    assert data.startswith(BEGINS[form, mime])


def test_every_envelope_that_row_may_name_is_tried_here() -> None:
    assert {(form, envelope) for form, _, envelope in FORMS} >= {(form, envelope) for form, envelope, _ in EXISTS}
    assert len(SEALED) == 9


def test_what_was_accepted_before_is_history(tmp_path: Path) -> None:
    """OIOXML of a version that nothing writes until a day, FHIR from that day on (05 §6.6)."""
    folder = promise(tmp_path / "set", "oioxml", "", "vans", "valid_to = 2026-02-01T00:00:00+01:00")
    old = (folder / OWN).read_text(encoding="utf-8").replace(VERSIONS["oioxml"], "XD2029C+XD1729C")
    (folder / OWN).write_text(old, encoding="utf-8")
    later = """
[[acceptance]]
kommunekode = "0461"
message_type = "hospital-notification"
format = "fhir"
version = "3.0"
mime = "application/fhir+json"
envelope = "vans"
environment = "test"
valid_from = 2026-02-01T00:00:00+01:00
"""
    with (folder / OWN).open("a", encoding="utf-8") as own:
        own.write(later)
    assert inspect_registers(folder, now=NOW) == ()
    registers = load(folder, now=NOW)
    assert Lane(context(registers)).play("A01 08:00").letters
    before = route_notice(Kommunekode("0461"), Notice.STIN, "IMP", NOW - timedelta(days=60), registers)
    assert isinstance(before, Outcome), "what nothing can write is no route, not a fault of ours"
    assert before.problem.startswith("no-format")


def test_form_that_begins_later_is_refused_today(tmp_path: Path) -> None:
    folder = promise(tmp_path / "set", "fhir", MIMES[0], "vans", "valid_to = 2027-02-01T00:00:00+01:00")
    later = '\n[[acceptance]]\nkommunekode = "0461"\nmessage_type = "hospital-notification"\nformat = "oioxml"\n'
    later += (
        'version = "XD2034C+XD1734C"\nenvelope = "vans"\nenvironment = "test"\nvalid_from = 2027-02-01T00:00:00+01:00\n'
    )
    with (folder / OWN).open("a", encoding="utf-8") as own:
        own.write(later)
    (finding,) = inspect_registers(folder, now=NOW)
    assert "cannot be written yet" in finding.problem
