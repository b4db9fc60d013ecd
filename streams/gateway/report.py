"""What the gateway reports: every event by name, never a word of a message.

Lengths, counts, the feed, the trigger, the peer and the code of a refusal are all that may be shown (spec 04 §5.1, design
§4): no field of a message, no address of a patient, no control id of an unknown sender. `report_to` makes log lines and
figures of them. What a stranger can cause as often as he likes is one line per peer and reason in ten seconds.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol, TypedDict, Unpack

from streams.operations.metrics import Metrics

__all__ = ["Event", "GatewayFields", "GatewayReport", "report_to", "silent"]

Event = Literal[
    "gateway.listening",
    "gateway.connected",
    "gateway.disconnected",
    "gateway.accepted",  # AA: durably on Kafka
    "gateway.refused",  # AE, AR, or no answer possible
    "gateway.unconfirmed",  # Kafka did not confirm in time: no answer, connection closed
    "gateway.too-long",
    "gateway.slow",  # a block was not whole in time
    "gateway.silent",  # the peer does not take its answers
    "gateway.acknowledgement",  # of a message that is none of ours: it has no answer (00 §8.5)
    "gateway.turned-away",  # too many connections or handshakes
    "gateway.handshake-failed",
    "gateway.exhausted",  # no file descriptor for a connection that waits
    "gateway.partial",  # the stream ended inside a block
    "gateway.noise",  # bytes before the start byte
    "gateway.reset",
    "gateway.fault",  # ours
    "gateway.drained",
]


class GatewayFields(TypedDict, total=False):
    """What may stand beside an event."""

    feed: str
    trigger: str  # only of the table in spec 04 §4.1, else "other"
    code: str  # table 0357
    reason: str  # why a message was refused: our own code, or that of the table
    length: int  # bytes
    open: int  # connections
    port: int
    why: str  # class of an exception, or a word of ours
    peer: str  # address, and the name of its certificate when a register knows it, else its fingerprint
    count: int  # lines like it that were kept back since the last
    wait_ms: float  # until Kafka confirmed


class GatewayReport(Protocol):
    """Takes one event."""

    def __call__(self, event: Event, **fields: Unpack[GatewayFields]) -> None:
        """Log and count `event`."""
        ...


#: What an operator should look at; all else is the day's work.
_WARNINGS: frozenset[Event] = frozenset(
    {
        "gateway.refused",
        "gateway.unconfirmed",
        "gateway.too-long",
        "gateway.slow",
        "gateway.silent",
        "gateway.partial",
        "gateway.noise",
        "gateway.acknowledgement",
        "gateway.turned-away",
        "gateway.handshake-failed",
        "gateway.exhausted",
    }
)

#: How a block ended, as the metric calls it.
_RESULTS: Mapping[Event, str] = {
    "gateway.accepted": "accepted",
    "gateway.refused": "refused",
    "gateway.unconfirmed": "unconfirmed",
    "gateway.acknowledgement": "acknowledgement",
}

#: Connections that were not served -> why, as the metric calls it; turned-away names it itself.
_UNSERVED: Mapping[Event, str] = {
    "gateway.turned-away": "",
    "gateway.handshake-failed": "handshake-failed",
    "gateway.exhausted": "no-file-descriptor",
}

_EVERY_S = 10.0
_MOST_KEYS = 1024  # a stranger may have many addresses; beyond this the rest share one line


class _Sparing:
    """Which lines are due: one per key in ten seconds, and how many were kept back before it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last: dict[tuple[str, ...], tuple[float, int]] = {}

    def kept_back(self, *key: str) -> int | None:
        """How many lines like it were kept back since the last; None when this one is to be kept back too."""
        now = self._clock()
        if key not in self._last and len(self._last) >= _MOST_KEYS:
            self._last = {each: seen for each, seen in self._last.items() if now - seen[0] < _EVERY_S}
            if len(self._last) >= _MOST_KEYS:
                key = (key[0],)
        at, count = self._last.get(key, (float("-inf"), 0))
        due = now - at >= _EVERY_S
        self._last[key] = (now, 0) if due else (at, count + 1)
        return count if due else None


def report_to(log: Any, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> GatewayReport:
    """Reports as log lines of `log` (`streams.logs.get`) and as the figures of the gateway."""
    sparing = _Sparing(clock)

    def report(event: Event, **fields: Unpack[GatewayFields]) -> None:
        reason = fields.get("reason", "")
        if event in _RESULTS:
            metrics.count("stafet_gateway_messages_total", feed=fields.get("feed", ""), result=_RESULTS[event])
        if event == "gateway.refused":
            metrics.count("stafet_events_total", fate="refused", reason=reason)
            metrics.count("stafet_dead_letters_total", stage="gateway", reason=reason)
        if "open" in fields:
            metrics.set("stafet_gateway_connections", fields["open"])
        if event in _UNSERVED:
            why = fields.get("why", "")
            metrics.count("stafet_gateway_unserved_total", reason=_UNSERVED[event] or why)
            kept_back = sparing.kept_back(event, fields.get("peer", ""), why)
            if kept_back is None:
                return
            if kept_back:
                fields["count"] = kept_back
        write = log.error if event == "gateway.fault" else log.warning if event in _WARNINGS else log.info
        write(event, **fields)

    return report


def silent(event: Event, **fields: Unpack[GatewayFields]) -> None:
    """Reports nothing: for tests and simulators."""
