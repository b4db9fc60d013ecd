"""A lane that records are folded into, and everything it wants done: the builder of every `test_lane_*` module.

    lane = Lane()
    lane.play("A01 08:00", "A03 18:00")
    lane.notices == ["STIN", "SLHJ"]

Events are the one-line stories of `stay_events`; registers are the example set. The row goes through its bytes between
any two records, as on the table.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import msgspec
import orjson

from streams.delivery.delivery import Delivery
from streams.delivery.rules import DeliveryState
from streams.envelopes import vans
from streams.records.ledger import LedgerRow
from streams.records.trace import TraceEvent
from streams.registry import Registers, load
from streams.relay.lane import (
    Alarm,
    Context,
    DeadLetter,
    Dispatch,
    Effect,
    LaneRow,
    LaneTurn,
    Traced,
    decode_row,
    encode_row,
    fold,
    next_due,
    refused,
    tick,
)
from streams.words.codes import Verdict
from streams.words.model import (
    Decision,
    LaneRecord,
    NetworkReceipt,
    NetworkReceiptArrived,
    Overdue,
    Receipt,
    ReceiptArrived,
    StayEvent,
    StayEventArrived,
    Wake,
)
from tests.rules.stay_events import DAY_ONE, IDS, clock, event

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


@cache
def registers() -> Registers:
    """The example set, as it held on the first day."""
    return load("example", now=DAY_ONE)


class Unroutable:
    """The example registers without any address."""

    def __init__(self, inner: Registers | None = None) -> None:
        self._inner = inner or registers()
        self.routes: dict[Any, Any] = {}

    def address(self, kommunekode: str, message_type: str, at: datetime) -> None:
        """Nobody has one."""
        return

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Otherwise:
    """The example registers with other terms or another form: `Otherwise(mode="manual")`, `Otherwise(mime=...)`."""

    def __init__(self, **changes: Any) -> None:
        self._changes, self._inner = changes, registers()
        self.routes: dict[Any, Any] = {}  # what is decided by the changed ones is theirs

    def policy(self, kommunekode: str = "", format: str = "fhir") -> Any:
        """The terms, changed."""
        terms = self._inner.policy(kommunekode, format)
        return _with(terms, {k: v for k, v in self._changes.items() if hasattr(terms, k)})

    def address(self, kommunekode: str, message_type: str, at: datetime) -> Any:
        """The address, changed."""
        row = self._inner.address(kommunekode, message_type, at)
        return _with(row, {k: v for k, v in self._changes.items() if k == "aliases"})

    def acceptances(self, kommunekode: str, message_type: str, at: datetime) -> Any:
        """What is accepted, changed."""
        rows = self._inner.acceptances(kommunekode, message_type, at)
        return [_with(row, {k: v for k, v in self._changes.items() if hasattr(row, k)}) for row in rows]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def _with(value: Any, changes: dict[str, Any]) -> Any:
    return msgspec.structs.replace(value, **changes) if isinstance(value, msgspec.Struct) else replace(value, **changes)


def context(registers_: Any = None, **more: Any) -> Context:
    """What folds may ask, with the secret of the stories."""
    return Context(IDS, registers_ or registers(), **more)


@dataclass
class Lane:
    """A lane and all its effects. `now` is the time of the last record."""

    context: Context = field(default_factory=context)
    row: LaneRow | None = None
    effects: list[Effect] = field(default_factory=list)
    results: list[LaneTurn] = field(default_factory=list)
    now: datetime = DAY_ONE
    count: int = 0

    def take(self, record: LaneRecord) -> LaneTurn:
        """Fold one record."""
        self.now = record.at
        before = None if self.row is None else decode_row(encode_row(self.row))
        return self._after(fold(before, record, self.context))

    def _after(self, result: LaneTurn) -> LaneTurn:
        self.row = result.row
        self.effects += result.effects
        self.results.append(result)
        return result

    # ---- records ------------------------------------------------------------------------------------------------

    def play(self, *lines: str, **more: Any) -> "Lane":
        """The events of a story; `more` are fields of StayEvent for all of them."""
        for line in lines:
            self.event(line, **more)
        return self

    def event(self, line: str, **more: Any) -> StayEvent:
        """One event of a story; the clock never runs backwards."""
        self.count += 1
        built, now = event(line, self.count)
        built = msgspec.structs.replace(built, origin=f"adt.raw/0/{self.count}", **more)
        self.take(StayEventArrived(at=max(now, self.now), event=built))
        return built

    def answer(self, verdict: Verdict = "ok", *, after: timedelta = MINUTE, **more: Any) -> Receipt:
        """The municipality answers the last message, or what `message_id` names."""
        self.count += 1
        last = self.last
        receipt = Receipt(
            **{
                "verdict": verdict,
                "message_id": last.message_id,
                "ack_message_id": f"ack-{self.count}",
                "ack_envelope_id": f"ack-bundle-{self.count}",
                "transport_id": f"transport-{self.count}",
                "transport_sender": last.address.receiver.gln,
                "origin": f"receipts.raw/0/{self.count}",
            }
            | more
        )
        self.take(ReceiptArrived(at=self.now + after, receipt=receipt))
        return receipt

    def network(self, *, positive: bool = True, envelope: int = -1, **more: Any) -> NetworkReceipt:
        """The network answers for an attempt of the last message."""
        self.count += 1
        receipt = NetworkReceipt(
            **{
                "positive": positive,
                "original_transport_id": self.last.attempts[envelope].transport_id if self.row else "",
                "origin": f"receipts.raw/0/{self.count}",
            }
            | more
        )
        self.take(NetworkReceiptArrived(at=self.now + MINUTE, receipt=receipt))
        return receipt

    def overdue(self) -> LaneTurn:
        """The deadline of the last message passes."""
        last = self.last
        assert last.deadline is not None
        record = Overdue(at=last.deadline, message_id=last.message_id, attempt=last.attempt, deadline=last.deadline)
        return self.take(record)

    def wake(self, at: str | datetime) -> LaneTurn:
        """The timer, at a time of the stories."""
        time = clock(at) if isinstance(at, str) else at
        return self.take(Wake(at=time, due=time))

    def elapse(self, until: datetime, limit: int = 500) -> "Lane":
        """The timer does its work until a time, as agents do."""
        for _ in range(limit):
            due = next_due(self.row, self.context.stay)
            if due is None or due > until:
                self.now = until
                return self
            self.take(tick(self.row, due, max(due, self.now)))
        raise AssertionError(f"the lane is never at rest; it still wants to be woken at {due}")

    def decide(self, action: Any, **more: Any) -> LaneTurn:
        """An operator decides about the last message."""
        record = {"at": self.now + MINUTE, "action": action, "actor": "operator", "reason": "a reason"} | more
        return self.take(
            Decision(**record if "message_id" in record else {"message_id": self.last.message_id} | record)
        )

    def refuse(self, message_id: str = "") -> LaneTurn:
        """The broker refuses the letter just sent."""
        assert self.row is not None
        letter = message_id or self.letters[-1].message_id
        self.effects = [one for one in self.effects if one.after != letter or not self._is_of_the_last_step(one)]
        return self._after(refused(self.row, letter, self.now, self.context))

    def _is_of_the_last_step(self, one: Effect) -> bool:
        return any(one is each for each in self.results[-1].effects)

    # ---- what came of it ------------------------------------------------------------------------------------------

    @property
    def last(self) -> Delivery:
        """The latest message."""
        assert self.row is not None
        return list(self.row.deliveries.values())[-1]

    @property
    def states(self) -> list[DeliveryState]:
        """Of all messages, in order."""
        return [d.state for d in self.row.deliveries.values()] if self.row else []

    @property
    def letters(self) -> list[Dispatch]:
        """All letters, resends too."""
        return [one.action for one in self.effects if isinstance(one.action, Dispatch)]

    @property
    def notices(self) -> list[str]:
        """What the letters announce."""
        return [letter.label for letter in self.letters]

    @property
    def rows(self) -> list[LedgerRow]:
        """All rows of the ledger."""
        return [one.action for one in self.effects if isinstance(one.action, LedgerRow)]

    @property
    def steps(self) -> list[TraceEvent]:
        """All status events."""
        return [one.action.step for one in self.effects if isinstance(one.action, Traced)]

    @property
    def dead_letters(self) -> list[DeadLetter]:
        """All dead letters."""
        return [one.action for one in self.effects if isinstance(one.action, DeadLetter)]

    @property
    def alarms(self) -> list[Alarm]:
        """All alarms."""
        return [one.action for one in self.effects if isinstance(one.action, Alarm)]

    @property
    def fates(self) -> list[str]:
        """What became of the events: `+converted`, `-waiting`, with the reason where there is one."""
        rows = [row for row in self.rows if row.kind == "stay-event"]
        return [f"{row.delta:+d}"[0] + row.what + (f":{row.reason}" if row.reason else "") for row in rows]

    @property
    def classes(self) -> list[str]:
        """What the receipts were."""
        return [row.what for row in self.rows if row.kind == "receipt" and row.delta]


def opened(letter: Dispatch) -> dict[str, Any]:
    """The Bundle in a letter."""
    bundle: dict[str, Any] = orjson.loads(vans.open_envelope(letter.payload).payload)
    return bundle


def envelope(letter: Dispatch) -> vans.Opened:
    """The envelope of a letter."""
    return vans.open_envelope(letter.payload)


def resources(bundle: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """The resources of a type, in order."""
    return [entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == kind]


def books(lane: Lane) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """Events, messages and receipts as the ledger has them, repeated rows once: the sums of 00 §5."""
    unique = {row.id: row for row in lane.rows}.values()
    events: Counter[str] = Counter()
    messages: Counter[str] = Counter()
    receipts: Counter[str] = Counter()
    for row in unique:
        if row.kind == "stay-event":
            events[row.what] += row.delta
            events["notifications"] += row.k
        elif row.kind == "receipt":
            receipts[row.what] += row.delta
        elif row.what == DeliveryState.CREATED:
            messages["created"] += 1
        else:
            messages[row.what] += row.delta
    return +events, +messages, +receipts
