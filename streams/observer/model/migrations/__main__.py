"""Writes the migration that leads from the migrations so far to the tables of `schema.py`.

`python -m streams.observer.model.migrations "What changes"`
"""

import sys

from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from streams.observer.model.store import migrations

with create_engine("sqlite://").connect() as connection:
    config = migrations(connection)
    command.upgrade(config, "head")
    newest = ScriptDirectory.from_config(config).get_current_head()
    command.revision(config, sys.argv[1], autogenerate=True, rev_id=f"{int(newest or 0) + 1:04d}")
