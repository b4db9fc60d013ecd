"""Told to stop while there is nothing to finish yet: a start is given up where it stands.

A role that is ready drains. Before that it has taken no record, so whatever it waits for (a broker that does not answer,
tables that recover) is let go at once: SIGTERM means an end in seconds, not when the start has come to its own.

What drains has a last resort: a process that is still there after its time leaves, as it would for a refused record.

Not here: draining itself (`wiring.running`, the gateway's server).
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

__all__ = ["Stopped", "beside", "last_resort", "unless"]

T = TypeVar("T")


class Stopped(Exception):
    """The start was given up, as asked."""


@contextlib.asynccontextmanager
async def unless(stop: asyncio.Event) -> AsyncIterator[Callable[[], None]]:
    """What is inside is cancelled when `stop` is set, and `Stopped` raised; not any more once the function is called."""
    loop, starting = asyncio.get_running_loop(), True

    def give_up(told: asyncio.Task[Any]) -> None:
        if starting and not told.cancelled():
            wait.reschedule(loop.time())

    def started() -> None:
        nonlocal starting
        starting = False

    try:
        async with asyncio.timeout(None) as wait:
            told = loop.create_task(stop.wait())
            told.add_done_callback(give_up)
            try:
                yield started
            finally:
                started()
                told.cancel()
    except TimeoutError:
        if not wait.expired():
            raise
        raise Stopped from None


def last_resort(seconds: float, leave: Callable[[str], None]) -> None:
    """Calls `leave` when the process is still there after that time, from a thread: a loop that is stuck has no turn.

    What was not finished is not acknowledged and comes again.
    """
    timer = threading.Timer(seconds, leave, (f"not at an end {seconds:g} s after the signal",))
    timer.daemon = True
    timer.start()


async def beside(call: Callable[[], T]) -> T:
    """The result of a call that blocks, from a thread that nobody waits for when the caller is cancelled.

    The loop's own threads are waited for at the end of the process, however long the call takes.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, fault: BaseException | None) -> None:
        if answer.done():
            return
        if fault is not None:
            answer.set_exception(fault)
        else:
            answer.set_result(result)  # type: ignore[arg-type]  # the result of the call, whatever it is

    def work() -> None:
        result, fault = None, None
        try:
            result = call()
        except BaseException as raised:  # noqa: BLE001  # handed to whoever waits
            fault = raised
        with contextlib.suppress(RuntimeError):  # the loop has closed meanwhile
            loop.call_soon_threadsafe(settle, result, fault)

    threading.Thread(target=work, daemon=True).start()
    return await answer
