"""What is decided about a message before it is acknowledged, and the record it becomes. Pure.

What decides it: spec 04 §2.1 steps 1-9, §3 (unknown sender, test messages), §6 (the record on `adt.raw`). Nothing else
may cause a negative answer: whether the stay can be notified is found out later and is not the sender's trouble. Of the
content only MSH and PID-3 are read.

Not here: the answer's bytes (`formats/hl7v2_ack.py`), waiting for Kafka (`acceptor.py`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from streams.formats.hl7v2 import Document, Refused, parse, read
from streams.times import utc_text

__all__ = ["AdtRecord", "KeyOf", "Sender", "Senders", "admit", "too_long"]

#: MSH-11 (HL7 v2 table 0103): training and debugging are tests as well.
_TEST_PROCESSING = frozenset({"T", "D"})


@dataclass(frozen=True, slots=True)
class Sender:
    """What the gateway must know of a feed: its name, whether it sends tests, the character set forced upon it."""

    feed: str
    test: bool = False
    charset: str | None = None


#: (MSH-3.1, MSH-4.1) -> the feed (spec 04 §3).
Senders = Mapping[tuple[str, str], Sender]

#: The record key of a message of a feed (00 §2.1): sixteen hex digits that tell nobody who it is about.
KeyOf = Callable[[Document, str], str]


@dataclass(frozen=True, slots=True)
class AdtRecord:
    """One record for `adt.raw`: the bytes as received, the person's key, headers without patient data."""

    key: str
    value: bytes
    headers: tuple[tuple[str, str], ...]
    document: Document

    def __repr__(self) -> str:
        return f"AdtRecord({len(self.value)} bytes)"


def admit(block: bytes, senders: Senders, key_of: KeyOf, received: datetime) -> AdtRecord:
    """The record for one block received at `received`. Raises `Refused`, which says what to answer."""
    document = read(block, charset=_forced_charset(block, senders))
    sender = _sender(document, senders)
    if sender is None:
        raise Refused("AR", "207", "unknown sender", "send from an application and facility agreed with us", field=3)
    if document.header.text(11) in _TEST_PROCESSING and not sender.test:
        raise Refused("AR", "202", "a test message on a production feed", "send tests to the test feed", field=11)
    return AdtRecord(key_of(document, sender.feed), block, _headers(document, sender, received), document)


def too_long(limit: int) -> Refused:
    """The refusal of a block over the limit (spec 04 §5.1): its form is not taken, resending does not cure it."""
    return Refused("AR", "207", f"the message is longer than {limit} bytes", "send it without embedded documents")


def _sender(document: Document, senders: Senders) -> Sender | None:
    return senders.get((document.header.text(3), document.header.text(4)))


def _forced_charset(block: bytes, senders: Senders) -> str | None:
    """A feed may override MSH-18 (spec 04 §2.2): who sends must then be known before the text is decoded."""
    if all(sender.charset is None for sender in senders.values()):
        return None
    sender = _sender(parse(block, charset="latin-1"), senders)
    return None if sender is None else sender.charset


def _headers(document: Document, sender: Sender, received: datetime) -> tuple[tuple[str, str], ...]:
    """Headers of spec 04 §6 and 00 §4.4. The trace begins here and is that of the bytes: a resend shares it."""
    digest = document.sha256
    return (
        ("message-id", digest[:32]),
        ("event-type", f"adt.{document.trigger}"),
        ("schema", "hl7-v2-er7"),
        ("content-type", "application/hl7-v2"),
        ("traceparent", f"00-{digest[:32]}-{digest[32:48]}-01"),
        ("hl7-control-id", document.control_id),
        ("hl7-trigger", document.trigger),
        ("hl7-version", document.header.text(12)),
        ("hl7-charset", document.charset),
        ("received-at", utc_text(received)),
        ("feed", sender.feed),
        ("payload-sha256", digest),
    )
