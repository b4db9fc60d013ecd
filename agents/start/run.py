"""`stafet run relay|gateway|all`: a role of the product as a process, from settings to drain.

It says `ready` on standard error when records can flow, ends on SIGTERM or SIGINT with exit 0 after draining, on a
second SIGINT at once with 130, and may be killed at any moment: what was not finished comes again.
"""

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Final

import typer
from aiokafka.errors import KafkaError

from agents.relay import Relay, build_relay, relay_running
from agents.station import Figures, Station
from agents.worker.app import NotReady, Worker, readiness, widths_problem
from agents.worker.shell import leave_now
from streams.cli import interrupts
from streams.cli.doctor import rights_missing
from streams.cli.frame import Code, Failed
from streams.cli.installation import Bootstrap, Config, RegistersOption, mismatch, registers_of, settings_of
from streams.cli.permissions import refused
from streams.gateway.report import report_to
from streams.gateway.run import GatewayOptions, run_gateway
from streams.gateway.tls import TlsProblem
from streams.kafka import admin
from streams.kafka.access import rights_of, user_of
from streams.kafka.embedded import LIMITS, EmbeddedBroker
from streams.kafka.grants import lacking
from streams.kafka.reach import BrokerProblem
from streams.kafka.records import place_of
from streams.kafka.security import aiokafka_options, librdkafka_options
from streams.kafka.topics import ADT_RAW, LANES, RELAY, TopicPlan, changelog, plan
from streams.kafka.topics import Role as KafkaRole
from streams.observer.health import health_served
from streams.operations import logs
from streams.operations.metrics import Metrics
from streams.operations.settings import BadSettings, Listen, Settings, secret
from streams.registry import Registers
from streams.words.ids import Ids

from .broker_watch import BrokerWatch
from .losses import accept_losses
from .places import alone, listening
from .progress import Progress, positions_of
from .same_secret import SecretChanged, check_secret
from .stopping import Stopped, beside, last_resort, unless

__all__ = ["PATIENCE", "Role", "run"]

#: Seconds from SIGTERM to the end: the gateway's drain (25 s) fits in, and the 30 s after which supervisors kill.
PATIENCE = 28.0

_LOOK = 1.0  # seconds between two looks at a worker

_DEFAULT_TIMEOUT = 1800  # seconds: the row of policy.toml holds unless another is set


class Role(StrEnum):
    """What one process does."""

    RELAY = "relay"
    GATEWAY = "gateway"
    ALL = "all"


@dataclass
class Installation:
    """Everything a role is started with."""

    settings: Settings
    registers: Registers
    ids: Ids
    metrics: Metrics = field(default_factory=Metrics)
    bootstrap: str = ""
    partitions: int = 12
    waiting: dict[str, str] = field(default_factory=dict)  # role -> why it is not ready
    watch: BrokerWatch = field(default_factory=lambda: BrokerWatch({}))
    dead: str = ""  # why the relay should be restarted
    accept_loss: bool = False

    @property
    def security(self) -> dict[str, Any]:
        """For every aiokafka client of the process."""
        return aiokafka_options(self.settings)


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
    """Run a role until SIGTERM: relay (worker), gateway (MLLP server), or all (both in one process).

    Example: stafet run all --registers example
    """
    settings = settings_of({"bootstrap": bootstrap, "registers": registers}, config)
    logs.configure(settings.log_format, settings.log_level)
    known = registers_of(settings)
    _fitting(settings, known)
    if settings.ack_timeout != _DEFAULT_TIMEOUT:
        known = known.with_ack_timeout(timedelta(seconds=settings.ack_timeout))
    try:
        ids = Ids(secret(settings), settings.secret_key_id)
    except BadSettings as problem:
        raise Failed(Code.USAGE, "no-secret", str(problem), "Look at it with: stafet doctor") from None
    installation = Installation(settings, known, ids, accept_loss=accept_loss)
    with _failures():
        asyncio.run(_run(role, installation))


def _fitting(settings: Settings, registers: Registers) -> None:
    """Registers of a test have no place in production: refused, or warned of (decision 0011)."""
    found = mismatch(settings, registers)
    if found is None:
        return
    if found.severity == "error":
        raise Failed(Code.USAGE, "registers-do-not-fit", found.problem, found.remedy[0].upper() + found.remedy[1:])
    logs.get("run").warning("registers.do-not-fit", why=found.problem, hint=found.remedy)


#: What a role does until `stop`.
Work = Callable[[Installation, asyncio.Event], Coroutine[Any, Any, None]]


@contextlib.contextmanager
def _failures() -> Iterator[None]:
    """What ends a role otherwise than by a signal, as people meet it."""
    try:
        with _unwrapped():
            yield
    except BrokerProblem as problem:
        raise refused(problem) from None
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


@contextlib.contextmanager
def _unwrapped() -> Iterator[None]:
    """The first failure of several roles, by itself: one that ends takes the others with it."""
    try:
        yield
    except BaseExceptionGroup as group:
        first: BaseException = group
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None


async def _run(role: Role, installation: Installation) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def told() -> None:
        if not stop.is_set():
            stop.set()
            last_resort(PATIENCE, leave_now)

    def interrupted() -> None:
        if stop.is_set():  # the second Ctrl-C: no draining
            interrupts.leave()
        told()

    loop.add_signal_handler(signal.SIGTERM, told)
    loop.add_signal_handler(signal.SIGINT, interrupted)
    with contextlib.suppress(Stopped):
        await _roles_running(role, installation, stop)


async def _roles_running(role: Role, installation: Installation, stop: asyncio.Event) -> None:
    async with _broker(role, installation, stop), contextlib.AsyncExitStack() as stack:
        if "relay" in _roles(role):  # before the port: whoever starts a worker twice has both in common
            stack.enter_context(alone(_worker(installation).directory, installation.settings.worker_id))
        address = installation.settings.http_listen
        installation.waiting = dict.fromkeys(_roles(role), "starting")
        health = health_served(
            Listen.of(address), lambda: _reason(installation), installation.metrics, lambda: installation.dead
        )
        with listening("STAFET_HTTP_LISTEN", address):
            await stack.enter_async_context(health)
        client = {"bootstrap_servers": installation.bootstrap.split(","), **installation.security}
        installation.watch = await stack.enter_async_context(BrokerWatch(client).running())
        async with asyncio.TaskGroup() as group:
            for one in _roles(role):
                group.create_task(_until_stopped(_ROLES[one], installation, stop))


async def _until_stopped(work: Work, installation: Installation, stop: asyncio.Event) -> None:
    """A role; one whose start is given up must not take the other with it, which may have to drain."""
    with contextlib.suppress(Stopped):
        await work(installation, stop)


def _roles(role: Role) -> tuple[str, ...]:
    return ("relay", "gateway") if role is Role.ALL else (role.value,)


def _reason(installation: Installation) -> str:
    reasons = {"kafka": installation.watch.problem(), **installation.waiting}
    return "; ".join(f"{role}: {why}" for role, why in reasons.items() if why)


def _ready(installation: Installation, role: str) -> None:
    """Marks a role as ready; when the last one is, says so to whoever waits on standard error."""
    installation.waiting[role] = ""
    if not _reason(installation):
        logs.get("run").info("run.ready", role=role, bootstrap=installation.bootstrap)
        typer.echo("ready", err=True)


@contextlib.asynccontextmanager
async def _broker(role: Role, installation: Installation, stop: asyncio.Event) -> AsyncIterator[None]:
    """The broker that is set, with its topics there; or the embedded one, started and prepared."""
    settings = installation.settings
    topics = plan(installation.registers.kommuner, partitions=settings.partitions, replication=settings.replication)
    if settings.bootstrap != "embedded":
        installation.bootstrap = settings.bootstrap
        async with unless(stop):
            installation.partitions = await beside(lambda: _prepared(role, settings, topics))
        yield
        return
    with EmbeddedBroker() as broker:
        typer.echo(LIMITS, err=True)
        broker.create(topics)
        installation.bootstrap, installation.partitions = broker.bootstrap, settings.partitions
        yield


def _prepared(role: Role, settings: Settings, topics: Sequence[TopicPlan]) -> int:
    """The partition count of keyed topics; raises `Failed` when a topic or a right that the role needs is missing."""
    security = librdkafka_options(settings)
    users = (user_of(_USERS[one]) for one in _roles(role))
    wanted = [right for user in users for right in rights_of(user, topics)]
    absent, missing = lacking(settings, wanted)
    if absent:
        problem = f"{len(absent)} topics are missing at {settings.bootstrap}: {absent[0]} for one"
        raise Failed(Code.FAILED, "no-topics", problem, "Try: stafet topics apply --yes")
    if missing:
        hint = "An administrator grants it: stafet access apply --yes; stafet doctor names every right that is missing"
        raise Failed(Code.NOT_PERMITTED, "not-permitted", rights_missing(settings.kafka_user, missing), hint)
    return admin.width(settings.bootstrap, _OF_ONE_WIDTH, security=security)


#: Topics with keys of state and what is folded from them: where one has partitions of its own number, it is to be named.
_OF_ONE_WIDTH: Final = (ADT_RAW, LANES, *(changelog(RELAY, table) for table in ("persons", "lanes")))

#: Role of a process -> the user whose rights it needs.
_USERS: Final[dict[str, KafkaRole]] = {"relay": "relay", "gateway": "gateway"}


def _worker(installation: Installation) -> Worker:
    settings = installation.settings
    return Worker(
        bootstrap=installation.bootstrap,
        worker_id=settings.worker_id,
        state_dir=settings.state_dir,
        partitions=installation.partitions,
        store=settings.store,
        security=installation.security,
        embedded=settings.bootstrap == "embedded",
    )


async def _relay(installation: Installation, stop: asyncio.Event) -> None:
    settings = installation.settings
    station = Station(installation.ids, installation.registers, figures=Figures(installation.metrics))
    relay = build_relay(_worker(installation), station)
    async with contextlib.AsyncExitStack() as stack:
        async with unless(stop):
            await check_secret(installation.bootstrap, installation.ids, installation.security)
            if installation.accept_loss:
                await accept_losses(installation.bootstrap, installation.security, installation.registers.kommuner)
            starting = asyncio.create_task(_told_how_far(relay, installation))
            try:
                await stack.enter_async_context(relay_running(relay, patience=float(settings.start_patience)))
            finally:
                starting.cancel()
        installation.watch.on_topics = lambda counts: _check_partitions(relay, counts)
        _ready(installation, "relay")
        await _watched(relay, installation, stop)
    logs.get("relay").info("relay.drained")


async def _told_how_far(relay: Relay, installation: Installation) -> None:
    """Readiness and the log while tables are read back: a start with many rows takes its time."""
    last = ""
    while True:
        installation.waiting["relay"] = f"starting: {relay.app.restoring}"
        await asyncio.sleep(_LOOK)
        if relay.app.restoring.total and installation.waiting["relay"] != last:
            last = installation.waiting["relay"]
            logs.get("relay").info("tables.restoring", count=relay.app.restoring.done, limit=relay.app.restoring.total)


def _check_partitions(relay: Relay, counts: Mapping[str, int]) -> None:
    """Leaves before a record is taken for a key whose row lies elsewhere."""
    problem = widths_problem(relay.app, counts)
    if problem:
        relay.app.leave(problem)


async def _watched(relay: Relay, installation: Installation, stop: asyncio.Event) -> None:
    """Until stop; readiness follows rebalances, and a crashed app ends the process instead of pretending to live."""
    progress = Progress(time.monotonic())
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _LOOK)
        seen = readiness(relay.app)
        if seen.crashed:
            raise NotReady("the worker has crashed; its log says why")
        installation.waiting["relay"] = "" if seen.recovered else f"tables recover: {relay.app.restoring}"
        installation.dead = progress.look(await positions_of(relay), time.monotonic())


async def _gateway(installation: Installation, stop: asyncio.Event) -> None:
    options = GatewayOptions.of(installation.settings, installation.security)
    options = replace(options, bootstrap=installation.bootstrap)  # `embedded` has an address by now
    report = report_to(logs.get("gateway"), installation.metrics)
    async with unless(stop) as started:

        def ready() -> None:
            started()
            _ready(installation, "gateway")

        with listening("STAFET_GATEWAY_LISTEN", installation.settings.gateway_listen):
            await run_gateway(options, installation.registers, installation.ids, stop, report, ready)


_ROLES = {"relay": _relay, "gateway": _gateway}
