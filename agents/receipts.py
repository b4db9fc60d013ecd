"""Second stage: a receipt as received becomes a record in the lane that its quoted id names (design §5.7).

The thin half of `streams/inbound.py`. It remembers nothing; its table holds position rows alone, so that a skipped
receipt would be noticed like a skipped event.
"""

from agents.letters import lane_letter, ledger_letter
from agents.lines import say_receipt
from agents.probe import probe_receipts
from agents.shell import Fold, Stage
from agents.station import Station, code_of
from agents.tables import FencedTable
from streams.inbound import take_receipt
from streams.kafka.records import Letter, Record, dead_letter
from streams.kafka.topics import RECEIPTS_RAW
from streams.ledger import receipt_row

__all__ = ["receipts_stage"]

_NAME = "receipts"


def receipts_stage(station: Station, positions: FencedTable) -> Stage:
    """The stage over `receipts.raw`."""

    def step(row: bytes | None, record: Record) -> Fold:
        at = station.clock()
        taken = take_receipt(record.value or b"", origin=record.origin, at=at)
        letters: list[Letter] = []
        if taken.lane is not None and taken.record is not None:
            letters.append(lane_letter(taken.lane, taken.record, record.origin))
        if taken.row is not None:
            station.figures.receipt(taken.row)
            say_receipt(taken.row)
            letters.append(ledger_letter(taken.row))
        if taken.rejected is not None:
            station.figures.aside(_NAME, taken.rejected)
            letters.append(dead_letter(record, taken.rejected, stage=_NAME, at=at, version=station.version))
        return None, letters

    def on_fault(row: bytes | None, record: Record, fault: Exception) -> Fold:
        station.figures.aside(_NAME, fault)
        lost = receipt_row(station.clock(), record.origin, "unreadable", reason=code_of(fault))
        return None, [ledger_letter(lost)]

    return Stage(_NAME, RECEIPTS_RAW, step, None, positions, on_fault=on_fault, probe=probe_receipts)
