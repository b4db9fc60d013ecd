"""What the gateway says of itself: every event by name, never a word of a message.

Lengths, counts, the feed, the trigger and the code of a refusal are all that may be told (spec 04 §5.1, design §4): no
field of a message, no address of a patient, no control id of an unknown sender. `told` makes log lines and
figures of them.
"""

from collections.abc import Mapping
from typing import Any, Literal, Protocol, TypedDict, Unpack

from streams.metrics import Metrics

__all__ = ["Event", "Fields", "Report", "silent", "told"]

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


#: What someone should look at; all else is the day's work.
_WARNINGS: frozenset[Event] = frozenset(
    {
        "gateway.refused",
        "gateway.unconfirmed",
        "gateway.too-long",
        "gateway.silent",
        "gateway.partial",
        "gateway.noise",
    }
)

#: How a block ended, as the metric calls it.
_RESULTS: Mapping[Event, str] = {
    "gateway.accepted": "accepted",
    "gateway.refused": "refused",
    "gateway.unconfirmed": "unconfirmed",
}


def told(log: Any, metrics: Metrics) -> Report:
    """Reports as log lines of `log` (`streams.logs.get`) and as the figures of the gateway."""

    def report(event: Event, **fields: Unpack[Fields]) -> None:
        say = log.error if event == "gateway.fault" else log.warning if event in _WARNINGS else log.info
        say(event, **fields)
        if event in _RESULTS:
            metrics.count("stafet_gateway_messages_total", feed=fields.get("feed", ""), result=_RESULTS[event])
        if "open" in fields:
            metrics.set("stafet_gateway_connections", fields["open"])

    return report


def silent(event: Event, **fields: Unpack[Fields]) -> None:
    """Report nowhere: for tests and simulators."""
