"""The read model is what the topics say, whatever the order in which they are read and however often."""

from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from streams.observer.evidence import TopicRecord
from streams.observer.model import schema
from streams.observer.model.queries import (
    Scope,
    ShipmentFilter,
    balance_counters,
    find,
    lookup,
    overview,
    recipients,
    shipment,
)
from streams.observer.reconcile import balance
from tests.observer.world import BEGIN, END, filled, folded, world

DERIVED = (
    schema.steps,
    schema.shipments,
    schema.identifiers,
    schema.receipts,
    schema.events,
    schema.dead_letters,
    schema.counts,
    schema.standings,
    schema.recipient_decisions,
)


def rows(engine: Engine) -> dict[str, list[tuple[object, ...]]]:
    with engine.connect() as c:
        return {
            table.name: sorted((tuple(row) for row in c.execute(select(table))), key=repr)
            if table is not schema.counts
            else sorted((tuple(row) for row in c.execute(select(table).where(table.c.n != 0))), key=repr)
            for table in DERIVED
        }


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    url = "sqlite://" if request.param == "sqlite" else request.getfixturevalue("postgres").new_database()
    made = filled(world(), url)
    yield made
    made.dispose()


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), batch=st.sampled_from([40, 333, 5000]))
def test_any_interleaving_of_partitions_gives_the_same_rows(seed: int, batch: int) -> None:
    of = world(40)
    partitions: dict[tuple[str, int], list] = {}
    for record in of.read:
        partitions.setdefault((record.topic, record.partition), []).append(record)
    rng, woven = Random(seed), []
    waiting = list(partitions.values())
    while waiting:
        chosen = rng.choice(waiting)
        taken = rng.randint(1, 60)
        woven += chosen[:taken]
        del chosen[:taken]
        waiting = [records for records in waiting if records]
    assert len(woven) == len(of.read)
    other = filled(of._replace(records=()))
    folded(other, woven, batch)
    assert rows(other) == rows(filled(of))


@pytest.mark.parametrize("topic", ["ledger", "track-and-trace", "lanes", "dead.letters", "recipients.control"])
def test_a_topic_read_again_changes_nothing(engine: Engine, topic: str) -> None:
    before = rows(engine)
    folded(engine, [record for record in world().read if record.topic == topic], 100)
    assert rows(engine) == before


def test_balance_is_that_of_the_independent_reconcile(engine: Engine) -> None:
    found = balance(
        TopicRecord(r.topic, r.partition, r.offset, r.value or b"", {name: value.decode() for name, value in r.headers})
        for r in world().records
    )
    with engine.connect() as c:
        ours = balance_counters(c, BEGIN, END)
    for line in found.lines:
        if line.name in ours:
            assert ours[line.name] == dict(line.terms), line.name
    assert {line.name for line in found.lines} >= set(ours)


def test_every_status_is_in_the_world(engine: Engine) -> None:
    with engine.connect() as c:
        found = set(c.execute(select(schema.shipments.c.status)).scalars())
    assert found == {
        "created", "delivered", "rejected", "given_up", "undeliverable", "sent-without-receipt", "sent", "resent", "transient",
        "overdue",
    }  # fmt: skip


def test_a_shipment_is_found_by_each_of_its_ids(engine: Engine) -> None:
    with engine.connect() as c:
        for row in find(c, Scope(), ShipmentFilter(), limit=500, now=END).items:
            detail = shipment(c, Scope(), row.message_id)
            assert detail is not None
            for value, kind in detail.identifiers:
                assert row.message_id in lookup(c, Scope(), value), kind


def test_no_text_of_the_database_holds_a_person(engine: Engine) -> None:
    persons = {
        field[:10].encode()
        for record in world().records
        if record.topic == "adt.raw"
        for line in (record.value or b"").split(b"\r")
        if line.startswith(b"PID|")
        for field in [line.split(b"|")[3].decode("latin-1").split("^")[0]]
        if field.isdigit()
    }
    assert persons
    text = repr(rows(engine)).encode()
    assert not [cpr for cpr in persons if cpr in text]


def test_pages_hold_every_shipment_once(engine: Engine) -> None:
    with engine.connect() as c:
        seen, after = [], ""
        while True:
            page = find(c, Scope(), ShipmentFilter(), after=after, limit=7, now=END)
            seen += [row.message_id for row in page.items]
            after = page.next
            if not after:
                break
        assert len(seen) == len(set(seen)) == page.total


def test_a_scope_hides_what_is_of_others(engine: Engine) -> None:
    with engine.connect() as c:
        everything = find(c, Scope(), ShipmentFilter(), limit=500, now=END).items
        mine = everything[0]
        other = next(row for row in everything if row.kommunekode != mine.kommunekode)
        scope = Scope((mine.kommunekode,))
        assert {row.kommunekode for row in find(c, scope, ShipmentFilter(), now=END).items} == {mine.kommunekode}
        assert shipment(c, scope, other.message_id) is None
        assert lookup(c, scope, other.message_id) == []
        assert [one.kommunekode for one in recipients(c, scope, now=END)] == [mine.kommunekode]


def test_numbers_of_the_overview_are_the_totals_of_their_lists(engine: Engine) -> None:
    with engine.connect() as c:
        shown = overview(c, Scope(), BEGIN, END, now=END)
        for status, n in shown.statuses.items():
            one = ShipmentFilter(status=(status,), since=shown.since, until=shown.until)
            page = find(c, Scope(), one, limit=500, now=END)
            assert n == page.total == len(page.items)
