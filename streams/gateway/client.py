"""The sending side of MLLP: one block out, its ACK back.

For `stafet send`, the hospital simulator and the load generator. A message without an ACK has an unknown fate: it may
be on Kafka or not. So nothing is repeated in silence: `NoAnswer` says so, and the caller decides to send the same bytes
again, which the receiver's duplicate check absorbs (spec 04 §5.5).
"""

import asyncio
import ssl
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Self

from .framing import FrameReader, framed
from .tls import ClientTls, client_context

__all__ = ["Acknowledgement", "MllpClient", "NoAnswer", "read_acknowledgement"]

#: Codes of table 0008 that say "taken": original mode and commit of the enhanced mode (spec 04 §5.3).
TAKEN = frozenset({"AA", "CA"})


class NoAnswer(Exception):
    """No ACK came: whether the message was taken is not known; sending the same bytes again is safe."""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """An HL7 ACK as received, and what its MSA says."""

    data: bytes
    code: str  # MSA-1: AA, AE, AR, CA, CE, CR; "" when there is no MSA
    control_id: str  # MSA-2: MSH-10 of the message it answers

    @property
    def taken(self) -> bool:
        """Whether the bytes are durably stored at the receiver."""
        return self.code in TAKEN


def read_acknowledgement(data: bytes) -> Acknowledgement:
    """MSA-1 and MSA-2 of an ACK; the separator is the one it declares."""
    text = data.decode("latin-1")
    separator = text[3:4] or "|"
    for line in text.replace("\n", "\r").split("\r"):
        fields = line.split(separator)
        if fields[0] == "MSA":
            return Acknowledgement(data, *[*fields[1:3], "", ""][:2])
    return Acknowledgement(data, "", "")


class MllpClient:
    """One connection, used as `async with`. A lost connection is opened again for the next message, never for the same.

    `wait` limits each of: connecting, and waiting for one ACK (longer than the receiver's 10 s for Kafka).
    """

    def __init__(
        self, host: str, port: int, tls: ClientTls | None = None, wait: timedelta = timedelta(seconds=15)
    ) -> None:
        self._address = (host, port)
        self._context: ssl.SSLContext | None = None if tls is None else client_context(tls)
        self._wait = wait.total_seconds()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; the next `send` opens a new one."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def send(self, message: bytes) -> Acknowledgement:
        """Send one message and wait for its ACK. Raises NoAnswer; ConnectionError when nothing could be sent."""
        reader, writer = await self._connected()
        try:
            async with asyncio.timeout(self._wait):
                writer.write(framed(message))
                await writer.drain()
                return read_acknowledgement(await self._block(reader))
        except (OSError, TimeoutError) as lost:
            self.close()
            raise NoAnswer(
                f"no acknowledgement ({type(lost).__name__}); sending the same message again is safe"
            ) from None

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is not None and self._streams[0].at_eof():
            self.close()
        if self._streams is None:
            try:
                async with asyncio.timeout(self._wait):
                    self._streams = await asyncio.open_connection(*self._address, ssl=self._context)
            except (OSError, TimeoutError) as failed:
                host, port = self._address
                raise ConnectionError(f"cannot connect to {host}:{port} ({type(failed).__name__})") from None
        return self._streams

    @staticmethod
    async def _block(reader: asyncio.StreamReader) -> bytes:
        frames = FrameReader()
        while (block := frames.next_block()) is None:
            data = await reader.read(1 << 16)
            if not data:
                raise ConnectionResetError
            frames.feed(data)
        return block
