"""A worker that cannot come up shows it in time; one that has come up shows what it owns."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agents.worker import app as module
from agents.worker.app import NotReady, Worker, build_app, raw_table, raw_topic, readiness, running
from agents.worker.shell import Stage, guarded
from streams.kafka.local import LocalBroker
from tests.brokers import fresh, prepared


def relay(broker: LocalBroker, directory: Path) -> tuple[Any, str, str]:
    name = fresh("worker")
    app = build_app(Worker(bootstrap=broker.bootstrap, worker_id="w1", state_dir=directory, app_id=name, partitions=4))
    table = raw_table(app, "rows", 4)
    stage = Stage("stage", f"{name}.in", lambda row, record: (row, []), table=table)
    app.agent(raw_topic(app, f"{name}.in"), name="stage")(guarded(app, stage, clock=lambda: datetime.now(UTC)))
    return app, f"{name}.in", f"{name}-rows-changelog"


@pytest.mark.real
@pytest.mark.parametrize("absent", ["source", "changelog"])
async def test_worker_without_its_topic_is_not_ready_with_hint(real: LocalBroker, tmp_path: Path, absent: str) -> None:
    app, source, changelog = relay(real, tmp_path)
    prepared(real, changelog if absent == "source" else source)
    with pytest.raises(NotReady, match=rf"no topic {source if absent == 'source' else changelog}; create"):
        async with running(app, patience=4.0):
            pytest.fail("it came up")


@pytest.mark.real
async def test_changelog_of_another_width_is_named(real: LocalBroker, tmp_path: Path) -> None:
    app, source, changelog = relay(real, tmp_path)
    prepared(real, source)
    prepared(real, changelog, partitions=3)
    with pytest.raises(NotReady, match=f"{changelog} has 3 partitions where the state has 4"):
        async with running(app, patience=30.0):
            pytest.fail("it came up")


async def test_silent_broker_is_reported_plainly(tmp_path: Path) -> None:
    app = build_app(Worker(bootstrap="127.0.0.1:1", worker_id="w1", state_dir=tmp_path, app_id=fresh("worker")))
    with pytest.raises(NotReady, match="no connection to the broker"):
        async with running(app, patience=20.0):
            pytest.fail("it came up")


@pytest.mark.real
async def test_worker_with_its_topics_owns_them_all(real: LocalBroker, tmp_path: Path) -> None:
    app, source, changelog = relay(real, tmp_path)
    prepared(real, source, changelog)
    async with running(app, patience=30.0):
        assert readiness(app).ready
        assert readiness(app).assigned == {(topic, p) for topic in (source, changelog) for p in range(4)}


async def test_worker_that_crashes_while_it_starts_is_not_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = build_app(Worker(bootstrap="127.0.0.1:1", worker_id="w1", state_dir=tmp_path, app_id=fresh("worker")))

    async def nothing_wrong(_: Any) -> str:
        return ""

    async def crash() -> None:
        await app.crash(RuntimeError("a store that cannot be opened"))

    monkeypatch.setattr(module, "partitions_problem", nothing_wrong)
    monkeypatch.setattr(app.sender, "start", lambda: asyncio.sleep(0))
    monkeypatch.setattr(app, "start", crash)
    with pytest.raises(NotReady, match="has crashed while it started"):
        async with running(app, patience=20.0):
            pytest.fail("it came up")
