"""Records that a source topic kept no longer than the relay was down for: named in the log, the dead letters and the ledger."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from streams.kafka.records import Letter, Record, dead_letter
from streams.operations import logs
from streams.records.ledger import lost_row
from streams.words.errors import Rejected

from .gaps import Loss
from .letters import ledger_letter

__all__ = ["lost_letters", "say_lost"]

_log: Final = logs.get("shell")


def say_lost(loss: Loss) -> None:
    """One line for each gap."""
    count = loss.oldest - loss.expected
    _log.error("records.lost", topic=loss.topic, partition=loss.partition, offset=loss.expected, count=count)


def lost_letters(loss: Loss, *, stage: str, at: datetime, version: str) -> Sequence[Letter]:
    """A dead letter without content, for who has to ask the sender, and the row that the balance reads."""
    count = loss.oldest - loss.expected
    first = Record(loss.topic, loss.partition, loss.expected, None, None)
    fault = Rejected(
        f"{loss.topic}/{loss.partition}",
        f"{count} offsets from {loss.expected} on were deleted by retention before they were read",
        "have the sender send again what it sent at that time",
        "retention",
    )
    return (
        dead_letter(first, fault, stage=stage, at=at, version=version),
        ledger_letter(lost_row(at, first.origin, count)),
    )
