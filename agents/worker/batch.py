"""A batch in the making: rows, letters and positions that several records share before anything is written.

Several records of a batch may have one key: each is folded over what the one before it left. Rows belong to the
partition of the record that changed them, never to that of their own key (Faust's rule), so each keeps its event.
"""

from collections.abc import Coroutine, Sequence
from typing import Any, Final

from streams.kafka.records import Letter, Record

from .positions import position_at
from .tables import FencedTable, at, is_own_row, position_key

__all__ = ["Batch", "record_of", "usable_key"]


#: Bytes. Ours have 16; one beyond the limit of the changelog would end the worker that writes its row.
_LONGEST_KEY: Final = 1024


def record_of(message: Any) -> Record:
    """Faust's message as the record it was."""
    headers = message.headers or ()
    pairs = headers.items() if isinstance(headers, dict) else headers
    return Record(
        message.topic,
        message.partition,
        message.offset,
        message.key,
        message.value,
        tuple((name, value or b"") for name, value in pairs),
        int((message.timestamp or 0) * 1000),
    )


def usable_key(key: bytes | None) -> bytes | None:
    """The key under which a row may lie: not missing, not empty, not of the form of the table's own rows, of sane length."""
    return key if key and len(key) <= _LONGEST_KEY and not is_own_row(key) else None


class Batch:
    """Folds rows and letters; `write` hands rows and positions to their tables."""

    def __init__(self, table: FencedTable | None, positions: FencedTable | None) -> None:
        self._table, self._position_table = table, positions
        self.rows: dict[bytes, tuple[Any, bytes | None]] = {}
        self._letters: list[Letter] = []
        self._positions: dict[bytes, tuple[int, Any]] = {}
        self._behind: dict[int, Any] = {}

    def row(self, event: Any) -> bytes | None:
        """The row of the record's key as this batch has left it so far."""
        key = usable_key(event.message.key)
        if key is None or self._table is None:
            return None
        if key in self.rows:
            return self.rows[key][1]
        with at(event):
            row: bytes | None = self._table.get(key)
        return row

    def expected(self, event: Any) -> int:
        """The next offset expected of the record's partition; 0 when nothing is known of it."""
        if self._position_table is None:
            return 0
        message = event.message
        mark = position_key(message.topic, message.partition)
        if mark in self._positions:
            return self._positions[mark][0]
        with at(event):
            row = self._position_table.get(mark)
        return position_at(row, message.topic, message.partition) or 0

    def advance(self, event: Any) -> None:
        """Notes the next offset expected after this record."""
        if self._position_table is not None:
            message = event.message
            mark = position_key(message.topic, message.partition)
            self._positions[mark] = max(message.offset + 1, self.expected(event)), event

    def put(self, event: Any, row: bytes | None, letters: Sequence[Letter]) -> Sequence[Letter]:
        """What a record has led to. A row is written again even when unchanged: its changelog record may be lost."""
        self._letters += self.put_again(event, row, letters)
        return letters

    def send(self, event: Any, letters: Sequence[Letter]) -> Sequence[Letter]:
        """Letters of a record that has nothing to do with the row of its key."""
        for letter in letters:
            self._behind[id(letter)] = event, letter  # the letter is kept, so its id stays its own
        self._letters += letters
        return letters

    def taken(self) -> list[Letter]:
        """The letters since the last call, in order: the next round to send."""
        taken, self._letters = self._letters, []
        return taken

    def put_again(self, event: Any, row: bytes | None, letters: Sequence[Letter]) -> Sequence[Letter]:
        """As `put`, for the answer to a refusal: its letters are a round of their own."""
        key = usable_key(event.message.key)
        if key is not None and self._table is not None:
            self.rows[key] = event, row
        for letter in letters:
            self._behind[id(letter)] = event, letter
        return letters

    def behind(self, letter: Letter) -> tuple[Any, bytes | None]:
        """The record that a letter came from, and the row of its key by now."""
        event, _ = self._behind[id(letter)]
        key = usable_key(event.message.key)
        return event, self.rows[key][1] if key in self.rows else None

    def write(self) -> list[Coroutine[Any, Any, None]]:
        """Rows and positions as calls to be awaited together, one for each partition of each table."""
        changes: dict[tuple[int, int], tuple[FencedTable, dict[bytes, bytes | None]]] = {}

        def change(table: FencedTable, event: Any, key: bytes, row: bytes | None) -> None:
            partition = event.message.partition
            changes.setdefault((id(table), partition), (table, {}))[1][key] = row

        for key, (event, row) in self.rows.items():
            assert self._table is not None
            with at(event):
                there = self._table.get(key) is not None
            if there or row is not None:  # a row that never was needs no tombstone
                change(self._table, event, key, row)
        for mark, (offset, event) in self._positions.items():
            assert self._position_table is not None
            change(self._position_table, event, mark, b"%d" % offset)
        return [table.write(partition, rows) for (_, partition), (table, rows) in changes.items()]
