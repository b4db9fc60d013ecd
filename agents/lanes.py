"""Third stage, the only owner of what a stay has come to: events, receipts, deadlines and decisions of one lane in order.

The thin half of `streams/lane`. One row per lane holds the stay and its deliveries; letters leave before the row is
written, and what is said of a letter is said once it has been taken (design §3).
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from msgspec.structs import replace

from agents.letters import lane_letter, ledger_letter, letter_of
from agents.lines import say_alarms, say_lane
from agents.shell import Fold, Stage
from agents.station import Figures, Station
from agents.tables import FencedTable
from agents.timers import Tick
from streams.deadlines import Deadlines, Due
from streams.errors import Rejected
from streams.ids import Lane
from streams.kafka.dispatch import Refusal
from streams.kafka.records import Letter, Record, decode_lane_record, header
from streams.kafka.topics import LANES
from streams.lane import Context, LaneRow, Result, Said, alarms, decode_row, encode_row, fold, next_due, refused, tick
from streams.ledger import LedgerRow, stay_event_row
from streams.model import Fate, LaneRecord, Outcome, StayEventArrived
from streams.stay import StayPolicy

__all__ = ["deadline_of", "lanes_stage", "tick_for"]

_NAME = "lanes"
_FAULT = Outcome(fate=Fate.STOPPED, reason="internal-error")


def lanes_stage(station: Station, context: Context, rows: FencedTable, index: Deadlines) -> Stage:
    """The stage over `lanes`; `index` is kept up to date with the rows that are safe."""

    told = Told(station.figures)

    def said(old: LaneRow | None, result: Result, record: Record, at: datetime) -> Fold:
        letters = [letter_of(one, record, stage=_NAME, at=at, version=station.version) for one in result.said]
        told.decided(result.said)
        say_alarms(alarms(old, result.row, context.sample))
        return (None if result.row is None else encode_row(result.row)), letters

    due_at = deadline_of(context.stay)

    def step(row: bytes | None, record: Record) -> Fold:
        lane_record = _redriven(decode_lane_record(record.value), record)
        old = decode_row(row)
        result = fold(old, lane_record, context)
        if result.row is old and old is not None and not result.said:
            return row, ()  # the row is written again all the same: its changelog record may be missing
        return said(old, result, record, lane_record.at)

    def on_refused(row: bytes | None, record: Record, refusal: Refusal) -> Fold:
        old = decode_row(row)
        if old is None:
            return row, ()
        told.forget(refusal.letter.name)
        at = decode_lane_record(record.value).at
        return said(old, refused(old, refusal.letter.name, at, context), record, at)

    def on_fault(row: bytes | None, record: Record, fault: Exception) -> Fold:
        station.figures.aside(_NAME, fault)
        return row, _fault_rows(record, station.clock())

    def on_row(key: bytes, row: bytes | None, partition: int) -> None:
        index.set(partition, key, due_at(row))

    return Stage(_NAME, LANES, step, rows, on_refused=on_refused, on_taken=told.taken, on_fault=on_fault, on_row=on_row)


class Told:
    """Figures and log lines of what a lane has decided: of a hand-over only once the letter has been taken (03 §4.1, S3)."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        self._waiting: dict[str, list[Said]] = {}  # name of a letter -> what is to be said of it

    def decided(self, said: Sequence[Said]) -> None:
        """What one record has led to."""
        for name in {one.after for one in said if one.after}:
            self._waiting[name] = [one for one in said if one.after == name]
        self._tell([one for one in said if not one.after])

    def taken(self, name: str) -> None:
        """The broker has this letter."""
        self._tell(self._waiting.pop(name, []))

    def forget(self, name: str) -> None:
        """The broker would not have this letter."""
        self._waiting.pop(name, None)

    def _tell(self, said: Sequence[Said]) -> None:
        self._figures.tell(said, _NAME)
        say_lane(said)


def _redriven(lane_record: LaneRecord, record: Record) -> LaneRecord:
    """A stay event that an operator has sent again from the dead letters says so in a header of the record."""
    count = header(record.headers, "dlq.redrive-count")
    if count is None or not count.isdigit() or not isinstance(lane_record, StayEventArrived):
        return lane_record
    return replace(lane_record, redriven=int(count))


def _fault_rows(record: Record, at: datetime) -> list[Letter]:
    """The fate of a stay event that a fault of ours has stopped; other records have none."""
    try:
        lane_record = decode_lane_record(record.value)
    except Rejected:
        return []
    if not isinstance(lane_record, StayEventArrived):
        return []
    event = lane_record.event
    row: LedgerRow = stay_event_row(at, event.id, _FAULT, 0, event.origin, event.lane)
    return [ledger_letter(row)]


def deadline_of(policy: StayPolicy) -> Callable[[bytes | None], datetime | None]:
    """When a lane next wants to be woken, by its row."""
    return lambda row: next_due(decode_row(row), policy)


def tick_for(rows: FencedTable) -> Tick:
    """(what is due, now) -> the record that the timer publishes into the lane."""

    def letter(due: Due, now: datetime) -> Letter:
        record = tick(decode_row(rows.get(due.key)), due.deadline, now)
        lane = Lane(due.key.decode("ascii"))
        return lane_letter(lane, record, f"{lane}/{due.deadline.isoformat()}")

    return letter
