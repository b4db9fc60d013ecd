"""What is judged together: the records of all topics, sorted, and the part of them that belongs to a period.

Cohort of spec 06 §3.4: events *received* in the period, followed to now, so that the sum can close whatever the clock
of the source said. Not here: equations (`reconcile.py`), how a record is opened (`evidence.py`).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .evidence import (
    GATEWAY,
    Letter,
    Quoted,
    Seen,
    is_network_receipt,
    ledger_row_of,
    open_letter,
    quoted,
    received_at,
    row_of,
    source_of,
)

__all__ = ["Book", "Cohort", "Partition", "Row", "Source"]

Row = Mapping[str, Any]

#: Feed and control id: what a hospital calls a message.
Source = tuple[str, str]

#: Topic and partition.
Partition = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Arrival:
    """One record of a topic of receipts."""

    at: datetime | None
    network: bool
    answer: Quoted | None


class Book:
    """Everything seen, sorted by what it is; repeated ledger ids are dropped, as every reader does (03 §6.1)."""

    def __init__(self, records: Iterable[Seen] = ()) -> None:
        self.raw: dict[str, datetime | None] = {}  # place -> received
        self.sources: dict[str, Source] = {}  # place -> sender's name for the message
        self.lane_events: dict[str, Source] = {}  # stay event id -> the message it is from
        self.letters: dict[str, set[Letter]] = defaultdict(set)  # MessageHeader.id -> dispatches
        self.inboxes: dict[str, set[str]] = defaultdict(set)  # MessageHeader.id -> topics
        self.unopened: list[str] = []
        self.unread: list[str] = []  # records of `ledger` that are no rows
        self.receipts: dict[str, Arrival] = {}
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
        for seen in records:
            self.add(seen)

    def add(self, seen: Seen) -> None:
        """Take one record; of its value no more is kept than an id."""
        if seen.topic == "adt.raw":
            self.raw[seen.place] = received_at(seen)
            self.sources[seen.place] = source_of(seen.value)
        elif seen.topic == "lanes":
            self._lane(seen)
        elif seen.topic == "receipts.raw" or seen.topic.endswith(".receipts"):
            self.receipts[seen.place] = Arrival(received_at(seen), is_network_receipt(seen.value), quoted(seen.value))
        elif seen.topic == "ledger":
            self._row(seen)
        elif seen.topic == "dead.letters":
            self._dead_letter(seen)
        elif seen.topic.endswith(".inbox") and "selftest" not in seen.headers:  # no event is behind such a letter
            self._letter(seen)

    def note(self, place: Partition, position: int) -> None:
        """A worker's position in a source partition, in the order of the changelog."""
        if position < self.positions.get(place, 0):
            self.went_back.add(place)
        self.positions[place] = position

    def _lane(self, seen: Seen) -> None:
        record = row_of(seen.value) or {}
        event = record.get("event")
        if record.get("type") == "stay-event" and isinstance(event, dict) and isinstance(event.get("id"), str):
            self.lane_events.setdefault(event["id"], (str(event.get("feed", "")), str(event.get("control_id", ""))))

    def _row(self, seen: Seen) -> None:
        row = ledger_row_of(seen.value)
        if row is None:
            self.unread.append(seen.place)
            return
        name, rows = row["id"], self.rows[row["kind"]]
        if _content(rows.setdefault(name, row)) != _content(row):
            self.others[name].append((seen.offset, row))
        elif row["kind"] == "message":
            self.written[name] = min(seen.offset, self.written.get(name, seen.offset))

    def _dead_letter(self, seen: Seen) -> None:
        if (origin := seen.headers.get("dlq.origin", "")).startswith(GATEWAY):
            self.turned_away[origin] = received_at(seen)
        else:
            places = (seen.headers.get(f"dlq.original-{part}", "?") for part in ("topic", "partition", "offset"))
            origin = "/".join(places)
        self.dead[origin] = seen.place

    def _letter(self, seen: Seen) -> None:
        letter = open_letter(seen.value)
        if letter is None:
            self.unopened.append(seen.place)
        elif not letter.legacy:
            self.letters[letter.message_id].add(letter)
            self.inboxes[letter.message_id].add(seen.topic)


def _content(row: Row) -> dict[str, Any]:
    """What a row says. Not when: a step repeated after a crash may say the same a little later."""
    return {name: value for name, value in row.items() if name != "at" and value}


class Cohort:
    """The part of the book that is judged: events received since a moment, and all that came of them (06 §3.4).

    Topics forget at different ages. A row about a record older than the first one still there is out of the cohort, and
    so is what followed from it: absence is only evidence where presence could be seen.
    """

    def __init__(self, book: Book, since: datetime | None) -> None:
        self.book = book
        self._since = since
        self._first = dict(book.starts)
        self.raw = self._arrived(book.raw)
        self.receipts = self._arrived({place: arrival.at for place, arrival in book.receipts.items()})
        self.turned_away = {origin for origin, at in book.turned_away.items() if self._is_since(at)}
        self.events = self._rows("event", self._is_judged_event)
        self.lane_events = self._lane_events()
        judged = {row["subject"] for row in self._rows("stay-event", self._is_judged)}
        self.stay_events = self._rows("stay-event", lambda row: row["subject"] in judged)
        followed = self.lane_events | {row["subject"] for row in self.stay_events}
        self.messages = self._rows("message", lambda row: row["event"] in followed)
        self.classes = self._rows("receipt", lambda row: self._belongs(row["subject"]))

    def _lane_events(self) -> set[str]:
        """Stay events of the messages in the cohort; of a message seen nowhere, if none can have been forgotten."""
        silent = {_origin(row) for row in self.book.rows["event"].values() if not row["parts"]}
        inside = {self.book.sources[place] for place in self.raw - silent}
        everywhere = set(self.book.sources.values())
        whole = not any(offset for (topic, _), offset in self._first.items() if topic == "adt.raw")
        return {
            event
            for event, source in self.book.lane_events.items()
            if source in inside or (whole and source not in everywhere)
        }

    def _is_since(self, at: datetime | None) -> bool:
        return self._since is None or at is None or at >= self._since

    def _is_judged_event(self, row: Row) -> bool:
        """A row about a refusal of the gateway is judged with its letter; without one, if none can be forgotten."""
        origin = _origin(row)
        if not origin.startswith(GATEWAY):
            return self._belongs(origin)
        forgotten = any(offset for (topic, _), offset in self.book.starts.items() if topic == "dead.letters")
        kept = origin not in self.book.turned_away and not forgotten
        return origin in self.turned_away or (kept and self._is_since(_moment(row.get("at"))))

    def _is_judged(self, row: Row) -> bool:
        """A fate is judged with its event; without one on `lanes`, if it should be there."""
        if row["subject"] in self.book.lane_events:
            return row["subject"] in self.lane_events
        return self._since is None and bool(row["origin"]) and self._belongs(row["origin"])

    def _rows(self, kind: str, wanted: Callable[[Row], bool]) -> list[Row]:
        return [row for row in self.book.rows[kind].values() if wanted(row)]

    def _arrived(self, there: Mapping[str, datetime | None]) -> set[str]:
        """Places in the cohort; notes per partition where it begins, which is after the last record before it."""
        inside = set()
        for place, at in there.items():
            if self._is_since(at):
                inside.add(place)
            else:
                partition, offset = _spot(place)
                self._first[partition] = max(self._first.get(partition, 0), offset + 1)
        return inside

    def _belongs(self, place: str) -> bool:
        """Whether a row about `place` is judged: its record is in the cohort, or ought to be there and is not."""
        partition, offset = _spot(place)
        return self._first.get(partition, 0) <= offset < self.book.ends.get(partition, offset + 1)


def _origin(row: Row) -> str:
    return str(row["origin"] or row["subject"])


def _moment(text: object) -> datetime | None:
    """When a row was written; None when it does not say so, with its offset."""
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return at if at.tzinfo is not None else None


def _spot(place: str) -> tuple[Partition, int]:
    topic, partition, offset = place.rsplit("/", 2)
    return (topic, int(partition)), int(offset)
