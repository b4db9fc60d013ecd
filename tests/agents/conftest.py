"""A worker over the embedded broker: its own app id and topics, running in the test's own loop."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agents.worker.app import Worker, build_app, raw_table, raw_topic, running
from agents.worker.gaps import Gaps, Skips
from agents.worker.shell import Limits, Stage, guarded
from agents.worker.tables import FencedTable
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.topics import DEAD_LETTERS, changelog
from tests.brokers import fresh

LIMITS = Limits()
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Bench:
    """One worker with one stage, everything a test wants to look at."""

    bootstrap: str
    app: Any
    source: str
    out: str
    changelog: str
    table: FencedTable | None
    left: list[str] = field(default_factory=list)
    reported: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def rows(self) -> dict[bytes, bytes]:
        """The rows of the table, by key."""
        return {} if self.table is None else {key: row for _, key, row in self.table.rows()}

    async def departure(self, limit: float = 20.0) -> str:
        """Why the worker left."""
        async with asyncio.timeout(limit):
            while not self.left:
                await asyncio.sleep(0.02)
        return self.left[0]


Build = Callable[..., contextlib.AbstractAsyncContextManager[Bench]]


@pytest.fixture
def bench(embedded: EmbeddedBroker, tmp_path: Path) -> Build:
    """`async with bench(step, store="memory", ...) as b`: a running worker around a step."""

    @contextlib.asynccontextmanager
    async def build(
        step: Any,
        *,
        name: str = "",
        table: bool = True,
        partitions: int = 4,
        store: Any = "memory",
        limits: Limits = LIMITS,
        create: bool = True,
        before: Callable[[Bench], None] = lambda _bench: None,
        skips: Skips | None = None,
        **stage: Any,
    ) -> AsyncIterator[Bench]:
        name = name or fresh("worker")
        source, out, log = f"{name}.in", f"{name}.out", changelog(name, "rows")
        for topic in (source, out, log) if create else ():
            embedded.create_topic(topic, partitions)
        embedded.create_topic(DEAD_LETTERS, 3)
        worker = Worker(
            bootstrap=embedded.bootstrap,
            worker_id="w1",
            state_dir=tmp_path,
            app_id=name,
            partitions=partitions,
            store=store,
            session_timeout=timedelta(seconds=2),
            commit_interval=timedelta(milliseconds=200),
            embedded=True,
        )
        left: list[str] = []
        app = build_app(worker, left.append)
        rows = raw_table(app, "rows", partitions) if table else None
        b = Bench(embedded.bootstrap, app, source, out, log, rows, left)
        body = guarded(
            app,
            Stage("stage", source, step, table=rows, **stage),
            clock=lambda: NOON,
            leave=b.left.append,
            report=lambda event, **facts: b.reported.append((event, facts)),
            limits=limits,
            gaps=Gaps(embedded.bootstrap),
            skips=skips,
        )
        app.agent(raw_topic(app, source), name="stage")(body)
        before(b)
        async with running(app, limit=20.0):
            try:
                yield b
            finally:
                if b.left:  # the body in hand never ends: nothing to drain
                    app.conf.stream_wait_empty = False

    return build
