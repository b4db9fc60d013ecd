"""A municipality with three receivers, and everything that happens to the messages in its inbox.

    town = Behind()
    stin, slhj = letters(Notice.STIN, Notice.SLHJ)
    town.arrive(stin)
    town.answer("care", "ok", stin)
    town.returned == [("ok", "answered")]

Records go from the inbox through the border into the lane, as the agents carry them; the row goes through its bytes
between any two of them. What the broker refuses is in `refusing`, by system.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count

from streams.delivery.distribution import AnswerState, ReceiverType
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
    RefusedRecord,
    Returned,
    SentOn,
    decode_record,
    decode_row,
    encode_record,
    encode_row,
    key_of,
)
from streams.envelopes import vans
from streams.formats.fhir.build import to_json
from streams.messages.hospitalnotification import redispatch
from streams.records.ledger import LedgerRow
from streams.records.trace import TraceEvent
from streams.registry import Registers, load
from streams.registry.rows import ReceiverRow
from streams.relay.lane import Traced
from streams.words.codes import HOSPITAL_NOTIFICATION, Notice, Verdict
from streams.words.ids import Ids, Kommunekode, Lane
from streams.words.model import Receipt, ReceiptIssue
from tests.meanings.notifications import LANE, bundle, story

CODE = Kommunekode("0461")
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
IDS = Ids(b"a distributor of the test suite")
DEVICE = "00000000-0000-5000-8000-000000000000"
SYSTEMS: dict[str, ReceiverType] = {"care": "A", "overview": "B", "archive": "C"}


def receiver(system: str, type_: ReceiverType, **more: object) -> ReceiverRow:
    """A system behind the address."""
    return ReceiverRow(
        kommunekode=CODE,
        message_type=HOSPITAL_NOTIFICATION,
        system=system,
        kind="other",
        type=type_,
        **more,  # type: ignore[arg-type]
    )


@cache
def registers() -> Registers:
    """The example set, in which one municipality has three receivers."""
    return load("example", now=NOON).with_receivers(*(receiver(name, type_) for name, type_ in SYSTEMS.items()))


@dataclass(frozen=True)
class InboxLetter:
    """One message in an envelope."""

    bundle: dict[str, object]
    number: int = 1

    @property
    def message_id(self) -> str:
        return str(self.bundle["entry"][0]["resource"]["id"])  # type: ignore[index]

    def again(self, at: datetime = NOON + 30 * MINUTE) -> "InboxLetter":
        """The same message sent once more."""
        return InboxLetter(
            redispatch(self.bundle, f"{LANE}-0000-4000-8000-{self.message_id[-8:]}{self.number:04}", at),
            self.number + 1,
        )

    def sealed(self, receiver_gln: str = "") -> bytes:
        address = registers().address(CODE, HOSPITAL_NOTIFICATION, NOON)
        assert address is not None
        payload = to_json(self.bundle)
        return vans.seal_message(
            payload,
            sender_gln="5790000209354",
            receiver_gln=receiver_gln or address.gln,
            transport_id=f"{LANE}-0000-4000-8000-{self.message_id[-8:]}{self.number:04}",
            message_id=str(self.bundle["id"]),
            sent=NOON,
            name="MCM:FDIS20#AdmissionInpatient",
            version="3.0.0",
            media_type="application/fhir+json",
        )


def letters(*notices: Notice) -> list[InboxLetter]:
    """The messages of one stay."""
    address = registers().address(CODE, HOSPITAL_NOTIFICATION, NOON)
    assert address is not None
    return [InboxLetter(bundle(one, address.receiver)) for one in story(*notices)]


@dataclass
class Behind:
    """What lies behind the inbox of one municipality."""

    registers: Registers = field(default_factory=registers)
    now: datetime = NOON
    refusing: set[str] = field(default_factory=set)
    tried: list[CopySent] = field(default_factory=list)  # every hand-over, refused ones too
    row: DistributorRow | None = None
    effects: list[Consequence] = field(default_factory=list)
    records: list[DistributionRecord] = field(default_factory=list)
    offsets: count = field(default_factory=count)  # type: ignore[type-arg]

    @property
    def context(self) -> DistributorContext:
        return DistributorContext(IDS, self.registers, DEVICE)

    # ---- what happens ----------------------------------------------------------------------------------------------

    def arrive(self, letter: InboxLetter | bytes, key: bytes = LANE.encode(), origin: str = "") -> None:
        """A record in the inbox."""
        data = letter if isinstance(letter, bytes) else letter.sealed()
        origin = origin or f"municipality.{CODE}.inbox/0/{next(self.offsets)}"
        self._perform(
            take_in(
                data,
                key,
                kommunekode=CODE,
                origin=origin,
                at=self.now,
                ids=IDS,
                registers=self.registers,
                device_id=DEVICE,
            )
        )

    def post(self, system: str, data: bytes) -> None:
        """A record on a receiver's topic of receipts."""
        origin = f"municipality.{CODE}.{system}.receipts/0/{next(self.offsets)}"
        self._perform(take_answer(data, kommunekode=CODE, system=system, origin=origin, at=self.now))

    def answer(
        self, system: str, verdict: Verdict, letter: InboxLetter, *issues: ReceiptIssue, origin: str = ""
    ) -> None:
        """An answer that could be read."""
        origin = origin or f"municipality.{CODE}.{system}.receipts/0/{next(self.offsets)}"
        receipt = Receipt(verdict=verdict, message_id=letter.message_id, issues=issues, origin=origin)
        self.take(CopyAnswered(at=self.now, kommunekode=CODE, system=system, receipt=receipt))

    def wait(self, time: timedelta) -> None:
        """Time passes; what is due on the way is published and folded."""
        end = self.now + time
        for _ in range(1000):
            due = next_due(self.row, self.context)
            if due is None or due > end:
                self.now = end
                return
            self.now = max(self.now, due)
            self.take(CopyDue(at=self.now, due=due))
        raise AssertionError("the timer never comes to rest")

    def take(self, record: DistributionRecord, lane: Lane = LANE) -> None:
        """One record of the lane; copies that the broker refuses are taken back."""
        record = decode_record(encode_record(record))
        self.records.append(record)
        turn = fold(self.row, record, lane, self.context)
        row = turn.row
        taken: set[str] = set()
        for effect in turn.effects:
            if isinstance(effect.action, CopySent):
                self.tried.append(effect.action)
                if effect.action.topic.rpartition(".")[2] in self.refusing:
                    assert row is not None
                    back = refused(row, effect.action.name, self.now, lane, self.context)
                    row = back.row
                    self.effects += back.effects
                    continue
                taken.add(effect.action.name)
            if not effect.after or effect.after in taken:
                self.effects.append(effect)
        self.row = decode_row(encode_row(row)) if row is not None else None

    def _perform(self, effects: tuple[Consequence, ...]) -> None:
        for effect in effects:
            if isinstance(effect.action, SentOn):
                self.take(effect.action.record, effect.action.lane)
            else:
                self.effects.append(effect)

    # ---- what has come of it -----------------------------------------------------------------------------------------

    def _of(self, kind: type) -> list:  # type: ignore[type-arg]
        return [effect.action for effect in self.effects if isinstance(effect.action, kind)]

    @property
    def ledger(self) -> list[LedgerRow]:
        return self._of(LedgerRow)

    @property
    def returned(self) -> list[tuple[str, str]]:
        """Verdict and occasion of each answer to the hospital."""
        return [(row.what, row.reason) for row in self.ledger if row.kind == "returned"]

    @property
    def answers(self) -> list[Returned]:
        """The answers themselves."""
        return [one for one in self._of(Returned) if one.event_type != "envelope-receipt"]

    @property
    def envelope_receipts(self) -> list[Returned]:
        return [one for one in self._of(Returned) if one.event_type == "envelope-receipt"]

    def copies(self, system: str) -> list[str]:
        """The messages that a receiver has got, in order."""
        topic = f"municipality.{CODE}.{system}"
        return [one.message_id for one in self._of(CopySent) if one.topic == topic]

    @property
    def sent(self) -> list[CopySent]:
        return self._of(CopySent)

    @property
    def traced(self) -> list[TraceEvent]:
        """Status events, in order."""
        return [one.step for one in self._of(Traced)]

    @property
    def alarms(self) -> list[tuple[str, str]]:
        return [(one.word, one.system) for one in self._of(CopyAlarm)]

    @property
    def dead(self) -> list[str]:
        """Rules of what was refused."""
        return [one.rejected.rule for one in self._of(RefusedRecord)]

    @property
    def arrivals(self) -> Counter[str]:
        return Counter(row.what for row in self.ledger if row.kind == "arrival")

    @property
    def classes(self) -> Counter[str]:
        return Counter(row.what for row in self.ledger if row.kind == "copy-receipt")

    def state(self, system: str, letter: InboxLetter) -> AnswerState:
        assert self.row is not None
        copy = self.row.distributions[key_of(CODE, letter.message_id)].of(system)
        assert copy is not None
        return copy.state
