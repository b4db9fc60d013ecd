"""The answer to a block: refused at once, acknowledged once Kafka has it, or none at all.

What decides it: spec 04 §5.2. `AA` means that the bytes are durably on Kafka and nothing more. What sending again can
cure (Kafka away, slow) gets no answer and the connection is closed: the engine resends and intake absorbs the
duplicate. A duplicate is answered like its first copy; the gateway remembers nothing. `AE` and `AR` mean that the bytes
lie in `dead.letters` and are counted: nobody sends them again. An acknowledgement has no answer (00 §8.5).
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Container
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from streams.formats.hl7v2 import Document, MessageRefused
from streams.formats.hl7v2_ack import acknowledgement, is_acknowledgement, sent_control_id

from .admission import AdtRecord, FeedOf, KeyOf, admit, too_long, too_slow
from .connection import Answer
from .peer import ForeignCertificate, Peer
from .refusal import Refusal
from .report import Report
from .shown import Masked, shown

__all__ = ["FrontDesk", "Publish", "SetAside", "Unconfirmed"]


class Unconfirmed(Exception):
    """The log did not confirm a record: nobody knows whether it is there, so nobody may say that it is."""


#: Returns once the record is written with acks=all. Raises Unconfirmed.
Publish = Callable[[AdtRecord], Awaitable[None]]

#: Returns once dead letter and ledger row are written with acks=all. Raises Unconfirmed.
SetAside = Callable[[Refusal], Awaitable[None]]


def _now() -> datetime:
    return datetime.now(UTC)


def _new_id() -> str:
    return secrets.token_hex(10)  # 20 characters: the length of MSH-10 in every version


@dataclass(frozen=True)
class FrontDesk:
    """Accepts or refuses each block. `application` and `facility` are what we call ourselves in MSH-3 and MSH-4.

    `known`: the certificate names of all feeds, which may be told.
    """

    feed_of: FeedOf
    key_of: KeyOf
    masked: Masked
    publish: Publish
    set_aside: SetAside
    report: Report
    confirm: timedelta = timedelta(seconds=10)
    known: Container[str] = frozenset()
    application: str = "STAFET"
    facility: str = "STAFET"
    now: Callable[[], datetime] = _now
    new_id: Callable[[], str] = _new_id

    async def accept(self, block: bytes, peer: Peer) -> Answer:
        """The answer to one block."""
        if is_acknowledgement(block):
            self.report("gateway.acknowledgement", length=len(block), peer=peer.told(self.known))
            return Answer(None)
        try:
            record = admit(block, peer, self.feed_of, self.key_of, self.masked, self.now())
        except MessageRefused as refused:
            return await self._refuse(block, refused, peer)
        begun = time.monotonic()
        if not await self._confirmed(self.publish(record)):
            return Answer(None, close=True)
        waited = (time.monotonic() - begun) * 1000
        self.report("gateway.accepted", feed=record.feed, length=len(block), wait_ms=waited)
        return Answer(self._ack(record.document, "AA"))

    async def too_long(self, head: bytes, limit: int, peer: Peer) -> Answer:
        """The answer to a block over the limit: what follows cannot be told apart, so the connection ends."""
        answer = await self._refuse(head, too_long(limit), peer, whole=False)
        return Answer(answer.ack, close=True)

    async def too_slow(self, begun: bytes, peer: Peer) -> None:
        """Sets aside what has come of a block that is broken off; of one that has only begun there is nothing to keep."""
        if begun:
            await self._refuse(begun, too_slow(), peer, whole=False)

    async def _refuse(self, block: bytes, refused: MessageRefused, peer: Peer, *, whole: bool = True) -> Answer:
        """The negative answer, once Kafka has what is refused; no answer at all when it has not."""
        control_id = shown("control-id", sent_control_id(block).strip(), self.masked)
        told = peer.told(self.known)
        if not await self._confirmed(self.set_aside(Refusal(block, refused, told, control_id, self.now(), whole))):
            return Answer(None, close=True)
        feed = refused.feed if isinstance(refused, ForeignCertificate) else ""
        self.report("gateway.refused", code=refused.code, reason=refused.rule, length=len(block), peer=told, feed=feed)
        if refused.ack is None:  # no answer can be formed: closing tells the sender sooner than its own time limit
            return Answer(None, close=True)
        return Answer(self._ack(block, refused.ack, refused))

    async def _confirmed(self, writing: Awaitable[None]) -> bool:
        """Whether Kafka has it within the time; says so when it has not."""
        try:
            async with asyncio.timeout(self.confirm.total_seconds()):
                await writing
        except (Unconfirmed, TimeoutError) as failed:
            self.report("gateway.unconfirmed", why=str(failed) or type(failed).__name__)
            return False
        return True

    def _ack(
        self, message: Document | bytes, code: Literal["AA", "AE", "AR"], refused: MessageRefused | None = None
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
