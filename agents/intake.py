"""First stage: an ADT record becomes stay events in their lanes, or is counted and set aside (design §5.2).

The thin half of `streams/intake.py`. Table `persons` is its own; its row says what has been seen of a person, so that
a repeat is known as one.
"""

from collections.abc import Sequence

import msgspec

from agents.letters import lane_letter, ledger_letter
from agents.lines import say_taken
from agents.shell import Fold, Stage
from agents.station import Station
from agents.tables import FencedTable
from streams.intake import Intake, take_in
from streams.kafka.records import Letter, Record, dead_letter
from streams.kafka.topics import ADT_RAW
from streams.ledger import event_row
from streams.model import Fate, Outcome, StayEventArrived
from streams.person import PersonRow

__all__ = ["intake_stage"]

_NAME = "intake"
_decode = msgspec.msgpack.Decoder(PersonRow).decode
_encode = msgspec.msgpack.Encoder().encode

#: What is said of a record that a fault of ours has set aside.
_FAULT = Outcome(fate=Fate.STOPPED, reason="internal-error")


def intake_stage(station: Station, persons: FencedTable) -> Stage:
    """The stage over `adt.raw`."""

    def step(row: bytes | None, record: Record) -> Fold:
        known = None if row is None else _decode(row)
        taken = take_in(
            record.value or b"",
            known,
            key=(record.key or b"").decode("ascii", "replace"),
            origin=record.origin,
            headers={name: value.decode("utf-8", "replace") for name, value in record.headers},
            at=station.clock(),
            ids=station.ids,
            registers=station.registers,
        )
        if taken.repeated:
            return row, ()
        return (row if taken.row is known else _encode(taken.row)), _letters(station, record, taken)

    def on_fault(row: bytes | None, record: Record, fault: Exception) -> Fold:
        station.figures.aside(_NAME, fault)
        return row, [ledger_letter(event_row(station.clock(), record.origin, _FAULT, 0))]

    return Stage(_NAME, ADT_RAW, step, persons, on_fault=on_fault)


def _letters(station: Station, record: Record, taken: Intake) -> Sequence[Letter]:
    """Lanes first, then copies under other keys, then what became of the record."""
    at = station.clock()
    letters = [lane_letter(event.lane, StayEventArrived(at=at, event=event), event.id) for event in taken.stay_events]
    for copy in taken.pass_on:
        more = tuple((name, value.encode()) for name, value in copy.headers)
        letters.append(Letter(ADT_RAW, copy.key.encode(), record.value, (*record.headers, *more)))
    row = event_row(at, record.origin, taken.outcome, len(taken.stay_events))
    station.figures.event(row)
    say_taken(row, taken.rejected)
    letters.append(ledger_letter(row))
    if taken.rejected is not None:
        station.figures.aside(_NAME, taken.rejected)
        letters.append(dead_letter(record, taken.rejected, stage=_NAME, at=at, version=station.version))
    return letters
