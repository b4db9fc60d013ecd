"""What a fold wants done, in order: the shell does it and nothing else.

A trace event or a ledger row may say that a letter has left; it must not be said when the broker would not have the
letter (03 §4.1, S3: after confirmation). Such an effect names the letter it comes `after`.
"""

from dataclasses import dataclass
from typing import NamedTuple

from streams.records.ledger import LedgerRow
from streams.records.trace import TraceEvent
from streams.words.errors import Rejected
from streams.words.ids import Kommunekode, Lane, MessageId
from streams.words.model import LaneRecord

from .row import LaneRow

__all__ = ["Dispatch", "Effect", "Result", "Said", "SetAside", "Traced"]


@dataclass(frozen=True, slots=True)
class Dispatch:
    """A sealed letter for an inbox. `payload` holds personal data; nothing else here does."""

    topic: str
    lane: Lane
    payload: bytes
    message_id: MessageId
    transport_id: str
    kommunekode: Kommunekode
    notice: str
    content_type: str = "application/xml"

    def __repr__(self) -> str:
        return f"Dispatch({self.notice}, {self.message_id})"


@dataclass(frozen=True, slots=True)
class Traced:
    """A status event of the journey of the notification `key` (03 §4.4)."""

    key: str
    step: TraceEvent


@dataclass(frozen=True, slots=True)
class SetAside:
    """A dead letter: of the record in hand, or of `record` when something held is dropped."""

    rejected: Rejected
    record: LaneRecord | None = None


Effect = Dispatch | Traced | LedgerRow | SetAside


class Said(NamedTuple):
    """An effect; `after` is the message whose letter must have been taken first."""

    effect: Effect
    after: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """The lane after one record. `row` is None when nothing is left to remember."""

    row: LaneRow | None
    said: tuple[Said, ...] = ()
