"""Second stage: a receipt as received becomes a record in the lane that its quoted id names (design §5.7).

The thin half of `streams/relay/receipts.py`. It reads `receipts.raw`, and the letterboxes of the municipalities, where the
topic names the writer (00 §9.1). It remembers nothing; its tables hold position rows alone, so that a skipped
receipt would be noticed like a skipped event. The letterboxes have a table of their own because a position row lies in
the partition of its source (decision 0023).
"""

from collections.abc import Iterable

from agents.station import Station, code_of
from agents.worker.any_record import probe_receipts
from agents.worker.letters import lane_letter, ledger_letter
from agents.worker.shell import Fold, Stage
from agents.worker.tables import FencedTable
from streams.kafka.records import ProducerRecord, Record, dead_letter
from streams.kafka.topics import RECEIPTS_RAW, letterbox, municipality_of
from streams.records.ledger import receipt_row
from streams.relay.receipts import take_receipt


def receipts_stage(station: Station, positions: FencedTable) -> Stage:
    """The stage over `receipts.raw`."""
    return _stage("receipts", RECEIPTS_RAW, station, positions)


def letterboxes_stage(station: Station, positions: FencedTable, kommuner: Iterable[str]) -> Stage:
    """The stage over the letterboxes of these municipalities."""
    return _stage("letterboxes", tuple(map(letterbox, sorted(kommuner))), station, positions)


def _stage(name: str, source: str | tuple[str, ...], station: Station, positions: FencedTable) -> Stage:
    def step(row: bytes | None, record: Record) -> Fold:
        at = station.clock()
        posted_by = municipality_of(record.topic)
        taken = take_receipt(record.value or b"", origin=record.origin, at=at, ids=station.ids, posted_by=posted_by)
        letters: list[ProducerRecord] = []
        if taken.lane is not None and taken.record is not None:
            letters.append(lane_letter(taken.lane, taken.record, record.origin))
        if taken.row is not None:
            station.figures.row(taken.row)
            letters.append(ledger_letter(taken.row))
        if taken.rejected is not None:
            station.figures.dead_letter(name, taken.rejected)
            letters.append(dead_letter(record, taken.rejected, stage=name, at=at, version=station.version))
        return None, letters

    def on_fault(row: bytes | None, record: Record, fault: Exception) -> Fold:
        station.figures.dead_letter(name, fault)
        lost = receipt_row(station.clock(), record.origin, "unreadable", reason=code_of(fault))
        return None, [ledger_letter(lost)]

    return Stage(name, source, step, None, positions, on_fault=on_fault, probe=lambda: probe_receipts(station))
