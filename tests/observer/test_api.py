"""The interface for other programs, over a relay's day: filters, pages, scope, errors, and its own description."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance
from sqlalchemy import insert, select
from starlette.testclient import TestClient

from streams.observer.model import schema
from streams.observer.model.queries import Scope, ShipmentFilter, total
from streams.observer.web.app import create_app
from streams.observer.web.site import Site, Visitor
from tests.observer.world import END, REGISTERS, filled, world

EVERYTHING = Scope()
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return filled(world(), f"sqlite:///{tmp_path_factory.mktemp('api')}/model.db")


@pytest.fixture(scope="module")
def rows(engine: Any) -> list[Any]:
    with engine.connect() as c:
        return list(c.execute(select(schema.shipments)))


def client_of(engine: Any, scope: Scope = EVERYTHING, role: str = "operator") -> TestClient:
    site = Site(engine, REGISTERS, lambda: END, visitor=lambda request: Visitor("x", role, scope))  # type: ignore[arg-type]
    return TestClient(create_app(site))


@pytest.fixture
def client(engine: Any) -> TestClient:
    return client_of(engine)


def test_pages_hold_every_shipment_once(client: TestClient, rows: list[Any]) -> None:
    found: list[str] = []
    side = ""
    while side is not None:
        page = client.get("/api/v1/shipments", params={"antal": 37, "side": side}).json()
        assert page["total"] == len(rows)
        found += [one["message_id"] for one in page["items"]]
        side = page["next"]
    assert sorted(found) == sorted(row.message_id for row in rows)


@pytest.mark.parametrize("field", ["status", "kommune", "hospital", "notice", "format", "forsoeg", "sag"])
def test_each_filter_finds_what_it_says(client: TestClient, rows: list[Any], field: str) -> None:
    column = {"kommune": "kommunekode", "hospital": "hospital_sor", "forsoeg": "attempts", "sag": "case_state"}
    for value in {getattr(row, column.get(field, field)) for row in rows} - {"", 0}:
        wanted = {
            row.message_id
            for row in rows
            if (row.attempts >= value if field == "forsoeg" else getattr(row, column.get(field, field)) == value)
        }
        page = client.get("/api/v1/shipments", params={field: value, "antal": 500}).json()
        assert page["total"] == len(wanted)
        assert {one["message_id"] for one in page["items"]} <= wanted


def test_a_shipment_has_its_timeline(client: TestClient, rows: list[Any]) -> None:
    row = next(row for row in rows if row.status == "delivered")
    found = client.get(f"/api/v1/shipments/{row.message_id}").json()
    steps = [line["step"] for line in found["timeline"]]
    assert found["status"] == "delivered"
    assert [steps.count(step) for step in ("received", "created", "acked_ok")] == [1, 1, 1]
    assert [line["at"] for line in found["timeline"]] == sorted(line["at"] for line in found["timeline"])
    assert {"kind": "message", "value": row.message_id} in found["identifiers"]
    assert found["receipts"][0]["class"] == "first"
    for name in found["identifiers"]:
        assert client.get("/api/v1/shipments", params={"q": name["value"]}).json()["total"] >= 1


def test_the_balance_has_every_term(client: TestClient, rows: list[Any]) -> None:
    of = client.get("/api/v1/balance", params={"fra": "2026-01-01", "til": "2027-01-01"}).json()
    assert sum(of["equations"]["notifications"].values()) == len(rows)
    assert of["difference"] == 0
    assert {"events received", "accepted", "open", "receipts received"} <= of["equations"].keys()


@pytest.mark.parametrize(
    ("address", "field"),
    [
        ("shipments?fra=yesterday", "fra"),
        ("shipments?forsoeg=-1", "forsoeg"),
        ("shipments?antal=0", "antal"),
        ("shipments?antal=many", "antal"),
        ("shipments?status=lost", "status"),
        ("shipments?side=second", "side"),
        ("shipments?kommun=0751", "kommun"),
        ("shipments?cpr=1", "cpr"),
        ("balance?til=%E2%98%83", "til"),
        ("balance?fra=2026-03-03&til=2026-03-02", "fra"),
        ("recipients?kommune=0751", "kommune"),
    ],
)
def test_a_wrong_field_is_named(client: TestClient, address: str, field: str) -> None:
    answer = client.get(f"/api/v1/{address}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"].startswith(f"{field}: ")


@pytest.mark.parametrize("address", ["/api/v1/shipments/unknown", "/api/v1/nothing", "/api/v2/shipments"])
def test_what_is_not_there_is_no_page(client: TestClient, address: str) -> None:
    answer = client.get(address)
    assert (answer.status_code, answer.json()["status"]) == (404, 404)


@pytest.mark.parametrize("side", ["kommune", "hospital"])
def test_nobody_gets_what_is_foreign(engine: Any, rows: list[Any], side: str) -> None:
    own = rows[0]
    scope = Scope(kommunekoder=(own.kommunekode,)) if side == "kommune" else Scope(hospitals=(own.hospital_sor,))
    client = client_of(engine, scope)
    with engine.connect() as c:
        number = total(c, scope, ShipmentFilter(), now=END)
    page = client.get("/api/v1/shipments", params={"antal": 500}).json()
    seen = {one["message_id"] for one in page["items"]}
    assert page["total"] == number == len(seen)
    foreign = [row for row in rows if row.message_id not in seen]
    unknown = client.get("/api/v1/shipments/unknown")
    for row in foreign:
        refused = client.get(f"/api/v1/shipments/{row.message_id}")
        assert (refused.status_code, refused.json()) == (404, unknown.json())
    some = foreign[0]
    for field, value in (("q", some.message_id), ("kommune", some.kommunekode), ("hospital", some.hospital_sor)):
        items = client.get("/api/v1/shipments", params={field: value, "antal": 500}).json()["items"]
        assert {one["message_id"] for one in items} <= seen
    balance = client.get("/api/v1/balance", params={"fra": "2026-01-01", "til": "2027-01-01"}).json()
    assert balance["difference"] is None
    assert sum(balance["equations"]["notifications"].values()) == number
    if side == "kommune":
        items = client.get("/api/v1/recipients").json()["items"]
        assert [one["kommunekode"] for one in items] == [own.kommunekode]


@pytest.mark.parametrize("path", ["/shipments", "/shipments/{message_id}", "/balance", "/recipients", "/audit"])
def test_the_interface_does_what_it_describes(client: TestClient, path: str) -> None:
    described = schemathesis.openapi.from_asgi("/openapi.json", client.app)
    operation = described[f"/api/v1{path}"]["GET"]

    @settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy())
    def check(case: Any) -> None:
        # that no calendar has a 31 February, and that a period ends after it begins, no schema can say
        case.call_and_validate(excluded_checks=[positive_data_acceptance])

    check()


@pytest.mark.parametrize(
    ("role", "status"), [("auditor", 200), ("operator", 200), ("municipality", 403), ("hospital", 403)]
)
def test_the_audit_is_read_by_auditors_and_operators(engine: Any, role: str, status: int) -> None:
    entry = {"who": "x", "role": "operator", "action": "search-person", "subject": "ab", "reason": "why"}
    with engine.begin() as c:
        c.execute(insert(schema.audit), [entry | {"at": END}] * 3)
    answer = client_of(engine, role=role).get("/api/v1/audit", params={"antal": 2})
    assert answer.status_code == status
    if status == 200:
        page = answer.json()
        older = client_of(engine, role=role).get("/api/v1/audit", params={"side": page["next"]}).json()["items"]
        ids = [one["id"] for one in page["items"] + older]
        assert ids == sorted(ids, reverse=True)
        assert len(ids) == len(set(ids)) >= 3
        assert {name: page["items"][0][name] for name in entry} == entry
    else:
        assert "items" not in answer.json()
