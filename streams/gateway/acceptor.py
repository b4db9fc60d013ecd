"""The answer to a block: refused at once, acknowledged once Kafka has it, or none at all.

What decides it: spec 04 §5.2. `AA` means that the bytes are durably on Kafka and nothing more. What sending again can
cure (Kafka away, slow) gets no answer and the connection is closed: the engine resends and intake absorbs the
duplicate. A duplicate is answered like its first copy; the gateway remembers nothing.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from streams.formats.hl7v2 import Document, Refused
from streams.formats.hl7v2_ack import acknowledgement

from .admission import AdtRecord, FeedOf, KeyOf, admit, too_long
from .connection import Answer
from .report import Report

__all__ = ["FrontDesk", "Publish", "Unconfirmed"]


class Unconfirmed(Exception):
    """The log did not confirm a record: nobody knows whether it is there, so nobody may say that it is."""


#: Returns once the record is written with acks=all. Raises Unconfirmed.
Publish = Callable[[AdtRecord], Awaitable[None]]


def _now() -> datetime:
    return datetime.now(UTC)


def _new_id() -> str:
    return secrets.token_hex(10)  # 20 characters: the length of MSH-10 in every version


@dataclass(frozen=True)
class FrontDesk:
    """Accepts or refuses each block. `application` and `facility` are what we call ourselves in MSH-3 and MSH-4."""

    feed_of: FeedOf
    key_of: KeyOf
    publish: Publish
    report: Report
    confirm: timedelta = timedelta(seconds=10)
    application: str = "STAFET"
    facility: str = "STAFET"
    now: Callable[[], datetime] = _now
    new_id: Callable[[], str] = _new_id

    async def accept(self, block: bytes) -> Answer:
        """The answer to one block."""
        try:
            record = admit(block, self.feed_of, self.key_of, self.now())
        except Refused as refused:
            return self._refuse(block, refused)
        begun = time.monotonic()
        try:
            async with asyncio.timeout(self.confirm.total_seconds()):
                await self.publish(record)
        except (Unconfirmed, TimeoutError) as failed:
            self.report("gateway.unconfirmed", why=type(failed).__name__)
            return Answer(None, close=True)
        waited = (time.monotonic() - begun) * 1000
        self.report("gateway.accepted", feed=record.feed, length=len(block), wait_ms=waited)
        return Answer(self._ack(record.document, "AA"))

    def too_long(self, head: bytes, limit: int) -> Answer:
        """The answer to a block over the limit: what follows cannot be told apart, so the connection ends."""
        return Answer(self._refuse(head, too_long(limit)).ack, close=True)

    def _refuse(self, block: bytes, refused: Refused) -> Answer:
        self.report("gateway.refused", code=refused.code, length=len(block))
        if refused.ack is None:  # no answer can be formed: closing tells the sender sooner than its own time limit
            return Answer(None, close=True)
        return Answer(self._ack(block, refused.ack, refused))

    def _ack(
        self, message: Document | bytes, code: Literal["AA", "AE", "AR"], refused: Refused | None = None
    ) -> bytes | None:
        return acknowledgement(
            message,
            code,
            refused=refused,
            now=self.now(),
            control_id=self.new_id(),
            application=self.application,
            facility=self.facility,
        )
