"""What the gateway refuses, as records: a dead letter with the bytes, and the row of the balance. Pure.

A refused message never reaches `adt.raw`, so it has no topic, partition and offset to be known by. Its origin is who
sent what: peer, MSH-10 and a hash of the bytes. The same bytes sent again by the same peer are the same refusal, so
that a step which was broken off between letter and row is healed by the resend (decision 0021).
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from streams.formats.hl7v2 import MessageRefused
from streams.kafka import records
from streams.kafka.records import Letter, Record
from streams.kafka.topics import ADT_RAW, LEDGER
from streams.records.ledger import event_row, to_json
from streams.words.model import Fate, Outcome
from streams.words.times import utc_text

__all__ = ["Refusal"]

_STAGE = "gateway"
#: Facts of a record that has a place on a topic; a refused message has none.
_OF_A_PLACE = frozenset({"dlq.original-partition", "dlq.original-offset", "dlq.original-timestamp"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """One message that was not taken. `whole`: `block` is all of it; else it is as much as came or was read."""

    block: bytes
    why: MessageRefused
    peer: str  # as `Peer.told`
    control_id: str  # as `shown`; "" where none can be read
    at: datetime
    whole: bool = True

    def __repr__(self) -> str:
        return f"Refusal({self.origin})"

    @property
    def origin(self) -> str:
        """What the refusal is known by in `dead.letters` and in the balance."""
        return f"gateway/{self.peer}/{self.control_id or '-'}/{hashlib.sha256(self.block).hexdigest()[:16]}"

    def dead_letter(self, version: str = "") -> Letter:
        """The bytes and why; sending it again puts it on `adt.raw`, where intake keys it by its person."""
        headers = records.headers(
            message_id=self.origin,
            event_type="adt",
            schema="hl7-v2-er7",
            content_type="application/hl7-v2",
            more=(
                ("hl7-control-id", self.control_id.encode()),
                ("received-at", utc_text(self._moment).encode()),
                ("peer", self.peer.encode()),
            ),
        )
        key = hashlib.sha256(self.origin.encode()).hexdigest()[:16].encode()
        record = Record(ADT_RAW, -1, -1, key, self.block, headers)
        letter = records.dead_letter(record, self.why, stage=_STAGE, at=self._moment, version=version)
        own = [("dlq.origin", self.origin.encode())]
        if not self.whole:
            own.append(("dlq.value-cut", str(len(self.block)).encode()))
        kept = (header for header in letter.headers if header[0] not in _OF_A_PLACE)
        return letter._replace(headers=(*kept, *own))

    def row(self) -> Letter:
        """The row that counts it as refused (00 §5)."""
        outcome = Outcome(fate=Fate.REFUSED, reason=self.why.rule)
        row = event_row(self._moment, self.origin, outcome, 0)
        headers = records.headers(
            message_id=row.id, event_type=f"ledger.{row.kind}", schema="ledger-row", content_type="application/json"
        )
        return Letter(LEDGER, row.subject.encode(), to_json(row), headers)

    @property
    def _moment(self) -> datetime:
        """To the millisecond, as a header says it: letter and row belong to the same period."""
        return self.at.replace(microsecond=self.at.microsecond // 1000 * 1000)
