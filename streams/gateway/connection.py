"""One sender's connection: a block in, its answer out, then the next block.

What decides it: spec 04 §5.1 and §5.2. At most one message of a connection is unacknowledged: the next block is taken
only after the answer to the previous one has been written. Inside a block the next byte must come within 30 seconds
and the last one within a minute; between blocks a connection may be silent for as long as it likes. An empty block is a
sign of life and has no answer (00 §8.5).

What ends a connection: the sender; a block that is too slow; a block over the limit (after `AR`); no confirmation from
Kafka (no answer, so that the sender sends again); draining, once the block in hand is answered. A block that the sender
breaks off is dropped, and of it only the length is told; one that we break off is set aside.

Not here: what the answer is (`admission.py`, `acceptor.py`).
"""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from ssl import SSLError
from typing import Protocol

from .framing import BLOCK_LIMIT, FrameReader, FrameTooLong, framed
from .peer import LOCAL, Peer
from .report import Report

__all__ = ["Acceptor", "Answer", "Connection", "Limits"]

_PIECE = 1 << 16  # bytes per read: with the block limit, all that one connection can make us hold


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how large (spec 04 §5.1, §5.2)."""

    block: int = BLOCK_LIMIT
    between_bytes: timedelta = timedelta(seconds=30)
    whole_block: timedelta = timedelta(seconds=60)
    confirm: timedelta = timedelta(seconds=10)
    #: After SIGTERM: a publish in hand (10 s) and the rest of a block that is arriving; then the connection is cut.
    drain: timedelta = timedelta(seconds=25)


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back for one block: the bytes of the ACK, or None for none; and whether the connection ends."""

    ack: bytes | None
    close: bool = False


class Acceptor(Protocol):
    """Who decides about a block."""

    async def accept(self, block: bytes, peer: Peer) -> Answer:
        """The answer to one block; `AA` only after its bytes are durably on Kafka."""
        ...

    async def too_long(self, head: bytes, limit: int, peer: Peer) -> Answer:
        """The answer to a block of which only the first `limit` bytes are known."""
        ...

    async def too_slow(self, begun: bytes, peer: Peer) -> None:
        """Takes what has come of a block that is broken off; it has no answer, so the sender sends it again."""
        ...


class _TooSlow(Exception):
    """A block has not ended in time."""


@dataclass(eq=False)
class Connection:
    """Serves one connection until it ends; never raises on account of the peer."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    acceptor: Acceptor
    limits: Limits
    report: Report
    peer: Peer = LOCAL
    _draining: bool = False
    _idle: asyncio.Timeout | None = None
    _frames: FrameReader = field(init=False)

    def __post_init__(self) -> None:
        self._frames = FrameReader(self.limits.block)

    async def serve(self) -> None:
        """Answer block after block until one side ends the connection."""
        try:
            await self._answer_blocks()
        except _TooSlow as slow:
            self.report("gateway.slow", length=self._frames.partial, why=str(slow), peer=self.peer.address)
            await self.acceptor.too_slow(self._frames.begun, self.peer)
        except TimeoutError:
            self.report("gateway.silent", length=self._frames.partial)
        except (ConnectionError, SSLError):
            self.report("gateway.reset", length=self._frames.partial)
        finally:
            await self._close()

    def drain(self) -> None:
        """Take no further block; the one in hand is finished and answered."""
        self._draining = True
        if self._idle is not None:
            self._idle.reschedule(asyncio.get_running_loop().time())

    def cut(self) -> None:
        """End now, whatever is in hand: it has no answer, so the sender sends it again."""
        self.writer.transport.abort()

    async def _answer_blocks(self) -> None:
        while True:
            try:
                block = await self._next_block()
            except FrameTooLong as too_long:
                self.report("gateway.too-long", length=too_long.limit)
                await self._write(await self.acceptor.too_long(too_long.head, too_long.limit, self.peer))
                return
            if block is None:
                return
            if block:
                answer = await self.acceptor.accept(block, self.peer)
                await self._write(answer)
                if answer.close:
                    return
            if self._draining:
                return

    async def _next_block(self) -> bytes | None:
        """The next block; None at the end of the stream, or when draining and no block has begun."""
        end: float | None = None
        while (block := self._frames.next_block()) is None:
            if self._draining and not self._frames.inside:
                return None
            if not self._frames.inside:
                piece = await self._first()
            else:
                if end is None:
                    end = asyncio.get_running_loop().time() + self.limits.whole_block.total_seconds()
                piece = await self._more(end)
            if not piece:
                if self._frames.partial:
                    self.report("gateway.partial", length=self._frames.partial)
                return None
            self._frames.feed(piece)
        if noise := self._frames.take_noise():
            self.report("gateway.noise", length=noise)
        return block

    async def _more(self, end: float) -> bytes:
        """Bytes inside a block, which has to be whole at `end` (of the loop's time). Raises _TooSlow."""
        now = asyncio.get_running_loop().time()
        next_byte = now + self.limits.between_bytes.total_seconds()
        try:
            async with asyncio.timeout_at(min(next_byte, end)):
                if now < end:  # what is there already is read without waiting, and a wait alone can time out
                    return await self.reader.read(_PIECE)
        except TimeoutError:
            pass
        raise _TooSlow("between two bytes" if next_byte < end else "the whole block")

    async def _first(self) -> bytes:
        """Bytes between blocks: no time limit, but `drain` ends the wait as if the stream had ended."""
        try:
            async with asyncio.timeout(None) as self._idle:
                return await self.reader.read(_PIECE)
        except TimeoutError:
            return b""
        finally:
            self._idle = None

    async def _write(self, answer: Answer) -> None:
        if answer.ack is None:
            return
        self.writer.write(framed(answer.ack))
        # A sender that never reads its answers must not hold us for ever either.
        async with asyncio.timeout(self.limits.between_bytes.total_seconds()):
            await self.writer.drain()

    async def _close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except (OSError, TimeoutError):
            # The peer went first, or does not complete the closing handshake of TLS: it is closed all the same.
            self.cut()
