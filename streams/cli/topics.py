"""`stafet topics plan|apply|diff|describe`: the topic table against a broker. Nothing is ever changed or deleted."""

from typing import Annotated, Any

import typer

from streams.kafka import admin
from streams.kafka.admin import librdkafka_options
from streams.kafka.topics import TopicPlan
from streams.operations.settings import Settings
from streams.registry import EXAMPLE_NAME, Registers, load

from .frame import AsJson, Code, Failed, echo, emit
from .installation import Bootstrap, Config, RegistersOption, registers_of, settings_of, topics_of

app = typer.Typer(help="Topics: what is planned, what is there, and creating what is missing.", no_args_is_help=True)

Receivers = Annotated[
    bool, typer.Option("--receivers", help="With the topics of every receiving system, distributed to or not.")
]


def _plan(settings: Settings, *, receivers: bool) -> tuple[TopicPlan, ...]:
    """Without registers the municipalities of the product: there are 98 inboxes, however few are connected."""
    known: Registers = registers_of(settings) if settings.registers else load(EXAMPLE_NAME)
    return topics_of(settings, known, receivers=receivers)


def _settings(bootstrap: str | None, registers: str | None, config: Any) -> Settings:
    settings = settings_of({"bootstrap": bootstrap, "registers": registers}, config)
    if settings.bootstrap == "embedded":
        hint = "Name a broker with --bootstrap or STAFET_BOOTSTRAP; Try: stafet broker start"
        raise Failed(Code.USAGE, "embedded", "the embedded broker lives inside the process that uses it", hint)
    return settings


def _row(topic: TopicPlan | admin.Described) -> dict[str, Any]:
    return {
        "topic": topic.name,
        "partitions": topic.partitions,
        "replication": topic.replication,
        "config": dict(topic.config or {}),
    }


def _print_plan(rows: tuple[TopicPlan, ...], *, as_json: bool) -> None:
    if as_json:
        emit([_row(topic) for topic in rows])
        return
    for topic in rows:
        keeping = topic.config.get("retention.ms")
        kept = f"{int(keeping) // 86_400_000} d" if keeping else "compacted"
        echo(f"{topic.name:40} {topic.partitions:3} partitions  x{topic.replication}  {kept}")


@app.command()
def plan(
    registers: RegistersOption = None, config: Config = None, receivers: Receivers = False, as_json: AsJson = False
) -> None:
    """Print every topic as it should be. No broker is asked. Example: stafet topics plan --json"""
    _print_plan(_plan(settings_of({"registers": registers}, config), receivers=receivers), as_json=as_json)


@app.command()
def apply(
    yes: Annotated[
        bool, typer.Option("--yes", help="Create what is missing; without it only the plan is printed.")
    ] = False,
    bootstrap: Bootstrap = None,
    registers: RegistersOption = None,
    config: Config = None,
    receivers: Receivers = False,
    as_json: AsJson = False,
) -> None:
    """Create the topics that are missing and wait until they can be used. Example: stafet topics apply --yes"""
    settings = _settings(bootstrap, registers, config)
    rows = _plan(settings, receivers=receivers)
    if not yes:
        _print_plan(rows, as_json=as_json)
        raise Failed(Code.USAGE, "not-confirmed", f"{len(rows)} topics planned, nothing created", "Add --yes to create")
    created = admin.apply(settings.bootstrap, rows, security=librdkafka_options(settings))
    if as_json:
        emit({"created": list(created), "present": len(rows) - len(created)})
    else:
        echo(f"{len(created)} created, {len(rows) - len(created)} were there")


@app.command()
def diff(
    bootstrap: Bootstrap = None,
    registers: RegistersOption = None,
    config: Config = None,
    receivers: Receivers = False,
    as_json: AsJson = False,
) -> None:
    """Compare the broker with the plan; exit 3 when they differ. Example: stafet topics diff"""
    settings = _settings(bootstrap, registers, config)
    found = admin.diff(settings.bootstrap, _plan(settings, receivers=receivers), security=librdkafka_options(settings))
    if as_json:
        emit([{"topic": d.topic, "what": d.what, "planned": d.planned, "found": d.found} for d in found])
    else:
        for d in found:
            echo(f"{d.topic}: {d.what} should be {d.planned}, is {d.found or 'not set'}")
    raise typer.Exit(Code.DIFFERENCES if found else Code.OK)


@app.command()
def describe(
    topics: Annotated[list[str] | None, typer.Argument(metavar="TOPIC…", help="Names; none is all planned.")] = None,
    bootstrap: Bootstrap = None,
    registers: RegistersOption = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show topics as they are on the broker; exit 4 when none is there. Example: stafet topics describe lanes"""
    settings = _settings(bootstrap, registers, config)
    names = topics or [topic.name for topic in _plan(settings, receivers=False)]
    found = admin.describe(settings.bootstrap, names, security=librdkafka_options(settings))
    if not found:
        raise Failed(
            Code.NOT_FOUND, "not-found", "none of these topics is there", "Try: stafet topics apply --yes", names
        )
    if as_json:
        emit([_row(topic) for topic in found])
    else:
        for d in found:
            echo(f"{d.name:40} {d.partitions:3} partitions  x{d.replication}")
