"""How state grows: `python -m benchmarks.growth`. Bytes of a lane's row, and memory for each open stay.

Rows are those of the product's own steps. Unanswered messages are kept until a municipality answers, so a stay that goes
on and on without an answer has the largest row; a message that was sent three times and given up keeps an open case.
Memory is that of the process: rows of both tables, deadlines and open messages, for so many admissions of one day.
"""

import argparse
import gc
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from streams.kafka.records import decode_lane_record
from streams.kafka.topics import LANES
from streams.relay.lane import LaneRow, encode_row, fold, next_due, tick
from streams.words.model import EventKind, LaneRecord, Receipt, ReceiptArrived, StayEventArrived

from .flows import BEGIN, Bench

_HOUR: Final = timedelta(hours=1)


def events(bench: Bench, number: int) -> Iterator[StayEventArrived]:
    """An admission, then leaves and returns, one an hour."""
    (taken,) = [bench.take(bench.letter(data)) for data in bench.events(1)]
    (first,) = [decode_lane_record(letter.value) for letter in taken.letters if letter.topic == LANES]
    assert isinstance(first, StayEventArrived)
    yield first
    for count in range(1, number):
        kind, at = (EventKind.LEAVE_END, EventKind.LEAVE_START)[count % 2], first.at + count * _HOUR
        event = replace(first.event, id=bench.station.ids.event("growth", str(count)), kind=kind, occurred=at)
        yield StayEventArrived(at=at, event=event)


def row_after(bench: Bench, records: Iterable[LaneRecord], *, until: datetime = BEGIN) -> LaneRow:
    """The row after these records, and after everything that is due up to a time."""
    row: LaneRow | None = None
    for record in records:
        row = fold(row, record, bench.context).row
    while (due := next_due(row, bench.context.stay)) is not None and due <= until:
        row = fold(row, tick(row, due, due), bench.context).row
    assert row is not None
    return row


def answered(bench: Bench, row: LaneRow) -> LaneRow:
    """The row once every message of it has been answered."""
    for number, delivery in enumerate(row.deliveries.values()):
        gln = delivery.address.receiver.gln
        about = {"message_id": delivery.message_id, "transport_id": f"t{number}", "transport_sender": gln}
        receipt = Receipt(verdict="ok", origin=f"receipts.raw/0/{number}", ack_message_id=delivery.message_id, **about)
        after = fold(row, ReceiptArrived(at=BEGIN + 99 * _HOUR, receipt=receipt), bench.context).row
        assert after is not None
        row = after
    return row


def resident() -> int:
    """Bytes of memory that the process has."""
    gc.collect()
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * 4096


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(prog="benchmarks.growth", description=__doc__.split("\n")[0])
    parser.add_argument("--stays", type=int, default=100_000, help="open stays in memory")
    stays = parser.parse_args().stays
    sys.stdout.write("| Notices | unanswered | given up | answered |\n|---:|---:|---:|---:|\n")
    for number in (1, 10, 60):
        bench = Bench()
        row = row_after(bench, events(bench, number))
        given_up = row_after(bench, events(Bench(), number), until=BEGIN + number * _HOUR + timedelta(days=1))
        sizes = (len(encode_row(each)) for each in (row, given_up, answered(bench, row)))
        sys.stdout.write(f"| {number} | {' | '.join(f'{size:,} B' for size in sizes)} |\n")
    bench = Bench()
    for data in bench.events(10):
        bench.admit(data)
    before = resident()
    for data in bench.events(stays, skip=10):
        bench.admit(data)
    used = resident() - before
    sys.stdout.write(f"{stays:,} open stays: {used / 2**20:.0f} MB, {used / stays:.0f} B each\n")


if __name__ == "__main__":
    main()
