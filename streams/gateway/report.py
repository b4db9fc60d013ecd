"""What the gateway says of itself: every event by name, never a word of a message.

Lengths, counts, the feed, the trigger and the code of a refusal are all that may be told (spec 04 §5.1, design §4): no
field of a message, no address of a patient, no control id of an unknown sender. The runner turns these events into
log lines and metrics (`publisher.py` and `server.py` only call).
"""

from typing import Literal, Protocol, TypedDict, Unpack

__all__ = ["Event", "Fields", "Report", "silent"]

Event = Literal[
    "gateway.listening",
    "gateway.connected",
    "gateway.disconnected",
    "gateway.accepted",  # AA: durably on Kafka
    "gateway.refused",  # AE, AR, or no answer possible
    "gateway.unconfirmed",  # Kafka did not confirm in time: no answer, connection closed
    "gateway.too-long",
    "gateway.silent",  # a block stopped half-way for longer than the limit
    "gateway.partial",  # the stream ended inside a block
    "gateway.noise",  # bytes before the start byte
    "gateway.reset",
    "gateway.fault",  # ours
    "gateway.drained",
]


class Fields(TypedDict, total=False):
    """What may stand beside an event."""

    feed: str
    trigger: str  # only of the table in spec 04 §4.1, else "other"
    code: str  # table 0357
    length: int  # bytes
    open: int  # connections
    port: int
    why: str  # class of an exception
    wait_ms: float  # until Kafka confirmed


class Report(Protocol):
    """Takes one event."""

    def __call__(self, event: Event, **fields: Unpack[Fields]) -> None:
        """Log and count `event`."""
        ...


def silent(event: Event, **fields: Unpack[Fields]) -> None:
    """Report nowhere: for tests and simulators."""
