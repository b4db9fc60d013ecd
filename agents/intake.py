"""First stage: what a hospital sends becomes stay events in their lanes, or is counted and dead-lettered (design §5.2).

The thin half of `streams/relay/intake.py` and `letters.py`. ADT and letters are of the same persons, so one stage takes
both. Table `persons` is its own; its row holds what has been seen of a person, so
that a repeat is known as one.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from agents.station import Station, code_of
from agents.worker.any_record import UnreadableRows, probe_intake
from agents.worker.letters import lane_letter, ledger_letter
from agents.worker.shell import Fold, Stage
from agents.worker.tables import FencedTable
from streams.kafka.records import STAY_EVENT, ProducerRecord, Record, dead_letter, headers
from streams.kafka.topics import ADT_RAW, LETTERS_RAW, hospital_answers
from streams.person.row import PersonRow
from streams.records.ledger import event_row
from streams.relay.intake import Intake, take_in
from streams.relay.lane import unreadable_row
from streams.relay.letters import take_letter
from streams.words.errors import Rejected
from streams.words.model import Fate, Outcome, StayEventArrived

_NAME: Final = "intake"
_decode: Final = msgspec.msgpack.Decoder(PersonRow).decode
_encode: Final = msgspec.msgpack.Encoder().encode

#: Stay events and copies that one message may lead to: an A40 or A17 in full gives a handful.
_MOST: Final = 64


def intake_stage(station: Station, persons: FencedTable) -> Stage:
    """The stage over `adt.raw` and `letters.raw`."""

    def step(row: bytes | None, record: Record) -> Fold:
        try:
            known = None if row is None else _decode(row)
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            # The person's history is not begun again as if it had never been.
            raise unreadable_row(len(row or b"")) from None
        take = take_letter if record.topic == LETTERS_RAW else take_in
        taken = take(
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
        for path, number in (("PID", len(taken.stay_events)), ("MRG-1", len(taken.pass_on))):
            if number > _MOST:  # the message would be multiplied
                problem = f"concerns {number} stays or persons"
                raise Rejected(path, problem, f"send {_MOST} at most in one message", "too-many")
        new = row if taken.row is known else _encode(taken.row)
        if len(new or b"") - len(row or b"") > STAY_EVENT:
            raise Rejected("$", "says more of a person than is remembered", "send shorter values", "too-large")
        return new, _letters(station, record, taken)

    unreadable = UnreadableRows(_NAME, station)

    def on_fault(row: bytes | None, record: Record, fault: Exception) -> Fold:
        station.figures.dead_letter(_NAME, fault)
        fate = Outcome(fate=Fate.STOPPED, reason=code_of(fault))
        stopped = ledger_letter(event_row(station.clock(), record.origin, fate, 0))
        return row, [stopped, *unreadable.letters(row, record, fault)]

    return Stage(_NAME, (ADT_RAW, LETTERS_RAW), step, persons, on_fault=on_fault, probe=lambda: probe_intake(station))


def _letters(station: Station, record: Record, taken: Intake) -> Sequence[ProducerRecord]:
    """Lanes first, then copies under other keys, then the receipt and what became of the record."""
    at = station.clock()
    letters = [lane_letter(event.lane, StayEventArrived(at=at, event=event), event.id) for event in taken.stay_events]
    if taken.report is not None:
        lane, arrived = taken.report
        letters.append(lane_letter(lane, arrived, arrived.letter_id))
    for copy in taken.pass_on:
        more = tuple((name, value.encode()) for name, value in copy.headers)
        letters.append(ProducerRecord(record.topic, copy.key.encode(), record.value, (*record.headers, *more)))
    for receipt in taken.receipts:
        head = headers(
            message_id=receipt.id,
            event_type=f"receipt.{receipt.name}",
            schema="hospital-receipt",
            content_type=receipt.media_type,
        )
        letters.append(ProducerRecord(hospital_answers(receipt.hospital), receipt.id.encode(), receipt.document, head))
    row = event_row(at, record.origin, taken.outcome, len(taken.stay_events))
    station.figures.taken(row, taken)
    letters.append(ledger_letter(row))
    if taken.rejected is not None:
        station.figures.dead_letter(_NAME, taken.rejected)
        letters.append(dead_letter(record, taken.rejected, stage=_NAME, at=at, version=station.version))
    return letters
