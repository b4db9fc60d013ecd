"""What probes are answered: alive or why not, ready or why not, and the figures."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from streams.operations.metrics import Metrics, health_served
from streams.operations.settings import Listen


@pytest.fixture
async def page() -> AsyncIterator[Any]:
    """`await page("/livez", ready="why not", dead="why")`."""
    reasons = {"ready": "", "dead": ""}
    metrics = Metrics()
    metrics.count("stafet_gateway_messages_total", feed="EPJ-SYD/OUH", result="accepted")
    listen = Listen("127.0.0.1", 0)
    async with (
        health_served(listen, lambda: reasons["ready"], metrics, lambda: reasons["dead"]) as port,
        aiohttp.ClientSession() as client,
    ):

        async def get(path: str, **now: str) -> tuple[int, str]:
            reasons.update(now)
            async with client.get(f"http://127.0.0.1:{port}{path}") as answer:
                return answer.status, await answer.text()

        yield get


async def test_role_that_starts_is_alive_and_not_ready(page: Any) -> None:
    assert await page("/livez", ready="relay: starting") == (200, "alive\n")
    assert await page("/readyz") == (503, "relay: starting\n")
    assert await page("/readyz", ready="") == (200, "ready\n")


async def test_stuck_role_is_dead_with_reason(page: Any) -> None:
    assert await page("/livez", dead="3 records wait") == (503, "3 records wait\n")


async def test_figures_are_prometheus_text(page: Any) -> None:
    status, text = await page("/metrics")
    assert status == 200
    assert 'stafet_gateway_messages_total{feed="EPJ-SYD/OUH",result="accepted"} 1.0' in text


async def test_nothing_else_is_served(page: Any) -> None:
    assert (await page("/"))[0] == 404
