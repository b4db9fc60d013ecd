"""Reading all topics once, from the oldest record kept to the newest, and the part of them that is judged together.

Plain aiokafka: no group, nothing committed, no codec of ours. Upstream topics are closed first: what arrives while the
others are being read is not in the book, and rows about it are left out (`Cohort`). What is under way at that moment
shows as a difference; look again, or at rest (03 §6.5).

Cohort of spec 06 §3.4: events *received* in the period, followed to now, so that the sum can close whatever the clock
of the source shows. Not here: equations (`reconcile.py`), how a record is opened (`evidence.py`).
"""

import base64
import contextlib
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import TopicAuthorizationFailedError

from streams.kafka.clients import AIOKafkaConsumer, partitions_of

from .evidence import (
    GATEWAY,
    InboxLetter,
    Quoted,
    TopicRecord,
    is_network_receipt,
    lane_of_letter,
    ledger_row_of,
    letter_source_of,
    moment_of,
    open_letter,
    position_of,
    quoted,
    received_at,
    row_of,
    source_of,
)

Row = Mapping[str, Any]

#: Where hospitals send.
SOURCES = ("adt.raw", "letters.raw")

#: Feed and control id: what a hospital calls a message.
Source = tuple[str, str]

#: Topic and partition.
Partition = tuple[str, int]


@dataclass(frozen=True, slots=True)
class ReceiptArrival:
    """One record of a topic of receipts."""

    at: datetime | None
    network: bool
    answer: Quoted | None


class Book:
    """All records, sorted by what they are; repeated ledger ids are dropped, as every reader does (03 §6.1)."""

    def __init__(self, records: Iterable[TopicRecord] = ()) -> None:
        self.raw: dict[str, datetime | None] = {}  # place -> received
        self.sources: dict[str, Source] = {}  # place -> sender's name for the message
        self.lane_events: dict[str, Source] = {}  # stay event id -> the message it is from
        self.inbox_records: dict[str, datetime | None] = {}  # place in an inbox -> received
        self.copies: set[tuple[str, str]] = set()  # MessageHeader.id and topic of a receiver
        self.answers: dict[str, datetime | None] = {}  # place of a receiver's receipt -> received
        self.returned: set[str] = set()  # ids of the answers on `receipts.raw`
        self.letters: dict[str, set[InboxLetter]] = defaultdict(set)  # MessageHeader.id -> dispatches
        self.inboxes: dict[str, set[str]] = defaultdict(set)  # MessageHeader.id -> topics
        self.archived: set[str] = set()  # MessageHeader.id of the copies in the archive's topic
        self.unopened: list[str] = []
        self.unread: list[str] = []  # records of `ledger` that are no rows
        self.receipts: dict[str, ReceiptArrival] = {}
        self.rows: dict[str, dict[str, Row]] = defaultdict(dict)  # kind -> id -> row
        self.others: dict[str, list[tuple[int, Row]]] = defaultdict(list)  # id -> (offset, row) of other content
        self.written: dict[str, int] = {}  # id of a message's row -> its first offset on `ledger`
        self.dead: dict[str, str] = {}  # origin -> place
        self.turned_away: dict[str, datetime | None] = {}  # refused before any topic had it: origin -> received
        self.positions: dict[Partition, int] = {}  # source partition -> the next offset that a worker has noted last
        self.went_back: set[Partition] = set()  # source partitions whose position has gone back
        self.unreadable: tuple[str, ...] = ()  # changelogs that this user may not read
        self.starts: dict[Partition, int] = {}  # oldest offset kept
        self.ends: dict[Partition, int] = {}  # first offset that was not read
        for record in records:
            self.add(record)

    def add(self, record: TopicRecord) -> None:
        """Take one record; of its value no more is kept than an id."""
        topic, place, value = record.topic, record.place, record.value
        if topic == "adt.raw":
            self.raw[place] = received_at(record)
            self.sources[place] = source_of(value)
        elif topic == "letters.raw":
            self.raw[place] = received_at(record)
            self.sources[place] = letter_source_of(value)
        elif topic == "lanes":
            lane = row_of(value) or {}
            event = lane.get("event")
            if lane.get("type") == "stay-event" and isinstance(event, dict) and isinstance(event.get("id"), str):
                # A letter does not name the feed that its location number belongs to.
                is_letter = str(event.get("origin", "")).startswith("letters.raw/")
                feed = "" if is_letter else str(event.get("feed", ""))
                self.lane_events.setdefault(event["id"], (feed, str(event.get("control_id", ""))))
        elif (
            topic.startswith("municipality.") and topic.endswith(".receipts") and topic.count(".") > 2
        ):  # of one receiver
            if not is_network_receipt(value):
                self.answers[place] = received_at(record)
        elif topic == "receipts.raw" or (topic.startswith("municipality.") and topic.endswith(".receipts")):
            self.returned.add(record.headers.get("message-id", ""))  # of the distributor's; others need have none
            self.receipts[place] = ReceiptArrival(received_at(record), is_network_receipt(value), quoted(value))
        elif topic == "ledger":
            self._add_row(record)
        elif topic == "dead.letters":
            if (origin := record.headers.get("dlq.origin", "")).startswith(GATEWAY):
                self.turned_away[origin] = received_at(record)
            else:
                parts = ("topic", "partition", "offset")
                origin = "/".join(record.headers.get(f"dlq.original-{part}", "?") for part in parts)
            self.dead[origin] = place
        elif topic == "archive":
            copy = open_letter(value)
            self.archived.add(place if copy is None else copy.message_id)
        elif topic.endswith(".inbox"):
            self.inbox_records[place] = received_at(record)
            if "selftest" not in record.headers:  # no event is behind such a letter
                self._add_letter(record)
        elif topic.startswith("municipality."):
            copy = open_letter(value)
            self.copies.add((place if copy is None else copy.message_id, topic))

    def _add_letter(self, record: TopicRecord) -> None:
        letter = open_letter(record.value)
        if letter is not None and letter.legacy:
            # It has an id of its own. The header names the message, which is in the same lane.
            named = record.headers.get("message-id", "")
            same = lane_of_letter(letter.message_id) == named[:8] != ""
            letter = replace(letter, message_id=named) if same else None
        if letter is None:
            if not is_network_receipt(record.value):  # ours, of the envelope of an acknowledgement: no message
                self.unopened.append(record.place)
        else:
            self.letters[letter.message_id].add(letter)
            self.inboxes[letter.message_id].add(record.topic)

    @property
    def distributed(self) -> set[str]:
        """The inboxes that a distributor reads, by its own notes."""
        return {topic for topic, _ in self.positions if topic.endswith(".inbox")}

    def note(self, place: Partition, position: int) -> None:
        """A worker's position in a source partition, in the order of the changelog."""
        if position < self.positions.get(place, 0):
            self.went_back.add(place)
        self.positions[place] = position

    def _add_row(self, record: TopicRecord) -> None:
        row = ledger_row_of(record.value)
        if row is None:
            self.unread.append(record.place)
            return
        name, rows = row["id"], self.rows[row["kind"]]
        if _content(rows.setdefault(name, row)) != _content(row):
            self.others[name].append((record.offset, row))
        elif row["kind"] == "message":
            self.written[name] = min(record.offset, self.written.get(name, record.offset))


def _content(row: Row) -> dict[str, Any]:
    """All of a row but its time: a step repeated after a crash may write the same a little later."""
    return {name: value for name, value in row.items() if name != "at" and value}


def origin_of(row: Row) -> str:
    """What an event row is about: the arrival of its record, or the record itself."""
    return str(row["origin"] or row["subject"])


class Cohort:
    """The part of the book that is judged: events received since a moment, and all that came of them (06 §3.4).

    Topics forget at different ages. A row about a record older than the first one still there is out of the cohort, and
    so is what followed from it: absence is only evidence where presence could be seen.
    """

    def __init__(self, book: Book, since: datetime | None) -> None:
        self.book = book
        self._since = since
        self._first = dict(book.starts)
        self.raw = self.arrived(book.raw)
        self.receipts = self.arrived({place: arrival.at for place, arrival in book.receipts.items()})
        self.turned_away = {origin for origin, at in book.turned_away.items() if self._is_since(at)}
        rows = {kind: list(book.rows[kind].values()) for kind in ("event", "stay-event", "message", "receipt")}
        self.events = [row for row in rows["event"] if self._is_judged_event(row)]
        self.lane_events = self._judged_lane_events()
        judged = {row["subject"] for row in rows["stay-event"] if self._is_judged_fate(row)}
        self.stay_events = [row for row in rows["stay-event"] if row["subject"] in judged]
        followed = self.lane_events | {row["subject"] for row in self.stay_events}
        self.messages = [row for row in rows["message"] if row["event"] in followed]
        self.classes = [row for row in rows["receipt"] if self.belongs(row["subject"])]

    def _judged_lane_events(self) -> set[str]:
        """Stay events of the messages in the cohort; of a message seen nowhere, if none can have been forgotten."""
        silent = {origin_of(row) for row in self.book.rows["event"].values() if not row["parts"]}
        inside = {self.book.sources[place] for place in self.raw - silent}
        everywhere = set(self.book.sources.values())
        whole = not any(offset for (topic, _), offset in self._first.items() if topic in SOURCES)
        return {
            event
            for event, source in self.book.lane_events.items()
            if source in inside or (whole and source not in everywhere)
        }

    def _is_since(self, at: datetime | None) -> bool:
        return self._since is None or at is None or at >= self._since

    def _is_judged_event(self, row: Row) -> bool:
        """A row about a refusal of the gateway is judged with its letter; without one, if none can be forgotten."""
        origin = origin_of(row)
        if not origin.startswith(GATEWAY):
            return self.belongs(origin)
        forgotten = any(offset for (topic, _), offset in self.book.starts.items() if topic == "dead.letters")
        kept = origin not in self.book.turned_away and not forgotten
        return origin in self.turned_away or (kept and self._is_since(moment_of(row.get("at"))))

    def _is_judged_fate(self, row: Row) -> bool:
        """A fate is judged with its event; without one on `lanes`, if it should be there."""
        if row["subject"] in self.book.lane_events:
            return row["subject"] in self.lane_events
        return self._since is None and bool(row["origin"]) and self.belongs(row["origin"])

    def arrived(self, there: Mapping[str, datetime | None]) -> set[str]:
        """Places in the cohort; notes per partition where it begins, which is after the last record before it."""
        inside = set()
        for place, at in there.items():
            if self._is_since(at):
                inside.add(place)
            else:
                partition, offset = _spot(place)
                self._first[partition] = max(self._first.get(partition, 0), offset + 1)
        return inside

    def belongs(self, place: str) -> bool:
        """Whether a row about `place` is judged: its record is in the cohort, or ought to be there and is not."""
        partition, offset = _spot(place)
        return self._first.get(partition, 0) <= offset < self.book.ends.get(partition, offset + 1)


def _spot(place: str) -> tuple[Partition, int]:
    topic, partition, offset = place.rsplit("/", 2)
    return (topic, int(partition)), int(offset)


#: Topics of the balance; inboxes and letterboxes are found by their names (design §4).
TOPICS = (*SOURCES, "receipts.raw", "lanes", "ledger", "dead.letters", "archive")

#: Where the workers note how far they are (docs/decisions/0002), by the names that Faust gives.
CHANGELOGS = (
    *(f"stafet-relay-{table}-changelog" for table in ("lanes", "letterboxes", "persons", "receipts")),
    *(f"stafet-distributor-{table}-changelog" for table in ("answers", "distributions", "inboxes")),
)

_FETCH_BYTES = 16 << 20  # 00 §4.2
_POLL_MS = 500


async def read_book(bootstrap: str, **security: Any) -> Book:
    """Everything on the topics now. `security`: as for any aiokafka client. Raises aiokafka's KafkaError."""
    book = Book()

    def is_judged(topic: str) -> bool:
        return topic in TOPICS or topic.startswith("municipality.")

    if partitions := await partitions_of(bootstrap, is_judged, **security):
        async with _reading(bootstrap, security, partitions) as consumer:
            starts = await consumer.beginning_offsets(partitions)
            ends = await consumer.end_offsets(partitions)
            book.starts |= {(tp.topic, tp.partition): offset for tp, offset in starts.items()}
            book.ends |= {(tp.topic, tp.partition): offset for tp, offset in ends.items()}
            async for message in _until(consumer, ends):
                book.add(_topic_record(message))
    if partitions := await partitions_of(bootstrap, CHANGELOGS.__contains__, **security):
        try:  # how far the workers are, by their own notes; what the broker takes back is not seen
            async with _reading(bootstrap, security, partitions, "read_committed") as consumer:
                async for message in _until(consumer, await consumer.end_offsets(partitions)):
                    if (noted := position_of(message.key, message.value)) is not None:
                        book.note(*noted)
        except TopicAuthorizationFailedError:
            book.unreadable = CHANGELOGS
    return book


@contextlib.asynccontextmanager
async def _reading(
    bootstrap: str,
    security: dict[str, Any],
    partitions: list[TopicPartition],
    isolation: str = "read_uncommitted",
) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer of these partitions without a group, paused until `_until`."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        max_partition_fetch_bytes=_FETCH_BYTES,
        isolation_level=isolation,
        **security,
    )
    try:
        await consumer.start()
        # Assigned together, or aiokafka learns of one topic after the other, 100 ms each.
        consumer.assign(partitions)
        consumer.pause(*partitions)
        yield consumer
    finally:
        await consumer.stop()


async def _until(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> AsyncIterator[Any]:
    """Records before `ends`. A partition is paused when it is done: the rest is then fetched without it."""
    consumer.assign(list(ends))
    await consumer.seek_to_beginning(*ends)
    waiting = set(ends)
    while waiting:
        for tp in list(waiting):
            if await consumer.position(tp) >= ends[tp]:
                waiting.discard(tp)
                consumer.pause(tp)
        for tp, batch in (await consumer.getmany(timeout_ms=_POLL_MS if waiting else 0)).items():
            for message in batch:
                if message.offset < ends[tp]:
                    yield message


def _topic_record(message: Any) -> TopicRecord:
    headers = {name: (value or b"").decode("utf-8", errors="replace") for name, value in message.headers}
    at: datetime | None = None
    if (
        message.timestamp and message.timestamp > 0
    ):  # of the broker or the sender; the embedded broker has no usable one
        with contextlib.suppress(OverflowError, ValueError, OSError):
            at = datetime.fromtimestamp(message.timestamp / 1000, UTC)
    return TopicRecord(message.topic, message.partition, message.offset, message.value or b"", headers, at)


def recorded(seen: TopicRecord) -> str:
    """One record as a line of a recording: a JSON object, the value in base64."""
    line = {
        "topic": seen.topic,
        "partition": seen.partition,
        "offset": seen.offset,
        "value": base64.b64encode(seen.value).decode(),
        "headers": dict(seen.headers),
        "timestamp": None if seen.timestamp is None else seen.timestamp.isoformat(),
    }
    return json.dumps(line, ensure_ascii=False)


def read_recording(lines: Iterable[str]) -> Iterator[TopicRecord]:
    """The records of a recording. Raises ValueError or KeyError for a line that is none."""
    for line in lines:
        if not line.strip():
            continue
        row = json.loads(line)
        at = None if row["timestamp"] is None else datetime.fromisoformat(row["timestamp"])
        value = base64.b64decode(row["value"])
        yield TopicRecord(row["topic"], row["partition"], row["offset"], value, row["headers"], at)
