"""An installation as an operator runs it: topics applied, workers as processes under a supervisor that starts them again."""

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from streams.kafka.local import free_port
from tests.brokers import until
from tests.end_to_end.outside import Outside, Process

__all__ = ["SESSION", "End", "Worker", "prepared", "sentence", "supervised"]

#: Seconds after which the group gives a silent worker's partitions to others (agents/worker/app.py).
SESSION: Final = 10.0
PAUSE: Final = 1.0  # seconds between an end and the next start, as supervisors do
MOST_FAILED_STARTS: Final = 6


@dataclass(frozen=True)
class End:
    """How a process ended that nobody had asked to: its exit code and its last words."""

    worker: str
    code: int
    reported: str
    traceback: bool


def sentence(err: list[str]) -> str:
    """The last words of a process about its own end: the reason of the line `worker.left`, or its last words."""
    for line in reversed(err):
        with contextlib.suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict) and found.get("event") == "worker.left":
                return str(found["why"])
    plain = [line for line in err if line and not line.startswith("{") and line != "ready"]
    return " | ".join(plain[-2:])


@dataclass
class Worker:
    """One `stafet run relay` with a name of its own, started again whenever it ends, until asked to rest."""

    site: Outside
    name: str
    options: dict[str, str]
    ends: list[End] = field(default_factory=list)
    starts: int = 0
    process: Process | None = None
    _resting: bool = False
    _wanted: asyncio.Event = field(default_factory=asyncio.Event)
    _down: asyncio.Event = field(default_factory=asyncio.Event)

    async def keep(self) -> None:
        """The supervisor; ends with its task."""
        failed = 0
        while True:
            self._down.set()
            await self._wanted.wait()
            self._down.clear()
            self.starts += 1
            async with self.site.running("run", "relay", **self.options) as self.process:
                code = await self.process.child.wait()
                self._down.set()
            with (self.site.folder / f"{self.name}.log").open("a", encoding="utf-8") as log:
                log.write("\n".join([*self.process.err, f"ended with {code}", ""]))
            if code != -signal.SIGKILL:  # that was us
                failed = 0 if "ready" in self.process.err else failed + 1
            if not self._resting:
                text = "\n".join(self.process.err)
                self.ends.append(End(self.name, code, sentence(self.process.err), "Traceback" in text))
                assert failed < MOST_FAILED_STARTS, f"{self.name} does not start again: {self.ends[-1]}"
                await asyncio.sleep(PAUSE)

    async def up(self, limit: float = 60.0) -> None:
        """Starts it, and waits until it is ready."""
        self._resting = False
        self._wanted.set()
        await self.ready(limit)

    async def ready(self, limit: float = 60.0) -> None:
        """Until the process that runs now has shown it."""

        async def reported() -> bool:
            return not self._down.is_set() and self.process is not None and "ready" in self.process.err

        await until(reported, limit)

    async def rest(self, how: int = signal.SIGTERM, limit: float = 45.0) -> int:
        """Ends it by a signal, for good until `up`; its exit code."""
        assert self.process is not None
        self._resting = True
        self._wanted.clear()
        child = self.process.child
        if child.returncode is None:
            child.send_signal(how)
        code = await asyncio.wait_for(child.wait(), limit)
        await self._down.wait()
        return code

    def rests_when_it_ends(self) -> None:
        """Does not start it again."""
        self._resting = True
        self._wanted.clear()

    async def signal(self, number: int) -> None:
        """To the process that runs now, or that its supervisor starts next."""

        async def alive() -> bool:
            return self.process is not None and self.process.child.returncode is None

        await until(alive)
        assert self.process is not None
        self.process.child.send_signal(number)

    async def ended(self, count: int, limit: float) -> End:
        """The `count`-th end that nobody had asked for."""

        async def there() -> bool:
            return len(self.ends) >= count

        await until(there, limit)
        return self.ends[count - 1]


@contextlib.asynccontextmanager
async def supervised(site: Outside, name: str, **more: str) -> AsyncIterator[Worker]:
    """A worker that is not started yet; killed at the end of the block. A supervisor that gives up fails the test."""
    options = {
        "STAFET_WORKER_ID": name,
        "STAFET_STATE_DIR": str(site.folder / f"state-{name}"),
        "STAFET_HTTP_LISTEN": f"127.0.0.1:{free_port()}",
        **more,
    }
    worker = Worker(site, name, options)
    task = asyncio.create_task(worker.keep())
    try:
        yield worker
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def prepared(bootstrap: str, folder: Path, **more: str) -> Outside:
    """An installation with its topics. A receipt is overdue after five seconds unless it is set."""
    folder.mkdir(parents=True, exist_ok=True)
    site = Outside.at(bootstrap, folder, **{"STAFET_ACK_TIMEOUT": "5", **more})
    applied = await site.stafet("topics", "apply", "--yes")
    assert applied.code == 0, applied.err
    return site


async def after(seconds: float, condition: Callable[[], bool]) -> None:
    """A stretch of an experiment, during which something must hold."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert condition()
        await asyncio.sleep(0.1)
