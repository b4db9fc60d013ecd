"""`stafet demo --serve`: the demo's records flow into a read model while it runs, and the observer's pages show it.

The database lies in a folder that goes with the process. What the pages call now is the demo's clock; it stands still when the
demo has come to its end, so that the page keeps what was seen last.
"""

import asyncio
import contextlib
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from streams.cli import interrupts
from streams.kafka.clients import extent, partitions_of
from streams.observer.model.follow import Following, follow, places_of, waits_of
from streams.observer.model.steps import READ
from streams.observer.model.store import ReadModel, connect, migrate
from streams.observer.web.app import create_app, serve
from streams.observer.web.site import Site

from .play import DemoOptions, DemoProgress, DemoResult, Scene, demo

#: Nobody but this machine sees a demo, which asks for no login.
_HOST: Final = "127.0.0.1"


async def demo_served(
    options: DemoOptions,
    show: Callable[[DemoProgress], None],
    opened: Callable[[str], None],
    ended: Callable[[DemoResult], None],
) -> DemoResult:
    """Play, serve, and stay until Ctrl-C. `opened` gets the address as soon as it answers, `ended` the result of the play.

    Raises what `demo` raises.
    """
    stop, over = asyncio.Event(), asyncio.Event()
    finished: list[datetime] = []  # when the demo's clock stood still

    with (
        TemporaryDirectory(prefix="stafet-demo-pages-") as folder,
        interrupts.leaving(lambda: shutil.rmtree(folder, ignore_errors=True)),
    ):
        models: list[ReadModel] = []
        servers: list[asyncio.Task[None]] = []

        @contextlib.asynccontextmanager
        async def observed(scene: Scene) -> AsyncIterator[None]:
            engine = connect(f"sqlite:///{Path(folder) / 'read-model.db'}")
            migrate(engine)
            model = ReadModel(engine, wait_of=waits_of(scene.registers), place_of=places_of(scene.registers))
            models.append(model)
            state = Following()
            site = Site(
                engine,
                scene.registers,
                lambda: finished[0] if finished else scene.clock(),
                ids=scene.ids,
                demo=True,
                behind=lambda: state.lag,
            )
            up = asyncio.Event()

            def ready(address: str) -> None:
                opened(address)
                up.set()

            servers.append(asyncio.create_task(serve(create_app(site), _HOST, 0, ready)))
            await up.wait()
            following = asyncio.create_task(follow(model, scene.bootstrap, scene.ids, state, over, lambda: None))
            try:
                yield
                await _caught_up(model, scene.bootstrap)
                finished.append(scene.clock())
            finally:
                over.set()
                await following

        try:
            result = await demo(options, show, observed)
            await asyncio.to_thread(
                models[0].keep_balance, finished[0], result.balance.difference, result.balance.as_dict()
            )
            ended(result)
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)
            await stop.wait()
        finally:
            for server in servers:
                server.cancel()
            await asyncio.gather(*servers, return_exceptions=True)
            for model in models:
                model.engine.dispose()
    return result


async def _caught_up(model: ReadModel, bootstrap: str) -> None:
    """Until everything that lies on the topics has been folded."""
    ends = {}
    for tp in await partitions_of(bootstrap, READ.__contains__):
        begin, end = await extent(bootstrap, tp)
        if end > begin:
            ends[tp.topic, tp.partition] = end
    while True:
        positions = await asyncio.to_thread(model.positions)
        if all(positions.get(place, 0) >= end for place, end in ends.items()):
            return
        await asyncio.sleep(0.1)
