"""Registers in which every municipality takes one form until a time and another from then on, and what left in a line.

lane = Lane(context(CutOver("oioxml 10:00 fhir")))
lane.play("A01 08:00", "A03 18:00")
sent(lane) == ["oioxml 20 nytbrev indlagt", "SLHJ after the letter"]
"""

from datetime import datetime
from typing import Any

import orjson

from streams.envelopes.wrapping import open_any
from streams.formats.fhir.build import xml_to_json
from streams.messages.legacy.document import read
from streams.messages.legacy.letter import Letter
from streams.registry import AcceptanceRow
from streams.relay.lane import Dispatch
from tests.rules.lanes import Lane, registers
from tests.rules.stay_events import clock

__all__ = ["CutOver", "document", "letter_in", "sent"]

VERSIONS = {"fhir": "3.0", "oioxml": "XD2030C+XD1730C", "edifact": "D2030C+D1730C"}


class CutOver:
    """The example registers with other acceptances: forms, and between two of them the time at which they change.

    Of forms joined by `+` all are accepted. `more` are columns of the letters.
    """

    def __init__(self, turns: str, **more: Any) -> None:
        first, *rest = turns.split()
        self._turns = [(None, first), *[(clock(at), form) for at, form in zip(rest[::2], rest[1::2], strict=True)]]
        self._inner, self._more, self.routes = registers(), more, dict[Any, Any]()

    def epoch(self, at: datetime) -> float:
        """The number of the turn."""
        return sum(begins is None or begins <= at for begins, _ in self._turns) + self._inner.epoch(at) / 1000

    def acceptances(self, kommunekode: str, message_type: str, at: datetime) -> list[AcceptanceRow]:
        """The forms of that time."""
        forms = [form for begins, form in self._turns if begins is None or begins <= at][-1]
        return [self._row(kommunekode, message_type, form) for form in forms.split("+") if form != "none"]

    def _row(self, kommunekode: str, message_type: str, form: str) -> AcceptanceRow:
        is_fhir = form.startswith("fhir")
        return AcceptanceRow(
            kommunekode=kommunekode,  # type: ignore[arg-type]
            message_type=message_type,
            format=form.partition("-")[0],
            version=VERSIONS[form.partition("-")[0]],
            mime=f"application/fhir+{form.partition('-')[2] or 'json'}" if is_fhir else "",
            envelope="none" if form == "edifact" else "vans",
            environment="test",
            **({} if is_fhir else self._more),
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def document(letter: Dispatch) -> bytes:
    """What lies in the envelope, or travels bare."""
    opened = open_any(letter.payload)
    return letter.payload if opened is None else opened.payload


def letter_in(letter: Dispatch) -> Letter:
    """The legacy letter."""
    found = read(document(letter))
    assert isinstance(found, Letter)
    return found


def _line(letter: Dispatch) -> str:
    data = document(letter)
    if b"<Bundle " in data[:100]:
        data = xml_to_json(data)
    if not data.startswith(b'{"resourceType"'):
        found = letter_in(letter)
        form = "edifact" if letter.envelope == "none" else "oioxml"
        return f"{form} {found.number} {found.status} {found.patient_status}"
    chain = [
        entry["resource"] for entry in orjson.loads(data)["entry"] if entry["resource"]["resourceType"] == "Provenance"
    ]
    roots = [each for each in chain if "reference" not in each.get("entity", [{}])[0].get("what", {})]
    assert len(roots) == 1
    after = " after a letter" if "entity" in roots[0] else ""
    return f"{letter.label} {len(chain)}{after}"


def sent(lane: Lane) -> list[str]:
    """Each letter in a line: a legacy letter by its codes, a message by its notice and the length of its chain."""
    return [_line(letter) for letter in lane.letters]
