"""The search among status events: every parameter of EDS, pages, scope, and a person who is never in an answer."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from sqlalchemy import func, select
from starlette.testclient import TestClient

from streams.observer.model import schema
from streams.observer.model.queries import Scope
from streams.observer.model.steps import StatusEvent
from streams.observer.web.app import create_app
from streams.observer.web.site import Site, Visitor
from tests.observer.world import END, IDS, REGISTERS, filled, world

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
EVERYTHING = Scope()
SEARCH = "/fhir/AuditEvent/_search"


@pytest.fixture(scope="module")
def cpr() -> str:
    """A test person of whom there are status events."""
    traced = next(
        record
        for record in world().read
        if record.topic == "track-and-trace" and b"ehmiPatient" in (record.value or b"")
    )
    patient = msgspec.json.decode(traced.value or b"")["entity"][0]
    return str(patient["what"]["identifier"]["value"])


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return filled(world(), f"sqlite:///{tmp_path_factory.mktemp('fhir')}/model.db")


@pytest.fixture(scope="module")
def events(engine: Any) -> list[StatusEvent]:
    of = schema.steps.c
    with engine.connect() as c:
        bodies = c.execute(select(of.body).where(of.source == "trace")).scalars()
        return [msgspec.json.decode(body, type=StatusEvent) for body in bodies]


def client_of(engine: Any, role: str = "operator", scope: Scope = EVERYTHING) -> TestClient:
    site = Site(engine, REGISTERS, lambda: END, IDS, visitor=lambda request: Visitor("tester", role, scope))  # type: ignore[arg-type]
    return TestClient(create_app(site))


@pytest.fixture
def client(engine: Any) -> TestClient:
    return client_of(engine)


def found(client: TestClient, **parameters: str) -> set[str]:
    """The ids of every page, asked for by GET."""
    ids: list[str] = []
    answer = client.get("/fhir/AuditEvent", params={"_count": "400"} | parameters)
    while True:
        assert answer.status_code == 200, answer.text
        bundle = answer.json()
        ids += [entry["resource"]["id"] for entry in bundle.get("entry", ())]
        following = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
        if not following:
            assert len(ids) == len(set(ids))
            return set(ids)
        answer = client.get(following[0])


def escaped(value: str) -> str:
    """A value whose own commas do not mean or."""
    return value.replace("\\", "\\\\").replace(",", "\\,")


@pytest.mark.parametrize(
    ("parameter", "read"),
    [
        ("message-id", lambda event: {event.message_id}),
        ("orig-message-id", lambda event: {event.original_message_id}),
        ("entityIdentifier", lambda event: {event.bundle_id, event.original_transport_id}),
        ("sender-sor", lambda event: {event.sender.sor}),
        ("sender-gln", lambda event: {event.sender.gln}),
        ("sender-name", lambda event: {event.sender.name}),
        ("receiver-sor", lambda event: {event.receiver.sor}),
        ("receiver-gln", lambda event: {event.receiver.gln}),
        ("receiver-name", lambda event: {event.receiver.name}),
        ("participant-sor", lambda event: {event.sender.sor, event.receiver.sor}),
        ("senderOrg", lambda event: {event.sender.sor, event.sender.gln}),
        ("receiverOrg", lambda event: {event.receiver.sor, event.receiver.gln}),
    ],
)
def test_a_string_is_found_in_full_and_by_its_start(
    client: TestClient, events: list[StatusEvent], parameter: str, read: Callable[[StatusEvent], set[str]]
) -> None:
    value = next(value for event in reversed(events) for value in sorted(read(event)) if value)
    wanted = {event.id for event in events if value in read(event)}
    exact = found(client, **{f"{parameter}:exact": escaped(value)})
    assert wanted
    assert wanted <= exact < {event.id for event in events}
    assert exact <= found(client, **{parameter: escaped(value[:-1].upper())})
    assert found(client, **{f"{parameter}:exact": escaped(value[:-1])}) == set()


@pytest.mark.parametrize(
    ("name", "field"), [("ehmiMessageType", "document"), ("outcome", "outcome"), ("subtype", "subtype")]
)
def test_a_token_is_found_with_and_without_its_system(
    client: TestClient, events: list[StatusEvent], name: str, field: str
) -> None:
    for value in {getattr(event, field) for event in events}:
        wanted = {event.id for event in events if getattr(event, field) == value}
        assert found(client, **{name: value}) == found(client, **{name: f"urn:any|{value}"}) == wanted


def test_a_comma_means_or(client: TestClient, events: list[StatusEvent]) -> None:
    first, second = (
        events[0].message_id,
        next(one.message_id for one in events if one.message_id != events[0].message_id),
    )
    wanted = {event.id for event in events if event.message_id in (first, second)}
    assert found(client, **{"message-id:exact": f"{first},{second}"}) == wanted


def test_a_period_is_half_open(client: TestClient, events: list[StatusEvent]) -> None:
    middle = sorted(event.recorded for event in events)[len(events) // 2]
    text = middle.isoformat(timespec="milliseconds")
    after, before = found(client, date=f"ge{text}"), found(client, date=f"lt{text}")
    assert not after & before
    assert after | before == {event.id for event in events}
    assert {event.id for event in events if event.recorded == middle} <= after


def test_pages_follow_the_order_asked_for(client: TestClient, events: list[StatusEvent]) -> None:
    wanted = sorted(event.recorded for event in events)[:60]
    seen: list[str] = []
    answer = client.get("/fhir/AuditEvent?_sort=date&_count=20")
    for _ in range(3):
        bundle = answer.json()
        seen += [entry["resource"]["id"] for entry in bundle["entry"]]
        answer = client.get(next(link["url"] for link in bundle["link"] if link["relation"] == "next"))
    at = {event.id: event.recorded for event in events}
    assert [at[name] for name in seen] == wanted


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("patient=1", "patient"),
        ("message-id:contains=1", "message-id:contains"),
        ("outcome:exact=0", "outcome:exact"),
        ("date=ap2026", "date"),
        ("date=ge2026-02-31", "date"),
        ("_count=0", "_count"),
        ("_sort=outcome", "_sort"),
        ("_format=xml", "_format"),
        ("_after=x", "_after"),
        ("subtype=", "subtype"),
        ("cpr=0101010101", "cpr"),
    ],
)
def test_a_wrong_parameter_is_named(client: TestClient, query: str, named: str) -> None:
    answer = client.get(f"/fhir/AuditEvent?{query}")
    assert answer.status_code == 400
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert answer.json()["issue"][0]["diagnostics"].startswith(f"{named}: ")
    assert "0101010101" not in answer.text


def test_a_person_is_found_by_post_and_audited(client: TestClient, engine: Any, cpr: str) -> None:
    answer = client.post(SEARCH, data={"cpr:exact": cpr, "_reason": "asked by the municipality", "_count": "5"})
    entries = answer.json()["entry"]
    assert entries
    assert cpr not in answer.text
    assert all("masked" in str(entry["resource"]["entity"][0]) for entry in entries)
    with engine.connect() as c:
        row = c.execute(select(schema.audit).order_by(schema.audit.c.id.desc())).first()
    assert (row.who, row.action, row.reason) == ("tester", "search-person", "asked by the municipality")
    assert row.subject == IDS.search_key("person", cpr)


@pytest.mark.parametrize(
    ("role", "sent", "status"),
    [
        ("operator", {"cpr": "CPR"}, 400),
        ("operator", {"cpr": "CPR", "_reason": " "}, 400),
        ("operator", {"cpr": "CPR", "_reason": "about CPR"}, 400),
        ("operator", {"cpr": "12", "_reason": "x"}, 400),
        ("municipality", {"cpr": "CPR", "_reason": "x"}, 403),
        ("auditor", {"cpr": "CPR", "_reason": "x"}, 403),
    ],
)
def test_a_person_is_not_looked_for_without_role_and_reason(
    engine: Any, cpr: str, role: str, sent: dict[str, str], status: int
) -> None:
    with engine.connect() as c:
        before = c.execute(select(func.count()).select_from(schema.audit)).scalar()
    data = {name: value.replace("CPR", cpr) for name, value in sent.items()}
    answer = client_of(engine, role).post(SEARCH, data=data)
    assert (answer.status_code, answer.json()["resourceType"]) == (status, "OperationOutcome")
    assert cpr not in answer.text
    with engine.connect() as c:
        assert c.execute(select(func.count()).select_from(schema.audit)).scalar() == before


@pytest.mark.parametrize("column", ["kommunekode", "hospital_sor"])
def test_events_of_others_are_not_found(engine: Any, column: str) -> None:
    with engine.connect() as c:
        rows = list(c.execute(select(schema.shipments)))
    own = getattr(rows[0], column)
    narrow = Scope(kommunekoder=(own,)) if column == "kommunekode" else Scope(hospitals=(own,))
    client, everything = client_of(engine, "hospital", narrow), client_of(engine)
    mine = found(client)
    assert mine
    assert mine < found(everything)
    foreign = next(row for row in rows if getattr(row, column) != own)
    assert found(everything, **{"entityIdentifier:exact": foreign.message_id})
    assert found(client, **{"entityIdentifier:exact": foreign.message_id}) == set()


def test_what_can_be_searched_is_declared(client: TestClient) -> None:
    declared = client.get("/fhir/metadata").json()["rest"][0]["resource"][0]["searchParam"]
    assert {"date", "cpr", "message-id", "participant-sor", "ehmiMessageType", "outcome"} <= {
        one["name"] for one in declared
    }
    assert client.get("/fhir/nothing").json()["status"] == 404
