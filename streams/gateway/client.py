"""The sending side of MLLP: one block out, its ACK back.

For `stafet send`, the hospital simulator and the load generator. A message without an ACK has an unknown fate: it may
be on Kafka or not. So nothing is repeated in silence: `NoAnswer` is raised, and the caller decides to send the same
bytes again, which the receiver's duplicate check absorbs (spec 04 §5.5). Only the ACK whose MSA-2 is our MSH-10 counts
(00 §8.5).
"""

import asyncio
import errno
import re
import socket
import ssl
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Self

from streams.formats.hl7v2 import strip_framing

from .framing import FrameReader, FrameTooLong, framed
from .tls import ClientTls, client_context

__all__ = ["Acknowledgement", "MllpClient", "NoAnswer", "NobodyListens", "control_id_of", "read_acknowledgement"]

#: Codes of table 0008 that mean "taken": original mode and commit of the enhanced mode (spec 04 §5.3).
TAKEN = frozenset({"AA", "CA"})


class NobodyListens(ConnectionError):
    """The host is there, and no server listens at the port."""


class NoAnswer(Exception):
    """No ACK came: whether the message was taken is not known; sending the same bytes again is safe."""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """An HL7 ACK as received, with the fields of its MSA."""

    data: bytes
    code: str  # MSA-1: AA, AE, AR, CA, CE, CR; "" when there is no MSA
    control_id: str  # MSA-2: MSH-10 of the message it answers

    @property
    def taken(self) -> bool:
        """Whether the bytes are durably stored at the receiver."""
        return self.code in TAKEN

    def answers(self, message: bytes) -> bool:
        """Whether it is the acknowledgement of this message; blanks at the end of the id mean nothing (00 §8.1)."""
        return bool(self.code) and self.control_id.rstrip(" ") == control_id_of(message).rstrip(" ")


def read_acknowledgement(data: bytes) -> Acknowledgement:
    """MSA-1 and MSA-2 of an ACK; the separator is the one it declares."""
    text = data.decode("latin-1")
    separator = text[3:4] or "|"
    for line in text.replace("\n", "\r").split("\r"):
        fields = line.split(separator)
        if fields[0] == "MSA":
            return Acknowledgement(data, *[*fields[1:3], "", ""][:2])
    return Acknowledgement(data, "", "")


def control_id_of(message: bytes) -> str:
    """MSH-10 of a message, as an acknowledgement quotes it; "" when it has none."""
    line = re.split(rb"[\r\n]", strip_framing(message), maxsplit=1)[0]
    fields = line.split(line[3:4] or b"|")
    # What no block may hold is left out of the answer too.
    return fields[9].translate(None, b"\x00\x0b\x1c").decode("latin-1") if len(fields) > 9 else ""


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
        """Send one message and wait for its ACK. Raises NoAnswer; ConnectionError when nothing was sent."""
        reader, writer = await self._connected()
        frames, others = FrameReader(), 0
        try:
            async with asyncio.timeout(self._wait):
                writer.write(framed(message))
                await writer.drain()
                while data := await reader.read(1 << 16):
                    frames.feed(data)
                    while (block := frames.next_block()) is not None:
                        answer = read_acknowledgement(block)
                        if answer.answers(message):
                            return answer
                        others += 1
                raise ConnectionResetError
        except (OSError, TimeoutError, FrameTooLong) as lost:
            self.close()
            why = f"no answer within {self._wait:g} s" if isinstance(lost, TimeoutError) else type(lost).__name__
            seen = f"; {others} of other messages came" if others else ""
            raise NoAnswer(f"no acknowledgement ({why}{seen}); sending the same message again is safe") from None

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is not None and self._streams[0].at_eof():
            self.close()
        if self._streams is None:
            try:
                async with asyncio.timeout(self._wait):
                    self._streams = await asyncio.open_connection(*self._address, ssl=self._context)
            except (OSError, TimeoutError) as failed:
                host, port = self._address
                # asyncio joins the refusals of several addresses (localhost has two) in one OSError's text, with numbers
                if isinstance(failed, ConnectionRefusedError) or f"[Errno {errno.ECONNREFUSED}]" in str(failed):
                    raise NobodyListens(f"nobody listens at {host}:{port}") from None
                if isinstance(failed, socket.gaierror):
                    raise ConnectionError(f"{host}: no such host") from None
                if isinstance(failed, TimeoutError):
                    raise ConnectionError(f"no answer within {self._wait:g} s from {host}:{port}") from None
                raise ConnectionError(f"cannot connect to {host}:{port} ({type(failed).__name__})") from None
        return self._streams
