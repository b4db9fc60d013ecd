"""A start is given up when a stop is asked for; what has started is not."""

import asyncio
import threading

import pytest

from agents.start.run import Stopped, beside, last_resort, unless


async def test_what_waits_is_given_up() -> None:
    stop, waiting = asyncio.Event(), asyncio.Event()

    async def start() -> None:
        async with unless(stop):
            waiting.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(start())
    await waiting.wait()
    stop.set()
    with pytest.raises(Stopped):
        await task


async def test_stop_that_came_before_is_heeded_too() -> None:
    stop = asyncio.Event()
    stop.set()
    with pytest.raises(Stopped):
        async with unless(stop):
            await asyncio.Event().wait()


async def test_what_has_started_goes_on() -> None:
    stop, done = asyncio.Event(), asyncio.Event()
    async with unless(stop) as started:
        started()
        stop.set()
        asyncio.get_running_loop().call_later(0.05, done.set)
        await done.wait()
    assert done.is_set(), "what had started came to its end"


async def test_time_limit_inside_is_its_own() -> None:
    with pytest.raises(TimeoutError):
        async with unless(asyncio.Event()), asyncio.timeout(0):
            await asyncio.Event().wait()


async def test_nothing_is_logged_after_end(caplog: pytest.LogCaptureFixture) -> None:
    stop = asyncio.Event()
    async with unless(stop):
        stop.set()  # in the same breath as the end
    for _ in range(3):
        await asyncio.sleep(0)
    assert not caplog.records


async def test_blocking_call_gives_its_result_or_its_fault() -> None:
    assert await beside(lambda: 7) == 7
    with pytest.raises(KeyError):
        await beside(lambda: {}["absent"])  # type: ignore[var-annotated]


async def test_abandoned_blocking_call_is_not_awaited() -> None:
    stop, begun, end = asyncio.Event(), threading.Event(), threading.Event()

    def call() -> None:
        begun.set()
        end.wait(30)

    async def start() -> None:
        async with unless(stop):
            await beside(call)

    task = asyncio.create_task(start())
    while not begun.is_set():
        await asyncio.sleep(0)
    stop.set()
    with pytest.raises(Stopped):
        await task
    end.set()


async def test_last_resort_needs_no_turn_of_loop() -> None:
    left, reasons = threading.Event(), list[str]()

    def leave(reason: str) -> None:
        reasons.append(reason)
        left.set()

    last_resort(0.01, leave)
    assert left.wait(10)  # the loop is stuck here
    assert reasons == ["not at an end 0.01 s after the signal"]
