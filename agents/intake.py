"""First stage: an ADT record becomes stay events in their lanes, or is counted and set aside (design §5.2).

The thin half of `streams/relay/intake.py`. Table `persons` is its own; its row says what has been seen of a person, so that
a repeat is known as one.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from agents.station import Station, code_of
from agents.worker.letters import lane_letter, ledger_letter
from agents.worker.lines import say_taken
from agents.worker.probe import probe_intake
from agents.worker.shell import Fold, Stage
from agents.worker.tables import FencedTable
from agents.worker.unreadable import UnreadableRows
from streams.kafka.records import STAY_EVENT, Letter, Record, dead_letter
from streams.kafka.topics import ADT_RAW
from streams.person import PersonRow
from streams.records.ledger import event_row
from streams.relay.intake import Intake, take_in
from streams.relay.lane import unreadable_row
from streams.words.errors import Rejected
from streams.words.model import Fate, Outcome, StayEventArrived

__all__ = ["intake_stage"]

_NAME = "intake"
_decode = msgspec.msgpack.Decoder(PersonRow).decode
_encode = msgspec.msgpack.Encoder().encode


def intake_stage(station: Station, persons: FencedTable) -> Stage:
    """The stage over `adt.raw`."""

    def step(row: bytes | None, record: Record) -> Fold:
        known = _known(row)
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
        _check_size(taken)
        new = row if taken.row is known else _encode(taken.row)
        if len(new or b"") - len(row or b"") > STAY_EVENT:
            raise Rejected("$", "says more of a person than is remembered", "send shorter values", "too-large")
        return new, _letters(station, record, taken)

    unreadable = UnreadableRows(_NAME, station)

    def on_fault(row: bytes | None, record: Record, fault: Exception) -> Fold:
        station.figures.aside(_NAME, fault)
        fate = Outcome(fate=Fate.STOPPED, reason=code_of(fault))
        said = ledger_letter(event_row(station.clock(), record.origin, fate, 0))
        return row, [said, *unreadable.letters(row, record, fault)]

    return Stage(_NAME, ADT_RAW, step, persons, on_fault=on_fault, probe=lambda: probe_intake(station))


def _known(row: bytes | None) -> PersonRow | None:
    """Raises `Rejected` for a row that is none of ours: the person's history is not begun again as if it had never been."""
    if row is None:
        return None
    try:
        return _decode(row)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        raise unreadable_row(len(row)) from None


#: Stay events and copies that one message may lead to: an A40 or A17 in full gives a handful.
_MOST: Final = 64


def _check_size(taken: Intake) -> None:
    """Raises `Rejected` for a message that would be multiplied."""
    for path, number in (("PID", len(taken.stay_events)), ("MRG-1", len(taken.pass_on))):
        if number > _MOST:
            raise Rejected(
                path, f"concerns {number} stays or persons", f"send {_MOST} at most in one message", "too-many"
            )


def _letters(station: Station, record: Record, taken: Intake) -> Sequence[Letter]:
    """Lanes first, then copies under other keys, then what became of the record."""
    at = station.clock()
    letters = [lane_letter(event.lane, StayEventArrived(at=at, event=event), event.id) for event in taken.stay_events]
    for copy in taken.pass_on:
        more = tuple((name, value.encode()) for name, value in copy.headers)
        letters.append(Letter(ADT_RAW, copy.key.encode(), record.value, (*record.headers, *more)))
    row = event_row(at, record.origin, taken.outcome, len(taken.stay_events))
    station.figures.event(row)
    station.figures.odd(taken)
    say_taken(row, taken.rejected)
    letters.append(ledger_letter(row))
    if taken.rejected is not None:
        station.figures.aside(_NAME, taken.rejected)
        letters.append(dead_letter(record, taken.rejected, stage=_NAME, at=at, version=station.version))
    return letters
