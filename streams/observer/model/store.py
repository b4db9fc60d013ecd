"""The database of the read model: opened, brought up to date, and written to, one transaction for each batch of records.

SQLite (write-ahead log) or PostgreSQL, by SQLAlchemy URL. A batch adds its steps; what a step was new to is then computed
whole from all its steps, so a batch that is taken twice, or the same topic from its start, changes nothing. The sums of
`counts` are changed by the difference between old and new rows in the same transaction, and so are the positions.

One process folds at a time; pages and jobs write their own tables beside it.
"""

import logging
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, Table, create_engine, delete, event, func, make_url, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from streams.words.model import RecipientControl

from . import fold, schema
from .fold import OPEN, Fate, PlaceOf, ReceivedReceipt, Shipment, Steps, WaitOf
from .steps import Fallen, Step

R = TypeVar("R")

#: Seconds that a writer waits for another one.
_PATIENCE: Final = 30
#: How long shipments and ledger rows, and status events, stay once they are finished (00 §3.8).
LEDGER_KEPT: Final = timedelta(days=400)
TRACE_KEPT: Final = timedelta(days=30)
#: Names the writer of the read model among the locks of a PostgreSQL database: a number of its own.
_WRITER: Final = 0x57AFE7
#: Values in one statement.
_MANY: Final = 1000


def connect(url: str) -> Engine:
    """The database at a SQLAlchemy URL. Raises sqlalchemy.exc.ArgumentError for what is no URL."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        return create_engine(parsed.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed, connect_args={"timeout": _PATIENCE})

    @event.listens_for(engine, "connect")
    def _(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")  # a lost end of the log is read again: positions go with it
        connection.execute("PRAGMA foreign_keys=ON")

    return engine


def migrate(engine: Engine) -> None:
    """The tables as this version wants them, by the migrations that are missing."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    with engine.begin() as c:
        _alone(c)
        command.upgrade(migrations(c), "head")


def migrations(c: Connection) -> Config:
    """Alembic's settings for the migrations of the read model on a connection."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("file_template", "v%%(rev)s_%%(slug)s")
    config.attributes["connection"] = c
    return config


def _alone(c: Connection) -> None:
    """One writer of tables and sums, however many observers run. SQLite has no more than one."""
    if c.dialect.name == "postgresql":
        c.execute(select(func.pg_advisory_xact_lock(_WRITER)))


class ReadModel:
    """The read model as its one writer has it."""

    def __init__(self, engine: Engine, *, wait_of: WaitOf, place_of: PlaceOf) -> None:
        self.engine = engine
        self._wait_of, self._place_of = wait_of, place_of

    def positions(self) -> dict[tuple[str, int], int]:
        """The next offset to read of each partition that was read."""
        of = schema.positions.c
        with self.engine.connect() as c:
            return {(row[0], row[1]): row[2] for row in c.execute(select(of.topic, of.partition, of.next_offset))}

    def take(
        self,
        read: Sequence[Step | Fallen | RecipientControl],
        positions: Mapping[tuple[str, int], tuple[int, datetime]] | None = None,
    ) -> None:
        """Fold what was read; `positions`: next offset and newest time of each partition, in the same transaction."""
        with self.engine.begin() as c:
            _alone(c)
            steps = list({one.id: one for one in reversed(read) if isinstance(one, Step)}.values())
            _add(c, schema.steps, [step._asdict() for step in steps])
            self._fold(c, steps)
            fallen = [one._asdict() | {"state": "open"} for one in read if isinstance(one, Fallen)]
            _add(c, schema.dead_letters, fallen)
            _stand(c, [one for one in read if isinstance(one, RecipientControl)])
            places = [
                {"topic": topic, "partition": partition, "next_offset": offset, "read_at": at}
                for (topic, partition), (offset, at) in (positions or {}).items()
            ]
            _put(c, schema.positions, places)

    def keep_balance(self, at: datetime, difference: int, body: Mapping[str, Any]) -> None:
        """What the reconciliation job found."""
        with self.engine.begin() as c:
            text = msgspec.json.encode(body).decode()
            _put(c, schema.balances, [{"at": at, "difference": difference, "body": text}])

    def forget(self, now: datetime) -> int:
        """Delete what is older than is promised (00 §3.8), and nothing that is unfinished; the number of shipments.

        Of a shipment that is kept, the status events go after 30 days but for the first, which names its parties.
        """
        gone, some = 0, self._finished(now - LEDGER_KEPT)
        while some:
            with self.engine.begin() as c:
                _alone(c)
                for table in (schema.steps, schema.identifiers, schema.receipts, schema.shipments):
                    c.execute(delete(table).where(table.c.message_id.in_(some)))
            gone, some = gone + len(some), self._finished(now - LEDGER_KEPT)
        of, ship, row = schema.steps.c, schema.shipments.c, schema.counts.c
        unfinished = select(ship.message_id).where(or_(ship.is_open.is_(True), ship.case_state == "open"))
        old = of.at < now - LEDGER_KEPT
        with self.engine.begin() as c:
            _alone(c)
            traced = (of.source == "trace", of.kind != "msg-created", of.at < now - TRACE_KEPT)
            c.execute(delete(schema.steps).where(*traced, of.message_id.not_in(unfinished)))
            behind = select(ship.event_id)
            c.execute(delete(schema.steps).where(old, of.message_id == "", of.event_id.not_in(behind)))
            event, receipt, dead = schema.events.c, schema.receipts.c, schema.dead_letters.c
            settled = event.fate.not_in(("waiting", ""))
            c.execute(delete(schema.events).where(event.at < now - LEDGER_KEPT, settled))
            c.execute(delete(schema.receipts).where(receipt.at < now - LEDGER_KEPT, receipt.message_id == ""))
            c.execute(delete(schema.dead_letters).where(dead.at < now - LEDGER_KEPT, dead.state != "open"))
            c.execute(
                delete(schema.counts).where(
                    or_(row.n == 0, row.bucket < now - LEDGER_KEPT), row.status.not_in((*OPEN, "waiting"))
                )
            )
        return gone

    def _finished(self, before: datetime) -> list[str]:
        of = schema.shipments.c
        query = select(of.message_id).where(of.created < before, of.is_open.is_(False), of.case_state != "open")
        with self.engine.connect() as c:
            return list(c.execute(query.order_by(of.created).limit(_MANY)).scalars())

    def _fold(self, c: Connection, new: Sequence[Step]) -> None:
        """Compute whatever the new steps bear upon."""
        related = _Related(c, new)
        before = {row.message_id: row for row in _there(c, schema.shipments.c.message_id, related.messages, Shipment)}
        after: dict[str, Shipment] = {}
        identifiers: list[dict[str, str]] = []
        for message in related.messages:
            of = Steps(related.of_message(message))
            row = fold.shipment(message, of, wait_of=self._wait_of, place_of=self._place_of)
            if row is None:
                continue
            if row != before.get(message):
                after[message] = row
            known = set() if message not in before else {*fold.identified(message, Steps(related.known_of(message)))}
            found = {*fold.identified(message, of)} - known
            identifiers += [
                {"value": value[:200], "kind": kind, "message_id": message} for value, kind in found if value
            ]
        kommuner = {name: row.kommunekode for name, row in (before | after).items()}
        answered = {step.event_id for name in after if name not in before for step in related.of_message(name)}
        receipts: dict[str, ReceivedReceipt] = {}
        fates = {one.id: one for one in fold.fates(Steps(related.records))}
        for name in sorted(related.events | (answered - {""})):
            of = Steps(related.of_event(name))
            about = next((row.message for row in of.receipts if row.message), "")
            receipts |= {one.origin: one for one in fold.receipts(of, kommuner.get(about, ""))}
            fates |= {one.id: one for one in fold.fates(of)}
        _put(c, schema.shipments, [msgspec.structs.asdict(row) for row in after.values()])
        _add(c, schema.identifiers, identifiers)
        replaced: list[fold.Counted] = [before[name] for name in after if name in before]
        replaced += _there(c, schema.receipts.c.origin, receipts, ReceivedReceipt)
        replaced += _there(c, schema.events.c.id, fates, Fate)
        _put(c, schema.receipts, [msgspec.structs.asdict(one) for one in receipts.values()])
        _put(c, schema.events, [msgspec.structs.asdict(one) for one in fates.values()])
        _sum(c, fold.changes(replaced, [*after.values(), *receipts.values(), *fates.values()]))
        decided = [decision for step in new if (decision := fold.recipient_decision(step)) is not None]
        _add(c, schema.recipient_decisions, decided)


class _Related:
    """The steps of every message and event that new steps are about: those in the database, the new ones among them."""

    def __init__(self, c: Connection, new: Sequence[Step]) -> None:
        self._new = {step.id for step in new}
        self.records = [step for step in new if step.source == "ledger" and step.kind == "event"]
        self.events = {step.event_id for step in new} - {""}
        self._by_event: dict[str, list[Step]] = defaultdict(list)
        self._by_message: dict[str, list[Step]] = defaultdict(list)
        of = schema.steps.c
        for step in _steps(c, of.event_id, self.events):
            self._by_event[step.event_id].append(step)
        named = {step.message_id for steps in self._by_event.values() for step in steps}
        self.messages = ({step.message_id for step in new} | named) - {""}
        for step in _steps(c, of.message_id, self.messages):
            self._by_message[step.message_id].append(step)
        more = {step.event_id for steps in self._by_message.values() for step in steps} - self.events - {""}
        for step in _steps(c, of.event_id, more):
            self._by_event[step.event_id].append(step)

    def of_event(self, name: str) -> list[Step]:
        """Everything about a stay event, or about the arrival of a receipt."""
        return self._by_event[name]

    def of_message(self, name: str) -> list[Step]:
        """Everything about a message: its own steps, and those of the events that they name."""
        own = self._by_message[name]
        events = dict.fromkeys(step.event_id for step in own if step.event_id)
        return [*own, *(step for event in events for step in self._by_event[event] if not step.message_id)]

    def known_of(self, name: str) -> list[Step]:
        """The same without the new steps and without what only they lead to."""
        own = [step for step in self._by_message[name] if step.id not in self._new]
        events = dict.fromkeys(step.event_id for step in own if step.event_id)
        behind = (step for event in events for step in self._by_event[event] if not step.message_id)
        return [*own, *(step for step in behind if step.id not in self._new)]


def _steps(c: Connection, column: Any, values: Collection[str]) -> Iterable[Step]:
    for some in _slices(sorted(values)):
        for row in c.execute(select(schema.steps).where(column.in_(some))):
            yield Step(*row)


def _there(c: Connection, key: Any, values: Collection[str], kind: Callable[..., R]) -> Iterable[R]:
    """The rows that a table has under these keys."""
    for some in _slices(sorted(values)):
        for row in c.execute(select(key.table).where(key.in_(some))):
            yield kind(**row._mapping)


def _stand(c: Connection, controls: Sequence[RecipientControl]) -> None:
    """What stands about each municipality; a topic that is read again does not take it back."""
    newest = {one.kommunekode: one for one in sorted(controls, key=lambda one: one.at)}
    of, table = schema.standings.c, schema.standings
    found = c.execute(select(of.kommunekode, of.at).where(of.kommunekode.in_(sorted(newest)))) if newest else ()
    known = {row[0]: row[1] for row in found}
    rows = [
        {
            "kommunekode": one.kommunekode,
            "at": one.at,
            "paused_since": one.paused_since,
            "pause_reason": one.pause_reason,
            "mode": one.mode,
            "reason": one.reason,
            "actor": one.actor,
        }
        for one in newest.values()
        if one.kommunekode not in known or known[one.kommunekode] <= one.at
    ]
    _put(c, table, rows)


def _insert(c: Connection, table: Table) -> Any:
    return postgresql.insert(table) if c.dialect.name == "postgresql" else sqlite.insert(table)


def _add(c: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows that are not there yet; of those that are, nothing changes."""
    for some in _slices(rows):
        c.execute(_insert(c, table).on_conflict_do_nothing(), some)


def _put(c: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows in place of those with the same key."""
    keys = [column.name for column in table.primary_key]
    for some in _slices(rows):
        inserted = _insert(c, table)
        values = {column.name: inserted.excluded[column.name] for column in table.c if column.name not in keys}
        c.execute(inserted.on_conflict_do_update(index_elements=keys, set_=values), some)


def _sum(c: Connection, changes: Mapping[fold.Count, int]) -> None:
    """Add to the sums; in one order, as every writer of them does."""
    table = schema.counts
    keys = [column.name for column in table.primary_key]
    for some in _slices([key._asdict() | {"n": n} for key, n in sorted(changes.items())]):
        inserted = _insert(c, table)
        added = {"n": table.c.n + inserted.excluded.n}
        c.execute(inserted.on_conflict_do_update(index_elements=keys, set_=added), some)


def _slices(rows: Sequence[Any]) -> Iterable[Any]:
    return (rows[at : at + _MANY] for at in range(0, len(rows), _MANY))
