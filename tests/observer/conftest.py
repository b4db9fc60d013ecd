"""A database for each test of the read model: SQLite in a file, and PostgreSQL, which is never skipped in CI."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import NoPostgres, PostgresServer


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for the session."""
    try:
        server = PostgresServer().start()
    except NoPostgres as problem:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"not run: needs PostgreSQL; {problem}")
    yield server
    server.remove()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'observer.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()
