"""`stafet run relay|distributor|gateway|beskedfordeler|observer|all`: a role of the product as a process, from settings to drain.

It writes `ready` to standard error when records can flow, ends on SIGTERM or SIGINT with exit 0 after draining, on a
second SIGINT at once with 130, and may be killed at any moment: what was not finished comes again.

A role that is ready drains. Before that it has taken no record, so whatever it waits for (a broker that does not answer,
tables that recover) is let go at once: SIGTERM means an end in seconds, not when the start has come to its own. What
drains has a last resort: a process that is still there after its time leaves, as it would for a refused record.

Each process has the directory of its worker's state and the addresses it listens on for itself; what it cannot have is
named with its setting. Not here: draining itself (`worker/app.py`, the gateway's server).
"""

import asyncio
import contextlib
import errno
import fcntl
import signal
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer
from aiokafka.errors import KafkaError

from agents.relay import build_relay, relay_running
from agents.station import Figures, Station
from agents.worker.app import NotReady, Worker, ease_collector, readiness, widths_problem
from agents.worker.changelog import ClientOptions
from agents.worker.shell import leave_now
from streams.cli import interrupts
from streams.cli.frame import Code, Failed
from streams.cli.installation import Bootstrap, Config, RegistersOption, mismatch, registers_of, settings_of, topics_of
from streams.gateway.admission import report_to
from streams.gateway.mllp import TlsProblem
from streams.gateway.run import GatewayOptions, run_gateway
from streams.kafka import admin
from streams.kafka.access import lacking, rights_of, user_of
from streams.kafka.admin import aiokafka_options, librdkafka_options
from streams.kafka.clients import new_producer
from streams.kafka.records import place_of
from streams.kafka.topics import ADT_RAW, BRIDGE, DISTRIBUTIONS, DISTRIBUTOR, LANES, LETTERS_RAW, RELAY, changelog
from streams.kafka.topics import Role as KafkaRole
from streams.operations import logs
from streams.operations.metrics import Metrics, health_served
from streams.operations.secrecy import private_folder
from streams.operations.settings import BadSettings, Listen, Settings, secret
from streams.registry import Registers
from streams.words.codes import HOSPITAL_NOTIFICATION
from streams.words.ids import Ids

from .before import SecretChanged, accept_losses, check_secret, distributor_state, relay_state
from .watch import BrokerWatch, Progress, Reader, positions_of

T = TypeVar("T")

#: Seconds from SIGTERM to the end: the gateway's drain (25 s) fits in, and the 30 s after which supervisors kill.
PATIENCE = 28.0

_LOOK = 1.0  # seconds between two looks at a worker

#: Topics with keys of state and what is folded from them: where one has partitions of its own number, it is to be named.
_OF_ONE_WIDTH: Final = (
    *(ADT_RAW, LETTERS_RAW, LANES, DISTRIBUTIONS),
    *(changelog(RELAY, table) for table in ("persons", "lanes")),
    changelog(DISTRIBUTOR, "distributions"),
)

#: Roles with state -> application id.
_APPS: Final = {"relay": RELAY, "distributor": DISTRIBUTOR}

#: Role of a process -> the user whose rights it needs.
_USERS: Final[dict[str, KafkaRole]] = {
    "relay": "relay",
    "distributor": "distributor",
    "gateway": "gateway",
    "beskedfordeler": "beskedfordeler",
    "observer": "observer",
}

#: What the usual refusals of an address mean to the person who reads them.
_REFUSALS: Final[Mapping[int, str]] = {
    errno.EADDRINUSE: "is taken; give this process a port of its own",
    errno.EADDRNOTAVAIL: "is no address of this machine",
    errno.EACCES: "is a port that this user may not take",
    socket.EAI_NONAME: "is of a host that nobody knows",
}


class Role(StrEnum):
    """What one process does."""

    RELAY = "relay"
    DISTRIBUTOR = "distributor"
    GATEWAY = "gateway"
    BESKEDFORDELER = "beskedfordeler"
    OBSERVER = "observer"
    ALL = "all"


@dataclass
class Installation:
    """Everything a role is started with, and how the process does."""

    settings: Settings
    registers: Registers
    ids: Ids
    metrics: Metrics = field(default_factory=Metrics)
    bootstrap: str = ""
    partitions: int = 12
    waiting: dict[str, str] = field(default_factory=dict)  # role -> why it is not ready
    watch: BrokerWatch = field(default_factory=lambda: BrokerWatch({}))
    standing: dict[str, str] = field(default_factory=dict)  # role -> why it should be restarted
    accept_loss: bool = False

    @property
    def security(self) -> ClientOptions:
        """For every aiokafka client of the process."""
        return aiokafka_options(self.settings)

    def worker_of(self, app_id: str) -> Worker:
        """The worker of this process for an application."""
        settings = self.settings
        return Worker(
            app_id=app_id,
            bootstrap=self.bootstrap,
            worker_id=settings.worker_id,
            state_dir=settings.state_dir,
            partitions=self.partitions,
            store=settings.store,
            security=self.security,
            librdkafka=librdkafka_options(settings),
            embedded=settings.bootstrap == "embedded",
        )

    @property
    def unready(self) -> str:
        """Why records cannot flow; "" when they can."""
        reasons = {"kafka": self.watch.problem(), **self.waiting}
        return "; ".join(f"{role}: {why}" for role, why in reasons.items() if why)

    @property
    def dead(self) -> str:
        """Why the process should be restarted; "" while it gets on."""
        return "; ".join(f"{role}: {why}" for role, why in self.standing.items() if why)

    def mark_ready(self, role: str) -> None:
        """Marks a role as ready; the last one writes the word that others wait for on standard error."""
        self.waiting[role] = ""
        if not self.unready:
            logs.get("run").info("run.ready", role=role, bootstrap=self.bootstrap)
            typer.echo("ready", err=True)


#: What a role does until `stop`.
Work = Callable[[Installation, asyncio.Event], Coroutine[object, object, None]]


AcceptLoss = Annotated[
    bool,
    typer.Option("--accept-loss", help="Pass over records that the topics no longer keep; once, after a long rest."),
]


def run(
    role: Role,
    bootstrap: Bootstrap = None,
    registers: RegistersOption = None,
    config: Config = None,
    accept_loss: AcceptLoss = False,
) -> None:
    """Run a role until SIGTERM: relay (worker), distributor (copies), gateway (MLLP), beskedfordeler, observer, or all but it.

    Example: stafet run all --registers example
    """
    settings = settings_of({"bootstrap": bootstrap, "registers": registers}, config)
    logs.configure(settings.log_format, settings.log_level)
    known = registers_of(settings)
    found = mismatch(settings, known)  # registers of a test have no place in production (decision 0011)
    if found is not None and found.severity == "error":
        raise Failed(Code.USAGE, "registers-do-not-fit", found.problem, found.remedy[0].upper() + found.remedy[1:])
    if found is not None:
        logs.get("run").warning("registers.do-not-fit", why=found.problem, hint=found.remedy)
    try:
        ids = Ids(secret(settings), settings.secret_key_id)
    except BadSettings as problem:
        raise Failed(Code.USAGE, "no-secret", str(problem), "Look at it with: stafet doctor") from None
    installation = Installation(settings, known, ids, accept_loss=accept_loss)
    ease_collector()
    try:
        try:
            asyncio.run(_run(role, installation))
        except BaseExceptionGroup as group:  # several roles: the first failure takes the others with it
            first: BaseException = group
            while isinstance(first, BaseExceptionGroup):
                first = first.exceptions[0]
            raise first from None
    except NotReady as problem:
        raise Failed(Code.NO_BROKER, "not-ready", str(problem), "Try: stafet doctor") from None
    except SecretChanged as problem:
        hint = "Put the old secret back; a new one is taken when no stay is open"
        raise Failed(Code.USAGE, "secret-changed", str(problem), hint) from None
    except KafkaError as problem:
        hint = "Check STAFET_BOOTSTRAP, or Try: stafet broker start"
        raise Failed(Code.NO_BROKER, "broker", f"Kafka cannot be reached ({type(problem).__name__})", hint) from None
    except TimeoutError as problem:
        text = f"Kafka did not answer in time (at {place_of(problem)})"
        raise Failed(Code.NO_BROKER, "broker", text, "Try: stafet doctor") from None
    except (TlsProblem, OSError) as problem:
        raise Failed(Code.FAILED, "cannot-listen", str(problem), "Try: stafet config show --sources") from None


async def _run(role: Role, installation: Installation) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def terminated() -> None:
        if not stop.is_set():
            stop.set()
            last_resort(PATIENCE, leave_now)

    def interrupted() -> None:
        if stop.is_set():  # the second Ctrl-C: no draining
            interrupts.leave()
        terminated()

    loop.add_signal_handler(signal.SIGTERM, terminated)
    loop.add_signal_handler(signal.SIGINT, interrupted)
    roles: tuple[str, ...] = (role.value,)
    if role is Role.ALL:
        serving = installation.registers.distributed(also=installation.settings.always_distributed)
        bridging = installation.settings.besked_routes
        roles = ("relay", *(("distributor",) if serving else ()), "gateway", *(("beskedfordeler",) if bridging else ()))

    async def until_stopped(work: Work) -> None:
        """A role; one whose start is given up must not take the other with it, which may have to drain."""
        with contextlib.suppress(Stopped):
            await work(installation, stop)

    with contextlib.suppress(Stopped):
        async with _broker(roles, installation, stop), contextlib.AsyncExitStack() as stack:
            for one in roles:  # before the port: a worker that is started twice has both in common
                if one in _APPS:
                    worker = installation.worker_of(_APPS[one])
                    stack.enter_context(alone(worker.directory, installation.settings.worker_id))
            address = installation.settings.http_listen
            installation.waiting = dict.fromkeys(roles, "starting")
            health = health_served(
                Listen.of(address), lambda: installation.unready, installation.metrics, lambda: installation.dead
            )
            with listening("STAFET_HTTP_LISTEN", address):
                await stack.enter_async_context(health)
            client = {"bootstrap_servers": installation.bootstrap.split(","), **installation.security}
            installation.watch = await stack.enter_async_context(BrokerWatch(client).running())
            async with asyncio.TaskGroup() as group:
                for one in roles:
                    group.create_task(until_stopped(_ROLES[one]))


@contextlib.asynccontextmanager
async def _broker(roles: Sequence[str], installation: Installation, stop: asyncio.Event) -> AsyncIterator[None]:
    """The broker that is set, with its topics there; or the embedded one, started and prepared."""
    settings = installation.settings
    topics = topics_of(settings, installation.registers)

    def prepared() -> int:
        """The partition count of keyed topics; raises `Failed` when a topic or a right that the roles need is missing."""
        security = librdkafka_options(settings)
        users = (user_of(_USERS[role]) for role in roles)
        wanted = [right for user in users for right in rights_of(user, topics)]
        absent, missing = lacking(settings, wanted)
        if absent:
            problem = f"{len(absent)} topics are missing at {settings.bootstrap}: {absent[0]} for one"
            raise Failed(Code.FAILED, "no-topics", problem, "Try: stafet topics apply --yes")
        if missing:
            hint = (
                "An administrator grants it: stafet access apply --yes; stafet doctor names every right that is missing"
            )
            more = f", and {len(missing) - 1} more rights" if len(missing) > 1 else ""
            problem = f"user {settings.kafka_user or 'without a name'} lacks {missing[0].sentence}{more}"
            raise Failed(Code.NOT_PERMITTED, "not-permitted", problem, hint)
        return admin.width(settings.bootstrap, _OF_ONE_WIDTH, security=security)

    if settings.bootstrap != "embedded":
        installation.bootstrap = settings.bootstrap
        async with unless(stop):
            installation.partitions = await beside(prepared)
        yield
        return
    from streams.kafka.embedded import LIMITS, EmbeddedBroker  # for demo and development only

    with EmbeddedBroker() as broker:
        typer.echo(LIMITS, err=True)
        broker.create(topics)
        installation.bootstrap, installation.partitions = broker.bootstrap, settings.partitions
        yield


async def _relay(installation: Installation, stop: asyncio.Event) -> None:
    archive = installation.settings.ehmi_archive
    station = Station(installation.ids, installation.registers, figures=Figures(installation.metrics), archive=archive)
    relay = build_relay(installation.worker_of(RELAY), station)

    async def prepare() -> None:
        await check_secret(installation.bootstrap, installation.ids, installation.security)
        if installation.accept_loss:
            kommuner = installation.registers.kommuner
            await accept_losses(installation.bootstrap, installation.security, relay_state(kommuner))

    patience = float(installation.settings.start_patience)
    await _work(installation, "relay", relay, relay_running(relay, patience=patience), prepare, stop)


async def _distributor(installation: Installation, stop: asyncio.Event) -> None:
    from agents.distributor import build_distributor, distributor_running  # no other role needs it

    station = Station(installation.ids, installation.registers, figures=Figures(installation.metrics))
    always = installation.settings.always_distributed
    try:
        distributor = build_distributor(installation.worker_of(DISTRIBUTOR), station, always=always)
    except ValueError as problem:
        hint = "Add receivers to subscriptions.toml, or name municipalities in STAFET_DISTRIBUTE"
        raise Failed(Code.USAGE, "nothing-to-distribute", str(problem), hint) from None

    async def prepare() -> None:
        await check_secret(installation.bootstrap, installation.ids, installation.security)
        if installation.accept_loss:
            state = distributor_state(distributor.systems)
            await accept_losses(installation.bootstrap, installation.security, state)

    patience = float(installation.settings.start_patience)
    running = distributor_running(distributor, patience=patience)
    await _work(installation, "distributor", distributor, running, prepare, stop)


async def _work(
    installation: Installation,
    role: str,
    reader: Reader,
    running: contextlib.AbstractAsyncContextManager[object],
    prepare: Callable[[], Coroutine[object, object, None]],
    stop: asyncio.Event,
) -> None:
    """A worker from its start to its drain. `running`: started and recovered inside; `prepare` comes before."""
    app = reader.app

    def check_partitions(counts: Mapping[str, int]) -> None:
        """Leaves before a record is taken for a key whose row lies elsewhere."""
        problem = widths_problem(app, counts)
        if problem:
            app.leave(problem)

    async with contextlib.AsyncExitStack() as stack:
        async with unless(stop):
            await prepare()

            async def show_restoring() -> None:
                """Readiness and the log while tables are read back: a start with many rows takes its time."""
                last = ""
                while True:
                    now = installation.waiting[role] = f"starting: {app.restoring}"
                    await asyncio.sleep(_LOOK)
                    if (total := app.restoring.total) and now != last:
                        last = now
                        logs.get(role).info("tables.restoring", count=app.restoring.done, limit=total)

            starting = asyncio.create_task(show_restoring())
            try:
                await stack.enter_async_context(running)
            finally:
                starting.cancel()
        installation.watch.on_topics.append(check_partitions)
        installation.mark_ready(role)
        progress = Progress(time.monotonic())
        while not stop.is_set():  # readiness follows rebalances
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _LOOK)
            seen = readiness(app)
            if seen.crashed:  # the process ends instead of pretending to live
                raise NotReady("the worker has crashed; its log says why")
            installation.waiting[role] = "" if seen.recovered else f"tables recover: {app.restoring}"
            installation.standing[role] = progress.look(await positions_of(reader), time.monotonic())
    logs.get(role).info(f"{role}.drained")


async def _gateway(installation: Installation, stop: asyncio.Event) -> None:
    options = GatewayOptions.of(installation.settings, installation.security)
    options = replace(options, bootstrap=installation.bootstrap)  # `embedded` has an address by now
    report = report_to(logs.get("gateway"), installation.metrics)
    async with unless(stop) as started:

        def ready() -> None:
            started()
            installation.mark_ready("gateway")

        with listening("STAFET_GATEWAY_LISTEN", installation.settings.gateway_listen):
            await run_gateway(options, installation.registers, installation.ids, stop, report, ready)


async def _beskedfordeler(installation: Installation, stop: asyncio.Event) -> None:
    from agents.bridge import Bridge, run_bridge, writer  # no other role needs it

    settings, now = installation.settings, datetime.now(UTC)
    if not settings.besked_routes or settings.beskedfordeler is None or settings.beskedfordeler_token_file is None:
        hint = "Set STAFET_BESKEDFORDELER_SYSTEMS; docs/distributor.md has an example"
        raise Failed(Code.USAGE, "nothing-to-bridge", "no system is reached over Beskedfordeler", hint)
    known = installation.registers
    distributed = known.distributed(also=settings.always_distributed)
    for code, system, _ in settings.besked_routes:
        rows = known.receivers(code, HOSPITAL_NOTIFICATION, now)
        other = next((row.copies for row in rows if row.system == system and row.copies != "beskedkuvert"), "")
        if other or system not in distributed.get(code, ()):
            problem = f"gets copies {other}" if other else "is no receiver that the distributor serves"
            hint = (
                'Give it copies = "beskedkuvert" in subscriptions.toml, or take it out of STAFET_BESKEDFORDELER_SYSTEMS'
            )
            raise Failed(Code.USAGE, "not-a-besked", f"{code}.{system} {problem}", hint)
    try:
        from agents.amqp import AmqpLine, token_in
    except ImportError:
        hint = "Install it where the product lies: pip install '.[amqp]'"
        raise Failed(Code.USAGE, "no-amqp", "the library for AMQP is not installed", hint) from None
    try:
        context = ssl.create_default_context(cafile=settings.beskedfordeler_ca)
        if settings.beskedfordeler_cert is not None:
            context.load_cert_chain(settings.beskedfordeler_cert, settings.beskedfordeler_key)
    except OSError as fault:  # ssl's errors are of this kind
        text = f"STAFET_BESKEDFORDELER_CA, _CERT or _KEY: {type(fault).__name__}"
        raise Failed(Code.USAGE, "no-certificate", text, "Try: stafet config show --sources") from None
    line = AmqpLine(Listen.of(settings.beskedfordeler), token_in(settings.beskedfordeler_token_file), context)
    async with unless(stop) as started:
        producer = new_producer(installation.bootstrap, client_id=BRIDGE, **installation.security)
        await producer.start()
        try:
            bridge = Bridge(line, writer(producer), lambda: datetime.now(UTC), installation.metrics, version("stafet"))

            def ready() -> None:
                started()
                installation.mark_ready("beskedfordeler")

            await run_bridge(
                bridge, settings.besked_routes, installation.bootstrap, stop, ready, **installation.security
            )
        finally:
            await producer.stop()
    logs.get("beskedfordeler").info("beskedfordeler.drained")


async def _observer(installation: Installation, stop: asyncio.Event) -> None:
    from .observe import DatabaseAway, Following, observe, opened, pages_served  # no other role needs a database

    settings = installation.settings
    with alone(settings.state_dir / "observer", "observer"):
        try:
            async with unless(stop):
                model = await beside(lambda: opened(settings, installation.registers))
        except DatabaseAway as problem:
            raise Failed(Code.FAILED, "no-database", str(problem), "Try: stafet config show --sources") from None
        now, address = lambda: datetime.now(UTC), settings.web_listen
        state = Following(metrics=installation.metrics)
        async with contextlib.AsyncExitStack() as stack:
            web = pages_served(model, installation.registers, installation.ids, Listen.of(address), now, state)
            with listening("STAFET_WEB_LISTEN", address):
                logs.get("observer").info("observer.served", url=await stack.enter_async_context(web))
            await observe(
                *(model, installation.bootstrap, installation.ids, installation.security, state, stop),
                ready=lambda: installation.mark_ready("observer"),
                waiting=lambda why: installation.waiting.update(observer=why),
                now=now,
                reconcile_minutes=settings.reconcile_minutes,
            )


_ROLES: Final[Mapping[str, Work]] = {
    "relay": _relay,
    "distributor": _distributor,
    "gateway": _gateway,
    "beskedfordeler": _beskedfordeler,
    "observer": _observer,
}


# ---- what a process has for itself ------------------------------------------------------------------------------------


@contextlib.contextmanager
def alone(directory: Path, worker_id: str) -> Iterator[None]:
    """Holds the worker's directory; the system lets go of it however the process ends.

    A process with the same worker id and another directory is found by the fence: the elder of the two leaves. Raises
    `Failed` when another process has the directory, or when it cannot be made.
    """
    hint = "Try: stafet config show --sources"
    try:
        lock = (private_folder(directory) / "lock").open("w")
    except OSError as fault:
        text = f"STAFET_STATE_DIR: {fault.filename or directory}: {fault.strerror}"
        raise Failed(Code.FAILED, "state-directory", text, hint) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = f"another process runs as worker {worker_id} in {directory}; give each a STAFET_WORKER_ID of its own"
            raise Failed(Code.USAGE, "worker-id-in-use", text, hint) from None
        yield


@contextlib.contextmanager
def listening(setting: str, address: str) -> Iterator[None]:
    """Names the setting when its address cannot be had. Raises `Failed`."""
    try:
        yield
    except OSError as fault:
        meaning = _REFUSALS.get(fault.errno or 0)
        if meaning is None:
            raise
        text = f"{setting}: {address} {meaning}"
        raise Failed(Code.FAILED, "cannot-listen", text, "Try: stafet config show --sources") from None


# ---- asked to stop ----------------------------------------------------------------------------------------------------


class Stopped(Exception):
    """The start was given up, as asked."""


@contextlib.asynccontextmanager
async def unless(stop: asyncio.Event) -> AsyncIterator[Callable[[], None]]:
    """What is inside is cancelled when `stop` is set, and `Stopped` raised; not any more once the function is called."""
    loop, starting = asyncio.get_running_loop(), True

    def give_up(stopping: asyncio.Task[bool]) -> None:
        if starting and not stopping.cancelled():
            wait.reschedule(loop.time())

    def started() -> None:
        nonlocal starting
        starting = False

    try:
        async with asyncio.timeout(None) as wait:
            stopping = loop.create_task(stop.wait())
            stopping.add_done_callback(give_up)
            try:
                yield started
            finally:
                started()
                stopping.cancel()
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
    """The result of a call that blocks, from a thread that is not waited for when the caller is cancelled.

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
        except BaseException as raised:  # noqa: BLE001  # handed to the caller
            fault = raised
        with contextlib.suppress(RuntimeError):  # the loop has closed meanwhile
            loop.call_soon_threadsafe(settle, result, fault)

    threading.Thread(target=work, daemon=True).start()
    return await answer
