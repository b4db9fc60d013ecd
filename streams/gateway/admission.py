"""What is decided about a message before it is acknowledged, and the record it becomes. Pure.

What decides it: spec 04 §2.1 steps 1-9, §3 (unknown sender, test messages), §6 (the record on `adt.raw`), 00 §9.2 (a
certificate speaks for its feeds). Nothing else may cause a negative answer: whether the stay can be notified is found out later and is not the sender's trouble. Of the
content only MSH and PID-3 are read.

Not here: the answer's bytes (`formats/hl7v2_ack.py`), waiting for Kafka (`acceptor.py`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from streams.formats.hl7v2 import Document, MessageRefused
from streams.kafka import records
from streams.messages.adt.admit import FeedOf, read_from_feed
from streams.messages.adt.feed import FeedProfile
from streams.words.times import utc_text

from .peer import Peer, check_certificate
from .shown import Masked, shown

__all__ = ["AdtRecord", "FeedOf", "KeyOf", "admit", "too_long", "too_slow"]

#: The record key of a message of a feed (00 §2.1): sixteen hex digits that tell nobody who it is about.
KeyOf = Callable[[Document, FeedProfile], str]


@dataclass(frozen=True, slots=True)
class AdtRecord:
    """One record for `adt.raw`: the bytes as received, the person's key, headers without patient data."""

    key: str
    feed: str
    value: bytes
    headers: records.Headers
    document: Document

    def __repr__(self) -> str:
        return f"AdtRecord({len(self.value)} bytes)"


def admit(block: bytes, peer: Peer, feed_of: FeedOf, key_of: KeyOf, masked: Masked, received: datetime) -> AdtRecord:
    """The record for one block of `peer` received at `received`. Raises `MessageRefused`, which says what to answer."""
    document, feed = read_from_feed(block, feed_of)
    check_certificate(feed, peer)
    return AdtRecord(key_of(document, feed), feed.key, block, _headers(document, feed.key, masked, received), document)


def too_long(limit: int) -> MessageRefused:
    """The refusal of a block over the limit (spec 04 §5.1): its form is not taken, resending does not cure it."""
    problem, remedy = f"the message is longer than {limit} bytes", "send it without embedded documents"
    return _by_rule("too-large", MessageRefused("AR", "207", problem, remedy))


def too_slow() -> MessageRefused:
    """The refusal of a block that was not whole in time (spec 04 §5.1). It has no answer: sending it again may cure it."""
    problem, remedy = "the message was not whole in time", "send each message without pauses"
    return _by_rule("too-slow", MessageRefused(None, "207", problem, remedy))


def _by_rule(rule: str, refused: MessageRefused) -> MessageRefused:
    """The refusal under our own reason code, where that of table 0357 says too little."""
    refused.rule = rule
    return refused


def _headers(document: Document, feed: str, masked: Masked, received: datetime) -> records.Headers:
    """Headers of spec 04 §6 and 00 §4.4. The trace begins here and is that of the bytes: a resend shares it."""
    own = {
        "hl7-control-id": shown("control-id", document.control_id, masked),
        "hl7-trigger": shown("trigger", document.trigger, masked),
        "hl7-version": shown("version", document.version, masked),
        "hl7-charset": document.charset,
        "received-at": utc_text(received),
        "feed": feed,
        "payload-sha256": document.sha256,
    }
    return records.headers(
        message_id=document.sha256,
        event_type="adt",
        schema="hl7-v2-er7",
        content_type="application/hl7-v2",
        more=tuple((name, text.encode()) for name, text in own.items()),
    )
