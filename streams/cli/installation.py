"""The installation that a command works on: its settings and registers, and whether the two are for each other.

Both are of test or both are of production (decision 0011). What marks production is `STAFET_ENVIRONMENT`, and it is the
default, because test must be asked for (acceptance.md); what marks registers is `environment` in their
subscriptions.toml. The two never meet (spec 05 §6.3, §6.7.7): letters of a hospital at work must not go to addresses of a
test. The example set alone has fictional addresses that lead nowhere and must be named on purpose: where no source of
settings asks for production, it is run, and warned of.
"""

import asyncio
from collections.abc import Coroutine, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeVar

import typer

from streams.kafka.topics import TopicPlan, plan
from streams.operations.settings import Settings, read_settings
from streams.registry import EXAMPLE_NAME, Registers, load

from .frame import Code, Failed

T = TypeVar("T")

Bootstrap = Annotated[str | None, typer.Option("--bootstrap", help="Kafka addresses host:port[,…].")]
RegistersOption = Annotated[str | None, typer.Option("--registers", help="Folder of register files, or example.")]
Config = Annotated[Path | None, typer.Option("--config", help="A TOML file with settings.")]


def settings_of(flags: Mapping[str, Any] | None = None, config: Path | None = None) -> Settings:
    """The settings in force. Raises `BadSettings`."""
    return read_settings(flags, config=config)


def registers_of(settings: Settings) -> Registers:
    """The registers that are set, with the wait for receipts where one is. Raises `Failed` for none, and `BadRegisters`."""
    if settings.registers is None:
        hint = "Set STAFET_REGISTERS, or --registers, to a folder or to example"
        raise Failed(Code.USAGE, "no-registers", "no registers are named", hint)
    registers = load(settings.registers)
    if "ack_timeout" in settings.model_fields_set:
        registers = registers.with_ack_timeout(timedelta(seconds=settings.ack_timeout))
    return registers


def topics_of(settings: Settings, registers: Registers, *, receivers: bool = False) -> tuple[TopicPlan, ...]:
    """Every topic of the installation; with `receivers` those of every receiving system, else of those distributed to."""
    systems = registers.systems() if receivers else registers.distributed(also=settings.always_distributed)
    return plan(
        registers.kommuner,
        systems=systems,
        hospitals=registers.letter_hospitals,
        bridged=((route.kommunekode, route.system) for route in settings.besked_routes),
        partitions=settings.partitions,
        replication=settings.replication,
    )


def asked(settings: Settings, work: Coroutine[Any, Any, T]) -> T:
    """The result of work with the broker that is set. Raises `Failed` when it does not do it."""
    from aiokafka.errors import KafkaError  # most commands need none of it

    try:
        return asyncio.run(work)
    except KafkaError as problem:
        text = f"Kafka at {settings.bootstrap} does not do it ({type(problem).__name__})"
        raise Failed(Code.NO_BROKER, "broker", text, "Check STAFET_BOOTSTRAP, or Try: stafet doctor") from None


class Mismatch(NamedTuple):
    """What does not fit, and the way out; an error is refused by every role."""

    severity: Literal["error", "warning"]
    problem: str
    remedy: str


#: (installation, registers, the example set while no source of settings names the environment) -> how bad it is.
_SEVERITY: Final[Mapping[tuple[str, str, bool], Literal["error", "warning"]]] = {
    ("production", "test", False): "error",
    ("production", "test", True): "warning",
    ("test", "production", False): "warning",  # a rehearsal with the real addresses, before a cut-over
}

_REMEDY: Final[Mapping[str, str]] = {
    "production": "name the registers of this installation with --registers DIR or STAFET_REGISTERS, "
    "or say STAFET_ENVIRONMENT=test where nothing real is sent",
    "test": "name registers of a test, or leave STAFET_ENVIRONMENT to its default where real letters are sent",
}


def mismatch(settings: Settings, registers: Registers) -> Mismatch | None:
    """None when the registers are of the environment that is set."""
    here, theirs = settings.environment, registers.environment
    on_purpose = settings.registers == EXAMPLE_NAME and "environment" not in settings.model_fields_set
    severity = _SEVERITY.get((here, theirs, on_purpose))
    if severity is None:
        return None
    problem = (
        f"STAFET_ENVIRONMENT is {here}, and the registers {settings.registers} are of {theirs} "
        f"(environment in subscriptions.toml): letters would go to {theirs} addresses"
    )
    return Mismatch(severity, problem, _REMEDY[here])
