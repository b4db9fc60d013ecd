"""What the stages of one worker share: its ids, registers and clock, and the figures of what it has done."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version as installed

from agents.worker.clock import Clock, real_clock
from streams.delivery.delivery import Delivery
from streams.delivery.rules import FINAL
from streams.operations.metrics import Metrics
from streams.records.ledger import WAITING_FOR_RECHECK, LedgerRow
from streams.registry import Registers
from streams.relay.intake import Intake
from streams.relay.lane import DeadLetter, Effect, LaneRow, Traced
from streams.words.errors import Rejected
from streams.words.ids import Ids, audit_event_id

__all__ = ["Figures", "Station", "code_of"]


def code_of(fault: Exception) -> str:
    """The reason code of a dead-lettered record, or that of a fault of ours."""
    return fault.rule or "rejected" if isinstance(fault, Rejected) else "internal-error"


@dataclass(frozen=True)
class Figures:
    """Counts effects as they are decided (spec 03 §10). A step repeated after a crash counts twice: the balance does not."""

    metrics: Metrics = field(default_factory=Metrics)

    def event(self, row: LedgerRow) -> None:
        """A record of `adt.raw` that gave no stay event; the others are counted in their lanes."""
        if row.parts == 0:
            self.metrics.count("stafet_events_total", fate=row.what, reason=row.reason)

    def warnings(self, taken: Intake) -> None:
        """What is odd about a message that is read all the same: its sender should hear of it."""
        for warning in taken.warnings:
            self.metrics.count("stafet_message_warnings_total", feed=taken.feed, rule=warning.rule)

    def receipt(self, row: LedgerRow) -> None:
        """A receipt by its class."""
        self.metrics.count("hn_receipts_total", class_=row.what, verdict=row.verdict)

    def dead_letter(self, stage: str, fault: Exception) -> None:
        """A dead-lettered record: by its reason code, or as a fault of ours."""
        self.metrics.count("stafet_dead_letters_total", stage=stage, reason=code_of(fault))

    def effects(self, said: Sequence[Effect], stage: str) -> None:
        """Everything a lane has decided on one record."""
        for one in said:
            match one.action:
                case Traced(step=step):
                    self.metrics.count(
                        "eds_events_total", subtype=step.subtype, profile=step.profile, outcome=step.outcome
                    )
                case LedgerRow(kind="stay-event") as row if row.delta > 0:
                    self.metrics.count("stafet_events_total", fate=row.what, reason=row.reason)
                case LedgerRow(kind="receipt") as row if row.what != WAITING_FOR_RECHECK:
                    self.receipt(row)
                case LedgerRow(kind="message", what="SENT") as row:
                    self.metrics.count("hn_attempts_total", n=str(row.attempt), result="sent")
                case LedgerRow(kind="message") as row if row.what in FINAL and row.delta > 0:
                    self.metrics.count(
                        "hn_messages_total", state=row.what, municipality=row.kommunekode, activity=row.notice
                    )
                case DeadLetter(rejected=rejected):
                    self.dead_letter(stage, rejected)

    def refused(self, delivery: Delivery) -> None:
        """A dispatch that the broker has refused."""
        self.metrics.count("hn_attempts_total", n=str(delivery.attempt), result="refused")

    def verdicts(self, before: LaneRow | None, after: LaneRow | None) -> None:
        """How long each message waited whose first verdict one record has brought."""
        known = {} if before is None else before.deliveries
        for key, delivery in ({} if after is None else after.deliveries).items():
            old = known.get(key)
            if delivery is old or delivery.verdict_at is None or (old is not None and old.verdict_at is not None):
                continue
            if (first := delivery.attempts[0].sent) is not None:
                waited = (delivery.verdict_at - first).total_seconds()
                code = delivery.address.kommunekode
                self.metrics.observe("hn_time_to_verdict_seconds", max(waited, 0.0), municipality=code)


@dataclass(frozen=True)
class Station:
    """One worker's share of the installation."""

    ids: Ids
    registers: Registers
    clock: Clock = real_clock
    figures: Figures = field(default_factory=Figures)
    version: str = field(default_factory=lambda: installed("stafet"))

    @property
    def device_id(self) -> str:
        """Our station in trace events, one per installation (03 §4): computed from the secret's name, never from it."""
        return audit_event_id("stafet-station", self.ids.key_id)
