"""The pages as a server beside the role: who reaches them, from where, and an address that is taken."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from agents.start.observe import pages_served
from streams.observer.model.follow import Following
from streams.observer.model.store import ReadModel, connect, migrate
from streams.operations.settings import Listen
from tests.observer.world import END, IDS, REGISTERS, place_of, wait_of


def now() -> datetime:
    return END


@pytest.fixture
def model(tmp_path: Path) -> ReadModel:
    engine = connect(f"sqlite:///{tmp_path / 'observer.db'}")
    migrate(engine)
    return ReadModel(engine, wait_of=wait_of, place_of=place_of)


async def asked(model: ReadModel, method: str, path: str, headers: dict[str, str]) -> httpx.Response:
    async with (
        pages_served(model, REGISTERS, IDS, Listen("127.0.0.1", 0), now, Following()) as address,
        httpx.AsyncClient(base_url=address, trust_env=False) as client,
    ):
        return await client.request(method, path, headers=headers)


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {}, 200),
        ("GET", {"host": "localhost:8090"}, 200),
        ("GET", {"host": "attacker.example"}, 421),
        ("GET", {"host": "127.0.0.1.attacker.example:8090"}, 421),
        ("POST", {}, 405),
        ("POST", {"origin": "https://attacker.example"}, 403),
        ("POST", {"origin": "null"}, 403),
        ("POST", {"sec-fetch-site": "cross-site"}, 403),
        ("POST", {"sec-fetch-site": "same-site"}, 403),
    ],
)
async def test_only_this_machine_is_answered(
    model: ReadModel, method: str, headers: dict[str, str], status: int
) -> None:
    answer = await asked(model, method, "/api/v1/shipments", headers)
    assert answer.status_code == status
    assert answer.headers["x-frame-options"] == "DENY"


async def test_search_by_post_from_another_site_is_refused(model: ReadModel) -> None:
    headers: dict[str, Any] = {"origin": "https://attacker.example"}
    assert (await asked(model, "POST", "/fhir/AuditEvent/_search", headers)).status_code == 403
    assert (await asked(model, "POST", "/fhir/AuditEvent/_search", {})).status_code == 200


async def test_address_that_is_taken_is_an_error(model: ReadModel) -> None:
    taken = await asyncio.start_server(lambda *of: None, "127.0.0.1", 0)
    async with taken:
        port = taken.sockets[0].getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            async with pages_served(model, REGISTERS, IDS, Listen("127.0.0.1", port), now, Following()):
                pass
