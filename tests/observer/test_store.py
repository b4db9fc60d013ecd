"""Tables, migrations and what is forgotten, in either database."""

from datetime import timedelta

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select

from streams.observer.model import schema
from streams.observer.model.fold import OPEN
from streams.observer.model.queries import Scope, ShipmentFilter, find, lookup, shipment
from streams.observer.model.schema import metadata
from streams.observer.model.store import ReadModel, connect, migrate
from tests.observer.test_read_model import rows
from tests.observer.world import END, World, filled, folded, place_of, wait_of, world


def test_what_is_unfinished_is_never_forgotten(database: str) -> None:
    of = schema.shipments.c
    engine = filled(world(40), database)
    model = ReadModel(engine, wait_of=wait_of, place_of=place_of)

    def remaining() -> dict[str, tuple[bool, str]]:
        with engine.connect() as c:
            return {row[0]: (row[1], row[2]) for row in c.execute(select(of.message_id, of.is_open, of.case_state))}

    everything = remaining()
    unfinished = {name for name, (is_open, case) in everything.items() if is_open or case == "open"}
    assert model.forget(END + timedelta(days=399)) == 0
    assert remaining() == everything
    assert model.forget(END + timedelta(days=401)) == len(everything) - len(unfinished) > 0
    assert set(remaining()) == unfinished != set()
    with engine.connect() as c:
        for name in unfinished:
            assert shipment(c, Scope(), name) is not None
            assert name in lookup(c, Scope(), name)
        assert {row.message_id for row in c.execute(select(schema.identifiers))} == unfinished
        found = find(c, Scope(), ShipmentFilter(status=OPEN), limit=500, now=END)
        assert found.total == len(found.items)


def test_a_later_step_finds_what_is_left_after_30_days(database: str) -> None:
    of = world(40)
    whole, early = filled(of), filled(World(of.records[: len(of.records) // 2]), database)
    ReadModel(early, wait_of=wait_of, place_of=place_of).forget(END + timedelta(days=31))
    folded(early, of.records[len(of.records) // 2 :])
    assert rows(early)["shipments"] == rows(whole)["shipments"]


def test_migrations_make_the_tables_of_the_schema(database: str) -> None:
    engine = connect(database)
    migrate(engine)
    migrate(engine)
    with engine.connect() as c:
        context = MigrationContext.configure(c, opts={"compare_type": True, "target_metadata": metadata})
        assert compare_metadata(context, metadata) == []
