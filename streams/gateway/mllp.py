"""MLLP: where a message begins and ends in a stream of bytes, who may connect, and the sending side.

What decides it: HL7 Minimal Lower Layer Protocol, release 1 (spec 04 §5.1). A block is `0x0B` payload `0x1C 0x0D`, one
block is one message. `feed` a `FrameReader` what the socket gave, in pieces of any size; take whole blocks with
`next_block` until it returns None. Pulling, not pushing, is what lets the server leave the next block where it is
until the previous one has its answer (the back-pressure of §5.1). A control byte inside the payload is the reader's to
refuse (§2.1 step 3).

TLS 1.2 or newer with client certificates is for every feed (§5.1); plain text is for the loopback interface only, and each
feed names the certificates that may send as it (00 §9.2: `admission.py`, decision 0021).

A message that is sent and gets no ACK has an unknown fate: it may be on Kafka or not. So nothing is repeated in silence:
`NoAnswer` is raised, and the caller decides to send the same bytes again, which the receiver's duplicate check absorbs
(§5.5). Only the ACK whose MSA-2 is our MSH-10 counts (00 §8.5).
"""

import asyncio
import errno
import ipaddress
import re
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from streams.formats.hl7v2 import strip_framing
from streams.messages.adt.feed import FeedProfile

START = b"\x0b"
END = b"\x1c\r"

#: Longest payload in bytes: 1 MiB (spec 04 §5.1). A notification event is about 1 kB; what is a thousand times longer
#: carries documents, and those do not belong in this feed.
BLOCK_LIMIT = 1 << 20


class FrameTooLong(Exception):
    """A block is longer than the limit; nothing after it can be read. `head`: its first `limit` bytes, for the ACK."""

    def __init__(self, limit: int, head: bytes) -> None:
        super().__init__(f"block longer than {limit} bytes; send smaller messages or raise the limit of the gateway")
        self.limit, self.head = limit, head


def framed(payload: bytes) -> bytes:
    """The payload as one MLLP block."""
    return START + payload + END


class FrameReader:
    """Cuts one connection's bytes into payloads; the result does not depend on how the stream was cut."""

    def __init__(self, limit: int = BLOCK_LIMIT) -> None:
        self._buffer = bytearray()
        self._limit = limit
        self._inside = False
        self._searched = 0  # no end lies before it: a block that trickles in is searched once, not once per piece
        self._noise = 0

    @property
    def inside(self) -> bool:
        """Whether a block has begun and its end has not been seen: the time limit between bytes runs (§5.1)."""
        return self._inside

    @property
    def partial(self) -> int:
        """Bytes of a block that has begun and not ended: what is lost when the stream ends here."""
        return len(self._buffer) if self._inside else 0

    @property
    def begun(self) -> bytes:
        """The bytes of a block that has begun and not ended, as far as the limit."""
        return bytes(self._buffer[: self._limit]) if self._inside else b""

    def take_noise(self) -> int:
        """Bytes dropped before `0x0B` since the last call; some senders put CR between blocks (§5.1)."""
        noise, self._noise = self._noise, 0
        return noise

    def feed(self, data: bytes) -> None:
        """Add what the socket gave."""
        self._buffer += data

    def next_block(self) -> bytes | None:
        """The next whole payload, or None until more is fed. Raises FrameTooLong, and then for ever."""
        if not self._inside:
            start = self._buffer.find(START)
            noise = len(self._buffer) if start < 0 else start
            self._noise += noise
            del self._buffer[: noise + len(START)]
            if start < 0:
                return None
            self._inside = True
        end = self._buffer.find(END, self._searched)
        self._searched = max(0, len(self._buffer) - 1)  # a `0x1C` at the very end may be half of the terminator
        length = end if end >= 0 else len(self._buffer) - self._buffer.endswith(END[:1])
        if length > self._limit:
            self._searched = 0
            raise FrameTooLong(self._limit, bytes(self._buffer[: self._limit]))
        if end < 0:
            return None
        block = bytes(self._buffer[:end])
        del self._buffer[: end + len(END)]
        self._inside, self._searched = False, 0
        return block


class TlsProblem(Exception):
    """The listener cannot be opened as configured; the text names the setting to give."""


@dataclass(frozen=True, slots=True)
class ServerTls:
    """PEM files of the gateway: its certificate chain and key, and the authority whose clients it lets in.

    Without an authority every client may connect, which is accepted on loopback only.
    """

    cert: Path
    key: Path
    client_ca: Path | None


@dataclass(frozen=True, slots=True)
class ClientTls:
    """PEM files of a sender: the authority it trusts (None: the system's), its own certificate and key."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


def is_loopback(host: str) -> bool:
    """Whether nothing but this machine can connect to `host`; a name other than `localhost` is not trusted to be."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def server_context(host: str, tls: ServerTls | None) -> ssl.SSLContext | None:
    """The context to listen with on `host`; None is plain text. Raises TlsProblem."""
    if not is_loopback(host) and (tls is None or tls.client_ca is None):
        raise TlsProblem(
            "only loopback is served without client certificates; set STAFET_GATEWAY_TLS_CERT, _KEY and _CLIENT_CA,"
            " or listen on 127.0.0.1"
        )
    if tls is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    _load(context, tls.cert, tls.key, tls.client_ca)
    return context


def unnamed(feeds: Iterable[FeedProfile]) -> str:
    """What to do about feeds that do not name the certificates that may send as them; empty when all do.

    With an authority for clients the start is refused then: to take nothing from such a feed would look like a hospital
    that is silent, and to take it from every certificate is what 00 §9.2 forbids.
    """
    silent = sorted(feed.key for feed in feeds if feed.certificates is None)
    if not silent:
        return ""
    return (
        f"no certificate names for {', '.join(silent)}: with STAFET_GATEWAY_TLS_CLIENT_CA each feed names those that may"
        ' send as it; write certificates = ["name"] in its file under feeds/, or certificates = [] where it does not'
        " come by the gateway"
    )


def client_context(tls: ClientTls) -> ssl.SSLContext:
    """The context to connect with; the server's name is checked. Raises TlsProblem."""
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(context, tls.cert, tls.key, tls.ca)
    return context


def _load(context: ssl.SSLContext, cert: Path | None, key: Path | None, ca: Path | None) -> None:
    """Files as an operator gives them: a missing or broken one is named, its content never."""
    try:
        if cert is not None:
            context.load_cert_chain(cert, key)
        if ca is not None:
            context.load_verify_locations(ca)
    except (OSError, ssl.SSLError) as broken:
        names = ", ".join(str(path) for path in (cert, key, ca) if path is not None)
        raise TlsProblem(
            f"certificate, key or authority cannot be used ({names}): {broken.__class__.__name__}"
        ) from None


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
