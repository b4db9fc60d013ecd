"""MLLP framing: where a message begins and ends in a stream of bytes.

What decides it: HL7 Minimal Lower Layer Protocol, release 1 (spec 04 §5.1). A block is `0x0B` payload `0x1C 0x0D`, one
block is one message. Theory of operation: `feed` what the socket gave, in pieces of any size; take whole blocks with
`next_block` until it returns None. Pulling, not pushing, is what lets the server leave the next block where it is
until the previous one has its answer (the back-pressure of §5.1).

Not here: what a payload means (`formats/hl7v2.py`), sockets and time limits (`server.py`). A control byte inside the
payload is the reader's to refuse (§2.1 step 3).
"""

__all__ = ["BLOCK_LIMIT", "FrameReader", "FrameTooLong", "framed"]

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
