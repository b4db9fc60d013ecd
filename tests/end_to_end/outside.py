"""An installation as an operator has it: a folder with the secret, settings in the environment, `stafet` as processes."""

import asyncio
import contextlib
import os
import re
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from streams.kafka.local import free_port
from tests.a_secret import SECRET
from tests.brokers import until

STAFET = Path(sys.executable).with_name("stafet")

#: Ten digits shaped like a CPR number and no part of an id.
PERSON_SHAPED = re.compile(r"(?<![0-9A-Fa-f-])[0-3][0-9][01][0-9]{3}[- ]?[0-9]{4}(?![0-9A-Fa-f-])")


@dataclass(frozen=True)
class Ended:
    """What a command has left behind."""

    code: int
    out: str
    err: str


@dataclass
class Process:
    """A role that runs; `err` grows while it does."""

    child: asyncio.subprocess.Process
    err: list[str] = field(default_factory=list)

    async def listen(self) -> None:
        assert self.child.stderr is not None
        async for line in self.child.stderr:
            self.err.append(line.decode().rstrip("\n"))

    async def ready(self, limit: float = 60.0) -> None:
        """Until the word stands on standard error."""

        async def reported() -> bool:
            assert self.child.returncode is None, "\n".join(self.err)
            return "ready" in self.err

        await until(reported, limit)

    async def end(self, how: int, limit: float = 45.0) -> int:
        """Its exit code after a signal."""
        self.child.send_signal(how)
        return await asyncio.wait_for(self.child.wait(), limit)


@dataclass
class Outside:
    """Settings and folder of one installation; `stafet` runs in an empty folder, so no `.env` is in the way."""

    folder: Path
    env: Mapping[str, str]
    gateway: int = field(default_factory=free_port)
    http: int = field(default_factory=free_port)

    @classmethod
    def at(cls, bootstrap: str, folder: Path, **more: str) -> "Outside":
        secret = folder / "secret"
        secret.write_bytes(SECRET)
        return cls(
            folder,
            {
                "STAFET_BOOTSTRAP": bootstrap,
                "STAFET_REGISTERS": "example",
                "STAFET_SECRET_FILE": str(secret),
                "STAFET_STATE_DIR": str(folder / "state"),
                "STAFET_ENVIRONMENT": "test",
                **more,
            },
        )

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("STAFET_")}
        listen = {
            "STAFET_GATEWAY_LISTEN": f"127.0.0.1:{self.gateway}",
            "STAFET_HTTP_LISTEN": f"127.0.0.1:{self.http}",
        }
        return clean | listen | dict(self.env) | dict(more)

    async def _start(self, words: tuple[str, ...], more: Mapping[str, str]) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            str(STAFET), *words, cwd=self.folder, env=self._environment(more), limit=1 << 24,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

    async def stafet(self, *words: str, **more: str) -> Ended:
        """A command from beginning to end."""
        child = await self._start(words, more)
        try:
            out, err = await asyncio.wait_for(child.communicate(), 60)
        finally:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
        assert child.returncode is not None
        return Ended(child.returncode, out.decode(), err.decode())

    @contextlib.asynccontextmanager
    async def running(self, *words: str, **more: str) -> AsyncIterator[Process]:
        """A command that goes on until asked to stop; killed at the end if it still runs."""
        process = Process(await self._start(words, more))
        listening = asyncio.create_task(process.listen())
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.child.kill()
            await process.child.wait()
            await listening

    async def get(self, page: str) -> tuple[int, str] | None:
        """Status and text of one of the probes' pages; None while nobody listens."""
        try:
            async with aiohttp.ClientSession() as client, client.get(f"http://127.0.0.1:{self.http}{page}") as answer:
                return answer.status, await answer.text()
        except aiohttp.ClientError:
            return None


async def printed(process: Process) -> str:
    """What a process that has ended left on standard output."""
    assert process.child.stdout is not None
    data: Any = await process.child.stdout.read()
    return str(data.decode())
