"""The stages of the distributor: inboxes and receivers' receipts into its lanes, and the lanes themselves (02 §7).

The thin half of `streams/distributor`. `inboxes` and `answers` remember nothing; their tables hold position rows alone, as
those of the letterboxes do (decision 0023). `distributions` is the only owner of what became of a message behind an
inbox: one row for each lane, letters before the row (design §3).
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Final, assert_never

from msgspec.structs import replace

from agents.station import Station, code_of
from agents.worker.any_record import UnreadableRows, admission
from agents.worker.letters import ledger_letter, trace_letter
from agents.worker.shell import Fold, Stage
from agents.worker.tables import FencedTable
from agents.worker.timer import Tick
from streams.distributor.arrivals import take_answer, take_in
from streams.distributor.fold import DistributorContext, fold, next_due, refused
from streams.distributor.row import (
    Consequence,
    CopyAlarm,
    CopyAnswered,
    CopyDue,
    CopySent,
    DistributionRecord,
    DistributorRow,
    DistributorTurn,
    Elsewhere,
    MessageArrived,
    RefusedRecord,
    Returned,
    SentOn,
    decode_record,
    decode_row,
    encode_record,
    encode_row,
)
from streams.kafka.records import ProducerRecord, Record, dead_letter, header, headers, number
from streams.kafka.sender import Refusal
from streams.kafka.topics import (
    DISTRIBUTIONS,
    DISTRIBUTOR,
    RECEIPTS_RAW,
    inbox,
    inbox_of,
    receiver_of,
    receiver_receipts,
)
from streams.operations import logs
from streams.records.ledger import LedgerRow, arrival_row, copy_receipt_row
from streams.relay import lane as relay
from streams.relay.standing import Deadlines, Due
from streams.words.errors import Rejected
from streams.words.ids import Kommunekode, Lane, audit_event_id
from streams.words.model import StayEventArrived

_NAME: Final = "distributions"

_log: Final = logs.get("distributor")


def inboxes_stage(
    station: Station, positions: FencedTable, kommuner: Iterable[str], always: Collection[str] = ()
) -> Stage:
    """The stage over the inboxes of these municipalities.

    One with a single receiver on the day of arrival reads its inbox itself, unless it is among `always`: so what lay there
    before it had several is passed over, also by a distributor that starts later.
    """
    registers = station.registers

    def step(row: bytes | None, record: Record) -> Fold:
        at, kommunekode = station.clock(), Kommunekode(inbox_of(record.topic))
        lay = datetime.fromtimestamp(record.timestamp_ms / 1000, UTC) if record.timestamp_ms > 0 else at
        if kommunekode not in registers.distributed(lay, always):
            passed_over = arrival_row(at, record.origin, "passed-over", kommunekode=kommunekode)
            return None, _letters([Consequence(passed_over)], record, at, station, "inboxes")
        effects = take_in(
            record.value or b"",
            record.key or b"",
            kommunekode=kommunekode,
            origin=record.origin,
            at=at,
            ids=station.ids,
            registers=registers,
            device_id=device_of(station),
        )
        return None, _letters(effects, record, at, station, "inboxes")

    def on_fault(row: bytes | None, record: Record, fault: Exception) -> Fold:
        station.figures.dead_letter("inboxes", fault)
        code = inbox_of(record.topic)
        lost = arrival_row(station.clock(), record.origin, "refused", kommunekode=code, reason=code_of(fault))
        return None, [ledger_letter(lost)]

    topics = tuple(map(inbox, sorted(kommuner)))
    return Stage(
        "inboxes", topics, step, None, positions, on_fault=on_fault, probe=lambda: probe_distributions(station)
    )


def answers_stage(station: Station, positions: FencedTable, systems: Mapping[str, Iterable[str]]) -> Stage:
    """The stage over the receipts of these receiving systems, by kommunekode."""

    def step(row: bytes | None, record: Record) -> Fold:
        at = station.clock()
        kommunekode, system = _receiver(record)
        effects = take_answer(
            record.value or b"", kommunekode=Kommunekode(kommunekode), system=system, origin=record.origin, at=at
        )
        return None, _letters(effects, record, at, station, "answers")

    def on_fault(row: bytes | None, record: Record, fault: Exception) -> Fold:
        station.figures.dead_letter("answers", fault)
        of = (station.clock(), record.origin, "unreadable", "", *_receiver(record))
        return None, [ledger_letter(copy_receipt_row(*of, reason=code_of(fault)))]

    topics = tuple(sorted(receiver_receipts(code, name) for code, names in systems.items() for name in names))
    return Stage(
        "answers", topics, step, None, positions, on_fault=on_fault, probe=lambda: probe_distributions(station)
    )


def device_of(station: Station) -> str:
    """Our station behind an inbox in status events: another than the relay's (03 §4.2)."""
    return audit_event_id("stafet-distributor", station.ids.key_id)


def _receiver(record: Record) -> tuple[str, str]:
    found = receiver_of(record.topic)
    assert found is not None  # the stage reads no other topic
    return found


class DueLanes:
    """Which lanes of the distributor are due: made of the rows that are safe, never the truth."""

    def __init__(self, context: DistributorContext) -> None:
        self.deadlines, self._context = Deadlines(), context

    def clear(self) -> None:
        """Forgets everything: the rows follow."""
        self.deadlines.clear()

    def set(self, partition: int, key: bytes, row: DistributorRow | None) -> None:
        """The row of `key` is safe; None when the lane remembers nothing."""
        self.deadlines.set(partition, key, next_due(row, self._context))

    def begin(self) -> None:
        """Every row has been set."""


def distributions_stage(station: Station, context: DistributorContext, rows: FencedTable, due: DueLanes) -> Stage:
    """The stage over `distributions`; `due` is kept up to date with the rows that are safe."""

    def performed(turn: DistributorTurn, record: Record, at: datetime) -> Fold:
        row = None if turn.row is None else encode_row(turn.row)
        return row, _letters(turn.effects, record, at, station, _NAME)

    def step(row: bytes | None, record: Record) -> Fold:
        taken = _taken(record)
        old = decode_row(row)
        turn = fold(old, taken, _lane(record), context)
        if turn.row is old and old is not None and not turn.effects:
            return row, ()
        return performed(turn, record, taken.at)

    def on_refused(row: bytes | None, record: Record, refusal: Refusal) -> Fold:
        old = decode_row(row)
        if old is None:
            return row, ()
        at = _taken(record).at
        return performed(refused(old, refusal.letter.name, at, _lane(record), context), record, at)

    def on_fault(row: bytes | None, record: Record, fault: Exception) -> Fold:
        station.figures.dead_letter(_NAME, fault)
        lost = _fault_row(record, code_of(fault), station.clock())
        found = [] if lost is None else [ledger_letter(lost)]
        return row, [*found, *unreadable.letters(row, record, fault)]

    def on_row(key: bytes, row: bytes | None, partition: int) -> None:
        try:
            safe = decode_row(row)
        except Rejected:  # a row that is none of ours has no deadline: its next record names it
            safe = None
        due.set(partition, key, safe)

    unreadable = UnreadableRows(_NAME, station, DISTRIBUTOR)
    return Stage(
        _NAME,
        DISTRIBUTIONS,
        step,
        rows,
        on_refused=on_refused,
        on_fault=on_fault,
        on_row=on_row,
        probe=lambda: probe_distributions(station),
    )


def _taken(record: Record) -> DistributionRecord:
    """What lies there. One that an operator has sent again from the dead letters names that in a header of the record."""
    found = decode_record(record.value)
    count = number(header(record.headers, "dlq.redrive-count"))
    return replace(found, redriven=count) if count and isinstance(found, MessageArrived | CopyAnswered) else found


def _lane(record: Record) -> Lane:
    return Lane((record.key or b"").decode("ascii", "replace"))


def _fault_row(record: Record, reason: str, at: datetime) -> LedgerRow | None:
    """What became of a message or an answer that is dead-lettered here; other records have no row."""
    try:
        taken = _taken(record)
    except Rejected:
        return None
    if isinstance(taken, CopyAnswered):
        of = (at, taken.receipt.origin, "quarantined", taken.receipt.verdict, taken.kommunekode, taken.system)
        return copy_receipt_row(*of, lane=_lane(record), reason=reason, redriven=taken.redriven)
    if isinstance(taken, CopyDue | Elsewhere):
        return None
    return arrival_row(
        at,
        taken.origin,
        "refused",
        taken.message_id,
        lane=_lane(record),
        kommunekode=taken.kommunekode,
        reason=reason,
        redriven=taken.redriven,
    )


def due_letter(due: Due, now: datetime) -> ProducerRecord:
    """What the timer publishes into a lane that is due."""
    return _record_letter(Lane(due.key.decode("ascii")), CopyDue(at=now, due=due.deadline), due.deadline.isoformat())


#: As `publish_due` takes it.
TICK: Final[Tick] = due_letter


def _record_letter(lane: Lane, record: DistributionRecord, message_id: str) -> ProducerRecord:
    head = headers(
        message_id=message_id,
        event_type=str(record.__struct_config__.tag),
        schema="distribution-record",
        content_type="application/json",
        about=_about(record) or message_id,
    )
    return ProducerRecord(DISTRIBUTIONS, lane.encode(), encode_record(record), head)


def _about(record: DistributionRecord) -> str:
    if isinstance(record, CopyAnswered):
        return record.receipt.message_id
    return "" if isinstance(record, CopyDue) else record.message_id


def _letters(
    effects: Iterable[Consequence], record: Record, at: datetime, station: Station, stage: str
) -> list[ProducerRecord]:
    """The effects as records, in order; each is counted and logged once."""
    letters = []
    for effect in effects:
        letter = _letter(effect, record, at, station, stage)
        if letter is not None:
            letters.append(letter)
    return letters


def _letter(effect: Consequence, record: Record, at: datetime, station: Station, stage: str) -> ProducerRecord | None:
    action = effect.action
    match action:
        case CopySent():
            head = headers(
                message_id=action.message_id,
                event_type=action.event_type,
                schema=action.schema,
                content_type=action.content_type,
                more=(("envelope-id", action.envelope_id.encode()),),
            )
            return ProducerRecord(
                action.topic, action.lane.encode(), action.data, head, refusable=True, name=action.name
            )
        case Returned():
            head = headers(
                message_id=action.receipt_id,
                event_type=action.event_type,
                schema="receipt",
                content_type=action.content_type,
                about=action.about,
            )
            return ProducerRecord(RECEIPTS_RAW, action.lane.encode(), action.data, head)
        case SentOn():
            origin = record.origin if action.record.__class__ is not CopyAnswered else action.record.receipt.origin
            return _record_letter(action.lane, action.record, origin)
        case relay.Traced(step=step):
            figures = station.figures.metrics
            figures.count("eds_events_total", subtype=step.subtype, profile=step.profile, outcome=step.outcome)
            return trace_letter(action, effect.after)
        case LedgerRow():
            station.figures.row(action)
            return ledger_letter(action, effect.after)
        case RefusedRecord(rejected=rejected):
            station.figures.dead_letter(stage, rejected)
            return dead_letter(record, rejected, stage=stage, at=at, version=station.version)
        case CopyAlarm():
            about = {"message_id": action.message_id, "kommunekode": action.kommunekode, "system": action.system}
            _log.warning(action.word, **about, reason=action.reason)
            return None
        case _:
            assert_never(action)


_PROBED: Final = Lane("0" * 8)
_ORIGIN: Final = "probe/0/0"


def probe_distributions(station: Station) -> None:
    """What the relay sends for an admission, through the border of its inbox and through an empty lane behind it.

    Raises `ValueError` when a good message is refused.
    """
    at, registers = station.clock(), station.registers
    code = Kommunekode(min(registers.distributed(at), default=""))
    admitted = StayEventArrived(at=at, event=admission(station, at, code))
    sent = (
        relay.fold(None, admitted, relay.Context(station.ids, registers, registers.stay, station.device_id)).effects
        if code
        else ()
    )
    for wanted in sent:
        if not isinstance(wanted.action, relay.Dispatch):
            continue
        letter, key = wanted.action.payload, _PROBED.encode()
        for effect in take_in(
            letter, key, kommunekode=code, origin=_ORIGIN, at=at, ids=station.ids, registers=registers
        ):
            match effect.action:
                case SentOn(record=record):
                    fold(None, record, _PROBED, DistributorContext(station.ids, registers))
                case RefusedRecord():
                    raise ValueError("a good message is refused")
                case _:
                    pass
