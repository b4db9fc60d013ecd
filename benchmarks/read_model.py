"""The read model at size: a folded day copied inside the database until it holds a million shipments of a month.

Copies are other shipments: other ids, other hours. Questions are those of the pages. A fold is measured on records of
another day, against bare inserts of the same number of rows of `steps`: what the database alone takes.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Engine, MetaData, Table, insert, text

from streams.kafka.records import Record
from streams.observer.model import schema
from streams.observer.model.queries import Scope, ShipmentFilter, find, lookup, overview, recipients, shipment
from streams.observer.model.steps import Step, read
from streams.observer.model.store import ReadModel
from tests.databases import PostgresServer
from tests.observer.world import END, IDS, filled, place_of, wait_of, world

__all__ = ["Asked", "asked", "filters", "folded_and_bare", "grown", "measure"]

_BATCH: Final = 2000
#: As it would be set for production, but for what the disk of a build costs.
_AS_SERVED: Final = (
    *("fsync=off", "synchronous_commit=off", "shared_buffers=512MB", "max_wal_size=4GB", "work_mem=32MB"),
    "maintenance_work_mem=256MB",
)

_HOUR: Final = 3_600_000_000  # of an instant
#: Hours that the copies are spread over: a month.
_SPREAD: Final = 720
_TIMES: Final = frozenset(
    {"event_time", "registered", "received", "created", "sent", "last_sent", "deadline", "settled", "acknowledged",
     "case_opened"}
)  # fmt: skip


class Asked(NamedTuple):
    """Milliseconds of one question, median and slowest."""

    median: float
    slowest: float


def grown(engine: Engine, size: int) -> int:
    """Copies what is there until there are `size` shipments; the number there is then.

    What is open and what wants action stays as it is: they are few in any month.
    """
    with engine.begin() as c:
        settled = "is_open = false AND case_state <> 'open'"
        there, copied = (
            c.execute(text(f"SELECT count(*) FROM shipments WHERE {which}")).scalar() or 1
            for which in ("1 = 1", settled)
        )
        copies = -(-(size - there) // copied)
        c.execute(text("CREATE TEMPORARY TABLE copy_number (g INTEGER)"))
        c.execute(
            text(
                "INSERT INTO copy_number WITH RECURSIVE n(g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM n WHERE g < :most)"
                " SELECT g FROM n"
            ),
            {"most": copies},
        )
        indexes = [index for table in (schema.shipments, schema.identifiers, schema.steps) for index in table.indexes]
        for index in indexes:
            index.drop(c)
        _copy(c, schema.shipments, {"message_id": "message_id || '.' || g", "stay": "substr(stay, 1, 50) || '.' || g",
                                    "person": "substr(person, 1, 50) || '.' || g"}, settled)  # fmt: skip
        mine = f"message_id IN (SELECT message_id FROM shipments WHERE {settled})"
        _copy(c, schema.identifiers, {"message_id": "message_id || '.' || g", "value": "value || '.' || g"},
              mine + " AND message_id NOT LIKE '%.%'")  # fmt: skip
        _copy(c, schema.steps, {"id": "id || '.' || g", "message_id": "message_id || '.' || g",
                                "event_id": "event_id || '.' || g"}, "source <> 'lane'", where_number="g % 5 = 0")  # fmt: skip
        summed = ", ".join(column.name for column in schema.counts.columns if column.name not in ("bucket", "n"))
        c.execute(
            text(
                f"INSERT INTO counts (bucket, {summed}, n) SELECT bucket - hours * {_HOUR}, {summed}, sum(n * times)"
                f" FROM counts, (SELECT 24 + g % {_SPREAD} AS hours, count(*) AS times FROM copy_number"
                f" GROUP BY g % {_SPREAD}) AS apart"
                " WHERE n <> 0 AND status NOT IN ('created', 'sent', 'resent', 'transient', 'overdue')"
                f" GROUP BY bucket - hours * {_HOUR}, {summed}"
            )
        )
        for index in indexes:
            index.create(c)
        c.execute(text("DROP TABLE copy_number"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as c:
        c.execute(text("ANALYZE"))
        return int(c.execute(text("SELECT count(*) FROM shipments")).scalar() or 0)


def _copy(c: Connection, table: Table, changed: Mapping[str, str], which: str, *, where_number: str = "g > 0") -> None:
    """Each row that is chosen once for each number, at another hour."""
    names = [column.name for column in table.columns]
    quoted = ", ".join(f'"{name}"' for name in names)
    values = ", ".join(
        changed.get(name) or (f'"{name}" - (24 + g % {_SPREAD}) * {_HOUR}' if name in _TIMES else f'"{name}"')
        for name in names
    )
    c.execute(
        text(
            f"INSERT INTO {table.name} ({quoted}) SELECT {values} FROM {table.name}, copy_number WHERE {which} AND {where_number}"
        )
    )


def folded_and_bare(engine: Engine, records: Sequence[Record]) -> tuple[float, float]:
    """Microseconds for one record: folded with all that follows from it, and its row of `steps` inserted and no more."""
    model = ReadModel(engine, wait_of=wait_of, place_of=place_of)
    batches = [records[at : at + _BATCH] for at in range(0, len(records), _BATCH)]
    begin = time.perf_counter()
    for batch in batches:
        model.take([one for record in batch if (one := read(record, IDS)) is not None])
    fold = time.perf_counter() - begin
    bare = schema.steps.to_metadata(MetaData(), name="bare_steps")
    with engine.begin() as c:
        c.execute(text("CREATE TABLE bare_steps AS SELECT * FROM steps WHERE 1 = 0"))
    steps = [one for record in records if isinstance(one := read(record, IDS), Step)]
    rows = list({step.id: step._asdict() for step in steps}.values())
    begin = time.perf_counter()
    for at in range(0, len(rows), _BATCH):
        with engine.begin() as c:
            c.execute(insert(bare), rows[at : at + _BATCH])
    inserted = time.perf_counter() - begin
    with engine.begin() as c:
        c.execute(text("DROP TABLE bare_steps"))
    return fold / len(records) * 1e6, inserted / len(rows) * 1e6


def measure(size: int) -> Iterator[tuple[str, float, str, str]]:
    """Name, value, unit and note of each figure. Raises `NoPostgres`."""
    server = PostgresServer(_AS_SERVED).start()
    try:
        engine = filled(world(), server.new_database())
        yield from _figures(engine, grown(engine, size), "PostgreSQL")
        engine.dispose()
    finally:
        server.remove()
    with TemporaryDirectory() as folder:
        engine = filled(world(), f"sqlite:///{folder}/observer.db")
        yield from _figures(engine, grown(engine, size // 10), "SQLite")
        engine.dispose()


def _figures(engine: Engine, size: int, where: str) -> Iterator[tuple[str, float, str, str]]:
    found = asked(engine, END)
    lists = {name: one for name, one in found.items() if name.startswith("list: ")}
    slowest = max(lists, key=lambda name: lists[name].median)
    note = f"{size:,} shipments; slowest {{:.1f}}"
    for name in ("overview, a day", "overview, 30 days", "search"):
        yield f"{where}: {name}", found[name].median, "ms", note.format(found[name].slowest)
    yield f"{where}: slowest list", lists[slowest].median, "ms", f"{slowest}, one of {len(lists)} filters"
    fold, bare = folded_and_bare(engine, world(400).read)
    yield f"{where}: fold of a record", fold, "µs", f"{1e6 / fold:,.0f} records a second on top of {size:,} shipments"
    yield f"{where}: fold as share of bare inserts", bare / fold * 100, "%", "rows of `steps` alone, without indexes"


def filters(engine: Engine, now: datetime) -> Iterator[tuple[str, ShipmentFilter]]:
    """A filter of every kind that a list has."""
    with engine.connect() as c:
        row = c.execute(text("SELECT * FROM shipments WHERE status = 'delivered' ORDER BY message_id LIMIT 1")).one()
    day, fresh = now - timedelta(days=10), timedelta(minutes=30)
    yield "all", ShipmentFilter()
    yield "status", ShipmentFilter(status=("rejected",))
    yield "several statuses", ShipmentFilter(status=("overdue", "resent"))
    yield "municipality", ShipmentFilter(kommune=row.kommunekode)
    yield "municipality and status", ShipmentFilter(kommune=row.kommunekode, status=("given_up",))
    yield "hospital", ShipmentFilter(hospital=row.hospital_sor)
    yield "hospital and status", ShipmentFilter(hospital=row.hospital_sor, status=("undeliverable",))
    yield "notice", ShipmentFilter(notice="MORS")
    yield "format", ShipmentFilter(format="oioxml")
    yield "period", ShipmentFilter(since=day, until=day + timedelta(hours=1))
    yield "attempts", ShipmentFilter(attempts=3)
    yield "case", ShipmentFilter(case="open")
    yield "person", ShipmentFilter(person=row.person)
    yield "stay", ShipmentFilter(stay=row.stay)
    yield "without a receipt for longer", ShipmentFilter(older_than=fresh)
    yield "an id", ShipmentFilter(q=row.message_id)


def asked(engine: Engine, now: datetime, rounds: int = 7) -> dict[str, Asked]:
    """How long each question of the pages takes."""
    with engine.connect() as c:
        one = c.execute(text("SELECT value, message_id FROM identifiers WHERE kind = 'bundle' LIMIT 1")).one()
        kommune = c.execute(text("SELECT kommunekode FROM shipments LIMIT 1")).scalar()
    questions: dict[str, Callable[[Connection], Any]] = {
        "overview, a day": lambda c: overview(c, Scope(), now - timedelta(days=1), now, now=now),
        "overview, 30 days": lambda c: overview(c, Scope(), now - timedelta(days=30), now, now=now),
        "overview of a municipality": lambda c: overview(c, Scope((kommune,)), now - timedelta(days=1), now, now=now),
        "search": lambda c: lookup(c, Scope(), one.value),
        "one shipment": lambda c: shipment(c, Scope(), one.message_id),
        "municipalities": lambda c: recipients(c, Scope(), now=now),
    }
    for name, of in filters(engine, now):
        questions[f"list: {name}"] = lambda c, of=of: find(c, Scope(), of, now=now)  # type: ignore[misc]
    return {name: _timed(engine, question, rounds) for name, question in questions.items()}


def _timed(engine: Engine, question: Callable[[Connection], Any], rounds: int) -> Asked:
    taken = []
    for _ in range(rounds):
        with engine.connect() as c:
            begin = time.perf_counter()
            question(c)
            taken.append((time.perf_counter() - begin) * 1000)
    return Asked(statistics.median(taken), max(taken))
