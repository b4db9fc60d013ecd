"""How the databases answer: every filter of a list by an index, whatever the number of shipments (promises F2)."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from benchmarks.read_model import filters, grown
from streams.observer.model.queries import Scope, ShipmentFilter, find
from tests.observer.world import END, filled, world

SHIPMENTS = 30_000


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def large(request: pytest.FixtureRequest) -> Iterator[Engine]:
    url = "sqlite://" if request.param == "sqlite" else request.getfixturevalue("postgres").new_database()
    engine = filled(world(), url)
    assert grown(engine, SHIPMENTS) >= SHIPMENTS
    yield engine
    engine.dispose()


def plans_of(engine: Engine, of: ShipmentFilter, scope: Scope) -> list[str]:
    """The plan of every statement that a list of shipments takes."""
    asked: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        asked.append((statement, parameters))

    with engine.connect() as c:
        event.listen(engine, "before_cursor_execute", note)
        try:
            find(c, scope, of, now=END)
        finally:
            event.remove(engine, "before_cursor_execute", note)
        explain = "EXPLAIN QUERY PLAN " if engine.dialect.name == "sqlite" else "EXPLAIN "
        return [
            "\n".join(str(row[-1]) for row in c.exec_driver_sql(explain + statement, parameters))
            for statement, parameters in asked
        ]


def test_every_filter_of_a_list_uses_an_index(large: Engine) -> None:
    found = dict(filters(large, END))
    with large.connect() as c:
        kommune = str(c.execute(text("SELECT kommunekode FROM shipments WHERE status = 'delivered' LIMIT 1")).scalar())
        hospital = str(c.execute(text("SELECT hospital_sor FROM shipments LIMIT 1")).scalar())
    scopes = {"everything": Scope(), "a municipality": Scope((kommune,)), "a hospital": Scope(None, (hospital,))}
    slow = [
        (name, who, plan)
        for name, of in found.items()
        for who, scope in scopes.items()
        for plan in plans_of(large, of, scope)
        if "Seq Scan on shipments" in plan
        or "Seq Scan on identifiers" in plan
        or any(line.startswith("SCAN shipments") and "INDEX" not in line for line in plan.splitlines())
    ]
    assert slow == []
