"""What is decided about a block: taken or refused, the record or the dead letter that it becomes, its answer, its report.

What decides it: spec 04 §2.1 steps 1-9, §3 (unknown sender, test messages), §5.2 (the answer), §6 (the record on
`adt.raw`), 00 §9.2 (a certificate speaks for its feeds, decision 0021). Nothing else may cause a negative answer:
whether the stay can be notified is found out later and is not the sender's trouble. Of the content only MSH and PID-3
are read.

`AA` means that the bytes are durably on Kafka and nothing more. What sending again can cure (Kafka away, slow) gets no
answer and the connection is closed: the engine resends and intake absorbs the duplicate. A duplicate is answered like
its first copy; the gateway remembers nothing. `AE` and `AR` mean that the bytes lie in `dead.letters` and are counted:
the sender does not send them again. An acknowledgement has no answer (00 §8.5).

No CPR number, name or address stands in any key, header, log or metric (design §4). MSH is the sender's to fill: a
control id may be a CPR number or a letter of a megabyte. So words of a sender are shown in their allowed form, or as a
hash, which is keyed, because the ten digits of a CPR number are found from a plain one in a second. A report holds
lengths, counts, the feed, the trigger, the peer and the code of a refusal (spec 04 §5.1); `report_to` makes log lines
and figures of them. What a stranger can cause as often as he likes is one line per peer and reason in ten seconds.

Not here: the answer's bytes (`formats/hl7v2_ack.py`), the producer (`run.py`).
"""

import asyncio
import hashlib
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Container, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, Protocol, TypedDict, Unpack

from streams.formats.hl7v2 import Document, MessageRefused
from streams.formats.hl7v2_ack import acknowledgement, is_acknowledgement, sent_control_id
from streams.kafka import records
from streams.kafka.records import ProducerRecord, Record
from streams.kafka.topics import ADT_RAW, LEDGER
from streams.messages.adt.feed import FeedOf, FeedProfile, read_from_feed
from streams.operations.metrics import Metrics
from streams.records.ledger import event_row, to_json
from streams.words.model import Fate, Outcome
from streams.words.times import utc_text

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


class ForeignCertificate(MessageRefused):
    """The peer speaks for a feed that is not its own; `feed` is the one it claims to be."""

    def __init__(self, feed: str) -> None:
        problem = "the certificate of this connection may not send as MSH-3 and MSH-4"
        remedy = "connect with a certificate of this feed, or have its name registered"
        super().__init__("AR", "207", problem, remedy, field=3)
        self.rule, self.feed = "foreign-certificate", feed


@dataclass(frozen=True, slots=True)
class Peer:
    """`address` without port. `names` is None where no certificate is asked for: on loopback only."""

    address: str
    names: frozenset[str] | None = None
    fingerprint: str = ""  # the certificate, as 16 hex digits of its SHA-256

    def label(self, known: Container[str]) -> str:
        """How logs and headers call the peer: a name only when a register knows it, for others may be of persons."""
        if self.names is None:
            return self.address
        name = next((name for name in sorted(self.names) if name in known), f"sha256:{self.fingerprint}")
        return f"{self.address} {name}"


#: A sender on this machine, without a certificate.
LOCAL = Peer("127.0.0.1")


def names_of(certificate: Mapping[str, Any]) -> frozenset[str]:
    """The names in a certificate as `ssl.SSLSocket.getpeercert` gives it, in lower case.

    They are the subject's common name and the alternative names of kind DNS and URI (RFC 5280 §4.2.1.6), compared
    without regard to case; the authority that signs them answers for them.
    """
    common = [value for relative in certificate.get("subject", ()) for key, value in relative if key == "commonName"]
    others = [value for kind, value in certificate.get("subjectAltName", ()) if kind in ("DNS", "URI")]
    return frozenset(name.lower() for name in (*common, *others) if name)


#: A keyed hash of a text, as 16 hex digits: `Ids.masked`.
Masked = Callable[[str], str]
Word = Literal["control-id", "trigger", "version"]

_FORMS: Final[Mapping[Word, re.Pattern[str]]] = {
    "control-id": re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+=/-]{0,63}"),  # MSH-10: 20 characters, 199 from 2.7
    "trigger": re.compile(r"[A-Z][A-Z0-9]{2}"),  # MSH-9.2, table 0003
    "version": re.compile(r"2(\.[0-9]){1,2}"),  # MSH-12, table 0104
}
#: Six digits that begin like a date, then four, wherever they stand (spec 05 §2.1).
_CPR_SHAPED: Final = re.compile(r"(?<![0-9])[0-3][0-9][01][0-9]{3}-?[0-9]{4}(?![0-9])")


def shown(word: Word, text: str, masked: Masked) -> str:
    """`text` when it has the form of its kind and nothing of a person in it, else `hash:` and its keyed hash; "" as is."""
    if not text or (_FORMS[word].fullmatch(text) and not _CPR_SHAPED.search(text)):
        return text
    return f"hash:{masked(text)}"


#: The record key of a message of a feed (00 §2.1): sixteen hex digits that do not give away whom it is about.
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
    """The record for one block of `peer` received at `received`. Raises `MessageRefused`, which holds the answer.

    Headers: spec 04 §6 and 00 §4.4. The trace begins here and is that of the bytes: a resend shares it.
    """
    document, feed = read_from_feed(block, feed_of)
    if peer.names is not None and peer.names.isdisjoint(feed.senders):
        raise ForeignCertificate(feed.key)
    own = {
        "hl7-control-id": shown("control-id", document.control_id, masked),
        "hl7-trigger": shown("trigger", document.trigger, masked),
        "hl7-version": shown("version", document.version, masked),
        "hl7-charset": document.charset,
        "received-at": utc_text(received),
        "feed": feed.key,
        "payload-sha256": document.sha256,
    }
    headers = records.headers(
        message_id=document.sha256,
        event_type="adt",
        schema="hl7-v2-er7",
        content_type="application/hl7-v2",
        more=tuple((name, text.encode()) for name, text in own.items()),
    )
    return AdtRecord(key_of(document, feed), feed.key, block, headers, document)


_STAGE = "gateway"
#: Facts of a record that has a place on a topic; a refused message has none.
_OF_A_PLACE = frozenset({"dlq.original-partition", "dlq.original-offset", "dlq.original-timestamp"})


@dataclass(frozen=True, slots=True)
class GatewayRefusal:
    """One message that is not taken, as records: a dead letter with the bytes, and the row of the balance.

    It never reaches `adt.raw`, so it has no topic, partition and offset to be known by. Its origin is who sent what:
    peer, MSH-10 and a hash of the bytes. The same bytes sent again by the same peer are the same refusal, so that a step
    that breaks off between letter and row is healed by the resend (decision 0021).

    `whole`: `block` is all of the message; else it is as much as came or was read.
    """

    block: bytes
    why: MessageRefused
    peer: str  # as `Peer.label`
    control_id: str  # as `shown`; "" where none can be read
    at: datetime
    whole: bool = True

    def __repr__(self) -> str:
        return f"GatewayRefusal({self.origin})"

    @property
    def origin(self) -> str:
        """What the refusal is known by in `dead.letters` and in the balance."""
        return f"gateway/{self.peer}/{self.control_id or '-'}/{hashlib.sha256(self.block).hexdigest()[:16]}"

    def dead_letter(self, version: str = "") -> ProducerRecord:
        """The bytes and why; sending it again puts it on `adt.raw`, where intake keys it by its person."""
        headers = records.headers(
            message_id=self.origin,
            event_type="adt",
            schema="hl7-v2-er7",
            content_type="application/hl7-v2",
            more=(
                ("hl7-control-id", self.control_id.encode()),
                ("received-at", utc_text(self._moment).encode()),
                ("peer", self.peer.encode()),
            ),
        )
        key = hashlib.sha256(self.origin.encode()).hexdigest()[:16].encode()
        record = Record(ADT_RAW, -1, -1, key, self.block, headers)
        letter = records.dead_letter(record, self.why, stage=_STAGE, at=self._moment, version=version)
        own = [("dlq.origin", self.origin.encode())]
        if not self.whole:
            own.append(("dlq.value-cut", str(len(self.block)).encode()))
        kept = (header for header in letter.headers if header[0] not in _OF_A_PLACE)
        return letter._replace(headers=(*kept, *own))

    def row(self) -> ProducerRecord:
        """The row that counts it as refused (00 §5)."""
        outcome = Outcome(fate=Fate.REFUSED, reason=self.why.rule)
        row = event_row(self._moment, self.origin, outcome, 0)
        headers = records.headers(
            message_id=row.id, event_type=f"ledger.{row.kind}", schema="ledger-row", content_type="application/json"
        )
        return ProducerRecord(LEDGER, row.subject.encode(), to_json(row), headers)

    @property
    def _moment(self) -> datetime:
        """To the millisecond, as in a header: letter and row belong to the same period."""
        return self.at.replace(microsecond=self.at.microsecond // 1000 * 1000)


class Unconfirmed(Exception):
    """The log does not confirm a record: it may be there or not, so no answer may claim that it is."""


#: Returns once the record is written with acks=all. Raises Unconfirmed.
Publish = Callable[[AdtRecord], Awaitable[None]]

#: Returns once dead letter and ledger row are written with acks=all. Raises Unconfirmed.
WriteRefusal = Callable[[GatewayRefusal], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class BlockAnswer:
    """What goes back for one block: the bytes of the ACK, or None for none; and whether the connection ends."""

    ack: bytes | None
    close: bool = False


@dataclass(frozen=True)
class FrontDesk:
    """Accepts or refuses each block. `application` and `facility` are what we call ourselves in MSH-3 and MSH-4.

    `known`: the certificate names of all feeds, which may be shown.
    """

    feed_of: FeedOf
    key_of: KeyOf
    masked: Masked
    publish: Publish
    write_refusal: WriteRefusal
    report: GatewayReport
    confirm: timedelta = timedelta(seconds=10)
    known: Container[str] = frozenset()
    application: str = "STAFET"
    facility: str = "STAFET"
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    new_id: Callable[[], str] = lambda: secrets.token_hex(10)  # 20 characters: the length of MSH-10 in every version

    async def accept(self, block: bytes, peer: Peer) -> BlockAnswer:
        """The answer to one block; `AA` only after its bytes are durably on Kafka."""
        if is_acknowledgement(block):
            self.report("gateway.acknowledgement", length=len(block), peer=peer.label(self.known))
            return BlockAnswer(None)
        try:
            record = admit(block, peer, self.feed_of, self.key_of, self.masked, self.now())
        except MessageRefused as refused:
            return await self._refuse(block, refused, peer)
        begun = time.monotonic()
        if not await self._confirmed(self.publish(record)):
            return BlockAnswer(None, close=True)
        waited = (time.monotonic() - begun) * 1000
        self.report("gateway.accepted", feed=record.feed, length=len(block), wait_ms=waited)
        return BlockAnswer(self._ack(record.document, "AA"))

    async def too_long(self, head: bytes, limit: int, peer: Peer) -> BlockAnswer:
        """The answer to a block over the limit, of which only the first `limit` bytes are known (spec 04 §5.1).

        Its form is not taken, so resending does not cure it. Where it ends is not known, so the connection ends.
        """
        problem, remedy = f"the message is longer than {limit} bytes", "send it without embedded documents"
        refused = MessageRefused("AR", "207", problem, remedy)
        refused.rule = "too-large"  # that of table 0357 is too coarse
        answer = await self._refuse(head, refused, peer, whole=False)
        return BlockAnswer(answer.ack, close=True)

    async def too_slow(self, begun: bytes, peer: Peer) -> None:
        """Keeps what has come of a block that was not whole in time (spec 04 §5.1); of a mere start byte there is nothing.

        It has no answer: sending it again may cure it.
        """
        if not begun:
            return
        refused = MessageRefused(None, "207", "the message was not whole in time", "send each message without pauses")
        refused.rule = "too-slow"  # that of table 0357 is too coarse
        await self._refuse(begun, refused, peer, whole=False)

    async def _refuse(self, block: bytes, refused: MessageRefused, peer: Peer, *, whole: bool = True) -> BlockAnswer:
        """The negative answer, once Kafka has what is refused; no answer at all when it has not."""
        control_id = shown("control-id", sent_control_id(block).strip(), self.masked)
        label = peer.label(self.known)
        refusal = GatewayRefusal(block, refused, label, control_id, self.now(), whole)
        if not await self._confirmed(self.write_refusal(refusal)):
            return BlockAnswer(None, close=True)
        feed = refused.feed if isinstance(refused, ForeignCertificate) else ""
        self.report("gateway.refused", code=refused.code, reason=refused.rule, length=len(block), peer=label, feed=feed)
        if refused.ack is None:  # no answer can be formed: closing shows the sender sooner than its own time limit
            return BlockAnswer(None, close=True)
        return BlockAnswer(self._ack(block, refused.ack, refused))

    async def _confirmed(self, writing: Awaitable[None]) -> bool:
        """Whether Kafka has it within the time; reports when it has not."""
        try:
            async with asyncio.timeout(self.confirm.total_seconds()):
                await writing
        except (Unconfirmed, TimeoutError) as failed:
            self.report("gateway.unconfirmed", why=str(failed) or type(failed).__name__)
            return False
        return True

    def _ack(
        self, message: Document | bytes, code: Literal["AA", "AE", "AR"], refused: MessageRefused | None = None
    ) -> bytes | None:
        return acknowledgement(
            message,
            code,
            refused=refused,
            now=self.now(),
            control_id=self.new_id(),
            application=self.application,
            facility=self.facility,
        )
