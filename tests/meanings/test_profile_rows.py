"""The rows of our profiles: each names an element that FHIR has, and asks for it once, never, or not at all."""

import re
from collections.abc import Sequence

import pytest

from streams.formats.fhir.shapes import type_of
from streams.formats.fhir.structure import Constraint, Extension
from streams.messages.acknowledgement.check import _CONSTRAINTS, _EXTENSIONS
from streams.messages.hospitalnotification.rules import INCOMING, OUTGOING

ROWS = {
    "incoming": INCOMING.constraints,
    "outgoing": OUTGOING.constraints,
    "acknowledgement": _CONSTRAINTS,
}
EXTENSIONS = {"notification": INCOMING.extensions, "acknowledgement": _EXTENSIONS}


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
def test_row_asks_for_an_element_once_or_never(rows: Sequence[Constraint]) -> None:
    assert not [row for row in rows if row.min not in (None, 1) or row.max not in (None, 0, 1)]
    assert not [row for row in rows if row.min == 1 and row.max == 0]
    assert not [row.path for row in rows if type_of(re.sub(r":\w+", "", row.path)) is None]


@pytest.mark.parametrize("rows", EXTENSIONS.values(), ids=EXTENSIONS)
def test_extension_stands_in_a_list_of_extensions(rows: Sequence[Extension]) -> None:
    assert {type_of(row.path) for row in rows} <= {"Extension"}
    assert not [row for row in rows if row.min not in (0, 1)]
    assert not [row for row in rows if type_of(f"Extension.{row.value}") is None]
