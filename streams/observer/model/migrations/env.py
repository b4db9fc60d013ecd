"""How Alembic runs the migrations: on the connection that `store.migrations` hands over."""

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext

from streams.observer.model.schema import Moment, metadata


def _render(kind: str, value: Any, of: AutogenContext) -> str | Literal[False]:
    """An instant is a number in the database; a migration must not change with our class for it."""
    return "sa.BigInteger()" if kind == "type" and isinstance(value, Moment) else False


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_item=_render,
    render_as_batch=connection.dialect.name == "sqlite",
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
