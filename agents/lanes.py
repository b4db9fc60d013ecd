"""Third stage, the only owner of what a stay has come to: events, receipts, deadlines and decisions of one lane in order.

The thin half of `streams/relay/lane`. One row per lane holds the stay and its deliveries; letters leave before the row is
written, and a letter is counted and logged once it has been taken (design §3).
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from agents.station import Figures, Station, code_of
from agents.worker.any_record import UnreadableRows, probe_lanes
from agents.worker.letters import lane_letter, ledger_letter, letter_of
from agents.worker.shell import Fold, Stage
from agents.worker.tables import FencedTable
from agents.worker.timer import Tick
from streams.kafka.records import ProducerRecord, Record, decode_lane_record, header, number
from streams.kafka.sender import Refusal
from streams.kafka.topics import LANES
from streams.records.ledger import LedgerRow, decision_row, receipt_row, stay_event_row
from streams.relay.lane import (
    ROW_UNREADABLE,
    Context,
    Effect,
    LaneRow,
    LaneTurn,
    decode_row,
    encode_row,
    fold,
    refused,
    tick,
)
from streams.relay.standing import Due, OpenMessages, Standing
from streams.words.errors import Rejected
from streams.words.ids import Lane
from streams.words.model import Decision, Fate, Outcome, ReceiptArrived, StayEventArrived

_NAME: Final = "lanes"


def lanes_stage(station: Station, context: Context, rows: FencedTable, standing: Standing) -> Stage:
    """The stage over `lanes`; `standing` is kept up to date with the rows that are safe."""

    shown = Shown(station.figures, standing.messages)
    decoded: dict[bytes, tuple[bytes, LaneRow]] = {}  # rows on their way to the table, as they were encoded

    def performed(result: LaneTurn, record: Record, at: datetime) -> Fold:
        letters = (letter_of(one, record, stage=_NAME, at=at, version=station.version) for one in result.effects)
        shown.decided(result.effects)
        row = None if result.row is None else encode_row(result.row)
        if row is not None and result.row is not None and record.key:
            decoded[record.key] = row, result.row
        return row, [letter for letter in letters if letter]

    def step(row: bytes | None, record: Record) -> Fold:
        lane_record = decode_lane_record(record.value)
        if isinstance(lane_record, StayEventArrived):
            # One that an operator has sent again from the dead letters names that in a header of the record.
            if count := number(header(record.headers, "dlq.redrive-count")):
                lane_record = replace(lane_record, redriven=count)
            if lane_record.event.lane.encode() != record.key:  # the answers to its messages would not find it
                raise Rejected("key", "not the lane of the event", "send the record under the lane it names", "no-key")
        old = decode_row(row)
        result = fold(old, lane_record, context)
        if result.row is old and old is not None and not result.effects:
            return row, ()  # the row is written again all the same: its changelog record may be missing
        return performed(result, record, lane_record.at)

    def on_refused(row: bytes | None, record: Record, refusal: Refusal) -> Fold:
        old = decode_row(row)
        if old is None:
            return row, ()
        shown.forget(refusal.letter.name)
        at = decode_lane_record(record.value).at
        return performed(refused(old, refusal.letter.name, at, context), record, at)

    def on_fault(row: bytes | None, record: Record, fault: Exception) -> Fold:
        station.figures.dead_letter(_NAME, fault)
        rows = _fault_rows(row, record, code_of(fault), station.clock())
        for one in rows:
            if one.kind == "decision":
                station.figures.row(one)
        return row, [*map(ledger_letter, rows), *unreadable.letters(row, record, fault)]

    def on_row(key: bytes, row: bytes | None, partition: int) -> None:
        encoded, safe = decoded.pop(key, (None, None))
        if encoded is not row:
            try:
                safe = decode_row(row)
            except Rejected:  # a row that is none of ours has no deadline: its next record names it
                safe = None
        standing.set(partition, key, safe)

    unreadable = UnreadableRows(_NAME, station)
    return Stage(
        _NAME,
        LANES,
        step,
        rows,
        on_refused=on_refused,
        on_taken=shown.taken,
        on_fault=on_fault,
        on_row=on_row,
        probe=lambda: probe_lanes(station, context),
    )


class Shown:
    """Figures and log lines of what a lane has decided: of a hand-over only once the letter has been taken (03 §4.1, S3)."""

    def __init__(self, figures: Figures, messages: OpenMessages) -> None:
        self._figures, self._messages = figures, messages
        self._waiting: dict[str, list[Effect]] = {}  # name of a letter -> the effects that it holds back

    def decided(self, effects: Sequence[Effect]) -> None:
        """What one record has led to."""
        for name in {one.after for one in effects if one.after}:
            self._waiting[name] = [one for one in effects if one.after == name]
        self._show([one for one in effects if not one.after])

    def taken(self, name: str) -> None:
        """The broker has this letter."""
        self._show(self._waiting.pop(name, []))

    def forget(self, name: str) -> None:
        """The broker has refused this letter."""
        self._waiting.pop(name, None)

    def _show(self, effects: Sequence[Effect]) -> None:
        for one in effects:
            self._figures.effect(one.action, _NAME)
            if isinstance(one.action, LedgerRow):
                self._messages.count(one.action)


def _fault_rows(row: bytes | None, record: Record, reason: str, at: datetime) -> list[LedgerRow]:
    """What became of a stay event, a receipt or a decision that is dead-lettered; other records have none.

    Of a decision, the state of its message too; "" when the lane does not know it, or its row is none of ours.
    """
    try:
        lane_record = decode_lane_record(record.value)
    except Rejected:
        return []
    if isinstance(lane_record, StayEventArrived):
        event = lane_record.event
        fate = Outcome(fate=Fate.STOPPED, reason=reason)
        return [stay_event_row(at, event.id, fate, 0, event.origin, event.lane)]
    if isinstance(lane_record, ReceiptArrived) and reason == ROW_UNREADABLE:
        receipt = lane_record.receipt
        return [receipt_row(at, receipt.origin, "quarantined", receipt.verdict, reason=reason)]
    if not isinstance(lane_record, Decision) or not lane_record.id:
        return []
    try:
        known = decode_row(row)
    except Rejected:
        known = None
    delivery = known and known.deliveries.get(lane_record.message_id)
    lane = (record.key or b"").decode("ascii", "replace")
    return [decision_row(lane_record, lane, delivery.state if delivery else "", reason)]


def tick_for(row_of: Callable[[int, bytes], bytes | None]) -> Tick:
    """(what is due, now) -> the record that the timer publishes into the lane. `row_of`: partition, key -> row."""

    def letter(due: Due, now: datetime) -> ProducerRecord:
        record = tick(decode_row(row_of(due.partition, due.key)), due.deadline, now)
        lane = Lane(due.key.decode("ascii"))
        return lane_letter(lane, record, f"{lane}/{due.deadline.isoformat()}")

    return letter
