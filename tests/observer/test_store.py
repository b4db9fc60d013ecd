"""The tables are those that the migrations make, in either database."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from streams.observer.model.schema import metadata
from streams.observer.model.store import connect, migrate


def test_migrations_make_the_tables_of_the_schema(database: str) -> None:
    engine = connect(database)
    migrate(engine)
    migrate(engine)
    with engine.connect() as c:
        context = MigrationContext.configure(c, opts={"compare_type": True, "target_metadata": metadata})
        assert compare_metadata(context, metadata) == []
