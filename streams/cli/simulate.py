"""`stafet simulate hospital|municipality`: counterparties for trying, training and load (spec 06 §4.2)."""

import asyncio
import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Annotated

import typer

from streams.gateway.mllp import MllpClient
from streams.kafka.admin import aiokafka_options
from streams.kafka.clients import new_producer
from streams.operations.settings import BadSettings, Listen, read_settings, secret
from streams.registry import BadRegisters, load
from streams.sim.hospital import Played, journeys, onto_topic, play, scripts, through_gateway, woven
from streams.sim.municipality import Answering, Tally, Town, run_municipalities
from streams.sim.municipality import behaviour as named_behaviour
from streams.sim.stories import STORIES
from streams.sim.subscriber import Subscribers
from streams.words.ids import Ids

from . import interrupts
from .arguments import time_of
from .frame import echo

FAILED, USAGE = 1, 2  # exit codes of spec 06 §4.2
_SPREAD = timedelta(hours=1)  # between the first stay's beginning and the last one's
SUBSCRIBER = "subscriber"  # the behaviour that follows no script

app = typer.Typer(
    help="Simulated hospitals and municipalities: test persons, scripted behaviour.", no_args_is_help=True
)


@app.command()
def hospital(
    stays: Annotated[int, typer.Option(help="How many stays.", min=1)] = 100,
    rate: Annotated[float, typer.Option(help="Messages a second; 0 is as fast as they are answered.", min=0)] = 0,
    seed: Annotated[
        int | None,
        typer.Option(help="The same seed and begin give the same messages; without it every run has ids of its own."),
    ] = None,
    begin: Annotated[
        str, typer.Option(help="ISO time of the first stay; else so that the last message is sent now.")
    ] = "",
    story: Annotated[list[str] | None, typer.Option(help="Only stories whose name begins so.")] = None,
    gateway: Annotated[str, typer.Option(help="host:port of an MLLP gateway; without it the topic is written.")] = "",
    bootstrap: Annotated[str | None, typer.Option(help="Kafka addresses host:port[,…].")] = None,
    registers: Annotated[str | None, typer.Option(help="Folder of register files, or example.")] = None,
) -> None:
    """Play hospital stays of test persons as ADT messages.

    Example: stafet simulate hospital --stays 20 --gateway 127.0.0.1:2575 --registers example
    """
    with usage_errors():
        settings = read_settings({"bootstrap": bootstrap, "registers": registers})
        known = load(settings.registers or _no_registers())
        seed = secrets.randbits(32) if seed is None else seed
        try:
            address = Listen.of(gateway) if gateway else None
        except ValueError as problem:
            raise ValueError(f"--gateway: {problem}") from None
        start = time_of("--begin", begin) if begin else None
        chosen = tuple(each for each in STORIES if each.name.startswith(tuple(story or ("",))))
        if not chosen:
            raise ValueError("no story begins so; there are: " + "; ".join(each.name for each in STORIES))
        # Events lie in the past: what is dated in the future would be held (01, 7.6).
        start = start or datetime.now(UTC) - max(each.length for each in chosen) - _SPREAD
        chance = Random(seed)  # noqa: S311  # a script, not a secret
        homes = journeys(known.locations, start)
        sendings = woven(scripts(stays, homes, sorted(known.kommuner), start, chance, spread=_SPREAD, stories=chosen))
        ids = Ids(secret(settings), settings.secret_key_id) if address is None else None
    echo(f"seed {seed}", err=True)

    async def playing() -> Played:
        stop, pace = stop_on_signals(), rate or None
        if address is not None:
            text = f"cannot connect to {address.host}:{address.port}; trying again each second"
            async with MllpClient(address.host, address.port) as client:
                deliver = through_gateway(client)
                return await play(sendings, deliver, stop, rate=pace, unreachable=lambda: echo(text, err=True))
        assert ids is not None
        security = aiokafka_options(settings)
        async with new_producer(settings.bootstrap, client_id="stafet-simulator", **security) as producer:
            return await play(sendings, onto_topic(producer, known, ids), stop, rate=pace)

    played = asyncio.run(playing())
    echo(f"{played.taken} taken, {played.refused} refused, {played.again} sent again")
    raise typer.Exit(FAILED if played.refused else 0)


@app.command()
def municipality(
    kommunekode: Annotated[
        list[str] | None,
        typer.Argument(help="Codes of four digits, or 0461.SYSTEM for a receiver behind an inbox; none is all."),
    ] = None,
    code: Annotated[list[str] | None, typer.Option("--code", help="The same, as an option; may be repeated.")] = None,
    behaviour: Annotated[
        str,
        typer.Option(
            help="subscriber reads, checks and answers as the standard asks. By script: ok, fatal, transient, silent, "
            "late:45m, duplicate, garbage, wrong-sender, conflicting; silent>ok answers the resend."
        ),
    ] = SUBSCRIBER,
    seed: Annotated[int, typer.Option(help="Chance: how long each answer takes.")] = 1,
    new_only: Annotated[bool, typer.Option("--new-only", help="Leave what already lies in the inboxes.")] = False,
    bootstrap: Annotated[str | None, typer.Option(help="Kafka addresses host:port[,…].")] = None,
    registers: Annotated[str | None, typer.Option(help="Folder of register files, or example.")] = None,
) -> None:
    """Answer notifications on behalf of municipalities until interrupted.

    Example: stafet simulate municipality --code 0461 --behaviour late:45m --registers example
    """
    with usage_errors():
        settings = read_settings({"bootstrap": bootstrap, "registers": registers})
        codes = [*(kommunekode or ()), *(code or ())]
        known = load(settings.registers or _no_registers()) if settings.registers or not codes else None
        codes = codes or sorted(known.kommuner if known else ())
        town: Answering
        if behaviour == SUBSCRIBER:  # takes what is addressed to it, when the registers have its address
            ours = {each: known.senders(each.partition(".")[0], datetime.now(UTC)) for each in codes} if known else {}
            town = Subscribers(codes, {each: addresses for each, addresses in ours.items() if addresses})
        else:
            how = named_behaviour(behaviour)
            town = Town(dict.fromkeys(codes, how), Random(seed))  # noqa: S311  # a script, not a secret

    async def answering() -> Tally:
        stop, security = stop_on_signals(), aiokafka_options(settings)
        async with new_producer(settings.bootstrap, client_id="stafet-simulator", **security) as producer:
            return await run_municipalities(
                settings.bootstrap, town, producer, stop, lambda: datetime.now(UTC), from_start=not new_only, **security
            )

    try:
        tally = asyncio.run(answering())
    except LookupError as problem:
        echo(*str(problem).splitlines(), err=True)
        raise typer.Exit(FAILED) from None
    echo(f"{tally.received} received, {tally.answered} receipts sent")


@contextmanager
def usage_errors() -> Iterator[None]:
    """Settings, registers and options that cannot be used end the command with their text."""
    try:
        yield
    except (BadSettings, BadRegisters, ValueError) as problem:
        echo(*str(problem).splitlines(), err=True)
        raise typer.Exit(USAGE) from None


def stop_on_signals() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set; for use inside a running loop. After SIGINT there is a second for the rest."""
    stop = asyncio.Event()

    def interrupted() -> None:
        interrupts.begin()
        stop.set()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, interrupted)
    return stop


def _no_registers() -> str:
    raise ValueError("name the registers: --registers FOLDER, or --registers example for the set that ships with us")
