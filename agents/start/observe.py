"""`stafet run observer`: the read model kept up to date, and the balance recomputed beside it (spec 06 §3.4).

Ready once everything that lay on the topics at the start has been folded; behind from then on is a figure and a reason of
`/readyz`. The balance is recomputed from the topics, never from the read model, on an interval of its own; what is under
way shows as a difference, so a difference is looked at twice before it is written (spec 03 §6.5).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from datetime import datetime
from typing import Any, Final

from aiokafka.errors import KafkaError
from sqlalchemy.exc import SQLAlchemyError

from streams.observer.model.follow import Following, follow, places_of, waits_of
from streams.observer.model.store import ReadModel, connect, migrate
from streams.observer.reading import read_book
from streams.observer.reconcile import Balance, balance
from streams.observer.web.app import LOOPBACK, create_app, serve
from streams.observer.web.site import Site, Visitor
from streams.operations import logs
from streams.operations.metrics import Metrics
from streams.operations.settings import Listen, Settings
from streams.registry import Registers
from streams.words.ids import Ids

__all__ = ["DatabaseAway", "Following", "observe", "opened", "pages_served"]

#: Records behind that are no reason to worry: what comes within a second at the peak (05 §7.3).
_USUAL: Final = 5000
#: Seconds between two looks.
_LOOK: Final = 1.0
_DAY: Final = 86_400.0
#: Seconds until a difference is looked at again.
_AGAIN: Final = 20.0

_log: Final = logs.get("observer")


class DatabaseAway(Exception):
    """The database cannot be opened at the start; the text holds no password."""


def opened(settings: Settings, registers: Registers) -> ReadModel:
    """The read model with its tables as this version wants them. Raises `DatabaseAway`."""
    try:
        engine = connect(settings.database_url)
        migrate(engine)
    except (SQLAlchemyError, OSError, ImportError) as problem:
        raise DatabaseAway(f"STAFET_DATABASE: cannot be opened ({type(problem).__name__})") from None
    return ReadModel(engine, wait_of=waits_of(registers), place_of=places_of(registers))


@contextlib.asynccontextmanager
async def pages_served(
    model: ReadModel, registers: Registers, ids: Ids, listen: Listen, now: Callable[[], datetime], state: Following
) -> AsyncIterator[str]:
    """Pages and interfaces while the body runs; yields their address. Raises OSError when it cannot be had.

    Whoever can reach loopback may look: there is no login, so the audit names the machine.
    """
    visitor = Visitor("loopback", "operator")
    site = Site(
        model.engine,
        registers,
        now,
        ids,
        visitor=lambda request: visitor,
        behind=lambda: None if state.problem else state.lag,  # of a broker that is away nobody knows
    )
    up: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    web = asyncio.create_task(serve(create_app(site, LOOPBACK), listen.host, listen.port, up.set_result))
    try:
        await asyncio.wait((web, up), return_when=asyncio.FIRST_COMPLETED)
        if web.done():
            web.result()
        yield up.result()
    finally:
        web.cancel()
        await asyncio.gather(web, return_exceptions=True)


async def observe(
    model: ReadModel,
    bootstrap: str,
    ids: Ids,
    security: Mapping[str, Any],
    state: Following,
    stop: asyncio.Event,
    *,
    ready: Callable[[], None],
    waiting: Callable[[str], None],
    now: Callable[[], datetime],
    reconcile_minutes: int,
) -> None:
    """Follow and recompute until `stop`. `waiting` gets the reason why it is not ready, "" when it is."""
    metrics = state.metrics
    metrics.before_reading(state.show)

    async def show() -> None:
        while True:
            await asyncio.sleep(_LOOK)
            behind = f"{state.lag} records behind" if state.lag > _USUAL else ""
            waiting(state.problem or behind)

    beside: list[Coroutine[object, object, None]] = [show(), _forget(model, now)]
    if reconcile_minutes:
        beside.append(_recompute(model, bootstrap, security, metrics, now, reconcile_minutes * 60.0))
    tasks = [asyncio.create_task(work) for work in beside]
    try:
        await follow(model, bootstrap, ids, state, stop, ready, **security)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        model.engine.dispose()
    _log.info("observer.drained")


async def _forget(model: ReadModel, now: Callable[[], datetime]) -> None:
    """Once a day, and at the start, what is older than is promised."""
    while True:
        with contextlib.suppress(SQLAlchemyError):  # a database that is away: tomorrow
            gone = await asyncio.to_thread(model.forget, now())
            _log.info("observer.forgotten", count=gone)
        await asyncio.sleep(_DAY)


async def _recompute(
    model: ReadModel,
    bootstrap: str,
    security: Mapping[str, Any],
    metrics: Metrics,
    now: Callable[[], datetime],
    every: float,
) -> None:
    while True:
        with contextlib.suppress(KafkaError, OSError, SQLAlchemyError):  # the next time, then
            found = await _recomputed(bootstrap, security)
            if found.difference:
                await asyncio.sleep(_AGAIN)
                found = await _recomputed(bootstrap, security)
            await asyncio.to_thread(model.keep_balance, now(), found.difference, found.as_dict())
            metrics.set("stafet_balance_difference", found.difference)
            write = _log.warning if found.difference else _log.info
            write("observer.reconciled", count=found.difference)
        await asyncio.sleep(every)


async def _recomputed(bootstrap: str, security: Mapping[str, Any]) -> Balance:
    """In a thread and a loop of its own: reading everything takes its time, and records go on coming."""
    return await asyncio.to_thread(lambda: balance(asyncio.run(read_book(bootstrap, **security))))
