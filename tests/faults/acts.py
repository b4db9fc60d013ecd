"""What is done to workers in more than one experiment."""

import asyncio
import signal

from tests.faults.experiment import Experiment
from tests.faults.site import SESSION, Worker, sentence

__all__ = ["PAUSE", "doubled", "killed", "paused"]

PAUSE = SESSION + 3  # seconds: the group has given the worker's partitions to others


async def killed(worker: Worker) -> None:
    """SIGKILL; the supervisor starts it again."""
    before = len(worker.ends)
    await worker.signal(signal.SIGKILL)
    await worker.ended(before + 1, 10)


async def paused(run: Experiment, worker: Worker, *, backlog: int = 0) -> None:
    """Stopped for longer than its session, in the middle of a backlog of this size, while more of it arrives."""
    await run.hospitals.send(backlog)
    await worker.signal(signal.SIGSTOP)
    await run.hospitals.send(backlog)
    await asyncio.sleep(PAUSE)
    await worker.signal(signal.SIGCONT)


async def doubled(run: Experiment, worker: Worker, number: int) -> None:
    """A second process under the worker's name: one of the two shows it in one sentence and leaves, the other works on.

    The second has a state directory of its own, as on another machine, and no supervisor.
    """
    options = {
        **worker.options,
        "STAFET_STATE_DIR": str(run.site.folder / f"double-{number}"),
        "STAFET_HTTP_LISTEN": "127.0.0.1:0",
    }
    first = worker.process
    assert first is not None
    async with run.site.running("run", "relay", **options) as second:
        waiting = {asyncio.create_task(one.child.wait()): one for one in (first, second)}
        done, still = await asyncio.wait(waiting, timeout=60, return_when=asyncio.FIRST_COMPLETED)
        for task in still:
            task.cancel()
        assert len(done) == 1, "both work under one name, or both have left"
        left = waiting[done.pop()]
        assert left.child.returncode != 0
        assert "worker" in sentence(left.err), sentence(left.err)
        assert "Traceback" not in "\n".join(left.err)
